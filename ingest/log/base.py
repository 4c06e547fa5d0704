"""The event log's contract. Every backend passes ``tests/contract/log_suite.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Final, Self


class Topics:
    """Names of the topics. Keys: mention id, except where said."""

    COLLECTED: Final = "mentions.collected"
    CLASSIFIED: Final = "mentions.classified"
    COVERAGE: Final = "crawl.coverage"
    """Key: source."""
    DEAD_LETTERS: Final = "dead_letters"
    """Key: ``stage:topic:partition:offset``."""
    ALL: Final = (COLLECTED, CLASSIFIED, COVERAGE, DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be produced. Equal keys keep their order."""

    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read. ``offset`` counts from 0 in its partition; ``timestamp`` is when it was appended, UTC."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]
    timestamp: datetime

    @property
    def position(self) -> str:
        """``topic:partition:offset``, unique for ever."""
        return f"{self.topic}:{self.partition}:{self.offset}"


class Consumer(ABC):
    """One member of a consumer group on one topic.

    * A partition is assigned to at most one live member of a group at a time. A member that has no partition gets
      nothing from :meth:`poll` and takes over when the owner leaves or dies (``kill -9`` included).
    * A group that never committed starts at the oldest record.
    * Nothing is committed by itself. After a crash, reading goes on at the last commit: records between it and the
      crash are seen again (at least once).
    * Not thread-safe: one thread uses one consumer.
    """

    @abstractmethod
    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        """Up to ``max_records`` next records, in offset order within a partition.

        Waits at most ``timeout`` seconds for one. Raises Unavailable when the log cannot be reached.
        """

    @abstractmethod
    def commit(self, positions: Mapping[int, int]) -> None:
        """Durably set, by partition, the next offset to read. Call it only after the effect is durable.

        Raises ContractError for an offset beyond what was polled, and its kind NotAssigned for a partition that is not
        assigned, or that a rebalance took away since its records were polled: then nothing is committed, and they are
        read again by whom it was given to.
        """

    @abstractmethod
    def seek(self, partition: int, offset: int) -> None:
        """Read on from ``offset`` (clamped to what the log still holds); commits nothing."""

    @property
    @abstractmethod
    def assigned(self) -> frozenset[int]:
        """The partitions that this member owns now."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group; idempotent. Nothing is committed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventLog(ABC):
    """Topics of ordered records with consumer groups.

    Any number of threads and processes may produce and consume at once.
    """

    @abstractmethod
    def produce(self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None) -> None:
        """Append all records, in order; on return they are durable. All or nothing on one partition.

        ``checkpoint`` = (name, value) is stored with the records: an importer that dies reads it back by
        :meth:`checkpoint` and goes on there. On the embedded log both are one transaction; a backend without
        transactions stores the checkpoint after the records, so a crash between repeats records, never loses them.
        Raises Retryable when it may pass (then nothing or all of it was written; without transactions perhaps a part),
        ContractError for an unknown topic and for a key or header that UTF-8 cannot hold, Poison for a record that is
        larger than the backend takes (then nothing was written).
        """

    @abstractmethod
    def checkpoint(self, name: str) -> str | None:
        """The value last stored under ``name``, or None."""

    def checkpoints(self, names: Collection[str]) -> Mapping[str, str]:
        """Those of ``names`` that have a value, at once."""
        return {name: value for name in names if (value := self.checkpoint(name)) is not None}

    @abstractmethod
    def consumer(self, topic: str, group: str) -> Consumer:
        """Join ``group`` on ``topic``."""

    @abstractmethod
    def end_offsets(self, topic: str) -> Mapping[int, int]:
        """By partition, the offset that the next record will get: how many were ever appended."""

    @abstractmethod
    def committed(self, topic: str, group: str) -> Mapping[int, int]:
        """By partition, the group's committed next offset (0 where it never committed)."""

    @abstractmethod
    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Record]:
        """Look at records from ``offset`` on, outside any group."""

    @abstractmethod
    def trim(self, topic: str, before: datetime) -> int:
        """Drop records appended before ``before`` that every known group has passed; how many.

        A group is known once it joined; while there is none, everything is kept. Offsets do not change.
        """

    def lag(self, topic: str, group: str) -> int:
        """Records appended but not committed by ``group``."""
        done = self.committed(topic, group)
        return sum(end - done.get(part, 0) for part, end in self.end_offsets(topic).items())

    @abstractmethod
    def close(self) -> None:
        """Release everything; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
