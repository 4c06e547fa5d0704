"""Another source of sentiment under the same rules; and the setting that asks for one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from classify.base import Utterance
from classify.features import Judged
from classify.linear import LinearClassifier
from classify.load import load_classifier
from classify.reading import Reading
from classify.scorer import load_weights
from classify.sentiments import LinearSentiments, Sentiments
from classify.tags import Match
from classify.taxonomy import load_taxonomy
from ingest.errors import ConfigError, ModelError

TEXTS = ["漏水了，太差", "很热，非常满意", "还没装", "", "接头漏水，但是师傅态度很好", "I am delighted", "要多少钱？"]


class Fixed(Sentiments):
    """The same probabilities whatever the text, and a memory of what was judged."""

    def __init__(self, *shares: float) -> None:
        self.shares = shares
        self.judged: list[str] = []
        self.clauses = LinearSentiments(load_weights())

    @property
    def name(self) -> str:
        return "fixed/1"

    def judge(self, readings: Sequence[Reading], matches: Sequence[Sequence[Sequence[Match]]]) -> Judged:
        self.judged += [reading.utterance.text for reading in readings]
        clauses = self.clauses.judge(readings, matches).clauses
        return Judged(np.tile(np.array(self.shares), (len(readings), 1)), clauses)


def test_sentiment_comes_from_the_source_and_the_rest_from_the_rules() -> None:
    source = Fixed(0.2, 0.1, 0.7)
    utterances = [Utterance(text) for text in TEXTS]
    ours = LinearClassifier(load_taxonomy(), sentiments=source).analyse(utterances)
    theirs = LinearClassifier(load_taxonomy()).analyse(utterances)
    assert source.judged == [text for text in TEXTS if text]  # nobody judges what says nothing
    for text, mine, linear in zip(TEXTS, ours, theirs, strict=True):
        assert mine.model == "fixed/1"
        if text:
            assert (mine.sentiment.label, mine.sentiment.positive, mine.sentiment.negative) == ("positive", 0.7, 0.2)
        spans = [[(tag.tag, tag.sentiment, tag.span) for tag in one.tags if tag.span] for one in (mine, linear)]
        assert spans[0] == spans[1], text
    assert ours[3] == theirs[3].model_copy(update={"model": "fixed/1"})


def test_stars_sarcasm_and_danger_still_count() -> None:
    classifier = LinearClassifier(load_taxonomy(), sentiments=Fixed(0.1, 0.1, 0.8))
    liked, plain, danger = classifier.analyse(
        [Utterance("第三次用", rating=1), Utterance("第三次用"), Utterance("漏电，孩子被电到了")]
    )
    assert liked.sentiment.negative > plain.sentiment.negative
    assert "safety" in danger.flags
    assert danger.sentiment.label == "negative"


def test_all_silent_texts_need_no_source() -> None:
    classifier = LinearClassifier(load_taxonomy(), sentiments=Fixed(1, 0, 0))
    assert [one.flags for one in classifier.analyse([Utterance(""), Utterance(" ")])] == [("empty",)] * 2


def test_labels_without_a_model_are_no_silent_default() -> None:
    with pytest.raises(ConfigError, match=r"classify\.labels 只和 classify\.model 一起有用"):
        load_classifier(labels={"LABEL_0": "negative"})


@pytest.mark.parametrize("name", ["torch", "transformers", "safetensors"])
def test_a_model_without_the_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in {name} | {known for known in sys.modules if known.split(".")[0] == name}:
        monkeypatch.setitem(sys.modules, module, None)  # an import of it fails as if it were not installed
    with pytest.raises(ModelError, match=r"pip install 'shengwen\[torch\]'"):
        load_classifier(model="models/own", base=tmp_path)
