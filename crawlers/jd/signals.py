"""How JD says stop: login pages, verification, and empty bodies that look like "no reviews"."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

_GONE: Final = re.compile(r"^www\.jd\.com/\?.*from=pc_item")
_LOGIN_TEXT: Final = re.compile(r"pin is null|用户未登录|passport\.jd\.com", re.IGNORECASE)
_LOGIN_PAGE: Final = re.compile(r"(?:location|url)[^<>\n]{0,60}passport\.jd\.com", re.IGNORECASE)
_RISK_PAGE: Final = re.compile(r"cfe\.m\.jd\.com|risk_handler", re.IGNORECASE)
_MESSAGES: Final = ("msg", "message", "resultMsg", "errorMessage", "errMsg", "echo", "desc", "error")

LOGIN: Final = Stop("login_required", "京东要求登录")
VERIFICATION: Final = Stop("verification", "京东要求验证")
BLOCKED: Final = Stop("blocked", "京东给了空答复：被拦截，或没有登录")


def outside(payload: Payload) -> Stop | None:
    if "x-rp-content" in payload.headers:
        return VERIFICATION
    for address in destinations(payload):
        host = address.partition("/")[0]
        if host == "passport.jd.com" or host.startswith("plogin.m.jd."):
            return LOGIN
        if host == "cfe.m.jd.com" or "risk_handler" in address:
            return VERIFICATION
        if _GONE.match(address):
            return Stop("gone", "商品页转到了京东首页")
    return None


def inside(decoded: Decoded, root: Reader) -> Stop | None:
    if decoded.form in ("html", "text"):
        return _page(decoded.text)
    if decoded.form == "jsonp" and decoded.value is None:
        return BLOCKED
    value = root.value
    if root.path == "" and value == {}:
        return BLOCKED
    if not isinstance(value, dict):
        return None
    code = root.text("code")
    if "disposal" in value or code == "605":
        return VERIFICATION
    if code == "3" or root.text("resultCode") == "-100":
        return LOGIN
    if _LOGIN_TEXT.search(" ".join(root.text(name)[:300] for name in _MESSAGES)):
        return LOGIN
    if code == "601" or (code not in ("", "0", "200") and "echo" in value):
        return Stop("blocked", f"京东网关拒绝了（code {code}）")
    if value.get("success") is False:
        return LOGIN
    return None


def _page(text: str) -> Stop | None:
    short = text[:200_000]
    if _RISK_PAGE.search(short):
        return VERIFICATION
    if _LOGIN_PAGE.search(short) or (len(text) < 2_000 and _LOGIN_TEXT.search(text)):
        return LOGIN
    return None
