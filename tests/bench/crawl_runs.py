"""The crawls that :mod:`tests.bench.bench_crawl` compares, each in a process of its own.

    python -m tests.bench.crawl_runs KIND JOB.json      prints a :class:`Measured` as its last line

``ours`` is the ordinary run of a platform: everything that :func:`crawlers.run.run` does between start and end. The
rivals take the same addresses and Scrapy settings and do nothing with what they get.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson
from pydantic import BaseModel

from crawlers.config import Platform
from crawlers.run import Job, load_job, opened, report_of, spider_of

EVERY: Final = 50
"""Memory is read every so many pages."""
TICK: Final = os.sysconf("SC_CLK_TCK")


class Measured(BaseModel):
    """What one crawl cost. ``memory``: (pages so far, this process's MB, its children's MB), children counted by
    proportional share, as a browser's processes share most of theirs. ``cpu``: seconds of this process and of its
    children. ``asked``: what was fetched, with its Referer."""

    pages: int
    seconds: float
    cpu: tuple[float, float]
    memory: list[tuple[int, float, float]]
    asked: list[tuple[str, str]]
    answers: int = 0
    mentions: int = 0


class Meter:
    """Counts pages from the first one on: starting is no part of a rate."""

    def __init__(self) -> None:
        self.memory: list[tuple[int, float, float]] = []
        self.asked: list[tuple[str, str]] = []
        self._started = self._ended = 0.0
        self._cpu = self._cpu_then = (0.0, 0.0)

    def page(self, response: Any, request: Any) -> None:
        """Scrapy's signal ``response_received``."""
        if response.url.endswith("/robots.txt"):
            return
        self.asked.append((request.url, request.headers.get("Referer", b"").decode()))
        if len(self.asked) == 1:
            self._started, self._cpu_then = time.perf_counter(), cpu()
        if len(self.asked) % EVERY == 0:
            self.memory.append((len(self.asked), *megabytes()))

    def close(self) -> None:
        """The end of the run, while the browser is still there."""
        self._ended, self._cpu = time.perf_counter(), cpu()

    def measured(self, **more: int) -> Measured:
        spent = (self._cpu[0] - self._cpu_then[0], self._cpu[1] - self._cpu_then[1])
        pages = len(self.asked) - 1
        seconds = self._ended - self._started
        return Measured(pages=pages, seconds=seconds, cpu=spent, memory=self.memory, asked=self.asked, **more)


def family() -> Iterator[int]:
    """Every process that this one started, and theirs."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # it has just ended
            parents.setdefault(parent, []).append(int(entry.name))
    layer = [os.getpid()]
    while layer:
        layer = [child for parent in layer for child in parents.get(parent, [])]
        yield from layer


def megabytes() -> tuple[float, float]:
    """Resident memory of this process, and proportional share of all below it."""
    own = re.search(r"VmRSS:\s*(\d+)", Path("/proc/self/status").read_text())
    below = 0
    for pid in family():
        try:
            found = re.search(r"^Pss:\s*(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        except OSError:
            continue
        below += int(found[1]) if found else 0
    return (int(own[1]) if own else 0) / 1024, below / 1024


def cpu() -> tuple[float, float]:
    """CPU seconds of this process, and of all below it (those that ended count with their parents)."""
    below = 0
    for pid in family():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        below += sum(map(int, fields[11:15]))
    return time.process_time(), below / TICK


@contextmanager
def crawling(spider_class: Any, settings: dict[str, Any], **arguments: Any) -> Iterator[tuple[Meter, Any]]:
    """Run a spider to its end; its meter and its crawler."""
    from scrapy import signals
    from scrapy.crawler import AsyncCrawlerProcess

    meter = Meter()
    process = AsyncCrawlerProcess(settings)
    crawler = process.create_crawler(spider_class)
    crawler.signals.connect(meter.page, signals.response_received)
    crawler.signals.connect(meter.close, signals.spider_closed)
    process.crawl(crawler, **arguments)
    process.start(install_signal_handlers=False)
    yield meter, crawler


def ours(platform: Platform, job: Job) -> Measured:
    """Our spider: parse, mask, log, ledger, coverage."""
    spider_class, settings = spider_of(platform, job.crawl)
    with opened(job, platform) as kit:
        kit.ledger.begin()
        with crawling(spider_class, settings, kit=kit) as (meter, crawler):
            report = report_of(platform, crawler.spider)
    if report.status != "complete" and "page cap" not in report.reason:
        raise SystemExit(f"the crawl ended {report.status}: {report.reason}")
    got = report.coverage
    return meter.measured(answers=sum(one.pages for one in got), mentions=sum(one.new for one in got))


def bare_settings(platform: Platform, job: Job) -> dict[str, Any]:
    """What our own spider asks of Scrapy, without our middleware: it writes the lines of our audit."""
    return spider_of(platform, job.crawl)[1] | {"DOWNLOADER_MIDDLEWARES": {}}


def bare_http(platform: Platform, job: Job, asked: list[tuple[str, str]], *, at_once: bool) -> Measured:
    """Scrapy's own way: a request's callback yields the next; or all at once, as many side by side as by default."""
    from scrapy import Request, Spider

    settings = bare_settings(platform, job)
    if at_once:
        settings |= {"CONCURRENT_REQUESTS": 16, "CONCURRENT_REQUESTS_PER_DOMAIN": 8}
    requests = [Request(url, headers={"Referer": referer}, dont_filter=True) for url, referer in asked]

    class Bare(Spider):
        name = "bare"

        async def start(self) -> AsyncIterator[Any]:
            for request in requests if at_once else requests[:1]:
                yield request

        async def parse(self, response: Any) -> AsyncIterator[Any]:
            if not at_once and (following := requests.index(response.request) + 1) < len(requests):
                yield requests[following]

    with crawling(Bare, settings) as (meter, _crawler):
        return meter.measured()


def bare_browser(platform: Platform, job: Job, keywords: list[str]) -> Measured:
    """A loop as one writes it with scrapy-playwright: the same pages, scrolls and clicks; the answers are only heard.

    What it needs to know of an answer (is there more, which notes were found) it takes straight out of the JSON.
    """
    from playwright.async_api import Error
    from scrapy import Request, Spider

    from crawlers.xiaohongshu.spider import XiaohongshuSpider

    settings = bare_settings(platform, job)
    here = job.crawl.of(platform)

    class Open:
        """A page and what it has loaded: the last answer of each kind, and how many there were."""

        def __init__(self) -> None:
            self.page: Any = None
            self.last: dict[str, Any] = {}
            self.count = 0
            self._came = asyncio.Event()

        async def hear(self, response: Any) -> None:
            if response.request.resource_type in ("xhr", "fetch"):
                try:
                    body = await response.body()
                except Error:  # the page has been closed
                    return
                self.last[re.sub(r".*/api/sns/web/v\d/", "", response.url).partition("?")[0]] = (response, body)
                self.count += 1
                self._came.set()

        async def until(self, true: Callable[[], object]) -> None:
            async with asyncio.timeout(60):
                while not true():
                    self._came.clear()
                    await self._came.wait()

        def data(self, kind: str) -> Any:
            return orjson.loads(self.last[kind][1])["data"]

        async def to_the_end(self, kind: str, pane: str) -> None:
            while self.data(kind)["has_more"]:
                before = self.count
                if pane:
                    await self.page.locator(pane).first.hover()
                else:
                    await self.page.mouse.move(400, 400)
                await self.page.mouse.wheel(0, -120)
                await self.page.mouse.wheel(0, 20_000)
                await self.until(lambda before=before: self.count > before)  # type: ignore[misc]

    class Bare(Spider):
        name = "bare"
        opened: ClassVar[int] = 0
        answers: ClassVar[int] = 0

        async def start(self) -> AsyncIterator[Any]:
            for keyword in keywords:
                for url in await self.search(keyword):
                    await self.note(url)
            return
            yield

        async def visit(self, url: str) -> Open:
            if Bare.opened and Bare.opened % here.pages_per_context == 0:
                await self.context.close()
            context = f"c{Bare.opened // here.pages_per_context}"
            Bare.opened += 1
            visit = Open()
            meta = {
                "playwright": True,
                "playwright_include_page": True,
                "playwright_context": context,
                "playwright_page_event_handlers": {"response": visit.hear},
                "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
            }
            request = Request(url, meta=meta, dont_filter=True)
            await self.crawler.engine.download_async(request)
            visit.page = request.meta["playwright_page"]
            self.context = visit.page.context
            return visit

        async def close_page(self, visit: Open) -> None:
            Bare.answers += visit.count
            await visit.page.close()

        async def search(self, keyword: str) -> list[str]:
            kind = "search/notes"
            visit = await self.visit(f"{here.bases['www.xiaohongshu.com']}/search_result?keyword={keyword}")
            await visit.until(lambda: kind in visit.last)
            found: dict[str, str] = {}
            await visit.page.get_by_text(XiaohongshuSpider.newest).first.click()
            await visit.until(lambda: b"time_descending" in (visit.last[kind][0].request.post_data_buffer or b""))
            while True:
                for item in visit.data(kind)["items"]:
                    if item["model_type"] == "note":
                        found[item["id"]] = item["xsec_token"]
                if not visit.data(kind)["has_more"]:
                    break
                before = visit.count
                await visit.page.mouse.move(400, 400)
                await visit.page.mouse.wheel(0, -120)
                await visit.page.mouse.wheel(0, 20_000)
                await visit.until(lambda before=before: visit.count > before)  # type: ignore[misc]
            await self.close_page(visit)
            base = here.bases["www.xiaohongshu.com"]
            return [f"{base}/explore/{i}?xsec_token={token}&xsec_source=pc_search" for i, token in found.items()]

        async def note(self, url: str) -> None:
            visit = await self.visit(url)
            await visit.until(lambda: "feed" in visit.last)
            told = visit.data("feed")["items"][0]["note_card"]["interact_info"]["comment_count"]
            if told != "0":
                await visit.until(lambda: "comment/page" in visit.last)
                await visit.to_the_end("comment/page", ".note-scroller")
                buttons = visit.page.get_by_text(XiaohongshuSpider.unfold)
                while await buttons.count():
                    before = visit.count
                    await buttons.first.click()
                    await visit.until(lambda before=before: visit.count > before)  # type: ignore[misc]
            await self.close_page(visit)

    with crawling(Bare, settings) as (meter, _crawler):
        return meter.measured(answers=Bare.answers)


def main() -> None:
    kind, config, *rest = sys.argv[1:]
    job = load_job(Path(config))
    more = json.loads(Path(rest[0]).read_bytes()) if rest else []
    if kind == "jd":
        measured = ours("jd", job)
    elif kind == "xiaohongshu":
        measured = ours("xiaohongshu", job)
    elif kind == "bare_browser":
        measured = bare_browser("xiaohongshu", job, more)
    else:
        measured = bare_http("jd", job, [(url, referer) for url, referer in more], at_once=kind == "bare_at_once")
    print(measured.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
