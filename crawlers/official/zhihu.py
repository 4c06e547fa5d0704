"""Zhihu's data open platform: search by keyword. At most ten results and no second page, so it is asked every run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final
from urllib.parse import urlencode

from crawlers.config import Platform
from crawlers.official.api import OfficialApi, Tally, Target
from crawlers.official.client import Call, Refusal, text_of
from crawlers.official.config import ZhihuSettings

REAL: Final = "https://developer.zhihu.com"
PATH: Final = "/api/v1/content/zhihu_search"
COUNT: Final = 10


class ZhihuSearch(OfficialApi):
    """One run of the search."""

    platform: ClassVar[Platform] = "zhihu"
    name: ClassVar[str] = "知乎数据开放平台"
    settings: ZhihuSettings

    def targets(self) -> Sequence[Target]:
        return [Target(f"official:keyword={keyword}", keyword) for keyword in self.settings.keywords]

    def read(self, target: Target, tally: Tally) -> None:
        query = urlencode({"Query": target.query, "Count": COUNT})

        def headers() -> dict[str, str]:
            return {
                "Authorization": f"Bearer {self.settings.access_secret.get_secret_value()}",
                "X-Request-Timestamp": str(int(self.kit.clock.now().timestamp())),
                "Content-Type": "application/json",
            }

        url = f"{self.settings.url}{PATH}?{query}"
        self.ask(
            Call(
                send=lambda: self.client.http.build_request("GET", url, headers=headers()),
                real=f"{REAL}{PATH}?{query}",
            ),
            tally,
        )
        self.kit.pipeline.flush()
        self.kit.ledger.settle(target.key, None, full=True)

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
