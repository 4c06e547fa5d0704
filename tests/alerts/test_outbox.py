from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Engine, select, update

from alerts.channels.base import Channel, Delivered, Delivery, Message, Refused, Retry
from alerts.channels.registry import make_channels
from alerts.config import DeliverySettings, load_settings
from alerts.engine import AlertEngine
from alerts.outbox import Dispatcher, enqueue, send_again
from alerts.read import AlertReader
from alerts.tables import Outbox, table
from ingest.clock import ManualClock, SystemClock
from ingest.errors import UserError
from ingest.state import make_engine
from tests.alerts import receivers
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW, database, mention
from tests.alerts.receivers import Got, Reply, receiver


class Script(Channel):
    """Answers what it was told to; remembers what it was sent."""

    def __init__(self, name: str, *answers: Delivery | Exception) -> None:
        self.name = name
        self.answers = list(answers)
        self.sent: list[str] = []
        self.skips: list[int] = []

    def send(self, message: Message, *, skip: int = 0) -> Delivery:
        self.sent.append(message.key)
        self.skips.append(skip)
        answer = self.answers.pop(0) if self.answers else Delivered()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing is held."""


def note(key: str, level: str = "一级", kind: str = "alert") -> Message:
    return Message(key, kind, level, "标题", ("一行",), "", '{"version":1}')  # type: ignore[arg-type]


def put(
    db: Engine, clock: ManualClock, *messages: Message, route: tuple[str, ...] = ("a",), stream: str | None = None
) -> None:
    with db.begin() as connection:
        for message in messages:
            enqueue(connection, message, route=route, stream=stream or message.key, now=clock.now())


def rows(db: Engine) -> dict[str, str]:
    box = table(Outbox)
    with db.connect() as connection:
        return {row.key: row.state for row in connection.execute(select(box).order_by(box.c.id))}


def dispatcher(db: Engine, clock: ManualClock, *channels: Channel, **rules: float) -> Dispatcher:
    return Dispatcher(db, {c.name: c for c in channels}, clock, DeliverySettings(**rules))  # type: ignore[arg-type]


def test_the_same_key_is_written_and_sent_once(db: Engine, clock: ManualClock) -> None:
    channel = Script("a")
    put(db, clock, note("k"), note("k"))
    put(db, clock, note("k"))
    worker = dispatcher(db, clock, channel)
    assert worker.run_once() == 1
    assert worker.run_once() == 0
    assert channel.sent == ["k"]
    assert rows(db) == {"k": "delivered"}


def test_the_most_urgent_goes_first(db: Engine, clock: ManualClock) -> None:
    channel = Script("a")
    put(db, clock, note("3", "三级"), note("2", "二级"), note("1", "一级"))
    dispatcher(db, clock, channel).run_once()
    assert channel.sent == ["1", "2", "3"]


def test_retries_wait_longer_and_longer_with_jitter_then_fall_back_then_fail(db: Engine, clock: ManualClock) -> None:
    first, second = Script("a", *[Retry("忙")] * 50), Script("b", *[Retry("忙")] * 50)
    put(db, clock, note("k"), route=("a", "b"))
    worker = dispatcher(db, clock, first, second, tries=4, first_wait=2)
    waits = []
    last = clock.monotonic()
    for _ in range(130):
        if worker.run_once():
            waits.append(clock.monotonic() - last)
            last = clock.monotonic()
        clock.advance(0.5)
    assert len(first.sent) == len(second.sent) == 4
    assert rows(db) == {"k": "failed"}
    for attempt, wait in enumerate(waits[1:4], start=1):
        ceiling = 2 * 2 ** (attempt - 1)
        assert ceiling / 2 <= wait <= ceiling + 1


def test_retry_after_is_honoured(db: Engine, clock: ManualClock) -> None:
    channel = Script("a", Retry("慢点", after=30))
    put(db, clock, note("k"))
    worker = dispatcher(db, clock, channel)
    worker.run_once()
    clock.advance(29)
    assert worker.run_once() == 0
    clock.advance(3)
    assert worker.run_once() == 1
    assert rows(db) == {"k": "delivered"}


def test_a_refusal_goes_to_the_next_channel_at_once(db: Engine, clock: ManualClock) -> None:
    first, second = Script("a", Refused("没有这个机器人", gone=True)), Script("b")
    put(db, clock, note("k"), route=("a", "b"))
    worker = dispatcher(db, clock, first, second)
    worker.run_once()
    worker.run_once()
    assert (first.sent, second.sent) == (["k"], ["k"])
    assert rows(db) == {"k": "delivered"}


def test_a_channel_that_wants_ten_minutes_is_passed_over(db: Engine, clock: ManualClock) -> None:
    first, second = Script("a", Retry("限流", after=600)), Script("b")
    put(db, clock, note("k"), route=("a", "b"))
    worker = dispatcher(db, clock, first, second)
    worker.run_once()
    worker.run_once()
    assert second.sent == ["k"]


def test_a_poison_message_does_not_stop_its_neighbours(db: Engine, clock: ManualClock) -> None:
    bad, good = Script("a", *[ValueError("defect")] * 99), Script("b")
    put(db, clock, note("bad"), route=("a",))
    put(db, clock, note("good"), route=("b",))
    dispatcher(db, clock, bad, good).run_once()
    assert rows(db) == {"bad": "pending", "good": "delivered"}
    poison = Script("a", ValueError("defect"))
    put(db, clock, note("good 2"))
    clock.advance(3600)
    worker = dispatcher(db, clock, poison, good)
    worker.run_once()
    clock.advance(3600)
    worker.run_once()
    assert rows(db)["good 2"] == "delivered"


def test_a_channel_that_is_not_configured_any_more_is_shown_red(db: Engine, clock: ManualClock) -> None:
    put(db, clock, note("k"))
    dispatcher(db, clock).run_once()
    assert rows(db) == {"k": "failed"}


def test_updates_never_overtake_what_they_update(db: Engine, clock: ManualClock) -> None:
    channel = Script("a", Retry("忙"), Delivered("D-1"))
    put(db, clock, note("T", kind="ticket.created"), note("T:2", kind="ticket.updated"), stream="T")
    worker = dispatcher(db, clock, channel)
    assert worker.run_once() == 1
    clock.advance(3)
    while worker.run_once():
        pass
    assert channel.sent == ["T", "T", "T:2"]


def test_parts_that_arrived_are_not_sent_again(db: Engine, clock: ManualClock) -> None:
    channel = Script("a", Retry("忙", parts=2))
    put(db, clock, note("k"))
    worker = dispatcher(db, clock, channel)
    worker.run_once()
    clock.advance(3)
    worker.run_once()
    assert channel.skips == [0, 2]


def leases_end_in(db: Engine, clock: ManualClock, seconds: float) -> None:
    """Let so much time pass for leases: on PostgreSQL their ends come nearer, its clock is nobody's to move."""
    if db.dialect.name == "sqlite":
        clock.advance(seconds)
        return
    box = table(Outbox)
    with db.begin() as connection:
        for row in connection.execute(select(box.c.id, box.c.lease_until).where(box.c.lease_until.is_not(None))):
            ends = row.lease_until - timedelta(seconds=seconds)
            connection.execute(update(box).where(box.c.id == row.id).values(lease_until=ends))


def test_a_dead_workers_lease_ends(db: Engine, clock: ManualClock) -> None:
    channel = Script("a")
    put(db, clock, note("k"))
    assert len(dispatcher(db, clock, channel, lease=120).claim(10)) == 1
    other = dispatcher(db, clock, channel, lease=120)
    assert other.run_once() == 0
    leases_end_in(db, clock, 121)
    assert other.run_once() == 1
    assert rows(db) == {"k": "delivered"}


@pytest.mark.parametrize("ahead", [timedelta(seconds=150), timedelta(hours=1), timedelta(hours=-1)])
def test_a_dispatcher_whose_clock_is_wrong_leaves_alone_what_another_sends(postgres_url: str, ahead: timedelta) -> None:
    engine, clock = make_engine(postgres_url), ManualClock(SystemClock().now())
    wrong = ManualClock(clock.now() + ahead)
    put(engine, clock, note("k"))
    assert len(dispatcher(engine, clock, Script("a"), lease=120).claim(10)) == 1
    assert dispatcher(engine, wrong, Script("a"), lease=120).claim(10) == []
    put(engine, wrong, note("k2"))
    assert len(dispatcher(engine, wrong, Script("a"), lease=120).claim(10)) == 1
    assert dispatcher(engine, clock, Script("a"), lease=120).claim(10) == []
    engine.dispose()


@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(days=-1), timedelta(hours=1), timedelta(days=1)])
def test_clock_jumps_neither_lose_nor_lock_a_message(db: Engine, clock: ManualClock, jump: timedelta) -> None:
    channel = Script("a", Retry("忙"))
    put(db, clock, note("k"), note("leased", "二级"))
    worker = dispatcher(db, clock, channel, longest_wait=600)
    worker.run_once(1)
    worker.claim(1)
    clock.jump(clock.now() + jump)
    for _ in range(3):
        clock.advance(130)
        if db.dialect.name == "postgresql":
            leases_end_in(db, clock, 130)
        worker.run_once()
    assert set(rows(db).values()) == {"delivered"}


def test_two_dispatchers_never_hold_the_same_message(db: Engine) -> None:
    clock = SystemClock()
    lock, seen = threading.Lock(), []

    class Slow(Script):
        def send(self, message: Message, *, skip: int = 0) -> Delivery:
            with lock:
                seen.append(message.key)
            return Delivered()

    put(db, clock, *[note(f"k{i}") for i in range(60)])  # type: ignore[arg-type]
    workers = [Dispatcher(db, {"a": Slow("a")}, clock) for _ in range(3)]
    threads = [threading.Thread(target=lambda w=w: [w.run_once(5) for _ in range(12)]) for w in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    while workers[0].run_once():
        pass
    assert sorted(seen) == sorted(f"k{i}" for i in range(60))


def test_a_failed_message_can_be_sent_again_with_the_same_key(db: Engine, clock: ManualClock) -> None:
    put(db, clock, note("k"))
    dispatcher(db, clock, Script("a", Refused("钥匙错了"))).run_once()
    channel = Script("a")
    send_again(db, 1, clock)
    dispatcher(db, clock, channel).run_once()
    assert channel.sent == ["k"]
    with pytest.raises(UserError):
        send_again(db, 1, clock)


def test_what_could_not_be_delivered_is_read_as_failed(room: Room) -> None:
    room.absorb(mention(flags=["safety"]))
    room.engine.react()
    Dispatcher(room.db, {"phone": Script("phone", Refused("没有")), "desk": Script("desk")}, room.clock).run_once()
    (failure,) = room.read.outbox_failures()
    assert (failure.kind, failure.state, failure.channel) == ("alert", "failed", "phone")
    assert "没有" in failure.problem


def test_what_a_desk_calls_the_ticket_is_remembered(room: Room) -> None:
    room.absorb(mention())
    room.engine.react()
    Dispatcher(room.db, {"desk": Script("desk", Delivered("D-77"))}, room.clock).run_once()
    (ticket,), _ = room.read.tickets(now=NOW)
    detail = room.read.ticket(ticket.key, now=NOW)
    assert detail is not None
    assert detail.links == {"desk": "D-77"}


WORKER = """
import os, signal, sys
from alerts.channels.base import Delivered
from alerts.channels.registry import make_channels
from alerts.config import load_settings
from alerts.engine import AlertEngine
from alerts.facts import FactStore
from alerts.outbox import Dispatcher
from ingest.analysis import classified_from_json
from ingest.clock import SystemClock
from ingest.state import make_engine
import alerts.outbox, orjson

home, where, rules = sys.argv[1], sys.argv[2], load_settings(orjson.loads(sys.argv[3]))

def die():
    os.kill(os.getpid(), signal.SIGKILL)

db, clock = make_engine("sqlite:///" + home), SystemClock()
FactStore(db, rules).absorb([(classified_from_json(open(home + ".json", "rb").read()), None)])
if where == "absorbed":
    die()
AlertEngine(db, rules, clock).react()
if where == "committed":
    die()
channels = make_channels(rules, clock)
if where == "claimed":
    Dispatcher(db, channels, clock, rules.delivery).claim(10)
    die()
worker = Dispatcher(db, channels, clock, rules.delivery)
if where == "sent":
    worker._mark = lambda *a: die()
while worker.run_once():
    pass
"""


@contextmanager
def counting_desk(secret: str) -> Iterator[tuple[str, list[Got], dict[str, str]]]:
    import time

    tickets: dict[str, str] = {}
    with receiver(receivers.desk(secret, time.time, tickets=tickets)) as desk:
        yield desk.url, desk.got, tickets


@pytest.mark.parametrize("where", ["absorbed", "committed", "claimed", "sent"])
def test_kill_9_between_commit_and_webhook_leaves_one_ticket_told_at_least_once(tmp_path: Path, where: str) -> None:
    home = tmp_path / "state.db"
    database(tmp_path).dispose()
    now = SystemClock().now()
    (tmp_path / "state.db.json").write_bytes(mention("x", at=now - timedelta(minutes=1), collected=now).to_json())
    with counting_desk("s3cret") as (url, got, tickets):
        rules = {
            "ticket_systems": [{"name": "desk", "url": url, "secret": "s3cret"}],
            "delivery": {"lease": 0.5, "first_wait": 0.1},
        }
        run = [sys.executable, "-c", WORKER, str(home)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
        died = subprocess.run([*run, where, orjson.dumps(rules).decode()], env=environment, timeout=60)
        assert died.returncode == -signal.SIGKILL
        engine = make_engine(f"sqlite:///{home}")
        settings = load_settings(rules)
        clock = SystemClock()
        AlertEngine(engine, settings, clock).react()
        channels = make_channels(settings, clock)
        worker = Dispatcher(engine, channels, clock, settings.delivery)
        deadline = clock.monotonic() + 20
        while {row.state for row in AlertReader(engine).deliveries()} != {"delivered"} and clock.monotonic() < deadline:
            worker.run_once()
        for channel in channels.values():
            channel.close()
        engine.dispose()
        assert len(tickets) == 1
        assert len({request.headers["idempotency-key"] for request in got}) == 1
        assert len({request.body for request in got}) == 1
        assert len(got) == (2 if where == "sent" else 1)


def test_a_whole_delivery_over_real_channels_with_fallback(room: Room) -> None:
    clock = room.clock
    tickets: dict[str, str] = {}
    with (
        receiver(lambda _got: Reply({"errcode": 93000, "errmsg": "invalid webhook url"})) as dead,
        receiver(receivers.feishu("sec", lambda: clock.now().timestamp())) as chat,
        receiver(receivers.desk("s", lambda: clock.now().timestamp(), tickets=tickets)) as desk,
    ):
        room.settings = load_settings(
            {
                "base_url": "https://voc.example/",
                "channels": [
                    {"name": "first", "type": "wecom", "url": f"{dead.url}/?key=gone"},
                    {"name": "second", "type": "feishu", "url": chat.url, "secret": "sec"},
                ],
                "ticket_systems": [{"name": "desk", "url": desk.url, "secret": "s", "alerts": True}],
            }
        )
        room.restart()
        room.past()
        room.absorb(*[mention(at=NOW - timedelta(minutes=i), intent="other") for i in range(9)])
        room.tick()
        channels = make_channels(room.settings, clock)
        worker = Dispatcher(room.db, channels, clock, room.settings.delivery)
        while worker.run_once():
            pass
        for channel in channels.values():
            channel.close()
        assert {row.state for row in room.read.deliveries()} == {"delivered"}
        assert len(dead.got) == len(chat.got) == 1
        assert {request.json["type"] for request in desk.got} == {"alert", "ticket.created"}
        alert = next(r.json["alert"] for r in desk.got if r.json["type"] == "alert")
        assert set(alert) == {  # type: ignore[call-overload]
            "key", "level", "title", "scope", "observed", "expected", "interval", "test", "severity", "started_at",
            "tags", "products", "quotes", "link",
        }  # fmt: skip
        assert "查看" in chat.got[0].body.decode()
        assert "预期" in chat.got[0].body.decode()
