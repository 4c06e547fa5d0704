"""The embedded index: one SQLite file, no server.

Words are found by FTS5 over character bigrams (:mod:`search.grams`), everything else on arrays of columns kept in
memory (:mod:`search.columns`); documents, accounting and what was seen change in one transaction
(:mod:`search.writer`).
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from ingest.analysis import ClassifiedMention
from ingest.clock import Clock
from ingest.errors import UserError
from search.ast import And, Is, Node, Until, positive_words
from search.base import Delivery, Hit, Index, Outcome, Results, Sort, Summary
from search.columns import Codes, Columns, catch_up
from search.evaluate import Evaluation, PostingsCache
from search.facets import count_steps, summarise
from search.highlight import highlights
from search.packing import Packer
from search.paging import Keys, after, first, merged, ordered, read_cursor, sort_keys, write_cursor
from search.store import Store, Synchronous
from search.writer import Batch

_OUTCOMES = ("indexed", "revised", "duplicate", "empty", "erased")
_SCAN_BATCH = 500
_ERASE_BATCH = 2_000


class SqliteIndex(Index):
    """The embedded index. Any number of threads and processes may read while one writes; writers take turns.

    What :meth:`apply` acknowledged survives a power cut with ``synchronous="FULL"``; with NORMAL only a crash of the
    process. Raises Retryable while another process writes for too long or the disk is full, ConfigError for a file
    that cannot be opened or is of another version, Permanent (Chinese, with the remedy) for a damaged one, and
    Poison from :meth:`apply`, with nothing of the batch applied, for a mention that cannot be stored.
    """

    def __init__(self, path: Path, clock: Clock, *, synchronous: Synchronous = "FULL") -> None:
        self._clock = clock
        self._store = Store(path, synchronous)
        self._columns = Columns()
        self._columns_lock = threading.Lock()
        self._postings = PostingsCache()
        self._codes: Codes | None = None
        with self._store.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = 'dictionary'").fetchone()
            self._packer = Packer(row[0])

    def apply(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        if not deliveries:
            return []
        with self._batch() as (batch, _):
            return batch.apply(deliveries)

    def search(
        self,
        query: Node,
        *,
        sort: Sort = "newest",
        limit: int = 20,
        cursor: str | None = None,
        merge: bool = False,
    ) -> Results:
        if limit < 0:
            raise UserError("每页条数不能是负数")
        key = read_cursor(cursor, sort) if cursor else None
        with self._snapshot() as (connection, columns):
            evaluation = Evaluation(connection, columns, self._postings)
            slots = evaluation.slots(query)
            total = len(slots)
            keys = _keys(evaluation, columns, query, sort)
            sizes: Mapping[int, int] = {}
            if merge:
                slots, sizes = merged(slots, keys, columns["group"])
            groups = len(slots) if merge else None
            rest = slots if key is None else after(slots, keys, key)
            page = first(rest, keys, limit)
            docids = columns.docids[page].tolist()
            alike = [sizes.get(slot, 1) for slot in page.tolist()]
            mentions = self._fetch(connection, docids)
            copies = _copies(connection, [mention.id for mention in mentions.values()])
        hits = [
            Hit(mention, copies[mention.id], highlights(query, mention), size)
            for mention, size in zip((mentions[docid] for docid in docids), alike, strict=True)
        ]
        more = 0 < len(page) < len(rest)
        return Results(hits, total, write_cursor(sort, keys, page[-1]) if more else None, groups)

    def scan(self, query: Node, *, sort: Sort = "newest") -> Iterator[ClassifiedMention]:
        with self._snapshot() as (connection, columns):
            evaluation = Evaluation(connection, columns, self._postings)
            slots = evaluation.slots(query)
            docids = columns.docids[ordered(slots, _keys(evaluation, columns, query, sort))]
        # Each batch is a read of its own: a slow consumer must not keep the write-ahead log from being folded in.
        for start in range(0, len(docids), _SCAN_BATCH):
            batch = docids[start : start + _SCAN_BATCH].tolist()
            with self._store.reading() as connection:
                mentions = self._fetch(connection, batch)
            for docid in batch:
                if docid in mentions:
                    yield mentions[docid]

    def summary(self, query: Node, *, top: int = 20) -> Summary:
        with self._snapshot() as (connection, columns):
            slots = Evaluation(connection, columns, self._postings).slots(query)
        return summarise(columns, slots, top)

    def histogram(
        self, query: Node, *, since: datetime, until: datetime, step: timedelta
    ) -> Mapping[str, Sequence[int]]:
        with self._snapshot() as (connection, columns):
            slots = Evaluation(connection, columns, self._postings).slots(query)
        return count_steps(columns, slots, since=since, until=until, step=step)

    def get(self, mention_id: str) -> Hit | None:
        with self._store.reading() as connection:
            row = connection.execute(
                "SELECT doc, copies FROM mentions JOIN docs USING (docid) WHERE id = ?", (_storable(mention_id),)
            ).fetchone()
            return Hit(self._packer.unpack(row[0]), row[1]) if row else None

    def delete_by_author(self, author_key: str) -> int:
        return self._erase(Is("author", author_key), author_key)

    def delete_before(self, source: str, before: datetime) -> int:
        return self._erase(And((Is("source", source), Until(before))))

    def counts(self, source: str | None = None) -> Mapping[str, int]:
        if source is None:
            with self._store.reading() as connection:
                stored: int = connection.execute("SELECT count(*) FROM columns").fetchone()[0]
                return {**_tallies(connection, None), "documents": stored}
        with self._snapshot() as (connection, columns):
            sources = list(columns.terms.get("source", ("",)))
            code = sources.index(source) if source in sources[1:] else 0
            stored = int(((columns["source"] == code) & columns.alive).sum())
            return {**_tallies(connection, source), "documents": stored}

    def verify(self) -> Sequence[str]:
        """What is wrong with the file, found by reading all of it (slow); empty when it is sound."""
        with self._store.reading() as connection:
            faults = [row[0] for row in connection.execute("PRAGMA integrity_check") if row[0] != "ok"]
            sizes = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in ("mentions", "docs", "columns", "grams_docsize")
            }
            if len(set(sizes.values())) > 1:
                faults.append(f"tables differ: {sizes}")
            for (packed,) in connection.execute("SELECT doc FROM docs"):
                self._packer.unpack(packed)
            return faults

    def close(self) -> None:
        self._store.close()

    @contextmanager
    def _snapshot(self) -> Iterator[tuple[sqlite3.Connection, Columns]]:
        with self._store.reading() as connection:
            with self._columns_lock:
                seen = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()[0]
                if seen < self._columns.version:
                    # Another thread saw a later commit after this transaction began: begin again, at least as late.
                    connection.execute("COMMIT")
                    connection.execute("BEGIN")
                columns = self._columns = catch_up(connection, self._columns)
            yield connection, columns

    @contextmanager
    def _batch(self) -> Iterator[tuple[Batch, sqlite3.Connection]]:
        with self._store.writing() as connection:
            known, self._codes = self._codes, None
            codes = known if known and known.fits(connection) else Codes(connection)
            yield Batch(connection, codes, self._packer, self._clock.now()), connection
        self._codes = codes  # only now are they what the file holds

    def _erase(self, query: Node, author_key: str | None = None) -> int:
        erased = 0
        while True:
            with self._batch() as (batch, connection):
                with self._columns_lock:
                    columns = self._columns = catch_up(connection, self._columns)
                slots = Evaluation(connection, columns, self._postings).slots(query)[:_ERASE_BATCH]
                connection.execute("PRAGMA secure_delete=ON")
                now = batch.erase(columns.docids[slots].tolist(), author_key)
                connection.execute("PRAGMA secure_delete=OFF")
            erased += now
            if now < _ERASE_BATCH:
                return erased

    def _fetch(self, connection: sqlite3.Connection, docids: Sequence[int]) -> dict[int, ClassifiedMention]:
        rows = connection.execute(
            "SELECT docid, doc FROM docs WHERE docid IN (SELECT value FROM json_each(?))",
            (orjson.dumps(docids).decode(),),
        )
        return {docid: self._packer.unpack(packed) for docid, packed in rows}


def _keys(evaluation: Evaluation, columns: Columns, query: Node, sort: Sort) -> Keys:
    if sort != "relevance":
        return sort_keys(columns, sort)
    return sort_keys(columns, sort, evaluation.relevance(list(dict.fromkeys(positive_words(query)))))


def _tallies(connection: sqlite3.Connection, source: str | None) -> dict[str, int]:
    tallies = dict.fromkeys(_OUTCOMES, 0)
    for of_source, outcome, n in connection.execute("SELECT source, outcome, n FROM tallies"):
        if source is None or of_source == source:
            tallies[outcome] += n
    return tallies


def _copies(connection: sqlite3.Connection, ids: Sequence[str]) -> Mapping[str, int]:
    return dict(
        connection.execute(
            "SELECT id, copies FROM mentions WHERE id IN (SELECT value FROM json_each(?))",
            (orjson.dumps(ids).decode(),),
        )
    )


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
