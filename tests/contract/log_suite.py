"""The event log's contract as tests: every backend runs the same.

A backend's test module subclasses :class:`LogSuite` and says how its log is opened, here and in another process.
A topic may have any number of partitions: tests speak of keys and partitions, never of one global order.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.clock import ManualClock
from ingest.errors import ContractError
from ingest.log.base import Consumer, EventLog, Outgoing, Record, Topics
from tests.contract.log_worker import Opener, consume_until, own_and_hang, produce_batches_for_ever, produce_many
from tests.processes import KILLED, Nursery, wait_until

TOPIC = Topics.COLLECTED


def numbered(count: int, *, key: str = "k", start: int = 0) -> list[Outgoing]:
    return [Outgoing(key, str(n).encode()) for n in range(start, start + count)]


def values(records: Sequence[Record]) -> list[bytes]:
    return [record.value for record in records]


def per_key(records: Sequence[Record]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = defaultdict(list)
    for record in records:
        found[record.key].append(record.value)
    return found


def after(records: Sequence[Record]) -> dict[int, int]:
    """The positions to commit when all of ``records`` are done."""
    positions: dict[int, int] = {}
    for record in records:
        positions[record.partition] = max(positions.get(record.partition, 0), record.offset + 1)
    return positions


class LogSuite(ABC):
    patience: float = 30.0
    """Seconds until a record that is there must have been polled: joining a group takes a server its time."""
    settle: float = 0.3
    """Seconds without a record after which none is coming."""
    large: int = 1024 * 1024
    """Bytes of a large value."""
    poll_bytes: int = 32 * 1024 * 1024
    """What one poll may bring at most, beyond its first record."""

    @abstractmethod
    def open(self, clock: ManualClock) -> EventLog:
        """Open this test's log: empty at first, the same one when called again."""

    @abstractmethod
    def opener(self) -> Opener:
        """How another process opens this test's log."""

    @pytest.fixture
    def log(self, clock: ManualClock) -> Iterator[EventLog]:
        with self.open(clock) as opened:
            yield opened

    def take(self, consumer: Consumer, count: int, batch: int = 100) -> list[Record]:
        """Exactly ``count`` records, however many polls that takes."""
        taken: list[Record] = []
        deadline = time.monotonic() + self.patience
        while len(taken) < count and time.monotonic() < deadline:
            taken += consumer.poll(min(batch, count - len(taken)), 0.2)
        assert len(taken) == count
        return taken

    def rest(self, consumer: Consumer) -> list[Record]:
        """What still comes until nothing does."""
        found: list[Record] = []
        while more := consumer.poll(100, self.settle):
            found += more
        return found

    def join(self, consumer: Consumer) -> list[Record]:
        """Poll until the member owns a partition; what was polled on the way."""
        polled: list[Record] = []
        deadline = time.monotonic() + self.patience
        while not consumer.assigned and time.monotonic() < deadline:
            polled += consumer.poll(1, 0.2)
        assert consumer.assigned
        return polled

    # -- producing -----------------------------------------------------------------------------------------------

    def test_records_of_one_key_keep_their_order(self, log: EventLog) -> None:
        sent = [Outgoing(f"k{n % 7}", str(n).encode()) for n in range(210)]
        for start in range(0, 210, 30):
            log.produce(TOPIC, sent[start : start + 30])
        with log.consumer(TOPIC, "g") as consumer:
            found = per_key(self.take(consumer, 210))
        assert found == {f"k{k}": [str(n).encode() for n in range(k, 210, 7)] for k in range(7)}

    def test_offsets_count_from_zero_without_holes(self, log: EventLog) -> None:
        log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(40)])
        log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(40)])
        with log.consumer(TOPIC, "g") as consumer:
            records = self.take(consumer, 80, batch=9)
        offsets: dict[int, list[int]] = defaultdict(list)
        for record in records:
            offsets[record.partition].append(record.offset)
        assert all(found == list(range(len(found))) for found in offsets.values())
        assert {part: len(found) for part, found in offsets.items()} == {
            part: end for part, end in log.end_offsets(TOPIC).items() if end
        }

    def test_equal_keys_share_a_partition(self, log: EventLog) -> None:
        log.produce(TOPIC, [Outgoing(f"k{n % 5}", b"v") for n in range(50)])
        log.produce(TOPIC, [Outgoing(f"k{n % 5}", b"v") for n in range(50)])
        with log.consumer(TOPIC, "g") as consumer:
            homes = {(record.key, record.partition) for record in self.take(consumer, 100)}
        assert len(homes) == 5

    def test_topics_are_apart(self, log: EventLog) -> None:
        log.produce(Topics.COLLECTED, numbered(3))
        log.produce(Topics.CLASSIFIED, numbered(2, start=50))
        with log.consumer(Topics.CLASSIFIED, "g") as consumer:
            records = self.take(consumer, 2)
            assert self.rest(consumer) == []
        assert values(records) == [b"50", b"51"]
        assert {record.topic for record in records} == {Topics.CLASSIFIED}
        assert min(record.offset for record in records) == 0

    def test_a_record_comes_back_as_it_was_sent(self, log: EventLog, clock: ManualClock) -> None:
        before = clock.now()
        headers = {"error": "不热，漏水\n二行", "empty": "", "h.row": "12"}
        log.produce(TOPIC, [Outgoing("jd:review:1", "暖气片".encode(), headers), Outgoing("jd:review:1", b"plain")])
        with log.consumer(TOPIC, "g") as consumer:
            first, second = self.take(consumer, 2)
        assert (first.topic, first.key, first.value) == (TOPIC, "jd:review:1", "暖气片".encode())
        assert dict(first.headers) == headers
        assert dict(second.headers) == {}
        assert first.timestamp.utcoffset() == timedelta(0)
        assert abs(first.timestamp - before) < timedelta(minutes=1)
        assert first.position == f"{TOPIC}:{first.partition}:{first.offset}"

    @pytest.mark.parametrize(
        "value", [b"", b"\0", b"\0" * 100, bytes(range(256)), b"\xff\xfe\xed\xa0\x80", b"\n\r\n", b'{"a": 1}']
    )
    def test_values_are_any_bytes(self, log: EventLog, value: bytes) -> None:
        log.produce(TOPIC, [Outgoing("k", value)])
        with log.consumer(TOPIC, "g") as consumer:
            (record,) = self.take(consumer, 1)
        assert record.value == value
        assert type(record.value) is bytes

    @pytest.mark.parametrize(
        "key", ["", " ", "jd:review:中文", "a\0b", "x" * 300, "🔥🔥", "'; DROP TABLE records; --", "a\nb", "%s{0}"]
    )
    def test_keys_are_any_text(self, log: EventLog, key: str) -> None:
        log.produce(TOPIC, [Outgoing(key, b"v", {"header": key})])
        with log.consumer(TOPIC, "g") as consumer:
            (record,) = self.take(consumer, 1)
        assert (record.key, record.headers["header"]) == (key, key)

    @pytest.mark.parametrize("bad", [Outgoing("\ud800", b"v"), Outgoing("k", b"v", {"reason": "\udfff"})])
    def test_a_batch_with_a_record_that_cannot_be_written_is_refused_whole(self, log: EventLog, bad: Outgoing) -> None:
        with pytest.raises(ContractError):
            log.produce(TOPIC, [*numbered(5), bad, *numbered(5)], checkpoint=("import", "10"))
        assert sum(log.end_offsets(TOPIC).values()) == 0
        assert log.checkpoint("import") is None
        log.produce(TOPIC, numbered(2))
        with log.consumer(TOPIC, "g") as consumer:
            assert [record.offset for record in self.take(consumer, 2)] == [0, 1]

    def test_no_records_are_no_records(self, log: EventLog) -> None:
        log.produce(TOPIC, [], checkpoint=("import", "done"))
        assert sum(log.end_offsets(TOPIC).values()) == 0
        assert log.checkpoint("import") == "done"

    def test_an_unknown_topic_is_refused_everywhere(self, log: EventLog, clock: ManualClock) -> None:
        for call in (
            lambda: log.produce("no.such", numbered(1)),
            lambda: log.consumer("no.such", "g"),
            lambda: log.end_offsets("no.such"),
            lambda: log.committed("no.such", "g"),
            lambda: log.read("no.such", 0, 0, 1),
            lambda: log.trim("no.such", clock.now()),
            lambda: log.lag("no.such", "g"),
        ):
            with pytest.raises(ContractError, match=r"no\.such"):
                call()

    def test_what_was_produced_survives_reopening(self, log: EventLog, clock: ManualClock) -> None:
        log.produce(TOPIC, numbered(10), checkpoint=("import", "10"))
        log.close()
        with self.open(clock) as again, again.consumer(TOPIC, "g") as consumer:
            assert again.checkpoint("import") == "10"
            assert values(self.take(consumer, 10)) == [str(n).encode() for n in range(10)]

    # -- checkpoints ---------------------------------------------------------------------------------------------

    def test_checkpoints_are_kept_by_name_and_replaced(self, log: EventLog) -> None:
        assert log.checkpoint("a") is None
        log.produce(TOPIC, numbered(1), checkpoint=("a", "1"))
        log.produce(TOPIC, numbered(1), checkpoint=("b 中\n文", "x"))
        log.produce(TOPIC, numbered(1), checkpoint=("a", "2"))
        log.produce(TOPIC, numbered(1))
        assert (log.checkpoint("a"), log.checkpoint("b 中\n文"), log.checkpoint("c")) == ("2", "x", None)

    def test_a_producer_killed_at_any_point_leaves_whole_batches_and_their_checkpoint(
        self, log: EventLog, clock: ManualClock, nursery: Nursery
    ) -> None:
        batch = 50
        for round_number in range(6):
            before = sum(log.end_offsets(TOPIC).values())
            child = nursery.start(produce_batches_for_ever, self.opener(), TOPIC, batch)
            wait_until(lambda start=before: sum(log.end_offsets(TOPIC).values()) > start, what="a batch")  # type: ignore[misc]
            time.sleep(0.003 * round_number)
            child.signal(signal.SIGKILL)
            assert child.wait() == KILLED
            ends = sum(log.end_offsets(TOPIC).values())
            assert ends % batch == 0
            # Without transactions a checkpoint may lag by the batch that was cut off: repeated, never lost.
            assert ends // batch - int(log.checkpoint("batch") or "0") in self.checkpoint_lag(round_number + 1)
        with log.consumer(TOPIC, "g") as consumer:
            found = values(self.take(consumer, ends))
        whole = [found[start : start + batch] for start in range(0, ends, batch)]
        assert all(
            [v.split(b".")[0].split(b":")[1] for v in part] == [b"%d" % i for i in range(batch)] for part in whole
        )
        assert all(len({v.split(b":")[0] for v in part}) == 1 for part in whole)

    def checkpoint_lag(self, kills: int) -> range:
        """By how many batches the records may be ahead of the checkpoint after ``kills`` crashes."""
        return range(1)

    # -- consuming and committing --------------------------------------------------------------------------------

    def test_a_new_group_starts_at_the_oldest_record(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "first") as consumer:
            consumer.commit(after(self.take(consumer, 5)))
        with log.consumer(TOPIC, "late") as consumer:
            assert values(self.take(consumer, 5)) == [b"0", b"1", b"2", b"3", b"4"]

    def test_nothing_is_committed_by_itself(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(8))
        with log.consumer(TOPIC, "g") as consumer:
            self.take(consumer, 4, batch=2)
            self.take(consumer, 4, batch=2)
            assert self.rest(consumer) == []
            assert sum(log.committed(TOPIC, "g").values()) == 0
        assert sum(log.committed(TOPIC, "g").values()) == 0
        with log.consumer(TOPIC, "g") as consumer:
            assert len(self.take(consumer, 8)) == 8

    def test_reading_goes_on_at_the_last_commit(self, log: EventLog, clock: ManualClock) -> None:
        log.produce(TOPIC, numbered(10))
        with log.consumer(TOPIC, "g") as consumer:
            first = self.take(consumer, 4)
            self.take(consumer, 3)
            consumer.commit(after(first))
        log.close()
        with self.open(clock) as again:
            assert sum(again.committed(TOPIC, "g").values()) == 4
            with again.consumer(TOPIC, "g") as consumer:
                assert values(self.take(consumer, 6)) == [str(n).encode() for n in range(4, 10)]

    def test_lag_counts_what_is_not_committed(self, log: EventLog) -> None:
        assert log.lag(TOPIC, "g") == 0
        log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(10)])
        assert log.lag(TOPIC, "g") == 10
        with log.consumer(TOPIC, "g") as consumer:
            self.take(consumer, 10)
            assert log.lag(TOPIC, "g") == 10
            consumer.commit(log.end_offsets(TOPIC))
        assert log.lag(TOPIC, "g") == 0

    def test_groups_do_not_see_each_other(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(6))
        with log.consumer(TOPIC, "one") as one, log.consumer(TOPIC, "two") as two:
            one.commit(after(self.take(one, 6)))
            assert len(self.take(two, 6)) == 6
        assert (sum(log.committed(TOPIC, "one").values()), sum(log.committed(TOPIC, "two").values())) == (6, 0)

    @pytest.mark.parametrize(
        "names", [("a:b", "a_b"), ("a/b", "a b"), ("索引", "预警"), ("A", "a"), ("g" * 250, "g" * 249)]
    )
    def test_groups_with_similar_names_are_different_groups(self, log: EventLog, names: tuple[str, str]) -> None:
        log.produce(TOPIC, numbered(3))
        with log.consumer(TOPIC, names[0]) as one, log.consumer(TOPIC, names[1]) as two:
            assert len(self.take(one, 3)) == 3
            assert len(self.take(two, 3)) == 3

    def test_a_group_is_a_group_of_one_topic(self, log: EventLog) -> None:
        log.produce(Topics.COLLECTED, numbered(3))
        log.produce(Topics.CLASSIFIED, numbered(2))
        with log.consumer(Topics.COLLECTED, "g") as one, log.consumer(Topics.CLASSIFIED, "g") as two:
            one.commit(after(self.take(one, 3)))
            assert len(self.take(two, 2)) == 2
        assert sum(log.committed(Topics.CLASSIFIED, "g").values()) == 0

    def test_committing_beyond_what_was_polled_is_refused(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "g") as consumer:
            (first,) = self.take(consumer, 1)
            with pytest.raises(ContractError):
                consumer.commit({first.partition: first.offset + 2})
            with pytest.raises(ContractError):
                consumer.commit({first.partition: -1})
            assert sum(log.committed(TOPIC, "g").values()) == 0
            consumer.commit(after([first]))
        assert sum(log.committed(TOPIC, "g").values()) == 1

    def test_committing_a_partition_of_somebody_else_is_refused(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "g") as consumer:
            with pytest.raises(ContractError):
                consumer.commit({0: 0})  # not yet a member
            (first,) = self.take(consumer, 1)
            with pytest.raises(ContractError):
                consumer.commit({999: 0})
            with pytest.raises(ContractError):
                consumer.commit({first.partition: first.offset + 1, 999: 0})
        assert sum(log.committed(TOPIC, "g").values()) == 0

    def test_a_closed_member_can_do_nothing(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(2))
        consumer = log.consumer(TOPIC, "g")
        records = self.take(consumer, 2)
        consumer.close()
        consumer.close()
        assert consumer.assigned == frozenset()
        for call in (
            lambda: consumer.poll(1, 0.0),
            lambda: consumer.commit(after(records)),
            lambda: consumer.seek(records[0].partition, 0),
        ):
            with pytest.raises(ContractError):
                call()

    def test_a_log_closes_twice_without_complaint(self, log: EventLog) -> None:
        log.close()
        log.close()

    # -- polling -------------------------------------------------------------------------------------------------

    def test_a_poll_brings_no_more_than_asked_for(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(20))
        with log.consumer(TOPIC, "g") as consumer:
            self.join(consumer)
            assert 0 < len(consumer.poll(3, 1.0)) <= 3

    def test_an_empty_poll_takes_its_time_out_and_no_longer(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(1))
        with log.consumer(TOPIC, "g") as consumer:
            self.take(consumer, 1)
            started = time.monotonic()
            assert list(consumer.poll(10, 0.2)) == []
            assert 0.15 < time.monotonic() - started < 0.2 + self.settle + 10.0

    def test_a_waiting_poll_wakes_when_a_record_arrives(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(1))
        with log.consumer(TOPIC, "g") as consumer:
            self.take(consumer, 1)
            later = threading.Timer(0.1, log.produce, (TOPIC, numbered(1, start=7)))
            later.start()
            started = time.monotonic()
            records = consumer.poll(10, 30.0)
            later.join()
        assert values(records) == [b"7"]
        assert time.monotonic() - started < 25.0

    def test_large_values_come_in_polls_of_bounded_size(self, log: EventLog) -> None:
        count = self.poll_bytes // self.large + 8
        for n in range(count):
            log.produce(TOPIC, [Outgoing("k", b"%08d" % n + bytes(self.large - 8))])
        sizes: list[int] = []
        found: list[bytes] = []
        with log.consumer(TOPIC, "g") as consumer:
            deadline = time.monotonic() + self.patience
            while len(found) < count and time.monotonic() < deadline:
                records = consumer.poll(count, 0.2)
                sizes.append(sum(len(record.value) for record in records))
                found += [record.value[:8] for record in records]
        assert found == [b"%08d" % n for n in range(count)]
        assert max(sizes) <= self.poll_bytes

    # -- seeking and looking -------------------------------------------------------------------------------------

    def test_seeking_back_replays_and_commits_nothing(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(6))
        with log.consumer(TOPIC, "g") as consumer:
            records = self.take(consumer, 6)
            part = records[0].partition
            consumer.commit(after(records))
            consumer.seek(part, 2)
            assert values(self.take(consumer, 4)) == [b"2", b"3", b"4", b"5"]
            assert log.committed(TOPIC, "g")[part] == 6
            consumer.seek(part, 0)
            assert [(r.offset, r.value) for r in self.take(consumer, 6)] == [(r.offset, r.value) for r in records]

    def test_seeking_is_clamped_to_what_there_is(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(4))
        with log.consumer(TOPIC, "g") as consumer:
            part = self.take(consumer, 4)[0].partition
            consumer.seek(part, -5)
            assert len(self.take(consumer, 4)) == 4
            consumer.seek(part, 10**9)
            assert list(consumer.poll(1, self.settle)) == []
            log.produce(TOPIC, numbered(1, start=4))
            assert values(self.take(consumer, 1)) == [b"4"]

    def test_seeking_where_one_is_not_a_member_is_refused(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(4))
        with log.consumer(TOPIC, "g") as consumer:
            self.join(consumer)
            with pytest.raises(ContractError):
                consumer.seek(999, 0)

    def test_looking_needs_no_group_and_leaves_no_trace(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(10))
        (part,) = (part for part, end in log.end_offsets(TOPIC).items() if end)
        assert values(log.read(TOPIC, part, 3, 4)) == [b"3", b"4", b"5", b"6"]
        assert [record.offset for record in log.read(TOPIC, part, 8, 100)] == [8, 9]
        assert list(log.read(TOPIC, part, 10, 5)) == []
        with log.consumer(TOPIC, "g") as consumer:
            assert len(self.take(consumer, 10)) == 10
            assert len(log.read(TOPIC, part, 0, 100)) == 10

    def test_looking_at_a_partition_that_is_not_there_is_refused(self, log: EventLog) -> None:
        with pytest.raises(ContractError):
            log.read(TOPIC, 999, 0, 1)

    # -- trimming ------------------------------------------------------------------------------------------------

    def test_trimming_drops_the_old_that_every_group_has_passed(self, log: EventLog, clock: ManualClock) -> None:
        log.produce(TOPIC, numbered(10))
        clock.advance(3600)
        log.produce(TOPIC, numbered(5, start=10))
        with log.consumer(TOPIC, "fast") as consumer:
            records = self.take(consumer, 15)
            part = records[0].partition
            consumer.commit(after(records))
        with log.consumer(TOPIC, "slow") as consumer:
            consumer.commit(after(self.take(consumer, 6)))
        ends = dict(log.end_offsets(TOPIC))
        assert log.trim(TOPIC, clock.now() - timedelta(hours=2)) == 0
        assert log.trim(TOPIC, clock.now()) == 6, "the slow group has not passed more"
        with log.consumer(TOPIC, "slow") as consumer:
            rest = self.take(consumer, 9)
            assert [(r.offset, r.value) for r in rest] == [(n, str(n).encode()) for n in range(6, 15)]
            consumer.commit(after(rest))
        assert log.trim(TOPIC, clock.now()) == 4, "the newer ones were appended at that very time"
        assert dict(log.end_offsets(TOPIC)) == ends
        assert [record.offset for record in log.read(TOPIC, part, 0, 100)] == list(range(10, 15))
        with log.consumer(TOPIC, "new") as consumer:
            assert values(self.take(consumer, 5)) == [str(n).encode() for n in range(10, 15)]

    def test_offsets_go_on_after_everything_was_trimmed(self, log: EventLog, clock: ManualClock) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "g") as consumer:
            consumer.commit(after(self.take(consumer, 5)))
        assert log.trim(TOPIC, clock.now() + timedelta(hours=1)) == 5
        log.produce(TOPIC, numbered(1, start=5))
        with log.consumer(TOPIC, "g") as consumer:
            (record,) = self.take(consumer, 1)
        assert (record.offset, record.value) == (5, b"5")

    def test_trimming_keeps_all_while_nobody_reads(self, log: EventLog, clock: ManualClock) -> None:
        log.produce(TOPIC, numbered(5))
        assert log.trim(TOPIC, clock.now() + timedelta(hours=1)) == 0
        with log.consumer(TOPIC, "g") as consumer:
            assert len(self.take(consumer, 5)) == 5

    def test_trimming_keeps_all_for_a_member_that_has_not_committed_yet(
        self, log: EventLog, clock: ManualClock
    ) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "fast") as fast, log.consumer(TOPIC, "stuck") as stuck:
            fast.commit(after(self.take(fast, 5)))
            self.take(stuck, 2)
            assert log.trim(TOPIC, clock.now() + timedelta(hours=1)) == 0
        with log.consumer(TOPIC, "stuck") as stuck:
            assert len(self.take(stuck, 5)) == 5

    def test_trimming_one_topic_leaves_the_others(self, log: EventLog, clock: ManualClock) -> None:
        for topic in (Topics.COLLECTED, Topics.CLASSIFIED):
            log.produce(topic, numbered(3))
            with log.consumer(topic, "g") as consumer:
                consumer.commit(after(self.take(consumer, 3)))
        assert log.trim(Topics.COLLECTED, clock.now() + timedelta(hours=1)) == 3
        with log.consumer(Topics.CLASSIFIED, "other") as consumer:
            assert len(self.take(consumer, 3)) == 3

    # -- membership ----------------------------------------------------------------------------------------------

    def test_no_partition_has_two_owners(self, log: EventLog) -> None:
        log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(30)])
        with log.consumer(TOPIC, "g") as one:
            self.join(one)
            with log.consumer(TOPIC, "g") as two:
                partitions, deadline = len(log.end_offsets(TOPIC)), time.monotonic() + self.patience
                shared = False
                # A server gives a joining member its share in several steps: between them a partition has no owner.
                while not shared and time.monotonic() < deadline:
                    one.poll(1, 0.05)
                    two.poll(1, 0.05)
                    assert not one.assigned & two.assigned
                    joined = two.assigned or partitions == 1
                    shared = bool(joined) and _all_owned([one, two], partitions)
                assert shared

    def test_members_beyond_the_partitions_get_nothing(self, log: EventLog) -> None:
        log.produce(TOPIC, [Outgoing(f"k{n}", b"v") for n in range(30)])
        partitions = len(log.end_offsets(TOPIC))
        members = [log.consumer(TOPIC, "g") for _ in range(partitions + 1)]
        try:
            deadline = time.monotonic() + self.patience
            idle: list[Consumer] = []
            # All may be owned while one member has two and another has not joined yet: that passes.
            while not (_all_owned(members, partitions) and len(idle) == 1) and time.monotonic() < deadline:
                for member in members:
                    member.poll(1, 0.05)
                idle = [member for member in members if not member.assigned]
            assert _all_owned(members, partitions)
            assert len(idle) == 1
            assert list(idle[0].poll(10, 0.1)) == []
            with pytest.raises(ContractError):
                idle[0].commit({0: 0})
        finally:
            for member in members:
                member.close()

    def test_the_next_member_takes_over_when_the_owner_leaves(self, log: EventLog) -> None:
        log.produce(TOPIC, numbered(10))
        one, two = log.consumer(TOPIC, "g"), log.consumer(TOPIC, "g")
        with two:
            with one:
                one.commit(after(self.take(one, 4)))
                self.take(one, 3)
            assert values(self.take(two, 6)) == [str(n).encode() for n in range(4, 10)]

    def test_the_next_member_takes_over_when_the_owner_is_killed(
        self, log: EventLog, nursery: Nursery, tmp_path: Path
    ) -> None:
        key = self.key_of_partition_0(log)
        log.produce(TOPIC, [Outgoing(key, str(n).encode()) for n in range(10)])
        start = log.end_offsets(TOPIC)[0] - 10
        ready = tmp_path / "ready"
        owner = nursery.start(own_and_hang, self.opener(), TOPIC, "g", start + 4, str(ready))
        wait_until(ready.exists, what="the owner's commit")
        with log.consumer(TOPIC, "g") as heir:
            assert [r for r in heir.poll(10, 0.2) if r.partition == 0] == []
            owner.signal(signal.SIGSTOP)  # alive, if frozen: nobody may take its place in this moment
            assert [r for r in heir.poll(10, 0.2) if r.partition == 0] == []
            owner.signal(signal.SIGKILL)
            assert owner.wait() == KILLED
            found: list[Record] = []
            deadline = time.monotonic() + self.patience
            while len(found) < 6 and time.monotonic() < deadline:
                found += [r for r in heir.poll(10, 0.2) if r.partition == 0]
        assert values(found) == [str(n).encode() for n in range(4, 10)]

    def key_of_partition_0(self, log: EventLog) -> str:
        """A key whose records go to partition 0 (they are looked for by producing some)."""
        for n in range(1000):
            log.produce(TOPIC, [Outgoing(f"k{n}", b"probe")])
            if log.end_offsets(TOPIC)[0]:
                return f"k{n}"
        raise AssertionError("no key goes to partition 0")

    # -- many at once --------------------------------------------------------------------------------------------

    def test_threads_share_one_log(self, log: EventLog) -> None:
        def produce(name: str) -> None:
            for n in range(40):
                log.produce(TOPIC, [Outgoing(name, f"{n}:{i}".encode()) for i in range(5)])

        threads = [threading.Thread(target=produce, args=(f"t{n}",)) for n in range(6)]
        for thread in threads:
            thread.start()
        with log.consumer(TOPIC, "g") as consumer:
            records = self.take(consumer, 6 * 200)
        for thread in threads:
            thread.join()
        expected = [f"{n}:{i}".encode() for n in range(40) for i in range(5)]
        assert per_key(records) == {f"t{n}": expected for n in range(6)}

    def test_processes_produce_and_consume_at_once_and_nothing_is_lost_doubled_or_reordered(
        self, log: EventLog, nursery: Nursery, tmp_path: Path
    ) -> None:
        count, keys = 2000, 8
        finished = tmp_path / "finished"
        files = [tmp_path / "seen-0", tmp_path / "seen-1"]
        consumers = [
            nursery.start(consume_until, self.opener(), TOPIC, "shared", str(file), str(finished)) for file in files
        ]
        producers = [nursery.start(produce_many, self.opener(), TOPIC, name, count, 25, keys) for name in ("p", "q")]
        with log.consumer(TOPIC, "own") as consumer:
            own = self.take(consumer, 2 * count)
        assert [child.wait() for child in producers] == [0, 0]
        wait_until(lambda: log.lag(TOPIC, "shared") == 0, self.patience, what="the group's last commit")
        finished.touch()
        assert [child.wait() for child in consumers] == [0, 0]

        expected = {
            f"{name}-{k}": [f"{name}:{n}" for n in range(k, count, keys)] for name in ("p", "q") for k in range(keys)
        }
        assert {key: [v.decode() for v in found] for key, found in per_key(own).items()} == expected
        lines = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        assert len(lines) == 2 * count
        shared: dict[str, list[str]] = defaultdict(list)
        for _, _, key, value in sorted(lines, key=lambda line: (line[0], line[1])):
            shared[key].append(value)
        assert shared == expected


def _all_owned(members: Sequence[Consumer], partitions: int) -> bool:
    owned = [part for member in members for part in member.assigned]
    return len(owned) == partitions == len(set(owned))


__all__ = ["TOPIC", "LogSuite", "after", "numbered", "per_key", "values"]
