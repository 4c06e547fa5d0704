"""Zhihu: a question, its answers, and the comments below each of them, by plain requests.

The list of answers is read to its end each time (it is short, and an old answer may have new comments); comments are
read newest first, and only below what is new or whose comment count changed.
"""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import urlencode

from crawlers.base import FetchFailed, HttpSpider
from crawlers.config import Target
from crawlers.payload import Page
from crawlers.trip import Trip
from ingest.draft import Draft

HOST: Final = "www.zhihu.com"
LIMIT: Final = 20
_RESOURCE: Final = {"answer": "answers", "question": "questions", "article": "articles"}


class ZhihuSpider(HttpSpider):
    platform = "zhihu"

    async def crawl(self, target: Target, trip: Trip) -> None:
        question = target.need("question_id")
        page = self.here.url(HOST, f"/question/{question}")
        found: dict[str, Draft] = {}
        trip.expected += 1
        with self.passing(target.key, trip) as lane:
            payload = await self.fetch(page)
            trip.pages += 1
            reading = self.read(payload, trip, lane)
            self._gather(found, reading.page)
            if reading.page.signal == "gone":
                lane.ended = "end"
                return
            params = {"cursor": "", "limit": str(LIMIT), "offset": "0", "order": "updated", "platform": "desktop"}
            first = self.here.url(HOST, f"/api/v4/questions/{question}/feeds?{urlencode(params)}")
            async for reading in self.walk(lane, trip, first, referer=page):
                self._gather(found, reading.page)
            for draft in found.values():
                try:
                    await self._comments(draft, trip, page)
                except FetchFailed as error:  # the other answers may be well
                    trip.notes.append(f"comments of {draft.kind} {draft.native_id}: {error.kind}")

    @staticmethod
    def _gather(found: dict[str, Draft], page: Page) -> None:
        found.update((f"{d.kind}:{d.native_id}", d) for d in page.mentions if d.kind in _RESOURCE)

    async def _comments(self, draft: Draft, trip: Trip, referer: str) -> None:
        key = f"comments:{draft.kind}:{draft.native_id}"
        if not self.comments_due(key, draft.replies):
            return
        params = urlencode({"order_by": "ts", "limit": str(LIMIT), "offset": ""})
        resource = f"{_RESOURCE[draft.kind]}/{draft.native_id}"
        first = self.here.url(HOST, f"/api/v4/comment_v5/{resource}/root_comment?{params}")
        with self.passing(key, trip, newest_first=True, claim=draft.replies, trusted=True) as lane:
            async for reading in self.walk(lane, trip, first, referer=referer):
                await self._replies(reading.page, trip, referer)

    async def _replies(self, page: Page, trip: Trip, referer: str) -> None:
        """The replies that a page of comments does not show itself (it shows the first two of each)."""
        shown = Counter(draft.parent_native for draft in page.mentions)
        for draft in page.mentions:
            root = f"{draft.kind}:{draft.native_id}"
            if not draft.replies or draft.replies <= shown[root]:
                continue
            key = f"replies:{draft.native_id}"
            if not self.comments_due(key, draft.replies):
                continue
            params = urlencode({"order_by": "ts", "limit": str(LIMIT), "offset": ""})
            first = self.here.url(HOST, f"/api/v4/comment_v5/comment/{draft.native_id}/child_comment?{params}")
            with self.passing(key, trip, newest_first=True, claim=draft.replies, trusted=True, counted=False) as lane:
                async for _ in self.walk(lane, trip, first, referer=referer):
                    pass
