"""Whether a word is meant: denied (不漏水), only feared or supposed (怕漏电, 会不会爆), or said of a thing that is."""

from __future__ import annotations

import re
from typing import Literal

from classify.lexicon import Lexicon

Modality = Literal["meant", "feared", "denied"]

_REACH = 14
_FORBIDDING = re.compile(r"(?:千万|可|请)?(?:别|不要|勿|莫)(?:再|被|让|给)?$")
_FORBIDDING_LOOKALIKE = re.compile(r"[特区差级分个识告鉴辨派类性]别$")


class Denial:
    """Finds the negator of a word: 不漏水, 没有出现过漏水, 从来没漏过; not 不知道为什么漏水, 没用几天就漏水."""

    def __init__(self, lexicon: Lexicon) -> None:
        negators = "|".join(map(re.escape, sorted(lexicon.negators, key=len, reverse=True)))
        fillers = "|".join(map(re.escape, sorted(lexicon.fillers, key=len, reverse=True)))
        self._denied = re.compile(f"(?:{negators})(?:{fillers}){{0,4}}$")
        self._first = frozenset(word[0] for word in lexicon.negators)
        self._lookalikes = lexicon.negator_lookalikes

    def denied(self, folded: str, clause_start: int, start: int) -> bool:
        """Whether the word at ``start`` of a clause that begins at ``clause_start`` is denied."""
        begin = max(clause_start, start - _REACH)
        left = folded[begin:start]
        if self._first.isdisjoint(left):
            return False
        found = self._denied.search(left)
        if found is None:
            return False
        return not self._is_lookalike(folded, begin + found.start())

    def _is_lookalike(self, folded: str, negator: int) -> bool:
        for word in self._lookalikes:
            for shift in range(len(word)):
                if folded.startswith(word, negator - shift) and negator >= shift:
                    return True
        return False


def forbidden(folded: str, clause_start: int, start: int) -> bool:
    """别爆, 不要再漏: a wish, not an event."""
    left = folded[max(clause_start, start - 6) : start]
    return _FORBIDDING.search(left) is not None and _FORBIDDING_LOOKALIKE.search(left) is None


def either_or(folded: str, start: int) -> bool:
    """漏不漏水, 热没热: a question in itself."""
    return start >= 2 and folded[start - 1] in "不没" and folded[start - 2] == folded[start]
