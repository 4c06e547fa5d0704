"""The classifier over somebody else's model: its sentiment, our rules for everything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from classify.base import Classifier, Utterance
from classify.features import Judged
from classify.linear import LinearClassifier
from classify.pretrained import Pretrained, load_pretrained
from classify.reading import Reading
from classify.scorer import load_weights
from classify.sentiments import LinearSentiments, Sentiments
from classify.tags import Match
from classify.taxonomy import Taxonomy
from ingest.analysis import Analysis, SentimentLabel


class PipelineSentiments(Sentiments):
    """Texts as a pretrained model judges them; single clauses, which it was not trained on, as n-grams do."""

    def __init__(self, model: Pretrained) -> None:
        self._model = model
        self._clauses = LinearSentiments(load_weights())

    @property
    def name(self) -> str:
        return self._model.name

    def judge(self, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]) -> Judged:
        texts = self._model.probabilities([reading.utterance.text for reading in readings])
        return Judged(texts, self._clauses.judge(readings, matches).clauses)


class PipelineClassifier(Classifier):
    """Sentiment from a ``transformers`` text-classification model; tags, intent, flags, severity and safety by rules.

    What the rules conclude about the whole still counts: stars nudge, sarcasm and danger are negative, advertisements
    neutral. ``model``, ``base`` and ``labels`` as for ``load_pretrained``, which says what is raised. Runs on the CPU.
    A model with two labels knows no neutral text: what only asks or reports then falls on one of the sides.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        model: str,
        base: Path = Path(),
        brand_words: Sequence[str] = (),
        labels: Mapping[str, SentimentLabel] | None = None,
    ) -> None:
        sentiments = PipelineSentiments(load_pretrained(model, base, labels))
        self._rules = LinearClassifier(taxonomy, brand_words=brand_words, sentiments=sentiments)

    @property
    def name(self) -> str:
        return self._rules.name

    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        return self._rules.analyse(utterances)
