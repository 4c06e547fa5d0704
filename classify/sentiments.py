"""Where sentiment comes from: what may stand in for the n-grams under the rules' conclusions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from classify.features import Judged, judge
from classify.reading import Reading
from classify.scorer import Weights
from classify.tags import Match


class Sentiments(ABC):
    """Probabilities of texts and clauses. Thread-safe, bounded; never raises for a text.

    ``leaning``: whether what the rules alone are sure of may outvote it. Right for n-grams, which can say nothing of
    words they never saw; wrong for a model that read more than our lexicon holds.
    """

    leaning: ClassVar[bool] = False

    @property
    @abstractmethod
    def name(self) -> str:
        """name/version, written into every Analysis."""

    @abstractmethod
    def judge(self, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]) -> Judged:
        """Probabilities of each text and of each of its clauses, in order; a text's do not depend on the others."""


class LinearSentiments(Sentiments):
    """The n-gram weights' own."""

    leaning = True

    def __init__(self, weights: Weights) -> None:
        self._weights = weights

    @property
    def name(self) -> str:
        return self._weights.name

    def judge(self, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]) -> Judged:
        return judge(self._weights, readings, matches)
