"""When a platform is crawled next, which of its targets then, and why: read from the state database by any process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from alerts.config import AlertSettings, Span
from alerts.facts import names_of
from crawlers.budgets import pages_today
from crawlers.config import CrawlSettings, Platform, PlatformSettings, Target
from crawlers.heat import DEFAULT_BOUNDS, OFFICIAL, Heat, HeatBook
from crawlers.hours import quiet_spans, quiet_until
from ingest.clock import BEIJING
from ingest.state import only_read

TOGETHER: Final = 0.1
"""A target that is due within this share of the shortest interval is read along with those that are due now."""
_LONG_NAME: Final = 40
LONGER: Final = 6.0
"""Where only ``schedule.crawl_every`` is set, cold targets are looked at this many times less often."""


@dataclass(frozen=True, slots=True)
class Plan:
    """``due``: the targets whose pages are to be read now, none where only an official API is asked; ``go``: whether to
    start a run now.

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


def patient(alerts: AlertSettings, crawl: CrawlSettings, crawl_every: float) -> AlertSettings:
    """The settings with ``query_dropped_after`` at least two of the longest intervals between two looks at a target."""
    longest = max((here.crawl_every or DEFAULT_BOUNDS)[1] for here in paced(crawl, crawl_every).platforms.values())
    hours = max(alerts.query_dropped_after.hours or 0, 2 * longest / 3600)
    return alerts.model_copy(update={"query_dropped_after": Span(hours=hours)})


def plan(crawl: CrawlSettings, engine: Engine, platform: Platform, now: datetime, *, forced: bool = False) -> Plan:
    """What to do about a platform now. ``forced``: all its targets, due or not (a person asked for it).

    An official API is asked first in every run, with whichever pages are due; quiet hours and budgets are for pages.
    """
    heats = HeatBook(engine, platform).all()
    pages = _pages(crawl.of(platform), heats, engine, platform, now, forced=forced)
    if crawl.official_of(platform) is None:
        return pages
    heat = heats.get(OFFICIAL)
    if pages.go or forced or heat is None or heat.next_at <= now:
        return Plan(True, pages.due if pages.go else (), now, "现在")
    if crawl.of(platform).targets and pages.next_at < heat.next_at:
        return pages
    return Plan(False, (), heat.next_at, f"官方接口，{_pace(heat)}")


def _pages(
    here: PlatformSettings,
    heats: Mapping[str, Heat],
    engine: Engine,
    platform: Platform,
    now: datetime,
    *,
    forced: bool,
) -> Plan:
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
    return Plan(False, (), first.next_at, f"{_called(target, engine, platform)}，{_pace(first)}")


def _called(target: Target, engine: Engine, platform: Platform) -> str:
    """What a reader knows a target by: its keyword, its product's name where a mention told it, else its number."""
    if target.keyword:
        return target.keyword
    product = target.sku or target.item_id
    if product:
        with only_read(engine).connect() as connection:
            name = names_of(connection, [product]).get((platform, product))
        if name:
            return name if len(name) <= _LONG_NAME else f"{name[:_LONG_NAME]}…"
    return target.key


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
