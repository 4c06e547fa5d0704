"""How Xiaohongshu says stop. Status first: a captcha answer (461, 471) has a body that says success."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

VERIFICATION: Final = Stop("verification", "Xiaohongshu asks for a captcha")
LOGIN: Final = Stop("login_required", "Xiaohongshu asks for a login")

CODES: Final = {
    "-100": Stop("login_required", "the login has expired (-100)"),
    "-101": Stop("login_required", "no login (-101)"),
    "-104": Stop("login_required", "this account has no access (-104)"),
    "300011": Stop("blocked", "the account is restricted (300011): rest it for long"),
    "300012": Stop("blocked", "the address is blocked (300012)"),
    "300013": Stop("throttled", "too frequent (300013)"),
    "300015": Stop("verification", "a verification is asked (300015)"),
    "-510000": Stop("gone", "the note does not exist (-510000)"),
    "-510001": Stop("gone", "the note cannot be seen any more (-510001)"),
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
        return Stop("unknown", f"the platform refused (code {code[:20]})")
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
    return None if holds_data else Stop("login_required", "a page without noteDetailMap: login wall or captcha")
