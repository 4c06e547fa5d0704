"""``shengwen prepare``: everything the servers must have before the first process starts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from shengwen.settings import Settings

LOOK_AGAIN = 2.0


@click.command(cls=Command, examples=["shengwen prepare", "shengwen prepare --wait 300"])
@click.option("--wait", type=click.FloatRange(min=0), default=60, show_default=True, help="最多等服务器多少秒")
@pass_home
def prepare(home: Home, wait: float) -> None:
    """建立或升级各处存储：Kafka 主题、检索库、状态库的表；可以反复运行。几个进程一起部署时，先运行它一次。

    服务器还没有起来就等着。自带的存储用到时会自己建立，不必运行它。
    """
    from ingest.errors import Retryable

    deadline = time.monotonic() + wait
    while True:
        try:
            _once(home)
        except Retryable as error:
            if time.monotonic() + LOOK_AGAIN > deadline:
                raise
            click.echo(f"等待服务器：{error}", err=True)
            time.sleep(LOOK_AGAIN)
        else:
            return


def _once(home: Home) -> None:
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        rooms.secret  # noqa: B018  (a wrong path shall show here, not in six processes)
        rooms.engine  # noqa: B018  (opening it migrates)
        click.echo("状态库已就绪")
        if rooms.settings.log.backend == "kafka":
            _topics(home, rooms.settings)
        rooms.log  # noqa: B018
        click.echo("事件日志已就绪")
        rooms.index.counts()
        click.echo("检索库已就绪")


def _topics(home: Home, settings: Settings) -> None:
    from contextlib import closing

    from ingest.log.kafka import KafkaLog
    from shengwen.settings import log_settings

    with closing(KafkaLog(log_settings(home, settings).kafka, check=False)) as log:
        for name in log.create_topics():
            click.echo(f"已建立主题 {name}")
