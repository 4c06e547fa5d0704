"""The way of one mention: the four stages between the log and what the rooms make of it.

Group names are stage names; each stage's effect is idempotent, so at-least-once delivery has an exactly-once effect.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from ingest.analysis import ClassifiedMention, classified_from_json
from ingest.coverage import coverage_from_json
from ingest.dead_letters import letter_id
from ingest.errors import Poison
from ingest.headers import stamped
from ingest.log.base import EventLog, Outgoing, Record, Topics
from ingest.mention import mention_from_json
from ingest.stage import Reject, Stage, StagePolicy, Work

if TYPE_CHECKING:
    from classify.base import Classifier
    from classify.corrections import Corrections
    from ingest.copies import Copies
    from search.base import Index
    from shengwen.alerting import Alerting
    from shengwen.rooms import Rooms

logger = logging.getLogger(__name__)

T = TypeVar("T")
CLASSIFY: Final = "classify"
INDEX: Final = "index"
ALERT: Final = "alert"
COVERAGE: Final = "coverage"
STAGES: Final = {
    CLASSIFY: Topics.COLLECTED,
    INDEX: Topics.CLASSIFIED,
    ALERT: Topics.CLASSIFIED,
    COVERAGE: Topics.COVERAGE,
}
"""Stage (and consumer group) -> the topic it reads."""
JOIN_WITHIN: Final = 5.0
"""Seconds within which a member that may have partitions has them."""
ELASTIC_BATCH: Final = 2_000
"""What waits is indexed in larger batches there: making a batch searchable costs the same whatever its size."""
CORRECTION: Final = "correction"
"""The header of a classified record that a person's correction wrote; its value is when, ISO 8601."""


def classify_work(classifier: Classifier, log: EventLog, corrections: Corrections, copies: Copies) -> Work:
    """mentions.collected → analysis, group → mentions.classified, with the collected record's place as ``origin``.

    The group is told here, not in the index: whatever reads or rebuilds from the log then finds the same one.

    Where a person corrected the same words before, the correction stands. Each of the following stages looks, too:
    a correction may be made while a record is on its way.
    """
    from classify.stage import classify_batch
    from shengwen.forgetting import forgotten

    def work(batch: Sequence[Record], reject: Reject) -> None:
        read = _decoded(CLASSIFY, batch, mention_from_json, reject)
        done = copies.grouped(corrections.applied(classify_batch(classifier, [mention for _, mention in read])))
        for author in {mention.author.key for mention in forgotten(log, done)}:
            copies.erase(str(author))
        out = [
            Outgoing(
                mention.id,
                mention.to_json(),
                stamped({"origin": f"{record.partition}:{record.offset}"}, after=record),
            )
            for (record, _), mention in zip(read, done, strict=True)
        ]
        if out:
            log.produce(Topics.CLASSIFIED, out)

    return work


def index_work(index: Index, log: EventLog, corrections: Corrections, parked: Collection[str] = ()) -> Work:
    """mentions.classified → the index, counted by where the mention was collected.

    Who was forgotten stays so. What was ``parked`` before (ids of letters) is passed over when its place is read again:
    it comes by its replay, or not at all.
    """
    from search.base import Delivery
    from shengwen.forgetting import forgotten

    def work(batch: Sequence[Record], reject: Reject) -> None:
        fresh = [record for record in batch if letter_id(INDEX, record) not in parked]
        read = _corrected(_decoded(INDEX, fresh, classified_from_json, reject), corrections)
        deliveries = [
            Delivery(mention, _origin(record), record.headers.get("replay"), CORRECTION in record.headers)
            for record, mention in read
        ]
        if deliveries:
            index.apply(deliveries)
            for author in {mention.author.key for mention in forgotten(log, [mention for _, mention in read])}:
                index.delete_by_author(str(author))

    return work


def alert_work(alerts: Alerting, log: EventLog, corrections: Corrections) -> Work:
    """mentions.classified → facts, aggregates and tickets; nothing of those who were forgotten."""
    from shengwen.forgetting import forgotten

    def work(batch: Sequence[Record], reject: Reject) -> None:
        read = _corrected(_decoded(ALERT, batch, classified_from_json, reject), corrections)
        gone = {mention.id for mention in forgotten(log, [mention for _, mention in read])}
        kept = [(record, mention) for record, mention in read if mention.id not in gone]
        if kept:
            alerts.absorb(
                [(m, (r.topic, r.partition, r.offset)) for r, m in kept if CORRECTION not in r.headers],
                corrected=[m for r, m in kept if CORRECTION in r.headers],
            )

    return work


def coverage_work(alerts: Alerting) -> Work:
    """crawl.coverage → what is known of each source's health."""

    def work(batch: Sequence[Record], reject: Reject) -> None:
        read = _decoded(COVERAGE, batch, coverage_from_json, reject)
        if read:
            alerts.absorb_coverage([coverage for _, coverage in read])

    return work


def build_stage(name: str, rooms: Rooms, policy: StagePolicy | None = None) -> Stage:
    """One of :data:`STAGES`, ready to run."""
    makers: dict[str, Callable[[], Work]] = {
        CLASSIFY: lambda: classify_work(rooms.classifier, rooms.log, rooms.corrections, rooms.copies),
        INDEX: lambda: index_work(rooms.index, rooms.log, rooms.corrections, rooms.letters.parked(INDEX)),
        ALERT: lambda: alert_work(rooms.alerting, rooms.log, rooms.corrections),
        COVERAGE: lambda: coverage_work(rooms.alerting),
    }
    work = makers[name]()
    if name == INDEX:
        from shengwen.correcting import Correcting

        _refill(rooms)
        Correcting(rooms.index, rooms.log, rooms.corrections, rooms.clock, ()).retell()
        if policy is None and rooms.settings.index.backend == "elasticsearch":
            policy = StagePolicy(batch_size=ELASTIC_BATCH)
    return Stage(name, rooms.log, STAGES[name], work, rooms.clock, policy=policy)


def _refill(rooms: Rooms) -> None:
    """An index that was moved away (damage, another format) is filled again from what the log still holds."""
    if not any(rooms.log.committed(Topics.CLASSIFIED, INDEX).values()) or any(rooms.index.counts().values()):
        return
    with rooms.log.consumer(Topics.CLASSIFIED, INDEX) as consumer:
        consumer.poll(1, JOIN_WITHIN)
        for partition in consumer.assigned:  # none while another process works on it
            logger.warning("the index is empty: it is filled again from the log")
            consumer.seek(partition, 0)
            consumer.commit({partition: 0})


def _decoded(
    stage: str, batch: Sequence[Record], decode: Callable[[bytes], T], reject: Reject
) -> list[tuple[Record, T]]:
    """What can be read of a batch. A replay is for the stage that parked it: the others that read the topic had the
    record already, or parked it themselves, and would count or park it once more."""
    read: list[tuple[Record, T]] = []
    for record in batch:
        if record.headers.get("replay", stage).partition(":")[0] != stage:
            continue
        try:
            read.append((record, decode(record.value)))
        except Poison as error:
            reject(record, error)
    return read


def _corrected(
    read: list[tuple[Record, ClassifiedMention]], corrections: Corrections
) -> list[tuple[Record, ClassifiedMention]]:
    return list(zip([record for record, _ in read], corrections.applied([m for _, m in read]), strict=True))


def _origin(record: Record) -> tuple[str, int, int] | None:
    partition, _, offset = record.headers.get("origin", "").partition(":")
    if not (partition.isdigit() and offset.isdigit()):
        return None
    return Topics.COLLECTED, int(partition), int(offset)
