"""Stages in processes of their own: killed at every point, told to stop, taken over, slowed down."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from ingest.clock import ManualClock, SystemClock
from ingest.dead_letters import DeadLetters
from ingest.log.base import Outgoing, Record
from ingest.log.sqlite import SqliteLog
from ingest.stage import Reject, Stage, StagePolicy
from tests.ingest.stage_worker import (
    STAGE,
    TOPIC,
    Effects,
    Mood,
    is_poison,
    measure_memory,
    work_slowly,
    work_to_the_end,
    work_until_sigterm,
)
from tests.processes import KILLED, Nursery, wait_until

ROUNDS = 40


def fill(path: Path, count: int, value: bytes = b"v") -> None:
    with SqliteLog(path) as log:
        for start in range(0, count, 100):
            log.produce(TOPIC, [Outgoing(str(n), value) for n in range(start, min(start + 100, count))])


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "log.db", tmp_path / "effects.db"


@pytest.mark.parametrize("fused", [True, False], ids=["at chosen points", "at any time"])
def test_a_stage_killed_again_and_again_loses_nothing_and_doubles_nothing(
    nursery: Nursery, files: tuple[Path, Path], clock: ManualClock, fused: bool
) -> None:
    log_path, effects_path = files
    count = 900
    fill(log_path, count)
    effects = Effects(effects_path)
    kills = rising = 0
    for seed in range(ROUNDS if fused else 15):
        child = nursery.start(work_to_the_end, str(log_path), str(effects_path), seed, 7, fused)
        if not fused:
            time.sleep(random.Random(seed).uniform(0.0, 0.03))
            child.signal(signal.SIGKILL)
        code = child.wait()
        assert code in (0, KILLED)
        kills += code == KILLED
        with SqliteLog(log_path) as log:
            position = log.committed(TOPIC, STAGE)[0]
        assert position >= rising, "a commit was lost"
        rising = position
    assert nursery.start(work_to_the_end, str(log_path), str(effects_path), 0, 100, False).wait() == 0
    bad = {n for n in range(count) if is_poison(str(n))}
    times = effects.times()
    effects.close()
    assert {int(key) for key in times} == set(range(count)) - bad
    with SqliteLog(log_path) as log:
        letters = DeadLetters(log, clock).open()
        assert log.lag(TOPIC, STAGE) == 0
        assert sorted(letter.origin[2] for letter in letters) == sorted(bad)
        assert len({letter.id for letter in letters}) == len(bad)
    if fused:
        assert kills >= 20, "too few kills to prove anything"
        assert max(times.values()) > 1, "no kill ever fell between effect and commit"


@pytest.mark.parametrize("mood", ["busy", "idle", "retrying"])
def test_sigterm_ends_a_stage_cleanly(nursery: Nursery, files: tuple[Path, Path], tmp_path: Path, mood: Mood) -> None:
    log_path, effects_path = files
    fill(log_path, 0 if mood == "idle" else 35)
    ready, report = tmp_path / "ready", tmp_path / "report"
    child = nursery.start(work_until_sigterm, str(log_path), str(effects_path), mood, str(ready), str(report))
    wait_until(ready.exists, what="the stage's start")
    child.signal(signal.SIGTERM)
    child.signal(signal.SIGTERM)
    assert child.wait(60) == 0
    expected = 10 if mood == "busy" else 0  # the batch in hand, and no other
    assert json.loads(report.read_text("utf-8")) == {"state": "stopped", "records": expected}
    effects = Effects(effects_path)
    assert {int(key) for key in effects.times()} == set(range(expected))
    effects.close()
    with SqliteLog(log_path) as log:
        assert log.committed(TOPIC, STAGE)[0] == expected


def test_another_stage_takes_over_when_the_first_is_killed(nursery: Nursery, files: tuple[Path, Path]) -> None:
    log_path, effects_path = files
    fill(log_path, 40)
    first = nursery.start(work_slowly, str(log_path), str(effects_path), 0.02)
    effects = Effects(effects_path)
    wait_until(effects.times, what="the first effect")
    stop = threading.Event()

    def work(records: list[Record], _reject: Reject) -> None:
        taken.extend(record.key for record in records)
        if taken[-1] == "39":
            stop.set()

    taken: list[str] = []
    with SqliteLog(log_path) as log:
        second = Stage(STAGE, log, TOPIC, work, SystemClock(), policy=StagePolicy(poll_timeout=0.05))  # type: ignore[arg-type]
        thread = threading.Thread(target=second.run, args=(stop,))
        thread.start()
        time.sleep(0.15)
        assert (second.health.state, taken) == ("waiting", [])
        first.signal(signal.SIGKILL)
        assert first.wait() == KILLED
        thread.join(20)
        assert not thread.is_alive()
        assert log.lag(TOPIC, STAGE) == 0
    done = set(effects.times())
    effects.close()
    assert done | set(taken) == {str(n) for n in range(40)}
    assert len(done & set(taken)) <= 1, "only the record in hand is seen again"


def test_a_slow_stage_holds_one_batch_in_memory_not_the_topic(
    nursery: Nursery, files: tuple[Path, Path], tmp_path: Path
) -> None:
    log_path, _ = files
    fill(log_path, 2400, value=b"x" * 32_000)  # 77 MB; a batch is 1.3 MB
    report = tmp_path / "report"
    assert nursery.start(measure_memory, str(log_path), 40, str(report)).wait() == 0
    measured = json.loads(report.read_text("utf-8"))
    assert (measured["done"], measured["batches"]) == (2400, 60)
    assert measured["grown"] < 16 * 1024 * 1024
