"""The event log on Apache Kafka: any number of partitions, processes and machines."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, OffsetSpec, TopicPartition, errors

from ingest.clock import Clock, SystemClock
from ingest.errors import ConfigError, ContractError, Poison, Unavailable
from ingest.log import kafka_topics
from ingest.log.base import Consumer, EventLog, Outgoing, Record, Topics
from ingest.log.kafka_config import KafkaSettings
from ingest.log.kafka_connect import connected
from ingest.log.kafka_consumer import POLL_BYTES, KafkaMember, as_record, make_consumer
from ingest.log.kafka_errors import as_ours, mapped
from ingest.log.kafka_topics import CHECKPOINTS
from ingest.mention import millis

logger = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_BYTES: Final = 256 * 1024
LINGER_MS: Final = 20
PARTITIONS_KNOWN: Final = 30.0
"""Seconds for which a topic's number of partitions is taken to stay."""
_ENVELOPE: Final = 512
_AGAIN: Final = (errors.NodeNotReadyError, errors.KafkaConnectionError, errors.NotLeaderForPartitionError,
                 errors.LeaderNotAvailableError, errors.CoordinatorNotAvailableError,
                 errors.CoordinatorLoadInProgressError, errors.NotCoordinatorError)  # fmt: skip


class KafkaLog(EventLog):
    """See the contract in :class:`ingest.log.base.EventLog`. Safe to share between threads.

    Topics and groups are named ``prefix + topic`` and ``prefix + topic/group``. Equal keys share a partition (murmur2,
    as every Kafka client does it). The producer is idempotent with acks=all; a call of :meth:`produce` that fails may
    have written a part of its records. Checkpoints are records of a compacted topic of their own, written after the
    records they stand for are acknowledged. ``check``: compare the topics with the settings at once (ConfigError).
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        clock: Clock | None = None,
        topics: Sequence[str] = Topics.ALL,
        check: bool = True,
    ) -> None:
        self.settings = settings
        self.wanted = kafka_topics.wanted(settings, topics)
        self._names = {want.topic: want.name for want in self.wanted if want.topic != CHECKPOINTS}
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        """Making and closing clients."""
        self._appending = threading.Lock()
        self._reading = threading.Lock()
        self._producer: KafkaProducer | None = None
        self._admin: KafkaAdminClient | None = None
        self._reader: KafkaConsumer | None = None
        self._partitions: dict[str, tuple[float, int]] = {}
        self._checkpoints: dict[str, str] = {}
        self._checkpoints_read = 0
        self._closed = False
        if check:
            try:
                self.check_topics()
            except BaseException:
                self.close()
                raise

    # -- producing -----------------------------------------------------------------------------------------------------

    def produce(self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None) -> None:
        name = self._name(topic)
        mark = None if checkpoint is None else _encoded(Outgoing(checkpoint[0], checkpoint[1].encode()))
        rows = [_encoded(record) for record in records]
        limit = self.settings.message_bytes - _ENVELOPE
        for record, (key, value, headers) in zip(records, rows, strict=True):
            size = len(key) + len(value) + sum(len(head) + len(said) for head, said in headers)
            if size > limit:
                raise Poison(f"一条记录有 {size} 字节，超过 log.kafka.message_bytes：{record.key[:80]}")
        self._append(name, rows)
        if mark is not None:
            self._append(self.settings.prefix + CHECKPOINTS, [mark])

    def _append(self, name: str, rows: Sequence[tuple[bytes, bytes, list[tuple[str, bytes]]]]) -> None:
        if not rows:
            return
        what = f"写入 {name}"
        now = millis(self._clock.now())
        with mapped(self.settings, what):
            producer = self._producer_now()
            with self._appending:  # one call's records lie together
                sent = [
                    producer.send(name, value=value, key=key, headers=headers, timestamp_ms=now)
                    for key, value, headers in rows
                ]
        # The producer gives up by itself after the delivery time-out; a little more than that is only a safety net.
        deadline = time.monotonic() + self.settings.delivery_timeout + self.settings.request_timeout
        failed: Exception | None = None
        for future in sent:
            try:
                future.get(timeout=max(0.1, deadline - time.monotonic()))
            except errors.KafkaError as error:
                failed = failed or error
        if failed is not None:
            ours = as_ours(failed, self.settings, what)
            self._give_up(producer)
            raise ours from failed

    def _producer_now(self) -> KafkaProducer:
        with self._lock:
            self._check_open()
            if self._producer is None:
                chosen = self.settings.compression
                try:
                    self._producer = connected(
                        self.settings,
                        KafkaProducer,
                        acks="all",
                        enable_idempotence=True,
                        linger_ms=LINGER_MS,
                        batch_size=BATCH_BYTES,
                        compression_type=None if chosen == "none" else chosen,
                        delivery_timeout_ms=round(self.settings.delivery_timeout * 1000) + LINGER_MS,
                        max_block_ms=self._timeout_ms,
                        max_request_size=self.settings.message_bytes,
                        allow_auto_create_topics=False,
                        metrics_enabled=False,
                    )
                except Unavailable as error:
                    if "codec" in str(error.__cause__):
                        raise ConfigError(f"log.kafka.compression 是 {chosen}，它要的 Python 库没有安装") from error
                    raise
            return self._producer

    def _give_up(self, producer: KafkaProducer) -> None:
        """After a failure the sequence of what is under way is unknown: the next call begins with a new producer."""
        with self._lock:
            if self._producer is producer:
                self._producer = None
        _close_producer(producer)

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def checkpoint(self, name: str) -> str | None:
        return self.checkpoints([name]).get(name)

    def checkpoints(self, names: Collection[str]) -> Mapping[str, str]:
        if not names:
            return {}
        place = TopicPartition(self.settings.prefix + CHECKPOINTS, 0)
        with self._reading:
            end = self._ends([place])[place]
            while self._checkpoints_read < end:
                records, self._checkpoints_read = self._scan(CHECKPOINTS, place, self._checkpoints_read, end, 1000)
                self._checkpoints |= {record.key: record.value.decode("utf-8", "replace") for record in records}
            return {name: self._checkpoints[name] for name in names if name in self._checkpoints}

    # -- consuming -----------------------------------------------------------------------------------------------------

    def consumer(self, topic: str, group: str) -> Consumer:
        name = self._name(topic)
        with self._lock:
            self._check_open()
        return KafkaMember(self.settings, topic, name, group, self._group(topic, group))

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Record]:
        place = TopicPartition(self._name(topic), partition)
        if not 0 <= partition < self._count(place.topic):
            raise ContractError(f"{topic} has no partition {partition}")
        with self._reading:
            start = max(offset, self._starts([place])[place])
            return self._scan(topic, place, start, self._ends([place])[place], limit)[0]

    def _scan(self, topic: str, place: TopicPartition, offset: int, end: int, limit: int) -> tuple[list[Record], int]:
        """Up to ``limit`` records and 32 MiB from ``offset`` until ``end``, and the offset after them.

        Compaction leaves holes: the position moves on over them though no record comes.
        """
        found: list[Record] = []
        size = 0
        deadline = time.monotonic() + 3 * self.settings.request_timeout
        with mapped(self.settings, f"读取 {place.topic}"):
            if self._reader is None:
                with self._lock:
                    self._check_open()
                    self._reader = make_consumer(self.settings, group_id=None)
            reader = self._reader
            reader.assign([place])
            reader.resume(place)
            reader.seek(place, offset)
            position = offset
            while position < end and len(found) < limit and size < POLL_BYTES:
                if time.monotonic() > deadline:
                    raise Unavailable(f"Kafka 没有及时给出 {place} 的内容，稍后再试")
                polled = reader.poll(timeout_ms=500, max_records=limit - len(found)).get(place, [])
                found += [as_record(topic, one) for one in polled]
                size += sum(len(one.value or b"") for one in polled)
                position = reader.position(place, timeout_ms=self._timeout_ms) or position
            reader.pause(place)
        return found, position

    # -- looking -------------------------------------------------------------------------------------------------------

    def end_offsets(self, topic: str) -> Mapping[int, int]:
        return {place.partition: end for place, end in self._ends(self._places(topic)).items()}

    def committed(self, topic: str, group: str) -> Mapping[int, int]:
        places = self._places(topic)
        done = self._groups_committed([self._group(topic, group)])[self._group(topic, group)]
        return {place.partition: done.get(place, 0) for place in places}

    def lag(self, topic: str, group: str) -> int:
        places = self._places(topic)
        done = self._groups_committed([self._group(topic, group)])[self._group(topic, group)]
        starts, ends = self._starts(places), self._ends(places)
        # What is gone from the log waits for nobody.
        return sum(max(0, ends[place] - max(done.get(place, 0), starts[place])) for place in places)

    def trim(self, topic: str, before: datetime) -> int:
        places = self._places(topic)
        prefix = self._group(topic, "")
        listed = self._ask("列出消费组", lambda admin: admin.list_groups())
        groups = [str(one["group_id"]) for one in listed if str(one["group_id"]).startswith(prefix)]
        if not groups:
            return 0
        committed = self._groups_committed(groups)
        starts, ends = self._starts(places), self._ends(places)
        newer = self._offsets(dict.fromkeys(places, millis(before)))
        cuts: dict[TopicPartition, int] = {}
        for place in places:
            passed = min(done.get(place, 0) for done in committed.values())
            old = newer[place] if newer[place] >= 0 else ends[place]
            if (cut := min(passed, old)) > starts[place]:
                cuts[place] = cut
        if cuts:
            self._ask(f"清理 {topic}", lambda admin: admin.delete_records(cuts))
        return sum(cut - starts[place] for place, cut in cuts.items())

    def check_topics(self) -> Mapping[str, kafka_topics.Found]:
        """The topics as they are. Raises ConfigError (Chinese) when they are missing or wrong."""
        return self._ask("检查主题", lambda admin: kafka_topics.check(admin, self.settings, self.wanted))

    def describe_topics(self) -> Mapping[str, kafka_topics.Found]:
        """Those topics of ours that are there, by Kafka's name."""
        names = [want.name for want in self.wanted]
        return self._ask("列出主题", lambda admin: kafka_topics.describe(admin, names))

    def create_topics(self) -> list[str]:
        """Make the missing topics; the names of the new ones. Those that are there stay as they are."""
        return self._ask("建立主题", lambda admin: kafka_topics.create(admin, self.settings, self.wanted))

    def groups(self, topic: str) -> list[str]:
        """The groups that were ever members on ``topic``, as the broker knows them."""
        prefix = self._group(topic, "")
        listed = self._ask("列出消费组", lambda admin: admin.list_groups())
        names = (str(one["group_id"]) for one in listed)
        return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            producer, admin, reader = self._producer, self._admin, self._reader
            self._producer = self._admin = self._reader = None
        if producer is not None:
            _close_producer(producer)
        with suppress(errors.KafkaError, OSError, RuntimeError):  # nothing is lost by a client that cannot say goodbye
            if reader is not None:
                with self._reading:
                    reader.close(autocommit=False, timeout_ms=1000)
        with suppress(errors.KafkaError, OSError, RuntimeError):
            if admin is not None:
                admin.close()

    # -- the broker's answers ------------------------------------------------------------------------------------------

    @property
    def _timeout_ms(self) -> int:
        return round(self.settings.request_timeout * 1000)

    def _name(self, topic: str) -> str:
        if topic not in self._names:
            raise ContractError(f"unknown topic {topic}")
        return self._names[topic]

    def _group(self, topic: str, group: str) -> str:
        return f"{self._name(topic)}/{group}"

    def _places(self, topic: str) -> list[TopicPartition]:
        name = self._name(topic)
        return [TopicPartition(name, partition) for partition in range(self._count(name))]

    def _count(self, name: str) -> int:
        known, count = self._partitions.get(name, (0.0, 0))
        if not count or time.monotonic() - known > PARTITIONS_KNOWN:
            (found,) = self._ask(f"查看 {name}", lambda admin: admin.describe_topics([name]))
            if found["error_code"]:
                raise as_ours(errors.for_code(found["error_code"])(), self.settings, f"查看 {name}")
            count = len(found["partitions"])
            self._partitions[name] = time.monotonic(), count
        return count

    def _starts(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))

    def _ends(self, places: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return self._offsets(dict.fromkeys(places, OffsetSpec.LATEST))

    def _offsets(self, specs: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        asked = self._ask("查位置", lambda admin: admin.list_partition_offsets(dict(specs)))
        return {place: int(found.offset) for place, found in asked.items()}

    def _groups_committed(self, groups: list[str]) -> dict[str, dict[TopicPartition, int]]:
        asked = self._ask("查消费组", lambda admin: admin.list_group_offsets(groups))
        return {
            group: {place: int(found.offset) for place, found in asked.get(group, {}).items() if found.offset >= 0}
            for group in groups
        }

    def _ask(self, what: str, question: Callable[[KafkaAdminClient], T]) -> T:
        """Ask the broker something that may be asked twice; a connection that was cut is made anew."""
        deadline = time.monotonic() + self.settings.request_timeout
        with mapped(self.settings, what):
            while True:
                try:
                    return question(self._admin_now())
                except _AGAIN:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.1)

    def _admin_now(self) -> KafkaAdminClient:
        with self._lock:
            self._check_open()
            if self._admin is None:
                self._admin = connected(self.settings, KafkaAdminClient)
            return self._admin

    def _check_open(self) -> None:
        if self._closed:
            raise ContractError("the log is closed")


def _close_producer(producer: KafkaProducer) -> None:
    try:
        producer.close(timeout=2)
    except (errors.KafkaError, OSError, RuntimeError):
        # It does not close while records are under way; who waits for those is told that they failed.
        logger.warning("a producer was left with records under way")
        producer._sender.force_close()
        producer._closed = True


def _encoded(record: Outgoing) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    try:
        headers = [(name.encode().decode(), value.encode()) for name, value in record.headers.items()]
        return record.key.encode(), record.value, headers
    except UnicodeEncodeError as error:
        raise ContractError(f"a key or header that is no valid text: {error}") from error


__all__ = ["KafkaLog"]
