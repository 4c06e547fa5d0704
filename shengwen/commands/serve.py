"""``shengwen serve``: the page and the API as a process of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from ingest.stage import StageHealth
    from shengwen.rooms import Rooms
    from shengwen.worker import Part


@click.command(cls=Command, examples=["shengwen serve", "shengwen serve --port 8800"])
@click.option("--port", type=click.IntRange(0, 65535), help="网页的端口；0 是任意空闲的")
@click.option("--host", help="网页绑定的地址（设置里的 web.host）")
@pass_home
def serve(home: Home, port: int | None, host: str | None) -> None:
    """只开网页和接口；分类、入库、预警由 shengwen work，采集由 shengwen crawl --schedule 在别的进程做。

    一个数据文件夹上只开一个网页（up 或 serve）；用同一组服务器的几台机器可以各开一个。
    """
    from shengwen.commands.up import greet
    from shengwen.crawling import CrawlSchedule
    from shengwen.serving import OneService, Page
    from shengwen.settings import load_settings
    from shengwen.worker import Worker, run

    web: dict[str, Any] = {k: v for k, v in (("port", port), ("host", host)) if v is not None}
    settings = load_settings(home, **({"web": web} if web else {}))
    pages: list[Page] = []

    def make(rooms: Rooms, _: threading.Event) -> Sequence[Part]:
        pages[:] = [Page(rooms, CrawlSchedule(rooms), _no_stage)]
        return pages

    with OneService(home, "serve"):
        run(Worker(home, "serve", make, settings), lambda: greet(pages[0].url, pages[0].password))


def _no_stage() -> Mapping[str, StageHealth]:
    return {}
