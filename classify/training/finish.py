"""After the encoder is INT8: heads fitted on the vectors that it really gives, and what joins them to the words.

What joins is fitted on texts that the encoder was not trained on (``Labelled.tuning``), so that it learns how far to
trust the heads on new texts; that is the calibration too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.base import Utterance
from classify.encoder import HEADS, Encoder, read_manifest
from classify.fitting import fit_choice, fit_several
from classify.heads import Floats, Heads, Linear, pack
from classify.labelled import INTENTS, MARKS, Labelled, invented, real, tag_names
from classify.scorer import LABELS
from classify.signals import COLUMN, SIGNALS
from classify.taxonomy import load_taxonomy
from classify.training.export import write_manifest
from classify.training.loop import say
from classify.training.material import (
    Example,
    joining_examples,
    own_examples,
    public_examples,
    taxonomy_examples,
    with_clauses,
)
from classify.training.network import Network
from classify.training.probe import Rows, clause_rows, fit_heads, heads_of
from classify.transformer import TransformerClassifier

_PUBLIC = 6000
_BACKGROUND = 2000
_PULL = 10.0
_TABLE_PULL = 20.0
_FEWEST = 12


def finish(network: Network, data: Path, out: Path) -> None:
    """Fit and write ``heads.npz`` beside the encoder in ``out``, and list it in the manifest."""
    manifest = read_manifest(out)
    notes = {key: value for key, value in manifest.items() if key != "sha256"} | {"tags": list(tag_names())}
    write_manifest(out, notes)
    encoder = Encoder(out)
    mine = [*invented(), *real(data)]
    learned = own_examples([each for each in mine if not each.kept_back and not each.tuning], 1.0)
    public = _sample(public_examples(data, everything=True))
    heads = _heads(network, encoder, [*learned, *taxonomy_examples(), *public])
    say("分类头拟合完成，开始拟合组合")
    tuning = [each for each in mine if each.tuning]
    heads = replace(heads, blend=dict(heads.blend) | _tag_blend(encoder, heads, tuning))
    heads = replace(heads, blend=dict(heads.blend) | dict(_text_blend(encoder, heads, tuning, joining_examples(data))))
    (out / HEADS).write_bytes(pack(heads))
    write_manifest(out, notes)
    say(f"写好了：{out}")


def _sample(public: Sequence[Example]) -> list[Example]:
    """Evenly spaced rows of each public set."""
    kept: list[Example] = []
    for source in ("shopping", "weibo", "jd_clauses"):
        rows = [with_clauses(each) for each in public if each.source == source]
        kept += rows[:: max(1, len(rows) // _PUBLIC)]
    return kept


def _heads(network: Network, encoder: Encoder, examples: Sequence[Example]) -> Heads:
    vectors = encoder.encode([e.text for e in examples], [e.clauses for e in examples])
    linear = fit_heads(heads_of(network), vectors.texts, vectors.clauses, examples, _PULL)
    step = max(1, len(vectors.clauses) // _BACKGROUND)
    return Heads(linear, _tag_sentiments(clause_rows(examples)), {}, vectors.clauses[::step])


def _tag_sentiments(rows: Rows) -> Floats:
    """Log-odds of each sentiment for each tag against what is usual, from the clauses that carry it."""
    counts = np.ones((rows.tags.shape[1], 3))
    tags = np.nan_to_num(rows.tags)
    for label in range(3):
        counts[:, label] += tags[rows.sentiments == label].sum(0)
    usual = counts.sum(0) / counts.sum()
    prior: Floats = np.log(counts / counts.sum(1, keepdims=True) / usual).astype(np.float32)
    return prior


def _classifier(encoder: Encoder, heads: Heads) -> TransformerClassifier:
    plain: dict[str, Floats] = {
        "tags": np.array([1, 0, 0, 0], np.float32),
        "sentiment": _identity("sentiment"),
        "intent": _identity("intent"),
        "marks": _identity("marks"),
    }
    whole = replace(heads, blend=plain | dict(heads.blend))
    return TransformerClassifier(load_taxonomy(), heads=whole, encoder=encoder)


def _truth(texts: Sequence[Labelled], readings: Sequence[Any]) -> Floats:
    """(all clauses, tags): where the labels put each tag."""
    examples = own_examples(texts, 1.0)
    rows = []
    for example, reading in zip(examples, readings, strict=True):
        assert example.clause_tags is not None
        assert len(example.clauses) == len(reading.clauses)
        for found in example.clause_tags:
            row = np.zeros(len(tag_names()), np.float32)
            row[list(found)] = 1.0
            rows.append(row)
    return np.array(rows)


def _words(matches: Sequence[Sequence[Any]]) -> tuple[Floats, Floats]:
    numbers = {name: number for number, name in enumerate(tag_names())}
    judged = np.zeros((len(matches), len(numbers)), np.float32)
    named = np.zeros_like(judged)
    for row, found in enumerate(matches):
        for match in found:
            (named if match.sentiment is None else judged)[row, numbers[match.tag.name]] = 1.0
    return judged, named


def _tag_blend(encoder: Encoder, heads: Heads, tuning: Sequence[Labelled]) -> dict[str, Floats]:
    """How much the encoder's logit and the taxonomy's words weigh for tags that were trained."""
    found = _classifier(encoder, heads).read([Utterance(each.text) for each in tuning])
    return {"tags": _evidence_weights(found.signals.tags, *_words(found.matches), _truth(tuning, found.readings))}


def _evidence_weights(logits: Floats, judged: Floats, named: Floats, truth: Floats) -> Floats:
    columns = np.stack([logits.ravel(), judged.ravel(), named.ravel()], 1)
    flat = truth.ravel()
    start = Linear(np.array([[1.0, 0.5, 0.3]], np.float32), np.array([0.0], np.float32))
    fitted = fit_several(columns, flat[:, None], np.ones(len(flat), np.float32), start, 0.1)
    scores = fitted.logits(columns)[:, 0]
    order = np.argsort(-scores)
    hits = np.cumsum(flat[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + flat.sum())
    best = int(f1.argmax())
    edge = float(scores[order[best]])
    say(f"标签：权重 {fitted.weight[0].round(2)}，分界 {edge:.2f}，微 F1 {f1[best]:.3f}")
    return np.array([*fitted.weight[0], fitted.bias[0] - edge], np.float32)


_KNOWN: dict[str, dict[str, float]] = {
    "complaint": {"escalates": 2.0, "demands": 0.7, "danger.meant": 1.0},
    "suggestion": {"suggesting": 1.0},
    "question": {"asking": 0.7},
    "text.negative": {"escalates": 1.0, "danger.meant": 1.0},
    "safe": {"danger": 0.5, "danger.meant": 3.0, "danger.feared": -1.5, "danger.denied": -1.5},
}
"""What words are known to mean, before any text is looked at: where the fit starts from."""


def _identity(name: str) -> Floats:
    """A table that passes the head's own logits on, with what words are known to add."""
    own = {
        "sentiment": ("text.negative", "text.neutral", "text.positive"),
        "intent": ("complaint", "suggestion", "question", "praise", "other"),
        "marks": ("advertisement", "template", "off_topic", "irony", "safe", "fear"),
    }[name]
    table = np.zeros((len(own), len(SIGNALS) + 1), np.float32)
    for row, column in enumerate(own):
        table[row, COLUMN[column]] = 1.0
        for column_too, weight in _KNOWN.get(column, {}).items():
            table[row, COLUMN[column_too]] = weight
    return table


_JOINED = {"shopping": 2.0, "jd_clauses": 6.0, "weibo": 1.0, "cosmetics": 2.0}
"""What a text of each public set weighs where the joining tables are fitted; one of our own weighs 2: together
they weigh about the same."""


def _text_blend(
    encoder: Encoder, heads: Heads, tuning: Sequence[Labelled], others: Sequence[Example]
) -> Mapping[str, Floats]:
    """Tables that join everything known of a text into its sentiment, its intent and its marks.

    ``others``: public texts that neither the encoder nor the linear model was trained on.
    """
    classifier = _classifier(encoder, heads)
    own = classifier.read([Utterance(each.text) for each in tuning]).signals.texts
    theirs = classifier.read([Utterance(each.text) for each in others]).signals.texts
    both = np.concatenate([own, theirs])
    labels = np.array([*(LABELS.index(t.sentiment) for t in tuning), *(e.sentiment for e in others)])
    weights = np.concatenate([np.full(len(own), 2.0), np.array([_JOINED[e.source] for e in others])]).astype(np.float32)
    barred = np.zeros((len(both), 3), bool)
    barred[len(own) :, 1] = [e.polar for e in others]
    tables = {"sentiment": _table("sentiment", both, labels, weights, barred)}
    ones = np.ones(len(own), np.float32)
    tables["intent"] = _table("intent", own, np.array([INTENTS.index(t.intent) for t in tuning]), ones)
    marks = np.array([[float(mark in t.marks) for mark in MARKS] for t in tuning], np.float32)
    spread = own.std(0) + 1e-6
    identity = _identity("marks")
    start = Linear(identity[:, :-1] * spread, identity[:, -1])
    fitted = fit_several(own / spread, marks, ones, start, _TABLE_PULL)
    edges = [
        _edge(scores, truth, careful=mark == "safe")
        for scores, truth, mark in zip(fitted.logits(own / spread).T, marks.T, MARKS, strict=True)
    ]
    bias = fitted.bias - np.array(edges, np.float32)
    tables["marks"] = np.hstack([fitted.weight / spread, bias[:, None]]).astype(np.float32)
    return tables


def _edge(scores: Floats, truth: Floats, *, careful: bool) -> float:
    """The score from which a mark is given: the best F1, or, where a miss is graver than a false alarm, the best F2.
    Too few texts with the mark leave it at 0."""
    if truth.sum() < _FEWEST:
        return 0.0
    order = np.argsort(-scores)
    hits = np.cumsum(truth[order])
    given = np.arange(1, len(order) + 1)
    weight = 4 if careful else 1  # of a miss beside a false alarm
    worth = (1 + weight) * hits / (given + weight * truth.sum())
    best = int(worth.argmax())
    following = scores[order[min(best + 1, len(order) - 1)]]
    return float((scores[order[best]] + following) / 2)


def _table(
    name: str, signals: Floats, labels: NDArray[np.int64], weights: Floats, barred: NDArray[np.bool_] | None = None
) -> Floats:
    spread = signals.std(0) + 1e-6
    identity = _identity(name)
    start = Linear(identity[:, :-1] * spread, identity[:, -1])
    fitted = fit_choice(signals / spread, labels, weights, start, _TABLE_PULL, barred)
    return np.hstack([fitted.weight / spread, fitted.bias[:, None]]).astype(np.float32)
