"""追评 by Taobao's open platform: found soon, never lost again, at a cost that falls with a review's age."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crawlers.pipeline import Pipeline
from ingest.errors import Unavailable
from ingest.mention import Mention
from tests.alerts.receivers import Got, Reply
from tests.crawlers.official import FakeTop, Said
from tests.crawlers.official_runs import NOW, Home, reviews, top_keys, world

HOUR = 3600
LEAK = "用了一个月，接口开始漏水，电话13812345678"
NO_PERMISSION = Reply(
    {"error_response": {"code": 11, "msg": "Insufficient permissions", "sub_code": "", "sub_msg": ""}}
)
GONE = Reply({"error_response": {"code": 15, "msg": "Remote service error", "sub_code": "isv.trade-not-exist"}})


def is_feed(got: Got) -> bool:
    return b"traderate.feeds.get" in got.body


def newest(home: Home) -> dict[str, Mention]:
    """The last revision of each review, by its text."""
    found: dict[str, Mention] = {}
    for mention in sorted(home.streamed(), key=lambda one: one.collected_at):
        found[mention.text] = mention
    return found


def appended(home: Home) -> dict[str, str]:
    return {text: mention.appends[0].text for text, mention in newest(home).items() if mention.appends}


def test_what_a_buyer_adds_later_becomes_a_revision_and_stays(tmp_path: Path) -> None:
    said = reviews(20, every=timedelta(days=5))
    with world(tmp_path, "top", FakeTop, said=said) as (home, fake, server):
        fake.appended["10012"] = (LEAK, NOW - timedelta(days=3))
        done = home.run(**top_keys(server))
        assert (done.status, done.reason, fake.refused) == ("complete", "", [])
        assert set(home.ids().values()) == {1}, "one record, with what was added"
        assert appended(home) == {"第12条：升温慢": "用了一个月，接口开始漏水，电话[电话]"}
        added = newest(home)["第12条：升温慢"]
        assert (added.rating, added.product and added.product.name) == (5, "岚炉 K20")
        assert added.appends[0].created_at == NOW - timedelta(days=3)

        fake.appended["10002"] = ("修好了", NOW + timedelta(days=2))  # a review that was ten days old
        for _ in range(24 * 30 // 12):
            home.clock.advance(12 * HOUR)
            assert home.run(**top_keys(server)).status == "complete"
        assert appended(home) == {"第12条：升温慢": "用了一个月，接口开始漏水，电话[电话]", "第2条：升温慢": "修好了"}
        assert Counter(home.ids().values()) == Counter({1: 19, 2: 1})


def test_a_new_review_is_not_asked_for_and_an_old_one_less_and_less_often(tmp_path: Path) -> None:
    with world(tmp_path, "top", FakeTop, said=[Said("1", NOW - timedelta(hours=1), "升温慢")]) as (home, fake, server):
        asked: list[float] = []
        for run in range(24 * 100 // 12):
            home.run(**top_keys(server))
            if len(fake.feeds) > len(asked):
                asked.append(run / 2)
            home.clock.advance(12 * HOUR)
        assert len(fake.feeds) == len(asked), "at most once a run"
        assert asked[0] >= 1
        assert len([day for day in asked if day <= 32]) <= 5
        assert len([day for day in asked if day > 32]) in (1, 2, 3), "beyond the ladder once a month"


def test_news_do_not_wait_for_it_and_each_is_asked_once_over_the_days(tmp_path: Path) -> None:
    said = reviews(60, every=timedelta(days=2))
    lines = {one.id for one in said}
    with world(tmp_path, "top", FakeTop, said=said) as (home, fake, server):
        fake.appended = {one.id: (f"追加{one.id}", one.at + timedelta(hours=30)) for one in said}
        keys = top_keys(server, requests_per_day=80, window_days=30)
        days = 0
        while (done := home.run(**keys)).status == "partial":
            days += 1
            assert days < 6
            assert done.reason == "requests_per_day：今天里可用于追评的 40 次调用用完了，明天自动继续"
            fake.said.append(Said(f"2000{days}", home.clock.now() + timedelta(minutes=5), f"今天{days}漏水", 1))
            home.clock.advance(HOUR)
            home.run(**keys)
            assert f"今天{days}漏水" in newest(home), "the other half of the day's calls is there for news"
            home.clock.advance(24 * HOUR - HOUR)
        assert days >= 1
        old = [line for line in fake.feeds if line in lines]
        assert set(old) == lines
        assert len(old) - len(lines) <= 10, "those that reached an age of the ladder meanwhile"
        assert len(appended(home)) >= 59, "all but the newest's, which came after it was asked"


def test_without_the_permission_the_reviews_are_read_and_the_reason_is_told(tmp_path: Path) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(9, every=timedelta(days=20))) as (home, fake, server):
        fake.trouble = lambda got: NO_PERMISSION if is_feed(got) else None
        done = home.run(**top_keys(server))
        assert (done.status, home.stopped(), len(home.ids())) == ("partial", "", 9)
        assert "追评没有读全：淘宝开放平台（错误码 11）" in done.reason
        assert "crawl.official.top.appends" in done.reason
        assert sum(is_feed(got) for got in server.got) == 1
        asked = len(server.got)
        home.clock.advance(HOUR)
        done = home.run(**top_keys(server, appends=False))
        assert (done.status, done.reason) == ("complete", "")
        assert not any(is_feed(got) for got in server.got[asked:])


def test_one_trade_that_is_gone_hides_no_other(tmp_path: Path) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(9, every=timedelta(days=3))) as (home, fake, server):
        fake.appended = {"10001": ("又漏了", NOW - timedelta(days=1)), "10007": ("也漏了", NOW - timedelta(days=1))}
        fake.trouble = lambda got: GONE if is_feed(got) and b"child_trade_id=10004" in got.body else None
        done = home.run(**top_keys(server, window_days=90))
        assert (done.status, done.reason) == ("partial", "有 1 条评价的追评没有读到")
        assert appended(home) == {"第1条：升温慢": "又漏了", "第7条：升温慢": "也漏了"}
        home.clock.advance(HOUR)
        assert home.run(**top_keys(server, window_days=90, full_pass_hours=1)).status == "complete", "told once"
        fake.trouble, before = lambda got: GONE if is_feed(got) else None, home.ids()
        home.clock.advance(31 * 24 * HOUR)
        asked = len(server.got)
        done = home.run(**top_keys(server, window_days=90))
        assert sum(is_feed(got) for got in server.got[asked:]) == 3, "after three in a row none is asked any more"
        assert "追评没有读全" in done.reason
        assert home.ids() == before, "what was known to have a 追评 keeps it"
        assert len(appended(home)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        {"tmall_traderate_feeds_get_response": {}},
        {"tmall_traderate_feeds_get_response": {"tmall_rate_info": {"append_content": "x", "comment_time": "?"}}},
        {"tmall_traderate_feeds_get_response": {"tmall_rate_info": [1]}},
    ],
)
def test_a_feed_that_cannot_be_read_costs_no_review(tmp_path: Path, answer: dict[str, Any]) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(2, every=timedelta(days=3))) as (home, fake, server):
        fake.trouble = lambda got: Reply(answer) if is_feed(got) else None
        done = home.run(**top_keys(server))
        assert (done.status, home.stopped(), len(home.ids())) == ("partial", "", 2)
        assert "追评没有读到" in done.reason
        fake.trouble = lambda got: None
        fake.appended["10001"] = ("又漏了", NOW)
        home.clock.advance(8 * 24 * HOUR)
        assert home.run(**top_keys(server)).status == "complete"
        assert appended(home) == {"第1条：升温慢": "又漏了"}


def test_a_log_that_was_away_costs_no_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(1, every=timedelta(days=3))) as (home, fake, server):
        fake.said[0].at -= timedelta(days=2)
        home.run(**top_keys(server))
        fake.appended["10000"] = (LEAK, NOW + timedelta(hours=1))

        def away(_: Pipeline) -> None:
            raise Unavailable("the log is away")

        home.clock.advance(7 * 24 * HOUR)
        with monkeypatch.context() as patched:
            patched.setattr(Pipeline, "flush", away)
            assert home.run(**top_keys(server)).status == "failed"
        assert appended(home) == {}
        home.run(**top_keys(server))
        assert len(appended(home)) == 1
