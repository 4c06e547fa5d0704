"""``kill -9`` of the service and of imports at random moments: nothing lost, nothing twice, to the last count.

``SHENGWEN_KILL_ROUNDS=20`` makes it a long run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table
from sqlalchemy import Integer, func, select

from alerts.tables import Bucket, Fact, Incident, Outbox, Scope, Ticket, table
from ingest.log.base import Topics
from shengwen.home import Home
from shengwen.rooms import Rooms
from tests.faults.kit import Expected, Running, Town, Writer, doctor, idle, progress, shengwen, town, up
from tests.processes import KILLED, wait_until

ROUNDS = int(os.environ.get("SHENGWEN_KILL_ROUNDS", "5"))
ROWS = 1200
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


def undelivered(rooms: Rooms) -> int:
    """Messages in the outbox, and mentions that the alerts have not reacted to."""
    box, facts = table(Outbox), table(Fact)
    with rooms.engine.connect() as connection:
        waiting = connection.execute(select(func.count()).where(box.c.state.in_(("pending", "sending")))).scalar_one()
        return int(waiting + connection.execute(select(func.count()).where(facts.c.pending)).scalar_one())


def show(told: list[dict[str, Any]]) -> None:
    names = list(told[0])
    shown = Table(*names, title="where the kills fell: records done by stage")
    for one in told:
        shown.add_row(*(str(one[name]) for name in names))
    Console(width=120).print(shown)


def done_again(rooms: Rooms, listening: Town) -> None:
    """Say how much was done twice, and so had to be recognised."""
    classified = rooms.log.end_offsets(Topics.CLASSIFIED)[0] - rooms.log.end_offsets(Topics.COLLECTED)[0]
    posted = [sum(some.values()) - 1 for path in ("/desk", "/bot") for some in listening.bodies(path).values()]
    Console(width=120).print(f"classified again {classified}; messages {len(posted)}, posted again {sum(posted)}")


def check(home: Path, expected: Expected, listening: Town, rooms: Rooms) -> None:
    """The index, the account, the alerts' numbers, the tickets and what the receivers saw."""
    report = doctor(home)
    assert {name: report["counts"][name] for name in expected.counts} == expected.counts
    found = shengwen(home, "search", "", "--json", "--limit", "0")
    assert found.returncode == 0, found.stderr
    mentions = {mention["id"]: mention for mention in map(json.loads, found.stdout.splitlines())}
    assert mentions.keys() == expected.copies.keys()
    assert {name: mention["text"] for name, mention in mentions.items()} == expected.texts
    hits = {name: rooms.index.get(name) for name in expected.copies}
    assert {name: hit.copies for name, hit in hits.items() if hit} == dict(expected.copies)
    check_alerts(expected, rooms)
    check_delivered(listening, rooms)


def check_alerts(expected: Expected, rooms: Rooms) -> None:
    facts, buckets, scopes, tickets = table(Fact), table(Bucket), table(Scope), table(Ticket)
    incidents, box = table(Incident), table(Outbox)
    with rooms.engine.connect() as db:
        assert expected.copies.keys() <= set(db.scalars(select(facts.c.mention_id)))
        genuine, negative = db.execute(
            select(func.count(), func.sum(facts.c.negative.cast(Integer))).where(facts.c.genuine)
        ).one()
        counted = db.execute(
            select(func.sum(buckets.c.total), func.sum(buckets.c.negative))
            .join(scopes, scopes.c.id == buckets.c.scope_id)
            .where(scopes.c.kind == "all")
        ).one()
        assert tuple(counted) == (genuine, negative), "the aggregates count each mention once"
        owners = db.execute(select(tickets.c.key, tickets.c.mention_id, tickets.c.incident_id)).all()
        assert owners, "complaints of today make tickets"
        assert most(row.key for row in owners) == 1
        assert most(row.mention_id for row in owners if row.mention_id) == 1
        assert most(row.incident_id for row in owners if not row.mention_id) == 1
        raised = db.execute(select(incidents.c.key, incidents.c.problem, incidents.c.told_count)).all()
        assert raised, "漏电 makes an alert"
        assert most(row.problem for row in raised) == 1, "one problem, one alert"
        alerts = Counter(key.partition(":")[0] for key in db.scalars(select(box.c.key).where(box.c.kind == "alert")))
        assert alerts == {row.key: row.told_count for row in raised}, "told as often as noted, each time once"
        assert set(db.scalars(select(box.c.state))) == {"delivered"}


def check_delivered(listening: Town, rooms: Rooms) -> None:
    box, tickets = table(Outbox), table(Ticket)
    with rooms.engine.connect() as db:
        keys = {route: set(db.scalars(select(box.c.key).where(box.c.route == route))) for route in ("工单台", "群")}
        opened = set(db.scalars(select(tickets.c.key)))
    for path, route in (("/desk", "工单台"), ("/bot", "群")):
        bodies = listening.bodies(path)
        assert bodies.keys() == keys[route]
        assert {len(some) for some in bodies.values()} == {1}, "a key comes with one body, however often"
    assert opened <= listening.bodies("/desk").keys()
    created = Counter(
        body["ticket"]["key"]
        for some in listening.bodies("/desk").values()
        for body in map(json.loads, some)
        if body["type"] == "ticket.created"
    )
    assert created == dict.fromkeys(opened, 1)


def most(values: Any) -> int:
    """How often the most frequent of them comes."""
    return max(Counter(values).values(), default=1)
