"""Several processes on one state database: they absorb, tick and deliver at once, and one of them is killed."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, select

from alerts.channels.base import Message
from alerts.channels.registry import make_channels
from alerts.config import load_settings
from alerts.engine import AlertEngine
from alerts.facts import FactStore, parts_of
from alerts.outbox import Dispatcher, enqueue
from alerts.tables import Bucket, Fact, Incident, Outbox, Scope, Ticket, table
from ingest.analysis import classified_from_json
from ingest.clock import ManualClock, SystemClock
from ingest.state import make_engine
from tests.alerts.helpers import NOW, hurried, mention, praise
from tests.alerts.receivers import Got, Reply, receiver
from tests.processes import KILLED, Nursery, wait_until

WORKERS = 3
RULES: dict[str, Any] = {
    "channels": [{"name": "phone", "type": "wecom", "url": "http://127.0.0.1:9/send?key=never-called"}],
}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery(["tests.alerts.test_several_workers", "alerts.judging", "alerts.spike", "psycopg"]) as opened:
        yield opened


def absorb_all(url: str, file: str, seed: int) -> None:
    """In a process of its own: absorb every mention of the file in an order of its own, and judge in between."""
    engine = hurried(make_engine(url))
    settings, clock, rng = load_settings(RULES), ManualClock(NOW), random.Random(seed)
    facts, alerts = FactStore(engine, settings), AlertEngine(engine, settings, clock)
    batch = [(classified_from_json(line), None) for line in Path(file).read_bytes().splitlines()]
    rng.shuffle(batch)
    for start in range(0, len(batch), 9):
        facts.absorb(batch[start : start + 9])
        alerts.react()
        if rng.random() < 0.3:
            alerts.tick()
    alerts.tick()
    engine.dispose()


def recounted(engine: Engine) -> dict[tuple[str, int], tuple[int, int]]:
    """What the aggregates must be, from the facts alone."""
    total: Counter[tuple[str, int]] = Counter()
    negative: Counter[tuple[str, int]] = Counter()
    with engine.connect() as connection:
        for fact in connection.execute(select(table(Fact))).mappings():
            for part in parts_of(dict(fact)):
                total[part.scope.key, fact["bucket"]] += 1
                negative[part.scope.key, fact["bucket"]] += part.negative
    return {cell: (count, negative[cell]) for cell, count in total.items()}


def stored(engine: Engine) -> dict[tuple[str, int], tuple[int, int]]:
    """The aggregates."""
    buckets, scopes = table(Bucket), table(Scope)
    with engine.connect() as connection:
        found = connection.execute(
            select(scopes.c.key, buckets.c.bucket, buckets.c.total, buckets.c.negative).join(
                scopes, scopes.c.id == buckets.c.scope_id
            )
        )
        return {(row.key, row.bucket): (row.total, row.negative) for row in found if row.total}


def test_workers_that_are_handed_the_same_mentions_count_tell_and_ticket_each_once(
    state_url: str, tmp_path: Path, nursery: Nursery
) -> None:
    said = [mention(f"b{i}", at=NOW - timedelta(minutes=3 * i), intent="other") for i in range(14)]
    said += [mention(f"c{i}", at=NOW - timedelta(minutes=i), tags=(), sentiment="neutral") for i in range(12)]
    said += [mention(f"s{i}", at=NOW - timedelta(minutes=i), flags=["safety"], product=f"P{i}") for i in range(2)]
    said += [praise(at=NOW - timedelta(days=1 + i % 50, minutes=i * 7)) for i in range(40)]
    revised = [
        mention(f"b{i}", at=NOW - timedelta(minutes=3 * i), captured=NOW + timedelta(hours=1), sentiment="positive",
                tags=(), intent="other") for i in range(3)
    ]  # fmt: skip
    file = tmp_path / "mentions"
    file.write_bytes(b"\n".join(m.to_json() for m in said + revised))
    children = [nursery.start(absorb_all, state_url, str(file), seed) for seed in range(WORKERS)]
    assert [child.wait(90) for child in children] == [0] * WORKERS
    engine = make_engine(state_url)
    with engine.connect() as connection:
        assert len(connection.execute(select(table(Fact).c.mention_id)).all()) == len(said)
        tickets = connection.scalars(select(table(Ticket).c.mention_id)).all()
        incidents = connection.execute(select(table(Incident).c.kind, table(Incident).c.problem)).all()
        keys = connection.execute(select(table(Outbox).c.key, table(Outbox).c.route)).all()
    single = [one for one in tickets if one is not None]
    assert len(single) == len(set(single)) >= 12
    assert len(incidents) == len(set(incidents)) >= 1
    assert len(keys) == len(set(keys)) >= 1
    assert stored(engine) == {cell: count for cell, count in recounted(engine).items() if count[0]}
    engine.dispose()


STREAMS, LENGTH = 25, 4


def deliver(url: str, rules: str) -> None:
    """In a process of its own: deliver what is in the outbox until killed."""
    settings, clock = load_settings(orjson.loads(rules)), SystemClock()
    channels = make_channels(settings, clock)
    Dispatcher(make_engine(url), channels, clock, settings.delivery).run(threading.Event(), idle=0.05)


def fill(engine: Engine) -> list[str]:
    """Messages of several streams, mixed; their keys."""
    keys = []
    with engine.begin() as connection:
        for number in range(LENGTH):
            for stream in range(STREAMS):
                key = f"T{stream}:{number}"
                kind: Any = "ticket.updated" if number else "ticket.created"
                message = Message(
                    key, kind, ("一级", "二级", "三级")[stream % 3], "标题", ("一行",), "", '{"version":1}'
                )
                enqueue(connection, message, route=["desk"], stream=f"T{stream}", now=SystemClock().now())
                keys.append(key)
    return keys


@pytest.mark.parametrize("killed", [False, True])
def test_dispatchers_share_one_outbox_each_message_once_and_in_order(
    state_url: str, nursery: Nursery, killed: bool
) -> None:
    def answer(got: Got) -> Reply:
        return Reply({"id": "D-1"}, status=201, delay=0.01)

    engine = hurried(make_engine(state_url))
    box = table(Outbox)
    with receiver(answer) as desk:
        rules = {
            "ticket_systems": [{"name": "desk", "url": desk.url, "secret": "s"}],
            "delivery": {
                "lease": 6 if killed else 120,
                "first_wait": 0.1,
            },  # a busy machine holds a worker up for seconds
        }
        wanted = fill(engine)
        children = [nursery.start(deliver, state_url, orjson.dumps(rules).decode()) for _ in range(WORKERS)]
        if killed:
            wait_until(lambda: len(desk.got) > STREAMS // 2, what="a batch under way")
            with engine.connect() as connection:  # one that has a lease: it is in the middle of a batch
                assert connection.execute(select(box.c.lease_owner).where(box.c.state == "sending")).first()
            children[0].signal(signal.SIGKILL)
            assert children.pop(0).wait() == KILLED

        def all_delivered() -> bool:
            with engine.connect() as connection:
                return set(connection.scalars(select(box.c.state))) == {"delivered"}

        wait_until(all_delivered, 40, "every delivery")
        for child in children:
            child.signal(signal.SIGKILL)
            child.wait()
        got = [request.headers["idempotency-key"] for request in desk.got]
    engine.dispose()
    assert set(got) == set(wanted)
    assert len(got) - len(wanted) <= int(killed), "only what the killed one had just sent comes twice"
    for stream in range(STREAMS):
        numbers = [int(key.partition(":")[2]) for key in got if key.startswith(f"T{stream}:")]
        assert numbers == sorted(numbers), "nothing overtakes within a stream"


def test_claims_at_the_same_moment_share_out_the_messages(state_url: str) -> None:
    engine, clock, rounds, hands = hurried(make_engine(state_url)), SystemClock(), 8, 6
    with engine.begin() as connection:
        for number in range(rounds * hands * 3):
            message = Message(f"k{number}", "alert", "一级", "标题", (), "", "{}")
            enqueue(connection, message, route=["a"], stream=message.key, now=clock.now())
    together = threading.Barrier(hands, timeout=30)
    claimed: list[int] = []

    def claim() -> None:
        worker = Dispatcher(engine, {}, clock)
        for _ in range(rounds):
            together.wait()
            claimed.extend(row.id for row in worker.claim(3))

    threads = [threading.Thread(target=claim) for _ in range(hands)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert len(claimed) == len(set(claimed)), "none is held twice"
    assert len(claimed) == rounds * hands * 3, "and nobody waits for or is cut short by another's claim"
