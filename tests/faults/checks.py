"""What must be true once everything is through, whatever was killed on the way."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import Integer, func, select

from alerts.tables import Bucket, Fact, Incident, Outbox, Scope, Ticket, table
from ingest.log.base import Topics
from shengwen.rooms import Rooms
from tests.faults.kit import Expected, Town, doctor, shengwen


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
    classified = sum(rooms.log.end_offsets(Topics.CLASSIFIED).values()) - sum(
        rooms.log.end_offsets(Topics.COLLECTED).values()
    )
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
