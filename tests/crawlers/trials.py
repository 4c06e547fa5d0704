"""Many runs against one fault after the other in one process: only the interpreter's start is shared.

Every trial has a home of its own, and two runs: one while the trouble lasts, one after a person has resumed what was
stopped and the platform is well again.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from urllib.request import urlopen

from crawlers.config import Platform
from ingest.log.base import Topics
from tests.crawlers.crowd import World
from tests.crawlers.runs import Home
from tests.crawlers.trouble import Log, Plan, Wire
from tests.processes import Child, Nursery, wait_until

PATIENCE: Final = 560
"""Seconds that a test waits for its trial, on the busiest machine; earlier ones were waited for by other tests."""
LANE: Final = 24
"""Trials that one child makes, one after the other."""


@dataclass(frozen=True)
class Case:
    """One fault at one place. ``more`` and ``again`` are settings of the first and of the second run; ``changed`` see
    :class:`Wire`; cases of one ``group`` are tried by the same children."""

    group: str
    platform: Platform
    name: str
    plan: Plan
    more: Mapping[str, Any] = field(default_factory=dict)
    again: Mapping[str, Any] = field(default_factory=dict)
    changed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """What became of it: both runs, what was asked for in the first, and what was streamed after each."""

    case: Case
    home: Home
    first: dict[str, Any]
    second: dict[str, Any]
    log: Log

    def streamed(self, run: int) -> dict[str, int]:
        """How often each mention was streamed up to the end of a run (1 or 2)."""
        told = self.home.streamed()[: self.first["streamed"] if run == 1 else None]
        return dict(Counter(mention.id for mention in told))

    @property
    def counted(self) -> str:
        """Status, signal and reasons, as the coverage has them."""
        report = self.first["report"]
        reasons = [record["reason"] for record in report["coverage"] if record["reason"]]
        return " ".join([report["status"], report["signal"], *dict.fromkeys([report["reason"], *reasons])]).strip()

    def row(self, reachable: int) -> str:
        """Of the table: fault, list, reachable, got, seconds, memory, how it was counted."""
        got, seconds, grown = len(self.streamed(1)), self.first["seconds"], self.first["grown"] / 1e6
        return (
            f"{self.case.name:24} {self.case.group:14} {reachable:4} {got:4} {seconds:6.1f} s {grown:6.1f} MB  "
            f"{self.counted[:140]}"
        )


class Trials:
    """All the trials that a session wants, made by a few children side by side, ahead of the tests."""

    def __init__(
        self, world: World, nursery: Nursery, folder: Path, cases: Sequence[Case], *, lane: int = LANE
    ) -> None:
        self._lane = lane
        self._world, self._nursery, self._folder = world, nursery, folder
        self._cases = {(case.group, case.name): case for case in cases}
        self._homes: dict[tuple[str, str], Home] = {}
        self._wires: dict[tuple[str, str], Wire] = {}
        self._opened: list[Wire] = []
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        for group in dict.fromkeys(group for group, _ in self._cases):
            cases = [case for case in self._cases.values() if case.group == group]
            for begin in range(0, len(cases), self._lane):
                self._begin(cases[begin : begin + self._lane])
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._children:
            child.signal()  # it has ended by itself, or a test failed before
            child.wait()
        for wire in self._opened:
            wire.__exit__(None, None, None)

    def _place(self, group: str) -> Path:
        return self._folder / group.replace(" ", "_")

    def _begin(self, cases: Sequence[Case]) -> None:
        platform, place = cases[0].platform, self._place(cases[0].group)
        wire = Wire(self._world.address, {case.name: case.plan for case in cases}, cases[0].changed)
        wire.__enter__()
        self._opened.append(wire)
        trials = []
        for case in cases:
            key = case.group, case.name
            home = self._homes[key] = Home(place / case.name, self._nursery)
            self._wires[key] = wire
            trial = {"plan": case.name}
            for name, more in (("config", case.more), ("again", case.again)):
                job = home.configure(**{platform: self._world.settings(platform, wire.base_url, **more)})
                trial[name] = str(home.path / f"{name}.json")
                Path(trial[name]).write_text(job.to_json(), encoding="utf-8")
            trials.append(trial)
        self._children.append(self._nursery.start(trials_in_child, platform, wire.base_url, trials, str(place)))

    def of(self, group: str, name: str) -> Trial:
        """What became of a case, as soon as it is known."""
        told = self._place(group) / f"{name}.json"
        wait_until(told.exists, PATIENCE, f"the end of {name}")
        first, second = json.loads(told.read_bytes())
        key = group, name
        return Trial(self._cases[key], self._homes[key], first, second, self._wires[key].logs[name])


def trials_in_child(platform: Platform, base_url: str, trials: list[dict[str, str]], folder: str) -> None:
    """For each trial (``plan``, ``config``, ``again``): run under its plan with the first job file, then under none
    with the second; how both ended, into ``folder/plan.json``. What is logged goes to ``folder/plan.log``."""
    from scrapy.crawler import AsyncCrawlerProcess, Crawler

    from crawlers.run import load_job, opened, report_of, spider_of

    logging.basicConfig(filename=str(Path(folder) / f"{trials[0]['plan']}.log"), level="WARNING")
    spider_class, first = spider_of(platform, load_job(Path(trials[0]["config"])).crawl)
    # What the process is given would win over a crawler's own settings.
    shared = {name: first[name] for name in ("TWISTED_REACTOR", "LOG_ENABLED", "LOG_INSTALL_ROOT_HANDLER")}
    process = AsyncCrawlerProcess(shared)

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
            streamed = kit.log.end_offsets(Topics.COLLECTED)[0]
            return {"report": told, "failed": failed, "grown": grown, "seconds": seconds, "streamed": streamed}

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
