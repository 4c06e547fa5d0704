"""The log on Kafka beside bare kafka-python with the same settings, on a broker of its own, in one run.

    python -m tests.bench.bench_kafka [--records 20000]

Records of 530 bytes in calls of 500. Ours waits until each call's records are acknowledged, and commits every poll;
"bare" sends all and flushes once, and commits every poll.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from kafka import KafkaConsumer, KafkaProducer
from rich.console import Console
from rich.table import Table

from ingest.log.base import Outgoing, Topics
from ingest.log.kafka import BATCH_BYTES, LINGER_MS, KafkaLog
from ingest.log.kafka_config import KafkaSettings
from tests.servers.kafka import KafkaServer

BATCH = 500
SIZE = 530
WORDS = [
    "暖气",
    "很热",
    "漏水",
    "师傅",
    "态度",
    "安装",
    "客厅",
    "三天",
    "送货",
    "包装",
    "不热",
    "退货",
    "客服",
    "回复",
    "阀门",
    "接头",
    "省电",
    "噪音",
]


def records(count: int) -> list[tuple[str, bytes]]:
    chance = random.Random(1)
    return [(f"jd:review:{n}", "".join(chance.choices(WORDS, k=100)).encode()[:SIZE]) for n in range(count)]


def batches(made: list[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    for start in range(0, len(made), BATCH):
        yield made[start : start + BATCH]


def ours_produce(log: KafkaLog, made: list[tuple[str, bytes]]) -> None:
    for batch in batches(made):
        log.produce(Topics.COLLECTED, [Outgoing(key, value) for key, value in batch])


def bare_produce(settings: KafkaSettings, made: list[tuple[str, bytes]]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=list(settings.servers), acks="all", enable_idempotence=True, linger_ms=LINGER_MS,
        batch_size=BATCH_BYTES, compression_type=settings.compression, metrics_enabled=False,
    )  # fmt: skip
    with closing(producer):
        for key, value in made:
            producer.send(settings.prefix + Topics.CLASSIFIED, key=key.encode(), value=value)
        producer.flush()


def ours_consume(log: KafkaLog, count: int) -> None:
    with log.consumer(Topics.COLLECTED, "bench") as consumer:
        read = 0
        while read < count:
            found = consumer.poll(BATCH, 5.0)
            read += len(found)
            ends: dict[int, int] = {}
            for record in found:
                ends[record.partition] = record.offset + 1
            consumer.commit(ends)


def bare_consume(settings: KafkaSettings, count: int) -> None:
    consumer = KafkaConsumer(
        settings.prefix + Topics.CLASSIFIED, bootstrap_servers=list(settings.servers), group_id="bare",
        enable_auto_commit=False, auto_offset_reset="earliest", metrics_enabled=False,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )  # fmt: skip
    with closing(consumer):
        read = 0
        while read < count:
            read += sum(len(part) for part in consumer.poll(timeout_ms=5000, max_records=BATCH).values())
            consumer.commit()


def seconds(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    count = parser.parse_args().records
    made = records(count)
    server = KafkaServer()
    try:
        server.start()
        settings = server.settings(partitions=6)
        with KafkaLog(settings, check=False) as log:
            log.create_topics()
            log.produce(Topics.COVERAGE, [Outgoing("warm", b"up")])
            rows = [
                ("produce", seconds(lambda: ours_produce(log, made)), seconds(lambda: bare_produce(settings, made))),
                ("consume and commit", seconds(lambda: ours_consume(log, count)),
                 seconds(lambda: bare_consume(settings, count))),
            ]  # fmt: skip
    finally:
        server.close()
    table = Table("what", "ours, records/s", "bare, records/s", "ours / bare", title=f"{count} records, one process")
    for what, ours, bare in rows:
        table.add_row(what, f"{count / ours:,.0f}", f"{count / bare:,.0f}", f"{bare / ours:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
