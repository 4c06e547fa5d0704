"""Writing: every delivery counted once, an old revision never winning, without transactions.

A document holds a mention and its accounting together, so one write changes both or neither. A write is a
compare-and-set: what was read had version *n* (0: nothing), what is written has the external version *n* + 1, and the
server refuses (409) what is not newer than what it holds. Of two writers that started from the same *n* one is refused;
it reads again and judges its deliveries anew on what the other left. Versions only ever grow, as an erased mention
leaves a stub, and ``shengwen reindex`` copies them: a write that was read from the old index and lands in the new one
is refused exactly when it would be in the old one. (A version made of the revision's number would order revisions, but
two writers with different revisions would pass one another, and the tallies of the first be lost.)

Most deliveries are of mentions that nobody has seen yet. So a batch is first written as if nothing were there, with
version 1, and only what is refused is read; after a batch full of known mentions the next one is read first.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import orjson
from elasticsearch import Elasticsearch

from ingest.analysis import ClassifiedMention, classified
from ingest.errors import Poison, Retryable
from ingest.precision import dated
from search.base import Delivery, Outcome
from search.elastic.client import Elastic, TooLarge, chunks, mapped
from search.elastic.document import State, body, key_of, state_from
from search.elastic.indices import Indices
from search.elastic.mapping import Names
from search.elastic.reader import read_documents

_READ_FIRST: Final = 0.2
"""When more of a batch than this was known already, the next one is read before it is written."""
_READ_BATCH: Final = 500
_BULK: Final = 500
"""Documents in one request: more are no faster. A batch may be larger: it is made searchable once, at its end."""
_CONFLICTS: Final = 10
"""So often in a row may others be faster at one document before we wait a little."""
_NOT_STORABLE: Final = frozenset({400, 413})


@dataclass(slots=True)
class _Job:
    """One document to be changed."""

    source: str
    key: str
    places: list[int] = field(default_factory=list)
    """Where in the batch its deliveries stand."""
    state: State | None = None
    outcomes: list[Outcome] = field(default_factory=list)
    changed: bool = False
    version: int = 0
    lines: tuple[bytes, bytes] = (b"", b"")

    @property
    def size(self) -> int:
        return len(self.lines[0]) + len(self.lines[1]) + 2


_Judge = Callable[[_Job, State], bool]
"""``judge(job, state)``: change the state as stored into what it is to be; whether anything changed."""


@dataclass(slots=True)
class _Written:
    """What became of one round of writing."""

    stored: list[_Job] = field(default_factory=list)
    conflicts: list[_Job] = field(default_factory=list)
    later: list[_Job] = field(default_factory=list)
    why: Retryable | None = None
    refused: list[tuple[_Job, str]] = field(default_factory=list)

    def postpone(self, jobs: Sequence[_Job], error: Retryable) -> None:
        self.later += jobs
        if self.why is None or (error.retry_after or 0) > (self.why.retry_after or 0):
            self.why = error


class Writer:
    """The write side. Thread-safe; any number of writers, in any number of processes."""

    def __init__(self, elastic: Elastic, names: Names, indices: Indices, bulk_bytes: int) -> None:
        self._elastic = elastic
        self._names = names
        self._indices = indices
        self._bulk_bytes = bulk_bytes
        self._known = 0.0

    def apply(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Judge and store a batch; on return it is durable and searchable.

        Everything is encoded before anything is sent, so Poison for text or values that no server could store comes
        with nothing applied. What only the server finds unfit is Poison, too, naming it; its neighbours stand then,
        and their redelivery changes nothing.
        """
        jobs: dict[str, _Job] = {}
        corrected: set[str] = set()
        for place, delivery in enumerate(deliveries):
            key = key_of(delivery.mention.id)
            jobs.setdefault(key, _Job(delivery.mention.source, key)).places.append(place)
            if delivery.correction:
                corrected.add(key)
        all_jobs = list(jobs.values())
        known = self._settle(
            all_jobs,
            partial(_count_deliveries, deliveries),
            all_jobs if self._known > _READ_FIRST else [job for job in all_jobs if job.key in corrected],
        )
        self._known = known / len(jobs)
        outcomes: list[Outcome] = ["duplicate"] * len(deliveries)
        for job in all_jobs:
            for place, outcome in zip(job.places, job.outcomes, strict=True):
                outcomes[place] = outcome
        return outcomes

    def erase(self, places: Sequence[tuple[str, str]], wanted: Callable[[ClassifiedMention], bool]) -> int:
        """Erase the mentions at (source, key) that are still wanted gone when it comes to it; how many were erased."""
        erased: set[str] = set()

        def judge(job: _Job, state: State) -> bool:
            erased.discard(job.key)
            if not state.live or not wanted(state.held()):
                return False
            state.erase()
            erased.add(job.key)
            return True

        jobs = [_Job(source, key) for source, key in places]
        self._settle(jobs, judge, jobs)
        return len(erased)

    def _settle(self, jobs: Sequence[_Job], judge: _Judge, read_first: Sequence[_Job]) -> int:
        """Bring all changes about; how many of the documents were there before. Raises Poison for what was refused."""
        mark = secrets.token_hex(6)
        self._load(read_first)
        for job in jobs:
            self._judge(job, judge, mark)
        self._indices.ensure({job.source for job in jobs if job.changed})
        known = sum(job.version > 1 or not job.changed for job in jobs)
        refused: list[tuple[_Job, str]] = []
        waiting = [job for job in jobs if job.changed]
        backoff = self._elastic.backoff()
        rounds = 0
        while waiting:
            done = self._write(waiting)
            refused += done.refused
            waiting = done.later
            if done.stored:
                backoff, rounds = self._elastic.backoff(), 0
            if done.conflicts:
                rounds += 1
                self._load(done.conflicts)
                for job in done.conflicts:
                    assert job.state is not None
                    known += job.version == 1
                    if job.state.writer == mark and job.state.version == job.version:
                        continue  # our own write, of which we never got the answer
                    self._judge(job, judge, mark)
                    if job.changed:
                        waiting.append(job)
            if done.why is not None:
                backoff.wait(done.why)
            elif rounds > _CONFLICTS:
                backoff.wait(Retryable("同一条内容正被别处改写，会自动再试"))
        # Also of what was there already: whoever wrote it may have died before this.
        self._indices.refresh({job.source for job in jobs})
        if refused:
            raise Poison(f"Elasticsearch 拒绝了：{refused[0][1]}")
        return known

    def _judge(self, job: _Job, judge: _Judge, mark: str) -> None:
        state = job.state or State(job.source)
        job.state = None  # once judged it is no longer what is stored
        job.changed = judge(job, state)
        if not job.changed:
            return
        job.version = state.version + 1
        state.writer = mark
        head = {
            "_index": self._names.alias(job.source),
            "_id": job.key,
            "version": job.version,
            "version_type": "external",
            "require_alias": True,
        }
        job.lines = (orjson.dumps({"index": head}), body(state))

    def _load(self, jobs: Sequence[_Job]) -> None:
        """Read what is stored, as it is this moment."""
        for start in range(0, len(jobs), _READ_BATCH):
            some = jobs[start : start + _READ_BATCH]
            places = [(job.source, job.key) for job in some]
            for job, found in zip(
                some, read_documents(self._elastic, self._names, places, ["mention", "state"]), strict=True
            ):
                there = "_source" in found
                job.state = state_from(found["_source"], found["_version"]) if there else State(job.source)

    def _write(self, jobs: Sequence[_Job]) -> _Written:
        done = _Written()
        left = list(chunks(jobs, lambda job: job.size, self._bulk_bytes, _BULK))
        while left:
            chunk = left.pop(0)
            try:
                items = self._elastic.once(partial(_bulk, chunk))
            except Retryable as error:
                # What comes after would meet the same: one waiting for all of it.
                done.postpone([job for one in (chunk, *left) for job in one], error)
                return done
            except TooLarge as error:
                half = len(chunk) // 2
                if half:
                    left[:0] = [chunk[:half], chunk[half:]]
                else:
                    done.refused.append((chunk[0], str(error)))
                continue
            for job, item in zip(chunk, items, strict=True):
                self._sort(job, item["index"], done)
        return done

    def _sort(self, job: _Job, item: dict[str, Any], done: _Written) -> None:
        status = item["status"]
        if status < 300:
            done.stored.append(job)
        elif status == 409:
            done.conflicts.append(job)
        elif status in _NOT_STORABLE:
            problem = item.get("error") or {}
            cause = problem.get("caused_by") or {}
            said = ": ".join(str(part) for part in (problem.get("type"), cause.get("type")) if part)
            done.refused.append((job, said))
        elif status == 404:
            self._indices.forget([job.source])
            self._indices.ensure([job.source])
            done.postpone([job], Retryable(f"{job.source} 的检索库不在了，会重新建立"))
        else:
            error = mapped(status, item.get("error") or {})
            if not isinstance(error, Retryable):
                raise error
            done.postpone([job], error)


def _bulk(jobs: Sequence[_Job], client: Elasticsearch) -> list[dict[str, Any]]:
    lines: list[Any] = [line for job in jobs for line in job.lines]
    answer = client.bulk(
        operations=lines,
        filter_path="items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.type",
    )
    items: list[dict[str, Any]] = answer.body.get("items") or []
    if len(items) != len(jobs):
        raise Retryable(f"Elasticsearch 只答了 {len(jobs)} 条里的 {len(items)} 条，会自动再试")
    return items


def _count_deliveries(deliveries: Sequence[Delivery], job: _Job, state: State) -> bool:
    changed = False
    job.outcomes = []
    for place in job.places:
        outcome, changes = _deliver(deliveries[place], state)
        job.outcomes.append(outcome)
        changed |= changes
    return changed


def _deliver(delivery: Delivery, state: State) -> tuple[Outcome, bool]:
    """What becomes of one delivery, and whether it changes anything."""
    mention = delivery.mention
    if delivery.correction:
        return _correct(mention, state)
    first_time = _count(delivery, state)
    if not first_time and not state.live:
        # Erased since, or it only ever was empty: nothing comes back by being told again.
        return "duplicate", False
    outcome: Outcome
    changed = first_time
    if not mention.has_content:
        outcome = "empty"
    elif not state.live:
        state.live, state.erased, state.copies = True, False, 1
        state.number, state.hash = mention.revision.number, mention.revision.hash
        state.hold(mention)
        outcome = "indexed"
    else:
        newer = mention.revision.number - state.number
        outcome = "revised" if newer > 0 and mention.revision.hash != state.hash else "duplicate"
        if newer > 0:
            state.number, state.hash = mention.revision.number, mention.revision.hash
            state.hold(dated(mention, state.held()))
            changed = True
        elif newer < 0 and (redated := dated(state.held(), mention)) is not state.held():
            state.hold(redated)
            changed = True
        if first_time and outcome == "duplicate":
            state.copies += 1
    if not first_time:
        return "duplicate", changed
    state.tallies[outcome] = state.tallies.get(outcome, 0) + 1
    return outcome, changed


def _correct(mention: ClassifiedMention, state: State) -> tuple[Outcome, bool]:
    if not state.live:
        return "duplicate", False
    held = state.held()
    if held.full_text != mention.full_text or held.analysis == mention.analysis:
        return "duplicate", False
    state.hold(classified(held, mention.analysis))
    return "revised", True


def _count(delivery: Delivery, state: State) -> bool:
    """Note the delivery; False when it is a redelivery."""
    if delivery.replay is not None:
        if delivery.replay in state.replays:
            return False
        state.replays.append(delivery.replay)
        return True
    if delivery.origin is None:
        return True
    topic, part, offset = delivery.origin
    place = f"{topic}:{part}"
    if offset <= state.seen.get(place, -1):
        return False
    state.seen[place] = offset
    return True
