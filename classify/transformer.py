"""The classifier that ships: one small encoder, linear heads over its vectors, and the taxonomy's words."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from classify.base import Classifier, Utterance
from classify.batches import batches
from classify.conclusions import RATING, sentiment_of, silent, tags_of
from classify.encoder import HEADS, Encoded, Encoder, listed, shipped
from classify.flags import FlagRules, is_empty
from classify.heads import Floats, Heads, sigmoid, softmax, unpack
from classify.intent import asking, escalates
from classify.labelled import INTENTS
from classify.opinions import Opinion
from classify.reading import Reader, Reading
from classify.safety import Danger, SafetyRules
from classify.scorer import load_weights
from classify.severity import severity
from classify.signals import SIGNALS, Signals, signals
from classify.tagging import Tagging
from classify.tags import Match, TagRules
from classify.taxonomy import Taxonomy
from classify.words import Words
from ingest.analysis import Analysis, Flag, Intent, SentimentLabel
from ingest.errors import ModelError

_MOST_EXCERPT = 16
_UNSURE = 0.55
_CLOSE = 0.15
_ALARM = 0.85
"""From where danger is said without a word of danger: lower ones wake people for plain leaks."""
_CONTENT = (0.5, 0.99)
"""Whoever is content by so much is in danger only from there on: hot, gas and broken are no harm to him."""
_OVERRULED = 0.3
_GLAD = 0.7
_SURE = 0.6


class Known(NamedTuple):
    """Of some texts: their reading, their vectors, the signals, tag evidence (all clauses, tags), the words' matches
    in each clause, and the words of danger in each text."""

    readings: list[Reading]
    vectors: Encoded
    signals: Signals
    evidence: Floats
    matches: list[list[Match]]
    dangers: list[list[Danger]]


class TransformerClassifier(Classifier):
    """Deterministic, thread-safe after construction.

    ``folder``: weights that ``python -m classify.train`` wrote, the shipped ones by default. ``heads``: heads fitted
    again to corrections, in place of the folder's. ``brand_words``: names of the brand and its products; given, long
    texts that speak of neither are flagged off_topic, beside those that speak of no goods or service at all.
    Raises ModelError when the weights cannot be trusted.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        folder: Path | None = None,
        brand_words: Sequence[str] = (),
        *,
        heads: Heads | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self.encoder = encoder or Encoder(folder)
        self.trained = tuple(str(name) for name in self.encoder.manifest["tags"])
        self.heads = heads or shipped_heads(self.encoder, folder)
        self._ngrams = load_weights()
        if any(self.heads.blend[name].shape[1] != len(SIGNALS) + 1 for name in ("sentiment", "intent", "marks")):
            raise ModelError("分类头与本程序不配（信号的个数不同），请重新安装")
        words = Words()
        self._reader = Reader(words)
        self._rules = TagRules(taxonomy, self._reader)
        self._safety = SafetyRules(taxonomy, self._reader)
        given = tuple(word for word in brand_words if word.strip())
        self._flags = FlagRules(taxonomy, self._reader.lexicon, words, given)
        self.taxonomy = taxonomy
        self._tagging = Tagging(taxonomy, self.heads, self.encoder, self.trained)
        self._suffix = "" if heads is None else "+refit"

    @property
    def name(self) -> str:
        return self.encoder.name + self._suffix

    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        parts = list(batches(utterances))
        if len(parts) == 1:
            return self._analyse(parts[0], self.read(parts[0]))
        answers: list[Analysis] = []
        begun: deque[tuple[Sequence[Utterance], list[Reading], Future[Encoded]]] = deque()
        # The next part is encoded while the last is concluded: the runtime does not need the interpreter's lock.
        with ThreadPoolExecutor(2, "classify") as ahead:
            for part in parts:
                readings = self._read(part)
                begun.append((part, readings, ahead.submit(self._encode, readings)))
                if len(begun) > 1:
                    answers += self._concluded(*begun.popleft())
            while begun:
                answers += self._concluded(*begun.popleft())
        return answers

    def read(self, utterances: Sequence[Utterance]) -> Known:
        """What is known of some texts before anything is concluded: what fitting needs too."""
        readings = self._read(utterances)
        return self._known(readings, *self._found(readings), self._encode(readings))

    def _read(self, utterances: Sequence[Utterance]) -> list[Reading]:
        return [self._reader.read(utterance) for utterance in utterances]

    def _encode(self, readings: Sequence[Reading]) -> Encoded:
        spans = [[(clause.start, clause.end) for clause in reading.clauses] for reading in readings]
        return self.encoder.encode([reading.folded for reading in readings], spans)

    def _found(self, readings: Sequence[Reading]) -> tuple[list[list[Danger]], list[list[Match]]]:
        dangers = [self._safety.dangers(reading) for reading in readings]
        return dangers, [self._rules.matches(reading, clause) for reading in readings for clause in reading.clauses]

    def _concluded(
        self, utterances: Sequence[Utterance], readings: list[Reading], encoding: Future[Encoded]
    ) -> list[Analysis]:
        found = self._found(readings)
        return self._analyse(utterances, self._known(readings, *found, encoding.result()))

    def _known(
        self, readings: list[Reading], dangers: list[list[Danger]], matches: list[list[Match]], vectors: Encoded
    ) -> Known:
        known = signals(self.heads, vectors.texts, vectors.clauses, readings, dangers, self._ngrams)
        evidence = self._tagging.evidence(known.tags, vectors.clauses, matches)
        return Known(readings, vectors, known, evidence, matches, dangers)

    def _analyse(self, utterances: Sequence[Utterance], read: Known) -> list[Analysis]:
        readings, _, known, evidence, matches, dangers = read
        blend = self.heads.blend
        ratings = np.array([RATING.get(utterance.rating or 3, 0.0) for utterance in utterances], np.float32)
        logits = joined(known.texts, blend["sentiment"])
        logits[:, 0] -= ratings
        logits[:, 2] += ratings
        sentiments = softmax(logits).tolist()
        intents = softmax(joined(known.texts, blend["intent"])).tolist()
        marks = sigmoid(joined(known.texts, blend["marks"])).tolist()
        answers = []
        for number, reading in enumerate(readings):
            first, last = known.firsts[number], known.firsts[number + 1]
            found = self._tagging.opinions(reading, matches[first:last], evidence[first:last], known, first)
            answers.append(
                self._conclude(
                    reading,
                    sentiments[number],
                    intents[number],
                    marks[number],
                    found,
                    dangers[number],
                    known.danger[first:last],
                    known.clauses[first:last, 0].tolist(),
                )
            )
        return answers

    def _conclude(
        self,
        reading: Reading,
        shares: list[float],
        intents: list[float],
        marks: list[float],
        opinions: list[Opinion],
        dangers: list[Danger],
        danger: Floats,
        blame: list[float],
    ) -> Analysis:
        default = self._flags.is_default(reading)
        if default or is_empty(reading.folded):
            return silent("default_review" if default else "empty", self.name)
        advert, template, drifted, irony = (value >= 0.5 for value in marks[:4])
        safe = marks[4] >= (_CONTENT[1] if shares[2] >= _CONTENT[0] else _ALARM)
        # Where a word of danger is meant by all the rules, the encoder must be sure to overrule it.
        worded = shares[2] < _GLAD and any(each.modality == "meant" for each in dangers)
        safe = safe or (worded and marks[4] >= _OVERRULED)
        flags: list[Flag] = []
        if not irony and self._flags.is_sarcasm(reading, blame):
            irony, shares = True, _negative(shares)
        elif safe and shares[2] < _GLAD:
            shares = _negative(shares)  # whoever tells of harm and is not plainly glad of the help complains
        sentiment = sentiment_of(*shares)
        intent = _intent(reading, INTENTS[int(np.argmax(intents))], sentiment.label, safe or irony)
        # A rated text is a review, on topic by its place; one that surely speaks of a tag is on topic, too.
        drifted = drifted and reading.utterance.rating is None and not any(o.confidence >= _SURE for o in opinions)
        off_topic = not safe and (drifted or self._flags.is_off_topic(reading, bool(opinions)))
        if off_topic:
            opinions = []
        if advert:
            flags.append("advertisement")
        if template or self._flags.is_template(reading):
            flags.append("template")
        if off_topic:
            flags.append("off_topic")
        if irony:
            flags.append("sarcasm")
        if safe:
            flags.append("safety")
        ranked = sorted(shares)
        if ranked[2] < _UNSURE or ranked[2] - ranked[1] < _CLOSE:
            flags.append("unsure")
        if off_topic or (advert and intent in ("question", "suggestion")):
            intent = "other"
        said = _meant(reading, dangers, danger) if safe else [_harmless(each) for each in dangers]
        score, reason = severity(reading, sentiment.negative, intent, opinions, said)
        if off_topic or (advert and sentiment.label != "negative"):
            score, reason = 0.0, ""
        return Analysis(
            sentiment=sentiment,
            intent=intent,
            tags=tags_of(opinions, intent, sentiment.label, self.taxonomy),
            flags=tuple(flags),
            severity=score,
            severity_reason=reason,
            model=self.name,
        )


def shipped_heads(encoder: Encoder, folder: Path | None = None) -> Heads:
    """The heads that belong to an encoder's folder."""
    place = shipped() if folder is None else folder
    data = listed(place, encoder.manifest, HEADS)
    return unpack(data, len(encoder.manifest["tags"]), encoder.width, place.joinpath(HEADS))


def joined(texts: Floats, table: Floats) -> Floats:
    """Logits (n, answers) of signals (n, f) under a table (answers, f + 1), the bias last."""
    return texts @ table[:, :-1].T + table[:, -1]


def _intent(reading: Reading, intent: Intent, label: SentimentLabel, harmed: bool) -> Intent:
    """What the encoder says, but for what words say beyond doubt."""
    accused = reading.has("ask.accusing") or escalates(reading)
    if (harmed or accused) and label != "positive":
        return "complaint"
    if intent == "other" and label != "negative" and asking(reading) >= 2:
        return "question"
    return intent


def _negative(shares: list[float]) -> list[float]:
    """Probabilities of praise that is not meant, or of harm."""
    left = 0.3 / max(shares[1] + shares[2], 1e-9)
    return shares if shares[0] >= 0.7 else [0.7, shares[1] * left, shares[2] * left]


def _meant(reading: Reading, dangers: Sequence[Danger], danger: Floats) -> list[Danger]:
    """The words of danger that are meant; where it is told without any, the clause that tells it."""
    found = [each for each in dangers if each.modality == "meant"]
    if found or not reading.clauses:
        return found
    clause = reading.clauses[int(danger.argmax())]
    words = reading.utterance.text[clause.start : clause.end][:_MOST_EXCERPT]
    return [Danger(words, "meant", clause.start, clause.end)]


def _harmless(danger: Danger) -> Danger:
    return danger if danger.modality != "meant" else Danger(danger.word, "denied", danger.start, danger.end)
