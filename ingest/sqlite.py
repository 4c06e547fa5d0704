"""How this project opens SQLite files: one place for pragmas and for mapping errors onto our tree."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ingest.errors import Permanent, Retryable, ShengwenError

BUSY_TIMEOUT_S = 30.0


def connect(path: Path) -> sqlite3.Connection:
    """A connection in autocommit mode: transactions are begun by hand, so that writers queue at BEGIN IMMEDIATE.

    WAL with synchronous=FULL: what a commit acknowledged survives kill -9 and power loss; batches make it cheap.
    Raises the errors of :func:`mapped_errors`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Permanent(f"无法建立 {path.name} 所在的文件夹：{error.strerror}") from error
    with mapped_errors(path):
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            enable_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
    return connection


def enable_wal(connection: sqlite3.Connection) -> None:
    """Turn WAL on, which fails at once, whatever the busy time-out, while another process does the same."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """sqlite3's errors as ours: busy, full and a failed write are Retryable (when the disk has room again, work goes
    on); read-only and corrupt are Permanent and say what to do."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _mapped(error, path) from error


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """BEGIN IMMEDIATE … COMMIT, rolled back on any exception."""
    with mapped_errors(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # a full disk may have rolled back already
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _mapped(error: sqlite3.DatabaseError, path: Path) -> ShengwenError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return Retryable(f"{path.name} 正被另一个写入者占用：{error}")
    if code == sqlite3.SQLITE_FULL:
        return Retryable(f"磁盘已满，无法写入 {path.name}；腾出空间后会自动继续", retry_after=10.0)
    if code == sqlite3.SQLITE_IOERR:  # a quota or size limit; a dying disk stops the stage after its last attempt
        return Retryable(f"读写 {path.name} 失败（{error}）；请检查磁盘空间、配额和磁盘健康", retry_after=10.0)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Permanent(f"{path.name} 已损坏（{error}）；请从备份恢复，或移走该文件后重建")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return Permanent(f"无法打开或写入 {path.name}（{error}）；请检查所在文件夹的权限")
    return Permanent(f"{path.name}: {error}")
