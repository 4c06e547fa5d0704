"""Sentiment from a Hugging Face model, everything else from the rules; any text; end to end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import transformers
from hypothesis import given
from hypothesis import strategies as st

from classify.base import Utterance
from classify.linear import LinearClassifier
from classify.load import load_classifier
from classify.pipeline import PipelineClassifier
from classify.scorer import LABELS
from ingest.analysis import Analysis, SentimentLabel
from tests.classify.test_robustness import ODD, PIECES
from tests.torch.models import LENGTH, STARS, THREE, TWO, make

PLAIN = [
    "很满意，暖气很热",
    "不好",
    "第3号",
    "abc xyz",
    "师傅还没有来",
    "安装费贵",
    "值得一试，再也不用担心了",
    "坏了",
    "要多少钱？",
    "态度差的师傅，安装费贵，还漏水",
]
"""Nothing here is an advertisement, sarcasm or dangerous: the rules add nothing to what the model says."""

SENTENCES = [f"第{number}号{what}" for number in range(12) for what in ("漏水了", "很热很满意", "还没有", "师傅差" * 9)]


def shares(analysis: Analysis) -> list[float]:
    return [getattr(analysis.sentiment, label) for label in LABELS]


def check(analysis: Analysis, text: str, name: str) -> None:
    """Valid as the record demands, and every span inside the text."""
    assert Analysis.model_validate_json(analysis.to_json()) == analysis
    assert abs(sum(shares(analysis)) - 1) < 1e-9
    assert getattr(analysis.sentiment, analysis.sentiment.label) == max(shares(analysis))
    assert analysis.model == name
    for tag in analysis.tags:
        assert tag.span is None or 0 <= tag.span[0] < tag.span[1] <= len(text)


@pytest.mark.parametrize(
    ("labels", "meant"),
    [
        (TWO, ("negative", "positive")),
        (THREE, LABELS),
        (STARS, ("negative", "negative", "neutral", "positive", "positive")),
        (("LABEL_0", "LABEL_1"), ("negative", "positive")),
        (("POS", "NEU", "NEG"), ("positive", "neutral", "negative")),
    ],
)
def test_it_says_what_the_library_says(tmp_path: Path, labels: Sequence[str], meant: Sequence[SentimentLabel]) -> None:
    folder = make(tmp_path / "tiny", labels)
    classifier = load_classifier(model="tiny", base=tmp_path)
    reference = transformers.pipeline("text-classification", model=str(folder), top_k=None, device="cpu")
    answers = [{one["label"]: one["score"] for one in said} for said in reference(PLAIN)]
    analyses = classifier.analyse([Utterance(text) for text in PLAIN])
    for text, answer, analysis in zip(PLAIN, answers, analyses, strict=True):
        expected = [
            sum(answer[name] for name, label in zip(labels, meant, strict=True) if label == of) for of in LABELS
        ]
        assert shares(analysis) == pytest.approx(expected, abs=2e-4), text
        check(analysis, text, classifier.name)
        if "neutral" not in meant:
            assert analysis.sentiment.neutral == 0
    assert len({tuple(shares(analysis)) for analysis in analyses}) == len(PLAIN)  # the model does look at the text


def test_labels_that_are_given_decide(tmp_path: Path) -> None:
    make(tmp_path / "tiny", ("A", "B", "C"))
    one = load_classifier(model="tiny", base=tmp_path, labels={"A": "negative", "B": "positive", "c ": "neutral"})
    other = load_classifier(model="tiny", base=tmp_path, labels={"A": "positive", "B": "negative", "C": "neutral"})
    utterances = [Utterance(text) for text in PLAIN]
    for left, right in zip(one.analyse(utterances), other.analyse(utterances), strict=True):
        assert shares(left) == pytest.approx(shares(right)[::-1], abs=2e-4)


def test_everything_else_is_the_rules(own: PipelineClassifier, rules: LinearClassifier) -> None:
    texts = [
        *PLAIN,
        "接头漏水，师傅态度很差",
        "加微信领优惠券",
        "暖洋牌暖气很热",
        "今天天气不错",
        "漏电了，孩子被电到了",
    ]
    utterances = [Utterance(text, likes=3) for text in texts]
    ours = own.analyse(utterances)
    for text, mine, theirs in zip(texts, ours, rules.analyse(utterances), strict=True):
        found = {tag.tag: tag for tag in mine.tags if tag.span is not None}
        assert found == {tag.tag: tag for tag in theirs.tags if tag.span is not None}, text
        assert set(mine.flags) - {"unsure"} == set(theirs.flags) - {"unsure"}, text
    danger = ours[-1]
    assert "safety" in danger.flags
    assert danger.sentiment.label == "negative"
    assert danger.severity >= 7


def test_what_says_nothing_is_not_judged(own: PipelineClassifier) -> None:
    empty, default = own.analyse([Utterance(" \n"), Utterance("", default_review=True)])
    assert (empty.flags, default.flags) == (("empty",), ("default_review",))
    assert shares(empty) == shares(default) == [0, 1, 0]
    assert own.analyse([]) == []


def same(one: Sequence[Analysis], other: Sequence[Analysis]) -> None:
    """The same but for the rounding of 32-bit floats."""
    for left, right in zip(one, other, strict=True):
        assert shares(left) == pytest.approx(shares(right), abs=2e-4)
        assert left.tags == right.tags
        assert left.sentiment.label == right.sentiment.label
        assert set(left.flags) - {"unsure"} == set(right.flags) - {"unsure"}


def test_a_batch_says_what_each_text_says_alone(own: PipelineClassifier) -> None:
    utterances = [Utterance(text) for text in (*SENTENCES, *PLAIN, "", *ODD)]
    together = own.analyse(utterances)
    same(together, [own.analyse([utterance])[0] for utterance in utterances])
    same(list(reversed(together)), own.analyse(utterances[::-1]))


def test_the_same_batch_gets_the_same_answer(own: PipelineClassifier, three: Path) -> None:
    utterances = [Utterance(text) for text in SENTENCES]
    expected = own.analyse(utterances)
    again = load_classifier(brand_words=("暖洋牌",), model=str(three))
    assert again.name == own.name
    assert again.analyse(utterances) == expected


def test_many_threads_agree(own: PipelineClassifier) -> None:
    utterances = [Utterance(text) for text in SENTENCES]
    expected = own.analyse(utterances)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: own.analyse(utterances), range(16)):
            same(found, expected)


@pytest.mark.parametrize("text", [*ODD, "😀" * 500, "\x00" * 500 + "漏水", "\u200b\u200d\ufeff", "好\n" * 300])
def test_odd_texts_have_the_right_shape(own: PipelineClassifier, text: str) -> None:
    for rating in (None, 1, 5):
        check(own.analyse([Utterance(text, rating=rating)])[0], text, own.name)


@given(st.one_of(st.text(max_size=120), st.lists(PIECES, max_size=20).map("".join)), st.none() | st.integers(1, 5))
def test_any_text_has_the_right_shape(own: PipelineClassifier, text: str, rating: int | None) -> None:
    check(own.analyse([Utterance(text, rating=rating, likes=12)])[0], text, own.name)


@pytest.mark.parametrize("text", ["漏" * 100_000, "很热 " * 33_000, "x" * 100_000, "😡" * 100_000, " " * 99_999 + "好"])
def test_a_hundred_thousand_characters_take_bounded_time(own: PipelineClassifier, text: str) -> None:
    began = time.process_time()
    check(own.analyse([Utterance(text)])[0], text, own.name)
    assert time.process_time() - began < 20


def test_what_the_model_cannot_take_is_cut_off(own: PipelineClassifier) -> None:
    head = "第3号，" * (LENGTH // 4)
    cut, whole = own.analyse([Utterance(head), Utterance(head + "很热" * 400)])
    assert shares(cut) == pytest.approx(shares(whole), abs=2e-4)
    (other,) = own.analyse([Utterance("很热" + head)])
    assert shares(other) != pytest.approx(shares(whole), abs=2e-4)


# -- end to end --------------------------------------------------------------------------------------------------------


def shengwen(home: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shengwen", "--home", str(home), *arguments],
        input=text, capture_output=True, text=True, env=os.environ, check=False,
    )  # fmt: skip


def test_the_command_takes_the_model_of_the_settings(tmp_path: Path, rules: LinearClassifier) -> None:
    make(tmp_path / "models" / "tiny", ("坏", "中", "好"))
    labels = 'labels = { "坏" = "negative", "中" = "neutral", "好" = "positive" }'
    (tmp_path / "shengwen.toml").write_text(f'[classify]\nmodel = "models/tiny"\n{labels}\n', "utf-8")
    texts = ["接头漏水", "", "很热，很满意"]
    said = shengwen(tmp_path, "classify", text="\n".join(texts) + "\n")
    assert (said.returncode, said.stderr) == (0, "")
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    expected = load_classifier(
        model="models/tiny", base=tmp_path, labels={"坏": "negative", "中": "neutral", "好": "positive"}
    )
    assert [answer["model"] for answer in answers] == [expected.name] * 3
    for answer, analysis in zip(answers, expected.analyse([Utterance(text) for text in texts]), strict=True):
        assert answer["sentiment"]["negative"] == pytest.approx(analysis.sentiment.negative, abs=2e-4)
        assert [tag["tag"] for tag in answer["tags"]] == [tag.tag for tag in analysis.tags]
    assert expected.name.startswith("tiny/")
    assert expected.name != rules.name


def test_the_command_says_what_is_wrong_with_a_model(tmp_path: Path) -> None:
    make(tmp_path / "tiny", ("A", "B"))
    (tmp_path / "shengwen.toml").write_text('[classify]\nmodel = "tiny"\n', "utf-8")
    said = shengwen(tmp_path, "classify", text="漏水\n")
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith("错误：设置 classify.model：看不懂模型的标签 “A”、“B”")
    assert said.stderr.count("\n") == 1


def test_who_asks_for_no_model_loads_no_torch() -> None:
    program = (
        "import sys, classify.pipeline\n"
        "from classify.load import load_classifier\n"
        "from classify.base import Utterance\n"
        "load_classifier().analyse([Utterance('漏水了')])\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
