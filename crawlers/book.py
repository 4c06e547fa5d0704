"""The platforms' standing: their last run, whether one waits for a person, and how its login does. State database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Integer, Row, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ingest.clock import Clock
from ingest.state import Base, UtcDateTime, by_code_point, insert_into, state_errors


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


class PlatformBook:
    """Standing of all platforms: read by the page, written by runs and by the person who resumes one."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def status(self, platform: str) -> PlatformStatus:
        with transaction(self._engine) as session:
            return _status(session.get(CrawlPlatform, platform), platform)

    def all(self) -> list[PlatformStatus]:
        """Every platform that ever ran, by name."""
        with transaction(self._engine) as session:
            return platforms_in(session.connection())

    def stop(self, platform: str, signal: str, reason: str, *, logged_in: bool = False) -> bool:
        """Stop a platform until :meth:`resume`; False when it was stopped already (the first reason stays).

        ``logged_in``: a person's session was used; where a login is asked for all the same, it has ended.
        """
        with transaction(self._engine) as session:
            row = platform_row(session, platform)
            if row.stopped_at is not None:
                return False
            row.stopped_at = self._clock.now()
            row.signal, row.reason = signal, reason[:500]
            if logged_in and signal == "login_required" and row.login_lost_at is None:
                row.login_lost_at = row.stopped_at
            return True

    def resume(self, platform: str) -> bool:
        """Let a stopped platform run again; False when it was not stopped."""
        with transaction(self._engine) as session:
            row = session.get(CrawlPlatform, platform)
            if row is None or row.stopped_at is None:
                return False
            row.stopped_at = None
            row.signal = row.reason = ""
            return True

    def logged_in(self, platform: str, at: datetime | None) -> None:
        """A person logged in at ``at`` (null: unknown when). Nothing happens when that is known already."""
        with transaction(self._engine) as session:
            row = platform_row(session, platform)
            if at is not None and (row.login_at is None or at > row.login_at):
                row.login_at, row.login_lost_at = at, None


def platforms_in(connection: Connection) -> list[PlatformStatus]:
    """Every platform that ever ran, by name, as the caller's transaction sees it. Raises SQLAlchemy's errors."""
    rows = select(CrawlPlatform.__table__).order_by(by_code_point(CrawlPlatform.platform))
    return [_status(row, row.platform) for row in connection.execute(rows)]


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """One transaction; SQLAlchemy's errors as ours."""
    with state_errors(), Session(engine) as session, session.begin():
        yield session


def platform_row(session: Session, platform: str) -> CrawlPlatform:
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
