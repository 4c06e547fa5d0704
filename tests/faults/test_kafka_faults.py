"""What happens to a real Kafka, to its group's members and to their work; nothing is lost by any of it.

``SHENGWEN_TEST_PAUSE`` (seconds) makes the broker's pause longer than the ordinary run's.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from ingest.clock import SystemClock
from ingest.dead_letters import DeadLetters
from ingest.errors import DeadLetterLimit, Poison, Retryable, Unavailable
from ingest.log.base import Outgoing, Record, Topics
from ingest.log.kafka import KafkaLog
from ingest.log.kafka_config import KafkaSettings
from ingest.stage import Reject, Stage, StagePolicy
from tests.processes import wait_until
from tests.servers.kafka import SOCKETS_OF_ITS_OWN, KafkaServer

pytestmark = [pytest.mark.usefixtures("quiet_sockets"), pytest.mark.filterwarnings(SOCKETS_OF_ITS_OWN)]
TOPIC = Topics.COLLECTED
PAUSE = float(os.environ.get("SHENGWEN_TEST_PAUSE", "10"))
PATIENT = StagePolicy(batch_size=50, backoff_base=0.1, backoff_cap=1.0, max_attempts=200)


@pytest.fixture
def settings(kafka: KafkaServer) -> KafkaSettings:
    chosen = kafka.settings(request_timeout=2.0, delivery_timeout=4.0)
    with KafkaLog(chosen, check=False) as log:
        log.create_topics()
    return chosen


@pytest.fixture
def log(settings: KafkaSettings) -> Iterator[KafkaLog]:
    with KafkaLog(settings) as opened:
        yield opened


class Flow:
    """Produces numbered records until told to stop, again and again what may not have been written."""

    def __init__(self, log: KafkaLog, every: float) -> None:
        self._log = log
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="flow")
        self.acknowledged: list[str] = []
        self.failures = 0

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(self._every):
            names = [f"n{number + i}" for i in range(10)]
            while True:
                try:
                    self._log.produce(TOPIC, [Outgoing(name, name.encode()) for name in names])
                    break
                except Retryable:
                    self.failures += 1
                    time.sleep(0.2)
            self.acknowledged += names
            number += 10

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


class Running:
    """A stage in a thread of its own; what it raised is in ``error``."""

    def __init__(self, log: KafkaLog, work: Callable[[Sequence[Record], Reject], None], policy: StagePolicy) -> None:
        self.stage = Stage("work", log, TOPIC, work, SystemClock(), policy=policy)
        self.stop = threading.Event()
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stage")

    def _run(self) -> None:
        try:
            self.stage.run(self.stop)
        except Exception as error:
            self.error = error

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join()


class Seen:
    """How often each record was worked on."""

    def __init__(self) -> None:
        self.times: Counter[str] = Counter()
        self._lock = threading.Lock()

    def work(self, batch: Sequence[Record], reject: Reject) -> None:
        with self._lock:
            self.times.update(record.value.decode() for record in batch)

    def show(self, title: str) -> None:
        table = Table("seen", "records", title=title)
        for times, records in sorted(Counter(self.times.values()).items()):
            table.add_row(f"{times} ×", str(records))
        Console().print(table)


def settled(log: KafkaLog) -> bool:
    try:
        return log.lag(TOPIC, "work") == 0
    except Retryable:
        return False


@pytest.mark.parametrize("fault", ["paused", "killed"])
def test_a_broker_that_goes_away_and_comes_back_loses_nothing_and_burns_nothing(
    kafka: KafkaServer, log: KafkaLog, fault: str
) -> None:
    seen = Seen()
    away = PAUSE if fault == "paused" else 6.0
    with Flow(log, 0.02) as flow, Running(log, seen.work, PATIENT) as running:
        wait_until(lambda: len(seen.times) > 200, what="records that flow")
        cpu, begun = time.process_time(), time.monotonic()
        if fault == "paused":
            kafka.pause()
            time.sleep(away)
            kafka.go_on()
        else:
            kafka.kill()
            time.sleep(away)
        cpu, wall = time.process_time() - cpu, time.monotonic() - begun
        if fault == "killed":
            kafka.start()
        before = len(flow.acknowledged)
        wait_until(lambda: len(flow.acknowledged) > before + 200, 30, what="records that flow again")
        told = running.stage.health.last_error
    with Running(log, seen.work, PATIENT) as running:
        wait_until(lambda: settled(log), 30, what="the rest")
    assert running.error is None
    seen.show(f"broker {fault} for {away:.0f} s: {cpu / wall:.0%} of one core, {flow.failures} refused calls")
    assert set(flow.acknowledged) <= set(seen.times)
    assert flow.failures > 0
    assert told != "", "the stage knew that the log was away"
    assert cpu / wall < 0.5, "no hot loop while the broker is away"


def test_two_that_produce_while_the_broker_is_killed_are_both_told_to_come_again(
    kafka: KafkaServer, log: KafkaLog
) -> None:
    """One's failure closes the producer that both use: that must be no failure of another kind for the other one."""
    said: list[Exception] = []
    log.produce(TOPIC, [Outgoing("k", b"v")])
    kafka.kill()

    def produce(key: str, first: float) -> None:
        time.sleep(first)
        for _ in range(2):
            try:
                log.produce(TOPIC, [Outgoing(key, b"v")])
            except Exception as error:
                said.append(error)

    threads = [threading.Thread(target=produce, args=one) for one in (("a", 0.0), ("k", 3.0))]  # two partitions
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        kafka.start()
    assert [type(error) for error in said] == [Unavailable] * 4, said

    def accepted() -> bool:
        try:
            log.produce(TOPIC, [Outgoing("k", b"v")])
        except Unavailable:  # a broker that was killed takes a while to lead its partitions again
            return False
        return True

    wait_until(accepted, 60, what="the broker that takes records again")


def test_members_that_come_and_go_lose_nothing_and_never_commit_for_each_other(settings: KafkaSettings) -> None:
    chance = random.Random(7)
    seen = Seen()
    enough, over = threading.Event(), time.monotonic() + 9

    def slow(batch: Sequence[Record], reject: Reject) -> None:
        time.sleep(0.05)
        seen.work(batch, reject)

    failed: list[Exception] = []

    def member(first: float) -> None:
        time.sleep(first)
        while not enough.is_set():
            with KafkaLog(settings) as log, Running(log, slow, PATIENT) as running:
                time.sleep(chance.uniform(0.8, 2.5))
            if running.error is not None:
                failed.append(running.error)

    committed: dict[int, int] = defaultdict(int)
    with KafkaLog(settings) as log, Flow(log, 0.01) as flow:
        members = [threading.Thread(target=member, args=(first,)) for first in (0.0, 0.7, 1.5)]
        for thread in members:
            thread.start()
        try:
            while time.monotonic() < over or len(flow.acknowledged) <= 500:
                for part, offset in log.committed(TOPIC, "work").items():
                    assert offset >= committed[part], "a member committed for another one"
                    committed[part] = offset
                time.sleep(0.02)
        finally:
            enough.set()
            for thread in members:
                thread.join()
    with KafkaLog(settings) as log, Running(log, seen.work, PATIENT):
        wait_until(lambda: settled(log), 30, what="the rest")
    assert failed == []
    seen.show("three members that come and go")
    assert set(seen.times) == set(flow.acknowledged)
    assert sum(committed.values()) > 0


def resident() -> int:
    """Bytes of memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_work_that_takes_longer_than_the_poll_interval_keeps_its_partitions_and_reads_nothing_ahead(
    kafka: KafkaServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = kafka.settings(session_timeout=4.0, max_poll_interval=4.0, compression="none")
    with KafkaLog(settings, check=False) as log:
        log.create_topics()
        body = os.urandom(250_000)
        for start in range(0, 400, 20):  # 100 MB: more than is ever read at once
            log.produce(TOPIC, [Outgoing(f"n{n}", body) for n in range(start, start + 20)])
        seen: Counter[int] = Counter()
        sizes: list[int] = []

        def sleepy(batch: Sequence[Record], reject: Reject) -> None:
            if not sizes:
                sizes.append(resident())
                time.sleep(2.5 * settings.max_poll_interval)
            sizes.append(resident())
            seen.update(int(record.key[1:]) for record in batch)

        with (
            caplog.at_level(logging.INFO, logger="ingest"),
            Running(log, sleepy, StagePolicy(batch_size=20)) as running,
        ):
            wait_until(lambda: settled(log), 40, what="all of it")
        assert running.error is None
    moves = [record.getMessage() for record in caplog.records if "gained" in record.getMessage()]
    assert moves == ["work on mentions.collected: gained partitions [0, 1, 2]"], "no rebalance"
    assert not [record for record in caplog.records if "gave up" in record.getMessage()][:-1]
    assert seen == Counter(range(400)), "nothing lost, nothing twice"
    grown = (max(sizes) - sizes[0]) / 1e6
    print(f"grown by {grown:.0f} MB while 100 MB waited")
    assert sizes[1] - sizes[0] < 40e6, "nothing is read ahead while the work sleeps"


def test_a_stream_that_is_wholly_invalid_stops_the_stage_and_parks_nothing(log: KafkaLog) -> None:
    for start in range(0, 400, 100):
        log.produce(TOPIC, [Outgoing(f"n{n}", b"{") for n in range(start, start + 100)])

    def refuse(batch: Sequence[Record], reject: Reject) -> None:
        for record in batch:
            reject(record, Poison("unreadable"))

    policy = StagePolicy(batch_size=200, max_rejected_in_row=100)
    with Running(log, refuse, policy) as running:
        wait_until(lambda: running.error is not None, 20, what="the stop")
    assert isinstance(running.error, DeadLetterLimit)
    parked = DeadLetters(log, SystemClock()).open()
    assert len(parked) < 100, "a bad deploy does not empty the topic into the dead letters"
    assert log.lag(TOPIC, "work") == 400 - len(parked)


def test_a_stage_whose_partitions_are_taken_while_it_works_goes_on_and_commits_what_it_kept(log: KafkaLog) -> None:
    log.produce(TOPIC, [Outgoing(f"n{n}", f"n{n}".encode()) for n in range(90)])
    seen, working, release = Seen(), threading.Event(), threading.Event()

    def held_up(batch: Sequence[Record], reject: Reject) -> None:
        working.set()
        assert release.wait(120)
        seen.work(batch, reject)

    with Running(log, held_up, StagePolicy(batch_size=90)) as running:
        assert working.wait(60)
        with log.consumer(TOPIC, "work") as other:
            wait_until(lambda: other.poll(1, 0.3) and other.assigned, 20, what="the other one's share")
            taken = other.assigned
            release.set()
            kept = {0, 1, 2} - taken
            wait_until(lambda: all(log.committed(TOPIC, "work")[part] for part in kept), 20, what="the commit")
            assert {part for part, end in log.committed(TOPIC, "work").items() if end} == kept
            assert running.stage.health.state == "running"
        wait_until(lambda: settled(log), 20, what="the rest, after the other one left")
    assert running.error is None
    assert set(seen.times) == {f"n{n}" for n in range(90)}
