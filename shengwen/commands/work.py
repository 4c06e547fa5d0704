"""``shengwen work``: one stage as its own process."""

from __future__ import annotations

import signal
import threading

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command


@click.command(cls=Command, examples=["shengwen work classify", "shengwen -v work index"])
@click.argument("stage", type=click.Choice(["classify", "index", "alert"]))
@pass_home
def work(home: Home, stage: str) -> None:
    """单独运行一个环节：classify 分类，index 入库，alert 预警；Ctrl-C 或 SIGTERM 做完手上的一批再退出。

    同一环节可以开几个；一份数据只由一个来做，它退出或崩溃后由别的接手。
    """
    from shengwen.rooms import Rooms
    from shengwen.stages import build_stage

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Rooms(home) as rooms:
        running = build_stage(stage, rooms)
        click.echo(f"环节 {stage} 已启动，数据在 {home.path}", err=True)
        running.run(stop)
        click.echo(f"环节 {stage} 已停止，处理了 {running.health.records} 条", err=True)
