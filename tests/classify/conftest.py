from __future__ import annotations

from collections.abc import Callable

import pytest

from classify.base import Utterance
from classify.linear import LinearClassifier
from classify.taxonomy import load_taxonomy
from ingest.analysis import Analysis


@pytest.fixture(scope="session")
def classifier() -> LinearClassifier:
    """What ships, with brand words, as an installation for one brand has it."""
    return LinearClassifier(load_taxonomy(), brand_words=("暖洋牌", "暖洋暖气"))


@pytest.fixture(scope="session")
def analyse(classifier: LinearClassifier) -> Callable[..., Analysis]:
    def one(text: str, **known: object) -> Analysis:
        return classifier.analyse([Utterance(text, **known)])[0]  # type: ignore[arg-type]

    return one
