"""The demo's server: starts on a free port, stops cleanly, says when it cannot."""

from __future__ import annotations

import threading

import httpx
import pytest

from ingest.clock import ManualClock
from ingest.errors import Unavailable
from shengwen.demo.server import DemoServer
from shengwen.demo.story import Story
from tests.shengwen.demo_kit import START, plain_client


def fetch(url: str) -> httpx.Response:
    with plain_client() as client:
        return client.get(url)


def make(port: int = 0) -> DemoServer:
    return DemoServer(Story(1, START), ManualClock(START), port=port)


def test_it_serves_between_start_and_stop_and_can_start_again() -> None:
    demo = make()
    for _ in range(2):
        demo.start()
        demo.start()
        assert fetch(f"{demo.base_url}/robots.txt").status_code == 200
        demo.stop()
        demo.stop()
        with pytest.raises(httpx.ConnectError):
            fetch(f"{demo.base_url}/robots.txt")
    assert not any(thread.name == "demo-server" for thread in threading.enumerate())


def test_a_taken_port_is_unavailable() -> None:
    with make() as demo, pytest.raises(Unavailable, match=str(demo.port)):
        make(demo.port).start()


def test_an_open_connection_does_not_keep_it_from_stopping() -> None:
    with make() as demo:
        client = plain_client()
        client.get(f"{demo.base_url}/")
    client.close()
