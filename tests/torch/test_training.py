"""The whole training run on a tiny encoder and invented data: it resumes, exports, fits, and its files are used."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel

from classify import labelled, train
from classify.base import Utterance
from classify.encoder import ENCODER, HEADS, MANIFEST, Encoder
from classify.taxonomy import load_taxonomy
from classify.training import export, finish, loop, stages
from classify.training.loop import collate, encode
from classify.training.material import public_examples, unlabelled_examples
from classify.training.network import pretrained
from classify.transformer import TransformerClassifier

GOOD = ("暖和", "满意", "很好用", "漂亮", "送得快", "师傅热情", "划算", "安静")
BAD = ("漏水", "不热", "太差了", "生锈", "没人管", "师傅骂人", "太贵", "吵死了")
THINGS = ("暖气片", "热水器", "地暖", "毛巾架", "阀门", "包装", "客厅那组", "卧室这台")


def rows(head: str, lines: list[tuple[str, ...]]) -> bytes:
    return gzip.compress("\n".join([head, *("\t".join(line) for line in lines)]).encode())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Invented texts in the form of the public sets."""
    folder = tmp_path_factory.mktemp("data")
    pairs = [
        (f"{thing}{how}{end}", label)
        for thing in THINGS
        for words, label in ((GOOD, "positive"), (BAD, "negative"))
        for how in words
        for end in ("", "，真的", "，用了一年")
    ]
    for name, content in {
        "sentiment/shopping.tsv.gz": rows("text\tlabel\tcategory", [(text, label, "家电") for text, label in pairs]),
        "sentiment/jd_clauses.tsv.gz": rows(
            "text\tlabel", [(f"{t}还没用{n}", "neutral") for t in THINGS for n in "一二三"]
        ),
        "topic/jd_clauses.tsv.gz": rows("text\ttopic", [(f"{thing}怎么样", "质量") for thing in THINGS]),
        "unlabelled/water_heater_jd.tsv.gz": rows("text", [(f"{text}，第二次买了",) for text, _ in pairs]),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of six narrow layers over single characters."""
    folder = tmp_path_factory.mktemp("base")
    texts = "".join(each.text for each in labelled.invented()[:400]) + "".join((*GOOD, *BAD, *THINGS))
    words = ["<s>", "<pad>", "</s>", "<unk>", *sorted(set(texts))]
    made = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="<unk>"))
    made.pre_tokenizer = Split("", "isolated")
    made.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    made.save(str(folder / "tokenizer.json"))
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=48,
        num_hidden_layers=6,
        num_attention_heads=4,
        intermediate_size=96,
        pad_token_id=1,
        max_position_embeddings=256,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def few(base: Path) -> list[labelled.Labelled]:
    return labelled.invented()[:160]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, few: list[labelled.Labelled]) -> None:
    """Our own examples cut down: the run is the same, only shorter."""
    for module in (stages, finish):
        monkeypatch.setattr(module, "invented", lambda: few)


@pytest.fixture(scope="module")
def trained(data: Path, base: Path, few: list[labelled.Labelled], tmp_path_factory: pytest.TempPathFactory) -> Path:
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        for module in (stages, finish):
            patched.setattr(module, "invented", lambda: few)
        work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out") / "encoder"
        arguments = ["--data", str(data), "--base", str(base), "--work", str(work), "--out", str(out)]
        assert train.main(arguments) == 0
    return out


@pytest.mark.timeout(300)
def test_a_run_leaves_weights_that_the_classifier_believes(trained: Path) -> None:
    classifier = TransformerClassifier(load_taxonomy(), trained)
    good, bad = classifier.analyse([Utterance("暖气片很好用，漂亮"), Utterance("热水器太差了，没人管")])
    assert good.sentiment.positive > bad.sentiment.positive
    assert {path.name for path in trained.iterdir()} == {ENCODER, HEADS, MANIFEST, "tokenizer.json"}
    assert len(Encoder(trained).manifest["tags"]) == len(labelled.tag_names())


def test_the_int8_file_says_what_the_network_says(data: Path, base: Path, tmp_path: Path) -> None:
    network = pretrained(base)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    coded = encode(tokenizer, unlabelled_examples(data, 120), 64)
    export.write_encoder(network, coded[:60], base, tmp_path, name="tiny/1")
    batch = collate(coded[60:90])
    lengths = batch.mask.sum(1).numpy().astype(np.int32)
    session = onnxruntime.InferenceSession(tmp_path / ENCODER)
    states = session.run(None, {"ids": batch.ids.numpy(), "lengths": lengths})[0]
    network.eval()
    with torch.no_grad():
        exact = network.encoder(input_ids=batch.ids, attention_mask=batch.mask).last_hidden_state.numpy()
    for said, true, length in zip(states, exact, lengths, strict=True):
        away = np.linalg.norm(said[:length] - true[:length]) / np.linalg.norm(true[:length])
        assert away < 0.1


@pytest.mark.timeout(300)
def test_a_run_that_was_cut_goes_on_and_ends_alike(
    data: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    coded = encode(tokenizer, public_examples(data), 64)
    plan = loop.Plan("cut", epochs=3, rate=1e-3, frozen=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = pretrained(base)
    torch.manual_seed(7)
    whole.heads.load_state_dict(fresh_heads(whole))
    loop.fit(whole, coded, plan, tmp_path / "whole")
    cut = pretrained(base)
    torch.manual_seed(7)
    cut.heads.load_state_dict(fresh_heads(cut))
    monkeypatch.setattr(loop, "SAVE_EVERY", 0.0)
    steps = 0

    def stop(found: dict[str, torch.Tensor], group: list[loop.Encoded]) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 9:
            raise KeyboardInterrupt
        return loop.loss_of(found, group)

    with pytest.raises(KeyboardInterrupt):
        loop.fit(cut, coded, plan, tmp_path / "cut", stop)
    again = pretrained(base)
    loop.fit(again, coded, plan, tmp_path / "cut")
    for name, weight in whole.state_dict().items():
        assert torch.allclose(weight, again.state_dict()[name], atol=1e-5), name
    assert not (tmp_path / "cut" / "cut.part.pt").exists()


def fresh_heads(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: torch.randn_like(weight) * 0.02 for name, weight in network.heads.state_dict().items()}


def test_the_average_lies_half_way(base: Path, tmp_path: Path) -> None:
    network = pretrained(base)
    was = {name: value.clone() for name, value in network.state_dict().items()}
    torch.save(was, tmp_path / "was.pt")
    with torch.no_grad():
        for weight in network.parameters():
            weight += 1.0
    stages._average(network, tmp_path / "was.pt")
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, was[name])}
    assert moved >= {name for name, _ in network.named_parameters()}
    assert all(torch.allclose(weight, was[name] + 0.5) for name, weight in network.named_parameters())


def test_without_data_it_says_what_is_missing(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    arguments = ["--data", str(tmp_path / "none"), "--base", str(base), "--work", str(tmp_path / "w")]
    assert train.main([*arguments, "--out", str(tmp_path / "o")]) == 2
    assert "没有找到训练数据" in capsys.readouterr().err
