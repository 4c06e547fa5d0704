"""Two indexes, one meaning: the embedded one and Elasticsearch give the same ids in the same order, the same counts."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.clock import ManualClock
from search.base import Index
from search.elastic.index import ElasticIndex
from search.sqlite import SqliteIndex
from tests.contract.index_suite import SORTS, deliver, later, q
from tests.factories import CAPTURED
from tests.search.random_mentions import FILTERS, random_mentions, random_query
from tests.servers.elastic import NEXT, ElasticServer

DOCUMENTS = 3_000
QUERIES = 1_000


@pytest.fixture(scope="module")
def both(elastic_server: ElasticServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Index, Index]]:
    """The same history in both: new mentions, revisions, corrections of counts, redeliveries, an author erased."""
    clock = ManualClock()
    folder: Path = tmp_path_factory.mktemp("agrees")
    # More than one shard: sums and the top of a facet are put together from several.
    settings = elastic_server.settings("agrees", shards={"jd": 3, "zhihu": 2})
    try:
        with SqliteIndex(folder / "index.db", clock) as embedded, ElasticIndex(settings, clock) as elastic:
            mentions = random_mentions(seed=21, count=DOCUMENTS)
            edited = [later(m, text=m.text + "改", likes=n) for n, m in enumerate(mentions[::9]) if m.source == "jd"]
            log = deliver([*mentions, *edited, *mentions[:200]])
            for index in (embedded, elastic):
                for start in range(0, len(log), 1_000):
                    index.apply(log[start : start + 1_000])
                index.apply(log[:300])
                index.delete_by_author("author-7")
                index.delete_before("import:hotline", CAPTURED - timedelta(days=80))
            yield embedded, elastic
    finally:
        elastic_server.clean("agrees")


def test_the_accounting_agrees(both: tuple[Index, Index]) -> None:
    embedded, elastic = both
    for source in (None, "jd", "import:hotline", "zhihu"):
        assert elastic.counts(source) == embedded.counts(source)


@pytest.mark.timeout(600)  # seconds by itself, minutes beside five other suites
def test_a_thousand_random_queries_agree(both: tuple[Index, Index]) -> None:
    embedded, elastic = both
    rng = random.Random(5)
    mentions = random_mentions(seed=21, count=DOCUMENTS)
    queries = [*FILTERS, "", *(random_query(rng, mentions) for _ in range(QUERIES))]
    found_some = 0
    for place, text in enumerate(queries):
        node, sort = q(text), SORTS[place % len(SORTS)]
        limit = 300 if place % 20 == 0 else 15
        one = embedded.search(node, sort=sort, limit=limit)
        other = elastic.search(node, sort=sort, limit=limit)
        assert other.total == one.total, text
        assert [hit.mention.id for hit in other.hits] == [hit.mention.id for hit in one.hits], (text, sort)
        assert other.hits == one.hits
        assert (other.cursor is None) == (one.cursor is None)
        if place % 25 == 0:
            assert (
                elastic.search(node, sort=sort, limit=limit, merge=True).hits
                == (merged := embedded.search(node, sort=sort, limit=limit, merge=True)).hits
            )
            assert elastic.search(node, sort=sort, limit=0, merge=True).groups == merged.groups
        if place % 10 == 0:
            assert elastic.summary(node, top=3) == embedded.summary(node, top=3), text
        if place % 40 == 0:
            span = {"since": CAPTURED - timedelta(days=70), "until": CAPTURED, "step": timedelta(hours=13)}
            assert elastic.histogram(node, **span) == embedded.histogram(node, **span)  # type: ignore[arg-type]
        found_some += one.total > 0
    assert found_some > QUERIES // 2


@pytest.mark.parametrize("sort", SORTS)
def test_everything_scanned_comes_in_the_same_order(both: tuple[Index, Index], sort: str) -> None:
    embedded, elastic = both
    query = q("暖气 OR 不热 OR 的 OR likes:>=0")
    one = [mention.id for mention in embedded.scan(query, sort=sort)]  # type: ignore[arg-type]
    other = [mention.id for mention in elastic.scan(query, sort=sort)]  # type: ignore[arg-type]
    assert len(one) > 1_000
    assert other == one


@pytest.mark.timeout(600)
def test_the_next_major_version_agrees_as_well(tmp_path: Path, clock: ManualClock) -> None:
    server = ElasticServer(NEXT)
    server.start()
    try:
        mentions = random_mentions(seed=22, count=300)
        log = deliver([*mentions, *(later(m, text=m.text + "改") for m in mentions if m.source == "jd")])
        with (
            SqliteIndex(tmp_path / "index.db", clock) as embedded,
            ElasticIndex(server.settings("t"), clock) as elastic,
        ):
            for index in (embedded, elastic):
                index.apply(log)
                index.apply(log[:100])
                index.delete_by_author("author-2")
            elastic.reindex(told=lambda *_: None)
            assert elastic.counts() == embedded.counts()
            rng = random.Random(6)
            for place in range(60):
                text, sort = random_query(rng, mentions), SORTS[place % len(SORTS)]
                one, other = (index.search(q(text), sort=sort, limit=20) for index in (embedded, elastic))
                assert (other.total, other.hits) == (one.total, one.hits), (text, sort)
            assert elastic.summary(q("")) == embedded.summary(q(""))
            assert [m.id for m in elastic.scan(q("的"))] == [m.id for m in embedded.scan(q("的"))]
    finally:
        server.close()
