"""Which tags a clause speaks of: the taxonomy's words, found in clauses, with what they say of the tag."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from classify.modality import Modality
from classify.reading import Clause, Reader, Reading
from classify.taxonomy import Tag, Taxonomy
from classify.words import Hit, Pattern, Words, masked, nearest, parse_pattern
from ingest.analysis import SentimentLabel

REACH = 12
"""How far apart, in characters, the words of one pattern may stand."""


_NOT_YET = ("unreal.hope", "unreal.unknown", "unreal.claimed", "ask.accusing")
"""Praise beside these is hoped for, not known or somebody else's word: 希望好用, 不知道质量好不好, 说好的十年质保."""

_Rank = tuple[bool, int, bool, int]
"""What is judged beats what is named, then the longer words, then the bad, then the entry that comes first."""


@dataclass(frozen=True, slots=True)
class _Rule:
    tag: int
    polarity: int
    pattern: Pattern
    order: int


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one word sets off: rules it anchors, tags it keeps away, patterns that veto a tag."""

    rules: list[_Rule]
    excluded: list[int]
    vetoes: list[tuple[int, Pattern]]


class Match(NamedTuple):
    """A tag found at ``[start, end)``. ``sentiment`` is null when the words only name it and the clause must judge."""

    tag: Tag
    sentiment: SentimentLabel | None
    modality: Modality
    start: int
    end: int
    weight: int


class TagRules:
    """The taxonomy compiled: finds its tags in clauses that a :class:`Reader` over the same words has read."""

    def __init__(self, taxonomy: Taxonomy, reader: Reader) -> None:
        self._tags = taxonomy.tags
        self._reader = reader
        self._plans: dict[int, _Plan] = {}
        self._subjects: dict[int, set[str]] = {}
        for number, tag in enumerate(taxonomy.tags):
            self._compile(number, tag, reader.words)

    def _compile(self, number: int, tag: Tag, words: Words) -> None:
        for entries, polarity in ((tag.words, 0), (tag.negative, -1), (tag.positive, 1)):
            for order, entry in enumerate(entries):
                pattern = parse_pattern(entry, words)
                for anchor in pattern.anchor:
                    self._plan(anchor).rules.append(_Rule(number, polarity, pattern, order))
                    if pattern.others and tag.only is None:
                        self._subjects.setdefault(anchor, set()).add(tag.group)
        for entry in tag.excluded:
            pattern = parse_pattern(entry, words)
            for anchor in pattern.anchor:
                if pattern.others:
                    self._plan(anchor).vetoes.append((number, pattern))
                else:
                    self._plan(anchor).excluded.append(number)

    def _plan(self, word: int) -> _Plan:
        return self._plans.setdefault(word, _Plan([], [], []))

    def matches(self, reading: Reading, clause: Clause) -> list[Match]:
        """The best match of each tag in one clause, in the order of the taxonomy."""
        words = clause.words
        plans = [(plan, hits) for word, hits in words.items() if (plan := self._plans.get(word)) is not None]
        if not plans:
            return []
        present = words.keys()
        masks: dict[int, list[Hit]] = {}
        vetoed: set[int] = set()
        for plan, hits in plans:
            for number in plan.excluded:
                masks.setdefault(number, []).extend(hits)
            for number, pattern in plan.vetoes:
                if number not in vetoed and any(bind(pattern, hit, words) is not None for hit in hits):
                    vetoed.add(number)
        best: dict[int, tuple[_Rank, Match]] = {}
        for plan, hits in plans:
            for rule in plan.rules:
                if rule.tag in vetoed or any(side.isdisjoint(present) for side in rule.pattern.others):
                    continue
                for found in self._apply(rule, hits, reading, clause, masks.get(rule.tag, ())):
                    rank = (found.sentiment is not None, found.weight, found.sentiment == "negative", -rule.order)
                    kept = best.get(rule.tag)
                    if kept is None or rank > kept[0]:
                        best[rule.tag] = rank, found
        return [best[number][1] for number in sorted(best)]

    def _apply(
        self, rule: _Rule, hits: Sequence[Hit], reading: Reading, clause: Clause, masks: Sequence[Hit]
    ) -> Iterator[Match]:
        tag = self._tags[rule.tag]
        for anchor in hits:
            if masked(anchor, masks):
                continue
            bound = bind(rule.pattern, anchor, clause.words, masks)
            if bound is None or any(self._foreign_subject(anchor, hit, clause, tag.group) for hit in bound):
                continue
            parts = (anchor, *bound)
            # The last side says what is wrong or right, so that is what a negator denies.
            says = parts[-1]
            modality = self._reader.modality(reading, clause, says)
            sentiment: SentimentLabel | None = None
            if rule.polarity:
                if rule.polarity > 0 and any(clause.has(kind) for kind in _NOT_YET):
                    modality = "feared"
                if modality == "feared":
                    if rule.polarity > 0 and not tag.words:
                        continue  # 希望好用 praises nothing
                    sentiment = "neutral"
                else:
                    good = (rule.polarity > 0) != (modality == "denied")
                    sentiment = "positive" if good else "negative"
            start, end = min(part.start for part in parts), max(part.end for part in parts)
            yield Match(tag, sentiment, modality, start, end, sum(part.end - part.start for part in parts))

    def _foreign_subject(self, anchor: Hit, other: Hit, clause: Clause, group: str) -> bool:
        """Whether another group's subject stands between: in 价格便宜质量好 the 好 is not the price's."""
        left, right = min(anchor.end, other.end), max(anchor.start, other.start)
        if right - left < 2:
            return False
        for word, hits in clause.words.items():
            groups = self._subjects.get(word)
            if groups is not None and group not in groups:
                for hit in hits:
                    if left <= hit.start and hit.end <= right and hit.end - hit.start > 1:
                        return True
        return False


def bind(
    pattern: Pattern, anchor: Hit, words: dict[int, list[Hit]], masks: Sequence[Hit] = ()
) -> tuple[Hit, ...] | None:
    """The hits of the pattern's other sides nearest to its anchor, or null when a side is missing.

    Chinese says the subject first, so what follows the anchor is preferred, and a single character must follow it.
    """
    bound = []
    for side in pattern.others:
        after, before = [], []
        for word in side & words.keys():
            for hit in words[word]:
                if masked(hit, masks):
                    continue
                if 0 <= hit.start - anchor.end <= REACH:
                    after.append(hit)
                elif hit.end - hit.start > 1 and 0 <= anchor.start - hit.end <= REACH:
                    before.append(hit)
        if not after and not before:
            return None
        bound.append(nearest(after or before, anchor))
    return tuple(bound)
