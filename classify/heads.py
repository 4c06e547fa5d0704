"""The heads over the encoder's vectors: plain linear layers, small enough to be fitted again on any machine."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ModelError

Floats = NDArray[np.float32]

TEXT_HEADS = {"sentiment": 3, "intent": 5, "marks": 6}
"""Heads over the vector of a whole text, and how many answers each has; ``marks`` may hold together."""

CLAUSE_HEADS = ("clause_sentiment", "tags", "danger")
"""Heads over the vector of a clause; ``tags`` has one answer for each trained tag, and they may hold together."""


@dataclass(frozen=True, slots=True)
class Linear:
    """``weight`` (answers, width) and ``bias`` (answers)."""

    weight: Floats
    bias: Floats

    def logits(self, vectors: Floats) -> Floats:
        """(n, answers)."""
        found: Floats = vectors @ self.weight.T + self.bias
        return found


@dataclass(frozen=True, slots=True)
class Heads:
    """All heads, and what was learned beside them.

    ``tag_sentiment`` (tags, 3): log-odds that a tag is said in that sentiment at all (表扬 is never negative).
    ``blend``: small tables by name, see :mod:`classify.transformer`. ``background`` (n, width): vectors of clauses of
    all kinds, against which the examples of a new tag are told apart.
    """

    linear: Mapping[str, Linear]
    tag_sentiment: Floats
    blend: Mapping[str, Floats]
    background: Floats

    def logits(self, name: str, vectors: Floats) -> Floats:
        return self.linear[name].logits(vectors)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def sigmoid(logits: Floats) -> Floats:
    shares: Floats = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
    return shares


def pack(heads: Heads) -> bytes:
    """The heads as one npz archive, readable without pickle."""
    arrays: dict[str, Any] = {"tag_sentiment": heads.tag_sentiment, "background": heads.background.astype(np.float16)}
    for name, linear in heads.linear.items():
        arrays[f"{name}.weight"] = linear.weight
        arrays[f"{name}.bias"] = linear.bias
    for name, table in heads.blend.items():
        arrays[f"blend.{name}"] = table
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def unpack(data: bytes, tags: int, width: int, place: Path | Any) -> Heads:
    """Read what :func:`pack` wrote. Raises ModelError when it does not fit ``tags`` and ``width``."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name].astype(np.float32) for name in archive.files}
        sizes = TEXT_HEADS | {"clause_sentiment": 3, "tags": tags, "danger": 1}
        linear = {name: Linear(arrays[f"{name}.weight"], arrays[f"{name}.bias"]) for name in sizes}
        blend = {name.removeprefix("blend."): table for name, table in arrays.items() if name.startswith("blend.")}
        heads = Heads(linear, arrays["tag_sentiment"], blend, arrays["background"])
    except Exception as error:  # a zip, npy or key error of any kind: the file is unusable
        raise ModelError(f"分类头 {place} 不能使用：{error}") from error
    fits = all(head.weight.shape == (sizes[name], width) for name, head in linear.items())
    if not fits or not all(np.isfinite(table).all() for table in arrays.values()):
        raise ModelError(f"分类头 {place} 的尺寸不对，或含有不是数的值")
    return heads
