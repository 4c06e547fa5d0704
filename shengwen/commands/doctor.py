"""``shengwen doctor``: is everything there, and do the counts add up?"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from ingest.errors import ShengwenError
from ingest.log.base import Topics
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command
from shengwen.rooms import Rooms

SETTLE_TRIES = 10
SETTLE_WAIT = 0.3
FAILURES_SHOWN = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. ``remedy`` is empty when nothing is to be done; a note may be ok and have one."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


@click.command(cls=Command, examples=["shengwen doctor", "shengwen doctor --json"])
@click.option("--json", "as_json", is_flag=True, help="输出 JSON")
@pass_home
def doctor(home: Home, as_json: bool) -> None:
    """检查安装、设置和数据，证明收集到的每一条都有下落。有问题时退出码为 1。"""
    report = examine(home)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(report) + b"\n")
        sys.stdout.buffer.flush()
    else:
        _show(report)
    if not report["ok"]:
        raise SystemExit(1)


def examine(home: Home) -> dict[str, Any]:
    """``{"ok", "checks": [{"name", "ok", "detail", "remedy"}], "counts": {…}}``; never raises for a sick home."""
    checks: list[Check] = [_home(home)]
    counts: dict[str, int] = {}
    if checks[0].ok:
        try:
            with Rooms(home) as rooms:
                checks += [
                    _tried("事件日志", lambda: _log(rooms)),
                    _tried("检索库", lambda: _index(rooms)),
                    _tried("状态库", lambda: _state(rooms)),
                    _tried("设置", lambda: _settings(rooms)),
                    _tried("品牌", lambda: _brand(rooms)),
                    _tried("分类模型", lambda: Check("分类模型", True, rooms.classifier.name)),
                    _browser(rooms),
                    _tried("数目", lambda: _counts(rooms, counts)),
                    _tried("相似", lambda: _copies(rooms)),
                    _tried("死信", lambda: _letters(rooms)),
                    _tried("采集", lambda: _platforms(rooms)),
                    _tried("告警投递", lambda: _outbox(rooms)),
                ]
        except ShengwenError as error:
            checks.append(_file(home.state, "状态库"))
            checks.append(Check("设置", False, str(error), "按提示改好设置后再运行"))
    names = ("collected", "indexed", "empty", "duplicates", "dead_letters")
    shown = {name: counts.get(name, 0) for name in names} | {k: v for k, v in counts.items() if k not in names}
    return {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks], "counts": shown}


def _tried(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except ShengwenError as error:
        return Check(name, False, str(error), "处理好上面的原因后再运行 shengwen doctor")


def _home(home: Home) -> Check:
    try:
        home.ensure()
    except ShengwenError as error:
        return Check("数据文件夹", False, str(error), "用 --home 指定一个可写的文件夹")
    return Check("数据文件夹", True, str(home.path))


def _file(path: Path, name: str) -> Check:
    if not path.exists():
        return Check(name, True, "还没有数据")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
            found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        return Check(
            name,
            False,
            f"{path.name} 已损坏：{found}",
            "停止服务，从备份恢复；检索库可移走，再启动时由日志重建",
        )
    size = sum(p.stat().st_size for p in (path, path.with_name(path.name + "-wal")) if p.exists())
    return Check(name, True, f"{path.name}，{size / 1e6:.1f} MB，完好")


def _index(rooms: Rooms) -> Check:
    if rooms.settings.index.backend == "embedded":
        return _file(rooms.home.index, "检索库")
    return Check("检索库", True, rooms.elastic.describe())


def _state(rooms: Rooms) -> Check:
    """The state database, wherever it lies; of a server its version and place."""
    from sqlalchemy import make_url

    from ingest.state import state_errors
    from shengwen.settings import state_url

    url = make_url(state_url(rooms.home, rooms.settings))
    if url.get_backend_name() == "sqlite":
        return _file(Path(url.database or ""), "状态库")
    with state_errors(), rooms.engine.connect() as connection:
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
    return Check("状态库", True, f"PostgreSQL {version}，{url.host}:{url.port or 5432}/{url.database}")


def _settings(rooms: Rooms) -> Check:
    from shengwen.settings import check_bind

    check_bind(rooms.settings.web)
    if not rooms.settings.alerts.channels:
        return Check("设置", True, "还没有告警渠道", "在 shengwen.toml 加 [[alerts.channels]]，不然告警只显示在网页上")
    return Check("设置", True, "可用")


def _brand(rooms: Rooms) -> Check:
    brand = rooms.settings.brand
    if not brand.all_words:
        return Check(
            "品牌", True, "还没有写品牌", "在 shengwen.toml 的 [brand] 写上品牌名和产品名（shengwen init 给出样例）"
        )
    counts = {
        "个叫法": brand.names,
        "个产品": brand.products,
        "个竞品": brand.competitors,
        "个排除词": brand.exclude,
        "个要有第二个词的叫法": brand.ambiguous,
    }
    said = "，".join(f"{len(words)} {what}" for what, words in counts.items() if words)
    hint = "" if brand.names else "没有写品牌的叫法：在 shengwen.toml 的 [brand] 写 name 或 aliases"
    return Check("品牌", True, f"{brand.name or '（没有名字）'}：{said}", hint)


def _browser(rooms: Rooms) -> Check:
    from crawlers.chromium import INSTALL_HINT, find_chromium

    found = find_chromium(rooms.settings.crawl.chromium)
    if found:
        return Check("浏览器", True, str(found))
    return Check("浏览器", True, "没有 Chromium，小红书、抖音、知乎的关键词和登录后的京东、天猫不采集", INSTALL_HINT)


def _counts(rooms: Rooms, into: dict[str, int]) -> Check:
    from shengwen.accounting import count

    for _ in range(SETTLE_TRIES):
        counts = count(rooms)
        if counts.adds_up:
            break
        time.sleep(SETTLE_WAIT)  # the service may be between two of the numbers just now
    into.update(asdict(counts))
    said = (
        f"收集 {counts.collected} = 入库 {counts.indexed} + 空 {counts.empty} + 重复 {counts.duplicates}"
        f" + 死信 {counts.dead_letters}"
    )
    if counts.pending:
        said += f" + 处理中 {counts.collected - counts.accounted}"
    if counts.adds_up:
        return Check("数目", True, said)
    remedy = "有记录下落不明：保留数据文件夹，用 shengwen -v doctor 的输出联系维护者"
    return Check("数目", False, f"对不上：{said}；检索库里 {counts.documents} 条，删除过 {counts.erased} 条", remedy)


def _log(rooms: Rooms) -> Check:
    if rooms.settings.log.backend == "embedded":
        return _file(rooms.home.log, "事件日志")
    kafka = rooms.settings.log.kafka
    ends = {topic: rooms.log.end_offsets(topic) for topic in Topics.ALL}  # opening it has checked the topics
    said = (
        f"Kafka（{', '.join(kafka.servers)}），{len(ends)} 个主题，{sum(sum(e.values()) for e in ends.values())} 条记录"
    )
    return Check("事件日志", True, said)


def _letters(rooms: Rooms) -> Check:
    count = rooms.letters.count()
    if not count:
        return Check("死信", True, "没有")
    return Check("死信", True, f"{count} 条处理不了", "用 shengwen dead-letters list 查看，修好后 replay")


def _copies(rooms: Rooms) -> Check:
    groups, mentions = rooms.copies.counts()
    return Check("相似", True, f"{groups} 组照抄、近似或套用的内容，共 {mentions} 条" if groups else "没有")


def _platforms(rooms: Rooms) -> Check:
    from crawlers.book import PlatformBook

    stopped = [s for s in PlatformBook(rooms.engine, rooms.clock).all() if s.needs_person]
    if not stopped:
        return Check("采集", True, "没有停下的平台")
    said = "；".join(f"{s.platform}：{s.reason or s.signal}" for s in stopped)
    return Check("采集", False, f"停下等人处理：{said}", "用浏览器登录并完成验证后，在网页“来源”里点恢复")


def _outbox(rooms: Rooms) -> Check:
    since = rooms.clock.now() - FAILURES_SHOWN
    failed = [one for one in rooms.reader.outbox_failures() if (one.finished_at or one.created_at) >= since]
    if not failed:
        return Check("告警投递", True, "没有发不出去的")
    return Check("告警投递", False, f"{len(failed)} 条发不出去，最近：{failed[0].problem}", "检查渠道的地址和密钥")


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    for check in report["checks"]:
        mark = "[green]✓[/]" if check["ok"] else "[red]✗[/]"
        console.print(f"{mark} {escape(check['name'])}：{escape(check['detail'])}")
        if check["remedy"]:
            console.print(f"    [yellow]{escape(check['remedy'])}[/]")
    console.print("[green]一切正常[/]" if report["ok"] else "[red]有问题要处理[/]")
