"""SQLite's troubles as ours: a busy, full, damaged or forbidden file, and what survives them."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import ingest.sqlite
from ingest.errors import Permanent, Retryable, ShengwenError
from ingest.log.base import Outgoing, Topics
from ingest.log.sqlite import SqliteLog
from ingest.sqlite import connect, mapped_errors, transaction
from tests.contract.log_worker import produce_batches_for_ever
from tests.ingest.sqlite_worker import fill_a_small_disk
from tests.processes import Nursery, wait_until

TOPIC = Topics.COLLECTED


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
        yield connection


def rows(connection: sqlite3.Connection) -> list[int]:
    return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY rowid")]


def intact(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))


# -- transactions ------------------------------------------------------------------------------------------------------


def test_a_transaction_is_all_or_nothing(db: sqlite3.Connection, tmp_path: Path) -> None:
    nothing: dict[str, object] = {}

    def write(x: int, trouble: Callable[[], object] = lambda: None) -> None:
        with transaction(db, tmp_path / "a.db"):
            db.execute("INSERT INTO t VALUES (?)", (x,))
            trouble()

    write(1)
    with pytest.raises(KeyError):
        write(2, lambda: nothing["our own trouble comes out as it is"])
    with pytest.raises(Permanent):
        write(3, lambda: db.execute("INSERT INTO nowhere VALUES (3)"))
    assert (rows(db), db.in_transaction) == ([1], False)


def test_a_commit_that_fails_is_rolled_back(db: sqlite3.Connection, tmp_path: Path) -> None:
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    db.execute("CREATE TABLE c (id REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(Permanent), transaction(db, tmp_path / "a.db"):
        db.execute("INSERT INTO c VALUES (7)")
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM c").fetchone() == (0,)


def test_a_second_writer_waits_and_then_says_busy(
    db: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest.sqlite, "BUSY_TIMEOUT_S", 0.1)
    with closing(connect(tmp_path / "a.db")) as other:
        with transaction(db, tmp_path / "a.db"):
            db.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(Retryable, match=r"a\.db"), transaction(other, tmp_path / "a.db"):
                raise AssertionError("two writers at once")
            assert rows(other) == [], "readers go on and see what was committed"
        with transaction(other, tmp_path / "a.db"):
            other.execute("INSERT INTO t VALUES (2)")
    assert rows(db) == [1, 2]


# -- full --------------------------------------------------------------------------------------------------------------


def test_a_full_file_is_retryable_and_goes_on_when_there_is_room(db: sqlite3.Connection, tmp_path: Path) -> None:
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages + 4}")
    written = 0

    def fill() -> None:
        nonlocal written
        for x in range(1000):
            with transaction(db, tmp_path / "a.db"):
                db.execute("INSERT INTO t VALUES (?)", (x,))
                db.execute("INSERT INTO t VALUES (zeroblob(3000))")
            written += 1

    with pytest.raises(Retryable) as caught:
        fill()
    assert caught.value.retry_after
    assert 0 < written < 10
    assert not db.in_transaction
    assert db.execute("SELECT count(*) FROM t").fetchone() == (2 * written,)
    db.execute("PRAGMA max_page_count = 1000000")
    with transaction(db, tmp_path / "a.db"):
        db.execute("INSERT INTO t VALUES (1)")
    assert intact(tmp_path / "a.db")


@pytest.mark.parametrize("limit", [100_000, 333_333, 1_000_000])
def test_a_disk_that_fills_up_loses_nothing_acknowledged(nursery: Nursery, tmp_path: Path, limit: int) -> None:
    path, report = tmp_path / "log.db", tmp_path / "report"
    assert nursery.start(fill_a_small_disk, str(path), limit, str(report)).wait() == 0
    told = json.loads(report.read_text("utf-8"))
    assert len(told["errors"]) == 3
    assert all(wait > 0 and "log.db" in words for words, wait in told["errors"])
    assert intact(path)
    with SqliteLog(path) as log:
        found = [record.value.partition(b".")[0] for record in log.read(TOPIC, 0, 0, 10_000)]
    assert found == [b"%d" % n for n in range(told["acknowledged"])]


# -- damaged -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"this is no database, though it is long enough" * 100, b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "log.db"
    path.write_bytes(content)
    with pytest.raises(Permanent, match=r"log\.db"):
        SqliteLog(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("how", ["truncated", "scrambled"])
def test_a_damaged_file_is_never_silently_used(tmp_path: Path, how: str) -> None:
    path = tmp_path / "log.db"
    with SqliteLog(path) as log:
        for n in range(40):
            log.produce(TOPIC, [Outgoing(f"k{n}", b"v" * 3000)])
    content = bytearray(path.read_bytes())
    assert len(content) > 100_000
    if how == "truncated":
        path.write_bytes(content[:50_000])
    else:
        for page in range(4, len(content) // 4096):
            content[page * 4096 : page * 4096 + 200] = random.Random(page).randbytes(200)
        path.write_bytes(content)
    with pytest.raises(Permanent, match="损坏"), SqliteLog(path) as log:
        log.read(TOPIC, 0, 0, 100)


def test_a_torn_write_ahead_log_gives_back_a_whole_prefix(nursery: Nursery, tmp_path: Path) -> None:
    """What a power cut may leave: the newest batches may be gone, none is half there, none is invented."""
    path, batch = tmp_path / "log.db", 20
    opener = ["tests.contract.log_worker:open_sqlite", [str(path)]]
    child = nursery.start(produce_batches_for_ever, opener, TOPIC, batch)
    wal = path.with_name("log.db-wal")
    wait_until(lambda: wal.exists() and wal.stat().st_size > 400_000, what="a long write-ahead log")
    child.signal(signal.SIGKILL)
    child.wait()
    ends = set()
    for seed in range(12):
        copy = tmp_path / f"copy-{seed}.db"
        shutil.copy(path, copy)
        torn = bytearray(wal.read_bytes())
        at = random.Random(seed).randrange(len(torn))
        if seed % 2:
            del torn[at:]
        else:
            torn[at] ^= 0xFF
        copy.with_name(copy.name + "-wal").write_bytes(torn)
        try:
            with SqliteLog(copy) as log:
                end = log.end_offsets(TOPIC)[0]
                found = [record.value.rstrip(b".") for record in log.read(TOPIC, 0, 0, 10**6)]
                assert log.checkpoint("batch") in (str(end // batch), None)
        except ShengwenError:
            continue  # refused is as good as recovered
        assert found == [b"%d:%d" % (n // batch + 1, n % batch) for n in range(end)]
        assert end % batch == 0
        assert intact(copy)
        ends.add(end)
    assert len(ends) > 3, "the faults must have bitten in different places"


# -- forbidden ---------------------------------------------------------------------------------------------------------


def test_a_file_that_may_not_be_written_is_permanent(db: sqlite3.Connection, tmp_path: Path) -> None:
    db.execute("PRAGMA query_only=ON")
    with pytest.raises(Permanent, match="权限"), mapped_errors(tmp_path / "a.db"):
        db.execute("INSERT INTO t VALUES (1)")


def test_a_place_where_no_file_can_be_is_permanent(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(Permanent, match=r"folder\.db"):
        connect(tmp_path / "folder.db")
    (tmp_path / "file").write_text("x")
    with pytest.raises(Permanent, match=r"log\.db"):
        connect(tmp_path / "file" / "log.db")


def test_a_closed_connection_is_told_as_ours(tmp_path: Path) -> None:
    log = SqliteLog(tmp_path / "log.db")
    log.close()
    with pytest.raises(Permanent):
        log.end_offsets(TOPIC)


def test_a_new_file_comes_with_its_folders(tmp_path: Path) -> None:
    with closing(connect(tmp_path / "a" / "b" / "c.db")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
