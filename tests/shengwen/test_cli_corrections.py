"""``shengwen classify``: still texts in, analyses out; and the commands around people's corrections."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from classify.corrections import Corrections
from classify.evaluation.contenders import Answer, Contender
from classify.linear import LinearClassifier
from classify.refit import RefitReport
from classify.taxonomy import load_taxonomy
from ingest.clock import SystemClock
from shengwen import cli
from shengwen.commands.classify_refit import show
from shengwen.home import Home
from shengwen.rooms import Rooms
from tests.factories import a_classified


class Optimist(Contender):
    """Likes everything."""

    name = "乐观者"

    def answer(self, texts: Sequence[str]) -> list[Answer]:
        return [Answer("positive", (0.0, 0.0, 1.0)) for _ in texts]


Out = pytest.CaptureFixture[str]
LEAK, WARM = "产品质量/漏水渗水", "使用体验/采暖效果"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def run(home: Home, *arguments: str) -> int:
    return cli.run(["--home", str(home.path), "classify", *arguments])


@pytest.fixture
def corrected(home: Home) -> Home:
    """Two corrections: one that the classifier would agree with by now, one that it would not."""
    with Rooms(home) as rooms:
        store = Corrections(rooms.engine, SystemClock())
        easy = a_classified("positive", text="接头老漏水，把地板滴花了", tags=(WARM,))
        odd = a_classified("negative", text="接头漏水\x1b[31m了", tags=(LEAK,))
        tags = [tag.model_copy(update={"tag": LEAK, "sentiment": "negative"}) for tag in easy.analysis.tags]
        store.put(easy, sentiment="negative", tags=tags, by="lin")
        store.put(odd, sentiment="positive", tags=[], by="wang")
    return home


def test_a_file_is_classified_as_before_and_a_command_is_a_command(home: Home, tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "评价.txt"
    file.write_text("漏水了\n很暖和\n", "utf-8")
    assert run(home, str(file)) == 0
    labels = [json.loads(line)["sentiment"]["label"] for line in capsys.readouterr().out.splitlines()]
    assert labels == ["negative", "positive"]
    assert run(home, str(tmp_path / "nowhere.txt")) == 2
    said = capsys.readouterr().err
    assert "nowhere.txt”不存在" in said
    assert run(home, "--colour") == 2
    assert "没有选项 --colour" in capsys.readouterr().err
    assert not home.path.exists()


@pytest.mark.parametrize("words", [(), ("evaluate",), ("refit",), ("corrections",), ("texts",)])
def test_help_is_chinese_with_examples(home: Home, capsys: Out, words: tuple[str, ...]) -> None:
    assert run(home, *words, "--help") == 0
    said = capsys.readouterr().out
    assert "例子" in said
    assert "OPTIONS" not in said
    assert ("evaluate" in said) == (words in [(), ("evaluate",)])
    assert "texts" not in said.replace("classify texts", "")


def test_evaluate_compares_then_and_now_and_shows_what_is_wrong(corrected: Home, capsys: Out) -> None:
    assert run(corrected, "evaluate") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("人工纠正 2 条，分类器 ")
    assert lines[1].startswith("纠正时：情感一致 0.0%")
    assert lines[2].startswith("现在：情感一致 50.0%")
    assert "现在还不一致的 1 条：" in lines
    assert any("应为 正面，没有标签；判为 负面" in line for line in lines)
    assert "\x1b" not in "".join(lines)


def test_evaluate_measures_beside_others_on_the_data_it_is_given(
    home: Home, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("这个房间太吵了，整晚没睡好", "negative", "酒店"), ("书的内容很好，值得一看", "positive", "书籍")]
    data = tmp_path / "评测数据"
    (data / "sentiment").mkdir(parents=True)
    with gzip.open(data / "sentiment/shopping.tsv.gz", "wt", encoding="utf-8") as file:
        file.write("text\tlabel\tcategory\n")
        for number in range(200):
            file.writelines(f"{text}，第{number}次\t{label}\t{category}\n" for text, label, category in rows)
    monkeypatch.setattr("classify.evaluation.report.rivals", lambda: [Optimist()])
    assert run(home, "evaluate", "--data", str(data), "--rivals", "--most", "60") == 0
    captured = capsys.readouterr()
    shown = captured.out
    assert "真实" in shown
    sentiment = shown.partition("== 情感\n")[2].partition("==")[0]
    assert "乐观者" in sentiment
    assert LinearClassifier(load_taxonomy()).name in sentiment
    assert "== 情感，按字数" in shown
    assert "，60 条" in captured.err


def test_what_evaluate_cannot_measure_is_told_before_the_work(
    home: Home, tmp_path: Path, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(home, "evaluate", "--data", str(tmp_path / "nowhere")) == 2
    assert "nowhere" in capsys.readouterr().err
    assert run(home, "evaluate", "--fp32", str(tmp_path)) == 1
    assert "config.json" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "snownlp", None)
    assert run(home, "evaluate", "--rivals") == 1
    assert "requirements-rivals.lock" in capsys.readouterr().err


def test_without_corrections_there_is_nothing_to_compare(home: Home, capsys: Out) -> None:
    assert run(home, "evaluate") == 0
    assert "人工纠正 0 条" in capsys.readouterr().out
    assert run(home, "corrections") == 0
    assert capsys.readouterr().out == "人工纠正 0 条\n"


def test_only_the_network_that_ships_is_fitted_again(corrected: Home, capsys: Out) -> None:
    other = LinearClassifier(load_taxonomy())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shengwen.rooms.build_classifier", lambda *_: other)
        assert run(corrected, "refit") == 1
    assert f"只有自带的神经网络分类器可以重调，现在用的是 {other.name}" in capsys.readouterr().err
    assert not (corrected.path / "model").exists()


@pytest.mark.parametrize("promoted", [True, False])
def test_the_result_of_a_refit_is_told(tmp_path: Path, capsys: Out, promoted: bool) -> None:
    heads = tmp_path / "heads.npz" if promoted else None
    show(
        RefitReport(promoted, 12.34, 7, {"examples.sentiment": 0.9}, {"examples.sentiment": 0.9125, "new": 1.0}, heads)
    )
    said = capsys.readouterr().out
    assert said.splitlines()[:3] == [
        "用了 7 条文本，12.3 秒",
        "  检验例句的情感（准确率）：0.900 → 0.912",
        "  new：— → 1.000",
    ]
    assert (f"已启用：{heads}" in said) == promoted
    assert ("没有启用" in said) != promoted


def test_corrections_are_listed_and_exported(corrected: Home, tmp_path: Path, capsys: Out) -> None:
    assert run(corrected, "corrections") == 0
    said = capsys.readouterr().out
    assert "lin 正面→负面，产品质量/漏水渗水（负面）：接头老漏水，把地板滴花了" in said
    assert "wang 负面→正面，去掉标签" in said
    assert "\x1b" not in said
    file = tmp_path / "纠正.jsonl"
    assert run(corrected, "corrections", "--export", str(file)) == 0
    assert "已导出 2 条到 纠正.jsonl" in capsys.readouterr().out
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [(row["sentiment"], row["made_by"], row["before"]["sentiment"]) for row in rows] == [
        ("negative", "lin", "positive"),
        ("positive", "wang", "negative"),
    ]
