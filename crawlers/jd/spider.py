"""JD: a product's reviews, newest first, and its questions with their answers, by plain requests."""

from __future__ import annotations

from collections import Counter
from typing import Final
from urllib.parse import urlencode

from crawlers.capped import CappedList, Part
from crawlers.config import Target
from crawlers.errors import FetchFailed
from crawlers.http import HttpSpider
from crawlers.trip import Trip
from ingest.draft import Draft

HOST: Final = "club.jd.com"
QUESTIONS: Final = "question.jd.com"
PAGE_SIZE: Final = 10
REACH: Final = 100 * PAGE_SIZE
"""The list shows pages 0 to 99, whatever it counts."""

_RECOMMENDED: Final = {"sortType": "5"}
PARTS: Final = (
    *(
        Part(name, {"score": score}, then=_RECOMMENDED)
        for name, score in (("bad", "1"), ("middle", "2"), ("good", "3"), ("append", "5"), ("picture", "4"))
    ),
    Part("recommended", _RECOMMENDED),
)
"""What the page's own filters show of a list that is too long: 差评, 中评, 好评, 追评, 晒图, and the other sorting."""


class JdSpider(HttpSpider):
    platform = "jd"

    async def crawl(self, target: Target, trip: Trip) -> None:
        sku = target.need("sku")
        shop = self.here.url("item.jd.com", f"/{sku}.html")
        query = {
            "callback": "fetchJSON_comment98",
            "productId": sku,
            "score": "0",
            "sortType": "6",
            "page": "0",
            "pageSize": str(PAGE_SIZE),
            "isShadowSku": "0",
            "fold": "1",
        }
        first = self.here.url(HOST, f"/comment/productPageComments.action?{urlencode(query)}")
        whole = CappedList(
            spider=self,
            key=target.key,
            parts=PARTS,
            first=first,
            referer=shop,
            page_size=PAGE_SIZE,
            numbered="page",
        )
        failed: FetchFailed | None = None
        try:
            if not self._by_merchant(sku):
                with self.passing(target.key, trip, newest_first=True, reach=REACH) as lane:
                    async for _ in self.walk(lane, trip, first, referer=shop, numbered="page", resumed=True):
                        pass
                    whole.note(lane)
                await whole.read(trip)
        except FetchFailed as error:  # the questions may be well
            failed = error
        if self.here.questions:
            await self._questions(sku, trip, shop)
        if failed is not None:
            raise failed

    def _by_merchant(self, sku: str) -> bool:
        """Whether the merchant API was given this product: it has said its reviews, in words of its own."""
        return self.kit.settings.official_of("jd") is not None and sku in self.kit.settings.official.jos.skus

    async def _questions(self, sku: str, trip: Trip, shop: str) -> None:
        query = urlencode({"page": "1", "productId": sku})
        first = self.here.url(QUESTIONS, f"/question/getQuestionAnswerList.action?{query}")
        with self.passing(f"questions:{sku}", trip) as lane:  # no order of theirs is documented
            async for reading in self.walk(lane, trip, first, referer=shop, numbered="page"):
                shown = Counter(draft.parent_native for draft in reading.page.mentions)
                for draft in reading.page.mentions:
                    if draft.kind == "question" and (draft.replies or 0) > shown[f"question:{draft.native_id}"]:
                        try:
                            await self._answers(draft, trip, shop)
                        except FetchFailed as error:  # the other questions may be well
                            trip.notes.append(f"问题 {draft.native_id} 的回答没有读全（{error.kind}）")

    async def _answers(self, question: Draft, trip: Trip, shop: str) -> None:
        """All answers of a question whose list shows only the first of them."""
        key = f"answers:{question.native_id}"
        if not self.comments_due(key, question.replies, question.created_at):
            return
        query = urlencode({"page": "1", "questionId": str(question.native_id)})
        first = self.here.url(QUESTIONS, f"/question/getAnswerListById.action?{query}")
        with self.passing(key, trip, claim=question.replies) as lane:
            async for _ in self.walk(lane, trip, first, referer=shop, numbered="page"):
                pass
