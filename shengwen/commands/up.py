"""``shengwen up``: the whole service on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

DEMO_PORT = 8700


@click.command(cls=Command, examples=["shengwen up --demo", "shengwen up --port 8800", "shengwen -v up --no-crawl"])
@click.option("--demo", is_flag=True, help="演示：虚构品牌的故事，五个平台的仿制站点，假的群机器人和工单台")
@click.option("--port", type=click.IntRange(0, 65535), help="网页的端口；0 是任意空闲的")
@click.option("--host", help="网页绑定的地址（设置里的 web.host）")
@click.option("--no-crawl", is_flag=True, help="不采集，只处理已经收集的")
@pass_home
def up(home: Home, demo: bool, port: int | None, host: str | None, no_crawl: bool) -> None:
    """启动整个服务：采集、分类、检索、预警和网页，全在这台机器上。Ctrl-C 或 SIGTERM 收尾后退出。

    --demo 用旁边的另一个数据文件夹（名字加 -demo），每次从头演，不碰你自己的数据。
    """
    from shengwen.rooms import Rooms
    from shengwen.service import Service
    from shengwen.serving import OneService, free_port
    from shengwen.settings import load_settings
    from shengwen.worker import on_signals

    stop = on_signals()
    web: dict[str, Any] = {k: v for k, v in (("port", port), ("host", host)) if v is not None}
    with ExitStack() as stack:
        if demo:
            from shengwen.demo.play import Demo

            home = home.demo()
            stack.enter_context(OneService(home))
            play = stack.enter_context(Demo(home))
            # The alerts' links need the port before the page is there.
            web["port"] = web.get("port") or free_port(DEMO_PORT)
            settings = play.settings(web)
            links = play.links
        else:
            stack.enter_context(OneService(home))
            settings = load_settings(home, **({"web": web} if web else {}))
            links = ()
        rooms = stack.enter_context(Rooms(home, settings))
        service = Service(rooms, crawl=not no_crawl, demo_links=links)
        try:
            service.start()
            greet(service.url, service.password, links)
            if demo:
                play.begin(service.caught_up, service.stop)
            stop.wait()
            click.echo("正在收尾……", err=True)
        finally:
            service.shut_down()


def greet(url: str, password: str | None, links: Sequence[tuple[str, str]] = ()) -> None:
    """Say where the page is, and the password if it was just made."""
    click.echo(f"声闻已启动：{url}")
    if password is not None:
        click.echo(f"登录密码（只显示这一次，忘了用 shengwen password 重设）：{password}")
    for label, link in links:
        click.echo(f"{label}：{link}")
    click.echo("按 Ctrl-C 停止。")
