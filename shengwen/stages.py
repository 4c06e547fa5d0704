"""The way of one mention: the four stages between the log and what the rooms make of it.

Group names are stage names; each stage's effect is idempotent, so at-least-once delivery has an exactly-once effect.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from ingest.analysis import classified_from_json
from ingest.coverage import coverage_from_json
from ingest.dead_letters import letter_id
from ingest.errors import Poison
from ingest.log.base import EventLog, Outgoing, Record, Topics
from ingest.mention import mention_from_json
from ingest.stage import Reject, Stage, StagePolicy, Work

if TYPE_CHECKING:
    from classify.base import Classifier
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


def classify_work(classifier: Classifier, log: EventLog) -> Work:
    """mentions.collected → analysis → mentions.classified, with the collected record's place as ``origin``."""
    from classify.stage import classify_batch

    def work(batch: Sequence[Record], reject: Reject) -> None:
        read = _decoded(CLASSIFY, batch, mention_from_json, reject)
        done = classify_batch(classifier, [mention for _, mention in read])
        out = [
            Outgoing(mention.id, mention.to_json(), {"origin": f"{record.partition}:{record.offset}"})
            for (record, _), mention in zip(read, done, strict=True)
        ]
        if out:
            log.produce(Topics.CLASSIFIED, out)

    return work


def index_work(index: Index, log: EventLog, parked: Collection[str] = ()) -> Work:
    """mentions.classified → the index, counted by where the mention was collected.

    Who was forgotten stays so. What was ``parked`` before (ids of letters) is passed over when its place is read again:
    it comes by its replay, or not at all.
    """
    from search.base import Delivery
    from shengwen.forgetting import forgotten

    def work(batch: Sequence[Record], reject: Reject) -> None:
        fresh = [record for record in batch if letter_id(INDEX, record) not in parked]
        read = _decoded(INDEX, fresh, classified_from_json, reject)
        deliveries = [Delivery(mention, _origin(record), record.headers.get("replay")) for record, mention in read]
        if deliveries:
            index.apply(deliveries)
            for author in {mention.author.key for mention in forgotten(log, [mention for _, mention in read])}:
                index.delete_by_author(str(author))

    return work


def alert_work(alerts: Alerting, log: EventLog) -> Work:
    """mentions.classified → facts, aggregates and tickets; nothing of those who were forgotten."""
    from shengwen.forgetting import forgotten

    def work(batch: Sequence[Record], reject: Reject) -> None:
        read = _decoded(ALERT, batch, classified_from_json, reject)
        gone = {mention.id for mention in forgotten(log, [mention for _, mention in read])}
        kept = [(mention, (r.topic, r.partition, r.offset)) for r, mention in read if mention.id not in gone]
        if kept:
            alerts.absorb(kept)

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
        CLASSIFY: lambda: classify_work(rooms.classifier, rooms.log),
        INDEX: lambda: index_work(rooms.index, rooms.log, rooms.letters.parked(INDEX)),
        ALERT: lambda: alert_work(rooms.alerting, rooms.log),
        COVERAGE: lambda: coverage_work(rooms.alerting),
    }
    work = makers[name]()
    if name == INDEX:
        _refill(rooms)
    return Stage(name, rooms.log, STAGES[name], work, rooms.clock, policy=policy)


def _refill(rooms: Rooms) -> None:
    """An index that was moved away (damage, another format) is filled again from what the log still holds."""
    if not any(rooms.log.committed(Topics.CLASSIFIED, INDEX).values()) or any(rooms.index.counts().values()):
        return
    with rooms.log.consumer(Topics.CLASSIFIED, INDEX) as consumer:
        consumer.poll(1, 0.0)
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


def _origin(record: Record) -> tuple[str, int, int] | None:
    partition, _, offset = record.headers.get("origin", "").partition(":")
    if not (partition.isdigit() and offset.isdigit()):
        return None
    return Topics.COLLECTED, int(partition), int(offset)
