"""``shengwen login``: a person logs in to a platform by hand; the browser's session is kept for the spiders."""

from __future__ import annotations

import os
from typing import cast

import click

from crawlers.config import PLATFORMS, Platform
from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

LOGIN_PAGES = {
    "jd": ("passport.jd.com", "/new/login.aspx"),
    "tmall": ("login.taobao.com", "/member/login.jhtml"),
    "xiaohongshu": ("www.xiaohongshu.com", "/explore"),
    "douyin": ("www.douyin.com", "/"),
    "zhihu": ("www.zhihu.com", "/signin"),
}


@click.command(cls=Command, examples=["shengwen login xiaohongshu"])
@click.argument("platform", type=click.Choice(PLATFORMS))
@pass_home
def login(home: Home, platform: str) -> None:
    """打开浏览器窗口，由人登录一次；登录状态存在数据文件夹里，采集时使用。

    登录、验证码都由人完成，程序只是等着。完成后回到这里按回车。平台若因登录停下，再用 shengwen crawl --resume
    或网页“来源”里的“恢复”继续。
    """
    from playwright.sync_api import Error, sync_playwright

    from crawlers.chromium import INSTALL_HINT, find_chromium
    from crawlers.session import save_state
    from shengwen.crawling import NAMES, session_file
    from shengwen.settings import load_settings

    settings = load_settings(home.ensure())
    chromium = find_chromium(settings.crawl.chromium)
    if chromium is None:
        raise UserError(f"没有找到 Chromium。{INSTALL_HINT}")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UserError("这里没有图形界面，打不开浏览器窗口；请在有桌面的机器上运行，或用 ssh -X")
    host, path = LOGIN_PAGES[platform]
    known = settings.crawl.of(cast(Platform, platform))
    target = session_file(home, settings, cast(Platform, platform))
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, headless=False, args=_arguments())
            context = browser.new_context(storage_state=str(target) if target.exists() else None)
            context.new_page().goto(known.url(host, path))
            click.prompt(f"请在浏览器里登录{NAMES[platform]}，完成后按回车", default="", show_default=False)
            save_state(target, context.storage_state())
            browser.close()
    except Error as error:
        raise UserError(f"浏览器出错：{error.message.splitlines()[0]}") from error
    click.echo(f"已保存登录状态：{target}")


def _arguments() -> list[str]:
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    return [*quiet, "--no-sandbox"] if os.geteuid() == 0 else quiet
