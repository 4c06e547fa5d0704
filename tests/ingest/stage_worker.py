"""Stages that run in processes of their own, to be killed. Their effect is rows in an SQLite file, by record key."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from ingest.clock import SystemClock
from ingest.errors import Poison, Retryable
from ingest.log.base import Consumer, EventLog, Outgoing, Record, Topics
from ingest.log.sqlite import SqliteConsumer, SqliteLog
from ingest.stage import Reject, Stage, StagePolicy

TOPIC = Topics.COLLECTED
STAGE = "index"
POINTS = ("begin", "in effect", "after effect", "before letters", "after letters", "before commit", "after commit")


class Fuse:
    """Kills this process, with SIGKILL, when it passes ``point`` for the ``count``-th time."""

    def __init__(self, point: str, count: int) -> None:
        self._point = point
        self._left = count

    def passing(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedConsumer(SqliteConsumer):
    fuse: Fuse

    def commit(self, positions: Mapping[int, int]) -> None:
        self.fuse.passing("before commit")
        super().commit(positions)
        self.fuse.passing("after commit")


class FusedLog(SqliteLog):
    def __init__(self, path: Path, fuse: Fuse) -> None:
        super().__init__(path)
        self._fuse = fuse

    def produce(self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None) -> None:
        self._fuse.passing("before letters")
        super().produce(topic, records, checkpoint=checkpoint)
        self._fuse.passing("after letters")

    def consumer(self, topic: str, group: str) -> Consumer:
        consumer = FusedConsumer(self._path, topic, self._topic(topic), group)
        consumer.fuse = self._fuse
        return consumer


class Effects:
    """What the stage did: how often each key was written, durably."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("CREATE TABLE IF NOT EXISTS effects (key TEXT PRIMARY KEY, times INTEGER NOT NULL)")

    def write(self, keys: Sequence[str], fuse: Fuse) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for number, key in enumerate(keys):
            self._db.execute("INSERT INTO effects VALUES (?, 1) ON CONFLICT DO UPDATE SET times = times + 1", (key,))
            if number == len(keys) // 2:
                fuse.passing("in effect")
        self._db.execute("COMMIT")

    def times(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT key, times FROM effects"))

    def close(self) -> None:
        self._db.close()


def is_poison(key: str) -> Literal["", "reject", "raise", "bug"]:
    """Which way record number n goes wrong: most go right."""
    number = int(key)
    if number % 50 == 13:
        return "reject"
    if number % 50 == 27:
        return "raise"
    return "bug" if number % 50 == 41 else ""


def work_to_the_end(log_path: str, effects_path: str, seed: int, batch: int, fused: bool) -> None:
    """Run the stage until its topic is done; ``fused``: or until the fuse that ``seed`` chose goes off."""
    chosen = random.Random(seed)
    fuse = Fuse(chosen.choice(POINTS), chosen.randint(1, 3)) if fused else Fuse("", 0)
    effects = Effects(Path(effects_path))
    stop = threading.Event()

    def work(records: Sequence[Record], reject: Reject) -> None:
        fuse.passing("begin")
        good = []
        for record in records:
            how = is_poison(record.key)
            if how == "reject":
                reject(record, Poison("rejected", field="text"))
            elif how == "raise":
                raise Poison("raised")
            elif how == "bug":
                raise ZeroDivisionError("a bug")
            else:
                good.append(record.key)
        effects.write(good, fuse)
        fuse.passing("after effect")

    with FusedLog(Path(log_path), fuse) as log:
        stage = Stage(STAGE, log, TOPIC, work, SystemClock(), policy=StagePolicy(batch_size=batch, poll_timeout=0.05))
        watcher = threading.Thread(target=_stop_when_done, args=(log, stop), daemon=True)
        watcher.start()
        stage.run(stop)
        watcher.join()
    effects.close()


def _stop_when_done(log: EventLog, stop: threading.Event) -> None:
    while log.lag(TOPIC, STAGE):
        time.sleep(0.01)
    stop.set()


Mood = Literal["busy", "idle", "retrying"]


def work_until_sigterm(log_path: str, effects_path: str, mood: Mood, ready: str, report: str) -> None:
    """A stage as the service runs it; SIGTERM sets its stop event. Writes its health to ``report`` when it ends."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    effects = Effects(Path(effects_path))

    def work(records: Sequence[Record], reject: Reject) -> None:
        Path(ready).touch()
        if mood == "retrying":
            raise Retryable("the index says 429", retry_after=300)
        if mood == "busy":
            time.sleep(0.4)
        effects.write([record.key for record in records], Fuse("", 0))

    with SqliteLog(Path(log_path)) as log:
        policy = StagePolicy(batch_size=10, poll_timeout=0.1)
        stage = Stage(STAGE, log, TOPIC, work, SystemClock(), policy=policy)
        if mood == "idle":
            Path(ready).touch()
        stage.run(stop)
    effects.close()
    Path(report).write_text(json.dumps({"state": stage.health.state, "records": stage.health.records}), "utf-8")


def work_slowly(log_path: str, effects_path: str, seconds: float) -> None:
    """A stage that never ends by itself: one record at a time, ``seconds`` each."""
    effects = Effects(Path(effects_path))

    def work(records: Sequence[Record], reject: Reject) -> None:
        time.sleep(seconds)
        effects.write([record.key for record in records], Fuse("", 0))

    with SqliteLog(Path(log_path)) as log:
        Stage(STAGE, log, TOPIC, work, SystemClock(), policy=StagePolicy(batch_size=1)).run(threading.Event())


def measure_memory(log_path: str, batch: int, report: str) -> None:
    """Drain slowly; report by how many bytes the peak of the resident memory grew after the first batch."""
    peaks: list[int] = []

    def work(records: Sequence[Record], reject: Reject) -> None:
        time.sleep(0.002)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    with SqliteLog(Path(log_path)) as log:
        policy = StagePolicy(batch_size=batch)
        done = Stage(STAGE, log, TOPIC, work, SystemClock(), policy=policy).drain()
    Path(report).write_text(json.dumps({"done": done, "grown": peaks[-1] - peaks[0], "batches": len(peaks)}), "utf-8")
