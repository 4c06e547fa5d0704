"""A member of a Kafka consumer group that stays one however long its work takes, and never commits for another.

Kafka throws out a member that does not poll for ``max_poll_interval``, and asks all members to take part in a rebalance
by polling. So a keeper thread polls while the owner works: with every partition paused, so nothing is read ahead.
kafka-python throws a finished join away unless a poll is waiting for it, and joins again; so once a rebalance has begun
somebody polls without a break until it is done: the owner, or the keeper when the owner stops before that.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from kafka import ConsumerRebalanceListener, KafkaConsumer, OffsetAndMetadata, TopicPartition, errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.structs import MemberState

from ingest.errors import ContractError, NotAssigned, Unavailable
from ingest.log.base import Consumer, Record
from ingest.log.kafka_config import KafkaSettings
from ingest.log.kafka_connect import connected
from ingest.log.kafka_errors import mapped, where

logger = logging.getLogger(__name__)

POLL_BYTES: Final = 32 * 1024 * 1024
"""A batch ends here even when more records were asked for: a few huge texts must not fill the memory."""
PROBE_AFTER: Final = 5.0
"""Seconds without a record after which the broker is asked whether it is there: kafka-python's poll does not say."""
_STEP_MS: Final = 250
_LOOK_MS: Final = 50
_CLOSE_MS: Final = 2000


def make_consumer(settings: KafkaSettings, **more: Any) -> KafkaConsumer:
    """A kafka-python consumer that commits nothing by itself. Raises Unavailable, ConfigError."""
    options = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": min(500, round(settings.request_timeout * 500)),
        "fetch_max_bytes": POLL_BYTES // 2,
        "max_partition_fetch_bytes": 4 * 1024 * 1024,
        "metrics_enabled": False,
    }
    return connected(settings, KafkaConsumer, **{**options, **more})


class KafkaMember(Consumer):
    """See :class:`ingest.log.base.Consumer`. Partitions move cooperatively: what a member keeps, it reads on.

    A partition that was taken away, even if it came back since, cannot be committed for what was polled before:
    NotAssigned. What the next owner reads starts at the group's last commit.
    """

    def __init__(self, settings: KafkaSettings, topic: str, kafka_topic: str, group: str, kafka_group: str) -> None:
        self._settings = settings
        self._topic = topic
        self._kafka_topic = kafka_topic
        self._group = group
        self._lock = threading.Lock()
        """Held whenever the client is used. A rebalance is completed only inside its poll, so with the lock held
        nobody's partitions change."""
        self._next: dict[int, int] = {}
        self._floor: dict[int, int] = {}
        self._fresh: set[int] = set()
        self._buffer: deque[Record] = deque()
        self._polled_at = time.monotonic()
        self._heard_at = time.monotonic()
        self._closing = threading.Event()
        self._hurry = threading.Event()
        self._owner_waits = False
        self._moved = False
        session = round(settings.session_timeout * 1000)
        self._consumer = make_consumer(
            settings,
            group_id=kafka_group,
            session_timeout_ms=session,
            heartbeat_interval_ms=max(100, min(3000, session // 4)),
            max_poll_interval_ms=round(max(settings.max_poll_interval, settings.session_timeout) * 1000),
            partition_assignment_strategy=(CooperativeStickyAssignor,),
        )
        self._consumer.subscribe([kafka_topic], listener=_Listener(self))
        self._tick = min(1.0, settings.session_timeout / 4, settings.max_poll_interval / 4)
        self._keeper = threading.Thread(target=self._keep_alive, name=f"kafka-keeper-{group}", daemon=True)
        self._keeper.start()

    # -- what the rebalance tells; on the client's own thread, while one of ours waits in poll ------------------------

    def gained(self, partitions: Collection[int]) -> None:
        self._forget(partitions)
        self._fresh |= set(partitions)
        if partitions:
            logger.info("%s on %s: gained partitions %s", self._group, self._topic, sorted(partitions))

    def lost(self, partitions: Collection[int]) -> None:
        self._forget(partitions)
        self._moved = True  # a second round follows, in which they are given to their new owner
        if partitions:
            logger.info("%s on %s: gave up partitions %s", self._group, self._topic, sorted(partitions))

    def _forget(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._next.pop(partition, None)
            self._floor.pop(partition, None)
            self._fresh.discard(partition)
        self._buffer = deque(record for record in self._buffer if record.partition not in partitions)

    # -- the contract --------------------------------------------------------------------------------------------------

    @property
    def assigned(self) -> frozenset[int]:
        return frozenset(self._next)

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        self._check_open("poll")
        deadline = time.monotonic() + timeout
        with self._owner(), mapped(self._settings, f"读取 {self._kafka_topic}"):
            try:
                paused = self._consumer.paused()
                if paused:
                    self._consumer.resume(*paused)
                while True:
                    if self._settle() and self._buffer:
                        return self._hand_out(max_records)
                    left = deadline - time.monotonic()
                    self._poll_client(max(0.0, left), max_records)
                    if left <= 0:
                        return self._hand_out(max_records) if self._settle() else []
            finally:
                self._polled_at = time.monotonic()
                if not self._stable():
                    self._hurry.set()

    def commit(self, positions: Mapping[int, int]) -> None:
        self._check_open("commit")
        if not positions:
            return
        with self._owner(), mapped(self._settings, f"提交 {self._kafka_topic}"):
            self._check_owned(positions)
            for partition, offset in positions.items():
                if not 0 <= offset <= self._next[partition]:
                    raise ContractError(
                        f"{self._group} commits {offset} of partition {partition}, but only {self._next[partition]} "
                        "were polled"
                    )
            self._commit(positions)

    def seek(self, partition: int, offset: int) -> None:
        self._check_open("seek")
        with self._owner(), mapped(self._settings, f"定位 {self._kafka_topic}"):
            if partition not in self._next:
                raise NotAssigned(f"{self._group} seeks in a partition that it does not own", {partition})
            place = TopicPartition(self._kafka_topic, partition)
            first = self._consumer.beginning_offsets([place], timeout_ms=self._timeout_ms)[place]
            end = self._consumer.end_offsets([place], timeout_ms=self._timeout_ms)[place]
            target = min(max(offset, first), end)
            self._consumer.seek(place, target)
            self._buffer = deque(record for record in self._buffer if record.partition != partition)
            self._next[partition] = target
            self._floor[partition] = min(self._floor[partition], max(offset, 0))

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._hurry.set()
        self._keeper.join()
        with self._lock:
            try:
                self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
            except (errors.KafkaError, OSError, RuntimeError) as error:  # away: the broker drops the member by itself
                logger.warning("%s on %s: left without a farewell: %s", self._group, self._topic, type(error).__name__)
        self._next.clear()
        self._buffer.clear()

    @contextmanager
    def _owner(self) -> Iterator[None]:
        """The lock, before the keeper."""
        self._owner_waits = True
        with self._lock:
            self._owner_waits = False
            yield

    # -- with the lock held --------------------------------------------------------------------------------------------

    @property
    def _timeout_ms(self) -> int:
        return round(self._settings.request_timeout * 1000)

    def _poll_client(self, seconds: float, max_records: int) -> None:
        if self._fetch(seconds * 1000, max_records):
            self._heard_at = time.monotonic()
        elif time.monotonic() - self._heard_at > PROBE_AFTER:
            self._consumer.end_offsets([TopicPartition(self._kafka_topic, 0)], timeout_ms=self._timeout_ms)
            self._heard_at = time.monotonic()

    def _fetch(self, timeout_ms: float, max_records: int) -> bool:
        """One poll of the client into the buffer; whether anything came."""
        if self._consumer.group_metadata().state == MemberState.REBALANCING:
            # A join that changed metadata began, and that a poll left unfinished, is forgotten by kafka-python: the
            # member would wait for ever, belonging to nobody. Asked for again, it is the same one that is waited for.
            self._consumer._coordinator.request_rejoin()
        found = self._consumer.poll(timeout_ms=timeout_ms, max_records=max_records)
        self._buffer.extend(as_record(self._topic, one) for records in found.values() for one in records)
        return bool(found)

    def _settle(self) -> bool:
        """Know where partitions that were just gained are read from, and make the group known by committing that.

        False while a rebalance is in the way.
        """
        if not self._fresh:
            return True
        places = [TopicPartition(self._kafka_topic, partition) for partition in sorted(self._fresh)]
        firsts = self._consumer.beginning_offsets(places, timeout_ms=self._timeout_ms)
        starts: dict[int, int] = {}
        unknown: dict[TopicPartition, OffsetAndMetadata] = {}
        for place in places:
            done = self._consumer.committed(place, timeout_ms=self._timeout_ms)
            if done is None:
                unknown[place] = OffsetAndMetadata(firsts[place], "", -1)
            elif 0 < done < firsts[place]:
                logger.error(
                    "%s lost %d records of %s:%d: deleted by the broker before they were read; retention is too short",
                    self._group, firsts[place] - done, self._topic, place.partition,
                )  # fmt: skip
            starts[place.partition] = max(done or 0, firsts[place])
        if unknown:
            try:
                self._consumer.commit(unknown, timeout_ms=self._timeout_ms)
            except (errors.RebalanceInProgressError, errors.CommitFailedError):
                return False  # they stay fresh: the next poll takes part, then this is done again
        self._next |= starts
        self._floor |= starts
        self._fresh.clear()
        return True

    def _hand_out(self, max_records: int) -> list[Record]:
        out: list[Record] = []
        size = 0
        while self._buffer and len(out) < max_records:
            size += len(self._buffer[0].value)
            if out and size > POLL_BYTES:
                break
            record = self._buffer.popleft()
            out.append(record)
            self._next[record.partition] = record.offset + 1
        return out

    def _check_owned(self, positions: Mapping[int, int]) -> None:
        """Owned without a break since the records before ``positions`` were polled."""
        gone = {p for p, offset in positions.items() if p not in self._next or 0 <= offset < self._floor[p]}
        if gone:
            raise NotAssigned(f"{self._group} does not own partitions {sorted(gone)} of {self._topic} (any more)", gone)

    def _commit(self, positions: Mapping[int, int]) -> None:
        wanted = {
            TopicPartition(self._kafka_topic, partition): OffsetAndMetadata(offset, "", -1)
            for partition, offset in positions.items()
        }
        deadline = time.monotonic() + self._settings.request_timeout
        while True:
            try:
                self._consumer.commit(wanted, timeout_ms=self._timeout_ms)
            except (errors.RebalanceInProgressError, errors.CommitFailedError) as error:
                # Members are being told apart anew: take part, then see whether the partitions are still ours.
                self._poll_paused(_STEP_MS)
                self._check_owned(positions)
                if time.monotonic() > deadline:
                    raise Unavailable(
                        f"Kafka（{where(self._settings)}）：{self._group} 的消费组一直在重新分配"
                    ) from error
            else:
                self._heard_at = time.monotonic()
                return

    def _check_open(self, what: str) -> None:
        if self._closing.is_set():
            raise ContractError(f"{what} on a closed consumer")

    # -- the keeper ----------------------------------------------------------------------------------------------------

    def _keep_alive(self) -> None:
        while not self._closing.is_set():
            hurried = self._hurry.wait(self._tick)
            self._hurry.clear()
            if self._closing.is_set() or (not hurried and time.monotonic() - self._polled_at < self._tick):
                continue
            if not self._lock.acquire(blocking=False):  # the owner is at it
                continue
            try:
                self._take_part()
            except (errors.KafkaError, OSError, RuntimeError) as error:  # the owner's own next call says it again
                logger.warning("%s on %s: kept by nobody: %s", self._group, self._topic, type(error).__name__)
                self._closing.wait(self._tick)
            finally:
                self._lock.release()

    def _take_part(self) -> None:
        self._poll_paused(_LOOK_MS)
        while (self._moved or not self._stable()) and not (self._owner_waits or self._closing.is_set()):
            self._moved = False
            self._poll_paused(_STEP_MS)

    def _stable(self) -> bool:
        return bool(self._consumer.group_metadata().state == MemberState.STABLE)

    def _poll_paused(self, timeout_ms: int) -> None:
        """Take part in the group without reading on."""
        held = self._consumer.assignment()
        if held:
            self._consumer.pause(*held)
        self._fetch(timeout_ms, 1)  # a partition that is gained in this very poll was not paused: one record may come


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Passes on what the client says."""

    def __init__(self, member: KafkaMember) -> None:
        self._member = member

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._member.gained({place.partition for place in assigned})

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self._member.lost({place.partition for place in revoked})

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        self._member.lost({place.partition for place in lost})


def as_record(topic: str, found: Any) -> Record:
    """kafka-python's record as ours. What others wrote with other tools is read as far as it goes."""
    return Record(
        topic=topic,
        partition=found.partition,
        offset=found.offset,
        key=(found.key or b"").decode("utf-8", "replace"),
        value=bytes(found.value or b""),
        headers={name: (value or b"").decode("utf-8", "replace") for name, value in found.headers},
        timestamp=datetime.fromtimestamp(max(found.timestamp, 0) / 1000, UTC),
    )


__all__ = ["POLL_BYTES", "KafkaMember", "as_record", "make_consumer"]
