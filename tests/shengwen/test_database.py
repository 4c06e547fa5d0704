"""The state database's schema: built from nothing, brought up to date by several at once, never driven backwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from traceback import format_exception

import pytest
from sqlalchemy import Engine, inspect, text

from ingest.errors import ConfigError, Permanent, ShengwenError, Unavailable
from ingest.state import make_engine
from shengwen import database
from shengwen.database import HEAD, alembic_config, metadata, migrate
from tests.processes import Nursery, wait_until
from tests.servers.base import free_port
from tests.servers.postgres import PostgresServer

PROCESSES = 4


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def engine(empty_state_url: str) -> Iterator[Engine]:
    """Of an empty database: on SQLite (``file``), then on PostgreSQL."""
    made = make_engine(empty_state_url)
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


def test_migrating_again_changes_nothing(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO alert_scopes (kind, key) VALUES ('all', 'kept')"))
    engine.dispose()
    before = schema(engine)
    migrate(engine)
    assert schema(engine) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT key FROM alert_scopes")).scalars().all() == ["kept"]


def test_copies_of_the_last_day_stay_one_unit_when_the_program_is_upgraded(engine: Engine) -> None:
    """0009: alerts told copies by a fingerprint of their own before; what the classify stage knows of them is taken."""
    from alembic import command

    config = alembic_config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0008")
    known = inspect(engine).get_columns("alert_facts")
    needed = {column["name"]: _some(column["type"]) for column in known if not column["nullable"]}
    rows = [
        needed | {"mention_id": mention, "any_negative": negative, "simhash": 7}
        for mention, negative in (("jd:review:1", True), ("jd:review:2", True), ("jd:review:3", False))
    ]
    names = ", ".join(rows[0])
    values = ", ".join(f":{name}" for name in rows[0])
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO copy_groups (id, name) VALUES (5, 'jd:review:1')"))
        for mention in ("jd:review:1", "jd:review:3"):
            connection.execute(
                text(
                    "INSERT INTO copy_members (mention_id, group_id, digest, skeleton, revision, seen_at)"
                    " VALUES (:mention, 5, 0, 0, 1, '2026-01-01 00:00:00+00:00')"
                ),
                {"mention": mention},
            )
        connection.execute(text(f"INSERT INTO alert_facts ({names}) VALUES ({values})"), rows)
    migrate(engine)
    with engine.connect() as connection:
        told = connection.execute(text("SELECT mention_id, copies FROM alert_facts ORDER BY mention_id")).all()
    assert [tuple(row) for row in told] == [
        ("jd:review:1", "jd:review:1"),
        ("jd:review:2", None),
        ("jd:review:3", None),
    ]
    assert differences(engine) == []


def _some(kind: object) -> object:
    """A value for a column that must have one."""
    named = type(kind).__name__.upper()
    if "TIMESTAMP" in named or "DATE" in named:
        return "2026-01-01 00:00:00+00:00"
    return False if "BOOL" in named else "x" if "CHAR" in named or "TEXT" in named else 0


def schema(engine: Engine) -> list[object]:
    """Everything the database says of its tables."""
    asked = (
        "SELECT name, sql FROM sqlite_schema ORDER BY name"
        if engine.dialect.name == "sqlite"
        else "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
    )
    with engine.connect() as connection:
        found: list[object] = list(connection.execute(text(asked)))
    assert len(found) > 20
    return found


def test_a_schema_of_a_newer_program_is_refused_and_left_alone(engine: Engine) -> None:
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9000'"))
    engine.dispose()
    before = schema(engine)
    with pytest.raises(ConfigError, match=r"状态库的版本是 9000，比本程序（\d+）新；请升级程序"):
        migrate(engine)
    assert schema(engine) == before


def test_a_file_that_is_no_database_needs_a_person_and_is_left_alone(file: Path) -> None:
    engine = make_engine(f"sqlite:///{file}")
    file.write_bytes(b"not a database at all, " * 400)
    before = file.read_bytes()
    with pytest.raises(Permanent, match="状态库已损坏或无法使用"):
        migrate(engine)
    assert file.read_bytes() == before
    engine.dispose()


def test_a_folder_in_the_place_of_the_file_may_pass_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    made = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    with pytest.raises(Unavailable, match="状态库暂时不可用"):
        migrate(made)
    made.dispose()


def test_a_server_that_is_too_old_is_named_and_left_alone(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres_server.database(template="template1") as url:
        engine = make_engine(url)
        assert database.server_version(engine) >= 150_000
        monkeypatch.setattr(database, "server_version", lambda _: 140_011)
        with pytest.raises(ConfigError, match="PostgreSQL 的版本是 14，要 15 或更新的"):
            migrate(engine)
        assert inspect(engine).get_table_names() == []
        engine.dispose()


def migrate_at_the_signal(url: str, ready: str, go: str, report: str) -> None:
    """In a process of its own: wait for ``go``, migrate, tell how it went."""
    made = make_engine(url)
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


def test_processes_that_migrate_at_once_end_with_one_schema(tmp_path: Path) -> None:
    with Nursery(["tests.shengwen.test_database", "alembic.command", "alerts.tables"]) as nursery:
        for attempt in range(3):
            folder = tmp_path / str(attempt)
            folder.mkdir()
            migrate_together(f"sqlite:///{folder / 'state.db'}", folder, nursery)


def test_processes_that_migrate_one_server_at_once_end_with_one_schema(
    tmp_path: Path, postgres_server: PostgresServer
) -> None:
    with (
        Nursery(["tests.shengwen.test_database", "alembic.command", "alerts.tables"]) as nursery,
        postgres_server.database(template="template1") as url,
    ):
        migrate_together(url, tmp_path, nursery)


def migrate_together(url: str, folder: Path, nursery: Nursery) -> None:
    """Several processes migrate an empty database at once."""
    children = [
        nursery.start(
            migrate_at_the_signal, url, *map(str, (folder / f"{n}.ready", folder / "go", folder / f"{n}.report"))
        )
        for n in range(PROCESSES)
    ]
    wait_until(lambda: len(list(folder.glob("*.ready"))) == PROCESSES, what="the processes")
    (folder / "go").touch()
    assert [child.wait() for child in children] == [0] * PROCESSES
    told = {json.loads(one.read_text("utf-8")) for one in folder.glob("*.report")}
    assert told == {"ok"}
    made = make_engine(url)
    assert differences(made) == []
    with made.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all() == [HEAD]
    made.dispose()


def test_a_server_that_is_not_there_may_pass_and_its_password_is_not_shown() -> None:
    url = f"postgresql://shengwen:h1dden-word@127.0.0.1:{free_port()}/state"
    made = make_engine(url)
    with pytest.raises(Unavailable, match="连不上状态库") as caught:
        migrate(made)
    made.dispose()
    assert "h1dden-word" not in "".join(format_exception(caught.value))
