"""How this project opens SQLite files: one place for pragmas and for mapping errors onto our tree."""

from __future__ import annotations

import sqlite3
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
    with mapped_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """sqlite3's errors as ours: busy is Retryable; full, read-only, corrupt are Permanent and say what to do."""
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
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return Permanent(f"{path.name} 已损坏（{error}）；请从备份恢复，或移走该文件后重建")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return Permanent(f"无法打开或写入 {path.name}（{error}）；请检查所在文件夹的权限")
    return Permanent(f"{path.name}: {error}")
