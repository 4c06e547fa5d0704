"""What the spiders know across runs: items seen and lists read. In the state database.

Items are compared by *run*: each run of a platform has a number, an item carries the run that first streamed it (or
its newest revision), and a list carries the run of its last finished pass. Everything in a list up to that run is
settled; what a killed run streamed is not, so the next run does not mistake it for the end of the news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Engine, Integer, String, bindparam, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from crawlers.book import platform_row, transaction
from crawlers.budgets import Budgets
from crawlers.heat import HeatBook
from crawlers.places import Places
from ingest.clock import Clock
from ingest.state import Base, UtcDateTime, insert_into, reading

GONE: Final = "gone"
"""Stands for the hash of an item that the platform removed."""
DEAD: Final = "dead"
"""Stands for the hash of a dead letter, whose id is kept so that the same broken record is parked once."""
_CHUNK: Final = 400
Count: Final = BigInteger().with_variant(Integer(), "sqlite")
"""What a platform claims may be any number."""


class CrawlItem(Base):
    """One mention that was streamed (or found gone, or parked)."""

    __tablename__ = "crawl_items"

    id: Mapped[str] = mapped_column(String(400), primary_key=True)
    platform: Mapped[str] = mapped_column(String(32), index=True)
    hash: Mapped[str] = mapped_column(String(64))
    run: Mapped[int] = mapped_column(Integer)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


_KNOWN: Final = select(CrawlItem.id, CrawlItem.hash, CrawlItem.run).where(
    CrawlItem.id.in_(bindparam("ids", expanding=True))
)
"""Made once: SQLAlchemy takes longer to build it than SQLite to answer."""


class CrawlList(Base):
    """One list that is read page by page: a target, or the comments below an item.

    ``total`` is what the platform claimed (replies, for comments) at the last finished pass.
    """

    __tablename__ = "crawl_lists"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    settled_run: Mapped[int] = mapped_column(Integer)
    total: Mapped[int | None] = mapped_column(Count)
    settled_at: Mapped[datetime] = mapped_column(UtcDateTime)
    full_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one item. ``hash``: of its content, with marks behind it (:mod:`crawlers.shapes`)."""

    hash: str
    run: int

    @property
    def content(self) -> str:
        """The content's hash alone."""
        return self.hash.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Seen:
    """One item to remember."""

    id: str
    hash: str


@dataclass(frozen=True, slots=True)
class ListState:
    """What is known of one list; ``settled_run`` 0 means never read to its end."""

    settled_run: int = 0
    total: int | None = None
    settled_at: datetime | None = None
    full_at: datetime | None = None


class Ledger:
    """One platform's memory, for one run at a time (the run holds the platform's lock)."""

    def __init__(self, engine: Engine, platform: str, clock: Clock) -> None:
        self._engine = engine
        self._platform = platform
        self._clock = clock
        self._run = 0
        self.budgets: Final = Budgets(engine, platform, clock)
        """How many requests were made of the platform."""

    @property
    def run(self) -> int:
        """The current run's number; 0 before :meth:`begin`."""
        return self._run

    @property
    def heats(self) -> HeatBook:
        """How lively the platform's targets are."""
        return HeatBook(self._engine, self._platform)

    @property
    def places(self) -> Places:
        """Where unfinished reading stood."""
        return Places(self._engine, self._platform, self._clock)

    def begin(self) -> int:
        """Start a run; its number."""
        with transaction(self._engine) as session:
            row = platform_row(session, self._platform)
            row.run += 1
            row.started_at = self._clock.now()
            self._run = row.run
        return self._run

    def finish(self, status: str, signal: str, reason: str) -> None:
        """End the run. A stop's signal and reason, once recorded, stay until the platform is resumed.

        A complete run shows that the login is good, or not needed.
        """
        with transaction(self._engine) as session:
            row = platform_row(session, self._platform)
            row.finished_at, row.status = self._clock.now(), status
            if row.stopped_at is None:
                row.signal, row.reason = signal, reason[:500]
                if status == "complete":
                    row.login_lost_at = None

    def known(self, ids: Iterable[str]) -> Mapping[str, Entry]:
        """What is known of these items; unknown ones are left out."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Entry] = {}
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                rows = connection.execute(_KNOWN, {"ids": part})
                found.update((row.id, Entry(row.hash, row.run)) for row in rows)
        return found

    def record(self, items: Sequence[Seen], run: int, *, again: Sequence[str] = ()) -> None:
        """Remember what the log holds now, and that ``again`` were seen unchanged. Idempotent, one transaction."""
        latest = {item.id: item.hash for item in items}
        now = self._clock.now()
        known = self.known(latest)
        fresh: list[dict[str, Any]] = []
        with transaction(self._engine) as session:
            for item_id, digest in latest.items():
                entry = known.get(item_id)
                if entry is None:
                    fresh.append(
                        {"id": item_id, "platform": self._platform, "hash": digest, "run": run, "seen_at": now}
                    )
                elif entry.hash != digest:
                    session.execute(
                        update(CrawlItem).where(CrawlItem.id == item_id).values(hash=digest, run=run, seen_at=now)
                    )
            if fresh:
                rows = insert_into(session.connection(), CrawlItem.__table__)
                newest = {name: rows.excluded[name] for name in ("hash", "run", "seen_at")}
                session.execute(rows.on_conflict_do_update(index_elements=["id"], set_=newest), fresh)
            for start in range(0, len(again), _CHUNK):
                part = list(again[start : start + _CHUNK])
                session.execute(update(CrawlItem).where(CrawlItem.id.in_(part)).values(seen_at=now))

    def list_state(self, key: str) -> ListState:
        here = (CrawlList.platform == self._platform) & (CrawlList.key == key)
        with reading(self._engine) as connection:
            columns = (CrawlList.settled_run, CrawlList.total, CrawlList.settled_at, CrawlList.full_at)
            row = connection.execute(select(*columns).where(here)).one_or_none()
            return ListState() if row is None else ListState(*row)

    def settle(self, key: str, total: int | None, *, full: bool, through: datetime | None = None) -> None:
        """This run read the list until its end (``full``) or until what was settled before.

        ``through``: the moment up to which it was read, where that is not now.
        """
        now = through or self._clock.now()
        with transaction(self._engine) as session:
            row = session.get(CrawlList, (self._platform, key))
            if row is None:
                row = CrawlList(platform=self._platform, key=key, settled_run=0, settled_at=now)
                session.add(row)
            row.settled_run, row.settled_at = self._run, now
            row.total = total
            if full:
                row.full_at = now

    def forget(self, before: datetime) -> int:
        """Drop items not seen since ``before``; how many. Found again, they stream as new."""
        with transaction(self._engine) as session:
            old = select(CrawlItem.id).where(CrawlItem.platform == self._platform, CrawlItem.seen_at < before)
            ids = list(session.scalars(old))
            for start in range(0, len(ids), _CHUNK):
                session.execute(delete(CrawlItem).where(CrawlItem.id.in_(ids[start : start + _CHUNK])))
            return len(ids)
