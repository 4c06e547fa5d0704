"""The demo's story on Kafka, Elasticsearch and PostgreSQL, compared with the same story in a home: the same words come
of it, byte for byte.

Spiders read the replica into Kafka. What they streamed, eight weeks and then the turn, is played once on the servers
(three partitions, stages side by side) and once on the embedded stores, on a clock that stands still. Compared are
every mention with its analysis, every ticket, and every message that goes out to bots and desk.

What may differ, and is left out, since partitions are read in another order: row numbers (a scope is compared by what
it counts), and which of several alike texts founds their group. The platforms that need
Chromium are read as well with ``SHENGWEN_DEMO_ALL=1``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from sqlalchemy import select

from alerts.tables import Incident, Outbox, Scope, Ticket, table
from crawlers.config import PLATFORMS, Platform
from ingest.clock import SystemClock
from ingest.log.base import Outgoing, Record, Topics
from search.query import parse_query
from shengwen.accounting import count
from shengwen.crawling import crawl_once
from shengwen.demo.play import Demo
from shengwen.demo.turn import LENGTH
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.runner import StageRunner
from shengwen.settings import Settings, load_settings
from shengwen.stages import STAGES
from tests.faults.kit import idle
from tests.processes import wait_until
from tests.servers.places import Place

pytestmark = pytest.mark.timeout(600)
READ: Sequence[Platform] = [
    platform
    for platform in PLATFORMS
    if platform not in ("xiaohongshu", "douyin") or os.environ.get("SHENGWEN_DEMO_ALL")
]
PAGE = {"port": 8700}
NUMBERS = {"id", "incident_id", "ticket_id"}
"""Columns that count rows."""
PROBLEM = "漏水"


class Stopped(SystemClock):
    """Tells one instant only; intervals pass as ever."""

    def __init__(self, at: datetime) -> None:
        super().__init__()
        self.at = at

    def now(self) -> datetime:
        return self.at


@dataclass
class Heard:
    """What came of the story. Rows without their numbers."""

    mentions: Mapping[str, bytes]
    tickets: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    messages: Sequence[tuple[Any, ...]]


def place_on(place: Place, demo: Demo, path: Path) -> Settings:
    """The demo's settings, with things kept where ``place`` says."""
    home = place.home(path)
    chosen = load_settings(home)
    told = demo.settings(PAGE)
    return told.model_copy(update={"log": chosen.log, "index": chosen.index, "state_url": chosen.state_url})


def streamed(rooms: Rooms) -> list[Record]:
    """All collected records, as they came."""
    found: list[Record] = []
    for partition, end in rooms.log.end_offsets(Topics.COLLECTED).items():
        at = 0
        while at < end:
            some = rooms.log.read(Topics.COLLECTED, partition, at, 500)
            found += some
            at = some[-1].offset + 1
    return sorted(found, key=lambda record: (record.timestamp, record.key))


def test_the_story_on_servers_is_the_story_in_a_home(new_place: Callable[[], Place], tmp_path: Path) -> None:
    clock = SystemClock()
    with Demo(Home(tmp_path / "demo"), clock) as demo:
        history, turn = read_by_spiders(new_place(), demo, tmp_path / "spiders")
        assert len(history) > 200
        assert len(turn) > 5
        now = Stopped(clock.now())
        embedded = play(Place("embedded"), demo, tmp_path / "embedded", history, turn, now)
        servers = play(new_place(), demo, tmp_path / "servers", history, turn, now)
    told = f"{len(history)} + {len(turn)} records of {', '.join(READ)}; {len(servers.mentions)} mentions, "
    told += f"{len(servers.tickets)} tickets, {len(servers.alerts)} alerts, {len(servers.messages)} messages"
    Console(width=140).print(told)
    assert servers.mentions.keys() == embedded.mentions.keys()
    assert servers.mentions == embedded.mentions, "text, analysis, everything"
    assert any(PROBLEM in one["title"] for one in embedded.tickets)
    assert servers.tickets == embedded.tickets
    assert any(PROBLEM in one["title"] for one in embedded.alerts)
    assert servers.alerts == embedded.alerts
    assert servers.messages == embedded.messages, "the frozen bodies, byte for byte"


def read_by_spiders(place: Place, demo: Demo, path: Path) -> tuple[list[Record], list[Record]]:
    """What the spiders stream into Kafka: the history, then what the turn adds."""
    settings = place_on(place, demo, path)
    stop = threading.Event()
    with Rooms(Home(path), settings) as rooms:
        for report in crawl_once(rooms, READ, stop):
            assert report.status == "complete", (report.platform, report.log_tail)
        history = streamed(rooms)
        assert len({record.partition for record in history}) > 1, "the mentions are spread over the partitions"
        demo.server.story.begin_turn(rooms.clock.now() - LENGTH - timedelta(seconds=10))
        for report in crawl_once(rooms, READ, stop):
            assert report.status == "complete", (report.platform, report.log_tail)
        return history, streamed(rooms)[len(history) :]


def play(place: Place, demo: Demo, path: Path, history: list[Record], turn: list[Record], clock: Stopped) -> Heard:
    """The same records through all stages, the history first; a tick after each."""
    with Rooms(Home(path), place_on(place, demo, path), clock) as rooms:
        runner = StageRunner(rooms, STAGES)
        runner.start()
        try:
            for part in (history, turn):
                rooms.log.produce(Topics.COLLECTED, [Outgoing(one.key, one.value) for one in part])
                wait_until(lambda: idle(rooms) or runner.failed, 240, "the end of the work")
                assert not runner.failed
                rooms.alerting.tick()
        finally:
            runner.stop()
        assert count(rooms).adds_up
        return heard(rooms)


def heard(rooms: Rooms) -> Heard:
    query = parse_query("", now=rooms.clock.now())
    mentions = {
        mention.id: mention.model_copy(update={"group": None, "likeness": None}).to_json()
        for mention in rooms.index.scan(query)
    }
    box, scopes = table(Outbox), table(Scope)
    with rooms.engine.connect() as db:
        scope_keys = {row.id: row.key for row in db.execute(select(scopes.c.id, scopes.c.key))}
        columns = (box.c.key, box.c.route, box.c.stream, box.c.kind, box.c.rank, box.c.title, box.c.body)
        messages = sorted(tuple(row) for row in db.execute(select(*columns)))
        tickets, alerts = (
            [
                {
                    name: scope_keys.get(value) if name == "scope_id" else value
                    for name, value in row.items()
                    if name not in NUMBERS
                }
                for row in db.execute(select(rows).order_by(rows.c.key)).mappings()
            ]
            for rows in (table(Ticket), table(Incident))
        )
    return Heard(mentions, tickets, alerts, messages)
