"""The state database's schema: all rooms' tables in one metadata, brought up to date by Alembic."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, MetaData, inspect, text
from sqlalchemy.exc import DatabaseError, OperationalError

from ingest.errors import ConfigError, Permanent, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
"""The newest revision in ``shengwen/migrations/versions`` (a test compares); spares Alembic's import when current."""


def metadata() -> MetaData:
    """Every table of every room."""
    for module in ("alerts.tables", "crawlers.ledger", "shengwen.web.users", "shengwen.web.saved"):
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

    Raises Unavailable when the server cannot be reached, ConfigError when the schema is newer than this program.
    """
    try:
        current = _current(engine)
        if current == HEAD:
            return
        if current is not None and current > HEAD:
            raise ConfigError(f"状态库的版本是 {current}，比本程序（{HEAD}）新；请升级程序")
        from alembic import command

        config = alembic_config()
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        raise Unavailable(f"连不上状态库：{error.orig}") from error
    except DatabaseError as error:
        raise Permanent(f"状态库已损坏或无法使用：{error.orig}；请从备份恢复，或移走该文件后重建") from error


def _current(engine: Engine) -> str | None:
    with engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)
