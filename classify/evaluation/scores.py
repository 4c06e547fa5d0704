"""How one contender did on some texts, by task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from classify.evaluation.contenders import Answer
from classify.evaluation.metrics import (
    Figure,
    accuracy,
    bootstrap,
    calibration_error,
    crossed,
    f1,
    found,
    macro_f1,
    marked,
    precision,
    recall,
    value,
)
from classify.evaluation.sets import MARKED, Judged
from ingest.analysis import Analysis

POLAR = ("negative", "positive")


@dataclass(frozen=True, slots=True)
class SentimentScore:
    """``macro`` is over the labels that occur in the truth. ``polar_*``: only texts that are good or bad, and only
    which of the two got more. ``unsure`` is the share flagged so, ``sure_accuracy`` is over the rest.
    """

    texts: int
    accuracy: float | None
    macro: Figure | None
    polar_texts: int
    polar_accuracy: float | None
    polar_macro: Figure | None
    calibration: float | None
    unsure: float | None
    sure_accuracy: float | None


def sentiment_score(
    texts: Sequence[Judged], answers: Sequence[Answer], *, probabilities: bool = True
) -> SentimentScore:
    """Overall sentiments against the truth; no calibration of shares that are no probabilities."""
    truth = [each.sentiment for each in texts]
    said = [answer.label for answer in answers]
    right = [a == b for a, b in zip(truth, said, strict=True)]
    rows = crossed(truth, said)
    polar = [n for n, label in enumerate(truth) if label in POLAR]
    poles = crossed([truth[n] for n in polar], [answers[n].pole for n in polar])
    unsure = [None if a.analysis is None else "unsure" in a.analysis.flags for a in answers]
    sure = [hit for hit, doubt in zip(right, unsure, strict=True) if doubt is False]
    flags = any(doubt is not None for doubt in unsure)
    return SentimentScore(
        texts=len(truth),
        accuracy=value(rows, accuracy),
        macro=bootstrap(rows, macro_f1),
        polar_texts=len(polar),
        polar_accuracy=value(poles, accuracy),
        polar_macro=bootstrap(poles, macro_f1),
        calibration=calibration_error([a.confidence for a in answers], right) if probabilities else None,
        unsure=sum(doubt is True for doubt in unsure) / len(truth) if flags else None,
        sure_accuracy=float(np.mean(sure)) if flags and sure else None,
    )


@dataclass(frozen=True, slots=True)
class IntentScore:
    """``sides``: macro-F1 of complaint against praise, over the texts that are one of the two."""

    texts: int
    accuracy: float | None
    macro: Figure | None
    side_texts: int
    sides: Figure | None


def intent_score(texts: Sequence[Judged], answers: Sequence[Answer]) -> IntentScore:
    """Intents against the truth, over the texts whose intent is known."""
    known = [
        (each.intent, answer.analysis)
        for each, answer in zip(texts, answers, strict=True)
        if each.intent is not None and answer.analysis is not None
    ]
    rows = crossed([truth for truth, _ in known], [analysis.intent for _, analysis in known])
    sides = [(truth, side(analysis)) for truth, analysis in known if truth in ("complaint", "praise")]
    between = crossed([truth for truth, _ in sides], [said for _, said in sides])
    return IntentScore(
        len(known), value(rows, accuracy), bootstrap(rows, macro_f1), len(sides), bootstrap(between, macro_f1)
    )


def side(analysis: Analysis) -> str:
    """Complaint or praise: the intent when it is one of the two, else what the sentiment leans to."""
    if analysis.intent in ("complaint", "praise"):
        return analysis.intent
    return "complaint" if analysis.sentiment.negative > analysis.sentiment.positive else "praise"


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one thing that is found or missed: ``support`` is how often it was there, ``said`` how often it was said."""

    support: int
    said: int
    precision: Figure | None
    recall: Figure | None
    f1: Figure | None


def tag_finding(
    texts: Sequence[Judged], answers: Sequence[Answer], names: Iterable[str], *, sentiments: bool
) -> Finding:
    """Tags among ``names``, micro-averaged over all of them; with ``sentiments`` a tag must hold the right one."""
    kept = frozenset(names)
    truth, said = [], []
    for each, answer in zip(texts, answers, strict=True):
        if each.tags is not None and answer.analysis is not None:
            wanted = {(tag, sign if sentiments else "") for tag, sign in each.tags if tag in kept}
            given = {(t.tag, t.sentiment if sentiments else "") for t in answer.analysis.tags if t.tag in kept}
            truth.append(frozenset(wanted))
            said.append(frozenset(given))
    rows = found(truth, said)
    return Finding(
        sum(map(len, truth)),
        sum(map(len, said)),
        bootstrap(rows, precision),
        bootstrap(rows, recall),
        bootstrap(rows, f1),
    )


def flag_finding(texts: Sequence[Judged], answers: Sequence[Answer], mark: str) -> Finding:
    """One mark of the texts (a key of ``MARKED``) and the flag that says it."""
    flag = MARKED[mark]
    pairs = [
        (mark in each.marks, flag in answer.analysis.flags)
        for each, answer in zip(texts, answers, strict=True)
        if each.marks is not None and answer.analysis is not None
    ]
    truth, said = [a for a, _ in pairs], [b for _, b in pairs]
    rows = marked(truth, said)
    return Finding(sum(truth), sum(said), bootstrap(rows, precision), bootstrap(rows, recall), bootstrap(rows, f1))
