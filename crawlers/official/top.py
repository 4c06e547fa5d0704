"""Taobao's open platform (TOP): what buyers wrote on one's own trades (``taobao.traderates.get``), and what they added
(``tmall.traderate.feeds.get``).

The platform keeps 180 days, gives pages 1 to 200 of at most 150, and signs by MD5 or HMAC.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar, Final

from crawlers.config import Platform
from crawlers.ledger import ListState
from crawlers.official.api import NEVER, Tally, Target, WindowedApi
from crawlers.official.appends import SHARE, Appends
from crawlers.official.client import Call, Kind, Refusal, text_of
from crawlers.official.config import TopSettings
from crawlers.official.gateway import CLOCK, signed_form
from crawlers.official.windows import Window
from crawlers.payload import Page, Payload
from crawlers.pipeline import Taken
from crawlers.tmall.openapi import order_lines
from ingest.clock import BEIJING

METHOD: Final = "taobao.traderates.get"
FEEDS: Final = "tmall.traderate.feeds.get"
REAL: Final = "https://eco.taobao.com/router/rest"
PAGE_SIZE: Final = 150
FIELDS: Final = "tid,oid,role,nick,result,created,item_title,num_iid,content,reply"

_BAN: Final = re.compile(r"(\d{1,7}) more seconds?")
_ADVICE: Final[Mapping[str, tuple[Kind, str]]] = {
    "11": ("permission", "应用没有这个接口的权限：请在淘宝开放平台申请交易评价接口"),
    "12": ("permission", "授权的用户没有权限：请用店铺主账号授权"),
    "25": ("credentials", "签名不对：请核对 [crawl.official.top] 的 app_key、app_secret 和 sign_method"),
    "26": ("credentials", "缺少授权：请店铺主账号授权，把 session 写进 [crawl.official.top]"),
    "27": ("credentials", "session 无效或已过期：请店铺主账号重新授权，把新的 session 写进 [crawl.official.top]"),
    "28": ("credentials", "缺少 app_key：请核对 [crawl.official.top]"),
    "29": ("credentials", "app_key 不对：请核对 [crawl.official.top] 的 app_key"),
    "31": ("clock", "时间戳被拒绝：请校准本机时钟（误差要在 10 分钟内）"),
    "53": ("credentials", "授权已失效：请店铺主账号重新授权，把新的 session 写进 [crawl.official.top]"),
}


class Top(WindowedApi):
    """One run of TOP."""

    platform: ClassVar[Platform] = "tmall"
    name: ClassVar[str] = "淘宝开放平台"
    PAGE_CAP = 200
    settings: TopSettings

    def targets(self) -> Sequence[Target]:
        return [Target("top", "本店评价")]

    def page_call(self, target: Target, window: Window, page: int) -> Call:
        asked = {
            "fields": FIELDS,
            "rate_type": "get",
            "role": "buyer",
            "start_date": window.since.astimezone(BEIJING).strftime(CLOCK),
            "end_date": window.until.astimezone(BEIJING).strftime(CLOCK),
            "page_no": str(page),
            "page_size": str(PAGE_SIZE),
            "use_has_next": "true",
        }
        return self._call(METHOD, asked)

    def _call(self, method: str, asked: Mapping[str, str], share: float = 1.0) -> Call:
        settings = self.settings
        return signed_form(
            self.client, self.kit.clock, url=settings.url, real=REAL, method=method, asked=asked,
            login={"app_key": settings.app_key, "session": settings.session.get_secret_value()},
            secret=settings.app_secret.get_secret_value(), how=settings.sign_method, share=share,
        )  # fmt: skip

    @cached_property
    def appends(self) -> Appends:
        """What is known of 追评 in this run."""
        return Appends(self._feed, self.kit.ledger, self.kit.settings.tmall.revisit_hours)

    def _feed(self, line: str) -> Page:
        return self.parsed(self.client.ask(self._call(FEEDS, {"child_trade_id": line}, SHARE)))

    def completed(self, page: Page, payload: Payload, tally: Tally) -> Page:
        look = self.settings.appends and self.looking_back
        drafts = self.appends.added(page.mentions, order_lines(payload.body), self.kit.clock.now(), look=look)
        tally.unread = self.appends.shortfall
        return replace(page, mentions=tuple(drafts))

    def ask(self, call: Call, tally: Tally, since: ListState = NEVER) -> tuple[Page, Taken]:
        answer = super().ask(call, tally, since)
        if self.appends.ended is not None:
            raise self.appends.ended
        return answer

    def flush(self) -> None:
        super().flush()
        self.appends.remember()

    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        error = body.get("error_response")
        if not isinstance(error, dict):
            return None
        code, sub = text_of(error.get("code")), text_of(error.get("sub_code"))
        said = text_of(error.get("sub_msg"))
        if code == "7":
            ban = _BAN.search(said)
            return Refusal("rate", code, wait=float(ban[1]) if ban else None)
        if code in _ADVICE:
            kind, advice = _ADVICE[code]
            return Refusal(kind, code, advice)
        if code in ("10", "15") and not sub.startswith("isv."):  # isp.*: the platform's own fault
            return Refusal("busy", code)
        if sub.startswith("isp."):
            return Refusal("busy", f"{code} {sub}")
        return Refusal("request", f"{code} {sub}".strip(), "平台不接受这个请求，请对照开放平台的错误码说明")
