"""When the schedule goes, with which targets, and why: the due ones, in no quiet hours, and all get their turn."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from alerts.config import AlertSettings, Span
from alerts.facts import fact_of
from alerts.tables import Fact, table
from crawlers.book import PlatformBook
from crawlers.config import CrawlSettings
from crawlers.heat import OFFICIAL, Heat, HeatBook, looked
from crawlers.launch import RunReport
from crawlers.ledger import Ledger
from ingest.clock import ManualClock
from ingest.state import Base, make_engine
from shengwen.crawling import CrawlSchedule, in_browser, job_of
from shengwen.home import Home
from shengwen.pacing import paced, patient, plan
from shengwen.rooms import Rooms
from shengwen.settings import load_settings
from tests.alerts.helpers import mention
from tests.processes import wait_until

NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def engine(tmp_path: Any) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def settings(*skus: str, every: float = 3600, **more: Any) -> CrawlSettings:
    return paced(CrawlSettings.model_validate({"jd": {"targets": [{"sku": s} for s in skus]} | more}), every)


def test_what_was_never_looked_at_is_due_now(engine: Engine) -> None:
    found = plan(settings("1", "2"), engine, "jd", NOON)
    assert (found.go, [target.sku for target in found.due]) == (True, ["1", "2"])


def test_only_due_targets_go_and_those_that_nearly_are(engine: Engine) -> None:
    book = HeatBook(engine, "jd")
    for sku, minutes in (("1", 0), ("2", 5), ("3", 30)):
        book.keep(f"sku={sku}", Heat(2.0, NOON - HOUR, 3600, NOON + timedelta(minutes=minutes)))
    found = plan(settings("1", "2", "3"), engine, "jd", NOON)
    assert (found.go, [target.sku for target in found.due]) == (True, ["1", "2"])
    found = plan(settings("2", "3"), engine, "jd", NOON)
    assert (found.go, found.next_at) == (False, NOON + timedelta(minutes=5))
    assert found.why == "sku=2，每小时约 2.0 条新的，每 60 分钟看一次"
    forced = plan(settings("2", "3"), engine, "jd", NOON, forced=True)
    assert (forced.go, [target.sku for target in forced.due]) == (True, ["2", "3"])


def test_a_product_is_called_by_the_name_that_its_mentions_tell(engine: Engine) -> None:
    HeatBook(engine, "jd").keep("sku=2", Heat(2.0, NOON - HOUR, 3600, NOON + HOUR))
    said = mention(source="jd", product="2", at=NOON - HOUR)
    with engine.begin() as connection:
        connection.execute(insert(table(Fact)).values(**fact_of(said, None, AlertSettings())))
    assert plan(settings("2"), engine, "jd", NOON).why == "2 暖气片，每小时约 2.0 条新的，每 60 分钟看一次"


def test_nothing_goes_in_quiet_hours_or_when_the_days_pages_are_spent(engine: Engine) -> None:
    found = plan(settings("1", quiet_hours=["11:00-13:30"]), engine, "jd", NOON)
    assert (found.go, found.next_at, found.why) == (False, NOON + 1.5 * HOUR, "安静时段，13:30 以后继续")
    assert not plan(settings("1", quiet_hours=["11:00-13:30"]), engine, "jd", NOON, forced=True).go
    ledger = Ledger(engine, "jd", ManualClock(NOON))
    assert all(ledger.budgets.spend(100, 2) for _ in range(2))
    assert not ledger.budgets.spend(100, 2)
    found = plan(settings("1", pages_per_day=2), engine, "jd", NOON)
    assert (found.go, found.next_at, found.why) == (False, NOON + 12 * HOUR, "今天的 2 页已经用完")
    assert plan(settings("1", pages_per_day=2), engine, "jd", NOON + 12 * HOUR).go


def test_an_official_api_is_one_target_and_knows_no_quiet_hours(engine: Engine) -> None:
    keys = {"app_key": "k", "app_secret": "s", "access_token": "t"}
    crawl = CrawlSettings.model_validate({"jd": {"quiet_hours": ["11:00-13:30"]}, "official": {"jos": keys}})
    assert plan(crawl, engine, "jd", NOON).go
    HeatBook(engine, "jd").keep(OFFICIAL, Heat(0.0, NOON, 3600, NOON + HOUR))
    found = plan(crawl, engine, "jd", NOON)
    assert (found.go, found.next_at) == (False, NOON + HOUR)
    assert "官方接口" in found.why


def test_pages_beside_an_official_api_keep_their_own_pace_and_quiet_hours(engine: Engine) -> None:
    keys = {"app_key": "k", "app_secret": "s", "access_token": "t"}
    here = {"targets": [{"sku": "1"}, {"sku": "2"}], "quiet_hours": ["13:30-15:00"]}
    crawl = paced(CrawlSettings.model_validate({"jd": here, "official": {"jos": keys}}), 1800)
    first, second = crawl.jd.targets
    assert plan(crawl, engine, "jd", NOON).due == (first, second)
    book = HeatBook(engine, "jd")
    book.keep(OFFICIAL, Heat(0.0, NOON, 3600, NOON + HOUR))
    book.keep(first.key, Heat(0.0, NOON, 1800, NOON + 0.5 * HOUR))
    book.keep(second.key, Heat(0.0, NOON, 4 * 3600, NOON + 4 * HOUR))
    found = plan(crawl, engine, "jd", NOON)
    assert (found.go, found.next_at) == (False, NOON + 0.5 * HOUR)
    assert plan(crawl, engine, "jd", NOON + 0.5 * HOUR).due == (first,)
    quiet = plan(crawl, engine, "jd", NOON + 2 * HOUR)  # 14:00 in Beijing: the API alone
    assert (quiet.go, quiet.due) == (True, ())


def test_hot_goes_often_cold_rarely_and_none_starves(engine: Engine) -> None:
    """Three days of a product with 20 new reviews an hour, one with one a day, one with none."""
    crawl, book = settings(*RATES, every=1800), HeatBook(engine, "jd")
    now, looks = NOON, {f"sku={sku}": [NOON] for sku in RATES}
    while now < NOON + 72 * HOUR:
        found = plan(crawl, engine, "jd", now)
        if not found.go:
            assert found.next_at > now
            now = found.next_at
            continue
        for target in found.due:
            heat = book.all().get(target.key)
            since = heat.looked_at if heat else now
            rate = RATES[target.sku or ""]
            new = int(rate * (now - NOON).total_seconds() / 3600) - int(rate * (since - NOON).total_seconds() / 3600)
            bounds = crawl.jd.crawl_every
            assert bounds is not None
            book.keep(target.key, looked(heat, new=new, whole=True, now=now, bounds=bounds, key=target.key))
            looks[target.key].append(now)
        now += timedelta(minutes=1)
    counts = {key: len(times) for key, times in looks.items()}
    hot, mild, cold = (counts[f"sku={sku}"] for sku in RATES)
    assert hot > 3 * mild >= 3 * (cold - 1)
    assert hot >= 72 * 2 * 0.85
    for times in looks.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) <= 3.4 * HOUR  # the longest interval, the jitter, a run's length


RATES = {"1001": 20.0, "1002": 1 / 24, "1003": 0.0}
"""Product -> new reviews an hour."""


def test_the_schedule_gives_a_run_its_due_targets_and_goes_on_by_their_plan(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[list[str | None]] = []

    def run_spider(platform: str, job: Any, *_: object, **__: object) -> RunReport:
        runs.append([target.sku for target in job.crawl.jd.targets])
        return RunReport(platform="jd", exit_code=0, report=None, log_tail="")

    monkeypatch.setattr("crawlers.launch.run_spider", run_spider)
    home = Home(tmp_path / "home")
    given = load_settings(home, crawl={"jd": {"targets": [{"sku": "1"}, {"sku": "2"}]}})
    with Rooms(home, given) as rooms:
        now = rooms.clock.now()
        HeatBook(rooms.engine, "jd").keep("sku=1", Heat(2.0, now, 7200, now + 2 * HOUR))
        schedule = CrawlSchedule(rooms)
        schedule.start()
        try:
            wait_until(lambda: schedule.all_ran and not schedule.running(), what="the run")
            assert runs == [["2"]]
            # The run died and noted nothing: it is due still, but not before the shortest interval.
            wait_until(lambda: (schedule.next_run("jd") or now) > now + timedelta(seconds=3500), what="the plan")
            HeatBook(rooms.engine, "jd").keep("sku=2", Heat(2.0, now, 7200, now + 3 * HOUR))
            assert not schedule.plan("jd").go
            PlatformBook(rooms.engine, rooms.clock).stop("jd", "verification", "captcha")
            schedule.resume("jd")
            wait_until(lambda: len(runs) == 2, what="the run that a person asked for")
            assert runs[1] == ["1", "2"]
        finally:
            schedule.stop()


def test_a_platform_that_is_resumed_while_its_run_is_ending_is_crawled_again_at_once(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = threading.Event()
    runs: list[str] = []

    def run_spider(platform: str, *_: object, **__: object) -> RunReport:
        runs.append(platform)
        if len(runs) == 1:
            PlatformBook(rooms.engine, rooms.clock).stop("jd", "verification", "captcha")
            ends.wait(60)
        return RunReport(platform="jd", exit_code=0, report=None, log_tail="")

    monkeypatch.setattr("crawlers.launch.run_spider", run_spider)
    monkeypatch.setattr("shengwen.crawling.LOOK_FOR_RESUMED", 0.1)
    home = Home(tmp_path / "home")
    with Rooms(home, load_settings(home, crawl={"jd": {"targets": [{"sku": "1"}]}})) as rooms:
        schedule = CrawlSchedule(rooms)
        schedule.start()
        try:
            wait_until(lambda: PlatformBook(rooms.engine, rooms.clock).status("jd").needs_person, what="the stop")
            schedule.resume("jd")
            time.sleep(0.5)
            assert runs == ["jd"]
            ends.set()
            wait_until(lambda: len(runs) == 2, what="the run that a person asked for")
        finally:
            ends.set()
            schedule.stop()


@pytest.mark.parametrize(("longest", "hours"), [(6 * 3600.0, 168), (10 * 86_400.0, 480)])
def test_a_target_is_not_given_up_before_its_next_look(longest: float, hours: float) -> None:
    crawl = CrawlSettings.model_validate({"jd": {"crawl_every": [3600, longest]}})
    assert patient(AlertSettings(), crawl, 3600).query_dropped_after == Span(hours=hours)


def test_without_a_browser_a_platform_is_read_but_for_its_keywords(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[list[str]] = []

    def run_spider(platform: str, job: Any, *_: object, **__: object) -> RunReport:
        runs.append([target.key for target in job.crawl.of(platform).targets])
        return RunReport(platform=platform, exit_code=0, report=None, log_tail="")

    monkeypatch.setattr("crawlers.launch.run_spider", run_spider)
    crawl: dict[str, Any] = {
        "chromium": "/nonexistent/chromium",
        "douyin": {"targets": [{"keyword": "岚炉"}]},
        "zhihu": {"targets": [{"question_id": "1"}, {"keyword": "岚炉"}]},
    }
    home = Home(tmp_path / "home")
    given = load_settings(home, crawl=crawl)
    assert in_browser(given, "zhihu")
    assert not in_browser(load_settings(home, crawl=crawl | {"zhihu": {"targets": [{"question_id": "1"}]}}), "zhihu")
    official = {"zhihu": {"access_secret": "s", "keywords": ["岚炉"]}}
    assert in_browser(load_settings(home, crawl=crawl | {"official": official}), "zhihu"), "pages are read as well"
    alone = crawl | {"official": official, "zhihu": {"targets": []}}
    assert not in_browser(load_settings(home, crawl=alone), "zhihu")
    with Rooms(home, given) as rooms:
        schedule = CrawlSchedule(rooms)
        schedule.start()
        try:
            wait_until(lambda: schedule.all_ran and not schedule.running(), what="the run")
            assert runs == [["question_id=1"]]
            (said,) = schedule.left_out
            assert "抖音、知乎的关键词没有采集" in said
        finally:
            schedule.stop()


def test_a_search_is_split_by_the_words_that_are_set_or_else_by_the_brands_products(tmp_path: Any) -> None:
    home = Home(tmp_path)
    brand = {"name": "岚炉", "products": [{"name": "K20", "models": ["K20-3"]}, "小背篓"]}
    crawl = {"douyin": {"split_words": ["漏水"]}, "zhihu": {"split_words": []}}
    job = job_of(home, load_settings(home, brand=brand, crawl=crawl))
    words = {platform: job.crawl.of(platform).split_words for platform in ("xiaohongshu", "douyin", "zhihu")}
    assert words == {"xiaohongshu": ("K20", "小背篓"), "douyin": ("漏水",), "zhihu": ()}
    assert job.crawl.xiaohongshu.words_beside("岚炉K20 漏水") == ["小背篓"]
    assert type(job).model_validate_json(job.model_dump_json()).crawl.xiaohongshu == job.crawl.xiaohongshu
