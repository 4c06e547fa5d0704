"""Models that cannot be used: each is refused with a sentence that says why, and no code of theirs ever runs."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertForMaskedLM,
    BertForSequenceClassification,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from classify.pretrained import load_pretrained
from ingest.errors import ConfigError, ModelError
from tests.torch.models import LENGTH, THREE, WORDS, config, lively, make, named, tokenizer

WEIGHTS = "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "tiny", THREE)


class Bomb:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def changed(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | values), "utf-8")


def refused(folder: Path, kind: type[Exception], *parts: str) -> None:
    with pytest.raises(kind) as told:
        load_pretrained(folder.name, folder.parent)
    assert [part for part in (*parts, "模型") if part not in str(told.value)] == [], told.value


def test_weights_as_a_pickle_are_refused_unread(folder: Path, tmp_path: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    refused(folder, ModelError, "safetensors", "pytorch_model.bin")
    assert not (tmp_path / "ran").exists()


def test_a_pickle_beside_the_weights_is_not_read(folder: Path, tmp_path: Path) -> None:
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    assert load_pretrained("tiny", tmp_path).probabilities(["漏水"]).shape == (1, 3)
    assert not (tmp_path / "ran").exists()


def test_code_of_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    (folder / "modeling_own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n", "utf-8")
    own = {"AutoConfig": "modeling_own.C", "AutoModelForSequenceClassification": "modeling_own.M"}
    changed(folder, "config.json", model_type="own-kind", auto_map=own)
    refused(folder, ModelError, "config.json 不能使用")
    assert not (tmp_path / "ran").exists()


def test_no_folder_and_no_hub_name(tmp_path: Path) -> None:
    refused(tmp_path / "none", ConfigError, "classify.model", str(tmp_path / "none"), "不存在", "所有者/名字")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", ConfigError, "是文件，不是文件夹")
    with pytest.raises(ConfigError, match="不存在"):
        load_pretrained(str(tmp_path / "a" / "b"), Path("/"))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    refused(tmp_path / "tiny", ModelError, "没有 config.json")


@pytest.mark.parametrize("data", [b"", b"not weights", b"\xff" * 100])
def test_weights_that_are_none(folder: Path, data: bytes) -> None:
    (folder / WEIGHTS).write_bytes(data)
    refused(folder, ModelError, "读不出来")


def test_weights_that_were_cut_off(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    refused(folder, ModelError, "读不出来")


@pytest.mark.parametrize("data", ["", "[]", "{}", '{"model_type": "no-such-kind"}', "{" * 5000])
def test_a_config_that_is_none(folder: Path, data: str) -> None:
    (folder / "config.json").write_text(data)
    refused(folder, ModelError, "config.json 不能使用")


@pytest.mark.parametrize("kind", [BertForMaskedLM, BertModel])
def test_a_model_for_something_else(tmp_path: Path, kind: type[Any]) -> None:
    folder = tmp_path / "tiny"
    kind(config(THREE)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    refused(folder, ModelError, kind.__name__, "不是文本分类模型")
    changed(folder, "config.json", architectures=["BertForSequenceClassification"])
    refused(folder, ModelError, "缺少", "classifier.", "没有训练成文本分类模型")  # never a head of random numbers


def test_weights_of_another_size(folder: Path) -> None:
    changed(folder, "config.json", hidden_size=64)
    refused(folder, ModelError, "读不出来")


def test_weights_that_are_no_numbers(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    save_file({name: torch.full_like(weight, torch.nan) for name, weight in weights.items()}, folder / WEIGHTS)
    refused(folder, ModelError, "不是数")


def test_what_gives_no_number_for_one_text_is_undecided(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    name = next(name for name in weights if "word_embeddings" in name)
    weights[name][tokenizer().convert_tokens_to_ids("漏")] = torch.nan
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    bad, good = load_pretrained("tiny", tmp_path).probabilities(["漏水", "很热"])
    assert bad.tolist() == pytest.approx([1 / 3] * 3)
    assert np.isfinite(good).all()


@pytest.mark.parametrize(
    ("labels", "other"),
    [
        (("score",), {}),
        (THREE, {"problem_type": "multi_label_classification"}),
        (THREE, {"problem_type": "regression"}),
    ],
)
def test_a_model_that_does_not_choose_one_label(tmp_path: Path, labels: tuple[str, ...], other: dict[str, Any]) -> None:
    refused(make(tmp_path / "tiny", labels, **other), ConfigError, "classify.model", "不是在几个标签里选一个")


def test_labels_that_mean_nothing_are_listed(tmp_path: Path) -> None:
    refused(make(tmp_path / "tiny", ("体育", "财经")), ConfigError, "“体育”、“财经”", "classify.labels")


def test_a_tokenizer_that_is_missing_or_of_another_model(folder: Path) -> None:
    tokenizer(more=["新", "词"]).save_pretrained(folder)
    refused(folder, ModelError, f"{WORDS + 2} 个词", f"{WORDS} 个")
    (folder / "tokenizer.json").write_text("{}")
    refused(folder, ModelError, "分词器读不出来")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    refused(folder, ModelError, "分词器读不出来", "没有它的词表")


@pytest.mark.parametrize("name", ["torch", "transformers", "safetensors"])
def test_without_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in [known for known in sys.modules if known.split(".")[0] == name]:
        monkeypatch.setitem(sys.modules, module, None)  # an import of it fails as if it were not installed
    refused(folder, ModelError, "pip install 'shengwen[torch]'", "classify.model")


def test_a_folders_version_is_its_content(folder: Path, tmp_path: Path) -> None:
    name = load_pretrained("tiny", tmp_path).name
    assert load_pretrained(str(folder), Path("/")).name == name
    (folder / "README.md").write_text("…")
    assert load_pretrained("tiny", tmp_path).name == name
    lively(BertForSequenceClassification(config(THREE)), seed=8).save_pretrained(folder)
    assert load_pretrained("tiny", tmp_path).name != name


def test_positions_that_begin_after_the_padding(tmp_path: Path) -> None:
    sizes = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    made = RobertaConfig(
        **sizes, **named(THREE), intermediate_size=64, max_position_embeddings=34, pad_token_id=1, type_vocab_size=1
    )
    lively(RobertaForSequenceClassification(made)).save_pretrained(tmp_path / "tiny")
    tokenizer(model_max_length=10**30).save_pretrained(tmp_path / "tiny")
    model = load_pretrained("tiny", tmp_path)
    assert model.length == 32
    assert model.probabilities(["很热" * 100, "漏水"]).sum(axis=1) == pytest.approx(1)


def test_a_model_without_padding(tmp_path: Path) -> None:
    sizes = {"vocab_size": WORDS, "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": LENGTH}
    made = GPT2Config(**sizes, **named(THREE), bos_token_id=2, eos_token_id=3)
    lively(GPT2ForSequenceClassification(made)).save_pretrained(tmp_path / "tiny")
    tokenizer(pad_token=None).save_pretrained(tmp_path / "tiny")
    model = load_pretrained("tiny", tmp_path)
    texts = ["很热", "漏水", "不好"]
    together = model.probabilities(texts)
    assert together == pytest.approx(np.concatenate([model.probabilities([text]) for text in texts]), abs=1e-5)
    assert len(set(map(tuple, together.tolist()))) == 3


def test_a_tokenizer_that_says_more_than_the_network_takes(tmp_path: Path) -> None:
    sizes = {"vocab_size": WORDS, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    made = DistilBertConfig(**sizes, **named(THREE), max_position_embeddings=LENGTH)
    lively(DistilBertForSequenceClassification(made)).save_pretrained(tmp_path / "tiny")
    names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer(model_input_names=names).save_pretrained(tmp_path / "tiny")
    assert load_pretrained("tiny", tmp_path).probabilities(["漏水"]).sum() == pytest.approx(1)


def test_half_precision_is_read_as_whole(tmp_path: Path, folder: Path) -> None:
    whole = load_pretrained("tiny", tmp_path).probabilities(["漏水"])
    BertForSequenceClassification.from_pretrained(folder).half().save_pretrained(tmp_path / "half")
    tokenizer().save_pretrained(tmp_path / "half")
    assert load_pretrained("half", tmp_path).probabilities(["漏水"]) == pytest.approx(whole, abs=1e-2)
