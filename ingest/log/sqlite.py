"""The event log on one SQLite file: one partition a topic, any number of processes."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import orjson

from ingest.clock import Clock, SystemClock
from ingest.errors import ContractError, NotAssigned, Permanent
from ingest.log.base import Consumer, EventLog, Outgoing, Record, Topics
from ingest.mention import millis
from ingest.sqlite import connect, mapped_errors, transaction

SCHEMA_VERSION = 1
PARTITION = 0
OFFSET_BITS = 40
"""A row's id is ``topic << 40 | offset``: records of a topic lie together, in order, with no second index."""
POLL_BYTES = 32 * 1024 * 1024
"""A batch ends here even when more records were asked for: a few huge texts must not fill the memory."""
IDLE_WAIT = 0.02

_SCHEMA = f"""
CREATE TABLE topics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, next_offset INTEGER NOT NULL DEFAULT 0);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, value BLOB NOT NULL, headers BLOB, appended_ms INTEGER NOT NULL
);
CREATE TABLE commits (
    topic INTEGER NOT NULL, consumer_group TEXT NOT NULL, next_offset INTEGER NOT NULL,
    PRIMARY KEY (topic, consumer_group)
) WITHOUT ROWID;
CREATE TABLE checkpoints (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
"""


class SqliteLog(EventLog):
    """See the contract in :class:`ingest.log.base.EventLog`. Safe to share between threads.

    Group membership is an flock on a file beside the database, so the kernel frees it when a member is killed.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, topics: Sequence[str] = Topics.ALL) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._connection = connect(path)
        self._closed = False
        try:
            self._topics = self._prepare(topics)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, topics: Sequence[str]) -> dict[str, int]:
        with transaction(self._connection, self._path) as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.strip().split(";\n"):
                    db.execute(statement)
            elif version != SCHEMA_VERSION:
                raise Permanent(f"{self._path.name} 的版本是 {version}，本程序需要 {SCHEMA_VERSION}；请升级程序")
            db.executemany("INSERT OR IGNORE INTO topics (name) VALUES (?)", [(name,) for name in topics])
            return {name: number for number, name in db.execute("SELECT id, name FROM topics")}

    def _topic(self, name: str) -> int:
        if name not in self._topics:
            raise ContractError(f"unknown topic {name}")
        return self._topics[name]

    def produce(self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None) -> None:
        number = self._topic(topic)
        now = millis(self._clock.now())
        rows = [_encoded(record) for record in records]  # before the write lock is taken
        with self._lock, transaction(self._connection, self._path) as db:
            (start,) = db.execute("SELECT next_offset FROM topics WHERE id = ?", (number,)).fetchone()
            base = (number << OFFSET_BITS) + start
            db.executemany(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?)", ((base + i, *row, now) for i, row in enumerate(rows))
            )
            db.execute("UPDATE topics SET next_offset = ? WHERE id = ?", (start + len(records), number))
            if checkpoint:
                db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", checkpoint)

    def checkpoint(self, name: str) -> str | None:
        with self._lock, mapped_errors(self._path):
            row = self._connection.execute("SELECT value FROM checkpoints WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def consumer(self, topic: str, group: str) -> Consumer:
        number = self._topic(topic)
        with self._lock, transaction(self._connection, self._path) as db:
            # From now on the group is known: what it has not passed is not trimmed, though it never committed.
            db.execute("INSERT OR IGNORE INTO commits VALUES (?, ?, 0)", (number, group))
        return SqliteConsumer(self._path, topic, number, group)

    def end_offsets(self, topic: str) -> Mapping[int, int]:
        return {PARTITION: self._one("SELECT next_offset FROM topics WHERE id = ?", self._topic(topic))}

    def committed(self, topic: str, group: str) -> Mapping[int, int]:
        sql = "SELECT next_offset FROM commits WHERE topic = ? AND consumer_group = ?"
        return {PARTITION: self._one(sql, self._topic(topic), group)}

    def _one(self, sql: str, *values: object) -> int:
        with self._lock, mapped_errors(self._path):
            row = self._connection.execute(sql, values).fetchone()
        return int(row[0]) if row else 0

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[Record]:
        if partition != PARTITION:
            raise ContractError(f"{topic} has no partition {partition}")
        with self._lock, mapped_errors(self._path):
            return _read(self._connection, topic, self._topic(topic), offset, limit)

    def trim(self, topic: str, before: datetime) -> int:
        number = self._topic(topic)
        low = number << OFFSET_BITS
        with self._lock, transaction(self._connection, self._path) as db:
            passed = db.execute("SELECT min(next_offset) FROM commits WHERE topic = ?", (number,)).fetchone()[0]
            if passed is None:  # nobody has read anything: everything is still wanted
                return 0
            cursor = db.execute(
                "DELETE FROM records WHERE id >= ? AND id < ? AND appended_ms < ?",
                (low, low + passed, millis(before)),
            )
            return cursor.rowcount

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._connection.close()


class SqliteConsumer(Consumer):
    """One member of a group on the topic's single partition."""

    def __init__(self, path: Path, topic: str, number: int, group: str) -> None:
        self._path = path
        self._topic = topic
        self._number = number
        self._group = group
        self._next = 0
        folder = path.with_name(path.name + ".groups")
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder / _lock_name(topic, group)
        self._member: int | None = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._owns = False
        try:
            self._connection = connect(path)
        except BaseException:
            os.close(self._member)
            raise

    @property
    def assigned(self) -> frozenset[int]:
        return frozenset({PARTITION}) if self._owns else frozenset()

    def _join(self) -> bool:
        if not self._owns and self._member is not None:
            try:
                fcntl.flock(self._member, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._next = self._committed()
            self._owns = True  # last: when the look-up fails, the next poll does it again
        return self._owns

    def _committed(self) -> int:
        with mapped_errors(self._path):
            row = self._connection.execute(
                "SELECT next_offset FROM commits WHERE topic = ? AND consumer_group = ?", (self._number, self._group)
            ).fetchone()
        return int(row[0]) if row else 0

    def poll(self, max_records: int, timeout: float) -> Sequence[Record]:
        if self._member is None:
            raise ContractError("poll on a closed consumer")
        deadline = time.monotonic() + timeout
        while True:
            if self._join():
                with mapped_errors(self._path):
                    records = _read(self._connection, self._topic, self._number, self._next, max_records)
                if records:
                    self._next = records[-1].offset + 1
                    return records
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            time.sleep(min(left, IDLE_WAIT))

    def commit(self, positions: Mapping[int, int]) -> None:
        if not positions:
            return
        if not self._owns or set(positions) != {PARTITION}:
            raise NotAssigned(f"{self._group} commits a partition that it does not own", positions.keys())
        offset = positions[PARTITION]
        if not 0 <= offset <= self._next:
            raise ContractError(f"{self._group} commits {offset}, but only {self._next} were polled")
        with transaction(self._connection, self._path) as db:
            db.execute("INSERT OR REPLACE INTO commits VALUES (?, ?, ?)", (self._number, self._group, offset))

    def seek(self, partition: int, offset: int) -> None:
        if not self._join() or partition != PARTITION:
            raise NotAssigned(f"{self._group} seeks in a partition that it does not own", {partition})
        with mapped_errors(self._path):
            (end,) = self._connection.execute("SELECT next_offset FROM topics WHERE id = ?", (self._number,)).fetchone()
        self._next = min(max(offset, 0), end)

    def close(self) -> None:
        if self._member is not None:
            self._connection.close()
            os.close(self._member)  # frees the flock
            self._member = None
            self._owns = False


def _encoded(record: Outgoing) -> tuple[str, bytes, bytes | None]:
    try:
        record.key.encode()
        return record.key, record.value, orjson.dumps(dict(record.headers)) if record.headers else None
    except (UnicodeEncodeError, orjson.JSONEncodeError) as error:
        raise ContractError(f"a key or header that is no valid text: {error}") from error


def _lock_name(topic: str, group: str) -> str:
    """A file name for any group name whatever: readable as far as it goes, told apart by the hash."""
    whole = f"{topic}\0{group}"
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', whole)[:80]}.{sha256(whole.encode()).hexdigest()[:12]}"


def _read(db: sqlite3.Connection, topic: str, number: int, offset: int, limit: int) -> list[Record]:
    low = number << OFFSET_BITS
    rows = db.execute(
        "SELECT id, key, value, headers, appended_ms FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (low + max(offset, 0), (number + 1) << OFFSET_BITS, limit),
    )
    records: list[Record] = []
    size = 0
    for row, key, value, headers, appended in rows:
        size += len(value)
        if records and size > POLL_BYTES:
            break
        known = orjson.loads(headers) if headers else {}
        at = datetime.fromtimestamp(appended / 1000, UTC)
        records.append(Record(topic, PARTITION, row - low, key, value, known, at))
    rows.close()
    return records


__all__ = ["SqliteConsumer", "SqliteLog"]
