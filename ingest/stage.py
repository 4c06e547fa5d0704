"""A stage: consume → work → commit, for ever, losing nothing and doing nothing twice that shows.

The work makes its effect durable and is idempotent; the offset is committed afterwards. What may pass is retried with
jittered back-off while nothing new is polled (so a slow index slows the stage, not the memory); what cannot pass is
parked as a dead letter with its original bytes while its neighbours go on.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ingest.clock import Clock
from ingest.dead_letters import letter_for_record
from ingest.errors import ContractError, DeadLetterLimit, NotAssigned, Permanent, Retryable
from ingest.log.base import Consumer, EventLog, Record, Topics

logger = logging.getLogger(__name__)

Reject = Callable[[Record, Exception], None]
Work = Callable[[Sequence[Record], Reject], None]
"""Work(batch, reject): make the effect of the whole batch durable, in order.

A record that can never pass is handed to ``reject`` (and has no effect). Raise Retryable when the same batch may pass
later: it is handed in again, whole. Raise Permanent to stop the stage. Any other exception is taken for one record's
fault: the batch is worked on one by one to find it.
"""


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """How a stage behaves. Times in seconds.

    A batch is worked on when it has ``batch_size`` records or ``batch_bytes`` (exceeded by one poll at most), when
    nothing more is waiting, or ``batch_wait`` after its first record. A Retryable is tried ``max_attempts`` times,
    waiting ``backoff_base``·2ⁿ with full jitter, at most ``backoff_cap`` each, then the stage stops with nothing
    committed. It also stops after ``max_rejected_in_row`` dead letters in a row, or when more than
    ``max_rejected_ratio`` of the last ``ratio_window`` records were rejected (arroyo's DlqLimit): a bad deploy
    must not empty a topic into the dead letters.
    """

    batch_size: int = 500
    batch_bytes: int = 16 * 1024 * 1024
    batch_wait: float = 0.2
    poll_timeout: float = 0.5
    max_attempts: int = 12
    backoff_base: float = 0.2
    backoff_cap: float = 30.0
    max_rejected_in_row: int = 100
    max_rejected_ratio: float = 0.5
    ratio_window: int = 1000


@dataclass(slots=True)
class StageHealth:
    """What the sources page and the doctor show. ``state``: waiting (another process owns the group), running,
    retrying, stopped, failed."""

    state: str = "waiting"
    records: int = 0
    rejected: int = 0
    retries: int = 0
    last_error: str = ""
    last_at: datetime | None = None


@dataclass(slots=True)
class _Window:
    """The newest ``ratio_window`` outcomes, kept as one number a batch."""

    in_row: int = 0
    seen: list[tuple[int, int]] = field(default_factory=list)


class Stage:
    """Runs ``work`` over ``topic`` as a member of ``group`` until stopped. One thread at a time."""

    def __init__(
        self,
        name: str,
        log: EventLog,
        topic: str,
        work: Work,
        clock: Clock,
        *,
        policy: StagePolicy | None = None,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.health = StageHealth()
        self._log = log
        self._topic = topic
        self._work = work
        self._clock = clock
        self._policy = policy or StagePolicy()
        self._random = random.Random(seed)  # noqa: S311  (jitter, not secrecy)
        self._window = _Window()

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; the batch in hand is finished and committed first.

        Raises Permanent (DeadLetterLimit among them) or, after the last attempt, Retryable: the stage has stopped,
        nothing of the batch in hand is committed, nothing is lost.
        """
        try:
            joined: list[Consumer] = []
            if not self._with_retries(lambda: joined.append(self._log.consumer(self._topic, self.name)), stop):
                self.health.state = "stopped"
                return
            with joined[0] as consumer:
                while not stop.is_set():
                    batch = self._next_batch(consumer, stop)
                    self.health.state = "running" if consumer.assigned else "waiting"
                    if batch:
                        self._run_batch(consumer, batch, stop)
        except Exception as error:
            self.health.state = "failed"
            self.health.last_error = str(error)
            raise
        self.health.state = "stopped"

    def drain(self, wait: float = 0.0) -> int:
        """Work through what the topic holds now, then return how many records that were (for tests and imports).

        ``wait``: seconds to wait for a record; joining a group takes a server its time.
        """
        done = 0
        stop = threading.Event()
        with self._log.consumer(self._topic, self.name) as consumer:
            while batch := consumer.poll(self._policy.batch_size, wait):
                self._run_batch(consumer, batch, stop)
                done += len(batch)
        return done

    def _next_batch(self, consumer: Consumer, stop: threading.Event) -> Sequence[Record]:
        policy = self._policy
        batch: list[Record] = []
        self._with_retries(lambda: batch.extend(consumer.poll(policy.batch_size, policy.poll_timeout)), stop)
        if not batch:
            return batch
        deadline = self._clock.monotonic() + policy.batch_wait
        size = sum(len(record.value) for record in batch)
        while len(batch) < policy.batch_size and size < policy.batch_bytes and not stop.is_set():
            left = deadline - self._clock.monotonic()
            if left <= 0:
                break
            try:
                more = consumer.poll(policy.batch_size - len(batch), min(left, 0.05))
            except Retryable as error:  # what was polled is past the consumer's position: it must not be dropped here
                self.health.last_error = str(error)
                break
            if not more:
                break  # nothing else is coming right now: fresh beats full
            batch += more
            size += sum(len(record.value) for record in more)
        return batch

    def _run_batch(self, consumer: Consumer, batch: Sequence[Record], stop: threading.Event) -> None:
        rejected: dict[str, tuple[Record, Exception, int]] = {}
        finished = self._attempt(batch, rejected, stop)
        if not finished:
            return  # told to stop while retrying: nothing is committed, the batch comes again
        self._guard_limit(batch, rejected)
        if rejected:
            letters = [letter_for_record(self.name, r, e, n, self._clock) for r, e, n in rejected.values()]
            if not self._with_retries(lambda: self._log.produce(Topics.DEAD_LETTERS, letters), stop):
                return  # not parked: committing now would lose them
        positions: dict[int, int] = {}
        for record in batch:
            positions[record.partition] = max(positions.get(record.partition, 0), record.offset + 1)
        if self._with_retries(lambda: self._commit(consumer, positions), stop):
            self.health.records += len(batch)
            self.health.rejected += len(rejected)
            self.health.last_at = self._clock.now()

    def _commit(self, consumer: Consumer, positions: Mapping[int, int]) -> None:
        """Commit what is still this member's. What a rebalance took away while it was worked on is read again by its
        new owner, and comes to the same."""
        try:
            consumer.commit(positions)
        except NotAssigned as lost:
            logger.info("%s: partitions %s went to another member", self.name, sorted(lost.partitions))
            kept = {part: offset for part, offset in positions.items() if part not in lost.partitions}
            if 0 < len(kept) < len(positions):
                self._commit(consumer, kept)

    def _attempt(
        self, batch: Sequence[Record], rejected: dict[str, tuple[Record, Exception, int]], stop: threading.Event
    ) -> bool:
        """Bring the batch's effect about; False when told to stop before that."""

        def work(part: Sequence[Record]) -> None:
            found: dict[str, tuple[Record, Exception, int]] = {}

            def reject(record: Record, error: Exception) -> None:
                found[record.position] = (record, error, 1)

            self._work(part, reject)
            rejected.update(found)

        try:
            return self._with_retries(lambda: work(batch), stop)
        except (Retryable, Permanent):
            raise
        except Exception as error:  # a bug, or a record that trips one: find which
            logger.warning("%s: %s in a batch of %d, going one by one", self.name, type(error).__name__, len(batch))
            for record in batch:
                try:
                    if not self._with_retries(lambda one=record: work([one]), stop):  # type: ignore[misc]
                        return False
                except (Retryable, Permanent):
                    raise
                except Exception as single:
                    logger.exception("%s: record %s is parked", self.name, record.position)
                    rejected[record.position] = (record, single, 2)
            return True

    def _with_retries(self, action: Callable[[], None], stop: threading.Event) -> bool:
        """Try until it passes; False when stopped in between. Raises the last Retryable when attempts run out."""
        policy = self._policy
        for attempt in range(1, policy.max_attempts + 1):
            try:
                action()
            except Retryable as error:
                self.health.state = "retrying"
                self.health.retries += 1
                self.health.last_error = str(error)
                if attempt == policy.max_attempts:
                    raise
                # 2**1024 is no float, and whoever waits for a flood-stage disk may allow that many attempts.
                wait = self._random.uniform(0, min(policy.backoff_cap, policy.backoff_base * 2 ** min(attempt, 64)))
                wait = max(wait, error.retry_after or 0.0)
                logger.warning("%s: %s; attempt %d, again in %.1f s", self.name, error, attempt, wait)
                if self._clock.wait(wait, stop):
                    return False
            else:
                return True
        raise ContractError("max_attempts must be at least 1")

    def _guard_limit(self, batch: Sequence[Record], rejected: dict[str, tuple[Record, Exception, int]]) -> None:
        policy, window = self._policy, self._window
        in_row = window.in_row
        for record in batch:
            in_row = in_row + 1 if record.position in rejected else 0
            if in_row >= policy.max_rejected_in_row:
                self._stop_for_limit(f"连续 {in_row} 条", rejected)
        seen = [*window.seen, (len(batch), len(rejected))]
        while sum(n for n, _ in seen[1:]) >= policy.ratio_window:
            seen.pop(0)
        total, bad = sum(n for n, _ in seen), sum(b for _, b in seen)
        if total >= policy.ratio_window and bad > policy.max_rejected_ratio * total:
            self._stop_for_limit(f"最近 {total} 条里有 {bad} 条", rejected)
        window.in_row, window.seen = in_row, seen

    def _stop_for_limit(self, what: str, rejected: dict[str, tuple[Record, Exception, int]]) -> None:
        why = "".join(f"，最后一条：{error}" for _, error, _ in [*rejected.values()][-1:])
        raise DeadLetterLimit(f"{self.name}：{what}处理不了{why}；已停下")


__all__ = ["Reject", "Stage", "StageHealth", "StagePolicy", "Work"]
