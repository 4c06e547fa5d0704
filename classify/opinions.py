"""From the tags found in clauses to the opinions a mention holds: one sentiment a tag, on the words it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from classify.reading import Reading
from classify.resemblance import Resemblance
from classify.scorer import LABELS, Floats
from classify.tags import Match
from classify.taxonomy import Tag, Taxonomy
from ingest.analysis import SentimentLabel

SURE = 0.65
"""Probability from which a clause's own sentiment is given to a tag that its words only name."""

_MEANT, _DENIED, _NAMED, _FEARED = 0.92, 0.8, 0.55, 0.6
_RANK: dict[SentimentLabel, int] = {"negative": 2, "positive": 1, "neutral": 0}


@dataclass(frozen=True, slots=True)
class Opinion:
    """A tag with its sentiment, how sure, and ``[start, end)`` of its words."""

    tag: Tag
    sentiment: SentimentLabel
    confidence: float
    start: int
    end: int
    clause: int


class OpinionRules:
    """Judges, redirects and merges matches as the taxonomy says."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self._taxonomy = taxonomy
        self._resemblance = Resemblance(taxonomy)

    def opinions(self, reading: Reading, matches: Sequence[Sequence[Match]], probabilities: Floats) -> list[Opinion]:
        """One opinion a tag over the whole text, by position. ``probabilities`` is (clauses, 3)."""
        found: dict[str, Opinion] = {}
        judged = probabilities.tolist()
        for number, in_clause in enumerate(matches):
            said = any(match.sentiment not in (None, "neutral") for match in in_clause)
            opinions = [
                self._judge(match, judged[number], reading, number)
                for match in in_clause
                # In 接头开始渗水 the leak is what is said; the joint is only where.
                if match.sentiment is not None or match.tag.plain or not said
            ]
            settled = [opinion for opinion in opinions if opinion is not None]
            if not in_clause:
                resembling = self._resembling(reading, number, judged[number])
                settled = [resembling] if resembling is not None else []
            for opinion in self._without_named(settled):
                kept = found.get(opinion.tag.name)
                if kept is None or _strength(opinion) > _strength(kept):
                    found[opinion.tag.name] = opinion
        return sorted(found.values(), key=lambda opinion: (opinion.start, opinion.end, opinion.tag.name))

    def _judge(self, match: Match, probabilities: list[float], reading: Reading, number: int) -> Opinion | None:
        clause = reading.clauses[number]
        sentiment = match.sentiment
        if sentiment is not None:
            confidence = {"meant": _MEANT, "denied": _DENIED, "feared": _FEARED}[match.modality]
        else:
            top = max(range(3), key=probabilities.__getitem__)
            asked = clause.question or match.modality == "feared" or clause.has("unreal.claimed")
            if LABELS[top] != "neutral" and probabilities[top] >= SURE and not asked:
                sentiment, confidence = LABELS[top], 0.9 * probabilities[top]
            elif match.tag.plain or asked:
                sentiment, confidence = "neutral", _NAMED
            else:
                return None
        tag = match.tag
        if tag.only is not None:
            sentiment = tag.only
        return self._redirected(Opinion(tag, sentiment, round(confidence, 3), match.start, match.end, number))

    def _redirected(self, opinion: Opinion) -> Opinion:
        target = {"positive": opinion.tag.when_positive, "negative": opinion.tag.when_negative}.get(opinion.sentiment)
        if target is None:
            return opinion
        tag = self._taxonomy.by_name[target]
        return Opinion(tag, opinion.sentiment, opinion.confidence, opinion.start, opinion.end, opinion.clause)

    def _resembling(self, reading: Reading, number: int, probabilities: list[float]) -> Opinion | None:
        clause = reading.clauses[number]
        found = self._resemblance.closest(reading.folded[clause.start : clause.end])
        if found is None:
            return None
        tag, sentiment, likeness = found
        opposite = {"negative": 2, "positive": 0}.get(sentiment)
        if opposite is not None and probabilities[opposite] >= 0.6:
            return None  # the words of the example, but not its opinion
        if tag.only is not None:
            sentiment = tag.only
        return self._redirected(Opinion(tag, sentiment, round(0.8 * likeness, 3), clause.start, clause.end, number))

    @staticmethod
    def _without_named(opinions: list[Opinion]) -> list[Opinion]:
        """Where a group is judged in a clause, its tags that are only named there add nothing."""
        judged = {opinion.tag.group for opinion in opinions if opinion.sentiment != "neutral"}
        return [o for o in opinions if o.sentiment != "neutral" or o.tag.group not in judged or o.tag.only]


def _strength(opinion: Opinion) -> tuple[int, float, int]:
    return (_RANK[opinion.sentiment], opinion.confidence, -opinion.start)
