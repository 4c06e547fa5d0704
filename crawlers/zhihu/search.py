"""Zhihu by keyword: the site's own search, scrolled in the browser as somebody who has logged in; then, by plain
requests, the full text of what the search shows cut off, and the comments below what is new or was commented.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from crawlers.base import FetchFailed
from crawlers.config import Target
from crawlers.payload import Payload
from crawlers.pipeline import mention_id
from crawlers.posts import SearchSpider
from crawlers.trip import ListPass, Trip
from crawlers.zhihu.spider import COLUMNS, HOST, ZhihuSpider, comments_claim
from ingest.draft import Draft

_NEVER: Final = re.compile(r"(?!)")


class ZhihuSearchSpider(ZhihuSpider, SearchSpider):
    """All kinds of targets in one run; the browser is there for keywords only."""

    repeats = 1  # plain requests load nothing twice
    listens = re.compile(r"^www\.zhihu\.com/api/v4/search_v3$")
    places = re.compile(r"^www\.zhihu\.com/search$")
    data_pages = _NEVER
    state_mark = b"js-initialData"
    hit_kinds = frozenset({"answer", "article", "question", "video"})
    search_path = re.compile(r"/search_v3$")
    search_pane = ""
    newest = (
        re.compile(r"^\s*筛选\s*$"),
        re.compile(r"^\s*(综合排序|默认排序|排序)\s*$"),
        re.compile(r"^\s*(最新(发布)?|按?时间(排序)?)\s*$"),
    )

    async def crawl(self, target: Target, trip: Trip) -> None:
        if target.keyword is not None:
            await SearchSpider.crawl(self, target, trip)
        else:
            await ZhihuSpider.crawl(self, target, trip)

    def search_url(self, keyword: str) -> str:
        return self.here.url(HOST, f"/search?{urlencode({'type': 'content', 'q': keyword})}")

    def sorted_by_time(self, payload: Payload) -> bool:
        return payload.param("sort") == "created_time"

    def _claim(self, hit: Draft) -> int | None:
        return comments_claim(hit)

    async def _open(self, hit: Draft, trip: Trip) -> None:
        home = self._home(hit)
        if not hit.partial or await self._whole(hit, home, trip):
            await self._comments(hit, trip, home)

    def _home(self, hit: Draft) -> str:
        """The hit's own page."""
        if hit.kind == "article":
            return self.here.url(COLUMNS, f"/p/{hit.native_id}")
        if hit.kind == "video":
            return self.here.url(HOST, f"/zvideo/{hit.native_id}")
        if hit.kind == "question":
            return self.here.url(HOST, f"/question/{hit.native_id}")
        question = (hit.parent_native or "").removeprefix("question:")
        if not question:  # its short address only leads on, and nothing is followed
            raise FetchFailed("no_address", "the search does not say which question was answered")
        return self.here.url(HOST, f"/question/{question}/answer/{hit.native_id}")

    async def _whole(self, hit: Draft, home: str, trip: Trip) -> bool:
        """Read a hit's own page for its full text; False when it is gone. What else is shown there was not asked for.

        Raises FetchFailed when the page does not have it.
        """
        trip.expected += 1
        payload = await self.fetch(home)
        trip.pages += 1
        page = self.parsed(payload)
        if page.signal == "gone":
            self.kit.pipeline.gone(mention_id(hit))
            return False
        own = tuple(draft for draft in page.mentions if mention_id(draft) == mention_id(hit))
        if not own and not page.problems:
            raise FetchFailed("no_answer", "the page does not have what the search found")
        trip.count(self._take(replace(page, mentions=own), payload, trip, ListPass(key=home, cap=1)))
        return True
