"""One Playwright for both schemes: scrapy-playwright starts a driver (a Node process) for each handler, and Scrapy
makes a handler for each of http and https.
"""

from __future__ import annotations

from typing import Final, Self
from weakref import WeakKeyDictionary

from scrapy.crawler import Crawler
from scrapy_playwright.handler import ScrapyPlaywrightDownloadHandler


class BrowserHandler(ScrapyPlaywrightDownloadHandler):  # type: ignore[misc]  # it comes without types
    """The same handler whenever a crawler asks for one. It is closed once."""

    lazy = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        known = _OF.get(crawler)
        if not isinstance(known, cls):
            known = _OF[crawler] = cls(crawler)
        return known

    async def close(self) -> None:
        if _OF.pop(self._crawler, None) is not None:
            await super().close()

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._crawler = crawler


_OF: Final[WeakKeyDictionary[Crawler, ScrapyPlaywrightDownloadHandler]] = WeakKeyDictionary()
