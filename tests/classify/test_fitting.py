"""Heads that are fitted again: they learn what the texts say, and stay where nothing says otherwise."""

from __future__ import annotations

import numpy as np

from classify.fitting import fit_choice, fit_several
from classify.heads import Linear, sigmoid, softmax

RANDOM = np.random.default_rng(3)
VECTORS = RANDOM.normal(size=(300, 6)).astype(np.float32)
ONES = np.ones(300, np.float32)


def blank(answers: int) -> Linear:
    return Linear(np.zeros((answers, 6), np.float32), np.zeros(answers, np.float32))


def test_it_learns_a_choice() -> None:
    labels = VECTORS[:, :3].argmax(1)
    fitted = fit_choice(VECTORS, labels, ONES, blank(3), 0.1)
    assert (fitted.logits(VECTORS).argmax(1) == labels).mean() > 0.95


def test_a_strong_pull_keeps_the_head() -> None:
    prior = Linear(RANDOM.normal(size=(3, 6)).astype(np.float32), np.zeros(3, np.float32))
    fitted = fit_choice(VECTORS, VECTORS[:, :3].argmax(1), ONES, prior, 1e7)
    assert np.abs(fitted.weight - prior.weight).max() < 1e-3


def test_a_barred_answer_is_not_pushed_down() -> None:
    """Sources that know only good and bad say nothing of neutral."""
    labels = np.where(VECTORS[:, 0] > 0, 2, 0)
    barred = np.zeros((300, 3), bool)
    barred[:, 1] = True
    free = fit_choice(VECTORS, labels, ONES, blank(3), 0.1)
    kept = fit_choice(VECTORS, labels, ONES, blank(3), 0.1, barred)
    assert softmax(kept.logits(VECTORS))[:, 1].mean() > 2 * softmax(free.logits(VECTORS))[:, 1].mean()
    assert np.abs(kept.weight[1]).max() < 1e-6


def test_unknown_answers_teach_nothing() -> None:
    truth = np.stack([(VECTORS[:, 0] > 0), (VECTORS[:, 1] > 0)], 1).astype(np.float32)
    truth[:, 1] = np.nan
    fitted = fit_several(VECTORS, truth, ONES, blank(2), 0.1)
    assert ((sigmoid(fitted.logits(VECTORS))[:, 0] > 0.5) == (truth[:, 0] > 0)).mean() > 0.95
    assert np.abs(fitted.weight[1]).max() < 1e-6
