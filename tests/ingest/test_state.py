"""The state database on SQLite: instants keep their zone, writers queue, settings are checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, ForeignKey, MetaData, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from ingest.clock import BEIJING
from ingest.errors import ConfigError
from ingest.state import Base, UtcDateTime, counting, make_engine, reading
from tests.ingest.sqlite_worker import count_up
from tests.processes import Nursery


class Tables(DeclarativeBase):
    """Tables of these tests alone: Base is the product's."""

    metadata = MetaData(naming_convention=Base.metadata.naming_convention)


class Event(Tables):
    __tablename__ = "event"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cause: Mapped[int | None] = mapped_column(ForeignKey("event.id"))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    Tables.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 1, 5, 1, 2, 3, 456789, tzinfo=UTC),
        datetime(2026, 1, 5, 9, 2, tzinfo=BEIJING),
        datetime(2026, 1, 4, 20, 2, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
        datetime(1969, 12, 31, tzinfo=UTC),
        None,
    ],
)
def test_an_instant_comes_back_as_the_same_instant_in_utc(engine: Engine, at: datetime | None) -> None:
    with Session(engine) as session, session.begin():
        session.add(Event(id=1, at=at))
    with Session(engine) as session:
        found = session.get_one(Event, 1).at
    assert found == at
    assert found is None or found.utcoffset() == timedelta(0)


def test_instants_are_compared_as_instants(engine: Engine) -> None:
    with Session(engine) as session, session.begin():
        session.add(Event(id=1, at=datetime(2026, 1, 5, 8, 30, tzinfo=BEIJING)))
        session.add(Event(id=2, at=datetime(2026, 1, 5, 1, 0, tzinfo=UTC)))
    noon = datetime(2026, 1, 5, 8, 45, tzinfo=BEIJING)
    with Session(engine) as session:
        assert session.scalars(select(Event.id).where(Event.at < noon)).all() == [1]
        assert session.scalars(select(Event.id).order_by(Event.at.desc())).all() == [2, 1]


def test_an_instant_without_a_zone_is_refused(engine: Engine) -> None:
    with pytest.raises(StatementError, match="time zone"), Session(engine) as session, session.begin():
        session.add(Event(id=1, at=datetime(2026, 1, 5)))  # noqa: DTZ001
    with Session(engine) as session:
        assert session.get(Event, 1) is None


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    def add(*events: Event, trouble: Exception | None = None) -> None:
        with Session(engine) as session, session.begin():
            session.add_all(events)
            session.flush()
            if trouble:
                raise trouble

    with pytest.raises(KeyError):
        add(Event(id=1), trouble=KeyError())
    with pytest.raises(IntegrityError):
        add(Event(id=2), Event(id=3, cause=99))
    with Session(engine) as session:
        assert session.scalars(select(Event.id)).all() == []
    add(Event(id=4))


def test_every_connection_is_durable_and_checks_references(engine: Engine) -> None:
    with engine.connect() as one, one.begin():
        told = {
            name: one.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_two_writers_queue_up_instead_of_failing_half_way(nursery: Nursery, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    start = time.time() + 0.3
    children = [nursery.start(count_up, url, 40, start) for _ in range(3)]
    assert [child.wait() for child in children] == [0, 0, 0]
    engine = make_engine(url)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalars().all() == [120]
    engine.dispose()


def test_a_read_and_what_follows_from_it_are_one_step(engine: Engine) -> None:
    """BEGIN IMMEDIATE: who has read in a transaction that writes cannot be overtaken."""
    with engine.begin() as first:
        first.execute(select(Event))
        with engine.connect() as second:
            raw = second.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA busy_timeout=50")
            with pytest.raises(Exception, match="locked"):
                raw.execute("BEGIN IMMEDIATE")
            raw.execute("PRAGMA busy_timeout=30000")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://u:hunter2@h/d",
        "sqlite",
        "sqlite:state.db",
        "sqlite+nosuch:///state.db",
        "postgresqlx://u:hunter2@h/d",
        "postgresql+nosuch://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "/state.db",
    ],
)
def test_another_kind_of_url_is_a_setting_to_be_corrected(url: str) -> None:
    with pytest.raises(ConfigError, match="state_url") as caught:
        make_engine(url)
    assert "hunter2" not in str(caught.value)


@given(st.datetimes(timezones=st.sampled_from([UTC, BEIJING, timezone(timedelta(hours=-11))])))
def test_binding_and_reading_undo_each_other(at: datetime) -> None:
    from sqlalchemy.dialects import sqlite

    column, dialect = UtcDateTime(), sqlite.dialect()
    try:
        expected = at.astimezone(UTC)
    except OverflowError:
        return
    bound = column.process_bind_param(at, dialect)
    assert bound is not None
    assert column.process_result_value(bound.replace(tzinfo=None), dialect) == expected
    assert column.process_result_value(bound, dialect) == expected


def test_who_only_reads_waits_for_no_writer_and_sees_what_was_committed(engine: Engine) -> None:
    with engine.begin() as first:
        first.execute(Event.__table__.insert(), {"id": 1})
    with engine.begin() as writer:
        writer.execute(Event.__table__.insert(), {"id": 2})
        with reading(engine) as reader:  # as a writer it would give up after the busy time-out
            assert list(reader.scalars(select(Event.id))) == [1]
    with reading(engine) as reader:
        assert sorted(reader.scalars(select(Event.id))) == [1, 2]


def test_a_commit_waits_for_the_disk_unless_it_only_counts(engine: Engine) -> None:
    def synchronous(of: Engine) -> int:
        with of.begin() as connection:
            return int(connection.execute(text("PRAGMA synchronous")).scalar_one())

    normal, full = 1, 2
    # One pool: what a counting transaction set must not stay for the next.
    assert [synchronous(one) for one in (engine, counting(engine), engine)] == [full, normal, full]
