"""The encoder: texts to vectors, by ONNX Runtime in INT8 on as many cores as there are.

A vector is the mean of token states: over a whole text, or over one of its clauses in the light of its whole window.
Long texts are read in windows that end between clauses, so time and memory are bounded for any text.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.errors import ModelError

ENCODER = "encoder.onnx"
TOKENIZER = "tokenizer.json"
HEADS = "heads.npz"
MANIFEST = "manifest.json"

WINDOW = 128
"""Tokens of one window, its two marks among them."""
MOST_WINDOWS = 24
"""Windows of one text that are encoded: the first ones and the last ones, some 4,000 characters."""
_LAST_WINDOWS = 8
_BATCH_TOKENS = 512
"""Of one run, padding among them: what a run works on stays in a core's cache; from 2,048 on a token costs half as much
again."""
_RUN_TOKENS = 6
"""What starting a run costs, in tokens (0.4 ms)."""
_MOST_CHARACTERS = 8000
"""Characters at each end of a text that are tokenised; more cannot fit the windows."""

Vectors = NDArray[np.float32]
Spans = Sequence[tuple[int, int]]


class Encoded(NamedTuple):
    """Vectors of some texts: ``texts`` (n, width), ``clauses`` (all clauses in order, width), zeros where unread."""

    texts: Vectors
    clauses: Vectors


@dataclass(slots=True)
class _Window:
    ids: list[int]
    text: int
    spans: list[tuple[int, int, int]]
    """(number of the clause among all clauses, first token, last token + 1)"""


class Encoder:
    """Loads and runs one encoder; thread-safe after construction.

    ``folder``: what ``python -m classify.train`` wrote; the shipped one by default. ``threads``: one batch each.
    Raises ModelError when a file is missing, is not the one that the manifest lists, or cannot be run.
    """

    def __init__(self, folder: Path | None = None, threads: int | None = None) -> None:
        place = shipped() if folder is None else folder
        self.manifest = read_manifest(place)
        model = listed(place, self.manifest, ENCODER)
        listed(place, self.manifest, TOKENIZER)
        with as_file(place.joinpath(TOKENIZER)) as path:
            self._tokenizer = _tokenizer(path)
        self._session = _session(model, place)
        self.width = int(self.manifest["width"])
        self._padding = int(self.manifest["padding"])
        self._threads = threads or max(1, min(4, os.cpu_count() or 1))

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the encoder's file: heads fitted to one encoder fit no other."""
        return str(self.manifest["sha256"][ENCODER])

    def encode(self, folded: Sequence[str], clauses: Sequence[Spans]) -> Encoded:
        """Vectors of folded texts and of ``clauses``, [start, end) in characters, of each of them."""
        windows = self._windows(folded, clauses)
        total = sum(len(spans) for spans in clauses)
        texts = np.zeros((len(folded), self.width), np.float32)
        found = np.zeros((total, self.width), np.float32)
        text_tokens = np.zeros(len(folded), np.float32)
        tokens = np.zeros(total, np.float32)
        batches = _batches(windows)
        for batch, (sums, parts) in zip(batches, self._side_by_side(batches), strict=True):
            owners = np.array([window.text for window in batch])
            _add(texts, owners, sums)
            _add(text_tokens, owners, np.array([len(window.ids) for window in batch], np.float32))
            rows = [span for window in batch for span in window.spans]
            if rows:
                spans = np.array(rows)
                _add(found, spans[:, 0], parts)
                _add(tokens, spans[:, 0], (spans[:, 2] - spans[:, 1]).astype(np.float32))
        texts /= np.maximum(text_tokens, 1.0)[:, None]
        found /= np.maximum(tokens, 1.0)[:, None]
        return Encoded(texts, found)

    def _side_by_side(self, batches: list[list[_Window]]) -> list[tuple[Vectors, Vectors]]:
        """Every batch run, on as many threads as there are cores; the threads end with the call."""
        if len(batches) < 2 or self._threads < 2:
            return [self._run(batch) for batch in batches]
        with ThreadPoolExecutor(self._threads, "encoder") as pool:
            return list(pool.map(self._run, batches))

    def _run(self, batch: list[_Window]) -> tuple[Vectors, Vectors]:
        """Sums of token states over each window, and over each of its clauses."""
        longest = max(len(window.ids) for window in batch)
        ids = np.full((len(batch), longest), self._padding, np.int64)
        lengths = np.array([len(window.ids) for window in batch], np.int32)
        for row, window in enumerate(batch):
            ids[row, : len(window.ids)] = window.ids
        states = self._session.run(None, {"ids": ids, "lengths": lengths})[0]
        counts = np.array([len(window.spans) for window in batch])
        spans = np.array([span for window in batch for span in window.spans], np.int64).reshape(-1, 3)
        rows = np.repeat(np.arange(len(batch)), counts)
        places = 1 + np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Which tokens belong to what is summed: one product is eight times faster than running sums.
        belongs = np.zeros((len(batch), 1 + counts.max(), longest), np.float32)
        at = np.arange(longest)
        belongs[:, 0] = at < lengths[:, None]
        belongs[rows, places] = (at >= spans[:, 1:2]) & (at < spans[:, 2:3])
        sums = np.matmul(belongs, states)
        return sums[:, 0], sums[rows, places]

    def _windows(self, folded: Sequence[str], clauses: Sequence[Spans]) -> list[_Window]:
        short = [text if len(text) <= 2 * _MOST_CHARACTERS else text[:_MOST_CHARACTERS] for text in folded]
        windows: list[_Window] = []
        base = 0
        for number, coded in enumerate(self._tokenizer.encode_batch(short)):
            spans = clauses[number]
            text = folded[number]
            mine = _cut(coded.ids, coded.offsets, spans, number, base)
            if len(short[number]) < len(text):
                tail = len(text) - _MOST_CHARACTERS
                ending = [(max(s - tail, 0), e - tail) if e > tail else (0, 0) for s, e in spans]
                last = self._tokenizer.encode(text[tail:])
                mine = mine[: MOST_WINDOWS - _LAST_WINDOWS] + _cut(last.ids, last.offsets, ending, number, base)
            if len(mine) > MOST_WINDOWS:
                mine = mine[: MOST_WINDOWS - _LAST_WINDOWS] + mine[-_LAST_WINDOWS:]
            windows += mine
            base += len(spans)
        return windows


def _add(into: Vectors, rows: NDArray[np.int64], values: Vectors) -> None:
    """Add to rows, some of which may be named twice: most often none is, and that is four times faster."""
    if len(np.unique(rows)) == len(rows):
        into[rows] += values
    else:
        np.add.at(into, rows, values)


def shipped() -> Traversable:
    return files("classify").joinpath("weights", "encoder")


def read_manifest(place: Traversable | Path) -> dict[str, Any]:
    """What a folder of weights says of itself. Raises ModelError."""
    try:
        manifest = json.loads(place.joinpath(MANIFEST).read_bytes())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"读不到模型说明 {place.joinpath(MANIFEST)}：{error}。请重新安装，或检查模型的文件夹"
        ) from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), dict):
        raise ModelError(f"模型说明 {place.joinpath(MANIFEST)} 的内容不对，请重新安装")
    return manifest


def listed(place: Traversable | Path, manifest: dict[str, Any], name: str) -> bytes:
    """The bytes of one file, which must be those that the manifest lists. Raises ModelError."""
    try:
        data = place.joinpath(name).read_bytes()
    except OSError as error:
        raise ModelError(f"读不到模型文件 {place.joinpath(name)}：{error}。请重新安装") from error
    if hashlib.sha256(data).hexdigest() != manifest["sha256"].get(name):
        raise ModelError(
            f"模型文件 {place.joinpath(name)} 与清单里的 SHA-256 不符：文件损坏或被换过，拒绝使用。请重新安装"
        )
    return data


def _session(model: bytes, place: Traversable | Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # whole batches run side by side instead: less waiting
    # The extended level would fuse Add and LayerNormalization into a kernel seven times slower.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises types of its own for every kind of damage
        raise ModelError(f"模型文件 {place.joinpath(ENCODER)} 不能运行：{error}") from error


def _tokenizer(path: Path) -> Any:
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it announces that torch is missing; nobody needs it
    from transformers import PreTrainedTokenizerFast

    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(path)).backend_tokenizer
    except Exception as error:  # the tokenizer's Rust core raises bare Exceptions
        raise ModelError(f"分词器 {path} 不能使用：{error}") from error


def _cut(ids: list[int], offsets: list[tuple[int, int]], clauses: Spans, text: int, base: int) -> list[_Window]:
    """Windows of one tokenised text; a window ends where a clause ends if that leaves it at least half full."""
    first, last = ids[0], ids[-1]
    spans = spans_of(offsets, clauses)
    if len(ids) <= WINDOW:
        return [_Window(ids, text, [(base + n, a, b) for n, (a, b) in enumerate(spans) if b > a])]
    ends = sorted({b for a, b in spans if b > a})
    windows = []
    start, stop = 1, len(ids) - 1
    at = 0
    while start < stop:
        limit = min(start + WINDOW - 2, stop)
        cut = limit
        if limit < stop:
            while at < len(ends) and ends[at] <= limit:
                at += 1
            if at and ends[at - 1] >= start + WINDOW // 2:
                cut = ends[at - 1]
        inside = [
            (base + n, max(a, start) - start + 1, min(b, cut) - start + 1)
            for n, (a, b) in enumerate(spans)
            if a < cut and b > start and b > a
        ]
        windows.append(_Window([first, *ids[start:cut], last], text, inside))
        start = cut
    return windows


def spans_of(offsets: Sequence[tuple[int, int]], clauses: Spans) -> list[tuple[int, int]]:
    """For each clause, in order, its stretch of tokens; empty for clauses without any."""
    spans = []
    at = 1
    last = len(offsets) - 1
    for start, end in clauses:
        while at < last and offsets[at][1] <= start:
            at += 1
        stop = at
        while stop < last and offsets[stop][0] < end:
            stop += 1
        spans.append((at, stop))
    return spans


def _batches(windows: list[_Window]) -> list[list[_Window]]:
    """Windows of like length together: a new batch where padding would cost more than another run."""
    groups: list[list[_Window]] = []
    longest = 0
    for window in sorted(windows, key=lambda window: len(window.ids)):
        length, many = len(window.ids), len(groups[-1]) if groups else 0
        if not groups or many * (length - longest) > _RUN_TOKENS or (many + 1) * length > _BATCH_TOKENS:
            groups.append([])
        groups[-1].append(window)
        longest = length
    return groups
