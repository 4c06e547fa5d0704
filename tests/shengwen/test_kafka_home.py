"""A whole home on Kafka: topics made by command, a file imported, every mention accounted for, letters replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawlers.launch import run_spider
from ingest.log.base import Outgoing, Topics
from shengwen import cli
from shengwen.accounting import count
from shengwen.commands.doctor import examine
from shengwen.crawling import job_of
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import load_settings
from shengwen.stages import CLASSIFY, INDEX, build_stage
from tests.servers.kafka import PASSWORD, SOCKETS_OF_ITS_OWN, KafkaServer

pytestmark = [pytest.mark.usefixtures("quiet_sockets"), pytest.mark.filterwarnings(SOCKETS_OF_ITS_OWN)]
JOIN = 4.0


@pytest.fixture
def home(tmp_path: Path, kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch) -> Home:
    """Its settings in the file, its password in the environment."""
    chosen = kafka.with_password(mechanism="PLAIN", partitions=2)
    made = Home(tmp_path / "home").ensure()
    lines = [
        '[log]\nbackend = "kafka"\n[log.kafka]',
        f"servers = {json.dumps(list(chosen.servers))}",
        f'prefix = "{chosen.prefix}"',
        'partitions = 2\nsecurity = "SASL_PLAINTEXT"\nmechanism = "PLAIN"',
        f'username = "{chosen.username}"',
        "session_timeout = 3.0\nretention_days = 0",
    ]
    made.settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("SHENGWEN_LOG__KAFKA__PASSWORD", PASSWORD)
    return made


def run(home: Home, *arguments: str) -> int:
    try:
        return cli.run(["--home", str(home.path), *arguments])
    except SystemExit as stop:  # a worker that cannot begin ends so
        return int(stop.code or 0)


@pytest.fixture
def ready(home: Home) -> Home:
    assert run(home, "topics", "create") == 0
    return home


@pytest.fixture
def rooms(ready: Home) -> Iterator[Rooms]:
    with Rooms(ready) as opened:
        yield opened


def test_without_its_topics_nothing_starts_and_it_is_said_why(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (("topics", "check"), ("search", "漏水"), ("work", "index")):
        if run(home, *command) == 0:
            assert command[0] == "search", "looking into the index needs no log"
            continue
        assert "运行 shengwen topics create" in capsys.readouterr().err
    assert run(home, "topics", "create") == 0
    assert "主题齐全，新建 5 个" in capsys.readouterr().out
    assert run(home, "topics", "create") == 0
    assert "新建 0 个" in capsys.readouterr().out
    assert run(home, "topics", "check") == 0
    assert run(home, "topics") == 0
    shown = capsys.readouterr().out
    assert "mentions.classified" in shown
    assert "没有消费组" in shown
    assert PASSWORD not in shown


def test_topics_of_the_embedded_log_are_nobodys_business(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(Home(tmp_path / "home"), "topics") != 0
    assert "日志是内嵌的" in capsys.readouterr().err


def test_an_import_is_searchable_and_every_row_is_accounted_for(
    ready: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "评价.csv"
    rows = [f"{n},接头漏水第{n}次,2026-03-01 10:00,2" for n in range(200)]
    file.write_text("\n".join(["评价ID,评价内容,评价时间,评分", *rows, "bad,好,not a time,5"]) + "\n", encoding="utf-8")
    assert run(ready, "import", str(file), "--source", "店") == 0
    capsys.readouterr()
    report = examine(ready)
    assert [check for check in report["checks"] if not check["ok"] and check["name"] in ("事件日志", "数目")] == []
    assert report["counts"]["collected"] == 201
    assert (report["counts"]["indexed"], report["counts"]["dead_letters"]) == (200, 1)
    assert run(ready, "import", str(file), "--source", "店") == 0, "the same file is the same job"
    assert examine(ready)["counts"]["collected"] == 201
    assert run(ready, "topics") == 0
    assert "classify 0" in capsys.readouterr().out


def test_dead_letters_are_parked_listed_and_replayed(rooms: Rooms, capsys: pytest.CaptureFixture[str]) -> None:
    rooms.log.produce(Topics.COLLECTED, [Outgoing(f"jd:review:{n}", b"{") for n in range(6)])
    assert build_stage(CLASSIFY, rooms).drain(JOIN) == 6
    letters = rooms.letters.open()
    assert len(letters) == 6
    assert {letter.origin[1] for letter in letters} == {0, 1}, "of both partitions"
    assert run(rooms.home, "dead-letters", "replay", letters[0].id) == 0
    assert run(rooms.home, "dead-letters", "replay", letters[1].id, "--drop") == 0
    assert build_stage(CLASSIFY, rooms).drain(JOIN) == 1
    assert len(rooms.letters.open()) == 5
    assert count(rooms).adds_up


def test_an_index_that_was_moved_away_is_filled_again_from_every_partition(ready: Home, tmp_path: Path) -> None:
    file = tmp_path / "评价.txt"
    file.write_text("".join(f"暖气不热第{n}次\n" for n in range(60)), encoding="utf-8")
    assert run(ready, "import", str(file), "--source", "店") == 0
    for part in ready.path.glob("index.db*"):
        part.rename(part.with_name(f"moved-{part.name}"))
    with Rooms(ready) as rooms:
        assert rooms.index.counts()["documents"] == 0
        build_stage(INDEX, rooms).drain(JOIN)
        assert rooms.index.counts()["documents"] == 60
        assert count(rooms).adds_up


def test_a_spider_in_its_own_process_writes_to_the_log_of_the_settings(rooms: Rooms) -> None:
    job = job_of(rooms.home, load_settings(rooms.home))
    assert PASSWORD not in repr(job)
    assert job.log.kafka.password.get_secret_value() == PASSWORD
    assert rooms.engine  # the ledger's tables
    report = run_spider("jd", job, 60)  # no targets: there is little to do
    assert report.exit_code == 0, report.log_tail
    kafka = job.log.kafka.model_copy(update={"prefix": "nowhere."})
    lost = job.model_copy(update={"log": job.log.model_copy(update={"kafka": kafka})})
    assert "运行 shengwen topics create" in run_spider("jd", lost, 60).log_tail, "it asked that very broker"
    assert not list(rooms.home.path.glob("log.db*")), "no embedded log beside it"
