"""Zhihu's data open platform: search by keyword. At most ten results and no second page, so it is asked every run.

A search that gives ten is taken for cut off, and asked again together with each of the platform's ``split_words``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from crawlers.config import Platform
from crawlers.official.api import OfficialApi, Tally, Target
from crawlers.official.client import Call, Refusal, text_of
from crawlers.official.config import ZhihuSettings
from crawlers.search_parts import ALL

REAL: Final = "https://developer.zhihu.com"
PATH: Final = "/api/v1/content/zhihu_search"
COUNT: Final = 10
SPLIT_EVERY: Final = timedelta(hours=24)
"""How often a search that was cut off is searched by word: each word costs a call of the day's quota."""


class ZhihuSearch(OfficialApi):
    """One run of the search."""

    platform: ClassVar[Platform] = "zhihu"
    name: ClassVar[str] = "知乎数据开放平台"
    settings: ZhihuSettings

    def targets(self) -> Sequence[Target]:
        return [Target(f"official:keyword={keyword}", keyword) for keyword in self.settings.keywords]

    def read(self, target: Target, tally: Tally) -> None:
        if self._full(target.query, tally):
            self._by_word(target, tally)
        self.kit.pipeline.flush()
        self.kit.ledger.settle(target.key, None, full=True)

    def _by_word(self, target: Target, tally: Tally) -> None:
        """Search with each word beside the keyword, once a day; a run that its quota ends is gone on with."""
        places, notes, now = self.kit.ledger.places, f"{target.key}#parts", self.kit.clock.now()
        place = places.get(notes)
        if place is None or (place["end"] and now - datetime.fromisoformat(place["end"]) >= SPLIT_EVERY):
            place = {"full": {}, "end": None}
        tally.cut_off = (ALL,)
        words = self.kit.settings.zhihu.words_beside(target.query)
        if place["end"] is None:
            for word in words:
                if word not in place["full"]:
                    place["full"][word] = self._full(f"{target.query} {word}", tally)
                    self.kit.pipeline.flush()
                    places.keep(notes, place)
            place["end"] = now.isoformat()
            places.keep(notes, place)
        tally.cut_off = (ALL, *(f"{word}：{ALL}" for word in words if place["full"].get(word)))

    def _full(self, words: str, tally: Tally) -> bool:
        """Search, and whether it gave as many as it ever gives."""
        query = urlencode({"Query": words, "Count": COUNT})

        def headers() -> dict[str, str]:
            return {
                "Authorization": f"Bearer {self.settings.access_secret.get_secret_value()}",
                "X-Request-Timestamp": str(int(self.kit.clock.now().timestamp())),
                "Content-Type": "application/json",
            }

        url = f"{self.settings.url}{PATH}?{query}"
        page, taken = self.ask(
            Call(
                send=lambda: self.client.http.build_request("GET", url, headers=headers()),
                real=f"{REAL}{PATH}?{query}",
            ),
            tally,
        )
        return len(taken.ids) + len(page.problems) >= COUNT

    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        code = text_of(body.get("Code"))
        if code in ("", "0"):
            return None
        if code == "20001":
            advice = (
                "密钥没有被接受：请在知乎数据开放平台核对或重新生成，写进 [crawl.official.zhihu] 的 access_secret；"
                "也请检查本机时钟"
            )
            return Refusal("credentials", code, advice)
        if code == "30001":
            return Refusal("rate", code)
        if code == "90001":
            return Refusal("busy", code)
        return Refusal("request", code, "平台不接受这个请求，请核对 keywords")
