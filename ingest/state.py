"""The state database: alerts, tickets, outbox, users, what spiders know. SQLite or PostgreSQL, by URL.

Rooms declare their tables on :class:`Base`; migrations (Alembic) live in ``shengwen/migrations``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, Engine, MetaData, create_engine, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from ingest.errors import ConfigError
from ingest.sqlite import enable_wal

BUSY_TIMEOUT_MS = 30_000
_WRONG_URL = "state_url 只支持 sqlite:///文件 或 postgresql+psycopg://…"


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


def make_engine(url: str) -> Engine:
    """An engine for ``sqlite:///path`` or ``postgresql+psycopg://…``.

    On SQLite every transaction that may write begins with BEGIN IMMEDIATE, so two writers queue up instead of
    failing half-way. Raises ConfigError for a URL of another kind; it does not show the URL, which may hold a password.
    """
    if not url.startswith(("sqlite:", "postgresql")):
        raise ConfigError(_WRONG_URL)
    try:
        engine = create_engine(url)
    except (ArgumentError, ValueError):
        raise ConfigError(_WRONG_URL) from None
    except ImportError as error:
        raise ConfigError(f"state_url 需要的数据库驱动没有安装：{error.name}") from None
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def _pragmas(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            enable_wal(connection)
            for pragma in ("synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
