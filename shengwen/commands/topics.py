"""``shengwen topics``: the log's topics on Kafka, listed, made, checked."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Group

if TYPE_CHECKING:
    from ingest.log.kafka import KafkaLog

_EMBEDDED = '日志是内嵌的（设置里 log.backend = "embedded"），没有 Kafka 主题要管'


def _open(home: Home) -> KafkaLog:
    """The Kafka of the settings, with whatever topics it has. Raises UserError when the log is the embedded one."""
    from shengwen.settings import load_settings, log_settings

    chosen = log_settings(home, load_settings(home))
    if chosen.backend != "kafka":
        raise UserError(_EMBEDDED)
    from ingest.log.kafka import KafkaLog

    return KafkaLog(chosen.kafka, check=False)


@click.group(cls=Group, invoke_without_command=True)
@click.pass_context
def topics(ctx: click.Context) -> None:
    """Kafka 主题：分区、保留期、记录数和各环节的积压；不带子命令时列出。"""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_topics)


@topics.command("list", examples=["shengwen topics", "shengwen topics list"])
@pass_home
def list_topics(home: Home) -> None:
    """列出主题、分区、保留期、记录数和各消费组的积压。"""
    from rich.console import Console
    from rich.table import Table

    from ingest.log.kafka_topics import CHECKPOINTS

    table = Table("主题", "分区", "副本", "保留", "记录", "消费组积压")
    with closing(_open(home)) as log:
        found = log.describe_topics()
        for want in log.wanted:
            have = found.get(want.name)
            if have is None:
                table.add_row(want.name, "—", "—", "—", "—", "还没有：shengwen topics create")
                continue
            if have.policy == "compact":
                kept = "每个键留最新的"
            else:
                kept = "永久" if have.retention_ms < 0 else f"{have.retention_ms / 86_400_000:g} 天"
            ends, lags = "", ""
            if want.topic != CHECKPOINTS:
                ends = str(sum(log.end_offsets(want.topic).values()))
                lags = (
                    "，".join(f"{group} {log.lag(want.topic, group)}" for group in log.groups(want.topic))
                    or "没有消费组"
                )
            table.add_row(want.name, str(have.partitions), str(have.replication), kept, ends, lags)
    console = Console()
    # A file or a pipe has no width: nothing is folded there.
    (console if console.is_terminal else Console(width=200)).print(table)


@topics.command("create", examples=["shengwen topics create"])
@pass_home
def create(home: Home) -> None:
    """按设置建立缺少的主题；已有的不改动，也不悄悄增加分区。"""
    with closing(_open(home)) as log:
        made = log.create_topics()
        for name in made:
            click.echo(f"已建立 {name}")
        log.check_topics()
    click.echo(f"主题齐全，新建 {len(made)} 个")


@topics.command("check", examples=["shengwen topics check"])
@pass_home
def check(home: Home) -> None:
    """检查主题是否齐全、是否符合设置；不符合时说明怎么办，退出码不为 0。"""
    with closing(_open(home)) as log:
        found = log.check_topics()
    click.echo(f"{len(found)} 个主题都符合设置")
