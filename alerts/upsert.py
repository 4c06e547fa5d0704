"""``INSERT … ON CONFLICT`` for both databases, and the one lock that writers of alerting share."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ingest.state import insert_into

Upsert = sqlite.Insert | postgresql.Insert

_LOCK: Final = 0x5348_454E_4757_454E
"""Any number, the same in every process."""


def upsert(connection: Connection, into: Table) -> Upsert:
    """The dialect's insert; both know ``on_conflict_do_update``, ``on_conflict_do_nothing`` and ``excluded``."""
    return insert_into(connection, into)


def lock(connection: Connection) -> None:
    """Hold, until the transaction ends, the lock under which facts, incidents, tickets and messages are written.

    On SQLite the transaction's BEGIN IMMEDIATE already is that lock. With it, two workers that were handed the same
    mention in a rebalance cannot both count it, and messages of one stream get their numbers in the order in which
    they become visible. To be called first: what was read before may have changed while waiting.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
