"""``shengwen password``: a new password for the page."""

from __future__ import annotations

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command


@click.command(cls=Command, examples=["shengwen password"])
@pass_home
def password(home: Home) -> None:
    """重新生成网页登录密码，并显示一次；旧密码和旧的登录随即失效。"""
    from shengwen.rooms import Rooms
    from shengwen.web.users import reset_password

    with Rooms(home) as rooms:
        click.echo(f"新密码（只显示这一次）：{reset_password(rooms.engine, rooms.clock)}")
