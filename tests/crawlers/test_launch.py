"""A run as a child process: what its end looks like from the service."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from playwright._impl._errors import TargetClosedError

from crawlers.chromium import find_chromium
from crawlers.launch import run_spider
from crawlers.run import _worth_saying, load_job, main, one_at_a_time
from ingest.errors import ConfigError
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.runs import Home


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


def test_a_run_reports_its_coverage(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(3)]
    job = home.configure(jd=shop.settings("1"))
    done = run_spider("jd", job, 60)
    assert (done.exit_code, done.status, done.timed_out) == (0, "complete", False)
    assert done.report is not None
    assert done.report.coverage[0].new == 3
    assert home.ids().total() == 3


def test_a_run_that_takes_too_long_is_ended_cleanly(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(1)]
    shop.faults["1"] = "slow"
    job = home.configure(jd=shop.settings("1", timeout=60))
    stop = threading.Event()
    seen = threading.Thread(target=lambda: (_wait_for(shop, "1"), stop.set()))
    seen.start()
    done = run_spider("jd", job, 60, stop=stop)
    seen.join()
    shop.delay.set()
    assert (done.exit_code, done.status) == (0, "partial")
    assert not done.timed_out
    assert done.report is not None
    assert done.report.reason.startswith("收到 SIGTERM")


def _wait_for(shop: ShopServer, sku: str) -> None:
    deadline = time.monotonic() + 60
    while not shop.hits[sku] and time.monotonic() < deadline:
        time.sleep(0.02)


def test_two_runs_of_one_platform_do_not_overlap(home: Home) -> None:
    job = home.configure(jd={"targets": [{"sku": "1"}]})
    with one_at_a_time(job.lock_path("jd")):
        done = run_spider("jd", job, 60)
    assert (done.exit_code, done.status) == (1, "failed")
    assert "还在运行" in done.log_tail
    assert home.coverage() == []
    with one_at_a_time(job.lock_path("jd")):
        pass


def test_a_missing_or_broken_job_is_explained(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["--config", str(tmp_path / "none.json"), "jd"]) == 1
    out, err = capfdbinary.readouterr()
    assert "无法读取采集任务文件" in err.decode()
    assert orjson.loads(out)["status"] == "failed"
    broken = tmp_path / "job.json"
    broken.write_text('{"crawl": {}, "log_path": 3}')
    with pytest.raises(ConfigError, match="采集任务文件"):
        load_job(broken)


def test_without_chromium_the_run_fails_and_says_how_to_get_one(home: Home) -> None:
    home.configure(xiaohongshu={"targets": [{"keyword": "岚炉"}]})
    crawl = home.job.crawl.model_copy(update={"chromium": "/nowhere/chromium"})
    home.job = home.job.model_copy(update={"crawl": crawl})
    report = home.crawl("xiaohongshu")
    assert report.status == "failed"
    assert "apt-get install chromium" in report.reason
    assert [record.status for record in home.coverage()] == ["failed"]
    assert home.status("xiaohongshu").status == "failed"


def test_find_chromium_looks_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_chromium() is None
    program = tmp_path / "chromium-browser"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_chromium() == str(program)
    assert find_chromium("/nowhere") is None


def test_a_crawl_takes_the_browser_without_a_window_and_a_login_never_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    small, whole = tmp_path / "chromium-headless-shell", tmp_path / "chromium"
    for program in (small, whole):
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    assert find_chromium() == str(small)
    assert find_chromium(window=True) == find_chromium(str(small), window=True) == str(whole)
    whole.unlink()
    assert find_chromium(window=True) is None


ONE_DRIVER = """
from twisted.internet import asyncioreactor
asyncioreactor.install()
import asyncio
from scrapy import Spider
from scrapy.utils.test import get_crawler
from crawlers.handler import BrowserHandler

class Counted(BrowserHandler):
    closed = 0
    async def _close(self):
        Counted.closed += 1

async def both_schemes():
    crawler = get_crawler(Spider)
    one, other = Counted.from_crawler(crawler), Counted.from_crawler(crawler)
    assert one is other
    assert Counted.from_crawler(get_crawler(Spider)) is not one
    await one.close()
    await other.close()
    assert Counted.closed == 1

asyncio.get_event_loop_policy().get_event_loop().run_until_complete(both_schemes())
"""


def test_one_driver_serves_both_schemes_and_is_closed_once() -> None:
    done = subprocess.run([sys.executable, "-c", ONE_DRIVER], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_page_closed_under_an_answer_is_no_error_in_the_log() -> None:
    def said(name: str, error: BaseException) -> bool:
        return _worth_saying(logging.LogRecord(name, logging.ERROR, "", 0, "a task", (), (type(error), error, None)))

    assert not said("asyncio", TargetClosedError())
    assert said("asyncio", ValueError())
    assert said("scrapy", TargetClosedError())
