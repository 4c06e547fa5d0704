"""JD: a product's reviews, newest first, from the old list that answers plain requests."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from crawlers.base import HttpSpider
from crawlers.config import Target
from crawlers.trip import Trip

HOST: Final = "club.jd.com"
PAGE_SIZE: Final = 10
REACH: Final = 100 * PAGE_SIZE
"""The list shows pages 0 to 99, whatever it counts."""


class JdSpider(HttpSpider):
    platform = "jd"

    async def crawl(self, target: Target, trip: Trip) -> None:
        sku = target.need("sku")
        query = urlencode(
            {
                "callback": "fetchJSON_comment98",
                "productId": sku,
                "score": "0",
                "sortType": "6",
                "page": "0",
                "pageSize": str(PAGE_SIZE),
                "isShadowSku": "0",
                "fold": "1",
            }
        )
        first = self.here.url(HOST, f"/comment/productPageComments.action?{query}")
        shop = self.here.url("item.jd.com", f"/{sku}.html")
        with self.passing(target.key, trip, newest_first=True, reach=REACH) as lane:
            async for _ in self.walk(lane, trip, first, referer=shop):
                pass
