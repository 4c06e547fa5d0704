"""The embedded index beside what SQLite offers by itself, in one run.

    python -m tests.bench.bench_index [--docs 100000] [--keep FILE]

Rivals: FTS5's own ``trigram`` tokenizer (which cannot find words of two characters) and a LIKE scan, both over a
plain table of folded text.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ingest.analysis import ClassifiedMention
from ingest.clock import SystemClock
from ingest.mention import Author, Product
from search.base import Delivery
from search.normalise import fold
from search.query import Node, parse_query
from search.sqlite import SqliteIndex
from tests.factories import CAPTURED, a_classified
from tests.search.random_mentions import RARE, TAGS, WORDS

BATCH = 500
ROUNDS = 5
QUERIES = {
    "two words": "暖气 不热",
    "a phrase": '"暖气不热"',
    "a two-character word": "漏水",
    "one character": "热",
    "OR, NOT": "(漏水 OR 异响) -物流",
    "a proximity": '"暖气 不热"~5',
    "word + filters": "漏水 sentiment:negative since:30d source:jd",
    "filters only": "sentiment:negative tag:产品质量 rating:<=2",
    "everything": "",
}


def q(text: str) -> Node:
    return parse_query(text, now=CAPTURED)


def texts(rng: random.Random) -> Iterator[str]:
    """Like reviews: median 40 characters, words by Zipf's law from "暖气" (most texts) to those hardly ever said."""
    others = [rng.choice(RARE) + rng.choice(RARE) for _ in range(4_000)]
    common, middle, rare = WORDS[:2], WORDS[2:12], WORDS[12:]
    vocabulary = [*common, *others[:10], *middle, *others[10:60], *rare, *others[60:]]
    weights = list(itertools.accumulate(1 / (rank + 2) for rank in range(len(vocabulary))))
    while True:
        words = rng.choices(vocabulary, cum_weights=weights, k=rng.choice((6, 10, 14, 18, 30, 60)))
        yield "".join(word + rng.choice(("", "", "", "，", "。", " ")) for word in words)


def mentions(count: int) -> Iterator[ClassifiedMention]:
    """A few thousand different ones over and over, each with its own id, time and author."""
    rng = random.Random(1)
    products = [Product(id=str(n), sku=str(n), name=f"钢制暖气片 K{n}", spec="1.8 米") for n in range(60)]
    pool = [
        a_classified(
            rng.choices(("negative", "neutral", "positive"), (2, 2, 6))[0],
            native_id=n,
            source=rng.choice(("jd", "tmall")),
            text=text,
            rating=rng.choice((1, 2, 3, 4, 5, 5, 5)),
            product=rng.choice(products),
            region=rng.choice(("山东", "河北", "北京", "黑龙江", "辽宁", None)),
            likes=rng.choice((0, 0, 1, 7, 120)),
            replies=rng.choice((0, 0, 1)),
            url=f"https://item.jd.com/{rng.randrange(10**8)}.html",
            tags=tuple(rng.sample(TAGS, rng.choice((0, 1, 1, 2)))),
            intent=rng.choice(("complaint", "praise", "question", "other")),
            severity=float(rng.randrange(10)),
        )
        for n, text in enumerate(itertools.islice(texts(rng), 5_000))
    ]
    for number in range(count):
        said = pool[number % len(pool)] if number < len(pool) else rng.choice(pool)
        author = Author(key=f"{rng.getrandbits(128):032x}")
        created = CAPTURED - timedelta(seconds=rng.randrange(2 * 365 * 86_400))
        own_id = f"{said.source}:review:{10**10 + number * 7 + rng.randrange(7)}"
        yield said.model_copy(update={"id": own_id, "created_at": created, "author": author})


def size(path: Path) -> int:
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


def percentiles(seconds: Sequence[float]) -> tuple[str, str]:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1e3:.1f}", f"{ordered[int(len(ordered) * 0.95)] * 1e3:.1f}"


def timed(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def fill(index: SqliteIndex, count: int) -> tuple[float, float, list[float]]:
    """Seconds in apply alone, by the wall and of the processor, and the rate of each batch."""
    source = mentions(count)
    wall, processor = 0.0, 0.0
    rates: list[float] = []
    for start in range(0, count, BATCH):
        batch = [Delivery(m, ("t", 0, start + n)) for n, m in enumerate(itertools.islice(source, BATCH))]
        began = time.process_time()
        took = timed(lambda batch=batch: index.apply(batch))  # type: ignore[misc]
        processor += time.process_time() - began
        wall += took
        rates.append(len(batch) / took)
    return wall, processor, rates


class Rival:
    """A plain FTS5 or LIKE table over the same folded texts."""

    def __init__(self, path: Path, tokenizer: str | None) -> None:
        self.path = path
        self._fts = tokenizer is not None
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        create = f"CREATE VIRTUAL TABLE t USING fts5 (x, tokenize='{tokenizer}')" if self._fts else "CREATE TABLE t (x)"
        self._connection.execute(create)

    def fill(self, count: int) -> float:
        source = mentions(count)
        spent = 0.0
        while batch := list(itertools.islice(source, BATCH)):
            started = time.perf_counter()
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO t VALUES (?)", ((fold(m.full_text),) for m in batch))
            self._connection.execute("COMMIT")
            spent += time.perf_counter() - started
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return spent

    def page(self, word: str) -> tuple[int, float]:
        """How many it finds, and the seconds for that number and twenty texts."""
        where, value = ("t MATCH ?", f'"{word}"') if self._fts else ("x LIKE ?", f"%{word}%")
        started = time.perf_counter()
        total = self._connection.execute(f"SELECT count(*) FROM t WHERE {where}", (value,)).fetchone()[0]
        self._connection.execute(f"SELECT x FROM t WHERE {where} ORDER BY rowid DESC LIMIT 20", (value,)).fetchall()
        return total, time.perf_counter() - started

    def close(self) -> None:
        self._connection.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--docs", type=int, default=20_000)
    arguments.add_argument("--rival-docs", type=int, default=None, help="fewer for the rivals (default: as many)")
    chosen = arguments.parse_args()
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        console.print(_in_and_size(Path(folder), chosen.docs))
        with SqliteIndex(Path(folder) / "index.db", SystemClock()) as index:
            console.print(_searches(index, chosen.docs))
        console.print(_rivals(Path(folder), min(chosen.docs, chosen.rival_docs or chosen.docs)))


def _in_and_size(folder: Path, count: int) -> Table:
    with SqliteIndex(folder / "index.db", SystemClock()) as index:
        spent, processor, rates = fill(index, count)
        assert index.counts()["documents"] == count
        again = [Delivery(m, ("t", 1, n)) for n, m in enumerate(itertools.islice(mentions(count), BATCH))]
        duplicates = BATCH / timed(lambda: index.apply(again))
    tenth = max(1, len(rates) // 10)
    table = Table(title=f"Into the index: {count:,} mentions, batches of {BATCH}, each durable (fsync)")
    for heading in (
        "documents/s",
        "per processor second",
        "first tenth",
        "last tenth",
        "duplicates/s",
        "bytes a mention",
    ):
        table.add_column(heading, justify="right")
    first, last = (statistics.mean(part) for part in (rates[:tenth], rates[-tenth:]))
    disk = size(folder / "index.db") / count
    figures = (count / spent, count / processor, first, last, duplicates, disk)
    table.add_row(*(f"{figure:,.0f}" for figure in figures))
    return table


def _searches(index: SqliteIndex, count: int) -> Table:
    table = Table(title=f"Searching {count:,} mentions (ms; a page of 20 with highlights and the exact total)")
    table.add_column("query")
    for heading in ("found", "first page", "page p50", "page p95", "all facets + histogram p50", "p95"):
        table.add_column(heading, justify="right")
    opening = timed(lambda: index.search(q("source:jd"), limit=0))
    pages: list[float] = []
    firsts: list[float] = []
    for name, text in QUERIES.items():
        node = q(text)
        first = timed(lambda node=node: index.search(node))  # type: ignore[misc]
        page = [timed(lambda node=node: index.search(node)) for _ in range(ROUNDS * 4)]  # type: ignore[misc]
        facets = [timed(lambda node=node: index.summary(node)) for _ in range(ROUNDS * 4)]  # type: ignore[misc]
        firsts.append(first)
        pages += page
        found = index.search(node, limit=0).total
        table.add_row(name, f"{found:,}", f"{first * 1e3:.1f}", *percentiles(page), *percentiles(facets))
    table.caption = (
        f"columns loaded in {opening * 1e3:.0f} ms, once a process; over all: p95 {percentiles(pages)[1]} ms"
    )
    return table


def _rivals(folder: Path, count: int) -> Table:
    table = Table(title=f"The same texts without an index of ours: {count:,} (ms for the number and 20 texts)")
    table.add_column("")
    for heading in ("documents/s", "bytes a text", "漏水 found", "ms", "暖气不热 found", "ms"):
        table.add_column(heading, justify="right")
    for name, tokenizer in (("FTS5 trigram", "trigram"), ("FTS5 unicode61", "unicode61"), ("LIKE scan", None)):
        with closing(Rival(folder / f"{name.replace(' ', '-')}.db", tokenizer)) as rival:
            rate = count / rival.fill(count)
            cells = []
            for word in ("漏水", "暖气不热"):
                runs = [rival.page(word) for _ in range(ROUNDS)]
                cells += [f"{runs[0][0]:,}", f"{statistics.median(seconds for _, seconds in runs) * 1e3:.1f}"]
            table.add_row(name, f"{rate:,.0f}", f"{size(rival.path) / count:,.0f}", *cells)
    with SqliteIndex(folder / "same.db", SystemClock()) as index:
        spent, _, _ = fill(index, count)
        cells = []
        for word in ("漏水", "暖气不热"):
            runs = [timed(lambda word=word: index.search(q(word))) for _ in range(ROUNDS)]  # type: ignore[misc]
            cells += [f"{index.search(q(word), limit=0).total:,}", f"{statistics.median(runs) * 1e3:.1f}"]
    disk = f"{size(folder / 'same.db') / count:,.0f}"
    table.add_row("ours (whole records)", f"{count / spent:,.0f}", disk, *cells)
    return table


if __name__ == "__main__":
    main()
