"""Answers in the platforms' shapes, composed by us about an invented radiator brand. Nothing here was recorded."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

from crawlers.parse import parse
from crawlers.payload import Page, Payload

CAPTURED = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
"""Monday, 09:00 in Beijing."""


def payload(body: Any, url: str | None = None, **rest: Any) -> Payload:
    """``body``: bytes as they are, text as UTF-8, anything else as JSON."""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Payload(url=url, body=body, captured_at=rest.pop("captured_at", CAPTURED), **rest)


def read(platform: str, body: Any, url: str | None = None, **rest: Any) -> Page:
    """Parse; a fault of the parser fails the test instead of looking like an unknown answer."""
    page = parse(platform, payload(body, url, **rest))
    assert not page.reason.startswith("parser fault"), page.reason
    return page


def jsonp(value: Any, *, callback: str = "fetchJSON_comment98", encoding: str = "gbk") -> bytes:
    return f"/**/{callback}({json.dumps(value, ensure_ascii=False)});".encode(encoding)


def changed(value: Any, path: str, to: Any) -> Any:
    """A deep copy with the value at a dotted path replaced; ``...`` removes it."""
    whole = copy.deepcopy(value)
    node = whole
    *way, last = path.split(".")
    for part in way:
        node = node[int(part) if isinstance(node, list) else part]
    key: Any = int(last) if isinstance(node, list) else last
    if to is ...:
        del node[key]
    else:
        node[key] = copy.deepcopy(to)
    return whole
