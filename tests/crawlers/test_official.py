"""Official APIs: what is signed is accepted by who checks it by itself; nothing is read twice or missed."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crawlers.official.signing import sign
from crawlers.official.top import Top
from crawlers.official.windows import Window, windows
from tests.alerts.receivers import Got, Reply
from tests.crawlers.official import FakeJos, FakeTop, Said
from tests.crawlers.official_runs import NOW, jos_keys, reviews, top_keys, world


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


def test_edits_are_looked_for_less_and_less_often(tmp_path: Path) -> None:
    """Runs every six hours: what is three days old is read again daily, a week old every third day, a month weekly."""
    said = [Said(str(hours), NOW - timedelta(hours=hours), "升温慢") for hours in (40, 100, 400)]
    with world(tmp_path, "jos", FakeJos, said=said) as (home, fake, server):
        keys = jos_keys(server, full_pass_hours=10_000)
        home.run(**keys)
        for one in fake.said:
            one.text += "。追加：开始漏水了"
        found: dict[str, float] = {}
        asked, runs = len(server.got), 40
        for run in range(runs):
            home.clock.advance(6 * 3600)
            assert home.run(**keys).status == "complete"
            for one in fake.said:
                if home.ids()[f"jd:review:{one.id}"] == 2:
                    found.setdefault(one.id, (run + 1) * 6)
        assert found["40"] <= 24 + 6
        assert found["100"] <= 72 + 6
        assert found["400"] <= 168 + 6
        assert set(home.ids().values()) == {2}
        # One request a run for the news; the looks back, some of them at the same time, are few.
        assert 10 <= len(server.got) - asked - runs <= 10 + 3 + 2


def test_no_ladder_no_looks_back(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(3, every=timedelta(days=2))) as (home, _, server):
        home.pages = {"revisit_hours": []}
        home.run(**jos_keys(server, full_pass_hours=10_000))
        asked = len(server.got)
        for _day in range(8):
            home.clock.advance(24 * 3600)
            home.run(**jos_keys(server, full_pass_hours=10_000))
        assert len(server.got) - asked == 8


def test_a_look_back_that_was_cut_off_is_gone_on_with(tmp_path: Path) -> None:
    """Down to thirty days, but the quota ends it after some windows: the next runs read the rest, and no more."""
    with world(tmp_path, "jos", FakeJos, said=reviews(30, every=timedelta(days=1))) as (home, fake, server):
        home.pages = {"revisit_hours": [24, 720]}
        keys = jos_keys(server, full_pass_hours=10_000, window_days=1)
        home.run(**keys)
        home.clock.advance(24 * 3600)
        for one in fake.said:
            one.text += "。追加：开始漏水了"
        stop, asked = threading.Event(), len(server.got)
        fake.trouble = lambda got: stop.set() if len(server.got) - asked == 12 else None
        assert home.run(stop, **keys).reason == "被要求停下，下一次接着采"
        again = Counter(home.ids().values())[2]
        assert 0 < again < 29
        fake.trouble = lambda got: None
        asked = len(server.got)
        home.clock.advance(3600)
        assert home.run(**keys).status == "complete"
        assert len(server.got) - asked < 25
        assert Counter(home.ids().values())[2] >= 29
        asked = len(server.got)
        home.clock.advance(3600)
        home.run(**keys)
        assert len(server.got) - asked <= 3


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
