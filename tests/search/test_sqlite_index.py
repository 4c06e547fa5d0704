"""The embedded index keeps the contract, and what it promises beyond it."""

from __future__ import annotations

import random
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from ingest.analysis import ClassifiedMention
from ingest.clock import ManualClock
from ingest.errors import ConfigError, ContractError, Permanent, Poison, Retryable
from ingest.mention import Author, Matched
from search import columns, evaluate, writer
from search import upgrade as upgrading
from search.base import Delivery, Sort
from search.memory import matches
from search.paging import read_cursor, write_cursor
from search.query import Everything
from search.sqlite import SqliteIndex
from search.store import SCHEMA_VERSION, Store
from tests.contract.index_suite import SORTS, IndexSuite, Open, deliver, ids, later, q, state
from tests.factories import CAPTURED, a_classified
from tests.processes import KILLED, Nursery, wait_until
from tests.search.index_worker import TOPIC, apply_and_linger, consume, deliveries, fill_up, watch
from tests.search.random_mentions import FILTERS, WORDS, random_mention, random_mentions


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


class TestSqliteIndex(IndexSuite):
    @pytest.fixture
    def open_index(self, path: Path, clock: ManualClock) -> Open:
        return lambda: SqliteIndex(path, clock)


@pytest.fixture
def index(path: Path, clock: ManualClock) -> Iterator[SqliteIndex]:
    with SqliteIndex(path, clock) as opened:
        yield opened


# Readers that catch up


@pytest.mark.parametrize("seed", range(2))
def test_a_reader_sees_every_change_of_another_writer(
    path: Path, clock: ManualClock, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So small that logs are cut, slots reclaimed and postings dropped all the time.
    monkeypatch.setattr(writer, "_CHANGES_KEPT", 12)
    monkeypatch.setattr(columns, "_RELOAD_AFTER_DEAD", 5)
    monkeypatch.setattr(evaluate, "_CACHE_BYTES", 4_000)
    rng = random.Random(seed)
    model: dict[str, ClassifiedMention] = {}
    offset = 0
    with SqliteIndex(path, clock) as writing, SqliteIndex(path, clock) as reading:
        for _ in range(40):
            dice = rng.random()
            if dice < 0.5 or not model:
                batch = [random_mention(rng, rng.randrange(400)) for _ in range(rng.randrange(1, 25))]
            elif dice < 0.85:
                old = rng.sample(sorted(model), k=min(len(model), rng.randrange(1, 8)))
                batch = [_edited(model[name], rng) for name in old]
            else:
                batch = []
                if rng.random() < 0.5:
                    key = f"author-{rng.randrange(9)}"
                    gone = [name for name, m in model.items() if m.author.key == key]
                    assert writing.delete_by_author(key) == len(gone)
                else:
                    before = CAPTURED - timedelta(days=rng.randrange(60, 90))
                    gone = [name for name, m in model.items() if m.source == "jd" and m.created_at < before]
                    assert writing.delete_before("jd", before) == len(gone)
                for name in gone:
                    del model[name]
            writing.apply(deliver(batch, first=offset))
            offset += len(batch)
            for mention in batch:
                known = model.get(mention.id)
                if mention.has_content and (known is None or mention.revision.number > known.revision.number):
                    model[mention.id] = mention
            for text in ("", *rng.sample(FILTERS, 4), *rng.sample(WORDS, 4)):
                expected = sorted(name for name, mention in model.items() if matches(q(text), mention))
                assert sorted(ids(reading, text)) == expected, text
                assert reading.search(q(text), limit=0).total == len(expected)
        assert writing.verify() == []


def _edited(mention: ClassifiedMention, rng: random.Random) -> ClassifiedMention:
    again = random_mention(rng, 0)
    revision = mention.revision.model_copy(
        update={"number": mention.revision.number + 1, "hash": rng.choice((mention.revision.hash, again.revision.hash))}
    )
    text = rng.choice((mention.text, again.text)) or "改"
    return mention.model_copy(
        update={
            "revision": revision,
            "text": text,
            "likes": again.likes,
            "analysis": again.analysis,
            "empty_text": False,
        }
    )


@pytest.mark.parametrize("sort", SORTS)
def test_a_cursor_before_everything_goes_on_with_the_first_page(index: SqliteIndex, sort: Sort) -> None:
    index.apply(deliver(random_mentions(3, 60)))
    cursor = index.search(q(""), sort=sort, limit=1).cursor
    assert cursor is not None
    keys = read_cursor(cursor, sort)
    before = write_cursor(sort, tuple(np.array([2**60]) for _ in keys), 0)
    one, other = index.search(q(""), sort=sort, limit=10), index.search(q(""), sort=sort, limit=10, cursor=before)
    assert [hit.mention.id for hit in one.hits] == [hit.mention.id for hit in other.hits]


def test_more_tags_than_a_word_has_bits(index: SqliteIndex) -> None:
    mentions = [a_classified(native_id=n, text="好", tags=(f"组{n % 3}/标签{n}", "共同/标签")) for n in range(150)]
    for n, delivery in enumerate(deliver(mentions)):
        index.apply([delivery])
        if n % 10 == 0:
            assert ids(index, f"tag:标签{n}") == [f"jd:review:{n}"]
    assert index.search(q("tag:组1")).total == 50
    facet = index.summary(q(""), top=1_000).facets["tag"]
    assert facet == {"共同/标签": 150} | {
        f"组{n % 3}/标签{n}": 1 for n in sorted(range(150), key=lambda n: f"组{n % 3}/标签{n}")
    }


def test_threads_read_whole_moments_while_one_writes(index: SqliteIndex, path: Path) -> None:
    log = deliveries(3, 600)
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while threads_run.is_set():
                summary = index.summary(q(""), top=1_000)
                assert sum(summary.facets["intent"].values()) == summary.total
                assert index.search(q("暖气 OR 不热"), limit=3).total <= index.search(q(""), limit=0).total
        except BaseException as error:
            failures.append(error)

    threads_run = threading.Event()
    threads_run.set()
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(0, len(log), 10):
        index.apply(log[start : start + 10])
    threads_run.clear()
    for thread in threads:
        thread.join()
    assert not failures


def test_two_processes_read_whole_moments_while_one_writes(nursery: Nursery, path: Path, tmp_path: Path) -> None:
    log = deliveries(4, 900)
    SqliteIndex(path, ManualClock()).close()
    readers = [nursery.start(watch, str(path), len(log)) for _ in range(2)]
    consuming = nursery.start(consume, str(path), str(tmp_path / "offset"), 4, 900, 10)
    assert consuming.wait() == 0
    assert [reader.wait() for reader in readers] == [0, 0]


def test_a_scan_is_not_disturbed_by_what_happens_meanwhile(index: SqliteIndex) -> None:
    mentions = [a_classified(native_id=n, text="好", author=Author(key=f"k{n % 2}")) for n in range(1_200)]
    index.apply(deliver(mentions))
    scan = index.scan(q("好"))
    seen = [next(scan).id for _ in range(10)]
    index.delete_by_author("k1")
    index.apply([Delivery(later(mentions[0], text="坏"), (TOPIC, 0, 5_000))])
    seen += [mention.id for mention in scan]
    assert len(seen) == len(set(seen))
    assert {m.id for m in mentions if m.author.key == "k0"} <= set(seen)


# Faults


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_it_counts_everything_once(
    nursery: Nursery, path: Path, tmp_path: Path, clock: ManualClock, seed: int
) -> None:
    count, batch, kills = 600, 6, 8
    committed = tmp_path / "offset"
    rng = random.Random(seed)

    def offset() -> str:
        return committed.read_text() if committed.exists() else ""

    for _ in range(kills):
        before = offset()
        child = nursery.start(consume, str(path), str(committed), seed, count, batch)
        wait_until(lambda before=before: offset() != before)  # type: ignore[misc]
        time.sleep(rng.uniform(0, 0.02))
        child.signal()
        assert child.wait() == KILLED
    assert nursery.start(consume, str(path), str(committed), seed, count, batch).wait() == 0
    with SqliteIndex(path, clock) as survivor, SqliteIndex(tmp_path / "undisturbed.db", clock) as undisturbed:
        undisturbed.apply(deliveries(seed, count))
        assert state(survivor) == state(undisturbed)
        assert survivor.verify() == []


def test_a_full_disk_stops_it_cleanly_and_it_goes_on_when_there_is_room(nursery: Nursery, path: Path) -> None:
    assert nursery.start(fill_up, str(path), 700_000).wait() == 0


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.999])
def test_a_torn_write_ahead_log_leaves_an_earlier_whole_state(
    nursery: Nursery, path: Path, tmp_path: Path, clock: ManualClock, keep: float
) -> None:
    told = tmp_path / "told"
    child = nursery.start(apply_and_linger, str(path), 2, 150, str(told))
    wait_until(told.exists)
    child.signal()
    assert child.wait() == KILLED
    log = path.with_name(path.name + "-wal")
    data = log.read_bytes()
    torn = bytearray(data[: int(len(data) * keep)])
    if torn:
        torn[len(torn) // 2] ^= 0xFF
    log.write_bytes(torn)
    with SqliteIndex(path, clock) as index:
        assert index.verify() == []
        counts = index.counts()
        assert counts["documents"] == counts["indexed"] == index.search(Everything(), limit=0).total
        index.apply(deliveries(2, 150))
        assert index.counts()["indexed"] == sum(d.mention.has_content for d in deliveries(2, 150)[:150])


def test_damaged_pages_are_refused_with_a_remedy_not_used(path: Path, clock: ManualClock) -> None:
    with SqliteIndex(path, clock) as index:
        index.apply(deliver(random_mentions(1, 400)))
    whole = path.read_bytes()
    rng = random.Random(5)
    refused: list[str] = []
    for page in rng.sample(range(1, len(whole) // 4096), 25):
        damaged = bytearray(whole)
        damaged[page * 4096 : page * 4096 + 600] = rng.randbytes(600)
        path.write_bytes(damaged)
        try:
            with SqliteIndex(path, clock) as index:
                assert index.verify(), f"page {page}"
        except Permanent as error:
            refused.append(str(error))
    assert refused
    assert all("已损坏" in message and "移走" in message for message in refused)


def test_a_flipped_bit_in_a_document_is_noticed_when_it_is_read(path: Path, clock: ManualClock) -> None:
    with SqliteIndex(path, clock) as index:
        index.apply(deliver([a_classified(native_id=1, text="暖气不热" * 50)]))
    with closing(sqlite3.connect(path)) as connection:
        [(packed,)] = connection.execute("SELECT doc FROM docs")
        connection.execute("UPDATE docs SET doc = ?", (packed[:-9] + bytes([packed[-9] ^ 4]) + packed[-8:],))
        connection.commit()
    with SqliteIndex(path, clock) as index:
        for read in (lambda: index.get("jd:review:1"), lambda: index.search(q("")), lambda: list(index.scan(q("")))):
            with pytest.raises(Permanent, match="已损坏"):
                read()
        with pytest.raises(Permanent, match="已损坏"):
            index.verify()


def test_files_that_are_no_index_are_refused(tmp_path: Path, clock: ManualClock) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("这不是数据库" * 200)
    with pytest.raises(Permanent, match="已损坏"):
        SqliteIndex(text, clock)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(ConfigError, match="别的程序"):
        SqliteIndex(other, clock)
    with pytest.raises(ConfigError, match="打不开"):
        SqliteIndex(tmp_path, clock)
    with pytest.raises(ConfigError, match="打不开"):
        SqliteIndex(text / "index.db", clock)


def test_a_file_of_another_version_is_refused(path: Path, clock: ManualClock) -> None:
    SqliteIndex(path, clock).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    with pytest.raises(ConfigError, match=f"格式版本是 {SCHEMA_VERSION + 1}"):
        SqliteIndex(path, clock)


def downgrade(path: Path) -> None:
    """Make the file what version 1 wrote: of the brand's words the plain list, no groups, in documents and columns."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        dictionary = connection.execute("SELECT value FROM meta WHERE name = 'dictionary'").fetchone()[0]
        packed = []
        for docid, doc in connection.execute("SELECT docid, doc FROM docs"):
            old = orjson.loads(zlib.decompressobj(zlib.MAX_WBITS, dictionary).decompress(doc))
            old["matched"] = {"words": old["matched"]["words"]}
            deflate = zlib.compressobj(3, zlib.DEFLATED, 13, 5, zlib.Z_DEFAULT_STRATEGY, dictionary)
            packed.append((deflate.compress(orjson.dumps(old)) + deflate.flush(), docid))
        connection.executemany("UPDATE docs SET doc = ? WHERE docid = ?", packed)
        connection.execute("ALTER TABLE columns RENAME TO newer")
        connection.execute("CREATE TABLE columns (docid INTEGER PRIMARY KEY, record BLOB NOT NULL, tags BLOB)")
        record = f"substr(record, 1, {struct.calcsize('<qdIIIIiIIIIBBBBB')})"
        connection.execute(f"INSERT INTO columns SELECT docid, {record}, tag FROM newer")
        connection.execute("DROP TABLE newer")
        connection.execute("DELETE FROM terms WHERE dimension IN ('about', 'matched')")
        connection.execute("PRAGMA user_version=1")
        connection.execute("COMMIT")


def as_version_1(mention: ClassifiedMention) -> ClassifiedMention:
    return mention.model_copy(update={"matched": Matched(words=mention.matched.words), "group": None, "likeness": None})


def older_file(path: Path, clock: ManualClock) -> tuple[object, ...]:
    """A file of version 1 with all that happens to one, and what a reader sees in it, told in terms of today."""
    mentions = [as_version_1(m) for m in random_mentions(seed=31, count=250)]
    with SqliteIndex(path, clock) as index:
        index.apply(deliver(mentions))
        index.apply(deliver([later(m, text=m.text + "改", matched=m.matched) for m in mentions[:20]], first=250))
        index.delete_by_author("author-2")
        before = state(index)
    downgrade(path)
    return before


def test_a_file_of_version_1_is_brought_up_to_date_and_loses_nothing(path: Path, clock: ManualClock) -> None:
    before = older_file(path, clock)
    for _ in range(2):  # the second time there is nothing left to do
        with SqliteIndex(path, clock) as index:
            assert state(index) == before
            assert index.verify() == []
            stored = list(index.scan(q("")))
            for text in ("matched:岚炉", "matched:*", "about:none", "about:own", "tag:不热 source:jd"):
                assert set(ids(index, text)) == {m.id for m in stored if matches(q(text), m)}, text
            assert ids(index, "matched:岚炉")
            assert index.search(q(""), merge=True).groups == len(ids(index, "copies:no")) == len(stored)
    with SqliteIndex(path, clock) as index:  # and it goes on counting where it was
        mentions = [as_version_1(m) for m in random_mentions(seed=31, count=250)]
        assert set(index.apply(deliver(mentions))) == {"duplicate"}
        assert state(index) == before
        fresh = a_classified(native_id="fresh", text="好", matched=Matched(words=("岚炉",), about="own"))
        assert index.apply(deliver([fresh], first=300)) == ["indexed"]
        assert ids(index, "about:own") == [fresh.id]


def test_an_upgrade_that_is_cut_off_leaves_the_old_file(
    path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = older_file(path, clock)
    whole, calls = upgrading.encode, iter(range(100))

    def cut(*arguments: Any) -> Any:
        if next(calls) == 50:
            raise KeyboardInterrupt
        return whole(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(upgrading, "encode", cut)
        with pytest.raises(KeyboardInterrupt):
            SqliteIndex(path, clock)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert "tags" in connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'columns'").fetchone()[0]
    with SqliteIndex(path, clock) as index:
        assert state(index) == before


def test_a_damaged_document_stops_an_upgrade_in_words(path: Path, clock: ManualClock) -> None:
    older_file(path, clock)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE docs SET doc = x'00' WHERE docid = 9")
    with pytest.raises(Permanent, match="已损坏"):
        SqliteIndex(path, clock)


def test_a_writer_that_waits_too_long_for_another_is_told_to_retry(path: Path) -> None:
    store = Store(path, busy_timeout_ms=30)
    with closing(store), closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Retryable, match="正忙"), store.writing():
            pytest.fail("wrote beside another writer")
        other.execute("COMMIT")
        with store.writing() as connection:
            connection.execute("INSERT INTO replays VALUES ('x')")


def test_a_batch_with_a_mention_that_cannot_be_stored_is_not_applied_at_all(index: SqliteIndex) -> None:
    good = a_classified(native_id=1, text="好")
    for bad in (
        good.model_copy(update={"id": "jd:review:\ud800"}),
        good.model_copy(update={"id": "jd:review:2", "region": "\udfff"}),
        good.model_copy(update={"id": "jd:review:2", "text": "\ud800", "region": "省"}),
    ):
        with pytest.raises(Poison):
            index.apply(deliver([good, bad]))
        assert not any(index.counts().values())
    assert index.apply(deliver([good])) == ["indexed"]
    assert ids(index, "好") == [good.id]


def test_a_closed_index_says_so(path: Path, clock: ManualClock) -> None:
    index = SqliteIndex(path, clock)
    index.close()
    index.close()
    for use in (lambda: index.search(q("")), index.counts, lambda: index.apply(deliver([a_classified(text="好")]))):
        with pytest.raises(ContractError, match="closed"):
            use()
