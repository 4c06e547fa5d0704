"""Finding the words of a brand file in a text, however people write them.

A word is looked up by walking a tree of characters from each place where one may begin: time grows with the text, not
with the number of words (bounded by the longest word a place).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from ingest.fold import fold

_SEPARATORS: Final = frozenset(" -_\u2010\u2011\u2012\u2013\u2014\u2212")
_MOST_SEPARATORS: Final = 3
"""So many in a row are still one gap within a model."""
_SPACELESS: Final = 0x2E80
"""From here on (Chinese, Japanese, Korean) characters are no letters that a word could be cut out of."""
_END: Final = ""

Tree = dict[str, Any]


class Found(NamedTuple):
    """Word number ``word`` stands at ``[start, end)`` of the text."""

    start: int
    end: int
    word: int


class _Word(NamedTuple):
    number: int
    before: str
    after: str
    """Classes of characters that may not stand next to it."""


@lru_cache(maxsize=4096)
def _class(char: str) -> str:
    """``d`` for a digit, ``l`` for a letter of a script with spaces, nothing for any other character."""
    if char.isdecimal():
        return "d"
    return "l" if char.isalpha() and ord(char) < _SPACELESS else ""


@lru_cache(maxsize=4096)
def plain(word: str) -> str:
    """The form in which two words are the same: folded, without spaces and hyphens beside a letter or a digit."""
    folded = " ".join(fold(word).split())
    kept = []
    for at, char in enumerate(folded):
        if char in _SEPARATORS and (_beside(folded, at, -1) or _beside(folded, at, 1)):
            continue
        kept.append(char)
    return "".join(kept)


def _beside(text: str, at: int, step: int) -> str:
    """The class of the next character that is no separator."""
    at += step
    while 0 <= at < len(text) and text[at] in _SEPARATORS:
        at += step
    return _class(text[at]) if 0 <= at < len(text) else ""


class WordFinder:
    """Finds every occurrence of ``words`` (numbered as given), overlapping ones too.

    Letters and digits end where they end: a word with digits touches no letter or digit, one of letters no letter.
    In words of several scripts (models), and in those written with a gap, the text may have gaps (spaces, hyphens)
    beside letters and digits where the word has none, and the other way round.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._exact: Tree = {}
        self._loose: Tree = {}
        for number, word in enumerate(words):
            self._add(number, word)
        firsts = sorted({*self._exact, *self._loose})
        self._starts = re.compile("[" + "".join(map(re.escape, firsts)) + "]") if firsts else None

    def _add(self, number: int, word: str) -> None:
        bare = plain(word)
        classes = {_class(char) for char in bare}
        loose = len(classes) > 1 or bare != " ".join(fold(word).split())
        blocked = "ld" if "d" in classes else "l"
        before, after = (blocked if _class(char) else "" for char in (bare[0], bare[-1]))
        node = self._loose if loose else self._exact
        for char in bare:
            node = node.setdefault(char, {})
        node.setdefault(_END, []).append(_Word(number, before, after))

    def find(self, text: str) -> list[Found]:
        """Every occurrence, by start."""
        if self._starts is None:
            return []
        folded = fold(text)
        found: list[Found] = []
        for start in self._starts.finditer(folded):
            found += self._walk(self._exact, folded, start.start(), gaps=False)
            found += self._walk(self._loose, folded, start.start(), gaps=True)
        return found

    @staticmethod
    def _walk(node: Tree, folded: str, start: int, *, gaps: bool) -> Iterator[Found]:
        at, size = start, len(folded)
        before = _class(folded[start - 1]) if start else ""
        while at < size:
            char = folded[at]
            if gaps and at > start and char in _SEPARATORS and char not in node:
                after = at + 1
                while after < size and after - at < _MOST_SEPARATORS and folded[after] in _SEPARATORS:
                    after += 1
                if after == size or not (_class(folded[at - 1]) or _class(folded[after])):
                    return
                at, char = after, folded[after]
            following = node.get(char)
            if following is None:
                return
            node, at = following, at + 1
            for word in node.get(_END, ()):
                next_class = _class(folded[at]) if at < size else ""
                if not (before and before in word.before) and not (next_class and next_class in word.after):
                    yield Found(start, at, word.number)
