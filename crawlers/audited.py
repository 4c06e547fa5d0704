"""Scrapy's side of the audit: sees each request just before it leaves, repeats and robots.txt included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self, cast

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.http import Response

if TYPE_CHECKING:
    from crawlers.audit import Audit, Why
    from crawlers.base import PlatformSpider

META: Final = "shengwen_asked"
PLACE: Final = 990
"""The innermost downloader middleware: whatever passes it goes to the platform."""


@dataclass(slots=True)
class Asked:
    """One page's way through Scrapy; repeats share it. ``open``: a request is out that has no line in the audit yet.

    The answer's line is written by who parses it.
    """

    open: bool = False


class AuditMiddleware:
    """Writes a line for what has no answer, and for what Scrapy asks by itself."""

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_request(self, request: Request) -> None:
        asked = request.meta.get(META)
        if asked is not None:
            asked.open = True

    def process_response(self, request: Request, response: Response) -> Response:
        if META not in request.meta:
            self._audit.other(request.method, self._real(request), response.status, len(response.body), why=ROBOTS)
        return response

    def process_exception(self, request: Request, exception: Exception) -> None:
        asked = request.meta.get(META)
        if asked is None:
            self._audit.failed(request.method, self._real(request), type(exception).__name__, why=ROBOTS)
        elif asked.open:  # else another middleware kept it back
            asked.open = False
            self._audit.failed(request.method, self._real(request), type(exception).__name__)

    @property
    def _spider(self) -> PlatformSpider:
        return cast("PlatformSpider", self._crawler.spider)

    @property
    def _audit(self) -> Audit:
        return self._spider.kit.audit

    def _real(self, request: Request) -> str:
        return self._spider.here.real(request.url)


ROBOTS: Final[Why] = "robots_txt"
