"""The linear classifier: n-gram weights for sentiment, the taxonomy's words and the lexicon for everything else."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log
from pathlib import Path

from classify.base import Classifier, Utterance
from classify.batches import batches
from classify.conclusions import RATING, sentiment_of, silent, tags_of
from classify.flags import FlagRules, is_empty
from classify.intent import asking, balance, demands, escalates, intent_of
from classify.opinions import Opinion, OpinionRules
from classify.reading import Reader, Reading
from classify.safety import SafetyRules
from classify.scorer import Floats, load_weights
from classify.sentiments import LinearSentiments, Sentiments
from classify.severity import severity
from classify.tags import Match, TagRules
from classify.taxonomy import Taxonomy
from classify.words import Words
from ingest.analysis import Analysis, Flag, Intent, SentimentLabel

_UNSURE = 0.5
_CLOSE = 0.1


class LinearClassifier(Classifier):
    """Deterministic, thread-safe after construction, numpy only.

    ``weights_dir``: a folder that ``python -m classify.training.linear`` wrote; the shipped weights by default.
    ``brand_words``: names of the brand and its products; given, texts that speak of neither are flagged off_topic.
    ``sentiments``: another source of sentiment than the weights, which then are not read; everything else stays the
    rules'. Raises ModelError when the weights cannot be trusted.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        weights_dir: Path | None = None,
        brand_words: Sequence[str] = (),
        *,
        sentiments: Sentiments | None = None,
    ) -> None:
        self._sentiments = sentiments or LinearSentiments(load_weights(weights_dir))
        words = Words()
        self._reader = Reader(words)
        self._tags = TagRules(taxonomy, self._reader)
        self._safety = SafetyRules(taxonomy, self._reader)
        given = tuple(word for word in brand_words if word.strip())
        self._flags = FlagRules(taxonomy, self._reader.lexicon, words, given)
        self._opinions = OpinionRules(taxonomy)
        self._taxonomy = taxonomy

    @property
    def name(self) -> str:
        return self._sentiments.name

    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        return [analysis for batch in batches(utterances) for analysis in self._analyse(batch)]

    def read(self, utterances: Sequence[Utterance]) -> tuple[list[Reading], list[list[list[Match]]]]:
        """The rules' part alone: what training and evaluation need to see the same features."""
        readings = [self._reader.read(utterance) for utterance in utterances]
        return readings, [[self._tags.matches(reading, clause) for clause in reading.clauses] for reading in readings]

    def _analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        readings, matches = self.read(utterances)
        silence = [self._silence(reading) for reading in readings]
        spoken = [number for number, flag in enumerate(silence) if flag is None]
        judged = self._sentiments.judge([readings[n] for n in spoken], [matches[n] for n in spoken])
        probabilities = dict(zip(spoken, zip(judged.texts.tolist(), judged.clauses, strict=True), strict=True))
        return [
            silent(flag, self.name) if flag is not None else self._conclude(reading, found, *probabilities[number])
            for number, (reading, found, flag) in enumerate(zip(readings, matches, silence, strict=True))
        ]

    def _silence(self, reading: Reading) -> Flag | None:
        """Why a text says nothing, if it says nothing: nobody has to judge it then."""
        if self._flags.is_default(reading):
            return "default_review"
        return "empty" if is_empty(reading.folded) else None

    def _conclude(
        self, reading: Reading, matches: list[list[Match]], probabilities: list[float], clauses: Floats
    ) -> Analysis:
        opinions = self._opinions.opinions(reading, matches, clauses)
        dangers = self._safety.dangers(reading)
        blame, praise = _sides(reading, opinions, clauses)
        flags: list[Flag] = []
        negative, neutral, positive = _with_rating(probabilities, reading.utterance.rating)
        sarcasm = self._flags.is_sarcasm(reading, blame)
        meant = any(danger.modality == "meant" for danger in dangers)
        if sarcasm:
            opinions = [opinion for opinion in opinions if opinion.sentiment != "positive"]
        floor = _leaning(reading, opinions, praise, blame) if self._sentiments.leaning else None
        if sarcasm or meant:
            floor = ("negative", 0.7)  # the praise is not meant, or the harm outweighs it
        if floor is not None:
            negative, neutral, positive = _at_least(negative, neutral, positive, *floor)
        advert = self._flags.is_advert(reading, negative)
        if advert:
            negative, neutral, positive = _at_least(negative, neutral, positive, "neutral", 0.6)
        off_topic = not meant and not demands(reading) and self._flags.is_off_topic(reading, bool(opinions))
        sentiment = sentiment_of(negative, neutral, positive)
        if advert:
            flags.append("advertisement")
        if self._flags.is_template(reading):
            flags.append("template")
        if off_topic:
            flags.append("off_topic")
        if sarcasm:
            flags.append("sarcasm")
        if meant:
            flags.append("safety")
        ranked = sorted((sentiment.negative, sentiment.neutral, sentiment.positive))
        if ranked[2] < _UNSURE or ranked[2] - ranked[1] < _CLOSE:
            flags.append("unsure")
        weighed = balance(reading, blame, praise)
        intent: Intent = "other"
        if not advert and not off_topic:
            intent = intent_of(reading, sentiment.label, sentiment.negative, opinions, weighed, meant)
        score, reason = severity(reading, sentiment.negative, intent, opinions, dangers)
        if advert or off_topic:
            score, reason = 0.0, ""
        return Analysis(
            sentiment=sentiment,
            intent=intent,
            tags=tags_of(opinions, intent, sentiment.label, self._taxonomy),
            flags=tuple(flags),
            severity=score,
            severity_reason=reason,
            model=self.name,
        )


def _sides(reading: Reading, opinions: Sequence[Opinion], clauses: Floats) -> tuple[list[float], list[float]]:
    """(blame, praise) of each clause, 0-1: its tags decide, else its probabilities."""
    judged = clauses.tolist()
    blame = [row[0] for row in judged]
    praise = [row[2] for row in judged]
    for opinion in opinions:
        if opinion.sentiment == "negative":
            blame[opinion.clause] = max(blame[opinion.clause], opinion.confidence)
    for opinion in opinions:
        if opinion.sentiment == "positive":
            praise[opinion.clause] = max(praise[opinion.clause], opinion.confidence)
    return blame, praise


def _with_rating(probabilities: list[float], rating: int | None) -> tuple[float, float, float]:
    negative, neutral, positive = probabilities
    shift = RATING.get(rating or 3, 0.0)
    if not shift:
        return negative, neutral, positive
    raised = [log(max(negative, 1e-9)) - shift, log(max(neutral, 1e-9)), log(max(positive, 1e-9)) + shift]
    powers = [exp(value - max(raised)) for value in raised]
    total = sum(powers)
    return powers[0] / total, powers[1] / total, powers[2] / total


def _leaning(
    reading: Reading, opinions: Sequence[Opinion], praise: list[float], blame: list[float]
) -> tuple[SentimentLabel, float] | None:
    """What the rules are sure of where n-grams know no word: all is blame, all is praise, or it only asks."""
    if not any(char >= "\u2e80" for char in reading.folded) and not any(c.words for c in reading.clauses):
        return "neutral", 0.6  # no Chinese and not a word that is known: nobody can say
    said = {opinion.sentiment for opinion in opinions if opinion.confidence >= 0.75}
    if (reading.has("ask.accusing") or escalates(reading)) and "positive" not in said:
        return "negative", 0.6
    if said == {"negative"} and max(praise) < 0.5:
        return "negative", 0.55
    if said == {"positive"} and max(blame) < 0.5:
        return "positive", 0.5
    if not said & {"negative", "positive"} and asking(reading) >= 1.5 and max(blame) < 0.6 and max(praise) < 0.6:
        return "neutral", 0.6
    return None


def _at_least(
    negative: float, neutral: float, positive: float, label: SentimentLabel, floor: float
) -> tuple[float, float, float]:
    shares = {"negative": negative, "neutral": neutral, "positive": positive}
    if shares[label] < floor:
        left = (1 - floor) / (1 - shares[label])
        shares = {name: floor if name == label else share * left for name, share in shares.items()}
    return shares["negative"], shares["neutral"], shares["positive"]
