"""The FP32 encoder as a rival of what ships: means of token states in a pipeline, the sentiment head on top."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, BertModel, PreTrainedTokenizerFast

from classify.evaluation.contenders import Fp32
from ingest.errors import UserError
from tests.torch.models import config, lively, tokenizer

TEXTS = ["漏水不热", "很满意，师傅态度好，" * 40, "", "差", "还没有安装"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fp32")
    lively(BertModel(config(("a", "b", "c"), max_position_embeddings=128))).save_pretrained(folder)
    tokenizer(model_max_length=128).save_pretrained(folder)
    weight = np.random.default_rng(2).normal(size=(3, 32)).astype(np.float32)
    np.savez(folder / "heads.npz", **{"sentiment.weight": weight, "sentiment.bias": np.ones(3, np.float32)})
    return folder


def test_answers_are_alike_alone_and_in_batches(encoder: Path) -> None:
    together, alone = Fp32(encoder).answer(TEXTS), [Fp32(encoder, batch=1).answer([text])[0] for text in TEXTS]
    assert len({answer.shares for answer in together}) == len(TEXTS)
    for one, other in zip(together, alone, strict=True):
        assert one.shares == pytest.approx(other.shares, abs=1e-5)
        assert one.label == other.label


def test_vectors_are_means_of_token_states(encoder: Path) -> None:
    cut = PreTrainedTokenizerFast.from_pretrained(encoder)(TEXTS[0], return_tensors="pt")
    with torch.no_grad():
        states = AutoModel.from_pretrained(encoder).eval()(**cut).last_hidden_state
    assert Fp32(encoder).vectors(TEXTS[:1])[0] == pytest.approx(states[0].mean(0).numpy(), abs=1e-5)
    assert Fp32(encoder).vectors([]).shape == (0, 32)
    assert Fp32(encoder).answer([]) == []


def test_a_folder_without_a_head_for_sentiment_is_refused(encoder: Path, tmp_path: Path) -> None:
    for file in encoder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    np.savez(tmp_path / "heads.npz", other=np.zeros(3))
    with pytest.raises(UserError, match="情感分类头"):
        Fp32(tmp_path)
