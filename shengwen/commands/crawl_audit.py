"""``shengwen crawl --audit``: what was asked of the platforms, when, and on what ground."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from ingest.clock import BEIJING, SystemClock
from ingest.errors import UserError
from shengwen.home import Home

if TYPE_CHECKING:
    from crawlers.audit import AuditLine

GROUNDS: Final[Mapping[str, str]] = {
    "robots_allowed": "robots.txt 允许",
    "permission": "有许可",
    "robots_txt": "读 robots.txt",
    "official_api": "官方接口",
}
SINCE: Final = "1d"


def show_audit(home: Home, platforms: Sequence[str], since: str, *, as_json: bool) -> None:
    """Print the requests since then, oldest first. Raises UserError for a time that cannot be read."""
    from crawlers.audit import read_audit
    from search.dates import parse_period

    period = parse_period(since.strip(), SystemClock().now())
    if period is None:
        raise UserError(f"--since {since} 读不懂；写成 2h、7d、昨天或 2026-11-20")
    shown = 0
    for line in read_audit(home.audit, platforms, period.start):
        shown += 1
        if as_json:
            sys.stdout.buffer.write(line.raw + b"\n")
        else:
            click.echo(_words(line))
    sys.stdout.flush()
    if not shown and not as_json:
        click.echo("这段时间没有请求", err=True)


def _words(line: AuditLine) -> str:
    from shengwen.crawling import NAMES
    from shengwen.web.present import clean

    said = line.fields
    at = line.at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
    ground = GROUNDS.get(str(said.get("why")), str(said.get("why")))
    if said.get("reason"):
        ground = f"{ground}：{said['reason']}"
    parts = [at, NAMES.get(line.platform, line.platform), f"第 {said.get('run')} 次采集", _outcome(said), ground]
    return clean("  ".join([*parts, f"{said.get('method')} {said.get('url')}"]))


def _outcome(said: Mapping[str, Any]) -> str:
    from shengwen.web.present import SIGNALS

    if "error" in said:
        return f"没有应答（{said['error']}）"
    size = said.get("bytes")
    length = f"，{size} 字节" if size is not None else ""
    signal = str(said.get("signal", ""))
    names = {**SIGNALS, "unread": "没有读", "failed": "平台出错"}
    return f"HTTP {said.get('status')}{length}" + (f"，{names.get(signal, signal)}" if signal else "")
