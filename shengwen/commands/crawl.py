"""``shengwen crawl``: collect now, or go on collecting."""

from __future__ import annotations

import signal
import threading

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command


@click.command(cls=Command, examples=["shengwen crawl jd zhihu --once", "shengwen -v crawl"])
@click.argument("sources", nargs=-1)
@click.option("--once", is_flag=True, help="采集一遍就退出")
@click.option("--resume", is_flag=True, help="先恢复停下的平台（人已经登录或完成验证）")
@pass_home
def crawl(home: Home, sources: tuple[str, ...], once: bool, resume: bool) -> None:
    """按设置采集；不写平台就是全部有目标的。遇到登录墙、验证或拒绝，那个平台马上停下，等人处理。"""
    from crawlers.config import PLATFORMS
    from crawlers.ledger import PlatformBook
    from shengwen.crawling import NAMES, CrawlSchedule, crawl_once, planned
    from shengwen.rooms import Rooms

    unknown = [source for source in sources if source not in PLATFORMS]
    if unknown:
        raise UserError(f"没有平台 {'、'.join(unknown)}；可用的是 {'、'.join(PLATFORMS)}")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Rooms(home) as rooms:
        ready = planned(rooms.settings)
        chosen = [p for p in ready if not sources or p in sources]
        without = [s for s in sources if s not in ready]
        if without:
            raise UserError(f"{'、'.join(without)} 没有采集目标，请在 {home.settings.name} 的 [crawl.…] 里写上 targets")
        if not chosen:
            raise UserError(f"没有任何采集目标，请在 {home.settings.name} 的 [crawl.…] 里写上 targets")
        book = PlatformBook(rooms.engine, rooms.clock)
        if resume:
            for platform in chosen:
                book.resume(platform)
        if not once:
            schedule = CrawlSchedule(rooms, chosen)
            schedule.start()
            click.echo(f"开始采集 {'、'.join(NAMES[p] for p in chosen)}；Ctrl-C 停止", err=True)
            stop.wait()
            schedule.stop()
            return
        failed = 0
        for platform in list(chosen):
            status = book.status(platform)
            if status.needs_person:
                click.echo(
                    f"{NAMES[platform]}：停着（{status.reason or status.signal}），处理好后加 --resume", err=True
                )
                chosen.remove(platform)
                failed += 1
        for report in crawl_once(rooms, chosen, stop):
            done = report.report
            got = sum(c.got for c in done.coverage) if done else 0
            new = sum(c.new for c in done.coverage) if done else 0
            said = f"（{done.reason}）" if done and done.reason else ""
            click.echo(f"{NAMES[report.platform]}：{_STATUS[report.status]}，读到 {got} 条，新 {new} 条{said}")
            if done is None:
                click.echo(report.log_tail, err=True)
            failed += report.status in ("failed", "stopped")
    if failed:
        raise SystemExit(1)


_STATUS = {"complete": "完成", "partial": "部分完成", "stopped": "停下了", "failed": "失败"}
