"""JD's merchant API (JOS): the reviews of one's own shop, by ``getVenderCommentsForJos``.

Parameters, signature and the answer's root are the platform's documentation; how long a window may be, it does not
say: ``window_days`` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar, Final

import orjson

from crawlers.config import Platform
from crawlers.official.api import Target, WindowedApi
from crawlers.official.client import Call, Refusal, text_of
from crawlers.official.config import JosSettings
from crawlers.official.gateway import CLOCK, signed_form
from crawlers.official.windows import Window
from ingest.clock import BEIJING

METHOD: Final = "jingdong.pop.PopCommentJsfService.getVenderCommentsForJos"
REAL: Final = "https://api.jd.com/routerjson"
PAGE_SIZE: Final = 50
SKUS_AT_ONCE: Final = 20

_TOKEN: Final = re.compile(r"access[_ ]?token|session|授权", re.IGNORECASE)
_LIMIT: Final = re.compile(r"limit|frequen|频|次数|限流|上限", re.IGNORECASE)
_ADVICE: Final[Mapping[str, tuple[str, str]]] = {
    "8": ("clock", "时间戳被拒绝：请校准本机时钟（误差要在 6 分钟内）"),
    "11": ("request", "缺少签名"),
    "12": ("credentials", "签名不对：请核对 [crawl.official.jos] 的 app_key 和 app_secret"),
    "15": ("permission", "没有这个接口：请在京东商家开放平台为应用申请评价接口的权限"),
}
"""Gateway codes of the platform's table that say more than their words."""


class Jos(WindowedApi):
    """One run of JOS."""

    platform: ClassVar[Platform] = "jd"
    name: ClassVar[str] = "京东商家开放平台"
    PAGE_CAP = 1000
    settings: JosSettings

    def targets(self) -> Sequence[Target]:
        skus = self.settings.skus
        if not skus:
            return [Target("jos", "本店评价")]
        parts = [",".join(skus[start : start + SKUS_AT_ONCE]) for start in range(0, len(skus), SKUS_AT_ONCE)]
        return [Target(f"jos:{sha256(part.encode()).hexdigest()[:20]}", part) for part in parts]

    def page_call(self, target: Target, window: Window, page: int) -> Call:
        asked: dict[str, Any] = {
            "beginTime": window.since.astimezone(BEIJING).strftime(CLOCK),
            "endTime": window.until.astimezone(BEIJING).strftime(CLOCK),
            "page": page,
            "pageSize": PAGE_SIZE,
        }
        if self.settings.skus:
            asked["skuids"] = target.query
        business = {"360buy_param_json": orjson.dumps(asked).decode()}
        settings = self.settings
        return signed_form(
            self.client, self.kit.clock, url=settings.url, real=REAL, method=METHOD, asked=business,
            login={"app_key": settings.app_key, "access_token": settings.access_token.get_secret_value()},
            secret=settings.app_secret.get_secret_value(),
        )  # fmt: skip

    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        error = body.get("error_response")
        if not isinstance(error, dict):
            return None
        code = text_of(error.get("code"))
        words = f"{text_of(error.get('zh_desc'))} {text_of(error.get('en_desc'))}"
        if code in _ADVICE:
            kind, advice = _ADVICE[code]
            return Refusal(kind, code, advice)  # type: ignore[arg-type]  # the table's kinds
        if code == "2" or "App Call Limited" in words:
            return Refusal("quota", code)
        if _TOKEN.search(words):
            advice = "access_token 无效或已过期：请商家重新授权，把新的 access_token 写进 [crawl.official.jos]"
            return Refusal("credentials", code, advice)
        if _LIMIT.search(words):
            return Refusal("rate", code)
        if re.search(r"权限|permission|unauthori", words, re.IGNORECASE):
            return Refusal("permission", code, "应用没有这个接口的权限：请在京东商家开放平台申请评价接口")
        if re.search(r"不可用|繁忙|超时|unavailable|timeout|busy|internal", words, re.IGNORECASE):
            return Refusal("busy", code)
        return Refusal("request", code, "平台不接受这个请求，请对照开放平台的错误码说明")
