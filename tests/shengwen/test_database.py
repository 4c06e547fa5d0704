"""The state database's schema: built from nothing, brought up to date by several at once, never driven backwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ingest.errors import ConfigError, Permanent, ShengwenError, Unavailable
from ingest.state import make_engine
from shengwen.database import HEAD, alembic_config, metadata, migrate
from tests.processes import Nursery, wait_until

PROCESSES = 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def engine(file: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{file}")
    yield made
    made.dispose()


def differences(engine: Engine) -> list[object]:
    """What Alembic would still change to make the database what the models say, types included."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[object] = compare_metadata(context, metadata())
    return found


def test_the_migrations_build_exactly_what_the_models_say(engine: Engine) -> None:
    assert differences(engine), "an empty database must differ, or the comparison sees nothing"
    migrate(engine)
    assert differences(engine) == []


def test_the_head_that_spares_alembic_is_the_newest_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_migrating_again_changes_nothing(engine: Engine, file: Path) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO alert_scopes (kind, key) VALUES ('all', 'kept')"))
    engine.dispose()
    before = schema(file)
    migrate(engine)
    assert schema(file) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT key FROM alert_scopes")).scalars().all() == ["kept"]


def schema(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_a_schema_of_a_newer_program_is_refused_and_left_alone(engine: Engine, file: Path) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    engine.dispose()
    before = schema(file)
    with pytest.raises(ConfigError, match=r"状态库的版本是 9000，比本程序（\d+）新；请升级程序"):
        migrate(engine)
    assert schema(file) == before


def test_a_file_that_is_no_database_needs_a_person_and_is_left_alone(engine: Engine, file: Path) -> None:
    file.write_bytes(b"not a database at all, " * 400)
    before = file.read_bytes()
    with pytest.raises(Permanent, match="状态库已损坏或无法使用"):
        migrate(engine)
    assert file.read_bytes() == before


def test_a_folder_in_the_place_of_the_file_may_pass_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    made = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with pytest.raises(Unavailable, match="连不上状态库"):
        migrate(made)
    made.dispose()


def migrate_at_the_signal(file: str, ready: str, go: str, report: str) -> None:
    """In a process of its own: wait for ``go``, migrate, tell how it went."""
    made = make_engine(f"sqlite:///{file}")
    metadata()
    Path(ready).touch()
    wait_until(Path(go).exists, what="the signal")
    try:
        migrate(made)
        told = "ok"
    except ShengwenError as error:
        told = repr(error)
    made.dispose()
    Path(report).write_text(json.dumps(told), "utf-8")


def test_processes_that_migrate_at_once_end_with_one_schema(file: Path, tmp_path: Path) -> None:
    with Nursery(["tests.shengwen.test_database", "alembic.command", "alerts.tables"]) as nursery:
        for attempt in range(3):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            file = folder / "state.db"
            children = [
                nursery.start(
                    migrate_at_the_signal,
                    *map(str, (file, folder / f"{n}.ready", folder / "go", folder / f"{n}.report")),
                )
                for n in range(PROCESSES)
            ]
            wait_until(lambda f=folder: len(list(f.glob("*.ready"))) == PROCESSES, what="the processes")  # type: ignore[misc]
            (folder / "go").touch()
            assert [child.wait() for child in children] == [0] * PROCESSES
            told = {json.loads(one.read_text("utf-8")) for one in folder.glob("*.report")}
            assert told == {"ok"}
            made = make_engine(f"sqlite:///{file}")
            assert differences(made) == []
            with made.connect() as connection:
                assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]
            made.dispose()
