"""Folding: the form in which texts and query words are compared, and the way back to the text as written.

``fold`` is NFKC, then lower case (Σ always becomes σ, whatever follows it), then every run of white space becomes
one space. Nothing else is dropped: punctuation, emoji and invisible characters are characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import combining, normalize

_SPACES = re.compile(r"\s+")
# Starters that NFKC may join to the character before them: Hangul vowels and finals.
_JOINING_STARTERS = re.compile("[\u1160-\u11ff]")


def fold(text: str) -> str:
    """The form in which two texts are compared. May be shorter or longer than ``text``."""
    return _SPACES.sub(" ", normalize("NFKC", text).replace("Σ", "σ").lower())


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text with its way back: folded character ``i`` came from ``original[starts[i]:ends[i]]``."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original that folded ``[start, end)`` (not empty) came from."""
        return self.starts[start], self.ends[end - 1]


def fold_mapped(text: str) -> Folded:
    """:func:`fold` with offsets; ``fold_mapped(x).text == fold(x)`` for every x."""
    whole = fold(text)
    if len(whole) == len(text) and all(map(_folds_alone, text, whole)):
        return Folded(whole, range(len(text)), range(1, len(text) + 1))
    for cut in (_characters, _clusters, _lines):
        folded = _assemble(cut(text))
        if folded.text == whole:
            return folded
    return Folded(whole, [0] * len(whole), [len(text)] * len(whole))


def _folds_alone(original: str, folded: str) -> bool:
    return original == folded or fold(original) == folded


def _characters(text: str) -> Sequence[str]:
    return text


def _clusters(text: str) -> Sequence[str]:
    """Base characters with what NFKC may join to them."""
    parts: list[str] = []
    for char in text:
        if parts and (combining(char) or _JOINING_STARTERS.match(char)):
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def _lines(text: str) -> Sequence[str]:
    """Exotic scripts join across starters too; a line break is always a boundary."""
    return text.splitlines(keepends=True)


def _assemble(parts: Sequence[str]) -> Folded:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    position = 0
    for part in parts:
        end = position + len(part)
        for char in fold(part):
            if char == " " and out and out[-1] == " ":
                ends[-1] = end  # one run of white space, folded into the space that is there
            else:
                out.append(char)
                starts.append(position)
                ends.append(end)
        position = end
    return Folded("".join(out), starts, ends)
