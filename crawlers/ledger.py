"""What the spiders know across runs: items seen, lists read, and which platforms stopped. In the state database.

Items are compared by *run*: each run of a platform has a number, an item carries the run that first streamed it (or
its newest revision), and a list carries the run of its last finished pass. Everything in a list up to that run is
settled; what a killed run streamed is not, so the next run does not mistake it for the end of the news.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Connection, Engine, Float, Integer, Row, String, Text, delete, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ingest.clock import BEIJING, Clock
from ingest.state import Base, UtcDateTime, by_code_point, counting, insert_into, reading, state_errors

if TYPE_CHECKING:
    from crawlers.heat import HeatBook
    from crawlers.places import Places

GONE: Final = "gone"
"""Stands for the hash of an item that the platform removed."""
DEAD: Final = "dead"
"""Stands for the hash of a dead letter, whose id is kept so that the same broken record is parked once."""
_CHUNK: Final = 400
_HOUR: Final = timedelta(hours=1)
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


class CrawlPlatform(Base):
    """One platform's standing. ``stopped_at`` set: nothing is crawled until a person resumes it.

    ``login_at``: when a person last logged in; ``login_lost_at``: since when that login is worth nothing.
    """

    __tablename__ = "crawl_platforms"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    run: Mapped[int] = mapped_column(Integer, default=0)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    status: Mapped[str] = mapped_column(String(16), default="")
    signal: Mapped[str] = mapped_column(String(32), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    login_lost_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hour_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hour_used: Mapped[int] = mapped_column(Integer, default=0)


class CrawlQuota(Base):
    """How many calls of a platform's official API were made on its last day."""

    __tablename__ = "crawl_quotas"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[str] = mapped_column(String(10))
    used: Mapped[int] = mapped_column(Integer)


class CrawlDay(Base):
    """How many pages of a platform were read on one Beijing day (``YYYY-MM-DD``)."""

    __tablename__ = "crawl_days"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    pages: Mapped[int] = mapped_column(Integer)


class CrawlTarget(Base):
    """How lively one target is and when it is looked at next (:mod:`crawlers.heat`).

    ``rate``: new items an hour, null before the second look; ``every``: seconds between two looks.
    """

    __tablename__ = "crawl_targets"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    rate: Mapped[float | None] = mapped_column(Float)
    looked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    every: Mapped[float] = mapped_column(Float)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CrawlPlace(Base):
    """Where an unfinished pass through a list stood (:mod:`crawlers.places`): JSON, parameters of the next page."""

    __tablename__ = "crawl_places"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """A platform's standing as the sources page shows it. ``status`` is the last run's, as in coverage."""

    platform: str
    run: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    status: str = ""
    signal: str = ""
    reason: str = ""
    stopped_at: datetime | None = None
    login_at: datetime | None = None
    login_lost_at: datetime | None = None

    @property
    def needs_person(self) -> bool:
        """True while the platform waits for a person to look and resume it."""
        return self.stopped_at is not None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one item."""

    hash: str
    run: int


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


class PlatformBook:
    """Standing of all platforms: read by the page, written by runs and by the person who resumes one."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def status(self, platform: str) -> PlatformStatus:
        with _transaction(self._engine) as session:
            return _status(session.get(CrawlPlatform, platform), platform)

    def all(self) -> list[PlatformStatus]:
        """Every platform that ever ran, by name."""
        with _transaction(self._engine) as session:
            return platforms_in(session.connection())

    def stop(self, platform: str, signal: str, reason: str, *, logged_in: bool = False) -> bool:
        """Stop a platform until :meth:`resume`; False when it was stopped already (the first reason stays).

        ``logged_in``: a person's session was used; where a login is asked for all the same, it has ended.
        """
        with _transaction(self._engine) as session:
            row = _row(session, platform)
            if row.stopped_at is not None:
                return False
            row.stopped_at = self._clock.now()
            row.signal, row.reason = signal, reason[:500]
            if logged_in and signal == "login_required" and row.login_lost_at is None:
                row.login_lost_at = row.stopped_at
            return True

    def resume(self, platform: str) -> bool:
        """Let a stopped platform run again; False when it was not stopped."""
        with _transaction(self._engine) as session:
            row = session.get(CrawlPlatform, platform)
            if row is None or row.stopped_at is None:
                return False
            row.stopped_at = None
            row.signal = row.reason = ""
            return True

    def logged_in(self, platform: str, at: datetime | None) -> None:
        """A person logged in at ``at`` (null: unknown when). Nothing happens when that is known already."""
        with _transaction(self._engine) as session:
            row = _row(session, platform)
            if at is not None and (row.login_at is None or at > row.login_at):
                row.login_at, row.login_lost_at = at, None


def platforms_in(connection: Connection) -> list[PlatformStatus]:
    """Every platform that ever ran, by name, as the caller's transaction sees it. Raises SQLAlchemy's errors."""
    rows = select(CrawlPlatform.__table__).order_by(by_code_point(CrawlPlatform.platform))
    return [_status(row, row.platform) for row in connection.execute(rows)]


class Ledger:
    """One platform's memory, for one run at a time (the run holds the platform's lock)."""

    def __init__(self, engine: Engine, platform: str, clock: Clock) -> None:
        self._engine = engine
        self._platform = platform
        self._clock = clock
        self._run = 0

    @property
    def run(self) -> int:
        """The current run's number; 0 before :meth:`begin`."""
        return self._run

    @property
    def heats(self) -> HeatBook:
        """How lively the platform's targets are."""
        from crawlers.heat import HeatBook

        return HeatBook(self._engine, self._platform)

    @property
    def places(self) -> Places:
        """Where unfinished reading stood."""
        from crawlers.places import Places

        return Places(self._engine, self._platform, self._clock)

    def begin(self) -> int:
        """Start a run; its number."""
        with _transaction(self._engine) as session:
            row = _row(session, self._platform)
            row.run += 1
            row.started_at = self._clock.now()
            self._run = row.run
        return self._run

    def finish(self, status: str, signal: str, reason: str) -> None:
        """End the run. A stop's signal and reason, once recorded, stay until the platform is resumed.

        A complete run shows that the login is good, or not needed.
        """
        with _transaction(self._engine) as session:
            row = _row(session, self._platform)
            row.finished_at, row.status = self._clock.now(), status
            if row.stopped_at is None:
                row.signal, row.reason = signal, reason[:500]
                if status == "complete":
                    row.login_lost_at = None

    def spend(self, limit: int, day_limit: int | None = None) -> bool:
        """Take one request out of this hour's budget and, with ``day_limit``, out of the Beijing day's.

        False when one of them is spent: then nothing is taken. Holds across runs and processes.
        """
        now = self._clock.now()
        with _transaction(counting(self._engine)) as session:
            row = _row(session, self._platform)  # ours until the end: two runs queue up here
            if row.hour_at is None or not timedelta(0) <= now - row.hour_at < _HOUR:
                row.hour_at, row.hour_used = now, 0
            if row.hour_used >= limit:
                return False
            if day_limit is not None and not _spend_page(session, self._platform, beijing_day(now), day_limit):
                return False
            row.hour_used += 1
            return True

    def pages_today(self) -> int:
        """Pages read on this Beijing day."""
        return pages_today(self._engine, self._platform, self._clock.now())

    def spend_today(self, day: str, limit: int) -> bool:
        """Take one call of an official API out of the quota of ``day`` (any name of it); False when it is spent."""
        with _transaction(self._engine) as session:
            _row(session, self._platform)  # ours until the end: two runs queue up here
            quota = session.get(CrawlQuota, self._platform)
            if quota is None:
                quota = CrawlQuota(platform=self._platform, day=day, used=0)
                session.add(quota)
            if quota.day != day:
                quota.day, quota.used = day, 0
            if quota.used >= limit:
                return False
            quota.used += 1
            return True

    def known(self, ids: Iterable[str]) -> Mapping[str, Entry]:
        """What is known of these items; unknown ones are left out."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Entry] = {}
        with reading(self._engine) as connection:
            for start in range(0, len(wanted), _CHUNK):
                part = wanted[start : start + _CHUNK]
                rows = connection.execute(
                    select(CrawlItem.id, CrawlItem.hash, CrawlItem.run).where(CrawlItem.id.in_(part))
                )
                found.update((row.id, Entry(row.hash, row.run)) for row in rows)
        return found

    def record(self, items: Sequence[Seen], run: int, *, again: Sequence[str] = ()) -> None:
        """Remember what the log holds now, and that ``again`` were seen unchanged. Idempotent, one transaction."""
        latest = {item.id: item.hash for item in items}
        now = self._clock.now()
        known = self.known(latest)
        fresh: list[dict[str, Any]] = []
        with _transaction(self._engine) as session:
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
        with _transaction(self._engine) as session:
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
        with _transaction(self._engine) as session:
            old = select(CrawlItem.id).where(CrawlItem.platform == self._platform, CrawlItem.seen_at < before)
            ids = list(session.scalars(old))
            for start in range(0, len(ids), _CHUNK):
                session.execute(delete(CrawlItem).where(CrawlItem.id.in_(ids[start : start + _CHUNK])))
            return len(ids)


def beijing_day(now: datetime) -> str:
    """The Beijing day of an instant, ``YYYY-MM-DD``."""
    return now.astimezone(BEIJING).date().isoformat()


def pages_today(engine: Engine, platform: str, now: datetime) -> int:
    """Pages of a platform read on the Beijing day of ``now``."""
    with _transaction(engine) as session:
        row = session.get(CrawlDay, (platform, beijing_day(now)))
        return row.pages if row is not None else 0


def _spend_page(session: Session, platform: str, day: str, limit: int) -> bool:
    row = session.get(CrawlDay, (platform, day))
    if row is None:
        session.execute(delete(CrawlDay).where(CrawlDay.platform == platform, CrawlDay.day != day))
        row = CrawlDay(platform=platform, day=day, pages=0)
        session.add(row)
    if row.pages >= limit:
        return False
    row.pages += 1
    return True


@contextmanager
def _transaction(engine: Engine) -> Iterator[Session]:
    """One transaction; SQLAlchemy's errors as ours."""
    with state_errors(), Session(engine) as session, session.begin():
        yield session


def _row(session: Session, platform: str) -> CrawlPlatform:
    """A platform's row, ours until the transaction ends: runs on several machines share its budget."""
    row = session.get(CrawlPlatform, platform, with_for_update=True)
    if row is None:
        session.execute(
            insert_into(session.connection(), CrawlPlatform.__table__).on_conflict_do_nothing(),
            {"platform": platform, "run": 0, "status": "", "signal": "", "reason": "", "hour_used": 0},
        )
        row = session.get_one(CrawlPlatform, platform, with_for_update=True)
    return row


def _status(row: CrawlPlatform | Row[Any] | None, platform: str) -> PlatformStatus:
    if row is None:
        return PlatformStatus(platform)
    return PlatformStatus(
        platform,
        row.run,
        row.started_at,
        row.finished_at,
        row.status,
        row.signal,
        row.reason,
        row.stopped_at,
        row.login_at,
        row.login_lost_at,
    )
