"""The linear classifier: n-gram weights for sentiment, the taxonomy's words and the lexicon for everything else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, log
from pathlib import Path

from classify.base import Classifier, Utterance
from classify.features import judge
from classify.flags import FlagRules, is_empty
from classify.intent import Balance, asking, balance, demands, escalates, intent_of
from classify.opinions import Opinion, OpinionRules
from classify.reading import MAX_READ, Reader, Reading
from classify.safety import SafetyRules
from classify.scorer import LABELS, Floats, load_weights
from classify.severity import severity
from classify.tags import Match, TagRules
from classify.taxonomy import Taxonomy
from classify.words import Words
from ingest.analysis import Analysis, Flag, Intent, Sentiment, SentimentLabel, TagOpinion

_BATCH_CHARACTERS = 16_000
_MOST_TAGS = 40
_UNSURE = 0.5
_CLOSE = 0.1

_RATING = {1: -0.9, 2: -0.7, 3: 0.0, 4: 0.15, 5: 0.35}
"""What stars add to the log-odds of positive against negative: a nudge, which text of any clarity outweighs."""


class LinearClassifier(Classifier):
    """Deterministic, thread-safe after construction, numpy only.

    ``weights_dir``: a folder that ``python -m classify.train`` wrote; the shipped weights by default. ``brand_words``:
    names of the brand and its products; given, texts that speak of neither are flagged off_topic.
    Raises ModelError when the weights cannot be trusted.
    """

    def __init__(self, taxonomy: Taxonomy, weights_dir: Path | None = None, brand_words: Sequence[str] = ()) -> None:
        self._weights = load_weights(weights_dir)
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
        return self._weights.name

    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        return [analysis for batch in _batches(utterances) for analysis in self._analyse(batch)]

    def read(self, utterances: Sequence[Utterance]) -> tuple[list[Reading], list[list[list[Match]]]]:
        """The rules' part alone: what training and evaluation need to see the same features."""
        readings = [self._reader.read(utterance) for utterance in utterances]
        return readings, [[self._tags.matches(reading, clause) for clause in reading.clauses] for reading in readings]

    def _analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        readings, matches = self.read(utterances)
        judged = judge(self._weights, readings, matches)
        whole = judged.texts.tolist()
        return [
            self._conclude(reading, found, probabilities, clauses)
            for reading, found, probabilities, clauses in zip(readings, matches, whole, judged.clauses, strict=True)
        ]

    def _conclude(
        self, reading: Reading, matches: list[list[Match]], probabilities: list[float], clauses: Floats
    ) -> Analysis:
        default = self._flags.is_default(reading)
        if default or is_empty(reading.folded):
            return self._silent("default_review" if default else "empty")
        opinions = self._opinions.opinions(reading, matches, clauses)
        dangers = self._safety.dangers(reading)
        blame, praise = _sides(reading, opinions, clauses)
        flags: list[Flag] = []
        negative, neutral, positive = _with_rating(probabilities, reading.utterance.rating)
        sarcasm = self._flags.is_sarcasm(reading, blame)
        meant = any(danger.modality == "meant" for danger in dangers)
        if sarcasm:
            opinions = [opinion for opinion in opinions if opinion.sentiment != "positive"]
        floor = _leaning(reading, opinions, praise, blame)
        if sarcasm or meant:
            floor = ("negative", 0.7)  # the praise is not meant, or the harm outweighs it
        if floor is not None:
            negative, neutral, positive = _at_least(negative, neutral, positive, *floor)
        advert = self._flags.is_advert(reading, negative)
        if advert:
            negative, neutral, positive = _at_least(negative, neutral, positive, "neutral", 0.6)
        off_topic = not meant and not demands(reading) and self._flags.is_off_topic(reading, bool(opinions))
        sentiment = _sentiment(negative, neutral, positive)
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
            tags=self._tags_of(opinions, intent, sentiment.label, weighed, reading),
            flags=tuple(flags),
            severity=score,
            severity_reason=reason,
            model=self.name,
        )

    def _silent(self, flag: Flag) -> Analysis:
        nothing = Sentiment(label="neutral", positive=0.0, neutral=1.0, negative=0.0)
        return Analysis(sentiment=nothing, intent="other", flags=(flag,), severity=0.0, model=self.name)

    def _tags_of(
        self,
        opinions: Sequence[Opinion],
        intent: Intent,
        label: SentimentLabel,
        weighed: Balance,
        reading: Reading,
    ) -> tuple[TagOpinion, ...]:
        tags = [
            TagOpinion(
                tag=opinion.tag.name,
                sentiment=opinion.sentiment,
                confidence=min(opinion.confidence, 1.0),
                span=(opinion.start, opinion.end),
            )
            for opinion in opinions[:_MOST_TAGS]
        ]
        if intent == "suggestion":
            tags += self._suggestion(opinions)
        if intent == "praise" and label == "positive" and not opinions:
            default = self._taxonomy.defaults.praise
            if default is not None and default not in {tag.tag for tag in tags}:
                tags.append(TagOpinion(tag=default, sentiment="positive", confidence=0.5, span=None))
        return tuple(tags)

    def _suggestion(self, opinions: Sequence[Opinion]) -> list[TagOpinion]:
        """The suggestion tag of what is talked about, when no words of the text name one themselves."""
        targets = [group.suggestion for group in self._taxonomy.groups if group.suggestion is not None]
        if any(opinion.tag.name in targets for opinion in opinions):
            return []
        named = [self._taxonomy.group_of(opinion.tag.name).suggestion for opinion in opinions]
        chosen = next((name for name in named if name is not None), targets[0] if targets else None)
        if chosen is None:
            return []
        return [TagOpinion(tag=chosen, sentiment="neutral", confidence=0.5, span=None)]


def _batches(utterances: Sequence[Utterance]) -> Iterator[Sequence[Utterance]]:
    """Stretches of bounded size, so that memory does not grow with what is asked."""
    start = characters = 0
    for number, utterance in enumerate(utterances):
        length = min(len(utterance.text), MAX_READ)
        if number > start and characters + length > _BATCH_CHARACTERS:
            yield utterances[start:number]
            start, characters = number, 0
        characters += length
    if start < len(utterances):
        yield utterances[start:]


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
    shift = _RATING.get(rating or 3, 0.0)
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


def _sentiment(negative: float, neutral: float, positive: float) -> Sentiment:
    negative, positive = round(negative, 4), round(positive, 4)
    neutral = max(round(1 - negative - positive, 4), 0.0)
    shares = dict(zip(LABELS, (negative, neutral, positive), strict=True))
    label = max(LABELS, key=lambda name: shares[name])
    return Sentiment(label=label, positive=positive, neutral=neutral, negative=negative)
