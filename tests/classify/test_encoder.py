"""The encoder: its files are verified, any text is bounded, and a text means the same alone and among others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from classify.clauses import split
from classify.encoder import (
    ENCODER,
    HEADS,
    MANIFEST,
    MOST_WINDOWS,
    TOKENIZER,
    WINDOW,
    Encoder,
    _batches,
    _Window,
    spans_of,
)
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy
from classify.transformer import TransformerClassifier
from ingest.errors import ModelError
from ingest.fold import fold


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    shutil.copytree(Path(str(files("classify").joinpath("weights", "encoder"))), folder)
    return folder


def test_the_shipped_file_is_small() -> None:
    size = sum(file.stat().st_size for file in Path(str(files("classify").joinpath("weights", "encoder"))).iterdir())
    assert size < 40_000_000


@pytest.mark.parametrize("name", [ENCODER, TOKENIZER, HEADS])
def test_a_flipped_bit_is_refused(copied: Path, name: str) -> None:
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(bytes(data))
    with pytest.raises(ModelError, match="损坏或被换过"):
        TransformerClassifier(load_taxonomy(), copied)


@pytest.mark.parametrize("name", [ENCODER, TOKENIZER, HEADS, MANIFEST])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    with pytest.raises(ModelError, match=name):
        TransformerClassifier(load_taxonomy(), copied)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"sha256": 3}', "\0"])
def test_a_manifest_that_is_none_is_refused(copied: Path, content: str) -> None:
    (copied / MANIFEST).write_text(content)
    with pytest.raises(ModelError, match="模型说明"):
        Encoder(copied)


@pytest.mark.parametrize("name", [ENCODER, TOKENIZER, HEADS])
def test_rubbish_that_the_manifest_vouches_for_is_refused_too(copied: Path, name: str) -> None:
    import hashlib

    (copied / name).write_bytes(b"rubbish" * 100)
    manifest = json.loads((copied / MANIFEST).read_text("utf-8"))
    manifest["sha256"][name] = hashlib.sha256(b"rubbish" * 100).hexdigest()
    (copied / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ModelError, match="不能"):
        TransformerClassifier(load_taxonomy(), copied)


def encoded(encoder: Encoder, *texts: str) -> np.ndarray:
    folded = [fold(text) for text in texts]
    return encoder.encode(folded, [split(text) for text in folded]).texts


def test_a_text_is_the_same_alone_and_among_others(encoder: Encoder) -> None:
    texts = ["漏水了", "暖气很热，但安装师傅态度太差", "好" * 300, "ok", "", "一摸手麻了一下。" * 40]
    together = encoded(encoder, *texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.abs(encoded(encoder, text)[0] - vector).max() < 1e-4


def test_a_clause_is_read_in_the_light_of_its_text(encoder: Encoder) -> None:
    one, other = fold("质量真好，一个月就漏了"), fold("质量真好，用了三年都没漏")
    first = encoder.encode([one, other], [split(one), split(other)]).clauses
    assert np.abs(first[0] - first[2]).max() > 0.01


def test_long_texts_are_read_at_both_ends_and_no_further(encoder: Encoder) -> None:
    middle = "今天天气很好，我们出去走走。" * 8000
    text = fold("漏水了，" + middle + "师傅态度太差")
    spans = split(text)
    windows = encoder._windows([text], [spans])
    assert len(windows) <= MOST_WINDOWS
    assert max(len(window.ids) for window in windows) <= WINDOW
    clauses = encoder.encode([text], [spans]).clauses
    assert np.abs(clauses[0]).sum() > 0
    assert np.abs(clauses[len(spans) - 1]).sum() > 0
    assert np.abs(clauses[len(spans) // 2]).sum() == 0


def test_windows_together_hold_every_clause(encoder: Encoder) -> None:
    text = fold("安装很快，师傅很好；就是暖气上半截热下半截凉。" * 20)
    spans = split(text)
    assert (np.abs(encoder.encode([text], [spans]).clauses).sum(1) > 0).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=400))
def test_any_text_has_a_vector_of_numbers(encoder: Encoder, text: str) -> None:
    folded = fold(text)
    found = encoder.encode([folded], [split(folded)])
    assert np.isfinite(found.texts).all()
    assert np.isfinite(found.clauses).all()


@given(st.lists(st.integers(1, 4), min_size=1, max_size=30), st.data())
def test_every_character_of_a_clause_is_in_its_tokens(sizes: list[int], data: st.DataObject) -> None:
    edges = [0]
    for size in sizes:
        edges.append(edges[-1] + size)
    offsets = [(0, 0), *pairwise(edges), (0, 0)]
    start = data.draw(st.integers(0, edges[-1] - 1))
    end = data.draw(st.integers(start + 1, edges[-1]))
    ((first, last),) = spans_of(offsets, [(start, end)])
    assert offsets[first][0] <= start < offsets[first][1]
    assert offsets[last - 1][0] < end <= offsets[last - 1][1]


@given(st.lists(st.integers(2, WINDOW), max_size=300))
def test_batches_hold_every_window_once_are_small_and_little_of_them_is_padding(lengths: list[int]) -> None:
    windows = [_Window([7] * length, number, []) for number, length in enumerate(lengths)]
    made = _batches(windows)
    assert sorted(window.text for batch in made for window in batch) == list(range(len(lengths)))
    for batch in made:
        longest = max(len(window.ids) for window in batch)
        padding = sum(longest - len(window.ids) for window in batch)
        assert len(batch) * longest <= 512
        # No step in length pads more than six tokens, and each step is followed by a window as long as it.
        assert padding <= 6 * (len({len(window.ids) for window in batch}) - 1)


def test_the_shipped_classifier_is_this_one() -> None:
    assert isinstance(load_classifier(), TransformerClassifier)


def test_the_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Some versions of the runtime keep a device id in the user's cache and send events to their maker."""
    script = "from classify.encoder import Encoder; Encoder().encode(['漏水'], [[(0, 2)]])"
    env = os.environ | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    subprocess.run([sys.executable, "-c", script], check=True, env=env, timeout=60)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
