"""Tmall: a product's reviews, newest first, from the old list that answers plain requests."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from crawlers.capped import CappedList, Part
from crawlers.config import Target
from crawlers.http import HttpSpider
from crawlers.trip import Trip
from ingest.errors import ConfigError

HOST: Final = "rate.tmall.com"
PAGE_SIZE: Final = 20
REACH: Final = 99 * PAGE_SIZE
"""The list shows 99 pages of 20, whatever it counts."""
_DEFAULT: Final = {"order": "3"}
PARTS: Final = (
    Part("append", {"append": "1"}, then=_DEFAULT),
    Part("picture", {"picture": "1"}, then=_DEFAULT),
    Part("default", _DEFAULT),
)
"""What the page's own filters show of a list that is too long: 追评, 有图, and the other sorting. It has no stars."""


class TmallSpider(HttpSpider):
    platform = "tmall"

    async def crawl(self, target: Target, trip: Trip) -> None:
        item_id = target.need("item_id")
        if target.seller_id is None:
            raise ConfigError(
                f"天猫商品 {item_id} 缺少 seller_id：不用浏览器时必须填写；也可以运行 shengwen login tmall 改用浏览器"
            )
        query = urlencode(
            {
                "itemId": item_id,
                "sellerId": target.seller_id,
                "order": "1",
                "currentPage": "1",
                "append": "0",
                "content": "1",
                "needFold": "0",
                "callback": "jsonp100",
            }
        )
        first = self.here.url(HOST, f"/list_detail_rate.htm?{query}")
        shop = self.here.url("detail.tmall.com", f"/item.htm?id={item_id}")
        whole = CappedList(
            spider=self,
            key=target.key,
            parts=PARTS,
            first=first,
            referer=shop,
            page_size=PAGE_SIZE,
            numbered="currentPage",
        )
        with self.passing(target.key, trip, newest_first=True, reach=REACH) as lane:
            async for _ in self.walk(lane, trip, first, referer=shop, numbered="currentPage", resumed=True):
                pass
            whole.note(lane)
        await whole.read(trip)
