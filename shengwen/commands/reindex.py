"""``shengwen reindex``: the indices on Elasticsearch, built anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from shengwen.rooms import Rooms

LOOK_EVERY = 0.2


@click.command(cls=Command, examples=["shengwen reindex", "shengwen reindex --restart", "shengwen reindex --from-log"])
@click.option("--restart", is_flag=True, help="清掉上一次没有做完的重建，从头再来")
@click.option("--from-log", is_flag=True, help="不用现有的索引，删掉它，由事件日志重建（只有日志还留着的那些天）")
@click.option("--yes", is_flag=True, help="不再询问")
@pass_home
def reindex(home: Home, restart: bool, from_log: bool, yes: bool) -> None:
    """重建 Elasticsearch 上的检索库：换新的格式、换分片数时用。

    \b
    · 重建时检索照常；写入也照常，只在最后切换的一瞬间稍等。一条不丢，也不会重复。
    · 中断了，原来的索引还在；加 --restart 再运行一次。
    · 格式升级时，先停下旧程序的 index 环节，重建之后再启动新的。
    """
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        if rooms.settings.index.backend != "elasticsearch":
            raise UserError(
                f"检索库是内嵌的（{home.index.name}），不用重建；损坏时停止服务，把它移走，再启动就由事件日志重建"
            )
        if from_log:
            _from_log(rooms, yes)
        else:
            _copy(rooms, restart)


def _copy(rooms: Rooms, restart: bool) -> None:
    tasks: dict[str, TaskID] = {}
    with _progress() as progress:

        def told(source: str, copied: int, total: int) -> None:
            if source not in tasks:
                tasks[source] = progress.add_task(source, total=total)
            progress.update(tasks[source], completed=copied, total=max(copied, total))

        done = rooms.elastic.reindex(told=told, restart=restart)
    for one in done:
        click.echo(f"{one.source}：{one.documents} 条，现在是 {one.index}")
    if not done:
        click.echo("还没有索引。")


def _from_log(rooms: Rooms, yes: bool) -> None:
    from ingest.log.base import Topics
    from shengwen.runner import StageRunner
    from shengwen.stages import INDEX

    question = "确定删除检索库，由事件日志重建？日志里已经过期的内容会从检索里消失"
    if not yes and not click.confirm(question, default=False):
        raise UserError("没有重建")
    log = rooms.log
    with log.consumer(Topics.CLASSIFIED, INDEX) as consumer:
        consumer.poll(1, 5.0)
        if set(consumer.assigned) != set(log.end_offsets(Topics.CLASSIFIED)):
            raise UserError("别的进程正在运行 index 环节。请先停下它，再重建")
        dropped = rooms.elastic.drop()
        for partition in consumer.assigned:
            consumer.seek(partition, 0)
            consumer.commit({partition: 0})
    click.echo(f"删除了 {dropped} 个索引，开始由日志重建…", err=True)
    runner = StageRunner(rooms, [INDEX])
    runner.start()
    try:
        with _progress() as progress:
            total = log.lag(Topics.CLASSIFIED, INDEX)
            task = progress.add_task("日志", total=total)
            while (left := log.lag(Topics.CLASSIFIED, INDEX)) and not runner.failed:
                progress.update(task, completed=max(0, total - left))
                time.sleep(LOOK_EVERY)
            progress.update(task, completed=total)
    finally:
        runner.stop()
    for error in runner.failed.values():
        raise error
    click.echo(f"检索库现有 {rooms.index.counts()['documents']} 条")


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        transient=True,
    )
