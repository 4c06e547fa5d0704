"""Tmall: a product's reviews, newest first, from the old list that answers plain requests."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from crawlers.base import HttpSpider
from crawlers.config import Target
from crawlers.trip import Trip

HOST: Final = "rate.tmall.com"
REACH: Final = 99 * 20
"""The list shows 99 pages of 20, whatever it counts."""


class TmallSpider(HttpSpider):
    platform = "tmall"

    async def crawl(self, target: Target, trip: Trip) -> None:
        item_id = target.need("item_id")
        query = urlencode(
            {
                "itemId": item_id,
                "sellerId": target.need("seller_id"),
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
        with self.passing(target.key, trip, newest_first=True, reach=REACH) as lane:
            async for _ in self.walk(lane, trip, first, referer=shop, numbered="currentPage"):
                pass
