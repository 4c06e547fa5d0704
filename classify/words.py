"""Finding thousands of words in a text in one pass.

Words are looked up by their first two characters, which in Chinese leaves one or two candidates; no dictionary-based
tokenizer decides where a word may begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import add
from typing import NamedTuple

from ingest.fold import fold


class Hit(NamedTuple):
    """Word number ``word`` stands at ``[start, end)`` of the folded text."""

    start: int
    end: int
    word: int


class Words:
    """A growing list of folded words, each with a number; :meth:`scan` finds every occurrence of all of them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._pairs: dict[str, dict[int, dict[str, int]]] = {}  # first two characters, length, word
        self._singles: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, word: str) -> int:
        """The number of ``word``; the same word always has the same number. Raises ValueError for a blank one."""
        folded = fold(word)
        if not folded.strip():
            raise ValueError("a blank word is found everywhere")
        number = self._numbers.get(folded)
        if number is None:
            number = self._numbers[folded] = len(self._numbers)
            if len(folded) == 1:
                self._singles[folded] = number
            else:
                self._pairs.setdefault(folded[:2], {}).setdefault(len(folded), {})[folded] = number
        return number

    def scan(self, folded: str) -> list[Hit]:
        """Every occurrence of every word, overlapping ones too, by start."""
        hits: list[Hit] = []
        append = hits.append
        singles, pairs = self._singles, self._pairs
        for start, (char, pair) in enumerate(zip(folded, map(add, folded, folded[1:] + "\n"), strict=True)):
            if char in singles:
                append(Hit(start, start + 1, singles[char]))
            if pair in pairs:
                for length, known in pairs[pair].items():
                    end = start + length
                    word = folded[start:end]
                    if word in known:
                        append(Hit(start, end, known[word]))
        return hits


@dataclass(frozen=True, slots=True)
class Pattern:
    """Words that must stand in one clause: one of ``anchor``, and one of each set in ``others``."""

    anchor: frozenset[int]
    others: tuple[frozenset[int], ...]


def parse_pattern(entry: str, words: Words) -> Pattern:
    """Read ``甲|乙~丙|丁``: 甲 or 乙, and 丙 or 丁, in the same clause. Raises ValueError when a side is blank."""
    sides = [frozenset(words.add(word) for word in side.split("|")) for side in entry.split("~")]
    return Pattern(sides[0], tuple(sides[1:]))


def nearest(hits: Sequence[Hit], to: Hit) -> Hit:
    """The hit closest to another one, the earlier of two equally close."""
    return min(hits, key=lambda hit: (max(hit.start - to.end, to.start - hit.end, 0), hit.start))


def masked(hit: Hit, masks: Sequence[Hit]) -> bool:
    """Whether a hit is only part of something else: 热 of 热情, 就漏 of 就漏电."""
    return any(mask.start < hit.end <= mask.end for mask in masks)
