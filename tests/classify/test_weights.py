"""Weights are verified before they are believed; training on a tiny invented set gives usable ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from classify.base import Utterance
from classify.linear import LinearClassifier
from classify.scorer import MANIFEST, WEIGHTS, load_weights
from classify.taxonomy import load_taxonomy
from classify.training import linear as train
from ingest.errors import ModelError


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in (WEIGHTS, MANIFEST):
        (tmp_path / name).write_bytes(files("classify").joinpath("weights", name).read_bytes())
    return tmp_path


def test_copied_weights_are_believed(copied: Path) -> None:
    assert load_weights(copied).name == load_weights().name


def test_a_flipped_bit_is_refused(copied: Path) -> None:
    data = bytearray((copied / WEIGHTS).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(ModelError, match="已损坏或被替换"):
        LinearClassifier(load_taxonomy(), copied)


def test_cut_or_missing_files_are_refused(copied: Path) -> None:
    (copied / WEIGHTS).write_bytes((copied / WEIGHTS).read_bytes()[:1000])
    with pytest.raises(ModelError):
        load_weights(copied)
    (copied / WEIGHTS).unlink()
    with pytest.raises(ModelError):
        load_weights(copied)
    (copied / MANIFEST).write_text("[]")
    with pytest.raises(ModelError):
        load_weights(copied)


def listed(folder: Path) -> None:
    """Let the manifest vouch for whatever lies there."""
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps({"name": "x/1", "sha256": digest}))


def test_a_listed_file_that_is_no_model_is_refused(copied: Path) -> None:
    (copied / WEIGHTS).write_bytes(b"not an archive")
    listed(copied)
    with pytest.raises(ModelError):
        load_weights(copied)


def test_weights_of_another_shape_or_with_pickles_are_refused(copied: Path) -> None:
    with np.load(copied / WEIGHTS) as arrays:
        kept = dict(arrays)
    np.savez(copied / WEIGHTS, **(kept | {"polar": kept["polar"][:10]}))
    listed(copied)
    with pytest.raises(ModelError, match="polar"):
        load_weights(copied)
    np.savez(copied / WEIGHTS, **(kept | {"polar": np.array([object()], dtype=object)}))
    listed(copied)
    with pytest.raises(ModelError):
        load_weights(copied)
    np.savez(copied / WEIGHTS, **(kept | {"text_head": np.full_like(kept["text_head"], np.nan)}))
    listed(copied)
    with pytest.raises(ModelError, match="text_head"):
        load_weights(copied)


def test_classifying_needs_neither_sklearn_nor_scipy() -> None:
    program = (
        "import sys\n"
        "import classify.load, classify.stage\n"
        "assert 'numpy' not in sys.modules\n"
        "from classify.base import Utterance\n"
        "print(classify.load.load_classifier().analyse([Utterance('漏水了')])[0].sentiment.label)\n"
        "assert not {'sklearn', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("negative", 0), done.stderr


GOOD = ["味道鲜美", "店家热心", "价格公道", "分量很足", "下次还来", "环境干净", "上菜很快", "值得一试"]
BAD = ["味道难吃", "店家冷漠", "价格虚高", "分量太少", "再也不来", "环境脏乱", "上菜太慢", "浪费时间"]
PLAIN = ["在二楼", "周一休息", "靠近地铁", "可以停车", "中午去的", "一共四人", "刷卡付款", "招牌是红色"]


def invented(folder: Path) -> Path:
    """A training set of a few hundred clauses in the shape of the real ones."""
    (folder / "sentiment").mkdir(parents=True)
    rows = ["text\tlabel"]
    for number in range(20):
        for texts, label in ((GOOD, "positive"), (BAD, "negative"), (PLAIN, "neutral")):
            rows += [f"{text}{'呀啊哦嗯呢'[number % 5]}{number}\t{label}" for text in texts]
    with gzip.open(folder / "sentiment" / "jd_clauses.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(rows) + "\n")
    return folder


def test_training_works_and_can_be_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = invented(tmp_path / "data")
    first, second = tmp_path / "first", tmp_path / "second"
    assert train.main(["--data", str(data), "--out", str(first)]) == 0
    assert "jd_clauses" in capsys.readouterr().out
    assert train.main(["--data", str(data), "--out", str(second)]) == 0
    manifests = [json.loads((folder / MANIFEST).read_text("utf-8")) for folder in (first, second)]
    assert manifests[0] == manifests[1]
    classifier = LinearClassifier(load_taxonomy(), first)
    said = classifier.analyse([Utterance(text) for text in ("这家味道鲜美", "店家冷漠得很", "靠近地铁口")])
    assert [analysis.sentiment.label for analysis in said] == ["positive", "negative", "neutral"]


def test_training_without_data_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "没有找到训练数据" in capsys.readouterr().err
