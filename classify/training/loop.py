"""The training loop: length-sorted batches, a fixed seed, checkpoints to resume from, progress in words."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from classify.encoder import spans_of
from classify.training.material import UNKNOWN, Example
from classify.training.network import Batch, Network

SEED = 20241107
TOKENS = 2048
POOL = 3000
SAVE_EVERY = 120.0


@dataclass(slots=True)
class Encoded:
    """An example with its token numbers and, for each clause, its stretch of tokens."""

    example: Example
    ids: list[int]
    spans: list[tuple[int, int]]
    targets: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """One stage: how often over the material, how fast it learns, which of the encoder's layers stay as they are."""

    name: str
    epochs: int
    rate: float
    frozen: int
    last_rate: float = 0.05
    head_rate: float = 1e-3


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def encode(tokenizer: Any, examples: Sequence[Example], longest: int) -> list[Encoded]:
    """Tokenise; a clause is the tokens that begin inside it."""
    found = []
    for start in range(0, len(examples), 2000):
        part = examples[start : start + 2000]
        for example, coded in zip(part, tokenizer.encode_batch([e.text for e in part]), strict=True):
            ids, offsets = coded.ids, coded.offsets
            if len(ids) > longest:
                ids, offsets = [*ids[: longest - 1], ids[-1]], [*offsets[: longest - 1], offsets[-1]]
            found.append(Encoded(example, ids, spans_of(offsets, example.clauses)))
    return found


def batches(coded: Sequence[Encoded], shuffle: random.Random | None) -> Iterator[list[Encoded]]:
    """Batches of texts of like length, at most ``TOKENS`` padded tokens each."""
    order = list(range(len(coded)))
    if shuffle is not None:
        shuffle.shuffle(order)
    for start in range(0, len(order), POOL):
        pool = sorted(order[start : start + POOL], key=lambda n: (len(coded[n].ids), n))
        groups: list[list[Encoded]] = []
        for number in pool:
            each = coded[number]
            if not groups or (len(groups[-1]) + 1) * len(each.ids) > TOKENS:
                groups.append([])
            groups[-1].append(each)
        if shuffle is not None:
            shuffle.shuffle(groups)
        yield from groups


def collate(group: Sequence[Encoded], padding: int = 1) -> Batch:
    longest = max(len(each.ids) for each in group)
    ids = np.full((len(group), longest), padding, np.int64)
    mask = np.zeros((len(group), longest), np.int64)
    rows = []
    for number, each in enumerate(group):
        ids[number, : len(each.ids)] = each.ids
        mask[number, : len(each.ids)] = 1
        rows += [(number, first, last) for first, last in each.spans]
    spans = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    return Batch(torch.from_numpy(ids), torch.from_numpy(mask), spans[:, 0], spans[:, 1], spans[:, 2])


def loss_of(found: dict[str, Tensor], group: Sequence[Encoded]) -> Tensor:
    """The sum of what each label of the batch costs, over the number of texts."""
    texts = [each.example for each in group]
    weight = torch.tensor([each.weight for each in texts])
    total = torch.zeros(())
    polar = torch.tensor([each.polar for each in texts])
    logits = found["sentiment"].clone()
    logits[:, 1] = torch.where(polar, torch.full_like(logits[:, 1], -30.0), logits[:, 1])
    total = total + _choice(logits, [e.sentiment for e in texts], weight, smooth=0.0)
    total = total + _choice(found["intent"], [e.intent for e in texts], weight)
    total = total + 0.3 * _choice(found["topic"], [e.topic for e in texts], weight)
    marked = [number for number, each in enumerate(texts) if each.marks is not None]
    if marked:
        truth = torch.tensor([texts[n].marks for n in marked], dtype=torch.float32)
        each = functional.binary_cross_entropy_with_logits(found["marks"][marked], truth, reduction="none").sum(1)
        total = total + (each * weight[marked]).sum()
    rows = [
        (row, each, n)
        for row, (each, n) in enumerate((e, n) for e in texts for n in range(len(e.clauses)))
        if each.clause_tags is not None
    ]
    if rows:
        where = torch.tensor([row for row, _, _ in rows])
        share = torch.tensor([each.weight / max(len(each.clauses), 1) ** 0.5 for _, each, _ in rows])
        tags = torch.zeros((len(rows), found["tags"].shape[1]))
        for number, (_, each, n) in enumerate(rows):
            tags[number, list(each.clause_tags[n])] = 1.0  # type: ignore[index]
        cost = functional.binary_cross_entropy_with_logits(found["tags"][where], tags, reduction="none").sum(1)
        total = total + (cost * share).sum()
        signs = [each.clause_sentiment[n] for _, each, n in rows]  # type: ignore[index]
        total = total + _choice(found["clause_sentiment"][where], signs, share)
        danger = torch.tensor([each.clause_danger[n] for _, each, n in rows])  # type: ignore[index]
        known = danger != UNKNOWN
        cost = functional.binary_cross_entropy_with_logits(
            found["danger"][where][known, 0], danger[known].float(), reduction="none"
        )
        total = total + (cost * share[known]).sum()
    return total / len(group)


def _choice(logits: Tensor, labels: Sequence[int], weight: Tensor, smooth: float = 0.0) -> Tensor:
    truth = torch.tensor(labels)
    known = truth != UNKNOWN
    if not known.any():
        return torch.zeros(())
    cost = functional.cross_entropy(logits[known], truth[known], reduction="none", label_smoothing=smooth)
    return (cost * weight[known]).sum()


def fit(
    network: Network,
    coded: Sequence[Encoded],
    plan: Plan,
    work: Path,
    loss: Callable[[dict[str, Tensor], Sequence[Encoded]], Tensor] = loss_of,
) -> None:
    """Train through one stage, or the rest of one that was cut; leaves ``work/NAME.done.pt``."""
    done = work / f"{plan.name}.done.pt"
    if done.exists():
        network.load_state_dict(torch.load(done, weights_only=True))
        say(f"{plan.name}：已完成，沿用 {done.name}")
        return
    torch.manual_seed(SEED)
    encoder: Any = network.encoder
    for weight in network.parameters():
        weight.requires_grad_(True)
    for weight in encoder.embeddings.parameters():
        weight.requires_grad_(False)
    for layer in encoder.encoder.layer[: plan.frozen]:
        for weight in layer.parameters():
            weight.requires_grad_(False)
    body = [w for w in encoder.parameters() if w.requires_grad]
    heads = list(network.heads.parameters())
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": plan.rate, "weight_decay": 0.01}, {"params": heads, "lr": plan.head_rate}], fused=True
    )
    shuffle = random.Random(SEED)  # noqa: S311 - an order, not a secret
    groups = [group for _ in range(plan.epochs) for group in batches(coded, shuffle)]
    tokens = [sum(len(each.ids) for each in group) for group in groups]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: _slope(n, len(groups), plan.last_rate))
    first = 0
    part = work / f"{plan.name}.part.pt"
    if part.exists():
        saved = torch.load(part, weights_only=True)
        network.load_state_dict(saved["network"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        first = int(saved["step"])
        say(f"{plan.name}：从第 {first} 步接着训练")
    network.train()
    began = saved_at = time.monotonic()
    mean = 0.0
    for step in range(first, len(groups)):
        group = groups[step]
        cost = loss(network(collate(group)), group)
        cost.backward()
        torch.nn.utils.clip_grad_norm_([*body, *heads], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        mean = float(cost.detach()) if step == first else 0.98 * mean + 0.02 * float(cost.detach())
        now = time.monotonic()
        if step % 25 == 24 or step == len(groups) - 1:
            rate = sum(tokens[first : step + 1]) / (now - began)
            left = sum(tokens[step + 1 :]) / rate / 60
            say(f"{plan.name} {step + 1}/{len(groups)} 损失 {mean:.4f}，{rate:,.0f} 词/秒，还要 {left:.0f} 分钟")
        if now - saved_at > SAVE_EVERY:
            saved_at = now
            _write(
                part,
                {
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "step": step + 1,
                },
            )
    _write(done, network.state_dict())
    part.unlink(missing_ok=True)


def _write(path: Path, state: Any) -> None:
    fresh = path.with_suffix(".tmp")
    torch.save(state, fresh)
    fresh.replace(path)


def _slope(step: int, steps: int, last: float) -> float:
    warm = max(1, min(100, steps // 20))
    if step < warm:
        return (step + 1) / warm
    return last + (1 - last) * (1 - (step - warm) / max(1, steps - warm))
