"""What the page and the spiders keep, where the two databases could differ: order, odd text, several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine, select

from alerts.coverage import CoverageStore
from alerts.read import AlertReader
from alerts.tables import SourceHealth, table
from crawlers.book import PlatformBook
from crawlers.launch import RunReport
from crawlers.ledger import Ledger, Seen
from crawlers.run import Job
from ingest.clock import ManualClock, SystemClock
from ingest.coverage import Coverage
from ingest.mention import MAX_COUNT
from ingest.state import make_engine
from shengwen.commands.doctor import examine
from shengwen.crawling import CrawlSchedule
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import Settings, load_settings, state_url
from shengwen.web.saved import save_search, saved_searches
from tests.processes import wait_until
from tests.servers.base import free_port
from tests.shengwen.world import NOW, open_world

NAMES = ["b", "A", "á", "a", "B", "漏水", "采暖", "_", "10", "9", "Ａ"]
"""A database that sorts as people do puts these in another order than Python does."""


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    made = make_engine(state_url)
    yield made
    made.dispose()


def test_lists_are_in_the_same_order_on_both(engine: Engine, clock: ManualClock) -> None:
    for name in NAMES:
        save_search(engine, clock, name, "漏水", "newest", "admin")
    assert [one.name for one in saved_searches(engine)] == sorted(NAMES)
    coverage = CoverageStore(engine)
    coverage.absorb([Coverage(source="jd", query=q, status="complete", started_at=NOW, finished_at=NOW) for q in NAMES])
    (source,) = AlertReader(engine).sources(NOW)
    assert [one.query for one in source.queries] == sorted(NAMES)
    book = PlatformBook(engine, clock)
    for name in NAMES:
        book.stop(name, "blocked", "")
    assert [one.platform for one in book.all()] == sorted(NAMES)


def test_a_saved_search_is_one_whoever_saves_it_at_the_same_moment(engine: Engine, clock: ManualClock) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: save_search(engine, clock, "漏水", f"漏水 {n}", "newest", "admin"), range(24)))
    (saved,) = saved_searches(engine)
    assert saved.query.startswith("漏水 ")


def test_runs_that_share_a_platforms_budget_do_not_overdraw_it(engine: Engine, clock: ManualClock) -> None:
    ledgers = [Ledger(engine, "jd", clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        spent = list(pool.map(lambda n: ledgers[n % 8].budgets.spend(20), range(48)))
    assert sum(spent) == 20


def test_the_same_item_may_be_recorded_by_two_runs_at_once(engine: Engine, clock: ManualClock) -> None:
    ledgers = [Ledger(engine, "jd", clock) for _ in range(4)]
    items = [Seen(f"jd:review:{n}", "1") for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda ledger: ledger.record(items, 1), ledgers))
    assert len(ledgers[0].known(item.id for item in items)) == 50


def test_what_a_platform_claims_may_be_any_number(engine: Engine, clock: ManualClock) -> None:
    ledger = Ledger(engine, "jd", clock)
    ledger.begin()
    ledger.settle("sku=1", MAX_COUNT, full=True)
    assert ledger.list_state("sku=1").total == MAX_COUNT
    huge = Coverage(
        source="jd", query="q" * 900, planned=MAX_COUNT, got=MAX_COUNT, new=MAX_COUNT, duplicate=MAX_COUNT,
        dead=MAX_COUNT, pages=MAX_COUNT, status="partial", signal="s" * 90, reason="r" * 900,
        started_at=NOW, finished_at=NOW,
    )  # fmt: skip
    CoverageStore(engine).absorb([huge, huge])
    with engine.connect() as connection:
        (row,) = connection.execute(select(table(SourceHealth))).all()
    assert (row.planned, row.pages) == (MAX_COUNT, MAX_COUNT)


@pytest.mark.parametrize("path", ["/tickets?q=%00", "/tickets/%00", "/alerts/%00", "/api/v1/tickets?q=%00%ED%A0%80"])
def test_characters_that_no_text_column_takes_are_no_error_of_ours(tmp_path: Path, state_url: str, path: str) -> None:
    with open_world(tmp_path, url=state_url) as world:
        assert world.logged_in().get(path).status_code in (200, 400, 404, 422)


def test_a_name_with_nul_logs_nobody_in(tmp_path: Path, state_url: str) -> None:
    with open_world(tmp_path, url=state_url) as world:
        answer = world.client().get("/api/v1/alerts", auth=("ad\x00min", world.password))
        assert answer.status_code in (400, 401)


URL = "postgresql+psycopg://shengwen:h1dden-word@127.0.0.1:5432/state"


def test_the_url_comes_from_the_environment_and_shows_its_password_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home").ensure()
    assert state_url(home, load_settings(home)) == f"sqlite:///{home.state}"
    monkeypatch.setenv("SHENGWEN_STATE_URL", URL)
    settings = load_settings(home)
    assert state_url(home, settings) == URL
    job = Job(crawl=settings.crawl, log_path=home.log, state_url=URL, secret_path=home.secret)
    for shown in (repr(settings), str(settings), settings.model_dump_json(), repr(job), repr(make_engine(URL))):
        assert "h1dden-word" not in shown
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"state_url": ["h1dden-word"]})
    assert "h1dden-word" not in str(caught.value)


def test_doctor_looks_at_the_server(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHENGWEN_STATE_URL", postgres_url)
    found = {one["name"]: one for one in examine(Home(tmp_path / "home"))["checks"]}["状态库"]
    assert found["ok"]
    assert found["detail"].startswith("PostgreSQL ")
    monkeypatch.setenv("SHENGWEN_STATE_URL", f"postgresql://u:h1dden-word@127.0.0.1:{free_port()}/d")
    report = examine(Home(tmp_path / "home"))
    found = {one["name"]: one for one in report["checks"]}["状态库"]
    assert not found["ok"]
    assert "连不上状态库" in found["detail"]
    assert "h1dden-word" not in str(report)


def test_all_rooms_of_a_home_stand_on_the_database_that_the_setting_names(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHENGWEN_STATE_URL", postgres_url)
    with Rooms(Home(tmp_path / "home"), clock=SystemClock()) as rooms:
        assert rooms.engine.dialect.name == "postgresql"
        rooms.alerting.tick()
        assert rooms.corrections.all() == []
        assert not rooms.home.state.exists()


def test_a_process_that_stands_by_starts_no_spider_and_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    def run_spider(platform: str, *_: object, **__: object) -> RunReport:
        started.append(platform)
        return RunReport(platform="jd", exit_code=0, report=None, log_tail="")

    monkeypatch.setattr("crawlers.launch.run_spider", run_spider)
    monkeypatch.setattr("shengwen.crawling.STAND_BY", 0.1)
    turn = threading.Event()
    home = Home(tmp_path / "home")
    settings = load_settings(home, crawl={"jd": {"targets": [{"sku": "100012043978"}]}})
    with Rooms(home, settings) as rooms:
        schedule = CrawlSchedule(rooms, held=turn.is_set)
        schedule.start()
        try:
            time.sleep(0.6)
            assert (started, schedule.all_ran) == ([], False)
            turn.set()
            wait_until(lambda: schedule.all_ran, what="the run")
            assert started == ["jd"]
        finally:
            schedule.stop()
