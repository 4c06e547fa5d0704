"""Zhihu: a question with its answers, or an article, and the comments below each of them, by plain requests.

The list of answers is read to its end each time (it is short, and an old answer may have new comments); comments are
read newest first, and only below what is new or whose comment count changed. Keywords: :mod:`crawlers.zhihu.search`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlencode

from crawlers.config import Target
from crawlers.errors import FetchFailed
from crawlers.http import HttpSpider
from crawlers.payload import Page
from crawlers.trip import ListPass, Trip
from ingest.draft import Draft

HOST: Final = "www.zhihu.com"
COLUMNS: Final = "zhuanlan.zhihu.com"
LIMIT: Final = 20
_RESOURCES: Final = {"answer": "answers", "question": "questions", "article": "articles", "video": "zvideos"}


class ZhihuSpider(HttpSpider):
    platform = "zhihu"

    async def crawl(self, target: Target, trip: Trip) -> None:
        if target.keyword is not None:  # the run has no browser: the other targets may be well
            raise FetchFailed("no_browser", "关键词要在浏览器里搜索，没有找到浏览器")
        trip.expected += 1
        with self.passing(target.key, trip) as lane:
            if target.article_id is not None:
                home = self.here.url(COLUMNS, f"/p/{target.article_id}")
            else:
                home = self.here.url(HOST, f"/question/{target.need('question_id')}")
            found = await self._page(home, lane, trip)
            if target.question_id is not None and found:
                query = {"cursor": "", "limit": LIMIT, "offset": 0, "order": "updated", "platform": "desktop"}
                first = self.here.url(HOST, f"/api/v4/questions/{target.question_id}/feeds?{urlencode(query)}")
                try:
                    async for reading in self.walk(lane, trip, first, referer=home):
                        found.update(_posts(reading.page))
                except FetchFailed as error:  # what was found so far may be well
                    trip.notes.append(f"问题 {target.question_id} 的回答没有读全（{error.kind}）")
            else:
                lane.ended = "end"
            for draft in found.values():
                try:
                    await self._comments(draft, trip, home)
                except FetchFailed as error:  # the other answers may be well
                    trip.notes.append(f"{draft.kind} {draft.native_id} 的评论没有读全（{error.kind}）")

    async def _page(self, url: str, lane: ListPass, trip: Trip) -> dict[str, Draft]:
        """What the page itself shows; nothing when it was removed."""
        payload = await self.fetch(url)
        trip.pages += 1
        return _posts(self.read(payload, trip, lane).page)

    async def _comments(self, draft: Draft, trip: Trip, referer: str) -> None:
        key, claim = f"comments:{draft.kind}:{draft.native_id}", comments_claim(draft)
        if not self.comments_due(key, claim, draft.created_at):
            return
        resource = f"{_RESOURCES[draft.kind]}/{draft.native_id}"
        first = self.here.url(HOST, f"/api/v4/comment_v5/{resource}/root_comment?{_ORDER}")
        with self.passing(key, trip, newest_first=True, claim=claim, trusted=True) as lane:
            async for reading in self.walk(lane, trip, first, referer=referer):
                for root, shown in _roots(reading.page):
                    if (root.replies or 0) > shown:
                        try:
                            await self._replies(root, trip, referer)
                        except FetchFailed as error:  # the other comments may be well
                            trip.notes.append(f"评论 {root.native_id} 的回复没有读全（{error.kind}）")

    async def _replies(self, root: Draft, trip: Trip, referer: str) -> None:
        """All replies of a comment that shows only the first of them."""
        key = f"replies:{root.native_id}"
        if not self.comments_due(key, root.replies, root.created_at):
            return
        first = self.here.url(HOST, f"/api/v4/comment_v5/comment/{root.native_id}/child_comment?{_ORDER}")
        with self.passing(key, trip, newest_first=True, claim=root.replies, trusted=True, counted=False) as lane:
            async for _ in self.walk(lane, trip, first, referer=referer):
                pass


_ORDER: Final = urlencode({"order_by": "ts", "limit": LIMIT, "offset": ""})


def comments_claim(draft: Draft) -> int | None:
    """How many comments an item says it has; a question says how many answers."""
    return None if draft.kind == "question" else draft.replies


def _posts(page: Page) -> dict[str, Draft]:
    return {f"{draft.kind}:{draft.native_id}": draft for draft in page.mentions if draft.kind in _RESOURCES}


def _roots(page: Page) -> Iterator[tuple[Draft, int]]:
    """Each root comment of a page with how many replies follow it there."""
    root, shown = None, 0
    for draft in page.mentions:
        if not (draft.parent_native or "").startswith("comment:"):
            if root is not None:
                yield root, shown
            root, shown = draft, 0
        else:
            shown += 1
    if root is not None:
        yield root, shown
