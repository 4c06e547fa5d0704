"""The small network learns from the large one: from its answers on every text, labelled or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from classify.encoder import Encoder
from classify.training.loop import Encoded, loss_of, say
from classify.training.material import Example
from classify.training.network import CLAUSE_HEADS, TEXT_HEADS, Network

_CHUNK = 4000
_SOFT = {
    "sentiment": 1.0,
    "intent": 0.5,
    "marks": 0.5,
    "topic": 0.2,
    "clause_sentiment": 0.5,
    "tags": 1.0,
    "danger": 0.5,
}
_CHOICES = ("sentiment", "intent", "topic", "clause_sentiment")
_VECTORS = 1.0
"""What it weighs to stray from the teacher's vectors, in units of their own spread."""

_BY_CLAUSE = (*CLAUSE_HEADS, "clause")
_LABELLED = 0.5
"""What the labels of a text weigh beside the teacher's answers."""


def answer(teacher: Encoder, network: Network, examples: Sequence[Example], work: Path) -> list[dict[str, Any]]:
    """The teacher's logits for each text, by head; clause heads hold a row a clause. Kept in ``work`` as it goes."""
    heads = {name: (h.weight.detach().numpy(), h.bias.detach().numpy()) for name, h in network.heads.items()}
    found: list[dict[str, Any]] = []
    for start in range(0, len(examples), _CHUNK):
        part = examples[start : start + _CHUNK]
        path = work / f"answers-{start}.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as saved:
                answers = {name: saved[name] for name in saved.files}
        else:
            vectors = teacher.encode([e.text for e in part], [e.clauses for e in part])
            answers = {"text": vectors.texts.astype(np.float16), "clause": vectors.clauses.astype(np.float16)}
            for names, rows in ((TEXT_HEADS, vectors.texts), (CLAUSE_HEADS, vectors.clauses)):
                for name in names:
                    weight, bias = heads[name]
                    answers[name] = (rows @ weight.T + bias).astype(np.float16)
            fresh = path.with_suffix(".tmp.npz")
            np.savez(fresh, **answers)
            fresh.replace(path)
        found += _by_text(answers, part)
        say(f"教师模型作答 {min(start + _CHUNK, len(examples)):,}/{len(examples):,}")
    return found


def _by_text(answers: dict[str, NDArray[np.float16]], part: Sequence[Example]) -> list[dict[str, Any]]:
    at = 0
    found = []
    for number, example in enumerate(part):
        clauses = slice(at, at + len(example.clauses))
        at += len(example.clauses)
        found.append({name: rows[clauses if name in _BY_CLAUSE else number] for name, rows in answers.items()})
    return found


def distilling_loss(found: dict[str, Tensor], group: Sequence[Encoded]) -> Tensor:
    """Labels and the teacher's answers together."""
    total = _LABELLED * loss_of(found, group)
    for name, share in _SOFT.items():
        if name not in found:
            continue
        wanted = [each.targets[name] for each in group]  # type: ignore[index]
        rows = torch.from_numpy(np.stack(wanted) if name in TEXT_HEADS else np.concatenate(wanted)).float()
        if not len(rows):
            continue
        if name in _CHOICES:
            cost = functional.kl_div(
                functional.log_softmax(found[name], 1),
                functional.log_softmax(rows, 1),
                log_target=True,
                reduction="none",
            )
        else:
            shares = torch.sigmoid(rows)
            cost = functional.binary_cross_entropy_with_logits(found[name], shares, reduction="none")
            cost = cost - functional.binary_cross_entropy(shares, shares, reduction="none")
        each = cost.sum(1)
        if name in CLAUSE_HEADS:
            weight = torch.cat([torch.full((len(e.spans),), len(e.spans) ** -0.5) for e in group if e.spans])
            each = each * weight
        total = total + share * each.sum() / len(group)
    for name in ("text", "clause"):
        wanted = [each.targets[name] for each in group]  # type: ignore[index]
        rows = torch.from_numpy(np.stack(wanted) if name == "text" else np.concatenate(wanted)).float()
        if name in found and len(rows) > 1:
            away = (found[name] - rows).square().mean() / rows.var(0).mean().clamp(min=1e-4)
            total = total + _VECTORS * away
    return total
