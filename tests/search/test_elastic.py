"""The index on Elasticsearch beyond the contract: mapping versions, logging in, deep queries, rebuilding."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ingest.clock import ManualClock, SystemClock
from ingest.errors import ConfigError, ContractError, Permanent, Retryable, UserError
from ingest.mention import Author
from search.elastic import counting, document, mapping, reader
from search.elastic import indices as managing
from search.elastic import reindex as rebuilding
from search.elastic.config import ElasticSettings
from search.elastic.index import ElasticIndex
from search.elastic.mapping import Names, slug
from search.memory import matches
from tests.contract.index_suite import deliver, ids, later, q, state
from tests.factories import a_classified
from tests.search.random_mentions import random_mentions
from tests.servers.base import free_port
from tests.servers.elastic import PASSWORD, ElasticServer
from tests.servers.proxy import Answer, Proxy, Reset

Told = list[tuple[str, int, int]]


@pytest.fixture
def index(elastic_server: ElasticServer, elastic_prefix: str) -> Iterator[ElasticIndex]:
    with ElasticIndex(elastic_server.settings(elastic_prefix), SystemClock(), seed=1) as opened:
        yield opened


def quiet(*_: object) -> None:
    """For whoever does not want to be told."""


# Names and settings


def test_different_sources_have_different_names_that_a_server_takes() -> None:
    sources = [
        "jd",
        "tmall",
        "import:门店",
        "import:门店2",
        "import:Hotline",
        "import:hotline",
        "import:a-b",
        "import:a_b",
    ]
    slugs = [slug(source) for source in sources]
    assert len(set(slugs)) == len(sources)
    assert all(one == one.lower() and one.isascii() and "*" not in one for one in slugs)
    assert Names("x").source_of("import:门店:survey:1:2") == "import:门店"


@pytest.mark.parametrize(
    "fields",
    [
        {"hosts": ["es:9200"]},
        {"hosts": ["http://user:secret-word@es:9200"]},
        {"hosts": []},
        {"prefix": "Has-Hyphen"},
        {"user": "a"},
        {"api_key": "secret-word", "user": "a", "password": "secret-word"},
        {"shards": {"jd": 0}},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ElasticSettings.model_validate(fields)


def test_secrets_are_in_no_text_of_the_settings() -> None:
    settings = ElasticSettings.model_validate({"user": "u", "password": "secret-word"})
    assert "secret-word" not in repr(settings) + str(settings.model_dump())


# The server and its versions


def test_an_index_of_another_mapping_version_is_refused_with_what_to_do(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = elastic_server.settings(elastic_prefix)
    with ElasticIndex(settings, clock) as index:
        index.apply(deliver([a_classified(native_id=1, text="好")]))
    newer = mapping.MAPPING_VERSION + 1
    for module in (mapping, rebuilding):
        monkeypatch.setattr(module, "MAPPING_VERSION", newer)
    with ElasticIndex(settings, clock) as index:
        with pytest.raises(ConfigError, match="shengwen reindex"):
            index.counts()
        [done] = index.reindex(told=quiet)
        assert done.index == f"{elastic_prefix}-jd-v{newer}-000002"
        assert ids(index, "好") == ["jd:review:1"]
    monkeypatch.undo()
    with ElasticIndex(settings, clock) as index, pytest.raises(ConfigError, match="升级程序"):
        index.search(q("好"))


def test_an_index_of_version_1_is_filled_anew_by_reindex_and_loses_nothing(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1 knew no words of the brand: neither its mapping nor its documents had fields for them."""
    newer = ("about", "matched", "matched_key")
    derived = document._derived
    settings = elastic_server.settings(elastic_prefix)
    mentions = random_mentions(seed=41, count=120)
    with monkeypatch.context() as patched:
        for module in (mapping, rebuilding, managing):
            patched.setattr(module, "MAPPING_VERSION", 1)
        patched.setattr(mapping, "_PROPERTIES", {k: v for k, v in mapping._PROPERTIES.items() if k not in newer})
        patched.setattr(document, "_derived", lambda m: {k: v for k, v in derived(m).items() if k not in newer})
        with ElasticIndex(settings, clock) as index:
            index.apply(deliver(mentions))
            index.delete_by_author("author-2")
            before = index.counts()
    with ElasticIndex(settings, clock) as index:
        with pytest.raises(ConfigError, match="格式版本是 1，这个程序要的是 2。请运行 shengwen reindex"):
            index.counts()
        index.reindex(told=quiet)
        assert index.counts() == before
        stored = [m for m in mentions if m.has_content and m.author.key != "author-2"]
        for text in ("", "matched:岚炉", "matched:*", "about:own", "about:rival,none 暖气"):
            assert sorted(ids(index, text)) == sorted(m.id for m in stored if matches(q(text), m)), text
        assert index.apply(deliver(mentions)) == ["duplicate"] * len(mentions)
        assert index.counts() == before


def test_an_alias_of_somebody_else_is_refused(
    elastic_server: ElasticServer, elastic_prefix: str, index: ElasticIndex
) -> None:
    with elastic_server.client() as client:
        client.indices.create(index=f"{elastic_prefix}-other", aliases={f"{elastic_prefix}-all": {}})
    with pytest.raises(ConfigError, match="prefix"):
        index.counts()


def test_a_server_that_is_not_there_is_waited_for_and_then_told_of(clock: ManualClock) -> None:
    settings = ElasticSettings(hosts=(f"http://127.0.0.1:{free_port()}",))
    with ElasticIndex(settings, clock, seed=1) as index, pytest.raises(Retryable) as told:
        index.search(q("好"))
    assert 2 < sum(clock.waits) <= 10, "a person waits for the answer"
    assert f"连不上 Elasticsearch（{settings.hosts[0]}）" in str(told.value)
    assert "index.elasticsearch.hosts" in str(told.value)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer(
            400,
            body='{"error": {"root_cause": [{"type": "media_type_header_exception", "reason": "Invalid media-type value'
            ' on headers [Accept]"}], "type": "media_type_header_exception"}, "status": 400}',
        ),
        Answer(406, body='{"error": "Content-Type header [application/vnd.elasticsearch+json] is not supported"}'),
    ],
)
def test_a_server_that_does_not_understand_this_client_is_too_old(clock: ManualClock, refusal: Answer) -> None:
    with Proxy(free_port(), only="/") as proxy:
        proxy.faults.extend([refusal] * 2)
        with (
            ElasticIndex(ElasticSettings(hosts=(proxy.url,)), clock) as index,
            pytest.raises(ConfigError, match=r"版本太旧，要 8\.19 .*9.*index\.elasticsearch\.hosts"),
        ):
            index.search(q("好"))


@pytest.mark.parametrize("version", [(8, 18, 9), (8, 19, 0), (9, 0, 0)])
def test_the_oldest_server_is_the_documented_one(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    with ElasticIndex(ElasticSettings(), clock) as index:
        monkeypatch.setattr(index.elastic, "version", lambda *_: version)
        if version >= (8, 19):
            index.indices.check_server()
        else:
            with pytest.raises(ConfigError, match=r"8\.18\.9.*8\.19"):
                index.indices.check_server()


def test_a_closed_index_says_so(index: ElasticIndex) -> None:
    index.apply(deliver([a_classified(native_id=1, text="好")]))
    index.close()
    index.close()
    for use in (lambda: index.search(q("")), index.counts, lambda: index.apply(deliver([a_classified(text="好")]))):
        with pytest.raises(ContractError, match="closed"):
            use()


def test_a_server_that_wants_a_password_gets_it(tmp_path: Path, clock: ManualClock) -> None:
    server = ElasticServer(secured=True)
    server.start()
    try:
        with ElasticIndex(server.settings("secured", user="elastic", password=PASSWORD), clock) as index:
            index.apply(deliver([a_classified(native_id=1, text="好")]))
            assert ids(index, "好") == ["jd:review:1"]
        for wrong in ({}, {"user": "elastic", "password": "not-this-one"}):
            with ElasticIndex(server.settings("secured", **wrong), clock) as index:
                with pytest.raises(ConfigError, match="拒绝登录") as refused:
                    index.counts()
                assert "not-this-one" not in str(refused.value)
    finally:
        server.close()


def test_an_api_key_is_sent_as_one(elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock) -> None:
    with Proxy(elastic_server.port) as proxy:
        settings = elastic_server.settings(elastic_prefix, hosts=(proxy.url,), api_key="a2V5OnNlY3JldA==")
        with ElasticIndex(settings, clock) as index:
            index.counts()
        assert {one.headers.get("authorization") for one in proxy.seen} == {"ApiKey a2V5OnNlY3JldA=="}


def test_a_user_without_rights_is_told_so(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock
) -> None:
    said = '{"error": {"type": "security_exception", "reason": "action [x] is unauthorized"}, "status": 403}'
    with Proxy(elastic_server.port, only="_search") as proxy:
        with ElasticIndex(elastic_server.settings(elastic_prefix, hosts=(proxy.url,)), clock) as index:
            proxy.faults.append(Answer(403, {}, said))
            with pytest.raises(ConfigError, match="没有权限"):
                index.counts()
        assert not clock.waits


# Queries and pages


@pytest.mark.parametrize("depth", [5, 24])
def test_parentheses_are_compiled_flat_enough_for_a_server(index: ElasticIndex, depth: int) -> None:
    said = a_classified(native_id=1, text="一二三")
    index.apply(deliver([said]))
    for last in ("一", "六"):
        text = last
        for _ in range(depth):
            text = f"({text} OR 四) 二"
        assert index.search(q(text)).total == matches(q(text), said) == (last == "一")
    assert index.search(q("NOT " * 50 + "一")).total == 1


def test_parentheses_deeper_than_a_server_takes_are_a_user_error_not_a_failure(index: ElasticIndex) -> None:
    text = "一"
    for _ in range(30):
        text = f"({text} OR 四) 二"
    with pytest.raises(UserError, match="太深"):
        index.search(q(text))


def test_cursors_of_other_indexes_are_refused(index: ElasticIndex) -> None:
    index.apply(deliver([a_classified(native_id=n, text="好") for n in range(3)]))
    cursor = index.search(q("好"), limit=1).cursor
    assert cursor is not None
    with pytest.raises(UserError, match="翻页"):
        index.search(q("好"), cursor="WzEsIm5ld2VzdCIsMTc2NzU2NzYwMDAwMCw1XQ")  # of the embedded one
    assert len(index.search(q("好"), limit=5, cursor=cursor).hits) == 2


def test_a_scan_survives_the_end_of_its_point_in_time(index: ElasticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_SCAN_BATCH", 40)
    mentions = [a_classified(native_id=n, text="好", author=Author(key=f"k{n % 2}")) for n in range(200)]
    index.apply(deliver(mentions))
    scan = index.scan(q("好"))
    seen = [next(scan).id for _ in range(10)]
    index.delete_by_author("k1")
    index.reindex(told=quiet)  # the index that the point in time was of is gone
    seen += [mention.id for mention in scan]
    assert len(seen) == len(set(seen))
    assert {m.id for m in mentions if m.author.key == "k0"} <= set(seen)
    assert len(seen) < 150


def test_facets_are_exact_when_a_shard_has_more_values_than_it_sends(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "_PER_SHARD", 3)
    monkeypatch.setattr(counting, "_PAGE", 7)
    settings = elastic_server.settings(elastic_prefix, shards={"jd": 4})
    mentions = [a_classified(native_id=n, text="好", region=f"省{n * n % 23}") for n in range(300)]
    with ElasticIndex(settings, clock) as index:
        index.apply(deliver(mentions))
        found = index.summary(q("好"), top=3).facets["region"]
    counts = {name: sum(m.region == name for m in mentions) for name in {m.region for m in mentions}}
    assert list(found.items()) == sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]


# Rebuilding


def test_a_rebuilt_index_is_the_same_with_other_shards(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock, index: ElasticIndex
) -> None:
    log = deliver(random_mentions(seed=2, count=200))
    index.apply(log)
    index.delete_by_author("author-1")
    before = state(index)
    told: Told = []
    settings = elastic_server.settings(elastic_prefix, shards={"jd": 3})
    with ElasticIndex(settings, clock) as other:
        done = other.reindex(told=lambda *said: told.append(said))
        assert {one.source for one in done} == {delivery.mention.source for delivery in log}
        assert state(other) == before
    assert told[-1][1] == told[-1][2]
    with elastic_server.client() as client:
        found = client.indices.get(index=f"{elastic_prefix}-jd").body
        assert [(name, one["settings"]["index"]["number_of_shards"]) for name, one in found.items()] == [
            (f"{elastic_prefix}-jd-v{mapping.MAPPING_VERSION}-000002", "3")
        ]
        assert len(client.indices.get(index=f"{elastic_prefix}-*").body) == len(done)
    index.apply(log)  # whoever had it open goes on; all of it is known
    assert state(index) == before


def test_nothing_is_lost_while_writes_go_on(
    elastic_server: ElasticServer, elastic_prefix: str, index: ElasticIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "_BATCH", 20)
    monkeypatch.setattr(rebuilding, "_FEW", 5)
    first = [a_classified(native_id=n, text=f"好{n}", author=Author(key=f"k{n % 10}")) for n in range(300)]
    index.apply(deliver(first))
    stop = threading.Event()
    written: list[int] = [300]
    failures: list[BaseException] = []

    def write() -> None:
        try:
            settings = elastic_server.settings(elastic_prefix, patience=60)
            with ElasticIndex(settings, SystemClock()) as writing:
                while not stop.is_set() or written[0] < 400:
                    start = written[0]
                    new = [a_classified(native_id=n, text=f"新{n}") for n in range(start, start + 3)]
                    again = [later(first[n % 300], hours=n, text=f"改{n}") for n in range(start + 3, start + 6)]
                    writing.apply(deliver([*new, *again], first=start))
                    written[0] += 6
        except BaseException as error:
            failures.append(error)

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for _ in range(2):
            index.reindex(told=quiet)
    finally:
        stop.set()
        writing.join()
    assert not failures
    counts = index.counts()
    more = (written[0] - 300) // 2
    assert (counts["indexed"], counts["revised"], counts["duplicate"]) == (300 + more, more, 0)
    assert counts["documents"] == counts["indexed"] == index.search(q(""), limit=0).total


def test_a_rebuilding_that_died_is_begun_again_only_when_told(
    elastic_server: ElasticServer, elastic_prefix: str, index: ElasticIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.apply(deliver([a_classified(native_id=n, text="好") for n in range(30)]))
    before = state(index)

    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.reindex(told=died)
    with elastic_server.client() as client:  # as kill -9 would leave it at the worst moment
        client.indices.add_block(index=f"{elastic_prefix}-jd", block="write")
    with pytest.raises(UserError, match="--restart"):
        index.reindex(told=quiet)
    assert state(index) == before
    index.reindex(told=quiet, restart=True)
    assert state(index) == before
    index.apply(deliver([a_classified(native_id=99, text="好")], first=99))


def test_a_swap_whose_answer_was_lost_is_done(
    elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock, index: ElasticIndex
) -> None:
    index.apply(deliver([a_classified(native_id=n, text="好") for n in range(5)]))
    before = state(index)
    with Proxy(elastic_server.port, only="/_aliases") as proxy:
        proxy.faults.append(Reset(done=True))
        with ElasticIndex(elastic_server.settings(elastic_prefix, hosts=(proxy.url,)), clock) as other:
            (done,) = other.reindex(told=quiet)
        assert not proxy.faults
        assert proxy.requests("/_aliases") == 2
    assert index.indices.aliases() == {f"{elastic_prefix}-jd": done.index}
    assert state(index) == before


def test_a_copy_that_is_not_equal_is_not_taken(index: ElasticIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.apply(deliver([a_classified(native_id=n, text="好") for n in range(5)]))
    monkeypatch.setattr(rebuilding._Copy, "_put", quiet)
    with pytest.raises(Permanent, match="没有切换"):
        index.reindex(told=quiet)
    assert index.apply(deliver([a_classified(native_id=7, text="好")], first=7)) == ["indexed"]
    assert index.counts()["documents"] == 6
