"""The linear model: n-gram weights, integer arithmetic, exact sums for any stretch of any text.

Weights are small integers, so sums do not depend on the order or the batch they are taken in: the same text scores the
same alone, in a batch and on another machine.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classify.ngrams import BITS, ORDERS, grams
from ingest.analysis import SentimentLabel
from ingest.errors import ModelError

WEIGHTS = "linear.npz"
MANIFEST = "manifest.json"

LABELS: tuple[SentimentLabel, ...] = ("negative", "neutral", "positive")
"""Order of every probability vector."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weights:
    """What training leaves. All tables are indexed by n-gram bucket.

    ``scale`` (uint8) is how much an n-gram weighs in a text's length; ``polar`` (int16) pushes towards positive (+) or
    negative (-), ``neutral`` (int16) towards saying nothing; ``steps`` and ``biases`` turn the two sums into logits.
    ``clause_head`` and ``text_head`` are softmax heads over features, one row a label, the bias last.
    """

    name: str
    scale: NDArray[np.uint8]
    polar: NDArray[np.int16]
    neutral: NDArray[np.int16]
    steps: tuple[float, float]
    biases: tuple[float, float]
    clause_head: Floats
    text_head: Floats


def load_weights(folder: Path | None = None) -> Weights:
    """Read and verify weights, the shipped ones by default. Raises ModelError: a file is missing or not as listed."""
    place: Traversable = files("classify").joinpath("weights") if folder is None else folder
    try:
        manifest = json.loads(place.joinpath(MANIFEST).read_bytes())
        data = place.joinpath(WEIGHTS).read_bytes()
    except (OSError, ValueError) as error:
        raise ModelError(f"读不出 {place} 里的权重：{error}") from error
    if not isinstance(manifest, dict) or manifest.get("sha256") != hashlib.sha256(data).hexdigest():
        raise ModelError(f"{place} 里的 {WEIGHTS} 不是 {MANIFEST} 登记的那个文件：已损坏或被替换")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return _checked(str(manifest["name"]), {key: arrays[key] for key in arrays.files})
    except ModelError:
        raise
    except Exception as error:  # a zip, npy or key error of any kind: the listed file is unusable
        raise ModelError(f"{place} 里的 {WEIGHTS} 不能用：{error}") from error


def save_weights(weights: Weights, folder: Path, **notes: Any) -> None:
    """Write weights and the manifest that vouches for them; ``notes`` go into the manifest."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        scale=weights.scale,
        polar=weights.polar,
        neutral=weights.neutral,
        steps=np.array(weights.steps),
        biases=np.array(weights.biases),
        clause_head=weights.clause_head,
        text_head=weights.text_head,
    )
    data = buffer.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS).write_bytes(data)
    manifest = {"name": weights.name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **notes}
    (folder / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n", "utf-8")


def _checked(name: str, arrays: dict[str, NDArray[Any]]) -> Weights:
    size = 1 << BITS
    for key, kind in (("scale", np.uint8), ("polar", np.int16), ("neutral", np.int16)):
        if arrays[key].shape != (size,) or arrays[key].dtype != kind:
            raise ModelError(f"权重里的 {key} 形状或类型不对")
    for key in ("clause_head", "text_head"):
        if arrays[key].ndim != 2 or len(arrays[key]) != len(LABELS) or not np.isfinite(arrays[key]).all():
            raise ModelError(f"权重里的 {key} 形状不对，或有不是数的值")
    polar_step, neutral_step = (float(step) for step in arrays["steps"])
    polar_bias, neutral_bias = (float(bias) for bias in arrays["biases"])
    return Weights(
        name,
        arrays["scale"],
        arrays["polar"],
        arrays["neutral"],
        (polar_step, neutral_step),
        (polar_bias, neutral_bias),
        arrays["clause_head"].astype(np.float64),
        arrays["text_head"].astype(np.float64),
    )


class Scores:
    """Logits of stretches of a batch of folded texts, from sums over positions taken once."""

    def __init__(self, weights: Weights, folded: Sequence[str]) -> None:
        found = grams(folded)
        self._weights = weights
        self.starts = found.starts
        self._sums: list[NDArray[np.int64]] = []
        for buckets, inside in zip(found.buckets, found.inside, strict=True):
            sums = np.zeros((len(buckets) + 1, 3), dtype=np.int64)
            scale = weights.scale[buckets].astype(np.int64)
            for column, values in enumerate((weights.polar[buckets], weights.neutral[buckets], scale * scale)):
                np.cumsum(np.where(inside, values, 0), out=sums[1:, column])
            self._sums.append(sums)

    def logits(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """(polar, neutral) logits of ``[start, end)`` in positions of the batch, from the n-grams wholly inside."""
        total = np.zeros((len(starts), 3), dtype=np.int64)
        for order, sums in zip(ORDERS, self._sums, strict=True):
            last = np.maximum(ends - order + 1, starts)
            total += sums[last] - sums[starts]
        length = np.sqrt(np.maximum(total[:, 2], 1).astype(np.float64))
        steps, biases = self._weights.steps, self._weights.biases
        return total[:, 0] * steps[0] / length + biases[0], total[:, 1] * steps[1] / length + biases[1]


def softmax(head: Floats, features: Floats) -> Floats:
    """Probabilities (n, 3) of features (n, f) under a head (3, f + 1); column by column, so a row never sees others."""
    logits = np.zeros((len(features), len(LABELS)))
    for column in range(features.shape[1]):
        logits += features[:, column, None] * head[None, :, column]
    logits += head[None, :, -1]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares
