"""A run that outgrows its memory ends cleanly, says so to people, and loses nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from scrapy.utils.test import get_crawler

from crawlers.config import CrawlSettings
from crawlers.launch import run_spider
from crawlers.memory import FamilyMemory
from crawlers.settings import scrapy_settings
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.replica import running_replica
from tests.crawlers.runs import Home
from tests.processes import Nursery

MIB = 2**20
HUNGRY = "held = bytearray(b'x') * (200 * 2**20); print('held', flush=True); input()"


def test_memory_of_all_that_a_run_has_started_counts() -> None:
    watch = FamilyMemory(get_crawler(settings_dict=scrapy_settings(CrawlSettings(), "jd")))
    before = watch.get_virtual_size()
    assert before > MIB
    # A child of a child: as a browser's pages are.
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HUNGRY!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        assert watch.get_virtual_size() > before + 150 * MIB
        child.communicate(b"\n")
    assert watch.get_virtual_size() < before + 150 * MIB


def test_a_run_over_its_limit_ends_before_it_asks_for_anything(tmp_path: Path, spider_nursery: Nursery) -> None:
    with ShopServer() as shop:
        shop.reviews["1"] = [review(n) for n in range(3)]
        home = Home(tmp_path / "home", spider_nursery)
        job = home.configure(jd=shop.settings("1"))
        small = job.model_copy(update={"crawl": job.crawl.model_copy(update={"memory_mb": 16})})
        done = run_spider("jd", small, 100)
        assert done.report is not None, done.log_tail
        assert (done.exit_code, done.status) == (0, "partial")
        assert "内存超过了 16 MB（crawl.memory_mb）" in done.report.reason
        assert not shop.hits["1"]
        (told,) = home.coverage()
        assert (told.status, told.reason) == ("partial", done.report.reason)
        assert home.status("jd").reason == told.reason
        assert not home.status("jd").needs_person
        assert run_spider("jd", job, 100).status == "complete"
        assert home.ids().total() == 3


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
@pytest.mark.timeout(300)
def test_a_browser_counts_and_the_next_run_goes_on(tmp_path: Path, spider_nursery: Nursery) -> None:
    """A limit that the spider keeps to by itself, and with Chromium does not."""
    home = Home(tmp_path / "home", spider_nursery)
    with running_replica() as replica:
        keywords = replica.keywords("xiaohongshu")[:1]
        settings = replica.settings("xiaohongshu", keywords, timeout=30)
        home.configure(xiaohongshu=settings | {"pause": [2, 2]})
        home.job = home.job.model_copy(update={"crawl": home.job.crawl.model_copy(update={"memory_mb": 170})})
        report = home.crawl("xiaohongshu")
        assert report.status == "partial", report.reason
        assert "内存超过了 170 MB" in report.reason
        home.configure(xiaohongshu=settings)
        report = home.crawl("xiaohongshu")
        assert report.status == "complete", report.reason
        assert home.ids() == dict.fromkeys(replica.found_by("xiaohongshu", keywords), 1)
