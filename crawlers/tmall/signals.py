"""How Tmall and Taobao say stop: the mtop ``ret`` list, the risk object inside the old callback, punish pages."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Stop, destinations
from crawlers.payload import Payload
from crawlers.reading import Reader

_LOGIN_HOSTS: Final = ("login.taobao.com", "login.m.taobao.com", "login.tmall.com")
_PUNISH: Final = re.compile(
    r"_____tmd_____|/punish\b|x5secdata|bixi\.alicdn\.com/punish|sec\.taobao\.com/query", re.IGNORECASE
)
_CAPTCHA_PAGE: Final = re.compile(r"\"action\"\s*:\s*\"captcha\"|滑块验证|rgv587_flag", re.IGNORECASE)
_LOGIN_PAGE: Final = re.compile(r"login\.taobao\.com/member/login|login\.m\.taobao\.com/login|login\.tmall\.com")

LOGIN: Final = Stop("login_required", "淘宝要求登录")
VERIFICATION: Final = Stop("verification", "淘宝要求验证")

_RET: Final = (
    (("FAIL_SYS_SESSION_EXPIRED", "ERR_SID_INVALID", "NOT_LOGIN"), "login_required"),
    (("FAIL_SYS_USER_VALIDATE", "RGV587_ERROR", "ASSIST_FLAG"), "verification"),
    (("FAIL_SYS_TRAFFIC_LIMIT",), "throttled"),
    (("FAIL_SYS_ILLEGAL_ACCESS", "FAIL_SYS_ACCESS_DENIED"), "blocked"),
)


def outside(payload: Payload) -> Stop | None:
    for address in destinations(payload):
        if _PUNISH.search(address):
            return VERIFICATION
        if address.partition("/")[0] in _LOGIN_HOSTS:
            return LOGIN
    return None


def inside(decoded: Decoded, root: Reader) -> Stop | None:
    if decoded.form in ("html", "text"):
        return _page(decoded.text)
    if not isinstance(root.value, dict):
        return None
    if root.has("rgv587_flag"):
        return LOGIN if _is_login(root.text("url")) else VERIFICATION
    stop = _ret(root)
    if stop is not None:
        return stop
    url = root.text("url", "data.url")
    if len(root.value) <= 6 and not root.has("rateDetail") and url:
        if _PUNISH.search(url):
            return VERIFICATION
        if _is_login(url):
            return LOGIN
    return None


def _is_login(url: str) -> bool:
    return any(f"//{host}" in url for host in _LOGIN_HOSTS)


def _ret(root: Reader) -> Stop | None:
    """The failure in mtop's ``ret``. ``TOKEN_EMPTY`` and ``TOKEN_EXOIRED`` are the page's own first round: unknown."""
    first = root.at("ret.0").value if root.is_list("ret") else root["ret"].value
    if not isinstance(first, str) or first.upper().startswith("SUCCESS"):
        return None
    code = first.partition("::")[0][:60]
    for codes, signal in _RET:
        if any(one in first for one in codes):
            return Stop(signal, f"mtop 拒绝了：{code}")  # type: ignore[arg-type]
    if "denycdc_forbidden" in first:
        return Stop("blocked", f"mtop 拒绝了：{code}")
    if _PUNISH.search(root.text("data.url")):
        return VERIFICATION
    if "被挤爆" in first:
        return Stop("throttled", f"mtop 拒绝了：{code}")
    return Stop("unknown", f"mtop 出错：{code}")


def _page(text: str) -> Stop | None:
    short = text[:400_000]
    if _PUNISH.search(short) or _CAPTCHA_PAGE.search(short):
        return VERIFICATION
    if _LOGIN_PAGE.search(short):
        return LOGIN
    if "被挤爆" in short:
        return Stop("throttled", "淘宝说访问太拥挤")
    return Stop("blocked", "被网关拒绝") if "denycdc_forbidden" in short else None
