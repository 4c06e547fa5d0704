"""Official APIs: what is signed is accepted by who checks it by itself, nothing is read twice or missed, and whoever
must act is told what to do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from crawlers.audit import Audit, read_audit
from crawlers.book import PlatformBook
from crawlers.config import CrawlSettings, Platform
from crawlers.kit import Kit
from crawlers.launch import run_spider
from crawlers.ledger import Ledger
from crawlers.official.api import OfficialApi
from crawlers.official.client import Client, retry_after
from crawlers.official.config import OfficialSettings
from crawlers.official.douyin import Douyin
from crawlers.official.jos import Jos
from crawlers.official.signing import sign
from crawlers.official.top import Top
from crawlers.official.windows import Window, windows
from crawlers.official.zhihu import ZhihuSearch
from crawlers.pipeline import Pipeline
from crawlers.run import Job, load_job, run
from ingest.clock import Clock, ManualClock, SystemClock
from ingest.coverage import Coverage, coverage_from_json
from ingest.errors import ConfigError
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Mention, mention_from_json
from ingest.privacy import Privacy
from ingest.state import Base, make_engine
from tests.alerts.receivers import Got, Receiver, Reply, receiver
from tests.crawlers.official import Fake, FakeDouyin, FakeJos, FakeTop, FakeZhihu, Said

NOW = datetime(2026, 3, 4, 6, 20, tzinfo=UTC)
FAST = {"requests_per_minute": 6000, "timeout": 5}
READERS: Mapping[str, tuple[Platform, Callable[[Kit, threading.Event], OfficialApi]]] = {
    "jos": ("jd", Jos),
    "top": ("tmall", Top),
    "zhihu": ("zhihu", ZhihuSearch),
    "douyin": ("douyin", Douyin),
}


class Home:
    """A log and a state database on disk, and runs of one API with a clock that the test moves."""

    def __init__(self, path: Path, api: str) -> None:
        self.path, self.api = path, api
        self.platform, self.make = READERS[api]
        self.split_words: list[str] = []
        self.clock = ManualClock(NOW)
        self.url = f"sqlite:///{path / 'state.db'}"
        self.engine = make_engine(self.url)
        Base.metadata.create_all(self.engine)
        self.log = SqliteLog(path / "log.db", clock=self.clock)

    def run(self, stop: threading.Event | None = None, **settings: Any) -> OfficialApi:
        platform = {self.platform: {"split_words": self.split_words}}
        crawl = CrawlSettings.model_validate(platform | {"official": {self.api: FAST | settings}})
        assert crawl.official_of(self.platform) == self.api
        ledger = Ledger(self.engine, self.platform, self.clock)
        pipeline = Pipeline(self.log, ledger, Privacy(bytes(32)), self.clock, platform=self.platform)
        pipeline.recover()
        book = PlatformBook(self.engine, self.clock)
        audit = Audit(self.path / "audit", self.platform, ledger, self.clock, why="official_api", days=crawl.audit_days)
        kit = Kit(
            settings=crawl, log=self.log, ledger=ledger, book=book, pipeline=pipeline, clock=self.clock, audit=audit
        )
        ledger.begin()
        reader = self.make(kit, stop or threading.Event())
        reader.run()
        return reader

    def streamed(self) -> list[Mention]:
        return [mention_from_json(record.value) for record in self.log.read(Topics.COLLECTED, 0, 0, 100_000)]

    def ids(self) -> Counter[str]:
        return Counter(mention.id for mention in self.streamed())

    def coverage(self) -> list[Coverage]:
        return [coverage_from_json(record.value) for record in self.log.read(Topics.COVERAGE, 0, 0, 1000)]

    def stopped(self) -> str:
        status = PlatformBook(self.engine, self.clock).status(self.platform)
        return status.reason if status.needs_person else ""

    def audited(self) -> list[dict[str, Any]]:
        """Every line of the audit; none holds a key."""
        lines = list(read_audit(self.path / "audit", [self.platform], NOW - timedelta(days=1)))
        assert not any(secret in line.raw for line in lines for secret in (b"secret", b"token", b"-session", b"sign="))
        return [dict(line.fields) for line in lines]

    def close(self) -> None:
        self.log.close()
        self.engine.dispose()


@contextmanager
def world(path: Path, api: str, fake: Callable[..., Fake], **held: Any) -> Iterator[tuple[Home, Any, Receiver]]:
    home = Home(path, api)
    try:
        answering = fake(home.clock, **held)
        with receiver(answering) as server:
            yield home, answering, server
    finally:
        home.close()


def reviews(number: int, *, every: timedelta, until: datetime = NOW) -> list[Said]:
    return [
        Said(str(10_000 + n), until - every * n - timedelta(seconds=1), f"第{n}条：升温慢", (5, 3, 1)[n % 3])
        for n in range(number)
    ]


def jos_keys(server: Receiver, **more: Any) -> dict[str, Any]:
    known = {"url": server.url, "app_key": "jos-key", "app_secret": "jos secret", "access_token": "jos-token"}
    return {**known, "history_days": 90, "window_days": 30, **more}


def top_keys(server: Receiver, **more: Any) -> dict[str, Any]:
    return {"url": server.url, "app_key": "12345678", "app_secret": "top secret", "session": "top-session", **more}


def once(reply: Reply) -> Callable[[Got], Reply | None]:
    left = [reply]
    return lambda got: left.pop() if left else None


# -- signatures ------------------------------------------------------------------------------------


def test_signatures_are_those_of_md5sum_and_openssl() -> None:
    """Each made outside of Python: ``printf … | md5sum``, ``printf … | openssl dgst -md5|-sha256 -hmac …``."""
    jos = {
        "v": "2.0", "method": "jingdong.x", "app_key": "key", "access_token": "tok", "format": "json",
        "timestamp": "2026-01-02 03:04:05", "360buy_param_json": '{"page":1}', "empty": "", "sign": "old",
    }  # fmt: skip
    assert sign(jos, "s3cret") == "C806C03639F59ED8EDF87F1CB6D9FB2F"
    top = {
        "method": "taobao.item.seller.get", "app_key": "12345678", "session": "test", "v": "2.0", "format": "json",
        "timestamp": "2016-01-01 12:00:00", "bar": "2", "foo": "1", "foo_bar": "3", "foobar": "4",
    }  # fmt: skip
    assert sign(top | {"sign_method": "hmac"}, "helloworld", "hmac") == "77C8370527B0BF409F760CB2E0019554"
    assert (
        sign(top | {"sign_method": "hmac-sha256"}, "helloworld", "hmac-sha256")
        == "75F09FE716CBD9FA936E874059E1EF09D7830120AFA9108D1522D8E24E376B36"
    )
    assert sign({"名称": "暖气"}, "s") == "CE28E8CE6B204C10AD0E28C0568920A4"


@pytest.mark.parametrize("method", ["md5", "hmac", "hmac-sha256"])
def test_every_documented_way_to_sign_is_accepted(tmp_path: Path, method: str) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(3, every=timedelta(days=1))) as (home, fake, server):
        done = home.run(**top_keys(server, sign_method=method))
        assert (done.status, fake.refused, len(home.ids())) == ("complete", [], 3)
        lines = home.audited()
        assert len(lines) == len(server.got) > 0
        assert {(line["method"], line["status"], line["signal"]) for line in lines} == {
            ("POST", 200, "ok"),
            ("POST", 200, "empty"),  # a window without reviews
        }


# -- windows, pages, watermarks --------------------------------------------------------------------


def test_windows_are_cut_oldest_first_without_gaps() -> None:
    since = NOW - timedelta(days=10)
    cut = list(windows(since, NOW, timedelta(days=3)))
    assert [w.until - w.since for w in cut] == [timedelta(days=3)] * 3 + [timedelta(days=1)]
    assert [w.since for w in cut[1:]] == [w.until for w in cut[:-1]]
    assert (cut[0].since, cut[-1].until) == (since, NOW)
    older, newer = Window(since, NOW).halves() or (None, None)
    assert older
    assert newer
    assert (older.since, older.until, newer.until) == (since, newer.since, NOW)
    assert Window(NOW, NOW + timedelta(seconds=30)).halves() is None


def test_a_shop_is_read_whole_and_then_only_its_news(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(170, every=timedelta(hours=11))) as (home, fake, server):
        first = home.run(**jos_keys(server))
        assert (first.status, first.reason, fake.refused) == ("complete", "", [])
        assert home.ids() == Counter({f"jd:review:{one.id}": 1 for one in fake.said})
        (told,) = home.coverage()
        assert (told.status, told.got, told.new, told.planned, told.dead) == ("complete", 170, 170, 170, 0)
        one = next(m for m in home.streamed() if m.id == "jd:review:10001")
        assert (one.rating, one.text, one.product and one.product.sku) == (3, "第1条：升温慢", "100012")
        assert one.author.key
        assert "山" not in one.author.key

        fake.said.append(Said("20000", NOW + timedelta(minutes=30), "刚装好就漏水", 1))
        home.clock.advance(3600)
        asked = len(server.got)
        second = home.run(**jos_keys(server))
        assert len(server.got) - asked == 1
        assert [m.id for m in home.streamed()[170:]] == ["jd:review:20000"]
        assert (second.status, second.coverage[0].new) == ("complete", 1)
        since, until, _ = fake.windows[-1]
        assert (since, until) == (NOW - timedelta(hours=24), NOW + timedelta(hours=1))


def test_late_edits_are_found_by_the_history_pass(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(5, every=timedelta(days=10))) as (home, fake, server):
        home.run(**jos_keys(server))
        fake.said[4].text = "追加：两个月后开始漏水"
        home.clock.advance(24 * 3600)
        home.run(**jos_keys(server))
        assert home.ids()["jd:review:10004"] == 1
        home.clock.advance(7 * 24 * 3600)
        home.run(**jos_keys(server))
        assert home.ids()["jd:review:10004"] == 2
        assert [n for i, n in home.ids().items() if i != "jd:review:10004"] == [1, 1, 1, 1]


def test_a_spent_quota_ends_the_run_and_the_next_day_goes_on_where_it_was(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(300, every=timedelta(hours=7))) as (home, fake, server):
        keys = jos_keys(server, requests_per_day=4)
        statuses = []
        for _ in range(6):
            done = home.run(**keys)
            statuses.append(done.status)
            if done.status == "complete":
                break
            again = home.run(**keys)  # the same day: nothing is asked any more
            assert (again.status, "requests_per_day" in again.reason) == ("partial", True)
            home.clock.advance(24 * 3600)
        assert home.ids() == Counter({f"jd:review:{one.id}": 1 for one in fake.said})
        assert statuses[0] == "partial"
        by_day = Counter(page for _, _, page in fake.windows)
        assert sum(by_day.values()) == len(server.got) <= 4 * len(statuses)


def test_a_window_with_more_pages_than_the_platform_gives_is_halved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Top, "PAGE_CAP", 3)
    said = reviews(100, every=timedelta(hours=2))
    with world(tmp_path, "top", FakeTop, said=said, pages=3, size=7) as (home, fake, server):
        done = home.run(**top_keys(server, window_days=30))
        assert (done.status, fake.refused) == ("complete", [])
        assert len(home.ids()) == 100
        assert set(home.ids().values()) == {1}


def test_what_the_platform_counts_and_does_not_give_is_told(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(3, every=timedelta(days=1))) as (home, fake, server):
        fake.trouble = lambda got: None
        answer = fake.answer

        def short(got: Got) -> Reply:
            body: Any = answer(got).body
            root = next(iter(body.values()))
            root["totalItem"] += 2 if root["comments"] else 0
            return Reply(body)

        fake.trouble = short
        done = home.run(**jos_keys(server))
        assert (done.status, done.coverage[0].planned, done.coverage[0].got) == ("partial", 7, 3)


# -- trouble ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": "x"}, status=502),
        Reply(b"busy", status=503, headers={"Retry-After": "0"}),
        Reply(b"", status=429, headers={"Retry-After": "1"}),
        Reply(b'{"jingdong_pop', cut=True),
        Reply(b'{"jingdong_pop_PopCommentJsfService_getVend'),
        Reply({"error_response": {"code": "9", "zh_desc": "平台连接后端服务不可用", "en_desc": "Unavailable"}}),
    ],
    ids=["502", "503", "429", "cut", "half", "busy"],
)
def test_what_may_pass_is_asked_again(tmp_path: Path, reply: Reply) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        fake.trouble = once(reply)
        done = home.run(**jos_keys(server))
        assert (done.status, len(home.ids()), home.stopped()) == ("complete", 2, "")


def test_a_platform_that_stays_down_fails_the_run_and_stops_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        fake.trouble = lambda got: Reply(b"", status=500)
        done = home.run(**jos_keys(server, tries=3))
        assert (done.status, len(server.got), home.stopped()) == ("failed", 3, "")
        assert [(line["status"], line["signal"]) for line in home.audited()] == [(500, "failed")] * 3
        fake.trouble = lambda got: None
        assert home.run(**jos_keys(server)).status == "complete"
        assert len(home.ids()) == 2


def test_a_long_ban_is_left_to_the_next_run(tmp_path: Path) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        said = "This ban will last for 86300 more seconds"
        fake.trouble = lambda got: Reply({"error_response": {"code": 7, "msg": "App Call Limited", "sub_msg": said}})
        done = home.run(**top_keys(server))
        assert (done.status, len(server.got), home.stopped()) == ("partial", 1, "")
        assert "86300 秒后再试" in done.reason
        assert [line["signal"] for line in home.audited()] == ["throttled"]


@pytest.mark.parametrize(
    ("api", "fake", "change", "words"),
    [
        ("jos", FakeJos, {"access_token": "stolen"}, ["重新授权", "[crawl.official.jos]"]),
        ("jos", FakeJos, {"app_secret": "wrong"}, ["签名不对", "app_secret"]),
        ("top", FakeTop, {"session": "old"}, ["session 无效或已过期", "重新授权"]),
        ("top", FakeTop, {"app_secret": "wrong"}, ["签名不对", "sign_method"]),
        ("zhihu", FakeZhihu, {"access_secret": "wrong"}, ["access_secret", "本机时钟"]),
        ("douyin", FakeDouyin, {"access_token": "old"}, ["重新授权", "[crawl.official.douyin]"]),
    ],
)
def test_keys_that_are_not_accepted_stop_the_platform_and_say_what_to_do(
    tmp_path: Path, api: str, fake: Callable[..., Fake], change: dict[str, str], words: list[str]
) -> None:
    with world(tmp_path, api, fake) as (home, _, server):
        keys: dict[str, Any] = {
            "jos": jos_keys(server),
            "top": top_keys(server),
            "zhihu": {"url": server.url, "access_secret": "zhihu secret", "keywords": ["暖气片"]},
            "douyin": {"url": server.url, "open_id": "open-1", "access_token": "dy-token", "items": ["@9Vw=="]},
        }[api]
        done = home.run(**keys | change)
        assert (done.status, done.signal, len(server.got)) == ("stopped", "login_required", 1)
        assert all(word in home.stopped() for word in words), home.stopped()
        assert not any(value in home.stopped() + done.reason for value in change.values())
        (told,) = home.coverage()
        assert (told.status, told.signal, told.reason) == ("stopped", "login_required", home.stopped())
        (line,) = home.audited()
        assert (line["why"], line["signal"], line["status"]) == ("official_api", "login_required", 200)


@pytest.mark.parametrize(
    ("reply", "signal", "word"),
    [
        (Reply(b"<html>nginx</html>", content_type="text/html"), "unknown", "不是 JSON"),
        (Reply({"some": "thing"}), "unknown", "需要更新解析代码"),
        (Reply(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}), "unknown", "HTTP 302"),
        (Reply(b"", status=403), "blocked", "白名单"),
        (Reply(b"{" + b" " * 5000), "unknown", "max_bytes"),
    ],
    ids=["html", "shape", "redirect", "403", "long"],
)
def test_an_answer_of_another_shape_is_never_nothing(tmp_path: Path, reply: Reply, signal: str, word: str) -> None:
    with world(tmp_path, "jos", FakeJos) as (home, fake, server):
        fake.trouble = lambda got: reply
        done = home.run(**jos_keys(server, max_bytes=2048))
        assert (done.status, done.signal) == ("stopped", signal)
        assert word in home.stopped()
        assert len(server.got) == 1


def test_broken_records_are_parked_and_their_neighbours_kept(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(4, every=timedelta(days=1))) as (home, fake, server):
        answer = fake.answer

        def broken(got: Got) -> Reply:
            body: Any = answer(got).body
            for one in next(iter(body.values()))["comments"]:
                if one["commentId"] == "10002":
                    one["creationTime"] = "昨晚吧"
            return Reply(body)

        fake.trouble = broken
        done = home.run(**jos_keys(server))
        assert sorted(home.ids()) == ["jd:review:10000", "jd:review:10001", "jd:review:10003"]
        assert sum(home.log.end_offsets(Topics.DEAD_LETTERS).values()) == 1
        assert (done.status, done.coverage[0].dead > 0) == ("complete", True)


def test_a_run_that_is_asked_to_end_does_and_the_next_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(200, every=timedelta(hours=10))) as (home, fake, server):
        stop = threading.Event()
        fake.trouble = lambda got: stop.set() if len(server.got) == 3 else None
        done = home.run(stop, **jos_keys(server))
        assert (done.status, done.reason, len(server.got)) == ("partial", "cancelled", 3)
        home.run(**jos_keys(server))
        assert home.ids() == Counter({f"jd:review:{one.id}": 1 for one in fake.said})


def test_requests_keep_their_pace(tmp_path: Path) -> None:
    with world(tmp_path, "zhihu", FakeZhihu) as (home, _, server):
        slept: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Client, "_sleep", lambda self, seconds: slept.append(seconds))
            keys: dict[str, Any] = {
                "url": server.url,
                "access_secret": "zhihu secret",
                "keywords": ["暖气", "地暖", "散热器"],
            }
            home.run(**keys, requests_per_minute=20)
        assert slept == [3.0, 3.0]  # the test's clock stands still between requests


# -- Zhihu and Douyin ------------------------------------------------------------------------------


def test_zhihu_is_searched_by_keyword_every_run(tmp_path: Path) -> None:
    said = [Said("77", NOW - timedelta(days=2), "这家暖气片升温快"), Said("78", NOW, "地暖更均匀")]
    with world(tmp_path, "zhihu", FakeZhihu, said=said) as (home, fake, server):
        keys: dict[str, Any] = {
            "url": server.url,
            "access_secret": "zhihu secret",
            "keywords": ["暖气片", "地暖", "空调"],
        }
        done = home.run(**keys)
        assert sorted(home.ids()) == ["zhihu:answer:77", "zhihu:answer:78"]
        assert [(c.query, c.status, c.got) for c in done.coverage] == [
            ("暖气片", "complete", 1), ("地暖", "complete", 1), ("空调", "complete", 0),
        ]  # fmt: skip
        assert {m.matched.query for m in home.streamed()} == {"暖气片", "地暖"}
        home.clock.advance(3600)
        assert home.run(**keys).coverage[0].duplicate == 1
        fast = {"Code": 30001, "Message": "limit", "Data": None}
        fake.trouble = lambda got: Reply(fast, headers={"Retry-After": "999"})
        home.clock.advance(3600)
        assert home.run(**keys).status == "partial"


def test_a_zhihu_search_that_gives_ten_is_searched_by_word_and_told_to_be_cut_off(tmp_path: Path) -> None:
    said = [Said(f"1{n:02}", NOW, f"暖气片第{n}天") for n in range(12)]
    said += [Said(f"2{n:02}", NOW, f"暖气片 阀门第{n}天") for n in range(4)]
    said += [Said(f"3{n:02}", NOW, f"暖气片 水管第{n}天") for n in range(11)]
    with world(tmp_path, "zhihu", FakeZhihu, said=said) as (home, _, server):
        keys: dict[str, Any] = {"url": server.url, "access_secret": "zhihu secret", "keywords": ["暖气片", "地暖"]}
        home.split_words = ["阀门", "水管", "暖气"]
        short = home.run(**keys, requests_per_day=2)
        assert (short.status, short.coverage[0].cut_off) == ("partial", ("全部",))
        home.clock.advance(86_400)
        (record, fits) = sorted(home.run(**keys).coverage, key=lambda one: one.query != "暖气片")
        assert {name.rpartition(":")[2] for name in home.ids()} == {one.id for one in (*said[:10], *said[12:26])}
        assert (record.status, record.cut_off) == ("complete", ("全部", "水管：全部"))
        assert fits.cut_off == ()
        searched = [got.query["Query"] for got in server.got]
        assert searched.count("暖气片 阀门") == 1  # the run that its quota ended had read it
        assert not any("暖气片 暖气" in one for one in searched)
        again = home.run(**keys)
        assert {one.query: one.cut_off for one in again.coverage} == {"暖气片": record.cut_off, "地暖": ()}
        assert [got.query["Query"] for got in server.got[len(searched) :]] == ["暖气片", "地暖"]


def douyin_world() -> dict[str, Any]:
    first = [Said(f"c{n}", NOW - timedelta(hours=n), f"第{n}个问题，怎么排气") for n in range(120)]
    return {
        "videos": {"@9Vw/aa==": first, "@9Vw/bb==": [Said("d1", NOW - timedelta(days=1), "漏水找谁")]},
        "replies": {"c5": [Said("r1", NOW - timedelta(hours=1), "同问"), Said("r2", NOW, "我家也是")]},
    }


def test_douyin_reads_own_videos_comments_and_replies(tmp_path: Path) -> None:
    with world(tmp_path, "douyin", FakeDouyin, **douyin_world()) as (home, fake, server):
        keys: dict[str, Any] = {"url": server.url, "open_id": "open-1", "access_token": "dy-token"}
        done = home.run(**keys)
        assert (done.status, fake.refused) == ("complete", [])
        kinds = Counter(m.kind for m in home.streamed())
        assert kinds == {"video": 2, "comment": 120 + 1 + 2}
        by_id = {m.id: m for m in home.streamed()}
        assert by_id["douyin:comment:r1"].parent_id == "douyin:comment:c5"
        assert by_id["douyin:comment:d1"].parent_id == "douyin:video:@9Vw/bb=="
        assert by_id["douyin:video:@9Vw/bb=="].author.is_brand

        asked = len(server.got)
        home.clock.advance(3600)
        home.run(**keys)
        assert len(server.got) - asked == 1  # the list of videos: no count has changed

        fake.videos["@9Vw/bb=="].append(Said("d2", NOW + timedelta(minutes=5), "师傅什么时候来"))
        home.clock.advance(3600)
        asked = len(server.got)
        home.run(**keys)
        assert (len(server.got) - asked, home.ids()["douyin:comment:d2"]) == (2, 1)
        assert set(home.ids().values()) == {1}


def test_douyins_expired_token_is_refreshed_once_where_that_is_allowed(tmp_path: Path) -> None:
    with world(tmp_path, "douyin", FakeDouyin, **douyin_world(), expired=True) as (home, _fake, server):
        keys: dict[str, Any] = {
            "url": server.url,
            "open_id": "open-1",
            "access_token": "dy-token",
            "items": ["@9Vw/bb=="],
        }
        done = home.run(**keys, client_key="ck", refresh_token="rft.1")
        assert (done.status, home.ids()["douyin:comment:d1"]) == ("complete", 1)
        assert [got.path.partition("?")[0] for got in server.got] == [
            "/item/comment/list/", "/oauth/refresh_token/", "/item/comment/list/",
        ]  # fmt: skip


# -- settings, jobs, whole runs --------------------------------------------------------------------


def test_keys_are_all_or_none_and_secrets_show_nowhere(tmp_path: Path) -> None:
    from shengwen.home import Home
    from shengwen.settings import load_settings

    with pytest.raises(ConfigError, match=r"official.jos.*还缺 app_secret、access_token") as caught:
        load_settings(Home(tmp_path), crawl={"official": {"jos": {"app_key": "k-123456"}}})
    assert "k-123456" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"official\.top\.url"):
        load_settings(Home(tmp_path), crawl={"official": {"top": {"url": "http://relay.example/top"}}})
    crawl = CrawlSettings.model_validate({"official": {"zhihu": {"access_secret": "hush-hush", "keywords": ["暖气"]}}})
    assert crawl.official_of("zhihu") == "zhihu"
    assert crawl.official_of("jd") is None
    assert crawl.official_of("xiaohongshu") is None
    for shown in (repr(crawl), str(crawl.model_dump()), crawl.model_dump_json()):
        assert "hush-hush" not in shown
    off = CrawlSettings.model_validate(
        {"official": {"zhihu": {"access_secret": "x", "keywords": ["暖气"], "enabled": False}}}
    )
    assert off.official_of("zhihu") is None
    half = CrawlSettings.model_validate({"official": {"zhihu": {"access_secret": "x", "enabled": False}}})
    assert half.official_of("zhihu") is None


def test_secrets_also_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shengwen.crawling import in_browser, planned
    from shengwen.home import Home as Folder
    from shengwen.settings import load_settings

    (tmp_path / "shengwen.toml").write_text(
        '[crawl.official.douyin]\nopen_id = "open-1"\n[crawl.official.jos]\napp_key = "k"\napp_secret = "s"\n'
    )
    monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__DOUYIN__ACCESS_TOKEN", "from-outside")
    monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "t")
    settings = load_settings(Folder(tmp_path))
    assert settings.crawl.official.douyin.access_token.get_secret_value() == "from-outside"
    assert planned(settings) == ["jd", "douyin"]
    assert not in_browser(settings, "douyin")
    assert in_browser(settings, "xiaohongshu")
    monkeypatch.delenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN")
    with pytest.raises(ConfigError, match=r"crawl\.official\.jos：还缺 access_token"):
        load_settings(Folder(tmp_path))


def job_in(path: Path, **official: Any) -> Job:
    engine = make_engine(f"sqlite:///{path / 'state.db'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    return Job(
        crawl=CrawlSettings.model_validate({"official": official}),
        log_path=path / "log.db",
        state_url=f"sqlite:///{path / 'state.db'}",
        secret_path=path / "secret.key",
    )


def test_a_job_carries_the_secrets_only_when_asked_to(tmp_path: Path) -> None:
    job = job_in(tmp_path, jos={"app_key": "k", "app_secret": "hush", "access_token": "hushhush"})
    assert "hush" not in job.model_dump_json() + repr(job)
    (tmp_path / "job.json").write_text(job.to_json(), encoding="utf-8")
    assert load_job(tmp_path / "job.json") == job
    assert isinstance(job.crawl.official, OfficialSettings)


def test_a_configured_api_is_read_by_the_same_child_process_instead_of_pages(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    said = reviews(60, every=timedelta(hours=5), until=clock.now())
    with receiver(FakeJos(clock, said=said)) as server:
        job = job_in(tmp_path, jos=FAST | jos_keys(server))
        report = run_spider("jd", job, 60)
        assert report.report is not None, report.log_tail
        assert (report.status, report.exit_code, report.report.coverage[0].new) == ("complete", 0, 60)
        again = run("jd", job)  # and in this process: no reactor is needed
        assert (again.status, again.coverage[0].new, again.coverage[0].duplicate > 0) == ("complete", 0, True)
        wrong = job_in(tmp_path, jos=FAST | jos_keys(server, access_token="old"))
        assert (run("jd", wrong).exit_code, run("jd", wrong).status) == (3, "stopped")
    with SqliteLog(tmp_path / "log.db") as log:
        streamed = [orjson.loads(record.value)["id"] for record in log.read(Topics.COLLECTED, 0, 0, 1000)]
    assert Counter(streamed) == Counter({f"jd:review:{one.id}": 1 for one in said})


def test_sigterm_ends_an_api_run_cleanly(tmp_path: Path) -> None:
    clock: Clock = SystemClock()
    fake = FakeJos(clock, said=reviews(400, every=timedelta(hours=4), until=clock.now()))
    stop = threading.Event()
    with receiver(fake) as server:
        fake.trouble = lambda got: stop.set() if len(server.got) == 2 else None
        job = job_in(tmp_path, jos=FAST | jos_keys(server, requests_per_minute=60))
        report = run_spider("jd", job, 60, stop=stop)
        assert report.report is not None, report.log_tail
        assert (report.status, report.exit_code, report.report.reason) == ("partial", 0, "cancelled")
        assert report.report.coverage[0].got > 0


def test_the_command_reads_a_configured_api(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from shengwen.cli import run as shengwen

    clock: Clock = SystemClock()
    with receiver(FakeJos(clock, said=reviews(3, every=timedelta(hours=4), until=clock.now()))) as server:
        home = tmp_path / "home"
        home.mkdir()
        (home / "shengwen.toml").write_text(f'[crawl.official.jos]\nurl = "{server.url}"\napp_key = "jos-key"\n')
        assert shengwen(["--home", str(home), "crawl", "jd", "--once"]) == 1
        assert "还缺 app_secret、access_token" in capfd.readouterr().err
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__APP_SECRET", "jos secret")
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "jos-token")
        assert shengwen(["--home", str(home), "crawl", "jd", "--once"]) == 0
        assert "京东：完成，读到 3 条，新 3 条" in capfd.readouterr().out
        monkeypatch.setenv("SHENGWEN_CRAWL__OFFICIAL__JOS__ACCESS_TOKEN", "old")
        with pytest.raises(SystemExit):
            shengwen(["--home", str(home), "crawl", "jd", "--once"])
        assert "重新授权" in capfd.readouterr().out


def test_retry_after_is_read_as_seconds_or_date() -> None:
    clock = ManualClock(NOW)
    assert retry_after("7", clock) == 7.0
    assert retry_after("Wed, 04 Mar 2026 06:21:00 GMT", clock) == 60.0
    assert retry_after("Wed, 04 Mar 2026 06:00:00 GMT", clock) == 0.0
    assert [retry_after(value, clock) for value in (None, "", "soon", "-3", "²", "9" * 20)] == [None] * 6
