"""A stage on the real embedded log and a clock that stands still: batches, retries, poison, limits, stopping."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.clock import ManualClock
from ingest.dead_letters import DeadLetters
from ingest.errors import ContractError, DeadLetterLimit, Permanent, Poison, Retryable, Unavailable
from ingest.log.base import Consumer, Outgoing, Record, Topics
from ingest.log.sqlite import SqliteConsumer, SqliteLog
from ingest.stage import Reject, Stage, StagePolicy, Work
from tests.processes import wait_until

TOPIC = Topics.COLLECTED
QUICK = StagePolicy(poll_timeout=0.02)


def fill(log: SqliteLog, count: int, *, start: int = 0) -> None:
    log.produce(TOPIC, [Outgoing(f"jd:review:{n}", f"value {n}".encode()) for n in range(start, start + count)])


def number(record: Record) -> int:
    return int(record.key.rpartition(":")[2])


class Doer:
    """A work that notes its batches, fails as it is told to, and stops its stage after ``until`` records."""

    def __init__(self, *, until: int = 10**9, fail: Callable[[Sequence[Record], Reject], None] | None = None) -> None:
        self.batches: list[list[int]] = []
        self.stop = threading.Event()
        self._until = until
        self._fail = fail

    def __call__(self, records: Sequence[Record], reject: Reject) -> None:
        if self._fail:
            self._fail(records, reject)
        self.batches.append([number(record) for record in records])
        if len(self.done) >= self._until:
            self.stop.set()

    @property
    def done(self) -> list[int]:
        return [n for batch in self.batches for n in batch]


def a_stage(log: SqliteLog, work: Work, clock: ManualClock, policy: StagePolicy = QUICK, seed: int = 1) -> Stage:
    return Stage("classify", log, TOPIC, work, clock, policy=policy, seed=seed)


def committed(log: SqliteLog) -> int:
    return log.committed(TOPIC, "classify")[0]


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_ends_at_its_size(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 10)
    work = Doer(until=10)
    a_stage(log, work, clock, StagePolicy(batch_size=4, poll_timeout=0.02)).run(work.stop)
    assert work.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert committed(log) == 10


def test_a_batch_ends_after_its_time_while_records_trickle_in(tmp_path: Path, clock: ManualClock) -> None:
    class TricklingConsumer(SqliteConsumer):
        def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
            fill(log, 1, start=log.end_offsets(TOPIC)[0])
            clock.advance(0.0625)
            clock.jump(datetime(2031, 1, 1, tzinfo=clock.now().tzinfo))  # the wall clock has no say in it
            return super().poll(max_records, timeout)

    with Log(tmp_path / "log.db", clock, TricklingConsumer) as log:
        work = Doer(until=15)
        a_stage(log, work, clock, StagePolicy(batch_size=1000, batch_wait=0.25)).run(work.stop)
    assert work.batches == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 12, 13, 14]]


def test_a_small_batch_does_not_wait_for_company(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 3)
    work = Doer(until=3)
    a_stage(log, work, clock, StagePolicy(batch_size=500, batch_wait=3600)).run(work.stop)
    assert work.batches == [[0, 1, 2]]


def test_a_batch_of_large_values_is_bounded_in_bytes(log: SqliteLog, clock: ManualClock) -> None:
    value = bytes(1024 * 1024)
    for n in range(70):
        log.produce(TOPIC, [Outgoing(f"jd:review:{n}", value)])
    work = Doer(until=70)
    a_stage(log, work, clock, StagePolicy(batch_size=500)).run(work.stop)
    assert work.done == list(range(70))
    assert max(len(batch) for batch in work.batches) <= 48


def test_an_idle_stage_polls_and_commits_nothing(log: SqliteLog, clock: ManualClock) -> None:
    work = Doer()
    stage = a_stage(log, work, clock)
    timer = threading.Timer(0.1, work.stop.set)
    timer.start()
    stage.run(work.stop)
    timer.join()
    assert (work.batches, committed(log), stage.health.state) == ([], 0, "stopped")


def test_drain_works_through_what_is_there(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 25)
    work = Doer()
    assert a_stage(log, work, clock, StagePolicy(batch_size=10)).drain() == 25
    assert work.done == list(range(25))
    assert (committed(log), a_stage(log, work, clock).drain()) == (25, 0)


# -- what may pass ---------------------------------------------------------------------------------------------------


def failing(times: int, error: Callable[[], Exception]) -> Callable[[Sequence[Record], Reject], None]:
    left = [times]

    def fail(_records: Sequence[Record], _reject: Reject) -> None:
        if left[0]:
            left[0] -= 1
            raise error()

    return fail


def test_a_retryable_batch_is_handed_in_again_whole_and_nothing_new_is_polled(
    log: SqliteLog, clock: ManualClock
) -> None:
    fill(log, 9)
    seen: list[list[int]] = []
    fail = failing(4, lambda: Unavailable("connection refused"))

    def note(records: Sequence[Record], reject: Reject) -> None:
        seen.append([number(record) for record in records])
        fail(records, reject)

    work = Doer(fail=note)
    stage = a_stage(log, work, clock, StagePolicy(batch_size=3))
    assert stage.drain() == 9
    assert seen == [[0, 1, 2]] * 5 + [[3, 4, 5], [6, 7, 8]]
    assert work.done == list(range(9))
    assert (stage.health.retries, stage.health.records, stage.health.rejected) == (4, 9, 0)
    assert stage.health.last_error == "connection refused"
    assert DeadLetters(log, clock).open() == []


def waits_of(log: SqliteLog, seed: int, policy: StagePolicy, error: Callable[[], Exception]) -> list[float]:
    clock = ManualClock()
    with pytest.raises(Retryable):
        a_stage(log, Doer(fail=failing(10**9, error)), clock, policy, seed).drain()
    return clock.waits


def test_back_off_grows_to_its_cap_and_is_jittered(log: SqliteLog) -> None:
    fill(log, 1)
    policy = StagePolicy(max_attempts=10, backoff_base=0.2, backoff_cap=5.0)
    runs = [waits_of(log, seed, policy, lambda: Unavailable("no")) for seed in range(60)]
    assert all(len(run) == 9 for run in runs)
    ceilings = [min(5.0, 0.2 * 2**n) for n in range(1, 10)]
    for ceiling, column in zip(ceilings, zip(*runs, strict=True), strict=True):
        assert all(0 <= wait <= ceiling for wait in column)
        assert len(set(column)) == 60, "jitter: two stages never wait the same"
        assert statistics.mean(column) == pytest.approx(ceiling / 2, rel=0.35)
    assert waits_of(log, 7, policy, lambda: Unavailable("no")) == runs[7], "seeded: a red run can be repeated"


def test_the_other_sides_own_wish_is_honoured(log: SqliteLog) -> None:
    fill(log, 1)
    policy = StagePolicy(max_attempts=4, backoff_base=0.1)
    assert waits_of(log, 1, policy, lambda: Retryable("429", retry_after=17.5)) == [17.5] * 3
    assert max(waits_of(log, 1, policy, lambda: Retryable("503", retry_after=0.0))) <= 0.8


def test_attempts_end_with_the_stage_stopped_and_nothing_committed(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 5)
    tries = [0]

    def fail(_records: Sequence[Record], _reject: Reject) -> None:
        tries[0] += 1
        raise Unavailable(f"attempt {tries[0]}")

    work = Doer(fail=fail)
    stage = a_stage(log, work, clock, StagePolicy(max_attempts=6, poll_timeout=0.02))
    with pytest.raises(Unavailable, match="attempt 6"):
        stage.run(work.stop)
    assert (tries[0], len(clock.waits), committed(log)) == (6, 5, 0)
    assert (stage.health.state, stage.health.last_error) == ("failed", "attempt 6")
    assert DeadLetters(log, clock).open() == []
    after = Doer()
    assert a_stage(log, after, clock).drain() == 5
    assert after.done == [0, 1, 2, 3, 4]


def test_a_stage_may_try_practically_for_ever(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 1)
    work = Doer(fail=failing(1500, lambda: Unavailable("flood stage")))
    assert a_stage(log, work, clock, StagePolicy(max_attempts=10**9)).drain() == 1
    assert (len(clock.waits), max(clock.waits) <= 30.0) == (1500, True)


def test_a_policy_without_attempts_is_a_mistake(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 1)
    with pytest.raises(ContractError):
        a_stage(log, Doer(), clock, StagePolicy(max_attempts=0)).drain()


class Log(SqliteLog):
    """The real log with members of another class, to let a server's trouble happen."""

    def __init__(self, path: Path, clock: ManualClock, member: type[SqliteConsumer]) -> None:
        super().__init__(path, clock=clock)
        self._member = member

    def consumer(self, topic: str, group: str) -> Consumer:
        return self._member(self._path, topic, self._topic(topic), group)


def test_a_log_that_cannot_be_reached_for_a_while_loses_nothing(tmp_path: Path, clock: ManualClock) -> None:
    polls = [0]

    class ShakyConsumer(SqliteConsumer):
        """Every second poll fails, the first one of a batch or a later one; a poll brings two records at most."""

        def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
            polls[0] += 1
            if polls[0] % 2 == 0 or polls[0] < 4:
                raise Unavailable("broker is gone")
            return super().poll(min(max_records, 2), timeout)

    with Log(tmp_path / "log.db", clock, ShakyConsumer) as log:
        fill(log, 20)
        work = Doer(until=20)
        stage = a_stage(log, work, clock)
        stage.run(work.stop)
        assert work.done == list(range(20))
        assert (committed(log), stage.health.state) == (20, "stopped")
        assert stage.health.retries >= 3


def test_a_log_that_stays_away_stops_the_stage_in_the_end(tmp_path: Path, clock: ManualClock) -> None:
    class DeadConsumer(SqliteConsumer):
        def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
            raise Unavailable("broker is gone")

    with Log(tmp_path / "log.db", clock, DeadConsumer) as log:
        stage = a_stage(log, Doer(), clock, StagePolicy(max_attempts=5))
        with pytest.raises(Unavailable):
            stage.run(threading.Event())
        assert (stage.health.state, len(clock.waits)) == ("failed", 4)


def test_joining_is_tried_again_too(tmp_path: Path, clock: ManualClock) -> None:
    class LateLog(SqliteLog):
        refused = 0

        def consumer(self, topic: str, group: str) -> Consumer:
            if self.refused < 3:
                self.refused += 1
                raise Unavailable("no broker yet")
            return super().consumer(topic, group)

    with LateLog(tmp_path / "log.db", clock=clock) as log:
        fill(log, 3)
        work = Doer(until=3)
        a_stage(log, work, clock).run(work.stop)
        assert (work.done, log.refused) == ([0, 1, 2], 3)


def test_a_commit_that_fails_is_tried_again_without_doing_the_work_again(tmp_path: Path, clock: ManualClock) -> None:
    commits: list[int] = []

    class ShakyConsumer(SqliteConsumer):
        def commit(self, positions: Mapping[int, int]) -> None:
            commits.append(positions[0])
            if len(commits) < 4:
                raise Retryable("busy")
            super().commit(positions)

    with Log(tmp_path / "log.db", clock, ShakyConsumer) as log:
        fill(log, 3)
        work = Doer()
        assert a_stage(log, work, clock).drain() == 3
        assert (work.batches, commits, committed(log)) == ([[0, 1, 2]], [3, 3, 3, 3], 3)


# -- what cannot pass ------------------------------------------------------------------------------------------------


def by_reject(record: Record, reject: Reject) -> None:
    reject(record, Poison("not a mention", field="text"))


def by_poison(_record: Record, _reject: Reject) -> None:
    raise Poison("not a mention", field="text")


def by_bug(_record: Record, _reject: Reject) -> None:
    raise KeyError("text")


@pytest.mark.parametrize(
    ("how", "error", "kind", "attempts"),
    [
        (by_reject, "text: not a mention", "Poison", 1),
        (by_poison, "text: not a mention", "Poison", 2),
        (by_bug, "'text'", "KeyError", 2),
    ],
)
def test_poison_is_parked_with_its_bytes_while_its_neighbours_go_on(
    log: SqliteLog,
    clock: ManualClock,
    how: Callable[[Record, Reject], None],
    error: str,
    kind: str,
    attempts: int,
) -> None:
    raw = b"\x00\xff{\xed\xa0\x80 not json"
    for n in range(12):
        value = raw if n in (3, 7) else b"{}"
        log.produce(TOPIC, [Outgoing(f"jd:review:{n}", value, {"spider": f"s{n}", "中": "文"})])
    good: set[int] = set()

    def work(records: Sequence[Record], reject: Reject) -> None:
        for record in records:
            if record.value == raw:
                how(record, reject)
            else:
                good.add(number(record))

    stage = a_stage(log, work, clock, StagePolicy(batch_size=5))
    assert stage.drain() == 12
    assert good == set(range(12)) - {3, 7}
    assert (log.lag(TOPIC, "classify"), stage.health.records, stage.health.rejected) == (0, 12, 2)
    letters = DeadLetters(log, clock).open()
    assert [letter.id for letter in letters] == [f"classify:{TOPIC}:0:3", f"classify:{TOPIC}:0:7"]
    for n, letter in zip((3, 7), letters, strict=True):
        assert (letter.payload, letter.sealed) == (raw, False)
        assert (letter.stage, letter.origin, letter.key) == ("classify", (TOPIC, 0, n), f"jd:review:{n}")
        assert (letter.error, letter.kind, letter.attempts) == (error, kind, attempts)
        assert (letter.source, letter.at) == ("jd", clock.now())
        assert letter.headers == {"spider": f"s{n}", "中": "文"}


@pytest.mark.parametrize(
    "message", ["", "lone \ud800 surrogate", "a\0b", "x" * 1_000_000, "行\n二", "\udfff" * 600], ids=range(6)
)
def test_any_words_of_an_error_can_be_parked(log: SqliteLog, clock: ManualClock, message: str) -> None:
    fill(log, 3)

    def work(records: Sequence[Record], _reject: Reject) -> None:
        if any(number(record) == 1 for record in records):
            raise RuntimeError(message)

    assert a_stage(log, work, clock).drain() == 3
    (letter,) = DeadLetters(log, clock).open()
    assert (letter.payload, letter.origin[2]) == (b"value 1", 1)
    assert len(letter.error) <= 500


def test_rejects_of_an_attempt_that_failed_are_forgotten(log: SqliteLog, clock: ManualClock) -> None:
    """What was rejected while the index was away may be fine when it is back."""
    fill(log, 4)
    away = [3]

    def work(records: Sequence[Record], reject: Reject) -> None:
        if away[0]:
            away[0] -= 1
            reject(records[0], Poison("could not be looked up"))
            raise Unavailable("index")
        reject(records[2], Poison("bad"))

    assert a_stage(log, work, clock).drain() == 4
    assert [letter.origin[2] for letter in DeadLetters(log, clock).open()] == [2]


def test_a_rejected_and_a_tripping_record_in_one_batch_are_both_parked(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 8)
    effect: set[int] = set()

    def work(records: Sequence[Record], reject: Reject) -> None:
        for record in records:
            if number(record) == 2:
                reject(record, Poison("bad"))
            elif number(record) == 5:
                raise ValueError("bug")
            else:
                effect.add(number(record))

    a_stage(log, work, clock).drain()
    letters = DeadLetters(log, clock).open()
    assert [(letter.origin[2], letter.attempts) for letter in letters] == [(2, 1), (5, 2)]
    assert effect == {0, 1, 3, 4, 6, 7}


def test_what_needs_a_person_stops_the_stage_and_parks_nothing(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 4)

    def fail(_records: Sequence[Record], _reject: Reject) -> None:
        raise Permanent("the index was made by a newer program")

    stage = a_stage(log, Doer(fail=fail), clock)
    with pytest.raises(Permanent, match="newer program"):
        stage.run(threading.Event())
    assert (stage.health.state, committed(log), clock.waits) == ("failed", 0, [])
    assert DeadLetters(log, clock).open() == []


def reject_all(records: Sequence[Record], reject: Reject) -> None:
    for record in records:
        reject(record, Poison(f"bad deploy {number(record)}"))


def test_a_stream_of_nothing_but_poison_stops_the_stage_before_anything_is_parked(
    log: SqliteLog, clock: ManualClock
) -> None:
    fill(log, 2000)
    stage = a_stage(log, reject_all, clock)
    with pytest.raises(DeadLetterLimit, match=r"连续 100 条处理不了.*bad deploy"):
        stage.run(threading.Event())
    assert (log.end_offsets(Topics.DEAD_LETTERS), committed(log)) == ({0: 0}, 0)
    assert stage.health.state == "failed"
    fixed = Doer()
    assert a_stage(log, fixed, clock).drain() == 2000
    assert fixed.done == list(range(2000))


def test_the_limit_counts_across_batches_and_a_good_record_ends_the_row(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 400)

    def work(records: Sequence[Record], reject: Reject) -> None:
        reject_all([record for record in records if number(record) != 60], reject)

    policy = StagePolicy(batch_size=25, max_rejected_in_row=100)
    with pytest.raises(DeadLetterLimit):
        a_stage(log, work, clock, policy).drain()
    # 61 to 160 is the first row of a hundred; it ends in the batch 150-174, of which nothing is parked.
    assert committed(log) == 150
    assert len(DeadLetters(log, clock).open()) == 149


@pytest.mark.parametrize(("bad", "stops"), [(4, False), (5, False), (6, True)])
def test_too_large_a_share_of_poison_stops_the_stage(log: SqliteLog, clock: ManualClock, bad: int, stops: bool) -> None:
    fill(log, 600)

    def work(records: Sequence[Record], reject: Reject) -> None:
        reject_all([record for record in records if number(record) % 10 < bad], reject)

    policy = StagePolicy(batch_size=20, max_rejected_ratio=0.5, ratio_window=200)
    stage = a_stage(log, work, clock, policy)
    if not stops:
        assert stage.drain() == 600
        assert len(DeadLetters(log, clock).open()) == 60 * bad
        return
    with pytest.raises(DeadLetterLimit, match="最近 200 条里有 120 条"):
        stage.drain()
    assert (committed(log), len(DeadLetters(log, clock).open())) == (180, 108)


def test_the_share_is_judged_when_the_window_fills_with_good_records(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 100)

    def work(records: Sequence[Record], reject: Reject) -> None:
        reject_all([record for record in records if number(record) < 80 and number(record) % 10 < 9], reject)

    policy = StagePolicy(batch_size=20, max_rejected_ratio=0.5, ratio_window=100)
    with pytest.raises(DeadLetterLimit, match="最近 100 条里有 72 条"):
        a_stage(log, work, clock, policy).drain()
    assert committed(log) == 80


# -- stopping --------------------------------------------------------------------------------------------------------


def test_a_stage_told_to_stop_before_it_began_does_nothing(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 3)
    work = Doer()
    work.stop.set()
    stage = a_stage(log, work, clock)
    stage.run(work.stop)
    assert (work.batches, committed(log), stage.health.state) == ([], 0, "stopped")


def test_the_batch_in_hand_is_finished_and_committed(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 20)
    work = Doer(until=1)  # sets stop while the first batch is being worked on
    stage = a_stage(log, work, clock, StagePolicy(batch_size=5))
    stage.run(work.stop)
    assert (work.batches, committed(log)) == ([[0, 1, 2, 3, 4]], 5)
    assert (stage.health.state, stage.health.records) == ("stopped", 5)


def test_stopping_while_waiting_to_try_again_commits_nothing(log: SqliteLog) -> None:
    fill(log, 3)
    stop = threading.Event()

    class StoppingClock(ManualClock):
        def wait(self, seconds: float, stop: threading.Event) -> bool:
            stop.set()
            return super().wait(seconds, stop)

    stage = a_stage(log, Doer(fail=failing(10**9, lambda: Unavailable("no"))), StoppingClock())
    stage.run(stop)
    assert (stage.health.state, committed(log)) == ("stopped", 0)


def test_stopping_while_letters_cannot_be_parked_loses_no_letter(tmp_path: Path) -> None:
    class FullLog(SqliteLog):
        full = True

        def produce(
            self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None
        ) -> None:
            if topic == Topics.DEAD_LETTERS and self.full:
                raise Retryable("the disk is full")
            super().produce(topic, records, checkpoint=checkpoint)

    class StoppingClock(ManualClock):
        def wait(self, seconds: float, stop: threading.Event) -> bool:
            stop.set()
            return super().wait(seconds, stop)

    def work(records: Sequence[Record], reject: Reject) -> None:
        reject(records[1], Poison("bad"))

    clock = StoppingClock()
    with FullLog(tmp_path / "log.db", clock=clock) as log:
        fill(log, 3)
        a_stage(log, work, clock).run(threading.Event())
        assert committed(log) == 0, "the letter is not parked, so the record must come again"
        log.full = False
        a_stage(log, work, clock).drain()
        assert ([letter.origin[2] for letter in DeadLetters(log, clock).open()], committed(log)) == ([1], 3)


def test_a_second_stage_waits_for_its_turn(log: SqliteLog, clock: ManualClock) -> None:
    fill(log, 5)
    work = Doer(until=5)
    stage = a_stage(log, work, clock)
    with log.consumer(TOPIC, "classify") as owner:
        assert len(owner.poll(5, 1.0)) == 5
        thread = threading.Thread(target=stage.run, args=(work.stop,))
        thread.start()
        waiting = threading.Event()
        waiting.wait(0.2)
        assert (stage.health.state, work.batches) == ("waiting", [])
    wait_until(lambda: work.done, what="the take-over")
    thread.join()
    assert (work.done, committed(log), stage.health.state) == ([0, 1, 2, 3, 4], 5, "stopped")


# -- everything at once ----------------------------------------------------------------------------------------------

FATES = st.sampled_from(["good"] * 6 + ["reject", "poison", "bug", "retry", "retry then bug"])


@settings(max_examples=60)
@given(fates=st.lists(FATES, min_size=1, max_size=30), size=st.integers(1, 12))
def test_whatever_happens_every_record_has_its_effect_or_its_letter(fates: list[str], size: int) -> None:
    retried: set[int] = set()
    effect: set[int] = set()

    def work(records: Sequence[Record], reject: Reject) -> None:
        done = set()
        for record in records:
            n = number(record)
            fate = fates[n]
            if fate.startswith("retry") and n not in retried:
                retried.add(n)
                raise Unavailable("for now")
            if fate == "reject":
                reject(record, Poison("bad"))
            elif fate == "poison":
                raise Poison("bad")
            elif fate.endswith("bug"):
                raise IndexError("bug")
            else:
                done.add(n)
        effect.update(done)

    clock = ManualClock()
    with TemporaryDirectory() as folder, SqliteLog(Path(folder) / "log.db", clock=clock) as log:
        fill(log, len(fates))
        policy = StagePolicy(batch_size=size, max_attempts=40)
        assert a_stage(log, work, clock, policy).drain() == len(fates)
        parked = [letter.origin[2] for letter in DeadLetters(log, clock).open()]
        assert log.end_offsets(Topics.DEAD_LETTERS) == {0: len(parked)}
        assert committed(log) == len(fates)
    good = {n for n, fate in enumerate(fates) if fate in ("good", "retry")}
    assert (effect, sorted(parked)) == (good, sorted(set(range(len(fates))) - good))
