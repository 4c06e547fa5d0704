"""Fitting heads: logistic regression that starts from a good head and strays from it only for cause."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from classify.heads import Floats, Linear

Doubles = NDArray[np.float64]


def fit_choice(
    vectors: Floats,
    labels: NDArray[np.int64],
    weights: Floats,
    prior: Linear,
    pull: float,
    barred: NDArray[np.bool_] | None = None,
) -> Linear:
    """A softmax head for one label of several.

    ``vectors`` (n, width), ``labels`` (n), ``weights`` (n); ``pull`` holds it to ``prior``, in units of one text;
    ``barred`` (n, answers) marks answers that a text's source could not give, which then do not compete.
    """
    truth = np.eye(len(prior.bias))[labels]

    def cost(logits: Doubles) -> tuple[float, Doubles]:
        if barred is not None:
            logits = np.where(barred, -1e9, logits)
        logits = logits - logits.max(1, keepdims=True)
        powers = np.exp(logits)
        shares = powers / powers.sum(1, keepdims=True)
        loss = -(weights * np.log(np.maximum((shares * truth).sum(1), 1e-12))).sum()
        return float(loss), (shares - truth) * weights[:, None]

    return _fit(vectors, cost, prior, pull)


def fit_several(vectors: Floats, truth: Floats, weights: Floats, prior: Linear, pull: float) -> Linear:
    """A sigmoid head for answers that may hold together; ``truth`` (n, answers) of 0 and 1, NaN where unknown."""
    known = ~np.isnan(truth)
    target = np.where(known, truth, 0.0)

    def cost(logits: Doubles) -> tuple[float, Doubles]:
        each = np.logaddexp(0, logits) - target * logits
        slope = (1 / (1 + np.exp(-np.clip(logits, -30, 30))) - target) * known * weights[:, None]
        return float((each * known * weights[:, None]).sum()), slope

    return _fit(vectors, cost, prior, pull)


def _fit(vectors: Floats, cost: object, prior: Linear, pull: float) -> Linear:
    from scipy.optimize import minimize

    assert callable(cost)
    answers, width = prior.weight.shape
    if not len(vectors):
        return prior
    # Vectors of one encoder share most of their direction; centred and of unit spread they fit in few steps.
    middle = vectors.mean(0, dtype=np.float64)
    spread = float(np.sqrt(vectors.var(0, dtype=np.float64).mean())) + 1e-9
    inputs = (vectors - middle) / spread
    weight = prior.weight.astype(np.float64)
    start = np.concatenate([(weight * spread).ravel(), prior.bias + weight @ middle])

    def total(at: Doubles) -> tuple[float, Doubles]:
        weight, bias = at[: answers * width].reshape(answers, width), at[answers * width :]
        loss, slope = cost(inputs @ weight.T + bias)
        away = at - start
        away[answers * width :] *= 0.1
        slopes = np.concatenate([(slope.T @ inputs).ravel(), slope.sum(0)])
        return loss + 0.5 * pull * float(away @ (at - start)), slopes + pull * away

    found = minimize(total, start, jac=True, method="L-BFGS-B", options={"maxiter": 150, "maxcor": 20})
    weight = found.x[: answers * width].reshape(answers, width) / spread
    bias = found.x[answers * width :] - weight @ middle
    return Linear(weight.astype(np.float32), bias.astype(np.float32))
