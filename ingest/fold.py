"""Folding: one spelling for the many ways of writing the same character, without moving any offset.

Every character becomes exactly one character, so a span found in the folded text is the span in the original.
"""

from __future__ import annotations

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files

_SPACES = {0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x85, 0xA0, 0x2028, 0x2029, 0x3000}
_INVISIBLE = {0xFEFF, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFE0E, 0xFE0F}


class _Folding(dict[int, int]):
    """A translation table that fills itself; at most one entry for each code point of Unicode."""

    def __init__(self, simplified: dict[int, int]) -> None:
        super().__init__()
        self._simplified = simplified

    def __missing__(self, code: int) -> int:
        self[code] = folded = self._fold(code)
        return folded

    def _fold(self, code: int) -> int:
        if code in _SPACES or code in _INVISIBLE:
            return 0x20
        if code < 0x20 or 0xD800 <= code < 0xE000:
            return 0x20  # control characters and lone surrogates say nothing and must not join words
        normal = unicodedata.normalize("NFKC", chr(code)).lower()
        if len(normal) != 1:
            return code
        return self._simplified.get(ord(normal), ord(normal))


@cache
def _table() -> _Folding:
    pairs = tomllib.loads(files("ingest").joinpath("traditional.toml").read_text("utf-8"))
    return _Folding({ord(traditional): ord(simplified) for traditional, simplified in pairs["pairs"].split()})


def fold(text: str) -> str:
    """NFKC, lower case, simplified characters and plain spaces, one character for each character of ``text``."""
    return text.translate(_table())
