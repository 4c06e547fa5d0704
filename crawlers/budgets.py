"""Budgets of requests: counted in the state database before a request is made, across runs, processes and kill -9."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine, Integer, String, bindparam, delete, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from crawlers.book import CrawlPlatform, platform_row, transaction
from ingest.clock import BEIJING, Clock
from ingest.state import Base, UtcDateTime, counting, state_errors

_HOUR: Final = timedelta(hours=1)


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


_ONE_MORE_THIS_HOUR: Final = (
    update(CrawlPlatform)
    .where(
        CrawlPlatform.platform == bindparam("here"),
        CrawlPlatform.hour_at > bindparam("since", type_=UtcDateTime()),
        CrawlPlatform.hour_at <= bindparam("now", type_=UtcDateTime()),
        CrawlPlatform.hour_used < bindparam("limit"),
    )
    .values(hour_used=CrawlPlatform.hour_used + 1)
)
_ONE_MORE_TODAY: Final = (
    update(CrawlDay)
    .where(
        CrawlDay.platform == bindparam("here"),
        CrawlDay.day == bindparam("today"),
        CrawlDay.pages < bindparam("limit"),
    )
    .values(pages=CrawlDay.pages + 1)
)


class Budgets:
    """One platform's budgets."""

    def __init__(self, engine: Engine, platform: str, clock: Clock) -> None:
        self._engine = engine
        self._counting = counting(engine)
        self._platform = platform
        self._clock = clock

    def spend(self, limit: int, day_limit: int | None = None) -> bool:
        """Take one request out of this hour's budget and, with ``day_limit``, out of the Beijing day's.

        False when one of them is spent: then nothing is taken. Holds across runs and processes.
        """
        now = self._clock.now()
        if day_limit is not None and self._spend_at_once(now, limit, day_limit):
            return True
        with transaction(self._counting) as session:
            row = platform_row(session, self._platform)  # ours until the end: two runs queue up here
            if row.hour_at is None or not timedelta(0) <= now - row.hour_at < _HOUR:
                row.hour_at, row.hour_used = now, 0
            if row.hour_used >= limit:
                return False
            if day_limit is not None and not _spend_page(session, self._platform, beijing_day(now), day_limit):
                return False
            row.hour_used += 1
            return True

    def _spend_at_once(self, now: datetime, limit: int, day_limit: int) -> bool:
        """Count a request where nothing begins and nothing is spent: two statements. False: nothing was taken."""
        hour = {"here": self._platform, "since": now - _HOUR, "now": now, "limit": limit}
        day = {"here": self._platform, "today": beijing_day(now), "limit": day_limit}
        with state_errors(), self._counting.connect() as connection, connection.begin() as both:
            if (
                connection.execute(_ONE_MORE_THIS_HOUR, hour).rowcount
                and connection.execute(_ONE_MORE_TODAY, day).rowcount
            ):
                return True
            both.rollback()
            return False

    def pages_today(self) -> int:
        """Pages read on this Beijing day."""
        return pages_today(self._engine, self._platform, self._clock.now())

    def spend_today(self, day: str, limit: int) -> bool:
        """Take one call of an official API out of the quota of ``day`` (any name of it); False when it is spent."""
        with transaction(self._engine) as session:
            platform_row(session, self._platform)  # ours until the end: two runs queue up here
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


def beijing_day(now: datetime) -> str:
    """The Beijing day of an instant, ``YYYY-MM-DD``."""
    return now.astimezone(BEIJING).date().isoformat()


def pages_today(engine: Engine, platform: str, now: datetime) -> int:
    """Pages of a platform read on the Beijing day of ``now``."""
    with transaction(engine) as session:
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
