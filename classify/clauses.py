"""Cutting a text into clauses: the stretch in which a word and the opinion about it stand together."""

from __future__ import annotations

import re

_CUT = re.compile(
    r"[\n\r。!?;,、~…|]+|\.{2,}|(?<!\d)\.|\.(?!\d)| +"
    # A turn inside a clause begins a new one: 热是热但是费气.
    r"|(?<=.)(?=但是|可是|可惜|然而|只可惜|唯一|美中不足|万万没想到)"
    r"|(?<=[^不非])(?=但(?!愿|凡))"
    r"|(?<=[^\d不再只超经通比])(?=不过(?!如此|关|期|敏|分|来|去))"
    r"|(?<=[^不也那这])(?=就是(?!不|没|好|棒|快|牛|赞|不一样|厉害|给力|说|想|靠谱|放心|强|香))"
    r"|(?<=[^不])(?=只是)"
)


def split(folded: str) -> list[tuple[int, int]]:
    """``[start, end)`` of each clause, in order, without its punctuation; blank stretches are left out."""
    clauses: list[tuple[int, int]] = []
    start = 0
    for cut in _CUT.finditer(folded):
        if cut.start() > start:
            clauses.append((start, cut.start()))
        start = cut.end()
    if start < len(folded):
        clauses.append((start, len(folded)))
    return clauses


def asks(folded: str, end: int) -> bool:
    """Whether the punctuation right after a clause that ends at ``end`` holds a question mark."""
    for position in range(end, min(end + 4, len(folded))):
        if folded[position] == "?":
            return True
        if folded[position] not in " !.~…。":
            return False
    return False
