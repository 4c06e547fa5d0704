"""The state database: alerts, tickets, outbox, users, what spiders know. SQLite or PostgreSQL, by URL.

Rooms declare their tables on :class:`Base`; migrations (Alembic) live in ``shengwen/migrations``.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    create_engine,
    event,
    exc,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import String, TypeDecorator

from ingest.errors import ConfigError, Permanent, Poison, Retryable, ShengwenError, Unavailable
from ingest.sqlite import enable_wal

BUSY_TIMEOUT_MS = 30_000
LOCK_TIMEOUT_MS = 30_000
STATEMENT_TIMEOUT_MS = 120_000
IDLE_TIMEOUT_MS = 300_000
"""A transaction that was begun and left: its client is stuck or cut off, and others wait for its locks."""
_WRONG_URL = "state_url 只支持 sqlite:///文件 或 postgresql+psycopg://…"

_CONNECTING: Mapping[str, str | int] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
    "application_name": "shengwen",
    "options": f"-c lock_timeout={LOCK_TIMEOUT_MS} -c statement_timeout={STATEMENT_TIMEOUT_MS} "
    f"-c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}",
}
"""libpq's settings; what the URL says itself goes before."""

_GONE = ("08", "57P", "25006")
"""SQLSTATEs of a server that goes, comes, or was made a standby."""
_MAY_PASS = (*_GONE, "40", "53", "55", "57", "58", "25P03")
_DISK_FULL = "53100"
_STALE_PLAN = "0A000"

# A connection that was not made has no SQLSTATE, only libpq's text: English, or Chinese where the server speaks it.
_NOT_CONNECTED: Final = re.compile(r"connection failed|connection attempts failed|timeout expired|resolve host")
_AT: Final = re.compile(r'server at "([^"]*)"(?: \([^)]*\))?, port (\d+) failed: ')
_REFUSED: Final = (
    (re.compile(r"pg_hba\.conf"), "请在服务器的 pg_hba.conf 里允许这台机器用这个用户访问这个数据库"),
    (
        re.compile(r"authentication failed|no password supplied|认证失败|role .* does not exist|角色.*不存在"),
        "检查 state_url 里的用户名和密码",
    ),
    (
        re.compile(r"database .* does not exist|数据库.*不存在"),
        "检查 state_url 里的数据库名，没有建的先 CREATE DATABASE",
    ),
)
"""What no waiting mends, and what to do about it."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC instant; SQLite has no time zones, so they are taken off and put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class ByCodePoint(ColumnElement[str]):
    """Text to be sorted as Python sorts it: PostgreSQL's own order follows the locale of its database."""

    inherit_cache = True
    type = String()

    def __init__(self, column: ColumnElement[str]) -> None:
        self.column = column

    @property
    def _from_objects(self) -> Any:
        return self.column._from_objects


@compiles(ByCodePoint)
def _as_it_is(element: ByCodePoint, compiler: SQLCompiler, **given: Any) -> str:
    return compiler.process(element.column, **given)


@compiles(ByCodePoint, "postgresql")
def _collated(element: ByCodePoint, compiler: SQLCompiler, **given: Any) -> str:
    return f'{compiler.process(element.column, **given)} COLLATE "C"'


def by_code_point(column: Any) -> ByCodePoint:
    """For ``ORDER BY``: see :class:`ByCodePoint`."""
    return ByCodePoint(coercions.expect(roles.OrderByRole, column))


def insert_into(connection: Connection, table: Any) -> sqlite.Insert | postgresql.Insert:
    """The dialect's insert; both know ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def make_engine(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql+psycopg://…`` (``postgresql://`` means the same).

    On SQLite every transaction that may write begins with BEGIN IMMEDIATE, so two writers queue up instead of
    failing half-way. On PostgreSQL a connection is tried before it is used again, and waiting for locks and statements
    has an end. Raises ConfigError for a URL of another kind; it does not show the URL, which may hold a password.
    """
    if not url.startswith(("sqlite:", "postgresql:", "postgresql+psycopg:")):
        raise ConfigError(_WRONG_URL)
    try:
        parsed = make_url(url)
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
    except (ArgumentError, ValueError):
        raise ConfigError(_WRONG_URL) from None
    except ImportError as error:
        raise ConfigError(f"state_url 需要的数据库驱动没有安装：{error.name}") from None
    return engine


def _postgresql(url: URL) -> Engine:
    settings = {name: value for name, value in _CONNECTING.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=settings,
        pool_pre_ping=True,
        pool_size=10,
        max_overflow=20,
        pool_timeout=30,
        pool_recycle=1800,
        hide_parameters=True,
    )

    @event.listens_for(engine, "handle_error")
    def _statement_of_an_older_schema(context: ExceptionContext) -> None:
        # A prepared statement survives a migration only in its connection, which is thrown away with it.
        if getattr(context.original_exception, "sqlstate", None) == _STALE_PLAN:
            context.is_disconnect = True

    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        enable_wal(connection)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("reads_only", False):
            connection.exec_driver_sql("BEGIN")
            return
        connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if options.get('counts_only', False) else 'FULL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def mapped(error: SQLAlchemyError) -> ShengwenError:
    """SQLAlchemy's errors as ours: Unavailable for a server that does not answer, Retryable for what else may pass (a
    lock, a full disk), ConfigError for a refused login or a database that is not there, Poison for a value that no
    column takes, else Permanent. Chinese; shows neither values nor the URL, only the server's address."""
    if isinstance(error, exc.TimeoutError):
        return Retryable("状态库的连接都在使用中")
    if not isinstance(error, DBAPIError):
        return Permanent(f"状态库出错：{type(error).__name__}")
    state = str(getattr(error.orig, "sqlstate", None) or "")
    said = told(error)
    if state == _DISK_FULL:
        return Retryable("状态库所在的磁盘已满，无法写入；腾出空间后会自动继续", retry_after=10.0)
    if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
        return Retryable(f"读写状态库失败（{said}）；请检查磁盘空间、配额和磁盘健康", retry_after=10.0)
    if not state and isinstance(error, OperationalError) and _NOT_CONNECTED.search(said):
        return _not_connected(said)
    away = f"状态库暂时不可用，稍后再试（{said}）"
    if error.connection_invalidated or state.startswith(_GONE):
        return Unavailable(away)
    if state.startswith(_MAY_PASS) or isinstance(error, OperationalError):
        return Retryable(away) if state else Unavailable(away)
    if isinstance(error, DataError):
        return Poison(f"状态库存不下的值：{said}")
    return Permanent(f"状态库出错：{said}")


def _not_connected(said: str) -> ShengwenError:
    place = _AT.search(said)
    where = f"（{place[1]}:{place[2]}）" if place else ""
    cause = (said[place.end() :] if place else said).partition(" Is the server running")[0]  # libpq's own guesses
    for pattern, remedy in _REFUSED:
        if pattern.search(said):
            return ConfigError(f"PostgreSQL{where}不让连接：{remedy}（{cause}）")
    return Unavailable(f"连不上状态库{where}：确认 PostgreSQL 已启动，state_url 里的地址和端口正确（{cause}）")


def may_pass(error: BaseException) -> bool:
    """Whether an error of SQLAlchemy's is one that passes by itself."""
    return isinstance(error, SQLAlchemyError) and isinstance(mapped(error), Retryable)


@contextmanager
def state_errors() -> Iterator[None]:
    """SQLAlchemy's errors within, as :func:`mapped` says."""
    try:
        yield
    except SQLAlchemyError as error:
        raise mapped(error) from error


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads: on SQLite it waits for no writer. SQLAlchemy's errors as ours."""
    with state_errors(), only_read(engine).connect() as connection:
        yield connection


def only_read(engine: Engine) -> Engine:
    """The engine for transactions that only read: on SQLite they neither wait for a writer nor keep one waiting."""
    return engine.execution_options(reads_only=True)


def counting(engine: Engine) -> Engine:
    """The engine for transactions that only count: on SQLite one survives kill -9, but a power loss may undo the last
    of them, as nobody waits for the disk. For what is counted many times a minute and whose loss hurts nobody."""
    return engine.execution_options(counts_only=True)


def told(error: SQLAlchemyError) -> str:
    """What the database said, in one line; of PostgreSQL only the first part: its details quote what is stored."""
    if not isinstance(error, DBAPIError):
        return type(error).__name__
    said = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
    return " ".join(str(said).split())[:300]
