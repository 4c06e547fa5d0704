"""Counts as platforms and exports write them, with the roundness they admit."""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

MAX_COUNT: Final = 10**15
"""A larger count is no count (ids and times are not counts either)."""


class Count(NamedTuple):
    """A count as shown; ``approximate`` when the platform rounded it ("1.5万", "2000+")."""

    value: int | None
    approximate: bool = False


_COUNT: Final = re.compile(
    r"^(?:共|约|超过?|近)?\s*(\d{1,15}(?:\.\d{1,4})?)\s*(万|亿|千|[wWkK])?\s*(\+|多)?\s*(?:条|个|次|人)?[^\d%]{0,8}$"
)
_UNITS: Final = {"": 1, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}


def read_count(value: object) -> Count:
    """A count from a number or text ("3703", "1.5万", "14万+", "共 23 条评论"); ``Count(None)`` for anything else."""
    if isinstance(value, bool) or value is None:
        return Count(None)
    if isinstance(value, int):
        return Count(value) if 0 <= value <= MAX_COUNT else Count(None)
    if isinstance(value, float):
        return Count(int(value)) if value.is_integer() and 0 <= value <= MAX_COUNT else Count(None)
    if not isinstance(value, str) or len(value) > 40:
        return Count(None)
    match = _COUNT.match(unicodedata.normalize("NFKC", value).replace(",", "").strip())
    if match is None:
        return Count(None)
    unit = (match[2] or "").lower()
    # Decimal digits only, so 1.1万 is 11000 and not 11000.000000000002.
    whole, _, fraction = match[1].partition(".")
    number = int(whole) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
    if number > MAX_COUNT:
        return Count(None)
    return Count(number, bool(unit or match[3] or fraction))
