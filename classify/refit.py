"""Fitting the heads again to corrections made in the page: without torch, in less than a minute.

The heads stray from those that ship only for cause, and what they knew is kept by fitting them to our own examples
beside the corrections. The result is used only if neither the mean score on the examples nor that on the corrections
that were held back falls.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from classify.base import Utterance
from classify.clauses import split
from classify.encoder import Encoder
from classify.fitting import fit_choice, fit_several
from classify.heads import Heads, pack, unpack
from classify.labelled import Labelled, LabelledTag, invented
from classify.scorer import LABELS
from classify.transformer import TransformerClassifier, shipped_heads
from ingest.analysis import SentimentLabel, TagOpinion
from ingest.errors import ModelError, UserError
from ingest.fold import fold

FOLDER = "model"
_HEADS = "heads.npz"
_MANIFEST = "manifest.json"
_PULL = 100.0
_WEIGHT = 4.0
"""What one correction weighs beside one of our examples."""


class Corrected(Protocol):
    """What is needed of a correction; ``sentiment`` and ``tags`` are null where nothing was corrected."""

    @property
    def mention_id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def rating(self) -> int | None: ...
    @property
    def sentiment(self) -> SentimentLabel | None: ...
    @property
    def tags(self) -> Sequence[TagOpinion] | None: ...


@dataclass(frozen=True, slots=True)
class RefitReport:
    """``before`` and ``after``: scores 0-1 by name, over what was held back. ``path``: the promoted heads or null."""

    promoted: bool
    seconds: float
    texts: int
    before: dict[str, float]
    after: dict[str, float]
    path: Path | None


def refit(
    classifier: TransformerClassifier,
    corrections: Sequence[Corrected],
    home: Path,
    say: Callable[[str], None] = lambda _: None,
) -> RefitReport:
    """Fit, compare and, if nothing is worse, store heads in ``home/model``. Raises UserError without corrections."""
    if not corrections:
        raise UserError("还没有纠正过的提及：请先在页面上纠正情感或标签，再运行 shengwen classify refit")
    began = time.monotonic()
    examples = invented()
    judged = [each for each in examples if each.kept_back or each.tuning]
    learned = [each for each in examples if not each.kept_back and not each.tuning]
    held, taught = _parted(corrections)
    say(f"自带例句 {len(learned):,} 条，纠正 {len(taught):,} 条用来拟合，{len(held):,} 条留作检验")
    heads = _fitted(classifier, learned, taught)
    fresh = TransformerClassifier(classifier.taxonomy, heads=heads, encoder=classifier.encoder)
    before, after = _scores(classifier, judged, held), _scores(fresh, judged, held)
    promoted = all(_mean(after, group) >= _mean(before, group) - 1e-9 for group in ("examples", "corrections"))
    path = store(heads, classifier.encoder, home) if promoted else None
    return RefitReport(promoted, time.monotonic() - began, len(corrections), before, after, path)


def store(heads: Heads, encoder: Encoder, home: Path) -> Path:
    """Write heads so that :func:`load` accepts them for the same encoder only."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    data = pack(heads)
    manifest = {"encoder": encoder.fingerprint, "sha256": hashlib.sha256(data).hexdigest()}
    for name, content in ((_HEADS, data), (_MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())):
        fresh = folder / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(folder / name)
    return folder / _HEADS


def load(encoder: Encoder, home: Path) -> Heads | None:
    """Heads fitted to this home's corrections; null when there are none, or when they belong to another encoder.

    Raises ModelError when they are not what was written.
    """
    folder = home / FOLDER
    if not (folder / _MANIFEST).exists():
        return None
    try:
        manifest = json.loads((folder / _MANIFEST).read_bytes())
        data = (folder / _HEADS).read_bytes()
        vouched = manifest["sha256"] == hashlib.sha256(data).hexdigest()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"读不到按纠正拟合的分类头 {folder}：{error}。删掉这个文件夹即恢复自带的") from error
    if not vouched:
        raise ModelError(
            f"{folder / _HEADS} 与清单里的 SHA-256 不符：文件损坏或被换过。删掉文件夹 {folder} 即恢复自带的"
        )
    if manifest.get("encoder") != encoder.fingerprint:
        return None
    return unpack(data, len(encoder.manifest["tags"]), encoder.width, folder / _HEADS)


def _mean(scores: dict[str, float], group: str) -> float:
    kept = [score for name, score in scores.items() if name.startswith(group)]
    return sum(kept) / max(1, len(kept))


def _parted(corrections: Sequence[Corrected]) -> tuple[list[Corrected], list[Corrected]]:
    """(held back, taught): one in four by its mention, always the same."""
    held: list[Corrected] = []
    taught: list[Corrected] = []
    for each in corrections:
        digest = hashlib.sha256(each.mention_id.encode()).digest()
        (held if digest[0] % 4 == 0 else taught).append(each)
    return held, taught


def _fitted(classifier: TransformerClassifier, learned: Sequence[Labelled], taught: Sequence[Corrected]) -> Heads:
    heads = shipped_heads(classifier.encoder)  # not the last refit: what was learned twice would count twice
    texts = [fold(each.text) for each in learned] + [fold(each.text) for each in taught]
    clauses = [split(text) for text in texts]
    vectors = classifier.encoder.encode(texts, clauses)
    weights = np.array([1.0] * len(learned) + [_WEIGHT] * len(taught), np.float32)
    sentiments = [LABELS.index(e.sentiment) for e in learned]
    sentiments += [-1 if e.sentiment is None else LABELS.index(e.sentiment) for e in taught]
    labels = np.array(sentiments)
    known = labels >= 0
    linear = dict(heads.linear)
    # Only what was corrected is fitted again: the rest has nothing to learn.
    if any(each.sentiment is not None for each in taught):
        linear["sentiment"] = fit_choice(
            vectors.texts[known], labels[known], weights[known], heads.linear["sentiment"], _PULL
        )
    if all(each.tags is None for each in taught):
        return replace(heads, linear=linear)
    truth, signs = _clause_labels(classifier, learned, taught, clauses)
    rows = ~np.isnan(truth).all(1)
    each_clause = np.repeat(weights, [len(spans) for spans in clauses])
    linear["tags"] = fit_several(vectors.clauses[rows], truth[rows], each_clause[rows], heads.linear["tags"], _PULL)
    told = signs >= 0
    linear["clause_sentiment"] = fit_choice(
        vectors.clauses[told], signs[told], each_clause[told], heads.linear["clause_sentiment"], _PULL
    )
    return replace(heads, linear=linear)


def _clause_labels(
    classifier: TransformerClassifier,
    learned: Sequence[Labelled],
    taught: Sequence[Corrected],
    clauses: Sequence[Sequence[tuple[int, int]]],
) -> tuple[np.ndarray, np.ndarray]:
    """(all clauses, tags) of 0, 1 and NaN, and (all clauses) sentiment numbers, -1 where nobody said."""
    numbers = {name: number for number, name in enumerate(classifier.trained)}
    total = sum(len(spans) for spans in clauses)
    truth = np.full((total, len(numbers)), np.nan, np.float32)
    signs = np.full(total, -1)
    base = 0
    both: list[Labelled | Corrected] = [*learned, *taught]
    for each, spans in zip(both, clauses, strict=True):
        if each.tags is not None:
            truth[base : base + len(spans)] = 0.0
            for tag in each.tags:
                name, start, end = _placed(tag)
                for number, (first, last) in enumerate(spans):
                    shared = last - first if end is None else min(last, end) - max(first, start)
                    if name in numbers and (end is None or shared * 2 >= last - first or shared * 2 >= end - start > 0):
                        # A tag that rests on the whole may stand in any clause: nobody knows in which.
                        truth[base + number, numbers[name]] = 1.0 if end is not None or len(spans) == 1 else np.nan
                        signs[base + number] = LABELS.index(tag.sentiment) if end is not None else -1
        base += len(spans)
    return truth, signs


def _placed(tag: LabelledTag | TagOpinion) -> tuple[str, int, int | None]:
    if isinstance(tag, LabelledTag):
        return tag.tag, tag.start, tag.end
    return (tag.tag, 0, None) if tag.span is None else (tag.tag, *tag.span)


def _scores(
    classifier: TransformerClassifier, judged: Sequence[Labelled], held: Sequence[Corrected]
) -> dict[str, float]:
    answers = classifier.analyse([Utterance(each.text) for each in judged])
    right = sum(a.sentiment.label == e.sentiment for a, e in zip(answers, judged, strict=True))
    scores = {"examples.sentiment": right / len(judged)}
    scores["examples.intent"] = sum(a.intent == e.intent for a, e in zip(answers, judged, strict=True)) / len(judged)
    scores["examples.tags"] = _micro_f1(
        [{t.tag for t in a.tags} for a in answers], [{t.tag for t in e.tags} for e in judged]
    )
    told = [each for each in held if each.sentiment is not None]
    tagged = [each for each in held if each.tags is not None]
    if told:
        said = classifier.analyse([Utterance(each.text, each.rating) for each in told])
        same = sum(a.sentiment.label == e.sentiment for a, e in zip(said, told, strict=True))
        scores["corrections.sentiment"] = same / len(told)
    if tagged:
        said = classifier.analyse([Utterance(each.text, each.rating) for each in tagged])
        scores["corrections.tags"] = _micro_f1(
            [{t.tag for t in a.tags} for a in said], [{t.tag for t in e.tags or ()} for e in tagged]
        )
    return scores


def _micro_f1(said: Sequence[set[str]], truth: Sequence[set[str]]) -> float:
    hits = sum(len(a & b) for a, b in zip(said, truth, strict=True))
    return 2 * hits / max(1, sum(map(len, said)) + sum(map(len, truth)))
