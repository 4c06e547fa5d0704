from __future__ import annotations

from collections.abc import Callable

import pytest

from classify.base import Classifier, Utterance
from classify.load import load_classifier
from ingest.analysis import Analysis


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    """What ships, with brand words, as an installation for one brand has it."""
    return load_classifier(brand_words=("暖洋牌", "暖洋暖气"))


@pytest.fixture(scope="session")
def analyse(classifier: Classifier) -> Callable[..., Analysis]:
    def one(text: str, **known: object) -> Analysis:
        return classifier.analyse([Utterance(text, **known)])[0]  # type: ignore[arg-type]

    return one
