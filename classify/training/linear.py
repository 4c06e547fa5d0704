"""Train the linear weights: ``python -m classify.training.linear --data DIR --out classify/weights``.

Two liblinear logistic regressions over hashed character 1-3-grams, each n-gram scaled by how unevenly it falls on good
and bad texts (NB-SVM): one for good against bad, one for saying nothing. Confident guesses on unlabelled water-heater
reviews are added once (self-training). Two small softmax heads join the n-gram logits of the text and its clauses with
what the rules count; they are fitted on out-of-fold logits, which also calibrates them. Needs scikit-learn.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.base import Utterance
from classify.corpora import (
    Corpus,
    held_back,
    own_corpus,
    read_corpora,
    read_unlabelled,
    read_water_heaters,
)
from classify.features import CLAUSE_FEATURES, TEXT_FEATURES, features
from classify.ngrams import BITS, grams
from classify.reading import Reader
from classify.scorer import LABELS, Floats, Weights, save_weights
from classify.tags import TagRules
from classify.taxonomy import Taxonomy, load_taxonomy
from classify.words import Words
from ingest.errors import UserError
from ingest.fold import fold

NAME = "linear/1"
SEED = 20240811
FOLDS = 3

_POLAR_WEIGHT = {"shopping": 1.0, "jd_clauses": 2.0, "weibo": 0.3, "cars": 1.0, "cosmetics": 1.0, "own": 4.0}
_NEUTRAL_WEIGHT = {"jd_clauses": 1.0, "cars": 0.3, "own": 4.0}
_HEAD_WEIGHT = {"shopping": 0.5, "jd_clauses": 0.5, "cars": 0.1, "cosmetics": 0.5, "own": 3.0, "water_heaters": 5.0}
_HEAD_MOST = 5000
_RAREST = 2
_SELF = (0.15, 0.95, 0.5)
"""Self-training: below, above and with which weight a guess is added."""


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Material:
    """What is trained on. ``water_heaters`` are labelled for the heads only; ``unlabelled`` is for self-training."""

    corpora: tuple[Corpus, ...]
    unlabelled: tuple[str, ...]
    water_heaters: Corpus | None


def gather(data: Path, taxonomy: Taxonomy) -> Material:
    """Everything under ``data`` but what is held back for evaluation, and our own examples."""
    corpora = [corpus.where([not held_back(text) for text in corpus.texts]) for corpus in read_corpora(data)]
    labelled = read_water_heaters(data)
    return Material(
        (*corpora, own_corpus(taxonomy)), tuple(read_unlabelled(data)), labelled if labelled.texts else None
    )


def train(
    material: Material, taxonomy: Taxonomy, *, name: str = NAME, heads: Weights | None = None, log: Any = say
) -> Weights:
    """Train everything; the same material gives the same weights. Raises UserError when a label never occurs.

    ``heads`` of other weights may be taken over instead of fitted, which saves most of the time.
    """
    for label in LABELS:
        if not any(label in corpus.labels for corpus in material.corpora):
            raise UserError(f"训练数据里没有 {label} 的例子，至少要有几条")
    began = time.monotonic()
    bank = _Bank(material)
    log(f"特征 {sum(m.shape[0] for m in bank.matrices):,} 条文本，{time.monotonic() - began:.0f} 秒")
    ngrams = _fit_ngrams(bank, [np.ones(len(corpus.texts), bool) for corpus in bank.corpora], name)
    log(f"n-gram 权重 {time.monotonic() - began:.0f} 秒")
    if heads is not None:
        return replace(ngrams, clause_head=heads.clause_head, text_head=heads.text_head)
    rows = _out_of_fold(bank, taxonomy, name, log)
    if material.water_heaters is not None:
        labelled = material.water_heaters
        clauses, texts = _features(ngrams, taxonomy, labelled.texts)
        rows.append(_HeadRows("water_heaters", np.arange(len(labelled.texts)), labelled, clauses, texts))
    clause_head, text_head = _fit_heads(rows)
    log(f"分类头 {time.monotonic() - began:.0f} 秒")
    return replace(ngrams, clause_head=clause_head, text_head=text_head)


class _Bank:
    """The n-gram counts of all material, made once."""

    def __init__(self, material: Material) -> None:
        self.corpora = material.corpora
        self.matrices = [counts(corpus.texts) for corpus in material.corpora]
        self.labels = [np.array([LABELS.index(label) for label in corpus.labels]) for corpus in material.corpora]
        self.unlabelled = counts(material.unlabelled) if material.unlabelled else None


def counts(texts: Sequence[str]) -> Any:
    """(texts, 2**BITS) sparse n-gram counts, by the very function that inference uses."""
    import scipy.sparse as sparse

    blocks = []
    for start in range(0, len(texts), 4000):
        found = grams([fold(text) for text in texts[start : start + 4000]])
        sizes = np.diff(found.starts)
        owners = np.repeat(np.arange(len(sizes)), sizes)
        rows = np.concatenate([owners[inside] for inside in found.inside])
        columns = np.concatenate([b[inside] for b, inside in zip(found.buckets, found.inside, strict=True)])
        values = np.ones(len(rows), np.float32)
        blocks.append(sparse.csr_matrix((values, (rows, columns)), shape=(len(sizes), 1 << BITS)))
    return sparse.vstack(blocks).tocsr()


def _fit_ngrams(bank: _Bank, keep: list[NDArray[np.bool_]], name: str) -> Weights:
    """Weights from the kept rows of each corpus, heads still empty."""
    polar = _gathered(bank, keep, _POLAR_WEIGHT, lambda y: y != LABELS.index("neutral"))
    polar_y = (polar[1] == LABELS.index("positive")).astype(int)
    scale = _scale(polar[0], polar_y)
    model = _regression(10.0).fit(_normal(polar[0], scale), polar_y, sample_weight=polar[2])
    if bank.unlabelled is not None:
        matrix, y, weight = _self_taught(bank.unlabelled, model, scale, polar, polar_y)
        scale = _scale(matrix, y)
        model = _regression(10.0).fit(_normal(matrix, scale), y, sample_weight=weight)
    plain = _gathered(bank, keep, _NEUTRAL_WEIGHT, lambda y: y >= 0)
    plain_y = (plain[1] == LABELS.index("neutral")).astype(int)
    if len(set(plain_y.tolist())) < 2:
        raise UserError("训练数据里中性和非中性的例子都要有")
    neutral = _regression(5.0).fit(_normal(plain[0], scale), plain_y, sample_weight=plain[2])
    polar_table, polar_step = _quantised(model.coef_[0] * scale)
    neutral_table, neutral_step = _quantised(neutral.coef_[0] * scale)
    return Weights(
        name,
        scale,
        polar_table,
        neutral_table,
        (polar_step, neutral_step),
        (float(model.intercept_[0]), float(neutral.intercept_[0])),
        np.zeros((len(LABELS), CLAUSE_FEATURES + 1)),
        np.zeros((len(LABELS), TEXT_FEATURES + 1)),
    )


def _gathered(
    bank: _Bank, keep: list[NDArray[np.bool_]], weights: dict[str, float], wanted: Any
) -> tuple[Any, NDArray[np.int64], Floats]:
    import scipy.sparse as sparse

    matrices, labels, shares = [], [], []
    for corpus, matrix, y, kept in zip(bank.corpora, bank.matrices, bank.labels, keep, strict=True):
        if corpus.name in weights:
            chosen = kept & wanted(y)
            matrices.append(matrix[chosen])
            labels.append(y[chosen])
            shares.append(np.full(int(chosen.sum()), weights[corpus.name]))
    return sparse.vstack(matrices).tocsr(), np.concatenate(labels), np.concatenate(shares)


def _self_taught(
    unlabelled: Any, model: Any, scale: NDArray[np.uint8], polar: tuple[Any, Any, Floats], polar_y: NDArray[np.int64]
) -> tuple[Any, NDArray[np.int64], Floats]:
    """The polar material with confident guesses on unlabelled texts, twice as many good ones as bad ones."""
    import scipy.sparse as sparse

    low, high, share = _SELF
    guessed = model.predict_proba(_normal(unlabelled, scale))[:, 1]
    bad, good = np.flatnonzero(guessed < low), np.flatnonzero(guessed > high)
    good = np.random.default_rng(SEED).permutation(good)[: 2 * len(bad)]
    matrix = sparse.vstack([polar[0], unlabelled[bad], unlabelled[good]]).tocsr()
    y = np.concatenate([polar_y, np.zeros(len(bad), int), np.ones(len(good), int)])
    return matrix, y, np.concatenate([polar[2], np.full(len(bad) + len(good), share)])


def _regression(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, solver="liblinear", dual=True, tol=1e-2, max_iter=1000, random_state=SEED)


def _scale(matrix: Any, y: NDArray[np.int64]) -> NDArray[np.uint8]:
    """0-255 for each n-gram: a tenth for being there, the rest for how one-sided it is; 0 for the rarest."""
    present = (matrix > 0).astype(np.float64)
    good = np.asarray(present[y == 1].sum(0)).ravel()
    bad = np.asarray(present[y == 0].sum(0)).ravel()
    ratio = np.abs(np.log(((good + 1) / (good + 1).sum()) / ((bad + 1) / (bad + 1).sum())))
    weight = np.where(good + bad >= _RAREST, 0.1 + 0.9 * ratio, 0.0)
    scaled: NDArray[np.uint8] = np.clip(np.rint(weight * 40), 0, 255).astype(np.uint8)
    return scaled


def _normal(matrix: Any, scale: NDArray[np.uint8]) -> Any:
    """Scaled counts divided by the text's length, where every occurrence counts, as inference does."""
    import scipy.sparse as sparse

    wide = scale.astype(np.float64)
    length = np.sqrt(np.maximum(matrix @ (wide * wide), 1.0))
    return (sparse.diags(1 / length) @ matrix.multiply(wide[None, :]).tocsr()).tocsr()


def _quantised(values: Floats) -> tuple[NDArray[np.int16], float]:
    step = max(float(np.abs(values).max()), 1e-9) / 2047
    table: NDArray[np.int16] = np.rint(values / step).astype(np.int16)
    return table, step


@dataclass(frozen=True, slots=True)
class _HeadRows:
    """Features of some texts of one corpus; ``clauses`` only for texts that are a single clause (others null)."""

    name: str
    chosen: NDArray[np.int64]
    corpus: Corpus
    clauses: tuple[NDArray[np.int64], Floats]
    texts: Floats


def _out_of_fold(bank: _Bank, taxonomy: Taxonomy, name: str, log: Any) -> list[_HeadRows]:
    random = np.random.default_rng(SEED)
    folds = [random.integers(0, FOLDS, len(corpus.texts)) for corpus in bank.corpora]
    chosen = [
        np.sort(random.permutation(len(corpus.texts))[:_HEAD_MOST]) if corpus.name in _HEAD_WEIGHT else None
        for corpus in bank.corpora
    ]
    rows = []
    for fold_number in range(FOLDS):
        weights = _fit_ngrams(bank, [fold != fold_number for fold in folds], name)
        log(f"折 {fold_number + 1}/{FOLDS}")
        for corpus, fold_of, picked in zip(bank.corpora, folds, chosen, strict=True):
            if picked is None:
                continue
            part = picked[fold_of[picked] == fold_number]
            if len(part):
                clauses, texts = _features(weights, taxonomy, [corpus.texts[i] for i in part])
                rows.append(_HeadRows(corpus.name, part, corpus, clauses, texts))
    return rows


def _features(
    weights: Weights, taxonomy: Taxonomy, texts: Sequence[str]
) -> tuple[tuple[NDArray[np.int64], Floats], Floats]:
    """((numbers of single-clause texts, their clause features), text features)."""
    reader = Reader(Words())
    rules = TagRules(taxonomy, reader)
    readings = [reader.read(Utterance(text[:5000])) for text in texts]
    matches = [[rules.matches(reading, clause) for clause in reading.clauses] for reading in readings]
    clause_rows, text_rows = features(weights, readings, matches)
    sizes = np.array([len(reading.clauses) for reading in readings], int)
    firsts = np.cumsum(sizes) - sizes
    single = np.flatnonzero(sizes == 1)
    return (single, clause_rows[firsts[single]]), text_rows


def _fit_heads(rows: list[_HeadRows]) -> tuple[Floats, Floats]:
    text_x, text_y, text_w, clause_x, clause_y, clause_w = [], [], [], [], [], []
    for part in rows:
        y = np.array([LABELS.index(part.corpus.labels[i]) for i in part.chosen])
        share = _HEAD_WEIGHT[part.name]
        text_x.append(part.texts)
        text_y.append(y)
        text_w.append(np.full(len(y), share))
        single, features_ = part.clauses
        clause_x.append(features_)
        clause_y.append(y[single])
        clause_w.append(np.full(len(single), share))
    return (
        fit_head(np.vstack(clause_x), np.concatenate(clause_y), np.concatenate(clause_w)),
        fit_head(np.vstack(text_x), np.concatenate(text_y), np.concatenate(text_w)),
    )


def fit_head(x: Floats, y: NDArray[np.int64], weight: Floats) -> Floats:
    """A softmax head (3, features + 1), the bias last."""
    from sklearn.linear_model import LogisticRegression

    if len(set(y.tolist())) < len(LABELS):
        raise UserError("训练数据太少：校准需要每一种情感都有单独成句的例子")
    spread = x.std(axis=0)
    spread[spread < 1e-9] = 1.0
    model = LogisticRegression(C=1.0, max_iter=5000).fit(x / spread, y, sample_weight=weight)
    return np.hstack([model.coef_ / spread, model.intercept_[:, None]]).round(6)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m classify.training.linear", description="训练线性分类器的权重")
    parser.add_argument("--data", type=Path, required=True, help="训练数据的文件夹")
    parser.add_argument("--out", type=Path, required=True, help="写到哪个文件夹，例如 classify/weights")
    parser.add_argument("--taxonomy", type=Path, help="标签体系文件，默认自带的")
    given = parser.parse_args(arguments)
    try:
        taxonomy = load_taxonomy(given.taxonomy)
        material = gather(given.data, taxonomy)
        for corpus in material.corpora:
            say(f"{corpus.name:14} {len(corpus.texts):>7,} 条")
        say(f"{'未标注':13} {len(material.unlabelled):>7,} 条")
        weights = train(material, taxonomy)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sources = {corpus.name: len(corpus.texts) for corpus in material.corpora}
    save_weights(weights, given.out, seed=SEED, sources=sources, unlabelled=len(material.unlabelled))
    say(f"写好了：{given.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
