"""Elasticsearch that is busy, hangs, cuts its answers, dies or has no room: all in exactly once, and no storm."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import pytest

from ingest.clock import ManualClock, SystemClock
from ingest.errors import Permanent, Poison, Retryable
from ingest.mention import Author
from search.base import Delivery
from search.elastic import client as elastic_client
from search.elastic.index import ElasticIndex
from tests.contract.index_suite import TOPIC, deliver, ids, later, q, state
from tests.factories import a_classified
from tests.search.random_mentions import random_mentions
from tests.servers.elastic import ElasticServer
from tests.servers.proxy import Answer, Cut, Fault, Hang, Proxy, RefuseItems, Reset


@pytest.fixture
def proxy(elastic_server: ElasticServer) -> Iterator[Proxy]:
    with Proxy(elastic_server.port) as opened:
        yield opened


@pytest.fixture
def index(
    elastic_server: ElasticServer, proxy: Proxy, elastic_prefix: str, clock: ManualClock, request: pytest.FixtureRequest
) -> Iterator[ElasticIndex]:
    with ElasticIndex(elastic_server.settings(elastic_prefix), clock) as direct:
        direct.apply([])
        direct.indices.ensure(["jd"])
    hangs = "hangs" in request.node.name
    settings = elastic_server.settings(elastic_prefix, hosts=(proxy.url,), timeout=2 if hangs else 30, patience=600)
    with ElasticIndex(settings, clock, seed=7) as opened:
        clock.waits.clear()
        yield opened


def some(count: int, first: int = 0) -> list[Delivery]:
    """Deliveries of JD reviews; every fifth is the mention before again."""
    mentions = [a_classified(native_id=n - (n % 5 == 4), text=f"暖气不热{n}") for n in range(first, first + count)]
    return deliver(mentions, first=first)


def check(index: ElasticIndex, deliveries: list[Delivery]) -> None:
    """Everything in, exactly once."""
    known = {delivery.mention.id for delivery in deliveries}
    counts = index.counts()
    assert counts["documents"] == counts["indexed"] == len(known)
    assert counts["indexed"] + counts["duplicate"] + counts["revised"] == len(deliveries)
    assert sorted(ids(index, "")) == sorted(known)


BUSY = [Answer(429)] * 6
STORMS: dict[str, list[Fault]] = {
    "429": [*BUSY],
    "503": [Answer(503)] * 6,
    "502 of a proxy, in HTML": [Answer(502, {"content-type": "text/html"}, "<h1>Bad gateway</h1>")] * 3,
    "hangs": [Hang()],
    "hangs when it is done": [Hang(done=True)],
    "half a body": [Cut()] * 3,
    "reset": [Reset()] * 3,
    "reset when it is done": [Reset(done=True)] * 3,
    "items refused with 429": [RefuseItems()] * 6,
    "items refused with 503": [RefuseItems(503, nth=3, kind="unavailable_shards_exception")] * 6,
    "flood stage": [
        RefuseItems(429, 1, "cluster_block_exception", "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage]")
    ] * 3,
    "a bit of each": [Answer(429), Cut(), RefuseItems(), Reset(done=True), Answer(503), RefuseItems(429, 1), Reset()],
}  # fmt: skip


@pytest.mark.parametrize("storm", STORMS)
def test_after_a_storm_every_document_is_in_exactly_once(index: ElasticIndex, proxy: Proxy, storm: str) -> None:
    proxy.faults.extend(STORMS[storm])
    deliveries = some(40)
    index.apply(deliveries)
    assert not proxy.faults
    check(index, deliveries)
    before = state(index)
    proxy.faults.extend(STORMS[storm])
    index.apply(deliveries)
    index.apply(some(1, first=100))
    assert index.counts()["indexed"] == before[1]["indexed"] + 1  # type: ignore[index]


def test_the_outcome_of_a_write_whose_answer_was_lost_is_told(index: ElasticIndex, proxy: Proxy) -> None:
    proxy.faults.extend([Reset(done=True)])
    nameless = [Delivery(a_classified(native_id=1, text="好")), Delivery(a_classified(native_id=1, text="好"))]
    assert index.apply(nameless) == ["indexed", "duplicate"]
    assert (index.counts()["indexed"], index.counts()["duplicate"]) == (1, 1)


def test_back_off_grows_and_is_jittered(index: ElasticIndex, proxy: Proxy, clock: ManualClock) -> None:
    proxy.faults.extend([Answer(429)] * 12)
    index.apply(some(3))
    waits = clock.waits
    assert len(waits) == 12
    bounds = [min(elastic_client.BACKOFF_CAP, elastic_client.BACKOFF_BASE * 2**n) for n in range(12)]
    assert all(0 <= wait <= bound for wait, bound in zip(waits, bounds, strict=True))
    assert len({round(wait / bound, 3) for wait, bound in zip(waits, bounds, strict=True)}) > 9
    assert sum(waits[6:]) > 3 * sum(waits[:6])


def test_what_the_server_asks_for_is_waited(index: ElasticIndex, proxy: Proxy, clock: ManualClock) -> None:
    proxy.faults.extend(
        [Answer(429, {"retry-after": "17"}), RefuseItems(429, 1, "cluster_block_exception", "/12/ disk")]
    )
    index.apply(some(3))
    assert len(clock.waits) == 2
    assert clock.waits[0] == 17
    assert clock.waits[1] >= elastic_client.FLOOD_WAIT


def test_when_patience_is_over_the_stage_is_told_to_come_again(
    elastic_server: ElasticServer, proxy: Proxy, elastic_prefix: str, clock: ManualClock
) -> None:
    settings = elastic_server.settings(elastic_prefix, hosts=(proxy.url,), timeout=5, patience=3)
    with ElasticIndex(settings, clock, seed=7) as index:
        index.apply(some(5))
        proxy.faults.extend([Answer(429)] * 100)
        with pytest.raises(Retryable, match="429"):
            index.apply(some(5, first=10))
        assert sum(clock.waits) <= 3
        assert len(proxy.faults) > 60
        proxy.faults.clear()
        index.apply(some(5, first=10))
        check(index, [*some(5), *some(5, first=10)])


@pytest.mark.parametrize("status", [400, 404])
def test_what_can_never_pass_is_not_tried_again(index: ElasticIndex, proxy: Proxy, status: int) -> None:
    index.apply(some(1))
    before = proxy.requests("_bulk")
    proxy.faults.extend([Answer(status, {}, '{"error": {"type": "parsing_exception", "reason": "no"}}')] * 5)
    with pytest.raises(Permanent):
        index.apply(some(1, first=10))
    assert proxy.requests("_bulk") == before + 1


def test_one_refused_item_is_poison_and_its_neighbours_stand(index: ElasticIndex, proxy: Proxy) -> None:
    proxy.faults.append(RefuseItems(400, 40, "strict_dynamic_mapping_exception", "no such field"))
    deliveries = some(40)
    with pytest.raises(Poison, match="strict_dynamic_mapping_exception"):
        index.apply(deliveries)
    assert proxy.requests("_bulk") == 1
    check(index, deliveries[1:])  # the first one was refused
    before = state(index)
    for delivery in deliveries[1:]:  # as the stage does: one by one
        index.apply([delivery])
    assert state(index) == before


def test_a_mention_that_cannot_be_stored_stops_the_batch_before_anything_is_sent(
    index: ElasticIndex, proxy: Proxy
) -> None:
    good = a_classified(native_id=1, text="好")
    for bad in (
        good.model_copy(update={"id": "jd:review:\ud800"}),
        good.model_copy(update={"id": "jd:review:2", "region": "\udfff"}),
        good.model_copy(update={"id": "jd:review:2", "text": "\ud800"}),
        good.model_copy(update={"id": "jd:review:2", "region": "省" * 20_000}),
    ):
        with pytest.raises(Poison):
            index.apply(deliver([good, bad]))
        assert proxy.requests("_bulk") == 0
    assert not any(index.counts().values())


def test_a_batch_too_large_for_one_request_is_cut(
    elastic_server: ElasticServer, proxy: Proxy, elastic_prefix: str, clock: ManualClock
) -> None:
    proxy.faults.extend([Answer(413, {}, "{}"), Answer(413, {}, "{}")])
    deliveries = deliver([a_classified(native_id=n, text="很长的评价" * 800) for n in range(9)])
    settings = elastic_server.settings(elastic_prefix, hosts=(proxy.url,), bulk_bytes=256 * 1024)
    with ElasticIndex(settings, clock) as index:
        index.apply(deliveries)
        check(index, deliveries)
    sizes = [one.size for one in proxy.seen if "_bulk" in one.line]
    assert len(sizes) > 4
    assert max(sizes) < 300 * 1024


def test_reading_is_tried_again_too(elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock) -> None:
    with Proxy(elastic_server.port, only="_search") as proxy:
        settings = elastic_server.settings(elastic_prefix, hosts=(proxy.url,), timeout=1, patience=60)
        with ElasticIndex(settings, clock, seed=7) as index:
            index.apply(some(10))
            proxy.faults.extend([Answer(429), Answer(503), Cut(), Reset()])
            assert index.search(q("暖气"), limit=0).total == 8
            assert not proxy.faults


def test_writers_that_race_lose_no_count(elastic_server: ElasticServer, elastic_prefix: str) -> None:
    said = [a_classified(native_id=n, text="好", author=Author(key=f"k{n % 3}")) for n in range(12)]
    failures: list[BaseException] = []

    def write(partition: int) -> None:
        rng = random.Random(partition)
        try:
            with ElasticIndex(elastic_server.settings(elastic_prefix), SystemClock()) as index:
                for turn in range(8):
                    batch = [later(one, hours=rng.randrange(1, 50), text=f"好{rng.randrange(4)}") for one in said]
                    rng.shuffle(batch)
                    places = [(TOPIC, partition, turn * 12 + n) for n in range(12)]
                    index.apply([Delivery(one, place) for one, place in zip(batch, places, strict=True)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(partition,)) for partition in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with ElasticIndex(elastic_server.settings(elastic_prefix), SystemClock()) as index:
        counts = index.counts()
        assert counts["indexed"] + counts["revised"] + counts["duplicate"] == 3 * 8 * 12
        assert counts["documents"] == counts["indexed"] == 12
        hits = index.search(q(""), limit=20).hits
        assert sum(hit.copies for hit in hits) == counts["indexed"] + counts["duplicate"]


def test_a_write_block_is_waited_for(
    elastic_server: ElasticServer, elastic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elastic_client, "FLOOD_WAIT", 0.4)
    deliveries = some(20)
    settings = elastic_server.settings(elastic_prefix, patience=60)
    with ElasticIndex(settings, SystemClock(), seed=1) as index, elastic_server.client() as client:
        index.indices.ensure(["jd"])
        name = f"{elastic_prefix}-jd"
        client.indices.put_settings(index=name, settings={"index.blocks.read_only_allow_delete": True})
        lifted = threading.Timer(
            0.7, lambda: client.indices.put_settings(index=name, settings={"index.blocks.read_only_allow_delete": None})
        )
        lifted.start()
        started = time.monotonic()
        try:
            index.apply(deliveries)
        finally:
            lifted.join()
        assert time.monotonic() - started > 0.7
        check(index, deliveries)


def test_killed_in_mid_bulk_and_started_again(elastic_server: ElasticServer, elastic_prefix: str) -> None:
    mentions = random_mentions(seed=3, count=900)
    log = deliver(mentions)
    settings = elastic_server.settings(elastic_prefix, patience=120, timeout=10)
    with ElasticIndex(settings, SystemClock()) as index:
        index.apply(log[:100])
        failures: list[BaseException] = []

        def write() -> None:
            try:
                for start in range(0, len(log), 250):
                    index.apply(log[start : start + 250])
            except BaseException as error:
                failures.append(error)

        writing = threading.Thread(target=write)
        writing.start()
        time.sleep(0.3)
        elastic_server.restart()
        writing.join()
        assert not failures
        counts = index.counts()
        assert counts["indexed"] + counts["empty"] == len(log)
        assert counts["documents"] == sum(mention.has_content for mention in mentions)


def test_a_paused_server_is_waited_for(elastic_server: ElasticServer, elastic_prefix: str) -> None:
    deliveries = some(20)
    with ElasticIndex(elastic_server.settings(elastic_prefix, patience=60, timeout=1), SystemClock()) as index:
        index.apply(some(1, first=50))
        elastic_server.pause()
        wake = threading.Timer(2.0, elastic_server.go_on)
        wake.start()
        try:
            index.apply(deliveries)
        finally:
            wake.join()
        check(index, [*deliveries, *some(1, first=50)])
