"""Told to stop, told twice, started twice, out of disk, on a damaged file: clean, bounded, said in Chinese."""

from __future__ import annotations

import json
import re
import resource
import signal
import sqlite3
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from alerts.tables import Outbox, table
from ingest.log.base import Outgoing, Topics
from shengwen import cli
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import CLASSIFY, INDEX
from tests.alerts.receivers import Got, Reply, receiver
from tests.factories import a_mention
from tests.faults.kit import Running, Town, Writer, doctor, idle, progress, shengwen, up
from tests.processes import wait_until
from tests.shengwen.demo_kit import plain_client

SMALL = 64 * 1024
"""More than any file but a database needs; any write-ahead log soon needs more."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Home(tmp_path / "home").ensure().path


@pytest.fixture
def writer(tmp_path: Path) -> Writer:
    return Writer(tmp_path, seed=2)


def stream(home: Path, file: Path) -> None:
    said = shengwen(home, "import", str(file), "--no-wait", "--source", "x")
    assert said.returncode == 0, said.stderr


def test_sigterm_during_load_ends_cleanly_and_nothing_is_done_again(home: Path, tmp_path: Path, writer: Writer) -> None:
    stream(home, writer.file(4000, 0))
    with Rooms(Home(home)) as rooms:
        total = progress(rooms)["collected"]
        with up(home, tmp_path / "out") as service:
            service.url()
            wait_until(lambda: progress(rooms)[INDEX] > 0, 60, "the first batch in the index")
            assert service.terminate() == 0, service.said
        assert "正在收尾" in service.said
        assert "Traceback" not in service.said
        assert not Home(home).runtime.exists()
        done = progress(rooms)
        assert 0 < done[CLASSIFY] < total, "it stopped in the middle of the work"
        assert rooms.log.end_offsets(Topics.CLASSIFIED)[0] == done[CLASSIFY], "what was classified is committed"
        counted = rooms.index.counts()
        ends = sum(counted[name] for name in ("indexed", "empty", "duplicate", "revised"))
        assert ends == done[INDEX], "what was indexed is committed"
        with up(home, tmp_path / "out") as again:
            again.url()
            wait_until(lambda: idle(rooms), 90, "the end of the work")
            assert again.terminate() == 0, again.said
        assert rooms.log.end_offsets(Topics.CLASSIFIED)[0] == total, "each record was classified once"
    counts = doctor(home)["counts"]
    assert {name: counts[name] for name in writer.expected.counts} == writer.expected.counts


def test_a_second_sigterm_ends_at_once_and_what_was_being_sent_is_sent_again(
    home: Path, tmp_path: Path, writer: Writer
) -> None:
    release = threading.Event()

    def answer(_: Got) -> Reply:
        release.wait(30)
        return Reply({"id": "D-1"}, status=201)

    with receiver(answer) as listening, Rooms(Home(home)) as rooms:
        slow = Town(listening, {}).settings().replace("timeout = 2", "timeout = 60").replace("lease = 3", "lease = 1")
        Home(home).settings.write_text(slow, "utf-8")
        stream(home, writer.file(30, 3))
        with up(home, tmp_path / "out") as service:
            service.url()
            wait_until(lambda: listening.got, 60, "a message on its way")
            service.process.terminate()
            wait_until(lambda: "正在收尾" in service.said, 20, "the first signal's effect")
            time.sleep(0.5)
            assert service.process.poll() is None, "it waits for the answer"
            service.process.terminate()
            # Not 0, as it would be after the answer had come: it did not wait for that.
            assert service.process.wait(25) == 128 + signal.SIGTERM
        release.set()
        with up(home, tmp_path / "out") as again:
            again.url()
            wait_until(lambda: states(rooms) == {"delivered"}, 60, "the delivery")
            assert again.terminate() == 0, again.said
        first = listening.got[0]
        same = [one for one in listening.got if one.headers["idempotency-key"] == first.headers["idempotency-key"]]
        assert len(same) >= 2
        assert {one.body for one in same} == {first.body}


def states(rooms: Rooms) -> set[str]:
    with rooms.engine.connect() as connection:
        return set(connection.scalars(select(table(Outbox).c.state)))


def test_a_second_up_on_a_home_is_refused_and_the_first_goes_on(home: Path, tmp_path: Path) -> None:
    with up(home, tmp_path / "out") as service:
        url = service.url()
        second = shengwen(home, "up", "--no-crawl", "--port", "0")
        assert second.returncode == 1
        assert second.stderr.strip() == f"错误：{home} 上已经有一个 shengwen up 在运行（{url}）"
        assert service.url() == url
        with plain_client(url) as client:
            assert client.get("/healthz").status_code == 200
        assert service.terminate() == 0, service.said


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="sets another process's limits, which Linux can")
def test_a_full_disk_is_told_corrupts_nothing_and_the_work_goes_on(home: Path, tmp_path: Path, writer: Writer) -> None:
    files = [writer.file(300, 0) for _ in range(2)]
    stream(home, files[0])
    with Rooms(Home(home)) as rooms, up(home, tmp_path / "out") as service:
        url = service.url()
        wait_until(lambda: idle(rooms), 60, "the end of the first file")
        password = re.search(r"密码（.*）：(\S+)", service.said)
        assert password is not None
        limit = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        with plain_client(url) as client:
            sign_in(client, password[1])
            resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (SMALL, limit[1]))
            stream(home, files[1])
            wait_until(lambda: "重试中" in client.get("/sources").text, 30, "the trouble on the page")
            assert "请检查磁盘空间" in client.get("/sources").text
        assert not idle(rooms)
        for file in ("log.db", "index.db", "state.db"):
            with closing(sqlite3.connect(home / file)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, limit)
        wait_until(lambda: idle(rooms), 60, "the end of the second file")
        assert service.terminate() == 0, service.said
    assert "Traceback" not in service.said, service.said
    counts = doctor(home)["counts"]
    assert {name: counts[name] for name in writer.expected.counts} == writer.expected.counts


def sign_in(client: httpx.Client, password: str) -> None:
    token = re.search(r'name="token" value="([^"]+)"', client.get("/login").text)
    assert token is not None
    form = {"token": token[1], "next": "/", "user": "admin", "password": password}
    answer = client.post("/login", data=form)
    assert answer.status_code == 303, answer.text


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from shengwen.cli import main
main(sys.argv[2:])
"""


def test_an_import_on_a_full_disk_ends_with_one_line_and_goes_on_later(
    home: Path, tmp_path: Path, writer: Writer
) -> None:
    file = writer.file(900, 0)
    call = ("--home", str(home), "import", str(file), "--no-wait", "--source", "x")
    stream(home, writer.file(1, 0))
    program = [sys.executable, "-c", LIMITED, str(4 * SMALL)]
    with Running(home, *call, outputs=tmp_path / "out", program=program) as full:
        assert full.process.wait(60) == 1, full.said
    assert one_line(full.err.read_text("utf-8")).startswith("错误：")
    assert "磁盘" in full.said
    stream(home, file)
    said = shengwen(home, "import", str(file), "--source", "x")
    assert "收集 900" in said.stdout
    said = shengwen(home, "import", str(file), "--source", "x")
    assert "以前已完整导入" in said.stdout
    counts = doctor(home)["counts"]
    assert {name: counts[name] for name in writer.expected.counts} == writer.expected.counts


def one_line(text: str) -> str:
    """The only line of ``text``."""
    (line,) = text.strip().splitlines()
    return line


@pytest.fixture
def damaged(home: Path, writer: Writer, request: pytest.FixtureRequest) -> Path:
    """A home with data in which one database's first page is overwritten."""
    assert cli.run(["--home", str(home), "import", str(writer.file(50, 0)), "--source", "x"]) == 0
    path = home / str(request.param)
    assert not path.with_name(f"{path.name}-wal").exists(), "a clean end leaves one file"
    with path.open("r+b") as file:
        file.write(b"\xa5" * 4096)
    return path


@pytest.mark.parametrize(
    ("damaged", "check", "reads"),
    [("log.db", "事件日志", False), ("index.db", "检索库", True), ("state.db", "状态库", False)],
    indirect=["damaged"],
)
def test_a_damaged_file_is_named_by_every_command_and_left_as_it_is(
    home: Path, tmp_path: Path, damaged: Path, check: str, reads: bool
) -> None:
    before = damaged.read_bytes()
    told = shengwen(home, "doctor", "--json")
    assert told.returncode == 1, told.stderr
    report = json.loads(told.stdout)
    bad = {one["name"]: one for one in report["checks"] if not one["ok"]}
    assert not report["ok"]
    assert check in bad, report
    assert damaged.name in bad[check]["detail"]
    assert bad[check]["remedy"]
    with up(home, tmp_path / "out") as service:
        assert service.process.wait(60) == 1, service.said
    line = one_line(service.err.read_text("utf-8"))
    assert line.startswith("错误：")
    assert damaged.name in line or check in line
    assert "已损坏" in line
    searched = shengwen(home, "search", "漏水")
    if reads:
        assert searched.returncode == 1
        line = one_line(searched.stderr)
        assert line.startswith("错误：")
        assert "已损坏" in line
    assert "Traceback" not in searched.stderr + told.stderr + service.said
    assert damaged.read_bytes() == before


def test_damage_within_the_index_is_found_by_doctor_and_told_at_the_start(
    home: Path, tmp_path: Path, writer: Writer
) -> None:
    """The header is whole: only what reads the damaged pages can see it."""
    assert cli.run(["--home", str(home), "import", str(writer.file(600, 0)), "--source", "x"]) == 0
    path = home / "index.db"
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        for page in range(2, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 1024)
    told = shengwen(home, "doctor", "--json")
    assert told.returncode == 1, told.stdout
    assert "检索库" in {one["name"] for one in json.loads(told.stdout)["checks"] if not one["ok"]}
    searched = shengwen(home, "search", "暖气", "--json", "--limit", "0")
    assert searched.returncode == 1, searched.stdout[:500]
    assert "已损坏" in one_line(searched.stderr)
    with Rooms(Home(home)) as rooms:
        mention = a_mention()
        rooms.log.produce(Topics.COLLECTED, [Outgoing(mention.id, mention.to_json())])
        started = shengwen(home, "up", "--no-crawl", "--port", "0")
        assert started.returncode == 1
        assert "已损坏" in one_line(started.stderr)
        assert rooms.log.lag(Topics.COLLECTED, CLASSIFY) >= 1, "what came meanwhile is kept in the log"
