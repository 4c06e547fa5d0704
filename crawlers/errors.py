"""What ends a page, a target or a run: the spiders' branches of the tree in :mod:`ingest.errors`.

Their messages become reasons that are stored and shown: they are in Chinese, and the addresses in them carry no token.
"""

from __future__ import annotations

from typing import Final

from crawlers.address import told
from crawlers.payload import Page
from ingest.errors import Permanent, Retryable, Unavailable

LEFT: Final = "被要求停下，下一次接着采"
"""Why a run that somebody ended early is not whole."""


class PlatformStopped(Permanent):
    """The platform asked for a person, or refused: nothing more is requested until it is resumed."""

    def __init__(self, signal: str, reason: str, page: Page | None = None) -> None:
        reason = told(reason)
        super().__init__(f"{signal}: {reason}")
        self.signal = signal
        self.reason = reason
        self.page = page


class BudgetSpent(Retryable):
    """A budget is spent (the run's, the hour's, the day's), or it is quiet hours; the next run goes on."""


class RobotsRefused(Permanent):
    """robots.txt forbids this address."""

    def __init__(self, message: str) -> None:
        super().__init__(told(message))


class FetchFailed(Unavailable):
    """A page could not be fetched, after Scrapy's retries. ``kind`` is the error's name, for counting."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {told(message)}")
        self.kind = kind


class SourceDown(Unavailable):
    """Too many pages in a row could not be fetched."""

    def __init__(self, message: str) -> None:
        super().__init__(told(message))
