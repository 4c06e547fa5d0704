"""Windows of creation time, and how far each list has been read: what lies behind the watermark is not asked again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from crawlers.ledger import Ledger
from crawlers.official.config import WindowedSettings

SHORTEST = timedelta(minutes=1)
"""A window that holds too much is halved, down to this."""


@dataclass(frozen=True, slots=True)
class Window:
    """[since, until), UTC, whole seconds."""

    since: datetime
    until: datetime

    def halves(self) -> tuple[Window, Window] | None:
        """The older and the newer half; None when it is too short to be cut."""
        if self.until - self.since <= SHORTEST:
            return None
        middle = (self.since + (self.until - self.since) / 2).replace(microsecond=0)
        return Window(self.since, middle), Window(middle, self.until)


def windows(since: datetime, until: datetime, longest: timedelta) -> Iterator[Window]:
    """[since, until) in pieces of at most ``longest``, oldest first."""
    while since < until:
        end = min(since + longest, until)
        yield Window(since, end)
        since = end


@dataclass(frozen=True, slots=True)
class Lane:
    """One way through time: ``key`` names its watermark in the ledger."""

    key: str
    since: datetime
    until: datetime
    full: bool


def lanes(settings: WindowedSettings, ledger: Ledger, key: str, now: datetime) -> Iterator[Lane]:
    """What is to be read now: the news first, then, when it is due, the whole history again.

    Both have watermarks of their own, set after every window, so a run that ends early is gone on with. A history pass
    has ended when its watermark is the moment at which it ended.
    """
    now = now.replace(microsecond=0)
    oldest = now - timedelta(days=settings.history_days)
    news = ledger.list_state(key).settled_at
    start = now - timedelta(days=min(settings.window_days, settings.history_days))
    if news is not None:
        start = news - timedelta(hours=settings.overlap_hours)
    yield Lane(key, max(oldest, start).replace(microsecond=0), now, full=False)
    past = ledger.list_state(f"{key}#history")
    ended = past.full_at is not None and past.full_at == past.settled_at
    if ended and past.full_at is not None and now - past.full_at < timedelta(hours=settings.full_pass_hours):
        return
    start = oldest if ended or past.settled_at is None else max(oldest, past.settled_at)
    yield Lane(f"{key}#history", start.replace(microsecond=0), now, full=True)
