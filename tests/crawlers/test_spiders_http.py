"""JD, Tmall and Zhihu against the replica: everything it shows is streamed, once, and its refusals are obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args

import orjson
import pytest

from crawlers.config import Platform
from crawlers.payload import STOP_SIGNALS
from shengwen.demo.settings import LOGIN_COOKIES
from tests.crawlers.replica import Replica, running_replica
from tests.crawlers.runs import Home

PLATFORMS: tuple[Platform, ...] = ("jd", "tmall", "zhihu")
assert set(PLATFORMS) < set(get_args(Platform))


@pytest.fixture
def stale() -> Iterator[Replica]:
    """A replica whose clock a test may move."""
    with running_replica() as running:
        yield running


@pytest.mark.parametrize("platform", PLATFORMS)
def test_everything_is_streamed_once_and_a_second_run_adds_nothing(
    replica: Replica, home: Home, platform: Platform
) -> None:
    home.configure(**{platform: replica.settings(platform)})
    report = home.crawl(platform)
    assert report.status == "complete"
    truth = replica.truth(platform)
    assert set(home.ids()) == truth
    assert set(home.ids().values()) == {1}
    assert sum(record.new for record in report.coverage) == len(truth)
    assert all(record.planned == record.got for record in report.coverage)
    assert all("127.0.0.1" not in (mention.url or "") for mention in home.streamed())
    filled = [fill for record in report.coverage for fill in record.fill]
    assert sum(fill.records for fill in filled) >= len(truth)
    assert all(fill.shares()["record"] == 1.0 and not fill.lacking for fill in filled)
    assert sum(fill.fields["text"] for fill in filled) > len(truth) / 2
    again = home.crawl(platform)
    assert again.status == "complete"
    assert sum(record.new for record in again.coverage) == 0
    assert home.ids().total() == len(truth)
    assert sum(record.pages for record in again.coverage) <= sum(record.pages for record in report.coverage)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_is_new_in_the_story_is_picked_up(stale: Replica, home: Home, platform: Platform) -> None:
    home.configure(**{platform: stale.settings(platform)})
    home.crawl(platform)
    before = stale.truth(platform)
    stale.clock.advance(timedelta(days=26).total_seconds())
    after = stale.truth(platform)
    assert len(after) > len(before)
    assert home.crawl(platform).status == "complete"
    assert set(home.ids()) == after


def test_a_full_pass_finds_what_was_appended_to_old_reviews(stale: Replica, home: Home) -> None:
    home.configure(jd=stale.settings("jd"))
    home.crawl("jd")
    stale.clock.advance(timedelta(days=26).total_seconds())
    home.configure(jd=stale.settings("jd", full_pass_hours=0))
    home.crawl("jd")
    appended = {item.native_id for item in stale.items("jd") if item.append}
    streamed = {mention.id.rpartition(":")[2] for mention in home.streamed() if mention.appends}
    assert streamed == appended


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_refusal_stops_the_platform_at_once_and_is_told_once(
    replica: Replica, home: Home, platform: Platform
) -> None:
    """Every switch of the replica: either it means stop (then nothing more is asked for), or the run goes on."""
    settings = replica.settings(platform, pages_per_run=6)
    home.configure(**{platform: settings | {"targets": settings["targets"][:1]}})
    switches = replica.demo.switches
    try:
        runs = home.refused(platform, replica.demo.base_url, list(switches.names(platform)))
    finally:
        switches.set(platform)
    assert len(runs) >= 12
    for run in runs:
        meant = set(switches.names(platform)[run["answer"]])
        if run["status"] != "stopped":
            assert {"ok", "empty", "gone"} & meant, run
            assert not run["needs_person"]
            continue
        assert meant & STOP_SIGNALS, run
        assert run["signal"] in STOP_SIGNALS, run
        # The refused request is the last one; on Zhihu the page itself may have been well before it.
        before = platform == "zhihu" and "page" not in switches.where(platform, run["answer"])
        assert len(run["hits"]) == 1 + before, run
        assert (run["needs_person"], run["kept_signal"]) == (True, run["signal"])
    stopped = [record.signal for record in home.coverage() if record.status == "stopped"]
    assert stopped == [run["signal"] for run in runs if run["status"] == "stopped"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_session_that_a_person_logged_in_is_used(
    replica: Replica, home: Home, tmp_path: Path, platform: Platform
) -> None:
    session = tmp_path / "session.json"
    home.configure(**{platform: replica.settings(platform, storage_state=str(session))})
    replica.demo.switches.set(platform, login=True)
    try:
        assert home.crawl(platform).status == "stopped"
        cookie = {"name": LOGIN_COOKIES[platform], "value": "demo-session", "domain": "127.0.0.1", "path": "/"}
        session.write_bytes(orjson.dumps({"cookies": [cookie], "origins": []}))
        home.resume(platform)
        assert home.crawl(platform).status == "complete"
        assert set(home.ids()) == replica.truth(platform)
    finally:
        replica.demo.switches.set(platform)
