"""Windows of creation time, and how far each list has been read: what lies behind the watermark is not asked again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crawlers.ledger import Ledger, ListState
from crawlers.official.config import WindowedSettings
from crawlers.revisit import reading_depth

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


def lanes(
    settings: WindowedSettings, ledger: Ledger, key: str, now: datetime, ladder: Sequence[float] = ()
) -> Iterator[Lane]:
    """What is to be read now: the news first, then, when it is due, the whole history again, or else its last part: as
    deep as the ``ladder`` says (:mod:`crawlers.revisit`), for edits, 追评 and sellers' replies.

    Each has a watermark of its own, set after every window, so a run that ends early is gone on with. A pass back has
    ended when its watermark is the moment at which it ended.
    """
    now = now.replace(microsecond=0)
    oldest = now - timedelta(days=settings.history_days)
    news = ledger.list_state(key).settled_at
    start = now - timedelta(days=min(settings.window_days, settings.history_days))
    if news is not None:
        start = news - timedelta(hours=settings.overlap_hours)
    yield Lane(key, max(oldest, start).replace(microsecond=0), now, full=False)
    past, again = ledger.list_state(f"{key}#history"), ledger.list_state(f"{key}#again")
    if not _ended(past) or _due(past, settings.full_pass_hours, now):
        start = oldest if _ended(past) or past.settled_at is None else max(oldest, past.settled_at)
        yield Lane(f"{key}#history", start.replace(microsecond=0), now, full=True)
        return
    if again.settled_at is None or _ended(again):
        last = max(at for at in (past.full_at, again.full_at) if at is not None)
        depth = reading_depth(ladder, key, last, now)
        if depth <= timedelta(hours=settings.overlap_hours):
            return  # the news are read down to there
        start = now - depth
    else:
        start = again.settled_at
    yield Lane(f"{key}#again", max(oldest, start).replace(microsecond=0), now, full=True)


def _ended(pass_back: ListState) -> bool:
    return pass_back.full_at is not None and pass_back.full_at == pass_back.settled_at


def _due(past: ListState, hours: float, now: datetime) -> bool:
    return past.full_at is not None and now - past.full_at >= timedelta(hours=hours)
