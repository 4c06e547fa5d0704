"""The embedded index's file: schema, connections, and SQLite's errors mapped onto the project's tree."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from ingest.errors import ConfigError, ContractError, Permanent, Retryable
from search.columns import TABLE
from search.grams import TOKENIZER
from search.packing import DICTIONARY, Damage
from search.upgrade import upgrade

logger = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x53576978
"""``PRAGMA application_id`` of our files: "SWix"."""
SCHEMA_VERSION: Final = 2
"""2: whom a mention is about, its matched words, its group. A file of version 1 is brought up to date where it lies."""
BUSY_TIMEOUT_MS: Final = 30_000
_WRITER_CACHE_KIB: Final = 65_536
_READER_CACHE_KIB: Final = 16_384

Synchronous = Literal["FULL", "NORMAL"]

_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE mentions (
    id TEXT PRIMARY KEY, docid INTEGER NOT NULL, number INTEGER NOT NULL, hash TEXT NOT NULL, copies INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE docs (docid INTEGER PRIMARY KEY, author INTEGER, doc BLOB NOT NULL);
CREATE INDEX docs_author ON docs (author) WHERE author IS NOT NULL;
{TABLE};
CREATE TABLE changes (n INTEGER PRIMARY KEY AUTOINCREMENT, docid INTEGER NOT NULL);
CREATE TABLE terms (
    dimension TEXT NOT NULL, value TEXT NOT NULL, code INTEGER NOT NULL, PRIMARY KEY (dimension, value)
) WITHOUT ROWID;
CREATE TABLE tallies (
    source TEXT NOT NULL, outcome TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (source, outcome)
) WITHOUT ROWID;
CREATE TABLE origins (
    topic TEXT NOT NULL, part INTEGER NOT NULL, high INTEGER NOT NULL, PRIMARY KEY (topic, part)
) WITHOUT ROWID;
CREATE TABLE replays (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE erased (mention BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE VIRTUAL TABLE grams USING fts5 (text, title, appends, content='', tokenize="{TOKENIZER.replace('"', '""')}");
"""
# mentions  by id: where it is stored, its revision, how often it came
# docs      the whole record, packed; a hash of the author's key, to find an author's mentions
# columns   what is filtered, sorted and counted, packed for the arrays of search.columns
# changes   docs whose columns changed or that were erased, for readers to catch up
# terms     codes of the values in columns
# tallies   how often each outcome came
# origins   highest position counted, by topic and partition; replays: dead letters counted; erased: hashes of ids

_CHECK_FOLDER = "请检查文件夹是否存在、是否可写"


class Store:
    """Connections to one index file: one for writing, any number for reading. Thread-safe."""

    def __init__(self, path: Path, synchronous: Synchronous = "FULL", busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> None:
        self.path = path
        self._synchronous = synchronous
        self._busy_timeout_ms = busy_timeout_ms
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        self._closed = False
        with self.errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = self._connect(_WRITER_CACHE_KIB)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._writer = connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection in a read transaction: everything read through it is one moment's state."""
        with self.errors():
            connection = self._take()
            try:
                connection.execute("BEGIN")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._give_back(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The writing connection in a transaction: committed, durably, at the end, or rolled back by an error."""
        with self._writing, self.errors():
            if self._closed:
                raise ContractError("the index is closed")
            connection = self._writer or self._connect(_WRITER_CACHE_KIB)
            self._writer = None
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # Closing rolls back, and whatever state the failure left in the connection is gone with it.
                connection.close()
                raise
            self._writer = connection

    def close(self) -> None:
        """Close every connection, once those in use are done with; idempotent."""
        with self._writing, self._lock:
            self._closed = True
            connections = [*self._idle, *([self._writer] if self._writer else [])]
            self._idle, self._writer = [], None
        for connection in connections:
            connection.close()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise SQLite's errors as ours."""
        try:
            yield
        except sqlite3.Error as error:
            raise self._mapped(error) from error
        except Damage as error:
            raise self.corrupt(str(error)) from error
        except OSError as error:
            raise ConfigError(f"打不开索引文件 {self.path}：{error.strerror}。{_CHECK_FOLDER}") from error

    def corrupt(self, detail: str) -> Permanent:
        """The error for a file that cannot be trusted any more."""
        return Permanent(
            f"索引文件已损坏（{detail}）：{self.path}。"
            "请停止服务，把它连同同名的 -wal、-shm 文件移走，再重新启动：索引会由事件日志重建"
        )

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise ContractError("the index is closed")
            if self._idle:
                return self._idle.pop()
        connection = self._connect(_READER_CACHE_KIB)
        connection.execute("PRAGMA query_only=ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self, cache_kib: int) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, timeout=self._busy_timeout_ms / 1000
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            connection.execute(f"PRAGMA cache_size=-{cache_kib}")
            connection.execute("PRAGMA journal_size_limit=67108864")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if version == 0 and application == 0 and tables == 0:
            self._create(connection)
        elif application != APPLICATION_ID:
            raise ConfigError(f"{self.path} 是别的程序的数据库，不是索引文件。请换一个路径")
        elif 0 < version < SCHEMA_VERSION:
            # In the one transaction that is open: killed meanwhile, the file is as it was.
            logger.info("the index %s is of version %d: its columns are made anew", self.path, version)
            upgrade(connection)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif version != SCHEMA_VERSION:
            raise ConfigError(
                f"索引文件 {self.path} 的格式版本是 {version}，这个程序要的是 {SCHEMA_VERSION}。"
                "请换用写它的那个版本，或把它移走后重新启动，由事件日志重建"
            )
        connection.execute("COMMIT")

    def _create(self, connection: sqlite3.Connection) -> None:
        try:
            for statement in _SCHEMA.split(";\n"):
                connection.execute(statement)
        except sqlite3.OperationalError as error:
            if "no such module" in str(error):
                raise ConfigError("这台机器的 SQLite 没有 FTS5 全文检索，请换用官方的 Python") from error
            raise
        values: list[tuple[str, int | bytes]] = [("version", 0), ("text_version", 0), ("next_docid", 1)]
        values += [("changed_at", 0), ("dictionary", DICTIONARY)]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", values)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def _mapped(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return Retryable(f"索引正忙：{error}")
        if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and self._is_full()):
            return Retryable(f"磁盘已满，索引写不进去：{self.path}。请腾出空间，之后会自动继续", retry_after=10)
        if code == sqlite3.SQLITE_IOERR:
            return Retryable(f"读写索引文件出错：{self.path}（{error}）。请检查磁盘", retry_after=10)
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return self.corrupt(str(error))
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM):
            return ConfigError(f"打不开索引文件 {self.path}（{error}）。{_CHECK_FOLDER}")
        return Permanent(f"索引出错：{error}")

    def _is_full(self) -> bool:
        with suppress(OSError):
            free = os.statvfs(self.path.parent)
            return free.f_bavail * free.f_frsize < 1 << 20
        return False
