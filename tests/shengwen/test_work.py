"""Parts of the service as processes of their own on one home: shared work, take-over, an end in every state, health."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.tables import TickLock, table
from ingest.clock import SystemClock
from ingest.errors import ConfigError
from ingest.log.base import Outgoing, Topics
from ingest.privacy import Privacy, load_secret
from search.query import parse_query
from shengwen.chores import Chores
from shengwen.heartbeat import STALE_AFTER, Heartbeat, beats
from shengwen.home import Home
from shengwen.lease import SCHEDULER, Lease
from shengwen.rooms import Rooms
from shengwen.stages import CLASSIFY, INDEX, STAGES
from shengwen.worker import EXIT_PERMANENT, STOP_WITHIN
from tests.factories import a_mention
from tests.faults.kit import Running, idle, shengwen
from tests.processes import wait_until
from tests.shengwen.demo_kit import plain_client

SOONER = """
import sys
import shengwen.worker
shengwen.worker.STOP_WITHIN = 2.0
from shengwen.cli import main
main(sys.argv[1:])
"""
"""The command line with a shorter patience, where a test waits for its end."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Home(tmp_path / "home").ensure().path


@pytest.fixture
def rooms(home: Path) -> Iterator[Rooms]:
    with Rooms(Home(home)) as opened:
        yield opened


def work(home: Path, tmp_path: Path, stage: str) -> Running:
    return Running(home, "work", stage, outputs=tmp_path / "out")


def stream(rooms: Rooms, count: int, start: int = 0) -> None:
    mentions = [a_mention(native_id=str(n), text=f"第{n}条：接头漏水") for n in range(start, start + count)]
    rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in mentions])


def states(home: Path, role: str) -> dict[int, str]:
    """Process id -> the state of the role's own stage."""
    found = (beat for beat in beats(Home(home), role) if beat.alive and beat.details.get("stages"))
    return {beat.pid: beat.details["stages"][role]["state"] for beat in found}


def notes(home: Path, role: str, name: str) -> dict[int, str]:
    """Process id -> what it notes under ``name``."""
    found = (beat for beat in beats(Home(home), role) if beat.alive and beat.details.get("notes"))
    return {beat.pid: beat.details["notes"].get(name, "") for beat in found}


def started(running: Running) -> None:
    wait_until(lambda: "已启动" in running.said or running.process.poll() is not None, 60, "the start")
    assert running.process.poll() is None, running.said


def end(running: Running) -> None:
    """SIGTERM; fails unless it finishes by itself: when its patience is over it leaves with another code."""
    assert running.terminate(60) == 0, running.said
    assert "Traceback" not in running.said, running.said


def test_of_two_index_workers_one_works_and_the_other_takes_over(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    with (
        work(home, tmp_path, "classify") as classify,
        work(home, tmp_path, "index") as one,
        work(home, tmp_path, "index") as two,
    ):
        for running in (classify, one, two):
            started(running)
        stream(rooms, 200)
        wait_until(lambda: not rooms.log.lag(Topics.COLLECTED, CLASSIFY), 60, "the classified records")
        wait_until(lambda: rooms.index.counts()["indexed"] == 200, 60, "the first records in the index")
        wait_until(lambda: sorted(states(home, INDEX).values()) == ["running", "waiting"], 20, "one owner")
        (owner,) = [pid for pid, state in states(home, INDEX).items() if state == "running"]
        killed, left = (one, two) if owner == one.process.pid else (two, one)
        killed.kill()
        stream(rooms, 200, start=200)
        wait_until(lambda: rooms.index.counts()["indexed"] == 400, 60, "the take-over")
        wait_until(lambda: idle_of(rooms, INDEX), 20, "the commit")
        wait_until(lambda: states(home, INDEX) == {left.process.pid: "running"}, 20, "what health sees")
        told = shengwen(home, "health")
        assert told.returncode == 0, told.stdout
        assert "✓ index" in told.stdout
        for running in (left, classify):
            end(running)
        assert "已停止" not in killed.said
    assert shengwen(home, "health").returncode == 1, "nothing runs any more"
    counts = rooms.index.counts()
    assert (counts["indexed"], counts["duplicate"]) == (400, 0)


def idle_of(rooms: Rooms, stage: str) -> bool:
    return not rooms.log.lag(STAGES[stage], stage)


# -- SIGTERM --


def test_sigterm_ends_an_idle_one_and_one_that_stands_by(home: Path, tmp_path: Path) -> None:
    with work(home, tmp_path, "alert") as one, work(home, tmp_path, "alert") as two:
        for running in (one, two):
            started(running)
        wait_until(lambda: sorted(states(home, "alert").values()) == ["running", "waiting"], 20, "one owner")
        for running in (one, two):
            end(running)
            assert "正在收尾" in running.said


def test_sigterm_in_the_middle_of_the_work_commits_the_batch_in_hand(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    stream(rooms, 3000)
    with work(home, tmp_path, "classify") as running:
        wait_until(lambda: rooms.log.committed(Topics.COLLECTED, CLASSIFY)[0] > 0, 60, "the first batch")
        end(running)
    done = rooms.log.committed(Topics.COLLECTED, CLASSIFY)[0]
    assert 0 < done < 3000, "it ended in the middle of the work"
    assert rooms.log.end_offsets(Topics.CLASSIFIED)[0] == done, "what was classified is committed"


def test_sigterm_while_retrying_leaves_the_batch_for_the_next_one(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    import resource

    stream(rooms, 20)
    with work(home, tmp_path, "classify") as running:
        started(running)
        wait_until(lambda: idle_of(rooms, CLASSIFY), 30, "the first records")
        limit = resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (4096, limit[1]))
        stream(rooms, 20, start=20)
        wait_until(lambda: states(home, CLASSIFY).get(running.process.pid) == "retrying", 30, "the trouble")
        assert shengwen(home, "health", "classify").returncode == 0, "a restart would not help a full disk"
        end(running)
    assert rooms.log.lag(Topics.COLLECTED, CLASSIFY) == 20


@pytest.mark.parametrize("answers", [False, True])
def test_sigterm_while_waiting_for_a_server(home: Path, tmp_path: Path, answers: bool) -> None:
    """A port that refuses is waited for; one that takes the connection and hangs is left when the time is over."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        if not answers:
            server.close()
        url = f"postgresql+psycopg://x:y@127.0.0.1:{port}/x"
        Home(home).settings.write_text(f'state_url = "{url}"\n', "utf-8")
        program = [sys.executable, "-c", SOONER, "--home", str(home), "work", "alert"]
        with Running(home, outputs=tmp_path / "out", program=program) as running:
            wanted = "starting" if answers else "waiting"
            wait_until(lambda: [b.state for b in beats(Home(home))] == [wanted], 30, "the wait")
            if answers:
                wait_until(lambda: connected(server), 20, "the connection that hangs")
            assert shengwen(home, "health", "alert").returncode == 0
            code = running.terminate(40)
            assert code == (128 + signal.SIGTERM if answers else 0), running.said
            assert "Traceback" not in running.said


def test_what_is_waited_for_is_said_once_and_in_words(home: Path, tmp_path: Path) -> None:
    """A wrong port is a server that is not there yet: who has just typed it must see it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    Home(home).settings.write_text(f'state_url = "postgresql+psycopg://x:hidden@127.0.0.1:{port}/x"\n', "utf-8")
    said = f"alert 在等：连不上状态库（127.0.0.1:{port}）：确认 PostgreSQL 已启动，state_url 里的地址和端口正确"
    with work(home, tmp_path, "alert") as running:
        wait_until(lambda: said in running.said, 30, "the reason")
        time.sleep(3.5)  # two more attempts
        assert said.partition("：")[2] in shengwen(home, "health").stdout
        end(running)
        assert running.said.count("在等") == 1
        assert "hidden" not in running.said


def test_what_a_stage_waits_for_is_said_too(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    stage = f'[index]\nbackend = "elasticsearch"\n[index.elasticsearch]\nhosts = ["http://127.0.0.1:{port}"]\n'
    Home(home).settings.write_text(stage, "utf-8")
    mention = a_mention(native_id="1", text="接头漏水")
    rooms.log.produce(Topics.COLLECTED, [Outgoing(mention.id, mention.to_json())])
    said = f"index 在等：连不上 Elasticsearch（http://127.0.0.1:{port}）：确认它已启动，index.elasticsearch.hosts"
    with work(home, tmp_path, "classify") as classify, work(home, tmp_path, "index") as running:
        wait_until(lambda: said in running.said, 60, "the reason")
        assert f"连不上 Elasticsearch（http://127.0.0.1:{port}）" in shengwen(home, "health", "index").stdout
        for one in (classify, running):
            one.terminate(20)


_CONNECTIONS: list[socket.socket] = []


def connected(server: socket.socket) -> bool:
    server.settimeout(0.1)
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return False
    _CONNECTIONS.append(connection)
    return True


@pytest.fixture(autouse=True)
def _no_connection_left() -> Iterator[None]:
    yield
    while _CONNECTIONS:
        _CONNECTIONS.pop().close()


def test_a_second_sigterm_ends_at_once(home: Path, tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"postgresql+psycopg://x:y@127.0.0.1:{server.getsockname()[1]}/x"
        Home(home).settings.write_text(f'state_url = "{url}"\n', "utf-8")
        with work(home, tmp_path, "alert") as running:
            wait_until(lambda: connected(server), 30, "the connection that hangs")
            running.process.terminate()
            wait_until(lambda: "正在收尾" in running.said, 10, "the first signal's effect")
            running.process.terminate()
            # Well before the first signal's patience is over.
            assert running.process.wait(STOP_WITHIN / 2) == 128 + signal.SIGTERM


# -- what needs a person --


def test_what_needs_a_person_ends_with_its_own_code_and_says_why(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    rooms.log.produce(Topics.COLLECTED, [Outgoing(f"bad:{n}", b"{") for n in range(150)])
    with work(home, tmp_path, "classify") as running:
        assert running.process.wait(60) == EXIT_PERMANENT, running.said
    assert "错误：classify 停下了，要人处理" in running.said
    assert "连续 100 条" in running.said
    assert rooms.log.lag(Topics.COLLECTED, CLASSIFY) == 150
    assert beats(Home(home)) == []


def test_a_wrong_setting_ends_with_its_own_code(home: Path, tmp_path: Path) -> None:
    Home(home).settings.write_text("[web]\nport = 'x'\n", "utf-8")
    said = shengwen(home, "work", "index")
    assert said.returncode == EXIT_PERMANENT
    assert said.stderr.startswith("错误：设置 web.port")
    assert len(said.stderr.strip().splitlines()) == 1


# -- once only --


def ticked(rooms: Rooms) -> object:
    with rooms.engine.connect() as connection:
        return connection.scalar(select(table(TickLock).c.ticked_at))


def test_only_who_holds_the_lease_ticks(home: Path, rooms: Rooms) -> None:
    other = Lease(rooms.engine, SystemClock(), SCHEDULER)
    stop = threading.Event()
    chores = Chores(rooms, stop)
    try:
        assert other.held()
        chores.start()
        assert not stop.wait(2 * rooms.settings.schedule.tick_every + 0.5)
        assert ticked(rooms) is None
        assert chores.notes() == {SCHEDULER: "stands by"}
        other.release()
        wait_until(lambda: ticked(rooms) is not None, 20, "the take-over of the clock")
        assert chores.notes() == {SCHEDULER: "holds"}
    finally:
        stop.set()
        chores.stop()
        other.release()
    assert chores.notes() == {SCHEDULER: "stands by"}


def test_when_the_holder_is_killed_another_one_has_the_clock_and_the_crawls(home: Path, tmp_path: Path) -> None:
    roles = {"alert": ("work", "alert"), "crawl": ("crawl", "--schedule")}
    names = {"alert": "scheduler", "crawl": "crawler"}
    running = {role: [Running(home, *call, outputs=tmp_path / "out") for _ in range(2)] for role, call in roles.items()}
    try:
        for role, both in running.items():
            for one in both:
                started(one)
            wait_until(
                lambda r=role: sorted(notes(home, r, names[r]).values()) == ["holds", "stands by"],  # type: ignore[misc]
                20,
                f"one holder of {names[role]}",
            )
        left = {}
        for role, both in running.items():
            (holder,) = [pid for pid, said in notes(home, role, names[role]).items() if said == "holds"]
            for one in both:
                if one.process.pid == holder:
                    one.kill()
                else:
                    left[role] = one
        for role, one in left.items():
            wait_until(
                lambda r=role, p=one.process.pid: notes(home, r, names[r]).get(p) == "holds",  # type: ignore[misc]
                25,
                f"the take-over of {names[role]}",
            )
            end(one)
    finally:
        for both in running.values():
            for one in both:
                one.kill()


# -- the page alone --


def test_serve_shows_what_the_workers_beside_it_do(home: Path, tmp_path: Path, rooms: Rooms) -> None:
    with (
        Running(home, "serve", "--port", "0", outputs=tmp_path / "out") as page,
        work(home, tmp_path, "classify") as classify,
        work(home, tmp_path, "index") as index,
        work(home, tmp_path, "alert") as alert,
    ):
        url = page.url()
        with plain_client(url) as client:
            assert client.get("/healthz").json() == {"ok": True, "failed": []}
            stream(rooms, 30)
            wait_until(lambda: rooms.index.search(query(rooms)).total == 30, 60, "the mentions")
            wait_until(lambda: idle(rooms), 30, "the end of the work")
        assert "登录密码" in page.said
        refused = shengwen(home, "up", "--no-crawl", "--port", "0")
        assert refused.returncode == 1
        assert refused.stderr.strip() == f"错误：{home} 上已经有一个 shengwen serve 在运行（{url}）"
        told = json.loads(shengwen(home, "health", "--json").stdout)
        assert told["ok"], told
        assert {one["role"] for one in told["processes"]} == {"serve", "classify", "index", "alert"}
        for running in (page, classify, index, alert):
            end(running)
    assert not Home(home).runtime.exists()


def query(rooms: Rooms) -> Any:
    return parse_query("漏水", now=rooms.clock.now())


# -- health --


def test_health_speaks_chinese(home: Path) -> None:
    notes = {"scheduler": "holds", "crawler": "stands by", "crawling": "jd", "left out": "douyin", "url": "http://x"}
    with Heartbeat(Home(home), "serve") as heart:
        heart.beat("running", notes=notes)
        said = shengwen(home, "health").stdout
    assert "定时任务：由本进程做；采集：由别的进程做，本进程待命；正在采集：jd；不采集：douyin；网页：http://x" in said


def test_a_process_that_hangs_is_unhealthy_and_a_killed_one_is_swept(home: Path) -> None:
    there = Home(home)
    with Heartbeat(there, "index") as heart:
        heart.beat("running")
        (one,) = beats(there)
        assert one.healthy
        assert one.pid == os.getpid()
        (path,) = there.beats.glob("*.json")
        before = time.time() - STALE_AFTER - 5
        os.utime(path, (before, before))
        assert not beats(there)[0].healthy
        assert shengwen(home, "health", "index").returncode == 1
        heart.beat("running")
        assert beats(there, "index")[0].healthy
        assert beats(there, "classify") == []
        heart.beat("running", ok=False)
        assert not beats(there)[0].healthy
    assert beats(there) == []
    dead = there.beats / f"index.{socket.gethostname()}.1.json"
    dead.write_text(json.dumps({"role": "index", "pid": 1, "host": "x", "ok": True, "state": "running"}) + "\n")
    assert [one.alive for one in beats(there)] == [False]
    with Heartbeat(there, "index"):
        assert not dead.exists()
        assert [one.pid for one in beats(there)] == [os.getpid()]


# -- the secret --


def test_processes_in_homes_of_their_own_share_a_secret_file(tmp_path: Path) -> None:
    shared = tmp_path / "secret"
    load_secret(shared)
    keys = set()
    for name in ("a", "b"):
        home = Home(tmp_path / name).ensure()
        home.settings.write_text(f'secret_file = "{shared}"\n', "utf-8")
        with Rooms(home) as rooms:
            keys.add(rooms.privacy.author_key("jd", "42"))
        assert not home.secret.exists()
    assert keys == {Privacy(shared.read_bytes()).author_key("jd", "42")}


def test_a_secret_file_that_is_named_is_never_made(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    home.settings.write_text('secret_file = "nowhere/secret"\n', "utf-8")
    with Rooms(home) as rooms, pytest.raises(ConfigError, match="shengwen init"):
        rooms.privacy  # noqa: B018
    assert not (home.path / "nowhere").exists()
