"""How Xiaohongshu says stop. Status first: a captcha answer (461, 471) has a body that says success."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

VERIFICATION: Final = Stop("verification", "小红书要求验证")
LOGIN: Final = Stop("login_required", "小红书要求登录")

CODES: Final = {
    "-100": Stop("login_required", "登录已过期（-100）"),
    "-101": Stop("login_required", "没有登录（-101）"),
    "-104": Stop("login_required", "这个账号没有权限（-104）"),
    "300011": Stop("blocked", "账号受限（300011）：请长时间停用"),
    "300012": Stop("blocked", "网络地址被拦截（300012）"),
    "300013": Stop("throttled", "访问太频繁（300013）"),
    "300015": Stop("verification", "要求验证（300015）"),
    "-510000": Stop("gone", "笔记不存在（-510000）"),
    "-510001": Stop("gone", "笔记已不可见（-510001）"),
}

STATUSES: Final = {
    401: Stop("blocked", "HTTP 401"),
    403: Stop("blocked", "HTTP 403"),
    406: Stop("blocked", "HTTP 406"),
    429: Stop("throttled", "HTTP 429"),
}

_CAPTCHA_TITLE: Final = re.compile(r"<title>[^<]{0,40}(?:验证|captcha)", re.IGNORECASE)
_LOGIN_TITLE: Final = re.compile(r"<title>[^<]{0,40}登录", re.IGNORECASE)


def outside(payload: Payload) -> Stop | None:
    if payload.status in (461, 471) or "verifytype" in payload.headers or "verifyuuid" in payload.headers:
        return VERIFICATION
    for address in destinations(payload):
        path = address.partition("/")[2].partition("?")[0]
        if "captcha" in path:
            return VERIFICATION
        if path.startswith(("login", "website-login")):
            return LOGIN
    return None


def inside(decoded: Decoded, root: Reader) -> Stop | None:
    if decoded.form in ("html", "text") and not decoded.state:
        return _page(decoded.text)
    if decoded.state and root.path == "":
        return _state(root)
    if not (root.has("code") and (root.has("success") or root.has("msg"))):
        return None
    code = root.text("code")
    if code in CODES:
        return CODES[code]
    if root["success"].value is False:
        return Stop("unknown", f"平台拒绝了（code {code[:20]}）")
    return None


def _page(text: str) -> Stop | None:
    if _CAPTCHA_TITLE.search(text[:20_000]):
        return VERIFICATION
    return LOGIN if _LOGIN_TITLE.search(text[:20_000]) else None


def _state(root: Reader) -> Stop | None:
    code = root.text("note.serverRequestInfo.errorCode")
    if code in CODES:
        return CODES[code]
    holds_data = root.is_object("note.noteDetailMap") or root.is_list("user.notes") or root.is_list("search.feeds")
    return None if holds_data else Stop("login_required", "页面里没有 noteDetailMap：要登录或验证")
