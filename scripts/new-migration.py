"""Writes the next migration, from what the models say beyond the newest: ``python scripts/new-migration.py TEXT``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from ingest.state import make_engine
from shengwen.database import alembic_config


def main() -> None:
    config = alembic_config()
    newest = ScriptDirectory.from_config(config).get_current_head()
    number = f"{int(newest or 0) + 1:04d}"
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'state.db'}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            command.revision(config, message=sys.argv[1], rev_id=number, autogenerate=True)
        engine.dispose()


if __name__ == "__main__":
    main()
