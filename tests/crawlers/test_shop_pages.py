"""JD's and Tmall's pages against the replica, read by a real Chromium as somebody who has logged in."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import shengwen.demo.replica.jd
from crawlers.config import Platform
from crawlers.payload import STOP_SIGNALS
from shengwen.demo.cast import model_of_item, model_of_sku
from shengwen.demo.items import Item
from shengwen.demo.replica.jd_records import by_score, ordered
from tests.crawlers.replica import Replica, running_replica
from tests.crawlers.runs import Home, a_session
from tests.crawlers.test_capped import TIMES, copy, more_of
from tests.processes import KILLED, wait_until

PLATFORMS: tuple[Platform, ...] = ("jd", "tmall")
OLD = ("/jd/club/", "/tmall/rate/")
"""The old lists, which the replica's pages show as well; the browser way does not listen to them."""
WALLS = ("login.aspx", "login.jhtml", "/punish", "/03101900/")
"""Where refusals lead; whatever the page loads is led there, the old lists, too."""
PATIENT = 120
"""Seconds that a page is given, on the busiest machine."""
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("chromium"), pytest.mark.timeout(1800)]


@pytest.fixture
def replica() -> Iterator[Replica]:
    with running_replica() as running:
        yield running


def of_target(replica: Replica, platform: Platform, target: dict[str, str]) -> list[Item]:
    """What a product's page shows: 问大家 on Tmall are the story's questions, which it tells for JD."""
    model = model_of_sku(target["sku"]) if platform == "jd" else model_of_item(target["item_id"])
    reviews = [item for item in replica.items(platform) if item.kind == "review" and item.model is model]
    asked = [item for item in replica.items("jd") if item.kind == "question" and item.model is model]
    ids = {item.native_id for item in asked}
    return [*reviews, *asked, *(item for item in replica.items("jd") if item.parent_id in ids)]


def truth(replica: Replica, platform: Platform, target: dict[str, str]) -> set[str]:
    return {f"{platform}:{item.kind}:{item.native_id}" for item in of_target(replica, platform, target)}


def longest(replica: Replica, platform: Platform) -> dict[str, str]:
    targets: list[dict[str, str]] = replica.settings(platform)["targets"]
    return max(targets, key=lambda target: len(of_target(replica, platform, target)))


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_product_is_read_whole_its_news_are_picked_up_and_the_two_ways_agree(
    replica: Replica, home: Home, tmp_path: Path, platform: Platform
) -> None:
    replica.clock.advance(timedelta(days=21).total_seconds())
    target = longest(replica, platform)
    session = str(a_session(tmp_path / "session.json", platform))
    replica.demo.switches.set(platform, login=True)
    settings = replica.settings(platform, storage_state=session, timeout=PATIENT) | {"targets": [target]}
    home.configure(**{platform: settings})  # somebody has logged in: the browser is used
    report = home.crawl(platform, 240)
    assert report.status == "complete", report.reason
    first = truth(replica, platform, target)
    assert set(home.ids()) == first
    assert set(home.ids().values()) == {1}
    assert not any(record.unreached for record in report.coverage)

    replica.clock.advance(timedelta(days=8).total_seconds())
    later = truth(replica, platform, target)
    assert later > first
    report = home.crawl(platform, 240)
    assert report.status == "complete", report.reason
    assert set(home.ids()) == later
    again = {item for item, times in home.ids().items() if times > 1}
    assert sum(record.new for record in report.coverage) == len(later - first) + len(again)
    for item in again:  # somebody said more
        told = {(m.text, m.appends, m.seller_reply) for m in home.streamed() if m.id == item}
        assert len(told) == home.ids()[item], item

    # By plain requests the same reviews are the same mentions; what is news is what the pages do not show.
    home.configure(**{platform: settings | {"way": "http", "full_pass_hours": 0, "questions": False}})
    before = home.ids()
    assert home.crawl(platform, 240).status == "complete"
    answered = {m.id for m in home.streamed() if m.seller_reply is not None}
    assert set(home.ids() - before) <= (answered if platform == "jd" else set())
    assert set(home.ids()) == later

    home.configure(**{platform: settings | {"full_pass_hours": 0}})
    before = home.ids()
    report = home.crawl(platform, 240)
    assert (report.status, sum(record.new for record in report.coverage)) == ("complete", 0)
    assert home.ids() == before

    # The login ends: it is noticed, told once, and nothing more is asked for.
    replica.demo.switches.end_sessions(platform)
    report = home.crawl(platform, 240)
    assert (report.status, report.signal) == ("stopped", "login_required")
    assert home.status(platform).login_lost_at is not None
    replica.hits.clear()
    assert home.crawl(platform).status == "stopped"
    assert replica.hits == []
    assert [record.status for record in home.coverage()].count("stopped") == 1


@pytest.mark.parametrize(("platform", "fine"), [("jd", "gone_product"), ("tmall", "no_comments")])
def test_every_refusal_stops_the_browser_at_once(replica: Replica, home: Home, platform: Platform, fine: str) -> None:
    target = longest(replica, platform)
    settings = replica.settings(platform, way="browser", timeout=30, pages_per_run=999) | {"targets": [target]}
    home.configure(**{platform: settings})
    # token_round is how every page of Tmall begins; comments_missing is an answer of the old list.
    meant = replica.demo.switches.names(platform)
    spared = {"token_round", "comments_missing", "half_body", "wrong_charset", "server_error"}
    refusals = [
        name for name, signals in meant.items() if name not in spared and not {"ok", "empty", "gone"} & set(signals)
    ]
    runs = home.refused(platform, replica.demo.base_url, [*refusals, fine], one_browser=True, seconds=400)
    assert [run["answer"] for run in runs] == [*refusals, fine]
    assert runs.pop()["signal"] == ""
    assert len(runs) >= 12
    for run in runs:
        assert run["signal"] in STOP_SIGNALS, run
        asked = [path for path in run["hits"] if not path.startswith(OLD) and not path.endswith(WALLS)]
        assert len(asked) <= 2, run  # the page, and what it loads first


def test_kill_9_in_the_middle_loses_nothing_and_a_list_that_is_cut_off_is_read_by_its_filters(
    replica: Replica, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = shengwen.demo.replica.jd._Jd
    monkeypatch.setattr(owner, "_reviews", more_of(owner._reviews))
    monkeypatch.setattr(shengwen.demo.replica.jd, "MAX_PAGES", 3)
    target = longest(replica, "jd")
    model = model_of_sku(target["sku"])
    plain = [item for item in replica.items("jd") if item.kind == "review" and item.model is model]
    there = [copy(item, number) for item in plain for number in range(TIMES)]
    settings = replica.settings("jd", way="browser", questions=False, timeout=PATIENT)
    home.configure(jd=settings | {"targets": [target]})
    child = home.begin("jd")
    wait_until(lambda: sum(path.endswith("/client.action") for path in replica.hits) >= 3, 300)
    child.signal(signal.SIGKILL)
    assert child.wait() == KILLED
    report = home.crawl("jd", 600)
    assert report.status == "complete", report.reason
    seen = {mention.rpartition(":")[2] for mention in home.ids()}
    assert set(home.ids().values()) == {1}
    shown = {item.native_id for item in ordered(there, 6)[:30]}
    for score in (1, 2, 3, 4, 5):
        shown |= {item.native_id for item in ordered(by_score(there, score), 5)[:30]}
    by_itself = {item.native_id for item in ordered(there, 5)[:30]}
    assert 30 < len(shown) < len(there), "the test needs a list that filters help and do not exhaust"
    assert shown <= seen <= shown | by_itself
    (record,) = report.coverage
    assert record.unreached == len(there) - len(seen)
