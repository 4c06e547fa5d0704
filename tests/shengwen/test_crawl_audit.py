"""``shengwen crawl --audit``: what was asked, read by a person or by a program."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from crawlers.audit import Audit
from crawlers.ledger import Ledger
from crawlers.payload import Payload
from ingest.clock import Clock, ManualClock, SystemClock
from shengwen import cli
from shengwen.home import Home
from shengwen.rooms import Rooms

Out = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home where Zhihu was asked three times today, and JD two days ago."""
    home = Home(tmp_path / "home")
    with Rooms(home) as rooms:
        now = SystemClock().now()
        early: Clock = ManualClock(now - timedelta(days=2))
        shops = Ledger(rooms.engine, "jd", early)
        shop = Audit(home.audit, "jd", shops, early, why="permission", reason="自己的\x1b[31m店", days=30)
        shop.failed("GET", "https://club.jd.com/comment/list.action?productId=1", "TimeoutError")
        clock = SystemClock()
        ledger = Ledger(rooms.engine, "zhihu", clock)
        ledger.begin()
        audit = Audit(home.audit, "zhihu", ledger, clock, why="robots_allowed", days=30)
        audit.other("GET", "https://www.zhihu.com/robots.txt", 200, 26, why="robots_txt")
        page = {"url": "https://www.zhihu.com/question/1", "body": b"x" * 321, "captured_at": clock.now()}
        audit.answered(Payload(**page), "ok")  # type: ignore[arg-type]
        audit.answered(Payload(**page, status=403), "blocked")  # type: ignore[arg-type]
    return home


def run(home: Home, *arguments: str) -> int:
    return cli.run(["--home", str(home.path), "crawl", *arguments])


def test_a_person_reads_what_was_asked_in_order_with_its_ground(home: Home, capsys: Out) -> None:
    assert run(home, "--audit") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line, words in zip(
        lines,
        [
            ["知乎", "HTTP 200，26 字节", "读 robots.txt", "GET https://www.zhihu.com/robots.txt"],
            ["第 1 次采集", "HTTP 200，321 字节，正常", "robots.txt 允许", "GET https://www.zhihu.com/question/1"],
            ["HTTP 403，321 字节，被拒绝"],
        ],
        strict=True,
    ):
        assert all(word in line for word in words), line
    assert run(home, "jd", "--audit", "--since", "7d") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert "京东" in line
    assert "没有应答（TimeoutError）" in line
    assert "有许可：自己的" in line
    assert "\x1b" not in line


def test_a_program_gets_the_lines_as_they_are(home: Home, capsys: Out) -> None:
    assert run(home, "zhihu", "--audit", "--json") == 0
    lines = [orjson.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["why"] for line in lines] == ["robots_txt", "robots_allowed", "robots_allowed"]
    assert [line.get("signal") for line in lines] == [None, "ok", "blocked"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--audit", "--since", "soon"], "--since soon 读不懂"),
        (["--audit", "--once"], "--audit 只看记录"),
        (["--since", "7d"], "要和 --audit 一起用"),
        (["--json"], "要和 --audit 一起用"),
        (["weibo", "--audit"], "没有平台 weibo"),
    ],
)
def test_what_does_not_fit_is_told(home: Home, capsys: Out, words: list[str], said: str) -> None:
    assert run(home, *words) == 1
    assert said in capsys.readouterr().err


def test_nothing_asked_is_told_and_no_error(tmp_path: Path, capsys: Out) -> None:
    assert run(Home(tmp_path / "new"), "--audit") == 0
    assert "没有请求" in capsys.readouterr().err
