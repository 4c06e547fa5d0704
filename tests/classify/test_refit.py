"""Heads fitted again to corrections: they learn, nothing else gets worse, and only this encoder may use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classify import refit
from classify.base import Utterance
from classify.encoder import Encoded, Encoder, Spans
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy
from classify.transformer import TransformerClassifier
from ingest.analysis import SentimentLabel, TagOpinion
from ingest.errors import ModelError, UserError


@dataclass(frozen=True)
class Correction:
    mention_id: str
    text: str
    sentiment: SentimentLabel | None = None
    tags: tuple[TagOpinion, ...] | None = None
    rating: int | None = None


class Remembering(Encoder):
    """Reads each text once: a refit reads thousands, and these tests do several."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, tuple[tuple[int, int], ...]], tuple[Any, Any]] = {}

    def encode(self, folded: Sequence[str], clauses: Sequence[Spans]) -> Encoded:
        asked = [(text, tuple(spans)) for text, spans in zip(folded, clauses, strict=True)]
        fresh = [one for one in dict.fromkeys(asked) if one not in self._known]
        read = super().encode([text for text, _ in fresh], [spans for _, spans in fresh])
        ends = np.cumsum([0, *(len(spans) for _, spans in fresh)])
        for number, one in enumerate(fresh):
            self._known[one] = read.texts[number], read.clauses[ends[number] : ends[number + 1]]
        found = [self._known[one] for one in asked]
        none = np.zeros((0, self.width), np.float32)
        return Encoded(np.stack([text for text, _ in found]), np.concatenate([none, *(spans for _, spans in found)]))


@pytest.fixture(scope="module")
def classifier() -> TransformerClassifier:
    return TransformerClassifier(load_taxonomy(), encoder=Remembering())


SAYING = "这台机器简直是北极熊牌的"
"""A saying that no model knows; this brand's customers mean it as blame."""


@pytest.fixture(scope="module")
def taught(
    classifier: TransformerClassifier, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, refit.RefitReport]:
    home = tmp_path_factory.mktemp("home")
    corrections = [
        Correction(f"m{n}", f"{SAYING}{end}", "negative")
        for n, end in enumerate(("", "啊", "，没得说", "，就这样", "，你们懂的", "！", "，邻居也说", "，呵", "，真的"))
    ]
    return home, refit.refit(classifier, corrections, home)


def test_it_learns_from_corrections(classifier: TransformerClassifier, taught: tuple[Path, refit.RefitReport]) -> None:
    home, report = taught
    assert report.promoted
    assert report.path is not None
    for group in ("examples", "corrections"):
        before, after = (
            [score for name, score in scores.items() if name.startswith(group)]
            for scores in (report.before, report.after)
        )
        assert sum(after) >= sum(before)
    heads = refit.load(classifier.encoder, home)
    assert heads is not None
    fresh = TransformerClassifier(load_taxonomy(), heads=heads, encoder=classifier.encoder)
    unsure, taught_so = (each.analyse([Utterance(SAYING)])[0].sentiment.negative for each in (classifier, fresh))
    assert taught_so > unsure
    assert fresh.name != classifier.name


def test_the_home_s_heads_are_used_at_the_next_start(taught: tuple[Path, refit.RefitReport]) -> None:
    assert load_classifier(base=taught[0]).name.endswith("+refit")
    assert not load_classifier().name.endswith("+refit")


def test_what_makes_it_worse_is_not_used(classifier: TransformerClassifier, tmp_path: Path) -> None:
    from classify.labelled import invented

    swapped: dict[str, SentimentLabel] = {"negative": "positive", "positive": "negative", "neutral": "negative"}
    wrong = [
        Correction(f"w{n}", each.text, swapped[each.sentiment])
        for n, each in enumerate([each for each in invented() if not each.kept_back][:1500])
    ]
    report = refit.refit(classifier, wrong, tmp_path)
    assert not report.promoted
    assert report.path is None
    assert refit.load(classifier.encoder, tmp_path) is None


def test_without_corrections_it_says_what_to_do(classifier: TransformerClassifier, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="先在页面上纠正"):
        refit.refit(classifier, [], tmp_path)


def test_corrected_tags_are_learned_where_they_stand(classifier: TransformerClassifier) -> None:
    text = "墙上这块板子看久了心里发毛"
    tag = TagOpinion(tag="产品质量/外观", sentiment="negative", confidence=1.0, span=(0, len(text)))
    corrections = [Correction(f"t{n}", text + "了" * n, None, (tag,)) for n in range(8)]
    heads = refit._fitted(classifier, [], corrections)
    fresh = TransformerClassifier(load_taxonomy(), heads=heads, encoder=classifier.encoder)
    number = classifier.trained.index("产品质量/外观")
    scores = [each.read([Utterance(text)]).signals.tags[:, number].max() for each in (classifier, fresh)]
    assert scores[1] > scores[0]


def test_swapped_heads_are_refused(
    classifier: TransformerClassifier, taught: tuple[Path, refit.RefitReport], tmp_path: Path
) -> None:
    heads = refit.load(classifier.encoder, taught[0])
    assert heads is not None
    path = refit.store(heads, classifier.encoder, tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelError, match="损坏或被换过"):
        refit.load(classifier.encoder, tmp_path)


def test_heads_of_another_encoder_are_left_alone(
    classifier: TransformerClassifier, taught: tuple[Path, refit.RefitReport], tmp_path: Path
) -> None:
    heads = refit.load(classifier.encoder, taught[0])
    assert heads is not None
    path = refit.store(heads, classifier.encoder, tmp_path)
    manifest = path.with_name("manifest.json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"encoder": "0" * 64}))
    assert refit.load(classifier.encoder, tmp_path) is None
