"""The state database's schema: all rooms' tables in one metadata, brought up to date by Alembic."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import Engine, MetaData, func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from ingest.errors import ConfigError, Permanent, Retryable
from ingest.state import mapped, told

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0010"
"""The newest revision in ``shengwen/migrations/versions`` (a test compares); spares Alembic's import when current."""

OLDEST_POSTGRESQL: Final = 15
_MIGRATING: Final = 0x4D49_4752_4154_4521


def metadata() -> MetaData:
    """Every table of every room."""
    for module in (
        "alerts.tables",
        "classify.corrections",
        "crawlers.ledger",
        "ingest.copy_tables",
        "shengwen.lease",
        "shengwen.web.users",
        "shengwen.web.saved",
        "shengwen.tokens",
    ):
        import_module(module)
    from ingest.state import Base

    return Base.metadata


def alembic_config() -> Config:
    """Alembic, pointed at the migrations that ship with the package."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def migrate(engine: Engine) -> None:
    """Bring the schema up to date; nothing happens when it is.

    Raises Retryable (Unavailable when the server cannot be reached), ConfigError for a refused login, a server that is
    too old, or a schema newer than this program.
    """
    try:
        if engine.dialect.name == "postgresql" and (version := server_version(engine) // 10_000) < OLDEST_POSTGRESQL:
            raise ConfigError(f"PostgreSQL 的版本是 {version}，要 {OLDEST_POSTGRESQL} 或更新的：请升级数据库")
        current = _current(engine)
        if current == HEAD:
            return
        if current is not None and current > HEAD:
            raise ConfigError(f"状态库的版本是 {current}，比本程序（{HEAD}）新；请升级程序")
        from alembic import command

        config = alembic_config()
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":  # several start at once: one migrates, the others find it done
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATING)))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        ours = mapped(error)
        if isinstance(ours, Retryable | ConfigError):
            raise ours from error
        if engine.dialect.name == "sqlite":
            raise Permanent(f"状态库已损坏或无法使用：{told(error)}；请从备份恢复，或移走该文件后重建") from error
        raise ours from error


def server_version(engine: Engine) -> int:
    """PostgreSQL's, as 150004 for 15.4. Raises SQLAlchemy's errors."""
    with engine.connect() as connection:
        return int(connection.execute(text("SHOW server_version_num")).scalar_one())


def _current(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
