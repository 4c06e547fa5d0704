"""Order and pages: keys by sort, the first so many of them, and the cursor that goes on after the last."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Final

import numpy as np
import orjson

from ingest.errors import UserError
from search.base import Sort
from search.columns import NULL, Array, Columns

_VERSION: Final = 1
_INVALID = "翻页标记无效，请从第一页重新搜索"

Keys = tuple[Array, ...]
"""By slot, the largest first; a tie in one is broken by the next. The last is unique, so the order is total."""


def sort_keys(columns: Columns, sort: Sort, relevance: Array | None = None) -> Keys:
    """The keys of a sort over all slots; ``relevance`` is needed for that sort alone."""
    created, docids = columns["created"], columns.docids
    match sort:
        case "newest":
            return created, docids
        case "oldest":
            return -created, -docids
        case "likes":
            likes = columns["likes"].astype(np.int64)
            likes[likes == NULL] = -1
            return likes, created, docids
        case "severity":
            return columns["severity"], created, docids
        case "relevance":
            assert relevance is not None
            return relevance, created, docids


def ordered(slots: Array, keys: Keys) -> Array:
    """All slots in order."""
    found: Array = slots[np.lexsort([key[slots] for key in reversed(keys)])[::-1]]
    return found


def first(slots: Array, keys: Keys, limit: int) -> Array:
    """The first ``limit`` slots in order, without sorting the rest."""
    taken: list[Array] = []
    for key in keys:
        if len(slots) <= limit or not limit:
            break
        values = _at(key, slots)
        threshold = np.partition(values, len(values) - limit)[len(values) - limit]
        above = slots[values > threshold]
        taken.append(above)
        limit -= len(above)
        slots = slots[values == threshold]
    return ordered(np.concatenate([*taken, slots[:limit]]), keys)


def merged(slots: Array, keys: Keys, groups: Array) -> tuple[Array, Mapping[int, int]]:
    """Rising slots without those of whose group another one comes earlier in order; slot -> size of the larger groups.

    ``groups`` is by slot, 0 for none.
    """
    codes = groups[slots]
    found, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    several = (counts > 1) & (found != 0)
    crowded = several[place]
    alike = ordered(slots[crowded], keys)
    _, first_places, sizes = np.unique(groups[alike], return_index=True, return_counts=True)
    leaders = alike[first_places]
    kept = np.sort(np.concatenate((slots[~crowded], leaders)))
    return kept, dict(zip(leaders.tolist(), sizes.tolist(), strict=True))


def after(slots: Array, keys: Keys, cursor: tuple[float, ...]) -> Array:
    """The slots that come after the cursor, rising again."""
    behind: list[Array] = []
    for key, bound in zip(keys, cursor, strict=True):
        values = _at(key, slots)
        behind.append(slots[values < bound])
        slots = slots[values == bound]
    return np.sort(np.concatenate(behind))


def _at(key: Array, slots: Array) -> Array:
    """The key of each slot; the slots must be rising, so that as many as there are keys are all of them."""
    return key if len(slots) == len(key) else key[slots]


def write_cursor(sort: Sort, keys: Keys, slot: int) -> str:
    """An opaque, URL-safe mark of the last hit."""
    plain = orjson.dumps([_VERSION, sort, *(key[slot].item() for key in keys)])
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort) -> tuple[float, ...]:
    """Raises UserError for anything that :func:`write_cursor` did not write for the same sort."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, of_sort, *keys = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise UserError(_INVALID) from error
    expected = 2 if sort in ("newest", "oldest") else 3
    if version != _VERSION or of_sort != sort or len(keys) != expected or not all(map(_is_key, keys)):
        raise UserError(_INVALID)
    return tuple(keys)


def _is_key(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 2**63
    )
