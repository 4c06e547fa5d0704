"""When a platform is crawled next, which of its targets then, and why: read from the state database by any process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from crawlers.budgets import pages_today
from crawlers.config import CrawlSettings, Platform, PlatformSettings, Target
from crawlers.heat import DEFAULT_BOUNDS, OFFICIAL, Heat, HeatBook
from crawlers.hours import quiet_spans, quiet_until
from ingest.clock import BEIJING

TOGETHER: Final = 0.1
"""A target that is due within this share of the shortest interval is read along with those that are due now."""
LONGER: Final = 6.0
"""Where only ``schedule.crawl_every`` is set, cold targets are looked at this many times less often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``due``: the targets to be read now (empty for an official API); ``go``: whether to start a run now.

    ``next_at``: when to go where not now, UTC. ``why`` is Chinese.
    """

    go: bool
    due: tuple[Target, ...]
    next_at: datetime
    why: str


def paced(crawl: CrawlSettings, crawl_every: float) -> CrawlSettings:
    """The settings with every platform's bounds filled in."""
    changed: dict[str, PlatformSettings] = {
        platform: here.model_copy(update={"crawl_every": (crawl_every, crawl_every * LONGER)})
        for platform, here in crawl.platforms.items()
        if here.crawl_every is None
    }
    return crawl.model_copy(update=changed)


def plan(crawl: CrawlSettings, engine: Engine, platform: Platform, now: datetime, *, forced: bool = False) -> Plan:
    """What to do about a platform now. ``forced``: all its targets, due or not (a person asked for it)."""
    here = crawl.of(platform)
    heats = HeatBook(engine, platform).all()
    if crawl.official_of(platform) is not None:
        heat = heats.get(OFFICIAL)
        if forced or heat is None or heat.next_at <= now:
            return Plan(True, (), now, "现在")
        return Plan(False, (), heat.next_at, f"官方接口，{_pace(heat)}")
    until = quiet_until(quiet_spans(here.quiet_hours), now)
    if until is not None:
        return Plan(False, (), until, f"安静时段，{until.astimezone(BEIJING):%H:%M} 以后继续")
    if pages_today(engine, platform, now) >= here.pages_per_day:
        midnight = now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return Plan(False, (), midnight.astimezone(now.tzinfo), f"今天的 {here.pages_per_day} 页已经用完")
    soon = now + timedelta(seconds=TOGETHER * (here.crawl_every or DEFAULT_BOUNDS)[0])
    known = {target.key: heats.get(target.key) for target in here.targets}
    due = tuple(t for t in here.targets if forced or (heat := known[t.key]) is None or heat.next_at <= soon)
    if any(forced or (heat := known[t.key]) is None or heat.next_at <= now for t in due):
        return Plan(True, due, now, "现在")
    waiting = [(heat, target) for target in here.targets if (heat := known[target.key]) is not None]
    if not waiting:
        return Plan(False, (), now, "没有采集目标")
    first, target = min(waiting, key=lambda pair: pair[0].next_at)
    return Plan(False, (), first.next_at, f"{target.keyword or target.key}，{_pace(first)}")


def _pace(heat: Heat) -> str:
    every = _span(heat.every)
    if heat.rate is None:
        return f"刚看过第一遍，{every}后再看"
    if heat.rate < 0.05:
        return f"少有新的，每 {every}看一次"
    return f"每小时约 {heat.rate:.1f} 条新的，每 {every}看一次"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} 秒"
    if seconds < 5400:
        return f"{seconds / 60:.0f} 分钟"
    return f"{seconds / 3600:.1f} 小时".replace(".0 ", " ")
