"""``import --dry-run`` and the kinds of files: what would be imported is shown before anything is written."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from shengwen.cli import run

CSV = "买家原话,星级,下单日,昵称\n暖气片漏水，电话13812345678,1,2026-03-01,小张\n很热,9,2026-03-02,小李\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "评价.csv"
    path.write_text(CSV, encoding="utf-8-sig")
    return path


def test_a_dry_run_shows_columns_and_writes_nothing(
    tmp_path: Path, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    call = ["--home", str(home), "import", str(file), "--source", "店", "--dry-run", "--map", "买家原话=text"]
    assert run(call) == 0
    shown = capfd.readouterr().out
    for part in (
        "买家原话",
        "指定",
        "rating",
        "（不用",
        "created_at",
        "试读 2 行，读不懂 0 行",
        "星级 1 个",
        "rating10",
    ):
        assert part in shown, shown
    assert "13812345678" not in shown
    assert not home.exists()


def test_a_dry_run_says_why_a_file_cannot_be_imported_yet(
    tmp_path: Path, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path / "home"), "import", str(file), "--source", "店", "--dry-run", "--json"]) == 0
    (told,) = orjson.loads(capfd.readouterr().out)
    assert "--map text=买家原话" in told["problem"]
    assert [(c["column"], c["field"], c["confidence"]) for c in told["columns"]] == [
        ("买家原话", "text", "低"), ("星级", "rating", "高"), ("下单日", "created_at", "低"), ("昵称", "author", "高"),
    ]  # fmt: skip


def test_both_ways_to_write_a_column_do_the_same(tmp_path: Path, file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = []
    for pair in ("买家原话=text", "text=买家原话"):
        assert run(["import", str(file), "--source", "店", "--dry-run", "--json", "--map", pair]) == 0
        told.append(capfd.readouterr().out)
    assert told[0] == told[1]
    assert run(["import", str(file), "--source", "店", "--dry-run", "--map", "买家原话"]) == 1
    assert "列名=字段" in capfd.readouterr().err


def test_surveys_and_hotline_notes_have_sources_of_their_own(
    tmp_path: Path, file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    survey = tmp_path / "问卷.csv"
    survey.write_text("答卷编号,NPS,原因\n1,3,安装师傅迟到\n2,10,\n", encoding="utf-8")
    calls = tmp_path / "热线.csv"
    calls.write_text("工单号,来电时间,通话小结\n1,2026-03-01 10:00,暖气片不热\n", encoding="utf-8")
    assert run([*home, "import", str(survey), "--kind", "survey", "--no-wait", "--json"]) == 0
    (told,) = orjson.loads(capfd.readouterr().out)
    assert (told["source"], told["collected"], told["mapping"]["nps"]) == ("import:问卷", 2, "NPS")
    assert run([*home, "import", str(calls), "--kind", "call", "--no-wait", "--json"]) == 0
    (told,) = orjson.loads(capfd.readouterr().out)
    assert (told["source"], told["dead"]) == ("import:热线", 0)
    assert run([*home, "import", str(file)]) == 2
    assert "缺少选项 --source" in capfd.readouterr().err
