"""Web addresses fit to be kept: where something was said, without who opened it and with what key."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote_plus, urlsplit

from ingest.masks import mask

MAX_URL: Final = 2000

_SECRET: Final = re.compile(
    r"token|sign|secret|passw|pwd|auth|session|cookie|ticket|jwt|(?:^|[_.-])(?:sid|sig|ak|sk|code|key|bogus|trace)(?:$|[_.-])"
    r"|api_?key|access_?key|fingerprint|h5st|bogus",
    re.IGNORECASE,
)
_PERSON: Final = re.compile(
    r"phone|mobile|(?:^|[_.-])(?:tel|cell|mail|uid|user|nick|name|contact|addr|address|idcard|id_card|qq|wx)(?:$|[_.-])"
    r"|e?mail|open_?id|union_?id|user_?id|user_?name|nick_?name|real_?name|receiver|buyer|wechat|telephone",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"[^\s<>\"\\^`{|}@/?#\x00-\x20\ud800-\udfff]+")
_BROKEN: Final = re.compile('[\x00-\x20\x7f<>"\\\\^`{|}\ud800-\udfff]')
_ITEM: Final = re.compile(
    r"(?:item|sku|product|goods|note|aweme|video|question|answer|comment)?_?id|sku", re.IGNORECASE
)
_ITEM_PATH: Final = re.compile(r"/(?:answer|question|p|pin|zvideo|item|product|video)/\d+(?=/|$|\.)")
"""What is numbered by a shop or a platform: an old item has eleven digits, like a phone."""
_WHO: Final = re.compile(r"\[(?:电话|邮箱|证件号)\]")


def public_url(url: object) -> str | None:
    """The http(s) address without a user's name and password and without the query parameters that carry a key or a
    person (by their name, or by a value that :func:`ingest.masks.mask` would mask); what is left stays as written.

    None for anything else, and where the path itself names a person: an address is worth less than that.
    """
    if not isinstance(url, str):
        return None
    text = url.strip()
    if len(text) > MAX_URL or _BROKEN.search(text):
        return None
    try:
        parts = urlsplit(text)
        host = parts.netloc.rpartition("@")[2]
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError:
        return None
    if (
        parts.scheme not in ("http", "https")
        or not _HOST.fullmatch(host)
        or _WHO.search(_masked(_ITEM_PATH.sub("", parts.path)))
    ):
        return None
    query = "&".join(piece for piece in parts.query.split("&") if _harmless(piece))
    fragment = parts.fragment
    if any(not _harmless(piece) for piece in re.split("[?&]", fragment)):
        fragment = ""
    return f"{parts.scheme}://{host}{parts.path}{'?' + query if query else ''}{'#' + fragment if fragment else ''}"


def _harmless(piece: str) -> bool:
    name, _, value = piece.partition("=")
    name = unquote_plus(name)
    if _ITEM.fullmatch(name) and value.isdigit():
        return True
    named = _SECRET.search(name) or _PERSON.search(name)
    return not (named or _WHO.search(_masked(value)) or _WHO.search(_masked(name)))


def _masked(text: str) -> str:
    return mask(unquote_plus(text))


__all__ = ["MAX_URL", "public_url"]
