"""A lease in the state database: of several processes that could do a thing, one does it.

Its end is told by the database's own clock, so the clocks of the machines may differ; its holder trusts only its own
monotonic clock, counted from before it asked, so it stops believing before anybody else may take over.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, cast

from sqlalchemy import BigInteger, Engine, String, Table, delete, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from ingest.clock import Clock
from ingest.state import Base, insert_into, reading, state_errors

logger = logging.getLogger(__name__)

SCHEDULER: Final = "scheduler"
"""The name of the lease on what happens by the clock: ticks, reminders, trimming."""
CRAWLER: Final = "crawler"
"""The name of the lease on crawling."""
SECONDS: Final = 10.0
_RENEWALS: Final = 4
"""Tries within a lease's length: a holder may miss three of them."""


class LeaseRow(Base):
    """One lease. ``until`` and ``length`` are milliseconds, the former since the epoch by the database's clock."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    owner: Mapped[str] = mapped_column(String(200))
    until: Mapped[int] = mapped_column(BigInteger)
    length: Mapped[int] = mapped_column(BigInteger)


class DatabaseNow(FunctionElement[int]):
    """Milliseconds since the epoch by the database's clock, at the moment of asking (not of the transaction)."""

    type = BigInteger()
    inherit_cache = True


@compiles(DatabaseNow, "postgresql")
def _postgresql_now(*_: object, **__: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(_element: DatabaseNow, _compiler: SQLCompiler, **_given: object) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, until when (UTC, by the database's clock) if it is not renewed."""

    owner: str
    until: datetime


def some_owner() -> str:
    """A name for this process that nobody else has."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


class Lease:
    """Asked for the first time, it tries to get the lease and then to keep it, in a thread of its own.

    :meth:`held` turns false by itself when the lease could not be renewed in time, for whatever reason (no database, a
    process that was stopped): ask right before each piece of work. A piece that takes longer than the lease may still
    overlap with a successor's first one, so what is done under it must bear being done twice.
    Released, it is another process's at its next try; of a killed holder, after ``seconds`` and a try at most.
    The same ``owner`` is let in again at once: name one only where nothing else can run under that name.
    """

    def __init__(
        self, engine: Engine, clock: Clock, name: str = SCHEDULER, *, owner: str | None = None, seconds: float = SECONDS
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._name = name
        self.owner = (owner or some_owner())[:200]
        self._seconds = seconds
        self._until = float("-inf")
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    @property
    def holds(self) -> bool:
        """Whether this process may do the work now. Asks nobody."""
        return self._clock.monotonic() < self._until

    def held(self) -> bool:
        """The same; the first call tries once, then leaves it to the thread. No database is no lease, not an error."""
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                self._again()
                self._thread = threading.Thread(target=self._keep, name=f"lease-{self._name}", daemon=True)
                self._thread.start()
        return self.holds

    def only(self, action: Callable[[], object]) -> Callable[[], None]:
        """``action``, done only when it is this process's turn."""

        def done_if_held() -> None:
            if self.held():
                action()

        return done_if_held

    def try_once(self) -> bool:
        """Take the lease if it is free, renew it if it is ours; whether it is held. Raises our errors."""
        asked = self._clock.monotonic()
        rows, length = _table(), round(self._seconds * 1000)
        until = DatabaseNow() + length
        # An end further off than any lease reaches was told by a clock that has since been set back.
        free = or_(rows.c.until <= DatabaseNow(), rows.c.until > DatabaseNow() + 2 * rows.c.length)
        with state_errors(), self._engine.begin() as connection:
            statement = insert_into(connection, rows).values(
                name=self._name, owner=self.owner, until=until, length=length
            )
            taken = statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"owner": self.owner, "until": until, "length": length},
                where=or_(rows.c.owner == self.owner, free),
            ).returning(rows.c.owner)
            ours = connection.execute(taken).first() is not None
        self._until = asked + self._seconds if ours else float("-inf")
        return ours

    def release(self) -> None:
        """Stop trying and give the lease back; idempotent. A database that does not answer lets it run out."""
        with self._starting:
            self._stop.set()
        if self._thread is not None:
            self._thread.join(self._seconds)
            stuck = self._thread.is_alive()
            self._until = float("-inf")
            if stuck:  # it waits for a database that hangs
                return
            self._thread = None
            try:
                self._give_back()
            except Exception as error:
                logger.warning("lease %s runs out by itself: %s", self._name, error)

    def _give_back(self) -> None:
        rows = _table()
        with state_errors(), self._engine.begin() as connection:
            connection.execute(delete(rows).where(rows.c.name == self._name, rows.c.owner == self.owner))

    def _keep(self) -> None:
        while not self._stop.wait(self._seconds / _RENEWALS):
            self._again()

    def _again(self) -> None:
        before = self.holds
        try:
            now = self.try_once()
        except Exception as error:
            logger.warning("lease %s could not be renewed: %s", self._name, error)
            return
        if now != before:
            logger.info("lease %s is %s (%s)", self._name, "held" if now else "not held", self.owner)

    def __enter__(self) -> Self:
        self.held()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def holder(engine: Engine, name: str = SCHEDULER) -> Holder | None:
    """Who holds a lease now; null for nobody. Raises our errors."""
    rows = _table()
    with reading(engine) as connection:
        live = select(rows.c.owner, rows.c.until).where(rows.c.name == name, rows.c.until > DatabaseNow())
        found = connection.execute(live).first()
    return None if found is None else Holder(found.owner, datetime.fromtimestamp(found.until / 1000, UTC))


def _table() -> Table:
    return cast(Table, LeaseRow.__table__)
