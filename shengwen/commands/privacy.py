"""``shengwen forget`` and ``shengwen retain``."""

from __future__ import annotations

from datetime import timedelta

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command


@click.command(cls=Command, examples=["shengwen forget 3f9c1a0b22d4e5f60718293a --yes"])
@click.argument("author_key")
@click.option("--yes", is_flag=True, help="不再询问")
@pass_home
def forget(home: Home, author_key: str, yes: bool) -> None:
    """按作者键删除一个人的全部内容（《个人信息保护法》的删除权）。

    作者键见检索结果的 author.key。检索库、预警数据、工单证据和人工纠正里的原文都会删除；日志里的按
    schedule.log_days 到期删除，在那之前也不会再进检索库。
    """
    from shengwen.forgetting import forget as forget_for_good
    from shengwen.rooms import Rooms

    if not yes and not click.confirm(f"确定删除作者 {author_key} 的全部内容？此操作不能撤销", default=False):
        raise UserError("没有删除")
    with Rooms(home) as rooms:
        removed = forget_for_good(rooms, author_key)
    click.echo(f"已删除 {removed} 条")


@click.command(cls=Command, examples=["shengwen retain"])
@pass_home
def retain(home: Home) -> None:
    """删除超过保存期限的内容：schedule.retention_days 按来源写天数，schedule.log_days 是事件日志的天数。"""
    from alerts.facts import FactStore
    from shengwen.rooms import Rooms
    from shengwen.stages import STAGES

    with Rooms(home) as rooms:
        now = rooms.clock.now()
        schedule = rooms.settings.schedule
        index = rooms.index
        if not schedule.retention_days:
            click.echo("schedule.retention_days 没有设置，检索库里什么也不删。")
        for source, days in schedule.retention_days.items():
            before = now - timedelta(days=days)
            corrected = rooms.corrections.delete_before(source, before)
            click.echo(f"{source}：删除 {index.delete_before(source, before)} 条，人工纠正 {corrected} 条")
        forgotten = FactStore(rooms.engine, rooms.settings.alerts).retain(now - timedelta(days=schedule.facts_days))
        click.echo(f"预警数据：删除 {forgotten} 条")
        trimmed = sum(rooms.log.trim(t, now - timedelta(days=schedule.log_days)) for t in set(STAGES.values()))
        click.echo(f"事件日志：删除 {trimmed} 条")
