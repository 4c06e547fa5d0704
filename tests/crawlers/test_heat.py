"""Lively targets are looked at often, quiet ones rarely, none never; and a run begins with who waited longest."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from crawlers.heat import JITTER, Heat, HeatBook, looked
from ingest.errors import ConfigError
from ingest.state import make_engine
from shengwen.home import Home as Folder
from shengwen.settings import load_settings
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.runs import Home
from tests.processes import Nursery

NOON = datetime(2026, 11, 3, 4, tzinfo=UTC)
BOUNDS = (600.0, 7200.0)


def follow(finds: list[int], *, whole: bool = True) -> Heat:
    """The heat after these looks, each made when it was due; the first is the first ever."""
    heat, now = None, NOON
    for new in finds:
        heat = looked(heat, new=new, whole=whole, now=now, bounds=BOUNDS, key="sku=1")
        now = heat.next_at
    assert heat is not None
    return heat


def test_what_has_gathered_for_years_is_no_heat() -> None:
    assert follow([5000]).rate is None
    assert follow([5000, 0, 0]).rate == 0


def test_quiet_targets_cool_down_step_by_step_to_the_longest_interval() -> None:
    steps = [follow([9] + [0] * looks).every for looks in range(8)]
    assert steps[0] == BOUNDS[0]
    assert all(one <= other <= 2 * one for one, other in pairwise(steps))
    assert steps[-1] == BOUNDS[1]


def test_a_burst_is_believed_at_once() -> None:
    cold = [9] + [0] * 10
    assert follow(cold).every == BOUNDS[1]
    assert follow([*cold, 60]).every < 1.3 * BOUNDS[0]


def test_the_interval_follows_the_rate() -> None:
    rates = [follow([9] + [each] * 40) for each in (1, 3, 5)]
    assert BOUNDS[0] <= rates[2].every < rates[1].every < rates[0].every <= BOUNDS[1]


def test_a_look_that_was_cut_short_is_gone_on_with_soon() -> None:
    assert follow([9] + [0] * 10, whole=False).every == BOUNDS[0]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.floats(1, 10_000), st.floats(1, 100))
def test_between_the_bounds_whatever_is_found_and_the_same_each_time(
    finds: list[int], shortest: float, times: float
) -> None:
    bounds = (shortest, shortest * times)
    seen: list[Heat] = []
    for _ in range(2):
        heat, now = None, NOON
        for new in finds:
            heat = looked(heat, new=new, whole=True, now=now, bounds=bounds, key="k")
            assert bounds[0] <= heat.every <= bounds[1]
            late = (heat.next_at - now).total_seconds() - heat.every
            assert -1e-5 <= late <= JITTER * heat.every + 1e-5
            now = heat.next_at
        assert heat is not None
        seen.append(heat)
    assert seen[0] == seen[1]


def test_two_targets_do_not_march_in_step() -> None:
    ends = {looked(None, new=0, whole=True, now=NOON, bounds=BOUNDS, key=f"sku={n}").next_at for n in range(20)}
    assert len(ends) == 20


@pytest.mark.parametrize("wrong", [[0, 10], [20, 10], [10, 1e9]])
def test_wrong_bounds_are_refused_in_chinese(tmp_path: Path, wrong: list[float]) -> None:
    with pytest.raises(ConfigError, match="最短"):
        load_settings(Folder(tmp_path), crawl={"jd": {"crawl_every": wrong}})


def test_it_is_kept_on_both_databases(state_url: str) -> None:
    engine = make_engine(state_url)
    book = HeatBook(engine, "jd")
    first, second = follow([1]), follow([1, 7])
    book.keep("sku=1", first)
    book.keep("sku=1", second)
    book.keep("sku=2", first)
    assert book.all() == {"sku=1": second, "sku=2": first}
    assert HeatBook(engine, "tmall").all() == {}
    engine.dispose()


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery) -> Home:
    made = Home(tmp_path / "home", spider_nursery)
    made.now = NOON
    return made


@pytest.fixture
def engine(home: Home) -> Iterator[Engine]:
    made = make_engine(home.state_url)
    yield made
    made.dispose()


def test_a_run_begins_with_the_target_that_waited_longest_in_its_own_intervals(
    shop: ShopServer, home: Home, engine: Engine
) -> None:
    for sku in "1234":
        shop.reviews[sku] = [review(int(sku))]
    book = HeatBook(engine, "jd")
    book.keep("sku=1", Heat(0.0, NOON - timedelta(hours=5), 7200, NOON))  # 2.5 intervals
    book.keep("sku=2", Heat(9.0, NOON - timedelta(hours=1), 600, NOON))  # 6 intervals
    book.keep("sku=3", Heat(1.0, NOON - timedelta(hours=1), 3600, NOON))  # 1 interval
    home.configure(jd=shop.settings("3", "1", "2", "4", crawl_every=[600, 7200]))
    report = home.crawl("jd")
    assert [record.query for record in report.coverage] == ["sku=4", "sku=2", "sku=1", "sku=3"]
    assert book.all()["sku=4"].rate is None
    assert all(heat.looked_at > NOON - timedelta(hours=1) for heat in book.all().values())


def test_a_target_that_a_budget_left_out_stays_first_in_line(shop: ShopServer, home: Home, engine: Engine) -> None:
    for sku in "12":
        shop.reviews[sku] = [review(n) for n in range(20, 0, -1)]
    home.configure(jd=shop.settings("1", "2", pages_per_run=2))
    assert home.crawl("jd").status == "partial"
    assert set(HeatBook(engine, "jd").all()) == {"sku=1"}
    home.now = NOON + timedelta(minutes=1)
    assert home.crawl("jd").coverage[0].query == "sku=2"
