"""What is known is looked at again, less and less often: edits, 追评 and new comments are found, pages decay."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.config import PlatformSettings
from crawlers.revisit import look_due, reading_depth
from ingest.clock import BEIJING
from ingest.errors import ConfigError
from shengwen.home import Home as Folder
from shengwen.settings import load_settings
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.replica import Replica, running_replica
from tests.crawlers.runs import Home
from tests.processes import Nursery

pytestmark = pytest.mark.timeout(600)  # many runs, each a process

HOUR = timedelta(hours=1)
NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
LADDER = PlatformSettings().revisit_hours
HOURS = st.integers(0, 5000).map(lambda hours: NOON + hours * HOUR)


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


@pytest.fixture
def replica() -> Iterator[Replica]:
    with running_replica() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery) -> Home:
    made = Home(tmp_path / "home", spider_nursery)
    made.now = NOON
    return made


@given(st.text(max_size=20), HOURS)
def test_an_item_is_looked_at_less_and_less_often_and_never_forgotten(key: str, born: datetime) -> None:
    """Passes every hour for a month: at which ages was an item read again?"""
    ages: list[int] = []
    for age in range(1, 721):
        depth = reading_depth(LADDER, key, born + (age - 1) * HOUR, born + age * HOUR)
        if depth >= age * HOUR:
            ages.append(age)
    for upto, most in ((6, 1), (24, 6), (72, 24), (168, 72), (720, 168)):
        before = [age for age in (0, *ages) if age <= upto]
        assert upto - before[-1] <= most, (upto, ages)
    days = [sum((day - 1) * 24 < age <= day * 24 for age in ages) for day in range(1, 31)]
    assert days[0] >= 6
    assert max(days[1:]) <= 5
    assert max(days[8:]) <= 1
    assert sum(days) <= 40


@given(HOURS, st.lists(st.integers(1, 900), min_size=1, max_size=30))
def test_a_post_is_opened_once_for_each_age_on_the_ladder(born: datetime, waits: list[int]) -> None:
    last, now, looks = born, born, 0
    for wait in waits:
        now += wait * HOUR
        if look_due(LADDER, born, last, now):
            last, looks = now, looks + 1
    reached = sum(born + age * HOUR <= now for age in LADDER)
    assert bool(looks) == bool(reached)
    assert looks <= reached
    assert not look_due(LADDER, born, last, now)


def test_without_a_ladder_or_a_birth() -> None:
    assert not look_due((), NOON, NOON, NOON + 5000 * HOUR)
    assert reading_depth((), "sku=1", NOON, NOON + 5000 * HOUR) == timedelta(0)
    assert reading_depth(LADDER, "sku=1", None, NOON) == timedelta(0)
    assert [look_due(LADDER, None, NOON, NOON + hours * HOUR) for hours in (1, 719, 720)] == [False, False, True]


@pytest.mark.parametrize("wrong", [[6, 1], [0, 1], [1, 1], [-1]])
def test_a_ladder_that_does_not_rise_is_refused(tmp_path: Path, wrong: list[float]) -> None:
    with pytest.raises(ConfigError, match="从小到大"):
        load_settings(Folder(tmp_path), crawl={"jd": {"revisit_hours": wrong}})


def at(hours_ago: float, number: int, **fields: Any) -> dict[str, Any]:
    born = NOON - hours_ago * HOUR
    return review(number, creationTime=f"{born.astimezone(BEIJING):%Y-%m-%d %H:%M:%S}", **fields)


def test_edits_are_found_soon_in_what_is_young_and_later_in_what_is_old(shop: ShopServer, home: Home) -> None:
    """A review every half hour for eight days, then none: five hours a page, 40 pages. A pass every six hours."""
    shop.reviews["1"] = [at(n / 2, 1000 - n) for n in range(400)]
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").coverage[0].pages == 40
    for age, text in ((20, "刚装好就漏水了"), (200, "三天后开始漏水"), (390, "用了八天不热了")):
        shop.reviews["1"][age] = at(age / 2, 1000 - age, content=text)
    found: dict[str, int] = {}
    pages: list[int] = []
    for run in range(1, 15):
        home.now = NOON + run * 6 * HOUR
        (record,) = home.crawl("jd").coverage
        assert record.status == "complete"
        pages.append(record.pages)
        texts = {mention.text for mention in home.streamed() if not mention.text.startswith("岚炉")}
        found |= dict.fromkeys(texts - set(found), run * 6)
    assert found["刚装好就漏水了"] <= 12
    assert found["三天后开始漏水"] <= 78
    assert "用了八天不热了" not in found  # older than a week: a month may pass
    assert sum(pages) < 14 * 40 / 3
    assert sum(count > 6 for count in pages) <= 4  # the deep looks are rare
    assert sorted(pages)[len(pages) // 2] <= 5
    assert min(pages) == 1


def test_a_full_pass_finds_what_is_older_than_the_ladder(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [at(24 * n, 1000 - n) for n in range(60)]
    home.configure(jd=shop.settings("1"))
    home.crawl("jd")
    shop.reviews["1"][55] = at(24 * 55, 945, content="第二年也漏水")
    home.now = NOON + timedelta(days=29)
    assert home.crawl("jd").coverage[0].new == 0
    home.now = NOON + timedelta(days=31)
    assert home.crawl("jd").coverage[0].new == 1


def test_appended_reviews_of_the_replica_are_found_without_reading_all_of_it(replica: Replica, home: Home) -> None:
    settings = replica.settings("jd", questions=False)
    home.configure(jd=settings | {"targets": settings["targets"][:2]})
    pages: list[int] = []
    late: set[str] = set()
    skus = {target["sku"] for target in settings["targets"][:2]}
    for step in range(9):
        home.now = replica.clock.now()
        report = home.crawl("jd")
        assert report.status == "complete"
        pages.append(sum(record.pages for record in report.coverage))
        items = [item for item in replica.items("jd") if item.kind == "review"]
        if step < 8:
            late |= {i.native_id for i in items if i.append and i.model and skus & set(i.model.jd_skus)}
            replica.clock.advance(timedelta(days=3).total_seconds())
    streamed = {mention.id.rpartition(":")[2] for mention in home.streamed() if mention.appends}
    # The last step is three days long: what was appended before it to reviews of up to three days is in, and whatever
    # is older is found with its next step, at most a week later.
    week_old = {
        item.native_id
        for item in replica.items("jd")
        if item.append and item.native_id in late and replica.clock.now() - item.append.at > timedelta(days=8)
    }
    assert week_old
    assert week_old <= streamed
    whole = -(-len([i for i in replica.items("jd") if i.model and skus & set(i.model.jd_skus)]) // 10)
    assert sum(pages[1:]) < 8 * whole
