"""Many runs against one fault after the other in one process: only the interpreter's start is shared.

Every trial has a home of its own, and two runs: one while the trouble lasts, one after a person has resumed what was
stopped and the platform is well again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from crawlers.config import Platform


def trials_in_child(platform: Platform, base_url: str, trials: list[dict[str, str]], folder: str) -> None:
    """For each trial (``plan``, ``config``, ``again``): run under its plan with the first job file, then under none with
    the second; how both ended, into ``folder/plan.json``. What is logged goes to ``folder/plan.log``."""
    from scrapy.crawler import AsyncCrawlerProcess, Crawler

    from crawlers.run import load_job, opened, report_of, spider_of

    logging.basicConfig(filename=str(Path(folder) / f"{trials[0]['plan']}.log"), level="WARNING")
    spider_class, settings = spider_of(platform, load_job(Path(trials[0]["config"])).crawl)
    process = AsyncCrawlerProcess(settings)

    async def run_one(config: str, plan: str) -> dict[str, Any]:
        await asyncio.to_thread(_begin, base_url, plan)
        job = load_job(Path(config))
        with opened(job, platform) as kit:
            kit.book.resume(platform)
            kit.ledger.begin()
            crawler = Crawler(spider_class, spider_of(platform, job.crawl)[1])
            before, began = _fresh_peak(), time.monotonic()
            await process.crawl(crawler, kit=kit)
            grown, seconds = _memory("VmHWM") - before, time.monotonic() - began
            counted = crawler.stats.get_stats() if crawler.stats is not None else {}
            failed = {name.partition("/")[2]: n for name, n in counted.items() if name.startswith("fetch_failed/")}
            told = report_of(platform, crawler.spider).model_dump(mode="json")
            return {"report": told, "failed": failed, "grown": grown, "seconds": seconds}

    async def run_all() -> None:
        from twisted.internet import reactor

        for trial in trials:
            plan = trial["plan"]
            both = [await run_one(trial["config"], plan), await run_one(trial["again"], f"{plan}.healed")]
            written = Path(folder) / f"{plan}.part"
            written.write_text(json.dumps(both), encoding="utf-8")
            written.rename(written.with_suffix(".json"))
        reactor.stop()  # type: ignore[attr-defined]

    task = asyncio.get_event_loop().create_task(run_all())
    process.start(stop_after_crawl=False, install_signal_handlers=False)
    task.result()


def _begin(base_url: str, plan: str) -> None:
    with urlopen(f"{base_url}/_plan/{plan}", timeout=30) as answer:
        answer.read()


def _fresh_peak() -> int:
    """Forget how much memory this process ever had; how many bytes it has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    """A field of /proc/self/status, in bytes."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[name].split()[0]) * 1024
