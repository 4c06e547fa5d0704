"""``shengwen health``: do the processes of this home live and work? For container and process managers."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
import orjson

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from shengwen.heartbeat import Beat


@click.command(cls=Command, examples=["shengwen health", "shengwen health index", "shengwen health --json"])
@click.argument("role", required=False, type=click.Choice(["classify", "index", "alert", "serve", "crawl"]))
@click.option("--json", "as_json", is_flag=True, help="输出 JSON")
@pass_home
def health(home: Home, role: str | None, as_json: bool) -> None:
    """本机这个数据文件夹上的常驻进程是否都在正常工作；是则退出码为 0，否则为 1。只读一个小文件，不连服务器。

    等着连服务器的进程算正常（重启它没有用）；被杀掉的不算，只要还有同一种的在。
    """
    from shengwen.heartbeat import beats

    found = [beat for beat in beats(home, role) if beat.alive]
    ok = bool(found) and all(beat.healthy for beat in found)
    if as_json:
        told = {"ok": ok, "processes": [asdict(beat) | {"healthy": beat.healthy} for beat in found]}
        sys.stdout.buffer.write(orjson.dumps(told) + b"\n")
        sys.stdout.buffer.flush()
    else:
        for beat in found:
            click.echo(_line(beat))
        if not found:
            click.echo(f"没有{'' if role is None else f' {role} '}进程在运行")
    if not ok:
        raise SystemExit(1)


def _line(beat: Beat) -> str:
    mark = "✓" if beat.healthy else "✗"
    said = [f"{mark} {beat.role}（{beat.host}，pid {beat.pid}）：{_STATE.get(beat.state, beat.state)}"]
    if beat.age > 5:
        said.append(f"{beat.age:.0f} 秒没有动静")
    if waits_for := beat.details.get("waits_for"):
        said.append(str(waits_for))
    for name, stage in dict(beat.details.get("stages", {})).items():
        reason = f"（{stage['reason']}）" if stage.get("reason") else ""
        said.append(f"{name} {_STATE.get(stage['state'], stage['state'])}{reason}，处理了 {stage['records']} 条")
    notes = dict(beat.details.get("notes", {}))
    said += [f"{_NOTE.get(name, name)}：{_SAYS.get(note, note)}" for name, note in notes.items() if note]
    return "；".join(said)


_STATE = {
    "starting": "正在启动",
    "running": "运行中",
    "waiting": "等待中",
    "retrying": "重试中",
    "stopping": "正在收尾",
    "stopped": "停了",
    "failed": "失败",
}
_NOTE = {
    "scheduler": "定时任务",
    "crawler": "采集",
    "crawling": "正在采集",
    "left out": "不采集",
    "url": "网页",
}
_SAYS = {"holds": "由本进程做", "stands by": "由别的进程做，本进程待命"}
