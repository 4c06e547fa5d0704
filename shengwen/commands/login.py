"""``shengwen login``: a person logs in to a platform by hand; the session is kept, encrypted, for the spiders."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import click

from crawlers.config import PLATFORMS, Platform
from ingest.errors import ConfigError, UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from crawlers.session import Session, SessionFile


@click.command(cls=Command, examples=["shengwen login xiaohongshu", "shengwen login zhihu --resume"])
@click.argument("platform", type=click.Choice(PLATFORMS))
@click.option("--resume", is_flag=True, help="登录后马上恢复这个平台（它因登录停下时）")
@pass_home
def login(home: Home, platform: str, resume: bool) -> None:
    """打开浏览器窗口，由人登录一次；登录状态加密存在数据文件夹里，采集时使用。

    登录、验证码都由人完成，程序只是等着；看到登录成功会说一声。完成后回到这里按回车；Ctrl-C 放弃，什么也不保存。
    平台若因登录停下，加 --resume，或用 shengwen crawl --resume、网页“来源”里的“恢复”继续。
    """
    from crawlers.book import PlatformBook
    from crawlers.chromium import INSTALL_HINT, find_chromium
    from crawlers.login import LOGIN_PAGES, Keyboard, log_in
    from crawlers.session import Session, SessionFile
    from shengwen.crawling import NAMES, session_file
    from shengwen.rooms import Rooms

    which = cast(Platform, platform)
    with Rooms(home) as rooms:
        settings = rooms.settings
        chromium = find_chromium(settings.crawl.chromium, window=True)
        if chromium is None:
            raise UserError(f"没有找到 Chromium。{INSTALL_HINT}")
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UserError("这里没有图形界面，打不开浏览器窗口；请在有桌面的机器上运行，或用 ssh -X")
        book = PlatformBook(rooms.engine, rooms.clock)  # said now, not after somebody has logged in for nothing
        kept = SessionFile(session_file(home, settings, which), which, rooms.secret)
        click.echo(f"请在打开的窗口里登录{NAMES[platform]}，完成后按回车保存；Ctrl-C 放弃", err=True)
        state = log_in(
            which,
            settings.crawl.of(which).url(*LOGIN_PAGES[which]),
            chromium=chromium,
            before=_usable(kept),
            keyboard=Keyboard(),
            noticed=lambda: click.echo("看起来已经登录；按回车保存，或关掉窗口", err=True),
        )
        now = rooms.clock.now()
        kept.save(Session(state, now))
        book.logged_in(platform, now)
        click.echo(f"已加密保存登录状态：{kept.path}")
        if resume:
            resumed = book.resume(platform)
            click.echo(f"{NAMES[platform]}已恢复" if resumed else f"{NAMES[platform]}没有停下，不需要恢复")
        elif book.status(platform).needs_person:
            click.echo(f"{NAMES[platform]}还停着：用 shengwen crawl {platform} --resume 或网页“来源”里的“恢复”继续")


def _usable(kept: SessionFile) -> Session | None:
    """The session that there is, to begin with; one that cannot be opened is what this login replaces."""
    try:
        return kept.load()
    except ConfigError as error:
        click.echo(f"{error}；这次登录会替换它", err=True)
        return None
