"""Zhihu by keyword: the site's own search, scrolled in the browser as somebody who has logged in; then, by plain
requests, the full text of what the search shows cut off, and the comments below what is new or was commented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from crawlers.browser import Visit
from crawlers.config import Target
from crawlers.errors import FetchFailed
from crawlers.payload import Payload
from crawlers.pipeline import mention_id
from crawlers.search_parts import Axis, Option
from crawlers.searching import SearchSpider
from crawlers.trip import ListPass, Trip
from crawlers.zhihu.spider import COLUMNS, HOST, ZhihuSpider, comments_claim
from ingest.draft import Draft

_NEVER: Final = re.compile(r"(?!)")
_TIME, _ORDER, _KIND = ("时间不限", "time_interval"), ("综合排序", "sort"), ("不限类型", "vertical")
NEWEST: Final = Option(_ORDER[0], "最新发布", _ORDER[1], "created_time", newest=True)
AXES: Final = (
    Axis(
        "windows",
        (
            Option(_TIME[0], "一年内", _TIME[1], "a_year"),
            Option(_TIME[0], "半年内", _TIME[1], "half_a_year"),
            Option(_TIME[0], "三月内", _TIME[1], "three_months"),
            Option(_TIME[0], "一月内", _TIME[1], "a_month"),
            Option(_TIME[0], "一周内", _TIME[1], "a_week"),
            Option(_TIME[0], "一天内", _TIME[1], "a_day"),
        ),
    ),
    Axis(
        "orders",  # no parts: between them they leave questions out
        (
            Option(_KIND[0], "只看回答", _KIND[1], "answer"),
            Option(_KIND[0], "只看文章", _KIND[1], "article"),
            Option(_KIND[0], "只看视频", _KIND[1], "zvideo"),
        ),
    ),
    Axis("orders", (NEWEST, Option(_ORDER[0], "最多赞同", _ORDER[1], "upvoted_count"))),
)
"""The title of a filter is what stands on its list before anything is chosen."""
_FIELDS: Final = tuple(dict.fromkeys(option.field for axis in AXES for option in axis.options))


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
    newest = re.compile(re.escape(NEWEST.words))
    filters = re.compile(r"^\s*筛选\s*$")
    axes = AXES
    search_depth = None
    """Nobody has said how deep a search goes: only our own cap cuts it off."""

    async def crawl(self, target: Target, trip: Trip) -> None:
        if target.keyword is not None:
            await SearchSpider.crawl(self, target, trip)
        else:
            await ZhihuSpider.crawl(self, target, trip)

    def search_url(self, keyword: str) -> str:
        return self.here.url(HOST, f"/search?{urlencode({'type': 'content', 'q': keyword})}")

    def sorted_by_time(self, payload: Payload) -> bool:
        return payload.param(NEWEST.field) == NEWEST.value

    def asked(self, payload: Payload) -> Mapping[str, str]:
        return {name: value for name in _FIELDS if (value := payload.param(name))}

    async def _click(self, visit: Visit, option: Option) -> bool:
        """Behind one button are three lists; each shows what is chosen, and the others when it is clicked."""
        shown = visit.page.get_by_text(option.title, exact=True).locator("visible=true").first
        if not await shown.count() and not await visit.click(visit.page.get_by_text(self.filters).first):
            return False
        if not await visit.click(shown):
            return False
        return await visit.click(visit.page.get_by_text(option.words, exact=True).locator("visible=true").first)

    async def _to_the_end(self, visit: Visit, lane: ListPass, pane: str) -> None:
        await super()._to_the_end(visit, lane, pane)
        if lane.ended == "repeat":  # behind its end a search goes on promising more
            lane.ended = "end"

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
            raise FetchFailed("no_address", "搜索没有说回答的是哪个问题")
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
            raise FetchFailed("no_answer", "页面里没有搜索到的内容")
        self._take(replace(page, mentions=own), payload, trip, ListPass(key=home, cap=1))
        return True
