"""When people talk: hours of the day, weekends, and the start of the heating season (mid November)."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from ingest.clock import BEIJING

BEFORE: Final = timedelta(weeks=8)
"""How long before the start the story begins."""
AFTER: Final = timedelta(weeks=2)
"""How long it goes on in its ordinary way."""
HOUR_WEIGHTS: Final = (3, 1, 1, 1, 1, 2, 4, 7, 8, 9, 10, 10, 12, 10, 8, 8, 8, 9, 11, 14, 17, 17, 13, 7)
"""Beijing hours; people write at lunch and in the evening."""
WEEKEND: Final = 1.35


def season(day: date) -> float:
    """How much is said about heating: little in summer, a ramp from October, a peak in mid November."""
    start = date(day.year, 11, 15)
    distance = (day - start).days
    if -45 <= distance < 0:
        return 0.7 + 0.8 * (distance + 45) / 45
    if 0 <= distance < 12:
        return 1.7
    return 1.2 if distance >= 12 or day.month <= 2 else 0.7


class Rhythm:
    """Draws instants between two moments with the density above."""

    def __init__(self, begin: datetime, end: datetime, rng: Random) -> None:
        self._rng = rng
        self._begin, self._end = begin, end
        hours = int((end - begin).total_seconds() // 3600)
        self._hours = [begin + timedelta(hours=hour) for hour in range(hours)]
        self._cumulative = list(accumulate(self._weight(hour) for hour in self._hours))

    def _weight(self, hour: datetime) -> float:
        local = hour.astimezone(BEIJING)
        return HOUR_WEIGHTS[local.hour] * season(local.date()) * (WEEKEND if local.weekday() >= 5 else 1.0)

    def instant(self) -> datetime:
        """Any moment, whole seconds."""
        hour = self._rng.choices(self._hours, cum_weights=self._cumulative)[0]
        return hour + timedelta(seconds=self._rng.randrange(3600))

    def on_day(self, day: int) -> datetime:
        """A moment on the n-th day after the beginning, at an hour when people write."""
        first = day * 24
        weights = [self._weight(hour) for hour in self._hours[first : first + 24]]
        hour = self._rng.choices(self._hours[first : first + 24], weights)[0]
        return hour + timedelta(seconds=self._rng.randrange(3600))

    def after(self, moment: datetime, mean: timedelta) -> datetime:
        """A moment some time after another, by day rather than by night; it may lie past the end."""
        for _ in range(4):
            at = moment + timedelta(seconds=60 + int(self._rng.expovariate(1 / mean.total_seconds())))
            if self._rng.random() < HOUR_WEIGHTS[at.astimezone(BEIJING).hour] / 10:
                break
        return at.replace(microsecond=0)
