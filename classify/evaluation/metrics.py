"""Scores over counts, with intervals by resampling texts.

What is counted of each text is a row of small integers, and every score is a function of the sum of rows. So a
bootstrap sample is one multinomial draw over the kinds of rows that occur: exact, and cheap for any number of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]
Statistic = Callable[[Counts], Scores]
"""Sums (draws, columns) to a score for each draw; NaN where it is not defined."""

_DRAWS = 1000
_SEED = 20240811
_BINS = 10


class Figure(NamedTuple):
    """A score and the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap(rows: Counts, statistic: Statistic, draws: int = _DRAWS) -> Figure | None:
    """The score of all rows (texts, columns) with its interval; null without rows or when it is not defined."""
    if not len(rows):
        return None
    value = float(statistic(rows.sum(0)[None])[0])
    if np.isnan(value):
        return None
    kinds, often = np.unique(rows, axis=0, return_counts=True)
    random = np.random.default_rng(_SEED)
    drawn = random.multinomial(len(rows), often / len(rows), size=draws) @ kinds
    low, high = np.nanpercentile(statistic(drawn), (2.5, 97.5))
    return Figure(value, float(low), float(high))


def crossed(truth: Sequence[str], said: Sequence[str]) -> Counts:
    """Rows for :func:`accuracy` and :func:`macro_f1`: one cell of a confusion matrix for each text, flattened."""
    labels = sorted({*truth, *said})
    numbers = {label: number for number, label in enumerate(labels)}
    rows = np.zeros((len(truth), len(labels) ** 2), np.int64)
    cells = [numbers[a] * len(labels) + numbers[b] for a, b in zip(truth, said, strict=True)]
    rows[np.arange(len(cells)), cells] = 1
    return rows


def accuracy(sums: Counts) -> Scores:
    """Share of texts on the diagonal of the matrices."""
    matrices = _matrices(sums)
    return _share(np.trace(matrices, axis1=1, axis2=2), matrices.sum((1, 2)))


def macro_f1(sums: Counts) -> Scores:
    """Mean F1 over the labels that occur in the truth: a label that is only ever said costs the others precision."""
    matrices = _matrices(sums)
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    truth = matrices.sum(2)
    each = np.where(truth > 0, _share(2 * hits, truth + matrices.sum(1)), np.nan)
    known = ~np.isnan(each)
    return _share(np.where(known, each, 0).sum(1), known.sum(1))


def found(truth: Sequence[frozenset[Any]], said: Sequence[frozenset[Any]]) -> Counts:
    """Rows (hits, said too much, missed) for :func:`precision`, :func:`recall` and :func:`f1`."""
    rows = [(len(a & b), len(b - a), len(a - b)) for a, b in zip(truth, said, strict=True)]
    return np.array(rows, np.int64).reshape(-1, 3)


def marked(truth: Sequence[bool], said: Sequence[bool]) -> Counts:
    """The same rows for one mark that a text bears or not."""
    return found([frozenset("x" * a) for a in truth], [frozenset("x" * b) for b in said])


def precision(sums: Counts) -> Scores:
    return _share(sums[:, 0], sums[:, 0] + sums[:, 1])


def recall(sums: Counts) -> Scores:
    return _share(sums[:, 0], sums[:, 0] + sums[:, 2])


def f1(sums: Counts) -> Scores:
    """Micro-averaged: of all that was said and all that was to say."""
    return _share(2 * sums[:, 0], 2 * sums[:, 0] + sums[:, 1] + sums[:, 2])


def value(rows: Counts, statistic: Statistic) -> float | None:
    """The score without an interval."""
    if not len(rows):
        return None
    score = float(statistic(rows.sum(0)[None])[0])
    return None if np.isnan(score) else score


def calibration_error(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """Expected calibration error over ten bins of equal width: how far confidence is from the share that is right."""
    if not confidence:
        return None
    sure, hit = np.array(confidence, np.float64), np.array(right, np.float64)
    bins = np.minimum((sure * _BINS).astype(int), _BINS - 1)
    parts = [bins == number for number in range(_BINS)]
    return float(sum(abs(hit[part].mean() - sure[part].mean()) * part.mean() for part in parts if part.any()))


def _matrices(sums: Counts) -> Counts:
    size = round(sums.shape[1] ** 0.5)
    return sums.reshape(-1, size, size)


def _share(part: NDArray[Any], whole: NDArray[Any]) -> Scores:
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Scores = np.where(whole > 0, part / whole, np.nan)
    return shares
