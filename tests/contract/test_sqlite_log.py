"""The embedded log under the contract, and what is its own: the file, its schema, its locks."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from ingest.clock import ManualClock
from ingest.errors import Permanent, ShengwenError
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.log.sqlite import POLL_BYTES, SqliteLog
from tests.contract.log_suite import TOPIC, LogSuite, after, numbered, values
from tests.contract.log_worker import Opener, open_at_once, open_sqlite
from tests.processes import Nursery


class TestSqliteLog(LogSuite):
    poll_bytes = POLL_BYTES

    @pytest.fixture(autouse=True)
    def _path(self, tmp_path: Path) -> None:
        self.path = tmp_path / "home" / "log.db"

    def open(self, clock: ManualClock) -> EventLog:
        return SqliteLog(self.path, clock=clock)

    def opener(self) -> Opener:
        return [f"{open_sqlite.__module__}:{open_sqlite.__name__}", [str(self.path)]]

    def test_processes_may_open_a_new_log_at_the_same_moment(self, nursery: Nursery, clock: ManualClock) -> None:
        for round_number in range(6):
            self.path = self.path.with_name(f"log-{round_number}.db")
            start = time.time() + 0.15
            children = [nursery.start(open_at_once, self.opener(), TOPIC, start) for _ in range(8)]
            assert [child.wait() for child in children] == [0] * 8
            with self.open(clock) as log:
                assert log.end_offsets(TOPIC) == {0: 8}

    def test_a_log_of_a_newer_program_is_refused(self, clock: ManualClock) -> None:
        self.open(clock).close()
        with sqlite3.connect(self.path) as other:
            other.execute("PRAGMA user_version = 99")
        other.close()
        with pytest.raises(Permanent, match="99"):
            self.open(clock)

    def test_topics_may_be_added_to_a_log_that_exists(self, clock: ManualClock) -> None:
        with self.open(clock) as log:
            log.produce(TOPIC, numbered(3))
        with SqliteLog(self.path, clock=clock, topics=["extra", TOPIC]) as log:
            log.produce("extra", numbered(2))
            assert (log.end_offsets("extra"), log.end_offsets(TOPIC)) == ({0: 2}, {0: 3})
            assert log.end_offsets(Topics.DEAD_LETTERS) == {0: 0}

    def test_a_member_whose_first_look_fails_still_starts_at_the_last_commit(
        self, log: EventLog, clock: ManualClock
    ) -> None:
        log.produce(TOPIC, numbered(5))
        with log.consumer(TOPIC, "g") as consumer:
            consumer.commit(after(self.take(consumer, 3)))
        with log.consumer(TOPIC, "g") as consumer:
            with sqlite3.connect(self.path) as other:
                other.execute("ALTER TABLE commits RENAME TO hidden")
            with pytest.raises(ShengwenError):
                consumer.poll(10, 0.0)
            assert consumer.assigned == frozenset()
            with other:
                other.execute("ALTER TABLE hidden RENAME TO commits")
            other.close()
            assert values(self.take(consumer, 2)) == [b"3", b"4"]

    def test_two_logs_in_one_folder_have_their_own_groups(self, tmp_path: Path, log: EventLog) -> None:
        with SqliteLog(tmp_path / "home" / "other.db") as other:
            other.produce(TOPIC, [Outgoing("k", b"other")])
            log.produce(TOPIC, [Outgoing("k", b"log")])
            with log.consumer(TOPIC, "g") as one, other.consumer(TOPIC, "g") as two:
                assert values(self.take(one, 1)) == [b"log"]
                assert values(self.take(two, 1)) == [b"other"]

    def test_the_file_says_wal_and_full_sync(self, log: EventLog) -> None:
        assert isinstance(log, SqliteLog)
        assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)
