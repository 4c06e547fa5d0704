"""Who tells of a stop is killed again and again, beside another one who lives: it is told once, on both databases."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from crawlers.book import PlatformBook
from ingest.clock import SystemClock
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import load_settings
from tests.processes import KILLED, Nursery, wait_until

ROUNDS = 4
pytestmark = pytest.mark.timeout(400)


def tick_for_ever(path: str, url: str, marks: str) -> None:
    """A process that alerts, a hundred times as often as one does; a line for each tick that is begun or done."""
    never = threading.Event()
    with Rooms(Home(Path(path)), load_settings(Home(Path(path)), state_url=url)) as rooms:
        while True:
            with Path(marks).open("a", encoding="utf-8") as file:
                file.write("begun\n")
            rooms.alerting.tick()
            with Path(marks).open("a", encoding="utf-8") as file:
                file.write("done\n")
            never.wait(0.02)  # SQLite's lock is not fair: who never lets go of it starves the others


def test_a_stop_is_told_once_whoever_dies_over_it(tmp_path: Path, state_url: str, nursery: Nursery) -> None:
    home = Home(tmp_path / "home")
    with Rooms(home, load_settings(home, state_url=state_url)) as rooms:
        book = PlatformBook(rooms.engine, SystemClock())
        steady = nursery.start(tick_for_ever, str(home.path), state_url, str(tmp_path / "steady"))
        try:
            for turn in range(ROUNDS):
                marks = tmp_path / f"victim-{turn}"
                victim = nursery.start(tick_for_ever, str(home.path), state_url, str(marks))
                wait_until(lambda at=marks: at.exists() and "done" in at.read_text(), 90, "a tick")
                assert book.stop("zhihu", "verification", "")
                victim.signal()  # wherever it is in its tick
                assert victim.wait() == KILLED
                told = turn + 1
                wait_until(lambda n=told: len(rooms.reader.alerts()) >= n, 90, "the alert")
                rooms.alerting.tick()
                assert [alert.kind for alert in rooms.reader.alerts()] == ["stop"] * told
                assert book.resume("zhihu")
                wait_until(lambda: not rooms.reader.open_alerts(), 90, "the end of the alert")
        finally:
            steady.signal()
            assert steady.wait() == KILLED
