"""The statements that differ between the databases, as PostgreSQL would get them."""

from __future__ import annotations

from sqlalchemy import create_mock_engine
from sqlalchemy.dialects import postgresql

import alerts.tables  # noqa: F401 - declares the tables
from alerts.config import DeliverySettings
from alerts.outbox import Dispatcher
from alerts.tables import Fact, table
from alerts.upsert import upsert
from ingest.clock import ManualClock
from ingest.state import Base


class Spy:
    """Stands where an Engine stands and keeps the SQL that PostgreSQL would get."""

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]

    def __init__(self) -> None:
        self.said: list[str] = []

    def begin(self) -> Spy:
        return self

    def __enter__(self) -> Spy:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def execute(self, statement: object, *_: object) -> Spy:
        self.said.append(str(statement.compile(dialect=self.dialect)))  # type: ignore[attr-defined]
        return self

    def mappings(self) -> list[object]:
        return []


def test_all_tables_can_be_declared() -> None:
    said: list[str] = []
    engine = create_mock_engine("postgresql://", lambda sql, *_: said.append(str(sql.compile(dialect=engine.dialect))))
    wanted = [t for name, t in Base.metadata.tables.items() if name.startswith(("alert", "ticket", "outbox", "source"))]
    Base.metadata.create_all(engine, tables=wanted, checkfirst=False)
    assert sum("CREATE TABLE" in sql for sql in said) == len(wanted) >= 15
    assert "TIMESTAMP WITH TIME ZONE" in "".join(said)
    assert "WITHOUT ROWID" not in "".join(said)


def test_claims_skip_rows_that_others_hold() -> None:
    spy = Spy()
    Dispatcher(spy, {}, ManualClock(), DeliverySettings()).claim(5)  # type: ignore[arg-type]
    (sql,) = spy.said
    assert sql.startswith("WITH due AS")
    assert "FOR UPDATE OF outbox SKIP LOCKED" in sql
    assert "RETURNING" in sql


def test_upserts_speak_both_dialects() -> None:
    spy = Spy()
    statement = upsert(spy, table(Fact)).on_conflict_do_nothing()  # type: ignore[arg-type]
    assert "ON CONFLICT DO NOTHING" in str(statement.compile(dialect=spy.dialect))
