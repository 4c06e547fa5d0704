"""Fitting the heads in closed form on vectors that an encoder gives: before it is tuned, and after it is INT8.

A head that starts from nothing would spend the first half of the tuning on finding out that most tags are rare, and
teach the encoder little meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from classify.fitting import fit_choice, fit_several
from classify.heads import Floats, Linear
from classify.labelled import tag_names
from classify.scorer import LABELS
from classify.training.loop import Encoded, collate
from classify.training.material import UNKNOWN, Example
from classify.training.network import Network


def probe(network: Network, coded: Sequence[Encoded], pull: float) -> None:
    """Fit the network's heads on its own vectors of labelled texts."""
    network.eval()
    order = sorted(range(len(coded)), key=lambda number: len(coded[number].ids))
    texts: list[Floats] = [np.zeros(0, np.float32)] * len(coded)
    clauses: list[Floats] = [np.zeros((0, 0), np.float32)] * len(coded)
    with torch.no_grad():
        for start in range(0, len(order), 64):
            numbers = order[start : start + 64]
            found = network(collate([coded[number] for number in numbers]))
            row = 0
            for at, number in enumerate(numbers):
                texts[number] = found["text"][at].numpy()
                count = len(coded[number].spans)
                if count:
                    clauses[number] = found["clause"][row : row + count].numpy()
                row += count
    flat = np.concatenate([each for each in clauses if len(each)])
    linear = fit_heads(heads_of(network), np.array(texts), flat, [each.example for each in coded], pull)
    with torch.no_grad():
        for name, head in linear.items():
            network.heads[name].weight.copy_(torch.from_numpy(head.weight))
            network.heads[name].bias.copy_(torch.from_numpy(head.bias))


def heads_of(network: Network) -> dict[str, Linear]:
    return {
        name: Linear(head.weight.detach().numpy().copy(), head.bias.detach().numpy().copy())
        for name, head in network.heads.items()
    }


def fit_heads(
    priors: Mapping[str, Linear], texts: Floats, clauses: Floats, examples: Sequence[Example], pull: float
) -> dict[str, Linear]:
    """Heads for ``texts`` (n, width) and ``clauses`` (all clauses, width), the vectors of ``examples``."""
    weights = np.array([e.weight for e in examples], np.float32)
    linear: dict[str, Linear] = {}
    for name, labels in (("sentiment", [e.sentiment for e in examples]), ("intent", [e.intent for e in examples])):
        truth = np.array(labels)
        known = truth != UNKNOWN
        barred = np.zeros((int(known.sum()), len(priors[name].bias)), bool)
        if name == "sentiment":
            barred[:, LABELS.index("neutral")] = np.array([e.polar for e in examples])[known]
        linear[name] = fit_choice(texts[known], truth[known], weights[known], priors[name], pull, barred)
    marked = [n for n, e in enumerate(examples) if e.marks is not None]
    marks = np.array([examples[n].marks for n in marked], np.float32)
    linear["marks"] = fit_several(texts[marked], marks, weights[marked], priors["marks"], pull)
    rows = clause_rows(examples)
    vectors = clauses[rows.numbers]
    known = rows.sentiments != UNKNOWN
    linear["clause_sentiment"] = fit_choice(
        vectors[known], rows.sentiments[known], rows.weights[known], priors["clause_sentiment"], pull
    )
    linear["tags"] = fit_several(vectors, rows.tags, rows.weights, priors["tags"], pull)
    linear["danger"] = fit_several(vectors, rows.dangers[:, None], rows.weights, priors["danger"], pull)
    return linear


@dataclass(frozen=True, slots=True)
class Rows:
    """The labelled clauses: their row among all clauses, and their labels."""

    numbers: NDArray[np.int64]
    tags: Floats
    sentiments: NDArray[np.int64]
    dangers: Floats
    weights: Floats


def clause_rows(examples: Sequence[Example]) -> Rows:
    numbers, tags, sentiments, dangers, weights = [], [], [], [], []
    base = 0
    for each in examples:
        for number in range(len(each.clauses)):
            if each.clause_tags is None or each.clause_sentiment is None or each.clause_danger is None:
                continue
            numbers.append(base + number)
            row = np.zeros(len(tag_names()), np.float32)
            row[list(each.clause_tags[number])] = 1.0
            if each.source == "taxonomy":
                row[row == 0] = np.nan  # an example of one tag may hold others
            tags.append(row)
            sentiments.append(each.clause_sentiment[number])
            danger = each.clause_danger[number]
            dangers.append(np.nan if danger == UNKNOWN else float(danger))
            weights.append(each.weight)
        base += len(each.clauses)
    return Rows(
        np.array(numbers),
        np.array(tags),
        np.array(sentiments),
        np.array(dangers, np.float32),
        np.array(weights, np.float32),
    )
