"""Text as overlapping character bigrams, so that a token index answers substring questions exactly.

A field ``abc`` becomes the tokens ``ab bc c``: one token starts at every character, and a token of one character
stands only at a field's end. So a word of two characters or more is a phrase of its bigrams, which cannot reach
across two fields; a word of one character is the prefix of a token.

The tokens are separated by spaces for FTS5's ``ascii`` tokenizer (told to keep ASCII punctuation), which keeps every
character beyond ASCII. What is neither is replaced by characters that folding removes from every text, so no two
texts become equal by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from operator import add

from search.ast import And, Near, Node, Not, Or, Word
from search.normalise import fold
from search.query import MAX_DISTANCE

TOKENIZER = "ascii tokenchars '!\"#$%&''()*+,-./:;<=>?@[\\]^_`{|}~'"
"""FTS5's ``tokenize`` setting for these tokens."""

_SPACE = "\u3000"
_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_CONTROL_STAND_INS = {code: 0xFF01 + code for code in range(0x20)} | {0x7F: 0xFF5E}
_FILLER = "\uff21"
# Wider than any proximity, so that none reaches from one append into the next.
_GAP = " ".join([_FILLER] * (MAX_DISTANCE + 2))


def _encode(folded: str) -> str:
    text = folded.replace(" ", _SPACE)
    return text.translate(_CONTROL_STAND_INS) if _CONTROLS.search(text) else text


def tokens(text: str) -> str:
    """The tokens of one field (not folded yet), separated by spaces."""
    encoded = _encode(fold(text))
    return f"{' '.join(map(add, encoded, encoded[1:]))} {encoded[-1]}" if encoded else ""


def tokens_apart(texts: Iterable[str]) -> str:
    """The tokens of several fields held in one column, too far apart for any proximity."""
    return f" {_GAP} ".join(filter(None, map(tokens, texts)))


def match_expression(node: Node) -> str | None:
    """An FTS5 MATCH expression with exactly the meaning of ``node``, or None when there is none (filters, bare NOT)."""
    match node:
        case Word(text):
            return _word(text)
        case Near():
            return _near(node)
        case Or(parts):
            expressions = [match_expression(part) for part in parts]
            known = [expression for expression in expressions if expression is not None]
            return f"({' OR '.join(known)})" if len(known) == len(expressions) else None
        case And(parts):
            return _and(parts)
    return None


def _and(parts: Sequence[Node]) -> str | None:
    wanted = [match_expression(part) for part in parts if not isinstance(part, Not)]
    unwanted = [match_expression(part.part) for part in parts if isinstance(part, Not)]
    if not wanted or None in wanted or None in unwanted:
        return None
    positive = " AND ".join(filter(None, wanted))
    negative = " OR ".join(filter(None, unwanted))
    return f"(({positive}) NOT ({negative}))" if negative else f"({positive})"


def _phrase(tokens_of_word: Iterable[str]) -> str:
    return '"' + " ".join(tokens_of_word).replace('"', '""') + '"'


def _word(text: str) -> str:
    encoded = _encode(fold(text))
    if len(encoded) == 1:
        return f"{_phrase([encoded])} *"
    return _phrase(map(add, encoded, encoded[1:]))


def _near(node: Near) -> str:
    first, second = _encode(fold(node.first)), _encode(fold(node.second))
    # NEAR counts tokens between the end of one phrase and the start of the other, for both phrases alike. A word of
    # n > 1 characters is n - 1 bigrams, so its end is one token early. Where only one word is longer than a character
    # that would err by one in one order, so the longer word gets an n-th token: anything that starts with its last one.
    if len(first) > 1 and len(second) > 1:
        return f"NEAR({_word(node.first)} {_word(node.second)}, {node.distance + 1})"
    return f"NEAR({_full_length(first)} {_full_length(second)}, {node.distance})"


def _full_length(encoded: str) -> str:
    return f"{_phrase([*map(add, encoded, encoded[1:]), encoded[-1]])} *"
