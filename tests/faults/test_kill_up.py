"""``kill -9`` of the service and of imports at random moments: nothing lost, nothing twice, to the last count.

``SHENGWEN_KILL_ROUNDS=20`` makes it a long run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from shengwen.home import Home
from shengwen.rooms import Rooms
from tests.faults.checks import check, done_again, show, undelivered
from tests.faults.kit import Running, Town, Writer, idle, progress, shengwen, town, up
from tests.processes import KILLED, wait_until

ROUNDS = int(os.environ.get("SHENGWEN_KILL_ROUNDS", "4"))
ROWS = 500
COMPLAINTS = 12
DRAIN_SECONDS = 90
pytestmark = pytest.mark.timeout(120 + 60 * ROUNDS)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = Home(tmp_path / "home").ensure()
    return made.path


def test_up_killed_again_and_again_loses_nothing_and_doubles_nothing(home: Path, tmp_path: Path) -> None:
    chance = random.Random(20260105)
    writer = Writer(tmp_path, seed=1)
    told: list[dict[str, Any]] = []
    with town() as listening, Rooms(Home(home)) as rooms:
        Home(home).settings.write_text(listening.settings(), "utf-8")
        for number in range(ROUNDS):
            told.append(one_round(number, home, tmp_path, writer.file(ROWS, COMPLAINTS), chance, rooms, listening))
        show(told)
        assert any(0 < one["classify"] < one["collected"] for one in told), "no kill ever fell into the work"
        with up(home, tmp_path / "out") as last:
            last.url()
            wait_until(lambda: idle(rooms) and not undelivered(rooms), DRAIN_SECONDS, "the end of the work")
            assert last.terminate() == 0, last.said
        done_again(rooms, listening)
        check(home, writer.expected, listening, rooms)


def one_round(
    number: int, home: Path, folder: Path, file: Path, chance: random.Random, rooms: Rooms, listening: Town
) -> dict[str, Any]:
    """``up`` starts, a file streams in, ``up`` is killed: during the start, the work, an import that is killed too (and
    run again), or the delivery of alerts and tickets.
    """
    killed_import = False
    with up(home, folder / "out") as service:
        if number % 4:  # else the kill may fall into the start
            service.url()
        before = progress(rooms)
        with Running(home, "import", str(file), "--no-wait", "--source", "x", outputs=folder / "out") as reading:
            wait_until(
                lambda: progress(rooms)["collected"] > before["collected"] or reading.process.poll() is not None,
                60,
                "the first rows",
            )
            if number % 3 == 1:
                time.sleep(chance.uniform(0, 0.4))
                reading.kill()
                killed_import = reading.process.returncode == KILLED
                time.sleep(chance.uniform(0, 0.3))
            elif number % 3 == 2:
                posted = len(listening.listening.got)
                wait_until(lambda: len(listening.listening.got) > posted, 60, "the first delivery")
                time.sleep(chance.uniform(0, 0.5))
            else:
                time.sleep(chance.uniform(0, 1.5))
            service.kill()
            reading.process.wait(60)
        ended = service.process.returncode
    assert ended == -signal.SIGKILL, service.said
    after = progress(rooms)
    if killed_import or reading.process.returncode:
        again = shengwen(home, "import", str(file), "--no-wait", "--source", "x", "--json")
        assert again.returncode == 0, again.stderr
    said = {"round": number + 1, "import killed": killed_import, **after, "undelivered": undelivered(rooms)}
    return said | {"posted": len(listening.listening.got)}


@pytest.mark.parametrize("seed", [3])
def test_a_waiting_import_killed_again_and_again_goes_on_where_it_stopped(
    home: Path, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    writer = Writer(tmp_path, seed)
    file = writer.file(3 * ROWS, COMPLAINTS)
    told: list[dict[str, Any]] = []
    with town() as listening, Rooms(Home(home)) as rooms:
        Home(home).settings.write_text(listening.settings(), "utf-8")
        for number in range(max(3, ROUNDS - 1)):
            before = progress(rooms)
            with Running(home, "import", str(file), "--source", "x", outputs=tmp_path / "out") as reading:
                wait_until(
                    lambda b=before, r=reading: progress(rooms) != b or r.process.poll() is not None,  # type: ignore[misc]
                    60,
                    "the first rows",
                )
                time.sleep(chance.uniform(0, 0.7))
                reading.kill()
            told.append({"round": number + 1, "killed": reading.process.returncode == KILLED, **progress(rooms)})
        show(told)
        assert sum(one["killed"] for one in told) >= 2, "too few kills to prove anything"
        last = shengwen(home, "import", str(file), "--source", "x", "--json")
        assert last.returncode == 0, last.stderr
        (result,) = json.loads(last.stdout)
        expected = writer.expected
        assert idle(rooms), "a waiting import returns when its rows are searchable"
        if not result["already_imported"]:
            names = ("collected", "indexed", "empty", "duplicate", "dead")
            assert tuple(result[name] for name in names) == tuple(expected.counts.values())
        with up(home, tmp_path / "out") as service:
            service.url()
            wait_until(lambda: not undelivered(rooms), DRAIN_SECONDS, "the delivery")
            assert service.terminate() == 0, service.said
        check(home, expected, listening, rooms)
