"""Budgets: the day's pages hold across runs, and in quiet hours nobody is asked for anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crawlers.hours import quiet_spans, quiet_until
from ingest.clock import BEIJING
from ingest.errors import ConfigError
from shengwen.home import Home as Folder
from shengwen.settings import load_settings
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.runs import Home
from tests.processes import Nursery

NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
"""12:00 in Beijing."""


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery) -> Home:
    made = Home(tmp_path / "home", spider_nursery)
    made.now = NOON
    return made


@pytest.mark.parametrize(
    ("spans", "clock", "until"),
    [
        (["23:30-07:00"], "23:29", None),
        (["23:30-07:00"], "23:30", "07:00"),
        (["23:30-07:00"], "03:00", "07:00"),
        (["23:30-07:00"], "07:00", None),
        (["12:00-14:00", "14:00-15:30"], "12:00", "15:30"),
        (["22:00-24:00", "00:00-06:00"], "22:10", "06:00"),
        (["9:00至9:05"], "09:04", "09:05"),
        ([], "03:00", None),
    ],
)
def test_quiet_hours_are_beijing_time_and_may_go_over_midnight(spans: list[str], clock: str, until: str | None) -> None:
    at = datetime.fromisoformat(f"2026-11-03T{clock}:20+08:00")
    ends = quiet_until(quiet_spans(spans), at.astimezone(UTC))
    assert (None if ends is None else f"{ends.astimezone(BEIJING):%H:%M}") == until
    assert ends is None or timedelta(0) < ends - at < timedelta(days=1)


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        (["night"], "23:30-07:00"),
        (["25:00-07:00"], "23:30-07:00"),
        (["07:00-24:30"], "24:00"),
        (["07:00-07:00"], "不能相同"),
        (["00:00-24:00"], "整天"),
        (["00:00-13:00", "12:00-00:00"], "整天"),
    ],
)
def test_a_wrong_span_is_refused_in_chinese(tmp_path: Path, spans: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=r"crawl\.jd\.quiet_hours") as raised:
        load_settings(Folder(tmp_path), crawl={"jd": {"quiet_hours": spans}})
    assert said in str(raised.value)


def test_nothing_is_requested_in_quiet_hours(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(30, 0, -1)]
    home.configure(jd=shop.settings("1", quiet_hours=["11:30-13:00"]))
    report = home.crawl("jd")
    assert (report.status, report.reason) == ("partial", "quiet_hours：安静时段，到北京时间 13:00 为止")
    assert not shop.hits  # not even robots.txt
    assert (report.coverage[0].got, report.coverage[0].status) == (0, "partial")
    home.now = NOON + timedelta(hours=1)
    assert home.crawl("jd").status == "complete"
    assert len(home.ids()) == 30


def test_a_run_ends_before_quiet_hours_begin(shop: ShopServer, home: Home) -> None:
    """What is given out now is sent after the pause, and perhaps again: not in the quiet hours."""
    shop.reviews["1"] = [review(1)]
    home.configure(jd=shop.settings("1", quiet_hours=["12:01-13:00"], timeout=40))
    assert "quiet_hours" in home.crawl("jd").reason
    assert not shop.hits
    home.configure(jd=shop.settings("1", quiet_hours=["12:01-13:00"], timeout=5))
    assert home.crawl("jd").status == "complete"


def test_the_days_pages_hold_across_runs_and_begin_anew_at_midnight_in_beijing(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(70, 0, -1)]
    home.configure(jd=shop.settings("1", pages_per_day=3))
    report = home.crawl("jd")
    assert (report.status, report.reason, shop.hits["1"]) == ("partial", "pages_per_day：今天已读 3 页", 3)
    home.now = NOON + timedelta(hours=11, minutes=59)  # 23:59
    assert (home.crawl("jd").status, shop.hits["1"]) == ("partial", 3)
    home.now = NOON + timedelta(hours=12)
    home.configure(jd=shop.settings("1", pages_per_day=7))
    assert home.crawl("jd").status == "complete"
    assert set(home.ids().values()) == {1}
    assert len(home.ids()) == 70
