"""``shengwen tokens``: who may push mentions over HTTP."""

from __future__ import annotations

import sys
from datetime import datetime

import click
import orjson

from ingest.clock import BEIJING
from shengwen.cli import pass_home
from shengwen.commands.imports import KINDS
from shengwen.home import Home
from shengwen.messages import Command, Group


@click.group(cls=Group)
def tokens() -> None:
    """管理推送令牌：别的系统拿着令牌把顾客的话推送到 POST /api/v1/mentions。"""


@tokens.command(cls=Command, examples=["shengwen tokens create 客服系统 --source 热线 --kind call"])
@click.argument("name")
@click.option("--source", required=True, metavar="名字", help="推送来的记作 import:名字；令牌只能写这一个来源")
@click.option("--kind", type=click.Choice(KINDS), default="review", show_default=True, help="没有写 kind 的记录是什么")
@pass_home
def create(home: Home, name: str, source: str, kind: str) -> None:
    """新建一个令牌，只显示这一次；请直接存进对方系统的密钥管理里。"""
    from shengwen.rooms import Rooms
    from shengwen.tokens import Tokens

    with Rooms(home) as rooms:
        token = Tokens(rooms.engine, rooms.clock).create(name, source, kind)  # type: ignore[arg-type]  # click checked
    click.echo("新令牌（只显示这一次）：", err=True)
    click.echo(token)


@tokens.command("list", cls=Command, examples=["shengwen tokens list --json"])
@click.option("--json", "as_json", is_flag=True, help="输出为 JSON")
@pass_home
def list_tokens(home: Home, as_json: bool) -> None:
    """列出所有令牌；令牌本身没有保存，看不到。"""
    from shengwen.rooms import Rooms
    from shengwen.tokens import Tokens

    with Rooms(home) as rooms:
        found = Tokens(rooms.engine, rooms.clock).all()
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(list(found)) + b"\n")
        sys.stdout.buffer.flush()
        return
    for one in found:
        state = f"{_day(one.revoked_at)} 停用" if one.revoked_at else f"最近使用 {_day(one.used_at)}"
        click.echo(f"{one.id}  {one.name}  → {one.source}（{one.kind}）  {_day(one.created_at)} 建  {state}")
    if not found:
        click.echo("还没有令牌；用 shengwen tokens create 新建。", err=True)


@tokens.command(cls=Command, examples=["shengwen tokens revoke 3f9a0c51d2e4"])
@click.argument("identity", metavar="编号")
@pass_home
def revoke(home: Home, identity: str) -> None:
    """停用一个令牌，马上生效。"""
    from shengwen.rooms import Rooms
    from shengwen.tokens import Tokens

    with Rooms(home) as rooms:
        Tokens(rooms.engine, rooms.clock).revoke(identity)
    click.echo(f"已停用 {identity}")


def _day(instant: datetime | None) -> str:
    return instant.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M") if instant else "从未"
