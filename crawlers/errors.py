"""What ends a page, a target or a run: the spiders' branches of the tree in :mod:`ingest.errors`."""

from __future__ import annotations

from crawlers.payload import Page
from ingest.errors import Permanent, Retryable, Unavailable


class PlatformStopped(Permanent):
    """The platform asked for a person, or refused: nothing more is requested until it is resumed."""

    def __init__(self, signal: str, reason: str, page: Page | None = None) -> None:
        super().__init__(f"{signal}: {reason}")
        self.signal = signal
        self.reason = reason
        self.page = page


class BudgetSpent(Retryable):
    """A budget is spent (the run's, the hour's, the day's), or it is quiet hours; the next run goes on."""


class RobotsRefused(Permanent):
    """robots.txt forbids this address."""


class FetchFailed(Unavailable):
    """A page could not be fetched, after Scrapy's retries. ``kind`` is the error's name, for counting."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


class SourceDown(Unavailable):
    """Too many pages in a row could not be fetched."""
