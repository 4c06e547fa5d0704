"""The account that a person logged in with stands in what Xiaohongshu answers: it is taken out of what is parked.

Parsers never read it. A parked payload is parsed again when it is replayed, so everything else stays as it was; of a
page only its state is kept, which is all that its parser reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from crawlers.decode import decode
from crawlers.payload import Payload
from ingest.errors import PayloadError

_PLACES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "xiaohongshu": (("data", "user_id"), ("user", "userInfo")),
}
"""By platform: object and member. Comment answers name the viewer beside their list, a page's state beside its note."""

_MAX_WRAPPERS: Final = 4


def without_viewer(platform: str, payload: Payload) -> bytes:
    """The payload's body without the viewer's account; the body as it is where there is none, or nothing is read."""
    places = _PLACES.get(platform)
    if places is None:
        return payload.body
    try:
        decoded = decode(payload.body, payload.headers)
    except PayloadError:
        return payload.body
    if not _dropped(decoded.value, places):
        return payload.body
    return json.dumps(decoded.value).encode()


def _dropped(value: Any, places: tuple[tuple[str, str], ...]) -> bool:
    """Whether something was taken out, at any level of wrapping (the platform's body under ``data``)."""
    found = False
    for _ in range(_MAX_WRAPPERS):
        if not isinstance(value, dict):
            break
        for holder, name in places:
            inside = value.get(holder)
            if isinstance(inside, dict) and name in inside:
                del inside[name]
                found = True
        value = value.get("data")
    return found


__all__ = ["without_viewer"]
