"""Addresses of next pages, and addresses fit to be told. What a payload says is never followed as an address: only
its parameters are used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MAX_VALUE = 500

_KEPT_PARAMS: Final = frozenset(
    {
        *("productId", "sku", "page", "score", "sortType"),
        *("itemId", "sellerId", "currentPage", "order"),
        *("keyword", "offset", "limit", "order_by", "cursor"),
        *("note_id", "root_comment_id", "aweme_id", "item_id", "comment_id"),
    }
)
"""Query parameters that say what was read. Everything else (tokens, signatures, fingerprints) is dropped."""

_TOLD: Final = re.compile(r"""([?&#;]([^\s=&#?"'<>]{1,100})=)[^\s&#"'<>]*""")
_LOGIN: Final = re.compile(r"(?<=://)[^\s/@]{1,300}@")


def with_params(url: str, params: Mapping[str, str]) -> str:
    """``url`` with these query parameters set, in their place where they were there before."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.update({name: value for name, value in params.items() if len(value) <= MAX_VALUE})
    return urlunsplit((parts.scheme, parts.netloc, parts.path, urlencode(query), ""))


def params_of(url: str) -> dict[str, str]:
    """The query parameters of an address that came from outside; none when it cannot be read."""
    try:
        return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    except ValueError:
        return {}


def stored_url(url: str | None) -> str | None:
    """An address fit to be stored: path and naming parameters, no tokens."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        kept = [(name, value) for name, value in parse_qsl(parts.query) if name in _KEPT_PARAMS]
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]  # without a user's name and password
    return urlunsplit((parts.scheme, host, parts.path, urlencode(kept), ""))[:2000]


def told(text: str) -> str:
    """A message fit for a log, a reason or an exception: what its addresses carry beside naming parameters is "…".

    Libraries put the address that failed into their errors, token and all.
    """
    found = _TOLD.sub(lambda match: match[0] if match[2] in _KEPT_PARAMS else f"{match[1]}…", text)
    return _LOGIN.sub("…@", found)
