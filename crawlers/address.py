"""Addresses of next pages. What a payload says is never followed as an address: only its parameters are used."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

MAX_VALUE = 500


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
