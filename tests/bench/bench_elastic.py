"""The index on Elasticsearch beside a bare bulk loop with the same mapping, in one run.

    python -m tests.bench.bench_elastic [--docs 20000]

The bare loop sends the same documents with the same ids, 500 a request, without any accounting: never refreshed,
refreshed after each request (as whoever must find what was just written has to), and encoded beforehand. Rounds of all
of them take turns, so that a busy machine is unfair to none.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import pytest
from elasticsearch import Elasticsearch
from rich.console import Console
from rich.table import Table

from ingest.analysis import ClassifiedMention
from ingest.clock import SystemClock
from search.base import Delivery
from search.elastic.document import State, body, key_of
from search.elastic.index import ElasticIndex
from shengwen.stages import ELASTIC_BATCH
from tests.bench.bench_index import QUERIES, mentions, percentiles, q, timed
from tests.servers.elastic import ElasticServer

BATCH = 500
TURN = 4
ROUNDS = 10

Load = Callable[[Sequence[ClassifiedMention], int], float]


def ours(index: ElasticIndex, size: int) -> Load:
    def load(mentions: Sequence[ClassifiedMention], start: int) -> float:
        deliveries = [Delivery(mention, ("t", 0, start + n)) for n, mention in enumerate(mentions)]
        batches = [deliveries[first : first + size] for first in range(0, len(deliveries), size)]
        return timed(lambda: [index.apply(batch) for batch in batches])

    return load


def bare(client: Elasticsearch, prefix: str, *, refresh: bool, encode: bool) -> Load:
    """``encode``: making the documents is part of the time, as it is of ours."""

    def send(batch: list[Any]) -> None:
        client.bulk(operations=batch, refresh=refresh, filter_path="errors,items.*.status")

    def lines(batch: Sequence[ClassifiedMention]) -> list[Any]:
        made: list[Any] = []
        for mention in batch:
            state = State(mention.source, live=True)
            state.hold(mention)
            made.append(orjson.dumps({"index": {"_index": f"{prefix}-{mention.source}", "_id": key_of(mention.id)}}))
            made.append(body(state))
        return made

    def load(mentions: Sequence[ClassifiedMention], start: int) -> float:
        batches = [mentions[first : first + BATCH] for first in range(0, len(mentions), BATCH)]
        if encode:
            return timed(lambda: [send(lines(batch)) for batch in batches])
        ready = [lines(batch) for batch in batches]
        return timed(lambda: [send(batch) for batch in ready])

    return load


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--docs", type=int, default=20_000)
    chosen = arguments.parse_args()
    try:
        server = ElasticServer(measured=True)
        server.start()
    except (pytest.skip.Exception, pytest.fail.Exception) as reason:
        print(f"not measured: {reason}")
        return
    try:
        run(server, chosen.docs)
    finally:
        server.close()


def run(server: ElasticServer, docs: int) -> None:
    console = Console(width=120)
    prefixes = ("ours", "small", "encodes", "refreshed", "sent")
    settings = {prefix: server.settings(prefix, replicas=0) for prefix in prefixes}
    indexes = {prefix: ElasticIndex(settings[prefix], SystemClock()) for prefix in prefixes}
    with server.client() as client:
        for index in indexes.values():
            index.apply([])
            index.indices.ensure(["jd", "tmall"])
        loads: dict[str, Load] = {
            "ours": ours(indexes["ours"], ELASTIC_BATCH),
            "small": ours(indexes["small"], BATCH),
            "refreshed": bare(client, "refreshed", refresh=True, encode=True),
            "encodes": bare(client, "encodes", refresh=False, encode=True),
            "sent": bare(client, "sent", refresh=False, encode=False),
        }
        seconds: dict[str, list[float]] = {name: [] for name in loads}
        source = mentions(docs)
        done = 0
        while turn := list(itertools.islice(source, TURN * BATCH)):
            for name, load in loads.items():
                seconds[name].append(load(turn, done))
            done += len(turn)
        console.print(_written(seconds, done))
        console.print(_again(indexes["ours"], docs))
        console.print(_read(indexes["ours"]))
    for index in indexes.values():
        index.close()


def _written(seconds: dict[str, list[float]], done: int) -> Table:
    table = Table(title=f"{done:,} new mentions into each")
    for heading in ("", "documents/s", "of which ours is"):
        table.add_column(heading, justify="right")
    names = {
        "ours": f"ElasticIndex.apply of {ELASTIC_BATCH:,}: counted once, searchable on return",
        "small": f"ElasticIndex.apply of {BATCH}: the same, as fresh mentions come",
        "refreshed": "bare bulk, refreshed after each request",
        "encodes": "bare bulk, never refreshed",
        "sent": "bare bulk, encoded beforehand, never refreshed",
    }
    spent = {name: sum(parts[1:] or parts) for name, parts in seconds.items()}  # the first turn warms the server up
    share = done * (len(seconds["ours"]) - 1 or 1) / len(seconds["ours"])
    for name, said in names.items():
        table.add_row(said, f"{share / spent[name]:,.0f}", f"{spent[name] / spent['ours']:.2f}")
    return table


def _again(index: ElasticIndex, docs: int) -> Table:
    """The first few batches once more: redeliveries, then the same collected anew."""
    table = Table(title="Known mentions")
    for heading in ("", "deliveries/s"):
        table.add_column(heading, justify="right")
    source = list(itertools.islice(mentions(docs), 5 * BATCH))
    for said, first in (("redelivered", 0), ("collected again", 10**9)):
        started = time.perf_counter()
        for start in range(0, len(source), BATCH):
            batch = source[start : start + BATCH]
            index.apply([Delivery(mention, ("t", 0, first + start + n)) for n, mention in enumerate(batch)])
        table.add_row(said, f"{len(source) / (time.perf_counter() - started):,.0f}")
    return table


def _read(index: ElasticIndex) -> Table:
    total = index.search(q(""), limit=0).total
    table = Table(title=f"Searching {total:,} mentions, milliseconds (median and p95 of {ROUNDS})")
    for heading in ("query", "found", "page of 20", "p95", "all facets", "p95"):
        table.add_column(heading, justify="left" if heading == "query" else "right")
    pages: list[float] = []
    for name, text in QUERIES.items():
        query = q(text)
        page = [timed(lambda query=query: index.search(query)) for _ in range(ROUNDS)]  # type: ignore[misc]
        facets = [timed(lambda query=query: index.summary(query)) for _ in range(ROUNDS)]  # type: ignore[misc]
        found = index.search(query, limit=0).total
        table.add_row(name, f"{found:,}", *percentiles(page), *percentiles(facets))
        pages += page
    table.add_section()
    table.add_row("all of them", "", f"{statistics.median(pages) * 1e3:.1f}", percentiles(pages)[1], "", "")
    return table


if __name__ == "__main__":
    main()
