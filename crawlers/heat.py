"""How lively a target is, and so how often it is looked at: hot ones often, cold ones rarely, none never.

Heat is new items an hour, an exponential average over the looks; the interval is what such a target needs to have a few
new items, between the platform's bounds. It is kept in the state database (``crawl_targets``), so a restart forgets
nothing, and everything here follows from its arguments: the jitter, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy import Engine, Float, String, select
from sqlalchemy.orm import Mapped, mapped_column

from crawlers.book import transaction
from ingest.state import Base, UtcDateTime, insert_into

WANTED: Final = 3.0
"""New items that a look should find."""
MEMORY_HOURS: Final = 6.0
"""What was found so long ago weighs 1/e of what was found now."""
SLOWER: Final = 2.0
"""An interval grows by this factor at most, from one look to the next; it shrinks at once."""
JITTER: Final = 0.1
"""The next look is put off by up to this share of the interval, so that targets do not march in step."""
OFFICIAL: Final = "#official"
"""The key under which an official API's run counts as one target."""
DEFAULT_BOUNDS: Final = (3600.0, 6 * 3600.0)

Bounds = tuple[float, float]
"""The shortest and the longest interval, seconds."""


class CrawlTarget(Base):
    """How lively one target is and when it is looked at next.

    ``rate``: new items an hour, null before the second look; ``every``: seconds between two looks.
    """

    __tablename__ = "crawl_targets"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    rate: Mapped[float | None] = mapped_column(Float)
    looked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    every: Mapped[float] = mapped_column(Float)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Heat:
    """One target. ``rate``: new items an hour, null before the second look; ``every``: seconds between two looks."""

    rate: float | None
    looked_at: datetime
    every: float
    next_at: datetime

    def waited(self, now: datetime) -> float:
        """How long it has waited, in its own intervals: 1 when it is due."""
        return (now - self.looked_at).total_seconds() / self.every


def looked(before: Heat | None, *, new: int, whole: bool, now: datetime, bounds: Bounds, key: str) -> Heat:
    """The heat after a look that found ``new`` items.

    The first look finds what has gathered for years: that says nothing of the hour. A look that was not ``whole`` is
    gone on with after the shortest interval.
    """
    shortest, longest = bounds
    rate = _rate(before, new, now)
    every = shortest
    if whole and rate is not None:
        every = min(longest, max(shortest, WANTED / rate * 3600 if rate > 0 else longest))
        if before is not None:
            every = max(shortest, min(every, before.every * SLOWER))
    digest = sha256(f"{key} {now.isoformat()}".encode("utf-8", "replace")).digest()
    late = JITTER * every * int.from_bytes(digest[:4], "big") / 2**32
    return Heat(rate, now, every, now + timedelta(seconds=every + late))


def _rate(before: Heat | None, new: int, now: datetime) -> float | None:
    if before is None:
        return None
    hours = (now - before.looked_at).total_seconds() / 3600
    if hours <= 0:
        return before.rate
    found = new / hours
    if before.rate is None:
        return found
    average = before.rate + (1 - math.exp(-hours / MEMORY_HOURS)) * (found - before.rate)
    return max(average, found / 2)  # a burst is believed at once, by half


class HeatBook:
    """All targets of a platform, in the state database."""

    def __init__(self, engine: Engine, platform: str) -> None:
        self._engine = engine
        self._platform = platform

    def all(self) -> Mapping[str, Heat]:
        """Key of the target -> its heat; targets that were never looked at are left out."""
        with transaction(self._engine) as session:
            rows = session.scalars(select(CrawlTarget).where(CrawlTarget.platform == self._platform))
            return {row.key: Heat(row.rate, row.looked_at, row.every, row.next_at) for row in rows}

    def keep(self, key: str, heat: Heat) -> None:
        """Remember it; the newest one wins."""
        with transaction(self._engine) as session:
            statement = insert_into(session.connection(), CrawlTarget.__table__)
            values = {"rate": heat.rate, "looked_at": heat.looked_at, "every": heat.every, "next_at": heat.next_at}
            session.execute(
                statement.on_conflict_do_update(index_elements=["platform", "key"], set_=values),
                {"platform": self._platform, "key": key[:400]} | values,
            )
