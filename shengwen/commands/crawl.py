"""``shengwen crawl``: collect now, or go on collecting."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from crawlers.config import PLATFORMS
from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from shengwen.rooms import Rooms
    from shengwen.worker import Part


@click.command(
    cls=Command,
    examples=[
        "shengwen crawl jd zhihu --once",
        "shengwen -v crawl",
        "shengwen crawl --schedule",
        "shengwen crawl zhihu --audit --since 7d",
    ],
)
@click.argument("sources", nargs=-1)
@click.option("--once", is_flag=True, help="采集一遍就退出")
@click.option("--schedule", is_flag=True, help="作为常驻进程按时采集；开几个也只有持有租约的一个在采，别的候着")
@click.option("--resume", is_flag=True, help="先恢复停下的平台（人已经登录或完成验证）")
@click.option("--audit", is_flag=True, help="不采集，列出已经发出的每个请求：时间、地址、应答、依据")
@click.option("--since", metavar="时间", help="和 --audit 一起用：从什么时候起（2h、7d、昨天、2026-11-20），默认 1d")
@click.option("--json", "as_json", is_flag=True, help="和 --audit 一起用：每行一个 JSON")
@pass_home
def crawl(
    home: Home,
    sources: tuple[str, ...],
    once: bool,
    schedule: bool,
    resume: bool,
    audit: bool,
    since: str | None,
    as_json: bool,
) -> None:
    """按设置采集；不写平台就是全部有目标的。遇到登录墙、验证或拒绝，那个平台马上停下，等人处理。

    发给平台的每个请求都记一行，用 --audit 查看。
    """
    from crawlers.book import PlatformBook
    from shengwen.crawling import NAMES, CrawlSchedule, crawl_once, planned
    from shengwen.rooms import Rooms

    unknown = [source for source in sources if source not in PLATFORMS]
    if unknown:
        raise UserError(f"没有平台 {'、'.join(unknown)}；可用的是 {'、'.join(PLATFORMS)}")
    if audit:
        if once or schedule or resume:
            raise UserError("--audit 只看记录，不能和 --once、--schedule、--resume 一起用")
        from shengwen.commands.crawl_audit import SINCE, show_audit

        show_audit(home, sources or PLATFORMS, since or SINCE, as_json=as_json)
        return
    if since is not None or as_json:
        raise UserError("--since 和 --json 要和 --audit 一起用")
    if schedule:
        if once or resume:
            raise UserError("--schedule 不能和 --once、--resume 一起用；停下的平台在网页“来源”里恢复")
        _stand_by(home, sources)
        return
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Rooms(home) as rooms:
        ready = planned(rooms.settings)
        chosen = [p for p in ready if not sources or p in sources]
        without = [s for s in sources if s not in ready]
        if without:
            raise UserError(f"{'、'.join(without)} 没有采集目标，{_hint(home)}")
        if not chosen:
            raise UserError(f"没有任何采集目标，{_hint(home)}")
        book = PlatformBook(rooms.engine, rooms.clock)
        if resume:
            for platform in chosen:
                book.resume(platform)
        if not once:
            crawling = CrawlSchedule(rooms, chosen)
            crawling.start()
            click.echo(f"开始采集 {'、'.join(NAMES[p] for p in chosen)}；Ctrl-C 停止", err=True)
            stop.wait()
            crawling.stop()
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


def _hint(home: Home) -> str:
    return f"请在 {home.settings.name} 的 [crawl.…] 里写上 targets，或填好 [crawl.official.…]"


def _stand_by(home: Home, sources: tuple[str, ...]) -> None:
    from crawlers.launch import GRACE
    from shengwen.crawling import LeasedSchedule, planned
    from shengwen.worker import STOP_WITHIN, Worker, run

    def make(rooms: Rooms, _: threading.Event) -> Sequence[Part]:
        only = [platform for platform in PLATFORMS if platform in sources] if sources else None
        if not planned(rooms.settings):
            click.echo("没有任何采集目标：这个进程什么都不会采，写好 [crawl.…] 的 targets 后重启它", err=True)
        return [LeasedSchedule(rooms, only)]

    worker = Worker(home, "crawl", make, stop_within=GRACE + STOP_WITHIN)
    run(worker, lambda: click.echo("采集进程已启动，Ctrl-C 停止", err=True))


_STATUS = {"complete": "完成", "partial": "部分完成", "stopped": "停下了", "failed": "失败"}
