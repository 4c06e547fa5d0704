"""Texts and words as tokens for a ``whitespace``-analysed field: the bigrams of :mod:`search.grams`, and characters.

Tokens are made here, so no plug-in and no analyser of the server decides what a word is. Two fields hold the same
text: ``grams`` (``ab bc c``: one token starts at every character) finds words of two characters and more as phrases;
``chars`` (``a b c``) finds single characters, and counts distances.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add

from search.normalise import fold

# After folding, the only white space left is the space. Folding turns a no-break space into a space, so no text has
# one, and the server's tokenizer does not split on it.
_SPACE = "\u00a0"
GAP = 1_000
"""Positions between two values of a field: wider than any proximity, and no phrase reaches across."""


def encoded(text: str) -> str:
    """Folded, without anything that the tokenizer splits on. Not reversible, but no two folded texts become equal."""
    return fold(text).replace(" ", _SPACE)


def grams(code: str) -> str:
    """The bigrams of an encoded text, separated by spaces; the last token is the last character alone."""
    return f"{' '.join(map(add, code, code[1:]))} {code[-1]}" if code else ""


def chars(code: str) -> str:
    """The characters of an encoded text, separated by spaces."""
    return " ".join(code)


def phrase(code: str) -> str:
    """The bigrams that stand in a row exactly where an encoded word of two characters or more does."""
    return " ".join(map(add, code, code[1:]))


def fields(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """(grams, chars) of several texts; none reaches into the next."""
    codes = [code for code in map(encoded, texts) if code]
    return [grams(code) for code in codes], [chars(code) for code in codes]
