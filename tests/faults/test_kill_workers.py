"""Workers are killed, leave and join while mentions flow: nothing lost, nothing twice; on one machine and on servers.

``SHENGWEN_KILL_ROUNDS=50`` makes it a long run.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from alerts.tables import Fact, table
from ingest.log.base import Topics
from shengwen import cli
from shengwen.heartbeat import Beat, beats
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import CLASSIFY
from tests.faults.checks import check, done_again, show, undelivered
from tests.faults.kit import Running, Writer, idle, progress, town
from tests.processes import KILLED, wait_until
from tests.servers.places import Place

ROUNDS = int(os.environ.get("SHENGWEN_KILL_ROUNDS", "6"))
"""On the servers; six tenths of them in a home, where one worker of a role works at a time."""
ROWS = 160
COMPLAINTS = 4
ROLES = ("classify", "index", "alert")
DRAIN_SECONDS = 120
pytestmark = pytest.mark.timeout(240 + 30 * ROUNDS)


class Crew:
    """Two workers of each role; whoever goes is followed by another one."""

    def __init__(self, home: Path, outputs: Path) -> None:
        self._home = home
        self._outputs = outputs
        self.working: dict[str, list[Running]] = {role: [] for role in ROLES}
        self.gone: list[Running] = []

    def join(self, role: str) -> None:
        self.working[role].append(Running(self._home, "work", role, outputs=self._outputs))

    def kill(self, role: str, chance: random.Random) -> None:
        """``kill -9`` of one that has work, whatever it is at; of any one when none says so."""
        some = self.working[role]
        busy = {beat.pid for beat in beats(Home(self._home), role) if has_work(beat)}
        one = chance.choice([one for one in some if one.process.pid in busy] or some)
        some.remove(one)
        one.kill()
        assert one.process.returncode == KILLED, one.said
        self.gone.append(one)

    def leave(self, role: str) -> float:
        """SIGTERM for the one that is there longest; how long it took to end."""
        one = self.working[role].pop(0)
        before = time.monotonic()
        assert one.terminate(20) == 0, one.said
        self.gone.append(one)
        return time.monotonic() - before

    def started(self, count: int) -> bool:
        """Whether ``count`` of each role work; fails when one ended by itself."""
        for role, some in self.working.items():
            for one in some:
                assert one.process.poll() is None, f"{role} ended with {one.process.returncode}: {one.said}"
        return all(sum("已启动" in one.said for one in some) >= count for some in self.working.values())

    def dismiss(self) -> None:
        for some in self.working.values():
            for one in some:
                one.kill()


def test_workers_killed_leaving_and_joining_lose_nothing_and_double_nothing(place: Place, tmp_path: Path) -> None:
    chance = random.Random(20260106)
    writer = Writer(tmp_path, seed=9)
    told: list[dict[str, Any]] = []
    with town() as listening:
        home = place.home(tmp_path / "home", listening.settings())
        crew = Crew(home.path, tmp_path / "out")
        try:
            with Rooms(home) as rooms:
                for role in ROLES * 2:
                    crew.join(role)
                wait_until(lambda: crew.started(1), 90, "the first workers")
                for number in range(ROUNDS if place.partitions else max(6, ROUNDS * 6 // 10)):
                    told.append(one_round(number, home.path, writer, chance, crew, rooms))
                wait_until(lambda: crew.started(2) and idle(rooms), DRAIN_SECONDS, "the end of the work")
                wait_until(lambda: idle(rooms) and not undelivered(rooms), DRAIN_SECONDS, "the end of the delivery")
                for role in ROLES:
                    while crew.working[role]:
                        crew.leave(role)
                show(told)
                done_again(rooms, listening)
                assert any(one[CLASSIFY] < one["collected"] for one in told), "no kill ever fell into the work"
                check(home.path, writer.expected, listening, rooms)
        finally:
            crew.dismiss()
    assert not [one.said for one in crew.gone if "Traceback" in one.said]


def has_work(beat: Beat) -> bool:
    """Whether it owns something of its stage, by what it said last."""
    stages = beat.details.get("stages") or {}
    return bool(stages) and stages[beat.role]["state"] == "running"


def effect(role: str, rooms: Rooms) -> int:
    """What a role has done, committed or not: it grows in the moment before the commit."""
    if role == "classify":
        return sum(rooms.log.end_offsets(Topics.CLASSIFIED).values())
    if role == "index":
        return sum(rooms.index.counts().values())
    with rooms.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table(Fact))).scalar_one())


def one_round(
    number: int, home: Path, writer: Writer, chance: random.Random, crew: Crew, rooms: Rooms
) -> dict[str, Any]:
    """A file streams in; one worker is killed at a moment of chance, or as soon as its work shows, before it can
    have committed much of it. Every third round one of another role is told to leave, too. Others join.
    """
    role = ROLES[number % len(ROLES)]
    before = effect(role, rooms)
    call = ["--home", str(home), "import", str(writer.file(ROWS, COMPLAINTS)), "--no-wait", "--source", "x"]
    assert cli.run(call) == 0
    if number % 2:
        wait_until(lambda: effect(role, rooms) > before, 60, f"the work of {role}")
    else:
        time.sleep(chance.uniform(0, 0.8))
    crew.kill(role, chance)
    after = progress(rooms)
    crew.join(role)
    left, took = "", 0.0
    if number % 3 == 2:
        left = ROLES[(number // 3) % len(ROLES)]
        crew.join(left)
        took = crew.leave(left)
    moment = "at its effect" if number % 2 else "by chance"
    return {"round": number + 1, "killed": f"{role} {moment}", "left": f"{left} {took:.1f} s" if left else "", **after}
