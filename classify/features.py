"""What the heads see: n-gram logits of the text and its clauses, and what the rules counted. Shared with training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classify.reading import Clause, Reading
from classify.scorer import Floats, Scores, Weights, softmax
from classify.tags import Match

CLAUSE_FEATURES = 9
TEXT_FEATURES = 18

_MOST = 3


@dataclass(frozen=True, slots=True)
class Judged:
    """Features and probabilities of a batch: ``texts[i]`` is (3,), ``clauses[i]`` is (number of clauses, 3)."""

    texts: Floats
    clauses: list[Floats]


def judge(weights: Weights, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]) -> Judged:
    """Probabilities of every clause and every text of a batch."""
    clause_features, text_features = features(weights, readings, matches)
    every = softmax(weights.clause_head, clause_features)
    texts = softmax(weights.text_head, text_features)
    ends = np.cumsum([len(reading.clauses) for reading in readings])
    return Judged(texts, np.split(every, ends[:-1]) if len(readings) else [])


def features(
    weights: Weights, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]
) -> tuple[Floats, Floats]:
    """(clauses, CLAUSE_FEATURES) over all clauses of the batch in order, and (texts, TEXT_FEATURES)."""
    scores = Scores(weights, [reading.folded for reading in readings])
    starts, ends = [], []
    for base, reading in zip(scores.starts.tolist(), readings, strict=False):
        for clause in reading.clauses:
            starts.append(base + clause.start)
            ends.append(base + clause.end)
    clause_polar, clause_neutral = scores.logits(np.array(starts, np.int64), np.array(ends, np.int64))
    text_polar, text_neutral = scores.logits(scores.starts[:-1], scores.starts[1:])
    clause_rows: list[tuple[float, ...]] = []
    text_rows: list[tuple[float, ...]] = []
    at = 0
    polar, neutral = clause_polar.tolist(), clause_neutral.tolist()
    whole = zip(readings, matches, text_polar.tolist(), text_neutral.tolist(), strict=True)
    for reading, found, text_score, text_plain in whole:
        rows = [
            _clause_row(clause, found[number], polar[at + number], neutral[at + number])
            for number, clause in enumerate(reading.clauses)
        ]
        clause_rows += rows
        text_rows.append(_text_row(reading, rows, text_score, text_plain))
        at += len(rows)
    return (
        np.array(clause_rows, np.float64).reshape(-1, CLAUSE_FEATURES),
        np.array(text_rows, np.float64).reshape(-1, TEXT_FEATURES),
    )


def _clause_row(clause: Clause, found: Sequence[Match], polar: float, neutral: float) -> tuple[float, ...]:
    praised = sum(match.sentiment == "positive" for match in found)
    blamed = sum(match.sentiment == "negative" for match in found)
    return (
        polar,
        abs(polar),
        neutral,
        min(clause.good, 2),
        min(clause.bad, 2),
        min(praised, 2),
        min(blamed, 2),
        math.log(1 + clause.end - clause.start),
        float(clause.question or clause.has("unreal.unknown")),
    )


def _text_row(reading: Reading, rows: Sequence[tuple[float, ...]], polar: float, neutral: float) -> tuple[float, ...]:
    scores = [row[0] for row in rows] or [0.0]
    turned = [row[0] for row, clause in zip(rows, reading.clauses, strict=True) if clause.has("turn.but")]
    praised = sum(row[5] for row in rows)
    blamed = sum(row[6] for row in rows)
    return (
        polar,
        abs(polar),
        neutral,
        min(scores),
        max(scores),
        scores[-1],
        scores[0],
        turned[-1] if turned else 0.0,
        float(bool(turned)),
        min(sum(row[3] for row in rows), _MOST),
        min(sum(row[4] for row in rows), _MOST),
        min(praised, _MOST),
        min(blamed, _MOST),
        float(praised > 0 and blamed > 0),
        math.log(1 + len(reading.folded)),
        float(reading.has("unreal.unknown")),
        float(any(clause.question for clause in reading.clauses)),
        float(reading.has("polar.mild")),
    )
