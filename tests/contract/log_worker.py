"""What the log suite runs in processes of its own. ``opener`` is ``["module:function", [arguments]]``."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path
from typing import Any

from ingest.log.base import EventLog, Outgoing

Opener = list[Any]


def open_log(opener: Opener) -> EventLog:
    """The log that the opener describes, opened by this process."""
    module, _, function = str(opener[0]).partition(":")
    opened = getattr(importlib.import_module(module), function)(*opener[1])
    assert isinstance(opened, EventLog)
    return opened


def open_sqlite(path: str) -> EventLog:
    from ingest.log.sqlite import SqliteLog

    return SqliteLog(Path(path))


def open_kafka(settings: dict[str, Any]) -> EventLog:
    from ingest.log.kafka import KafkaLog
    from ingest.log.kafka_config import KafkaSettings

    return KafkaLog(KafkaSettings.model_validate(settings))


def produce_many(opener: Opener, topic: str, name: str, count: int, batch: int, keys: int) -> None:
    """``count`` records "name:n" in batches, spread over ``keys`` keys of its own."""
    with open_log(opener) as log:
        for start in range(0, count, batch):
            numbers = range(start, min(start + batch, count))
            log.produce(topic, [Outgoing(f"{name}-{n % keys}", f"{name}:{n}".encode()) for n in numbers])


def produce_batches_for_ever(opener: Opener, topic: str, batch: int) -> None:
    """Whole batches, each with a checkpoint of its number, until killed. One key: one partition."""
    with open_log(opener) as log:
        number = int(log.checkpoint("batch") or "0")
        while True:
            number += 1
            records = [Outgoing("one", f"{number}:{i}".encode() + b"." * 200) for i in range(batch)]
            log.produce(topic, records, checkpoint=("batch", str(number)))


def consume_until(opener: Opener, topic: str, group: str, seen: str, finished: str) -> None:
    """Write what is read to the file ``seen`` and commit, until the file ``finished`` exists."""
    with open_log(opener) as log, log.consumer(topic, group) as consumer, open(seen, "w", encoding="utf-8") as out:
        while not Path(finished).exists():
            records = consumer.poll(40, 0.1)
            for record in records:
                line = [record.partition, record.offset, record.key, record.value.decode()]
                out.write(json.dumps(line, ensure_ascii=False) + "\n")
            out.flush()
            consumer.commit({r.partition: r.offset + 1 for r in records})


def own_and_hang(opener: Opener, topic: str, group: str, commit: int, ready: str) -> None:
    """Become the group's member, read all, commit ``commit`` of partition 0's records, then hang until killed."""
    with open_log(opener) as log, log.consumer(topic, group) as consumer:
        end = sum(log.end_offsets(topic).values())
        polled = 0
        while polled < end:
            polled += len(consumer.poll(100, 0.2))
        if commit:
            consumer.commit({0: commit})
        Path(ready).write_text("ready", encoding="utf-8")
        time.sleep(600)


def open_at_once(opener: Opener, topic: str, start_at: float) -> None:
    """Open the log at the same moment as the others do, and append one record."""
    time.sleep(max(0.0, start_at - time.time()))
    with open_log(opener) as log:
        log.produce(topic, [Outgoing("k", b"v")])
