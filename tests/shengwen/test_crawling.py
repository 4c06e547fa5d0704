"""The service's schedule of spiders ends when it is told to, whatever its runs are doing.

APScheduler waits for the runs that go on while it holds its own lock: one that asked it for anything then would wait
for it, and it for the run.
"""

from __future__ import annotations

import threading
from pathlib import Path

from shengwen.crawling import CrawlSchedule
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import load_settings
from tests.crawlers.hostile import ShopServer, review
from tests.processes import wait_until

PATIENCE = 120


def ends(schedule: CrawlSchedule, during_it: threading.Event) -> bool:
    """Tell the schedule to stop; let its run go on once it waits for that run. Whether it came to its end."""
    scheduler = schedule._scheduler
    assert scheduler is not None
    stopping = threading.Thread(target=schedule.stop, daemon=True)
    stopping.start()
    wait_until(lambda: not scheduler.running, PATIENCE, "the scheduler to begin its end")
    during_it.set()
    stopping.join(PATIENCE)
    return not stopping.is_alive()


def test_a_stop_while_a_job_is_being_started_ends(tmp_path: Path) -> None:
    """The job has begun and finds that another process crawls: it asks to be called again later, just then."""
    home = Home(tmp_path / "home")
    asked, answer = threading.Event(), threading.Event()

    def held() -> bool:
        asked.set()
        answer.wait(PATIENCE)
        return False

    with Rooms(home, load_settings(home, crawl={"jd": {"targets": [{"sku": "1"}]}})) as rooms:
        schedule = CrawlSchedule(rooms, held=held)
        schedule.start()
        assert asked.wait(PATIENCE)
        assert ends(schedule, answer)
        assert schedule.running() == frozenset()


def test_a_stop_while_a_spider_runs_ends_it_and_plans_nothing_more(tmp_path: Path) -> None:
    """The run is a child; when it has ended, its thread asks when the next one is to be."""
    home = Home(tmp_path / "home")
    with ShopServer() as shop:
        shop.reviews["1"] = [review(1)]
        shop.faults["1"] = "slow"
        crawl = {"jd": shop.settings("1", timeout=60) | {"pause": [0, 0]}}
        with Rooms(home, load_settings(home, crawl=crawl)) as rooms:
            schedule = CrawlSchedule(rooms)
            schedule.start()
            wait_until(lambda: shop.hits["1"] > 0, PATIENCE, "the spider's first request")
            assert schedule.running() == {"jd"}
            assert ends(schedule, shop.delay)
            assert schedule.running() == frozenset()
