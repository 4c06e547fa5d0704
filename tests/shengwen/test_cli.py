"""The command line as people and programs use it: a home of its own, real files, what is printed and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ingest.coverage import Coverage, coverage_from_json
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from shengwen import cli
from shengwen.home import Home, find_home

Out = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHENGWEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str) -> int:
    try:
        return cli.run(list(arguments))
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1


def shengwen(*arguments: str, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "shengwen", *arguments],
        input=text, capture_output=True, text=True, env={**os.environ, **env}, check=False,
    )  # fmt: skip


def lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def reviews(path: Path) -> Path:
    rows = ["评价ID,评价内容,评分,评价时间"]
    rows += [f"{i},第{i}次用，暖气很热，师傅也好,5,2026-01-0{i % 9 + 1}" for i in range(1, 30)]
    rows += [
        "101,接头漏水了，打13800000000没人管,1,2026-01-03",
        "102,,,",
        "103,时间不对,5,不是时间",
        "101,接头漏水了，打13800000000没人管,1,2026-01-03",
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def told_coverage(home: Path) -> list[Coverage]:
    """What collecting and importing have told so far."""
    with SqliteLog(Home(home).log) as log:
        return [coverage_from_json(record.value) for record in log.read(Topics.COVERAGE, 0, 0, 100)]


def test_help_of_every_command_is_chinese_with_examples(capsys: Out, home: Path) -> None:
    assert run("--help") == 0
    assert "命令" in capsys.readouterr().out
    for name in cli.COMMANDS:
        assert run(name, "--help") == 0
        said = capsys.readouterr().out
        assert "用法：shengwen" in said
        assert "Usage" not in said
        assert "Options" not in said
        assert "例子" in said or "命令" in said, name


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (["nonsense"], "没有命令“nonsense”"),
        (["search", "--colour"], "没有选项 --colour"),
        (["import", "a.csv"], "缺少选项 --source"),
        (["parse", "weibo", "x"], "不在可选的值"),
        (["parse", "jd", "/nowhere/at/all"], "不存在"),
        (["import", "/nowhere.csv", "--source", "x"], "找不到文件"),
        (["import", "/nowhere.csv", "--source", "a b"], "--source 只能用"),
        (["search", "foo:bar"], "字符处"),
        (["crawl", "weibo"], "没有平台 weibo"),
        (["crawl", "jd"], "没有采集目标"),
        (["dead-letters", "show", "x"], "没有编号为 x 的死信"),
    ],
)
def test_a_wrong_call_is_told_in_chinese_and_fails(capsys: Out, home: Path, call: list[str], said: str) -> None:
    assert run(*call) in (1, 2)
    told = capsys.readouterr()
    assert said in told.err
    assert "Traceback" not in told.err


def test_import_search_export_doctor_tell_one_story(capsys: Out, home: Path, tmp_path: Path) -> None:
    assert run("import", str(reviews(tmp_path / "a.csv")), "--source", "shop", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)
    told = {name: result[name] for name in ("collected", "indexed", "empty", "duplicate", "dead")}
    assert told == {"collected": 33, "indexed": 30, "empty": 1, "duplicate": 1, "dead": 1}
    assert result["mapping"]["text"] == "评价内容"

    assert run("search", "漏水", "--json") == 0
    (hit,) = lines(capsys.readouterr().out)
    assert hit["id"] == "import:shop:review:101"
    assert hit["analysis"]["sentiment"]["label"] == "negative"
    assert "13800000000" not in json.dumps(hit)
    assert "[电话]" in hit["text"]

    assert run("search", "", "--json", "--limit", "0", "--sort", "oldest") == 0
    everything = lines(capsys.readouterr().out)
    assert len(everything) == 30
    assert [m["created_at"] for m in everything] == sorted(m["created_at"] for m in everything)

    assert run("search", "漏水") == 0
    assert "共 1 条" in capsys.readouterr().out
    assert run("export", "暖气 sentiment:positive", "--to", str(tmp_path / "out.jsonl")) == 0
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 29

    assert run("doctor", "--json") == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["ok"]
    counts = report["counts"]
    assert counts["collected"] == 33
    assert counts["collected"] == sum(counts[n] for n in ("indexed", "empty", "duplicates", "dead_letters"))
    assert {"name", "ok", "detail", "remedy"} == set(report["checks"][0])

    assert run("import", str(tmp_path / "a.csv"), "--source", "shop") == 0
    assert "没有再导一遍" in capsys.readouterr().out
    (once,) = told_coverage(home)
    assert (once.source, once.status, once.planned) == ("import:shop", "complete", 33)
    assert (once.got, once.new, once.duplicate, once.dead) == (33, 31, 1, 1)


def test_doctor_sees_a_lost_record(capsys: Out, home: Path, tmp_path: Path) -> None:
    assert run("import", str(reviews(tmp_path / "a.csv")), "--source", "shop") == 0
    for file in home.glob("index.db*"):
        file.unlink()
    capsys.readouterr()
    assert run("doctor", "--json") == 1
    assert not json.loads(capsys.readouterr().out)["ok"]


def test_dead_letters_are_listed_shown_masked_and_replayed(capsys: Out, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,created_at\n打13800000000没人接,不是时间\n", encoding="utf-8")
    run("import", str(tmp_path / "a.csv"), "--source", "shop")
    capsys.readouterr()
    assert run("dead-letters", "list", "--json") == 0
    (letter,) = lines(capsys.readouterr().out)
    assert letter["error"].startswith("created_at:")
    assert run("dead-letters", "show", letter["id"]) == 0
    shown = capsys.readouterr().out
    assert "没人接" in shown or "\\u6ca1" in shown
    assert "13800000000" not in shown
    assert run("dead-letters", "show", letter["id"], "--raw") == 0
    assert "13800000000" in capsys.readouterr().out
    assert run("dead-letters", "replay", "--all") == 1
    assert "还是不行" in capsys.readouterr().err
    assert run("dead-letters", "replay", "--all", "--drop") == 0
    assert run("dead-letters", "list") == 0
    assert "没有死信" in capsys.readouterr().out


def test_two_homes_never_touch_each_other(capsys: Out, tmp_path: Path) -> None:
    file = str(reviews(tmp_path / "a.csv"))
    assert run("--home", str(tmp_path / "one"), "import", file, "--source", "shop") == 0
    assert run("search", "", "--json", "--home", str(tmp_path / "two")) == 0
    capsys.readouterr()
    assert run("search", "漏水", "--json", f"--home={tmp_path / 'one'}") == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_classify_answers_line_by_line_in_order(home: Path) -> None:
    said = shengwen(
        "classify",
        text='暖气很热，但安装师傅态度太差\n\n{"text": "漏电了，手麻", "rating": 1}\n',
        SHENGWEN_HOME=str(home),
    )
    assert said.returncode == 0, said.stderr
    first, second, third = lines(said.stdout)
    tags = {opinion["tag"]: opinion["sentiment"] for opinion in first["tags"]}
    assert tags["安装服务/师傅态度"] == "negative"
    assert tags["使用体验/采暖效果"] == "positive"
    assert "empty" in second["flags"]
    assert "safety" in third["flags"]
    assert not home.exists() or not list(home.iterdir())  # classifying leaves nothing behind


def test_classify_names_the_line_that_cannot_be_read(home: Path) -> None:
    said = shengwen("classify", text='好\n{"content": "没有 text"}\n', SHENGWEN_HOME=str(home))
    assert said.returncode == 1
    assert "第 2 行" in said.stderr


def test_parse_prints_one_line_a_file_and_touches_nothing(home: Path, tmp_path: Path) -> None:
    body = (
        'fetchJSON_comment98({"maxPage":1,"productCommentSummary":{"commentCount":1},"comments":[{"id":10681890470,'
        '"content":"接头漏水，电话13800000000","score":1,"creationTime":"2026-01-03 08:00:00","nickname":"山***彡",'
        '"referenceId":"100090020301","referenceName":"暖气片"}]});'
    )
    (tmp_path / "jd.jsonp").write_bytes(body.encode("gbk"))
    (tmp_path / "blocked.json").write_bytes(b"{}")
    said = shengwen("parse", "jd", str(tmp_path / "jd.jsonp"), str(tmp_path / "blocked.json"), SHENGWEN_HOME=str(home))
    assert said.returncode == 0, said.stderr
    good, blocked = lines(said.stdout)
    assert good["signal"] == "ok"
    (mention,) = good["mentions"]
    assert mention["id"] == "jd:review:10681890470"
    assert mention["text"] == "接头漏水，电话[电话]"
    assert mention["created_at"] == "2026-01-03T00:00:00Z"
    assert "山" not in json.dumps(mention["author"], ensure_ascii=False)
    assert blocked["signal"] not in ("ok", "empty")
    assert not home.exists()


def test_spikes_score_keeps_rows_and_scores_between_0_and_1(home: Path, tmp_path: Path, capsys: Out) -> None:
    from datetime import datetime, timedelta

    start = datetime(2026, 1, 1)  # noqa: DTZ001  (as files have it)
    rows = [(start + timedelta(minutes=5 * i), 10 + i % 3 + (200 if i == 900 else 0)) for i in range(1000)]
    file = tmp_path / "a.csv"
    file.write_text("timestamp,value\n" + "".join(f"{at},{value}\n" for at, value in rows), encoding="utf-8")
    assert run("spikes", "score", str(file)) == 0
    out = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert out[0] == ["timestamp", "value", "score"]
    assert [line[0] for line in out[1:]] == [str(at) for at, _ in rows]
    scores = [float(line[2]) for line in out[1:]]
    assert all(0 <= score <= 1 for score in scores)
    assert max(scores) == max(scores[899:903])
    file.write_text("timestamp,value\n2026-01-01,abc\n", encoding="utf-8")
    assert run("spikes", "score", str(file)) == 1
    assert "第 2 行" in capsys.readouterr().err


def test_init_writes_settings_that_load_and_overwrites_none(home: Path, capsys: Out) -> None:
    assert run("init") == 0
    assert (home / "shengwen.toml").stat().st_mode & 0o077 == 0
    assert (home / "secret.key").stat().st_mode & 0o077 == 0
    assert run("init") == 1
    assert "已经有了" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[brand\n", "不是有效的 TOML"),
        ("[brand]\nnmae = 'x'\n", "brand.nmae：没有这一项"),
        ("[web]\nport = 99999\n", "web.port"),
        ("[[alerts.channels]]\nname='a'\ntype='wecom'\nurl='ftp://secret-key'\n", "alerts.channels"),
        ("[crawl.jd]\ntargets = [{ sku = 'abc' }]\n", "crawl.jd"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(home: Path, capsys: Out, text: str, said: str) -> None:
    Home(home).ensure()
    (home / "shengwen.toml").write_text(text, encoding="utf-8")
    assert run("search", "x") == 1
    told = capsys.readouterr().err
    assert said in told
    assert "secret-key" not in told


def test_the_page_binds_to_loopback_until_told_otherwise(home: Path, capsys: Out) -> None:
    assert run("up", "--host", "0.0.0.0", "--no-crawl") == 1
    assert "web.public" in capsys.readouterr().err


def test_homes_are_found_by_option_environment_and_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHENGWEN_HOME", str(tmp_path / "env"))
    assert find_home(tmp_path / "option").path == tmp_path / "option"
    assert find_home(None).path == tmp_path / "env"
    monkeypatch.delenv("SHENGWEN_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert find_home(None).path == tmp_path / "shengwen"
    assert find_home(None).demo().path == tmp_path / "shengwen-demo"


def test_an_import_that_was_stopped_before_it_was_searchable_tells_what_it_added(
    capsys: Out, home: Path, tmp_path: Path
) -> None:
    file = str(reviews(tmp_path / "a.csv"))
    assert run("import", file, "--source", "shop", "--no-wait") == 0
    capsys.readouterr()
    assert run("import", file, "--source", "shop", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["indexed"], result["duplicate"], result["already_imported"]) == (30, 1, False)


def test_a_crawled_letter_stays_while_its_record_is_broken(capsys: Out, home: Path) -> None:
    from ingest.dead_letters import letter_for_payload
    from ingest.errors import Poison
    from ingest.log.base import Topics
    from shengwen.rooms import Rooms

    record = '{"id":%s,"content":"漏水","score":1,"creationTime":"%s","referenceId":"1"}'
    bodies = [record % (1, "2026-01-03 08:00:00"), record % (2, "not a time")]
    body = f'{{"maxPage":1,"productCommentSummary":{{}},"comments":[{",".join(bodies)}]}}'.encode()
    with Rooms(Home(home)) as rooms:
        context = {"captured_at": rooms.clock.now().isoformat(), "url": ""}
        letter = letter_for_payload("jd", rooms.privacy.lock(body), body, Poison("x"), rooms.clock, context)
        rooms.log.produce(Topics.DEAD_LETTERS, [letter])
    assert run("dead-letters", "replay", "--all") == 1
    assert "还是不行" in capsys.readouterr().err
    with Rooms(Home(home)) as rooms:
        assert rooms.letters.count() == 1


def test_odd_files_and_users_get_a_clear_error(
    capsys: Out, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b"timestamp,value\n2026-01-01," + b"9" * 300_000 + b"\n")
    assert run("spikes", "score", str(tmp_path / "a.csv")) == 1
    assert "错误" in capsys.readouterr().err
    odd = os.fsencode(tmp_path) + b"/\xc6\xc0.csv"
    Path(os.fsdecode(odd)).write_text("text\n很好\n", encoding="utf-8")
    assert run("import", os.fsdecode(odd), "--source", "x", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["indexed"] == 1
