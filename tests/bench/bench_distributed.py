"""Mentions through separate workers on Kafka, Elasticsearch and PostgreSQL, all on this machine, in one run.

    python -m tests.bench.bench_distributed [--mentions 4000] [--fresh-seconds 30] [--rate 100]

First how many mentions a second become searchable and judged, with one worker of each stage and with a second one that
classifies; beside it the same through ``work`` processes on embedded stores. Then freshness: mentions collected at
``--rate`` a second until one of each second can be found, and from a dangerous one to its alert at the bot. The first
rounds of a worker (its start, the model) are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ingest.log.base import Outgoing, Topics
from ingest.mention import Raw, make_mention
from search.query import parse_query
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import ALERT, CLASSIFY, INDEX
from tests.bench.bench_end_to_end import texts
from tests.faults.kit import Running, Town, town
from tests.servers.elastic import ElasticServer
from tests.servers.kafka import KafkaServer
from tests.servers.places import Place, on_servers
from tests.servers.postgres import running as postgres

GOALS = ((CLASSIFY, Topics.COLLECTED), (INDEX, Topics.CLASSIFIED), (ALERT, Topics.CLASSIFIED))
DANGER = "昨天半夜阀门崩开，热水喷了一屋子，孩子的腿烫起了泡"
WARM = 200


def outgoing(now: datetime, number: int, text: str) -> Outgoing:
    mention = make_mention(
        native_id=str(number), source="jd", kind="review", raw=Raw(captured_at=now, parser="bench/1"), text=text,
        created_at=now,
    )  # fmt: skip
    return Outgoing(mention.id, mention.to_json())


def produce(rooms: Rooms, said: list[str], first: int) -> None:
    now = rooms.clock.now()
    for start in range(0, len(said), 500):
        part = said[start : start + 500]
        rooms.log.produce(Topics.COLLECTED, [outgoing(now, first + start + n, text) for n, text in enumerate(part)])


def drained(rooms: Rooms) -> bool:
    return not any(rooms.log.lag(topic, group) for group, topic in GOALS)


def wait(true: Callable[[], bool], seconds: float = 600) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not get through in time")
        time.sleep(0.1)


@contextmanager
def crew(home: Home, roles: tuple[str, ...], outputs: Path) -> Iterator[None]:
    workers = [Running(home.path, "work", role, outputs=outputs) for role in roles]
    try:
        wait(lambda: all("已启动" in one.said for one in workers), 120)
        yield
    finally:
        for one in workers:
            one.terminate(60)


def through(place: Place, listening: Town, roles: tuple[str, ...], said: list[str], folder: Path) -> float:
    """Mentions a second from a full log to searchable and judged."""
    home = place.home(folder / "home", listening.settings())
    with Rooms(home) as rooms, crew(home, roles, folder / "out"):
        produce(rooms, said[:WARM], 0)
        wait(lambda: drained(rooms))
        began = time.perf_counter()
        produce(rooms, said, WARM)
        wait(lambda: drained(rooms))
        return len(said) / (time.perf_counter() - began)


def fresh(place: Place, listening: Town, said: list[str], rate: float, folder: Path) -> tuple[list[float], list[float]]:
    """(seconds until a mention of each second could be found, seconds until the danger's alert was delivered)."""
    home = place.home(folder / "home", listening.settings())
    found: list[float] = []
    told: list[float] = []
    with Rooms(home) as rooms, crew(home, (CLASSIFY, INDEX, ALERT), folder / "out"):
        produce(rooms, said[:WARM], 0)
        wait(lambda: drained(rooms))
        began = time.perf_counter()
        number = WARM
        for second, start in enumerate(range(0, len(said), round(rate))):
            part = said[start : start + round(rate)]
            mark = f"标记{second}号"
            danger = second == 5  # later ones would join the same incident, which is told once
            part = [*part[:-1], DANGER if danger else f"{part[-1]}{mark}"]
            before = len(listening.bodies("/bot"))
            sent = time.perf_counter()
            produce(rooms, part, number)
            number += len(part)
            if danger:
                wait(lambda before=before: len(listening.bodies("/bot")) > before, 60)  # type: ignore[misc]
                told.append(time.perf_counter() - sent)
            else:
                query = parse_query(mark, now=rooms.clock.now())
                wait(lambda query=query: rooms.index.search(query, limit=1).total > 0, 60)  # type: ignore[misc]
                found.append(time.perf_counter() - sent)
            time.sleep(max(0.0, began + second + 1 - time.perf_counter()))
    return found, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mentions", type=int, default=4000)
    parser.add_argument("--fresh-seconds", type=int, default=30)
    parser.add_argument("--rate", type=float, default=100.0)
    given = parser.parse_args()
    said = texts(given.mentions)
    rates = Table("place", "workers", "mentions/s", title=f"{given.mentions} mentions, servers on the same cores")
    delays = Table("place", "what", "median s", "worst s", title=f"at {given.rate:.0f} mentions a second")
    one = (CLASSIFY, INDEX, ALERT)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(closing(KafkaServer()))
        broker.start()
        elastic = stack.enter_context(closing(ElasticServer(measured=True)))
        elastic.start()
        state = stack.enter_context(postgres())
        plans: list[tuple[str, tuple[str, ...]]] = [
            ("servers", one), ("servers", (*one, CLASSIFY)), ("embedded", one),
        ]  # fmt: skip
        for number, (name, roles) in enumerate(plans):
            with ExitStack() as inner:
                servers = name == "servers"
                place = inner.enter_context(on_servers(broker, elastic, state)) if servers else Place("embedded")
                listening = inner.enter_context(town())
                rate = through(place, listening, roles, said, folder / f"t{number}")
                rates.add_row(name, ", ".join(roles), f"{rate:.0f}")
        said = texts(round(given.rate) * given.fresh_seconds)
        for name in ("servers", "embedded"):
            with ExitStack() as inner:
                servers = name == "servers"
                place = inner.enter_context(on_servers(broker, elastic, state)) if servers else Place("embedded")
                listening = inner.enter_context(town())
                found, told = fresh(place, listening, said, given.rate, folder / f"f-{name}")
            delays.add_row(name, "collected → searchable", f"{statistics.median(found):.2f}", f"{max(found):.2f}")
            delays.add_row(name, "collected → alert at the bot", f"{max(told):.2f}", "once")
    console = Console(width=100)
    console.print(rates)
    console.print(delays)


if __name__ == "__main__":
    main()
