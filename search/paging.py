"""Order and pages: keys by sort, the first so many of them, and the cursor that goes on after the last."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any, Final

import numpy as np
import orjson

from ingest.errors import UserError
from search.base import Sort
from search.columns import NULL, Array, Columns

_VERSION: Final = 1
_INVALID = "翻页标记无效，请从第一页重新搜索"

Key = tuple[float, float, int]


def sort_keys(columns: Columns, slots: Array, sort: Sort, relevance: Array | None) -> tuple[Array, Array, Array]:
    """Three arrays to order ``slots`` by, the largest first. Ties end at the document id, so the order is total."""
    created, docids = columns["created"][slots], columns.docids[slots]
    match sort:
        case "newest":
            return created, np.zeros(len(slots), np.int64), docids
        case "oldest":
            return -created, np.zeros(len(slots), np.int64), -docids
        case "likes":
            likes = columns["likes"][slots].astype(np.int64)
            likes[likes == NULL] = -1
            return likes, created, docids
        case "severity":
            return columns["severity"][slots], created, docids
        case "relevance":
            assert relevance is not None
            return relevance[slots], created, docids


def order(keys: tuple[Array, Array, Array], limit: int | None = None) -> Array:
    """Positions of the ``limit`` largest (None: of all), the largest first, without sorting the rest."""
    chosen = np.arange(len(keys[0])) if limit is None else _largest(keys, limit)
    first, second, third = (key[chosen] for key in keys)
    found: Array = chosen[np.lexsort((third, second, first))[::-1]]
    return found


def _largest(keys: tuple[Array, Array, Array], limit: int) -> Array:
    positions = np.arange(len(keys[0]))
    taken: list[Array] = []
    for key in keys:
        if len(positions) <= limit:
            break
        if not limit:
            return np.concatenate([*taken, positions[:0]])
        values = key[positions]
        threshold = np.partition(values, len(values) - limit)[len(values) - limit]
        above = positions[values > threshold]
        taken.append(above)
        limit -= len(above)
        positions = positions[values == threshold]
    return np.concatenate([*taken, positions[:limit]])


def after(keys: tuple[Array, Array, Array], cursor: Key) -> Array:
    """Positions that come after the cursor's."""
    first, second, third = keys
    one, two, three = cursor
    behind = (first < one) | ((first == one) & ((second < two) | ((second == two) & (third < three))))
    return np.flatnonzero(behind)


def write_cursor(sort: Sort, keys: tuple[Any, Any, Any]) -> str:
    """An opaque, URL-safe mark of the last hit."""
    plain = orjson.dumps([_VERSION, sort, *(key.item() for key in keys)])
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort) -> Key:
    """Raises UserError for anything that :func:`write_cursor` did not write for the same sort."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, of_sort, *keys = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise UserError(_INVALID) from error
    if version != _VERSION or of_sort != sort or len(keys) != 3 or not all(map(_is_key, keys)):
        raise UserError(_INVALID)
    return keys[0], keys[1], keys[2]


def _is_key(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
