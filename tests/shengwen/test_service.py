"""The service in this process, on a home of its own: it answers, it works, it says why it does not start, it ends."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import ConfigError, UserError
from ingest.log.base import Outgoing, Topics
from search.query import parse_query
from shengwen.accounting import count
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.service import Service
from shengwen.serving import OneService, bind, free_port
from shengwen.settings import load_settings
from shengwen.stages import STAGES
from tests.factories import a_mention
from tests.processes import wait_until
from tests.shengwen.demo_kit import plain_client


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@contextmanager
def rooms_of(home: Home, **web: Any) -> Iterator[Rooms]:
    with Rooms(home, load_settings(home, web={"port": 0} | web)) as rooms:
        yield rooms


@contextmanager
def running(rooms: Rooms) -> Iterator[Service]:
    service = Service(rooms, crawl=False)
    try:
        service.start()
        yield service
    finally:
        service.shut_down()


def names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def test_of_two_services_on_one_state_database_one_ticks_and_the_other_takes_over(
    tmp_path: Path, state_url: str
) -> None:
    """Two homes, two logs, one state."""
    ticks: list[str] = []

    def counted(name: str) -> Rooms:
        home = Home(tmp_path / name)
        settings = load_settings(home, web={"port": 0}, state_url=state_url, schedule={"tick_every": 0.05})
        rooms = Rooms(home, settings)
        tick = rooms.alerting.tick
        rooms.alerting.tick = lambda: (tick(), ticks.append(name))  # type: ignore[method-assign,func-returns-value,assignment]
        return rooms

    with counted("first") as one, counted("second") as other:
        with running(other), running(one):
            wait_until(lambda: len(ticks) > 3, what="ticks")
            assert set(ticks) == {"second"}, "who was there first"
        ticks.clear()
        with running(one):
            wait_until(lambda: ticks, what="a tick")
            assert set(ticks) == {"first"}, "given back at the end"


def test_the_service_answers_works_and_leaves_nothing_behind(home: Home) -> None:
    before = names()
    with rooms_of(home) as rooms, running(rooms) as service:
        told = json.loads(home.runtime.read_text("utf-8"))
        assert told == {"url": service.url, "pid": os.getpid()}
        assert service.password
        runner = service._runner
        assert runner is not None
        wait_until(lambda: {h.state for h in runner.health().values()} == {"running"}, what="the stages")
        assert set(runner.health()) == set(STAGES)
        with plain_client(service.url) as client:
            health = client.get("/healthz")
            assert (health.status_code, health.json()) == (200, {"ok": True, "failed": []})
            assert client.get("/").status_code in (302, 303, 307), "nobody reads without logging in"

        rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in [a_mention(text="接头漏水")]])
        query = parse_query("漏水", now=rooms.clock.now())
        wait_until(lambda: rooms.index.search(query).total == 1, what="the mention in the index")
        wait_until(service.caught_up, what="the end of the work")
        assert count(rooms).adds_up
    assert names() <= before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", int(service.url.rstrip("/").rpartition(":")[2])), timeout=2).close()


def test_a_second_start_shows_no_new_password_and_finds_what_was_indexed(home: Home) -> None:
    for turn in range(2):
        with rooms_of(home) as rooms, running(rooms) as service:
            assert (service.password is None) == bool(turn)
            if not turn:
                rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in [a_mention()]])
                wait_until(lambda r=rooms: count(r).documents == 1, what="the mention")  # type: ignore[misc]
            assert count(rooms).documents == 1


def test_a_taken_port_is_told_and_nothing_keeps_running(home: Home) -> None:
    before = names()
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        said = rf"无法在 127\.0\.0\.1:{port} 上开网页.*--port"
        with rooms_of(home, port=port) as rooms, pytest.raises(ConfigError, match=said), running(rooms):
            pass
        assert free_port(port) != port
    assert free_port(port) == port
    assert not home.runtime.exists()
    assert names() <= before


def test_an_address_of_another_machine_is_told(home: Home) -> None:
    with (
        rooms_of(home, host="192.0.2.1", public=True) as rooms,
        pytest.raises(ConfigError, match=r"无法在 192\.0\.2\.1:0 上开网页"),
        running(rooms),
    ):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_a_public_address_is_refused_until_the_operator_says_so(home: Home, host: str) -> None:
    with rooms_of(home, host=host) as rooms, pytest.raises(ConfigError, match=r"web\.public = true"):
        Service(rooms)


def test_a_public_page_answers_only_to_its_names(home: Home) -> None:
    with rooms_of(home, host="0.0.0.0", public=True, hosts=["voice.example.com"]) as rooms, running(rooms) as service:
        port = service.url.rstrip("/").rpartition(":")[2]
        with plain_client(f"http://127.0.0.1:{port}") as client:
            assert client.get("/login", headers={"Host": "voice.example.com"}).status_code == 200
            assert client.get("/login", headers={"Host": "evil.example"}).status_code >= 400


def test_only_one_service_runs_on_a_home(home: Home) -> None:
    with OneService(home):
        home.runtime.write_text('{"url": "http://127.0.0.1:1234/"}', "utf-8")
        with (
            pytest.raises(UserError, match=r"已经有一个 shengwen up 在运行（http://127.0.0.1:1234/）"),
            OneService(home),
        ):
            pass
        assert home.runtime.exists(), "the one that was refused must not tidy up after the one that runs"
    assert not home.runtime.exists()
    with OneService(home):
        pass


def test_a_poisoned_stage_shows_in_healthz_while_the_others_go_on(home: Home) -> None:
    with rooms_of(home) as rooms, running(rooms) as service:
        rooms.log.produce(Topics.COLLECTED, [Outgoing(f"bad:{n}", b"{") for n in range(150)])
        with plain_client(service.url) as client:
            wait_until(lambda: client.get("/healthz").status_code == 503, what="the failed stage in /healthz")
            assert client.get("/healthz").json() == {"ok": False, "failed": ["classify"]}
        assert service._runner is not None
        health = service._runner.health()
        wait_until(lambda: health["index"].state == "running", what="the other stages")
        assert "连续 100 条" in health["classify"].last_error
        assert rooms.letters.count() == 0, "a bad deploy must not empty the topic into the dead letters"
        assert rooms.log.lag(Topics.COLLECTED, "classify") == 150
        assert count(rooms).adds_up
