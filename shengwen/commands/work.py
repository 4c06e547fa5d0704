"""``shengwen work``: one room's stages as a process of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from shengwen.rooms import Rooms
    from shengwen.worker import Part

STAGES_OF: Final = {"classify": ("classify",), "index": ("index",), "alert": ("alert", "coverage")}


@click.command(cls=Command, examples=["shengwen work classify", "shengwen -v work index", "shengwen work alert"])
@click.argument("stage", type=click.Choice(list(STAGES_OF)))
@pass_home
def work(home: Home, stage: str) -> None:
    """单独运行一个环节：classify 分类，index 入库，alert 预警、派单和投递；Ctrl-C 或 SIGTERM 做完手上的一批再退出。

    \b
    · 同一环节可以开几个，在几台机器上都行：每份数据同一时刻只由一个来做，它退出或崩溃后由别的接手。
      自带的日志只有一个分区，所以只有一个在做，别的候着；换成 Kafka 后按分区分工。
    · alert 中按钟点做的事（判断突增、到期提醒、清理日志）只由持有租约的一个来做。
    · 服务器连不上时等着，连上就继续。退出码 78：要人处理（提示写明原因），重启也没有用。
    · 第二次 SIGTERM 立即退出；没有提交的会重做，不会丢，也不会重复。
    """
    from shengwen.worker import Worker, run

    def make(rooms: Rooms, stop: threading.Event) -> Sequence[Part]:
        from shengwen.chores import Chores
        from shengwen.runner import StageRunner

        runner = StageRunner(rooms, STAGES_OF[stage], stop=stop)
        return [runner, Chores(rooms, stop)] if stage == "alert" else [runner]

    run(Worker(home, stage, make), lambda: click.echo(f"环节 {stage} 已启动，数据在 {home.path}", err=True))
