"""From clause vectors and the taxonomy's words to the opinions a text holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from classify.encoder import Encoder
from classify.heads import Floats, Heads, Linear, sigmoid
from classify.modality import Modality
from classify.newtags import Background, example_vectors
from classify.opinions import Opinion
from classify.reading import Reading
from classify.scorer import LABELS
from classify.signals import Signals
from classify.tags import Match
from classify.taxonomy import Taxonomy
from ingest.analysis import SentimentLabel

_SAID: dict[Modality, float] = {"meant": 2.0, "denied": 4.0, "feared": 4.0}
"""How much the sentiment that the words say weighs: a negator or a fear in plain sight is seldom a mistake."""

_LIKENESS = 0.9
"""What likeness to a new tag's examples weighs beside its words; found on topics of other trades."""


class Tagging:
    """Finds the tags of one taxonomy. Those that the encoder was trained for have heads; others are told by examples.

    ``trained``: names of the trained tags, in the order of the heads' answers.
    """

    def __init__(self, taxonomy: Taxonomy, heads: Heads, encoder: Encoder, trained: Sequence[str]) -> None:
        self._tags = taxonomy.tags
        self._by_name = taxonomy.by_name
        self._number = {tag.name: number for number, tag in enumerate(taxonomy.tags)}
        places = {name: number for number, name in enumerate(trained)}
        self._trained = [places.get(tag.name, -1) for tag in taxonomy.tags]
        self._prior = np.zeros((len(taxonomy.tags), 3), np.float32)
        for number, place in enumerate(self._trained):
            if place >= 0:
                self._prior[number] = heads.tag_sentiment[place]
        self._blend = heads.blend
        self._new, self._exampled = self._learned(heads, encoder)

    def _learned(self, heads: Heads, encoder: Encoder) -> tuple[Linear | None, list[int]]:
        """A head for the tags without one, from their example sentences."""
        numbers, vectors = [], []
        for number, place in enumerate(self._trained):
            found = example_vectors(encoder, self._tags[number]) if place < 0 else None
            if found is not None:
                numbers.append(number)
                vectors.append(found)
        return (Background(heads.background).head(vectors), numbers) if numbers else (None, [])

    def evidence(self, trained: Floats, clauses: Floats, matches: Sequence[Sequence[Match]]) -> Floats:
        """Logits (clauses, tags) that a clause speaks of a tag. ``matches`` are the words' finds in each clause."""
        judged = np.zeros((len(clauses), len(self._tags)), np.float32)
        named = np.zeros_like(judged)
        for row, found in enumerate(matches):
            for match in found:
                (named if match.sentiment is None else judged)[row, self._number[match.tag.name]] = 1.0
        scores = _by_words(judged, named)
        known = [number for number, place in enumerate(self._trained) if place >= 0]
        if known:
            logit, judging, naming, bias = (float(value) for value in self._blend["tags"])
            logits = logit * trained[:, [self._trained[number] for number in known]] + bias
            scores[:, known] = logits + judging * judged[:, known] + naming * named[:, known]
        if self._new is not None:
            scores[:, self._exampled] += _LIKENESS * _likeness(self._new.logits(clauses))
        return scores

    def opinions(
        self, reading: Reading, matches: Sequence[Sequence[Match]], rows: Floats, signals: Signals, first: int
    ) -> list[Opinion]:
        """One opinion a tag over a whole text, by position. ``rows`` are the text's rows of :meth:`evidence`."""
        best: dict[str, Opinion] = {}
        for at, number in zip(*(found.tolist() for found in np.nonzero(rows > 0)), strict=True):
            tag = self._tags[number]
            found = next((match for match in matches[at] if match.tag is tag), None)
            sentiment, sure = self.sentiment(number, found, signals.clauses[first + at])
            target = {"positive": tag.when_positive, "negative": tag.when_negative}.get(sentiment)
            if target is not None:
                tag = self._by_name[target]
            # The words that name it are the best span; without any, the clause is.
            clause = reading.clauses[at] if found is None else found
            confidence = round(float(sigmoid(rows[at, number])) * sure, 3)
            opinion = Opinion(tag, sentiment, confidence, clause.start, clause.end, at)
            kept = best.get(tag.name)
            if kept is None or _rank(opinion) > _rank(kept):
                best[tag.name] = opinion
        return sorted(best.values(), key=lambda opinion: (opinion.start, opinion.end, opinion.tag.name))

    def sentiment(self, number: int, match: Match | None, shares: Floats) -> tuple[SentimentLabel, float]:
        """The sentiment of one tag in one clause, and how sure (0-1): the clause's, the tag's habit, the words'."""
        tag = self._tags[number]
        if tag.only is not None:
            return tag.only, 1.0
        logits = np.log(np.maximum(shares, 1e-5)) + self._prior[number]
        if match is not None and match.sentiment is not None:
            logits[LABELS.index(match.sentiment)] += _SAID[match.modality]
        powers = np.exp(logits - logits.max())
        label = int(powers.argmax())
        return LABELS[label], float(powers[label] / powers.sum())


def _by_words(judged: Floats, named: Floats) -> Floats:
    """What the words say of tags nobody was trained for: to judge or to name is enough."""
    said: Floats = 4 * judged + 3 * named - 2
    return said


def _likeness(told: Floats) -> Floats:
    """How much the example sentences speak for each new tag, -1 to 9, in logits (clauses, tags).

    A clause from far away is like the examples of every new tag at once, so only what is ahead of the others counts.
    """
    ahead = told.copy()
    if told.shape[1] > 1:
        second = np.sort(told, axis=1)[:, -2:-1]
        ahead = np.where(told >= told.max(axis=1, keepdims=True), told - np.maximum(second, 0), -1.0)
    likeness: Floats = np.clip(ahead, -1, 9)
    return likeness


def _rank(opinion: Opinion) -> tuple[float, int]:
    return opinion.confidence, -opinion.start
