"""Many short runs against one refusal after the other, in one process: only the interpreter's start is shared."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from crawlers.config import Platform


def refused_in_child(platform: Platform, config: str, base_url: str, answers: list[str], out: str) -> None:
    """For each of the replica's answers: switch it on, run the spider, note how it ended, resume the platform."""
    from scrapy.crawler import AsyncCrawlerProcess

    from crawlers.run import load_job, opened, report_of, spider_of

    job = load_job(Path(config))
    spider_class, settings = spider_of(platform, job.crawl)
    process = AsyncCrawlerProcess(settings)
    results: list[dict[str, Any]] = []

    async def run_all() -> None:
        from twisted.internet import reactor

        with opened(job, platform) as kit:
            for answer in answers:
                await asyncio.to_thread(_call, base_url, f"/_switch/{platform}", {"answer": answer})
                await asyncio.to_thread(_call, base_url, "/_hits")
                kit.ledger.begin()
                crawler = process.create_crawler(spider_class)
                await process.crawl(crawler, kit=kit)
                report = report_of(platform, crawler.spider)
                standing = kit.book.status(platform)
                results.append(
                    {
                        "answer": answer,
                        "status": report.status,
                        "signal": report.signal,
                        "reason": report.reason,
                        "needs_person": standing.needs_person,
                        "kept_signal": standing.signal,
                        "hits": await asyncio.to_thread(_call, base_url, "/_hits"),
                    }
                )
                kit.book.resume(platform)
        reactor.stop()  # type: ignore[attr-defined]

    loop = asyncio.get_event_loop()
    task = loop.create_task(run_all())
    process.start(stop_after_crawl=False, install_signal_handlers=False)
    task.result()
    Path(out).write_text(json.dumps(results), encoding="utf-8")


def refused_in_one_browser(platform: Platform, config: str, base_url: str, answers: list[str], out: str) -> None:
    """As above for a browser platform, but all in one run and one Chromium: what is noted is what ``crawl`` raised."""
    from scrapy.crawler import AsyncCrawlerProcess

    from crawlers.errors import PlatformStopped
    from crawlers.run import load_job, opened, spider_of
    from crawlers.trip import Trip

    job = load_job(Path(config))
    spider_class, settings = spider_of(platform, job.crawl)
    results: list[dict[str, Any]] = []

    class Trial(spider_class):  # type: ignore[misc]
        async def _run(self) -> None:
            for answer in answers:
                await asyncio.to_thread(_call, base_url, f"/_switch/{platform}", {"answer": answer})
                await asyncio.to_thread(_call, base_url, "/_hits")
                target, raised = self.here.targets[0], ""
                try:
                    await self.crawl(target, Trip(target, self.kit.clock))
                except PlatformStopped as stopped:
                    raised = stopped.signal
                hits = await asyncio.to_thread(_call, base_url, "/_hits")
                results.append({"answer": answer, "signal": raised, "hits": hits})

    with opened(job, platform) as kit:
        kit.ledger.begin()
        process = AsyncCrawlerProcess(settings)
        process.crawl(process.create_crawler(Trial), kit=kit)
        process.start(install_signal_handlers=False)
    Path(out).write_text(json.dumps(results), encoding="utf-8")


def _call(base_url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(base_url + path, data=data, headers={"content-type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())
