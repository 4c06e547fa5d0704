"""``INSERT … ON CONFLICT`` for both databases, and the one lock that writers of alerting share."""

from __future__ import annotations

from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from alerts.tables import TickLock, table

Upsert = sqlite.Insert | postgresql.Insert


def upsert(connection: Connection, into: Table) -> Upsert:
    """The dialect's insert; both know ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(into)
    return sqlite.insert(into)


def lock(connection: Connection) -> None:
    """Hold, until the transaction ends, the lock under which facts, states and incidents are written.

    On SQLite the transaction's BEGIN IMMEDIATE already is that lock; on PostgreSQL it is a row. With it, two workers
    that were handed the same mention in a rebalance cannot both count it.
    """
    ticks = table(TickLock)
    connection.execute(upsert(connection, ticks).on_conflict_do_nothing(), {"id": 1})
    connection.execute(select(ticks.c.id).where(ticks.c.id == 1).with_for_update())
