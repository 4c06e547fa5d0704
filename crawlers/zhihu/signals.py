"""How Zhihu says stop. The word ``captcha`` means nothing here: healthy pages have a state key of that name."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

VERIFICATION: Final = Stop("verification", "Zhihu asks for a verification")
LOGIN: Final = Stop("login_required", "Zhihu asks for a login")

STATUSES: Final = {
    401: LOGIN,
    403: Stop("blocked", "HTTP 403"),
    404: Stop("gone", "HTTP 404: deleted, or no comments"),
    410: Stop("gone", "HTTP 410"),
    429: Stop("throttled", "HTTP 429"),
}

_CODES: Final = {
    "40352": Stop("verification", "unusual traffic, a verification is asked (40352)"),
    "40362": Stop("blocked", "access is limited for a while (40362)"),
    "10001": Stop("blocked", "the request lacks what the page adds to it (10001)"),
    "10003": Stop("blocked", "the request lacks what the page adds to it (10003)"),
    "100": Stop("login_required", "Zhihu asks for a login (100)"),
}

_OFFICIAL_CODES: Final = {
    "20001": Stop("login_required", "the access secret was not accepted (20001)"),
    "30001": Stop("throttled", "the quota or rate limit is spent (30001)"),
    "10001": Stop("unknown", "bad parameters (10001)"),
    "90001": Stop("unknown", "an internal error of the platform (90001)"),
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
        return _OFFICIAL_CODES.get(code) or Stop("unknown", f"the open platform refused (Code {code[:20]})")
    if any(shown["antiSpider"].value is True for shown in root.at("initialState.question.answers").values()):
        return Stop("blocked", "the page is marked antiSpider")
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
