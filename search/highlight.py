"""Where the words of a query stand in a mention's own text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.analysis import ClassifiedMention
from search.ast import Near, Node, Word, positive_words
from search.memory import near_pairs, occurrences, text_fields
from search.normalise import fold, fold_mapped


def highlights(node: Node, mention: ClassifiedMention) -> Mapping[str, Sequence[tuple[int, int]]]:
    """[start, end) character ranges by field, in order and free of overlaps; fields without any are left out.

    Marked are the words that a match can rest on, also in fields where the whole query does not hold.
    """
    words = list(dict.fromkeys(positive_words(node)))
    marked: dict[str, Sequence[tuple[int, int]]] = {}
    if not words:
        return marked
    for name, text in text_fields(mention):
        folded = fold(text)
        ranges = [span for word in words for span in _ranges(word, folded)]
        if ranges:
            mapped = fold_mapped(text)
            marked[name] = _merged([mapped.span(start, end) for start, end in ranges])
    return marked


def _ranges(word: Word | Near, folded: str) -> list[tuple[int, int]]:
    if isinstance(word, Word):
        text = fold(word.text)
        return [(start, start + len(text)) for start in occurrences(text, folded)]
    first, second = len(fold(word.first)), len(fold(word.second))
    return [span for one, other in near_pairs(word, folded) for span in ((one, one + first), (other, other + second))]


def _merged(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
