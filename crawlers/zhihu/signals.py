"""How Zhihu says stop. The word ``captcha`` means nothing here: healthy pages have a state key of that name."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

VERIFICATION: Final = Stop("verification", "知乎要求验证")
LOGIN: Final = Stop("login_required", "知乎要求登录")

STATUSES: Final = {
    401: LOGIN,
    403: Stop("blocked", "HTTP 403"),
    404: Stop("gone", "HTTP 404：已删除，或没有评论"),
    410: Stop("gone", "HTTP 410"),
    429: Stop("throttled", "HTTP 429"),
}

_CODES: Final = {
    "40352": Stop("verification", "流量异常，要求验证（40352）"),
    "40362": Stop("blocked", "暂时限制访问（40362）"),
    "10001": Stop("blocked", "请求缺少页面自己会加的内容（10001）"),
    "10003": Stop("blocked", "请求缺少页面自己会加的内容（10003）"),
    "100": Stop("login_required", "知乎要求登录（100）"),
}

_OFFICIAL_CODES: Final = {
    "20001": Stop("login_required", "访问密钥没有通过（20001）"),
    "30001": Stop("throttled", "配额或频率用完了（30001）"),
    "10001": Stop("unknown", "参数不对（10001）"),
    "90001": Stop("unknown", "平台内部错误（90001）"),
}

_VERIFY_TITLE: Final = re.compile(r"<title>[^<]{0,40}安全验证")


def outside(payload: Payload) -> Stop | None:
    for address in destinations(payload):
        path = address.partition("/")[2]
        if path.startswith("account/unhuman"):
            return VERIFICATION
        if path.startswith("signin"):
            return LOGIN
    return None


def inside(decoded: Decoded, root: Reader) -> Stop | None:
    if decoded.form in ("html", "text") and root.path == "":
        stop = _page(decoded)
        if stop is not None:
            return stop
    if root.is_object("error"):
        return _error(root["error"])
    if root.has("Code") and root.text("Code") != "0":
        code = root.text("Code")
        return _OFFICIAL_CODES.get(code) or Stop("unknown", f"知乎开放平台拒绝了（Code {code[:20]}）")
    if any(shown["antiSpider"].value is True for shown in root.at("initialState.question.answers").values()):
        return Stop("blocked", "页面带有 antiSpider 标记")
    return None


def _page(decoded: Decoded) -> Stop | None:
    head = decoded.text[:50_000]
    if _VERIFY_TITLE.search(head):
        return VERIFICATION
    if decoded.state:
        return None
    if "/account/unhuman" in head:
        return VERIFICATION
    return LOGIN if decoded.form == "html" and "/signin" in head else None


def _error(error: Reader) -> Stop | None:
    """What an ``error`` object means; None where the HTTP status says more (a plain "not found")."""
    stop = _CODES.get(error.text("code"))
    if stop is not None and stop.signal == "verification":
        return stop
    if "/account/unhuman" in error.text("redirect"):
        return VERIFICATION
    return LOGIN if error.flag("need_login") else stop
