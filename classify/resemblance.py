"""What is said in words the taxonomy does not list: the example sentence it resembles most."""

from __future__ import annotations

import math
from collections import Counter

from classify.clauses import split
from classify.taxonomy import Tag, Taxonomy
from ingest.analysis import SentimentLabel
from ingest.fold import fold

ALIKE = 0.6
"""Cosine over weighted character bigrams from which a clause counts as another wording of an example."""

_SHORTEST, _LONGEST = 5, 60


class Resemblance:
    """Finds the tag whose example sentence resembles a clause; examples count whole and clause by clause."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._owners: list[tuple[Tag, SentimentLabel]] = []
        sets: list[frozenset[str]] = []
        labels: tuple[SentimentLabel, ...] = ("negative", "neutral", "positive")
        for tag in taxonomy.tags:
            for label in labels:
                for sentence in getattr(tag.examples, label):
                    folded = fold(sentence)
                    parts = {folded, *(folded[start:end] for start, end in split(folded))}
                    for part in sorted(parts):
                        if len(part) >= _SHORTEST:
                            sets.append(_bigrams(part))
                            self._owners.append((tag, label))
        seen = Counter(bigram for bigrams in sets for bigram in bigrams)
        self._weight = {bigram: math.log(1 + len(sets) / count) for bigram, count in seen.items()}
        self._unseen = 0.5 * math.log(1 + len(sets))  # filler between the words of an example is no other subject
        self._norms = [math.sqrt(sum(self._weight[bigram] ** 2 for bigram in bigrams)) for bigrams in sets]
        self._postings: dict[str, list[int]] = {}
        for number, bigrams in enumerate(sets):
            for bigram in sorted(bigrams):
                self._postings.setdefault(bigram, []).append(number)

    def closest(self, clause: str) -> tuple[Tag, SentimentLabel, float] | None:
        """The tag, sentiment and likeness (0-1) of the example nearest to a folded clause, if it is near enough."""
        if not _SHORTEST <= len(clause) <= _LONGEST:
            return None
        shared: dict[int, float] = {}
        norm = 0.0
        for bigram in sorted(_bigrams(clause)):
            weight = self._weight.get(bigram)
            if weight is None:
                norm += self._unseen**2
                continue
            norm += weight**2
            for number in self._postings[bigram]:
                shared[number] = shared.get(number, 0.0) + weight**2
        best, likeness = -1, 0.0
        for number, dot in shared.items():
            cosine = dot / (self._norms[number] * math.sqrt(norm))
            if cosine > likeness:
                best, likeness = number, cosine
        if likeness < ALIKE:
            return None
        tag, label = self._owners[best]
        return tag, label, min(likeness, 1.0)


def _bigrams(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))
