"""What is known of each text before anything is concluded: the heads' answers and what the words count."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from classify.heads import Floats, Heads, softmax
from classify.intent import asking, demands, escalates, suggesting
from classify.reading import Reading
from classify.safety import Danger
from classify.scorer import Scores, Weights

SIGNALS = (
    *("text.negative", "text.neutral", "text.positive"),
    *("worst.negative", "worst.neutral", "worst.positive"),
    *("mean.negative", "mean.neutral", "mean.positive"),
    *("complaint", "suggestion", "question", "praise", "other"),
    *("advertisement", "template", "off_topic", "irony", "safe", "fear"),
    *("danger", "danger.meant", "danger.feared", "danger.denied"),
    *("ngram.polar", "ngram.neutral", "ngram.worst", "ngram.best"),
    *("asking", "demands", "escalates", "suggesting", "mild", "strong", "but", "good", "bad", "length", "clauses"),
)
"""Names of the columns of ``Signals.texts``."""

COLUMN = {name: number for number, name in enumerate(SIGNALS)}


@dataclass(frozen=True, slots=True)
class Signals:
    """``texts`` (n, SIGNALS); ``clauses`` (all clauses, 3) sentiment probabilities; ``tags`` (all clauses, trained
    tags) logits; ``firsts`` (n + 1): clauses of text n are rows firsts[n] to firsts[n + 1]."""

    texts: Floats
    clauses: Floats
    tags: Floats
    danger: Floats
    firsts: list[int]


def signals(
    heads: Heads,
    texts: Floats,
    clauses: Floats,
    readings: Sequence[Reading],
    dangers: Sequence[Sequence[Danger]],
    weights: Weights,
) -> Signals:
    """``texts`` (n, width) and ``clauses`` (all clauses, width) are the encoder's vectors of what was read.

    ``weights``: the linear model's, whose n-grams know turns of phrase that a small encoder blurs.
    """
    firsts = [0]
    for reading in readings:
        firsts.append(firsts[-1] + len(reading.clauses))
    table = np.zeros((len(readings), len(SIGNALS)), np.float32)
    table[:, 0:3] = _centred(heads.logits("sentiment", texts))
    shares = softmax(heads.logits("clause_sentiment", clauses))
    danger = heads.logits("danger", clauses)[:, 0]
    table[:, COLUMN["complaint"] : COLUMN["other"] + 1] = _centred(heads.logits("intent", texts))
    table[:, COLUMN["advertisement"] : COLUMN["fear"] + 1] = heads.logits("marks", texts)
    table[:, COLUMN["danger"]] = -10.0
    known = np.abs(clauses).sum(1) > 0
    for number, reading in enumerate(readings):
        rows = slice(firsts[number], firsts[number + 1])
        kept = known[rows]
        row = table[number]
        if kept.any():
            mine = shares[rows][kept]
            lengths = np.array([c.end - c.start for c in reading.clauses], np.float32)[kept]
            row[3:6] = np.log(np.maximum(mine.max(0), 1e-4))
            row[6:9] = (mine * lengths[:, None]).sum(0) / lengths.sum()
            row[COLUMN["danger"]] = danger[rows][kept].max()
        row[COLUMN["danger.meant"] : COLUMN["danger.denied"] + 1] = _modalities(dangers[number])
        row[COLUMN["asking"] :] = _counted(reading)
    table[:, COLUMN["ngram.polar"] : COLUMN["ngram.best"] + 1] = _ngrams(weights, readings, firsts)
    return Signals(table, shares, heads.logits("tags", clauses), danger, firsts)


def _modalities(dangers: Sequence[Danger]) -> tuple[float, ...]:
    said = {danger.modality for danger in dangers}
    return tuple(float(modality in said) for modality in ("meant", "feared", "denied"))


def _ngrams(weights: Weights, readings: Sequence[Reading], firsts: Sequence[int]) -> Floats:
    """(n, 4) logits of n-grams: good against bad, saying nothing; and of the worst and the best clause."""
    scores = Scores(weights, [reading.folded for reading in readings])
    bases = np.repeat(scores.starts[:-1], np.diff(firsts))
    spans = np.array([(c.start, c.end) for reading in readings for c in reading.clauses], np.int64).reshape(-1, 2)
    polar, neutral = scores.logits(scores.starts[:-1], scores.starts[1:])
    clauses, _ = scores.logits(bases + spans[:, 0], bases + spans[:, 1])
    found = np.stack([polar, neutral, polar, polar], 1).astype(np.float32)
    for number, (first, last) in enumerate(pairwise(firsts)):
        if last > first:
            found[number, 2:] = clauses[first:last].min(), clauses[first:last].max()
    return found


def _counted(reading: Reading) -> tuple[float, ...]:
    return (
        asking(reading),
        float(demands(reading)),
        float(escalates(reading)),
        float(suggesting(reading)),
        float(reading.has("polar.mild")),
        float(reading.has("polar.strong")),
        float(reading.has("turn.but")),
        float(min(sum(clause.good for clause in reading.clauses), 4)),
        float(min(sum(clause.bad for clause in reading.clauses), 4)),
        math.log(1 + len(reading.folded)),
        math.log(1 + len(reading.clauses)),
    )


def _centred(logits: Floats) -> Floats:
    centred: Floats = logits - logits.mean(axis=1, keepdims=True)
    return centred
