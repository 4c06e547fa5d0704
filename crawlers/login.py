"""A person logs in to a platform by hand, in a window that is opened for that; the program only waits and looks on.

Nothing is typed, clicked or solved here. That somebody has logged in is noticed by the cookies that platforms give to
accounts; only the person can say that it is done.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from crawlers.config import Platform
from crawlers.session import Session
from ingest.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

LOGIN_PAGES: Final[Mapping[Platform, tuple[str, str]]] = {
    "jd": ("passport.jd.com", "/new/login.aspx"),
    "tmall": ("login.taobao.com", "/member/login.jhtml"),
    "xiaohongshu": ("www.xiaohongshu.com", "/login"),
    "douyin": ("www.douyin.com", "/"),
    "zhihu": ("www.zhihu.com", "/signin"),
}
"""Real host and path where a person can log in."""

LOGIN_COOKIES: Final[Mapping[Platform, frozenset[str]]] = {
    "jd": frozenset({"thor", "pt_key"}),
    "tmall": frozenset({"unb", "cookie2"}),
    "xiaohongshu": frozenset({"web_session"}),
    "douyin": frozenset({"sessionid"}),
    "zhihu": frozenset({"z_c0"}),
}
"""Cookies that come, or change, when somebody logs in. Some are given to guests as well, so they are a hint only."""

_LOOK_EVERY: Final = 0.3


class Keyboard:
    """Whether Enter was pressed. ``fd`` is the terminal's, or a pipe's, standard input."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self.closed = False
        """Nobody can press anything any more, or never could."""

    def enter(self, seconds: float) -> bool:
        """Wait so long for Enter; True as soon as it came."""
        if self.closed:
            time.sleep(seconds)
            return False
        try:
            ready, _, _ = select.select([self._fd], [], [], seconds)
            typed = os.read(self._fd, 4096) if ready else None
        except OSError:
            typed = b""
        self.closed = typed == b""
        return typed is not None and b"\n" in typed


def log_in(
    platform: Platform,
    start: str,
    *,
    chromium: str,
    before: Session | None,
    keyboard: Keyboard,
    noticed: Callable[[], object],
) -> Mapping[str, Any]:
    """Open ``start`` in a window, with the session of ``before``, and wait; the state that the person left it in.

    It ends with Enter; or, once a login was noticed (``noticed`` is called then), when the window is closed or
    where nobody can press Enter. Ctrl-C raises KeyboardInterrupt: to be called in the main thread. Raises UserError
    when the window was closed and nobody had logged in, or the browser failed.
    """
    from playwright.sync_api import Error, sync_playwright

    given_up = False

    def give_up(*_: object) -> None:
        nonlocal given_up
        given_up = True
        raise KeyboardInterrupt

    # Ctrl-C reaches the browser as well, and its end must not be taken for a window that somebody closed.
    before_us = signal.signal(signal.SIGINT, give_up)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, headless=False, args=_arguments())
            context = browser.new_context(storage_state=cast(Any, before.state) if before is not None else None)
            context.new_page().goto(start)
            state = _watched(platform, context, keyboard, noticed)
    except (Error, UserError) as error:
        if given_up:
            raise KeyboardInterrupt from None
        if isinstance(error, UserError):
            raise
        raise UserError(f"浏览器出错：{error.message.splitlines()[0][:200]}") from None
    finally:
        signal.signal(signal.SIGINT, before_us)
    if given_up:
        raise KeyboardInterrupt
    return state


def _watched(
    platform: Platform, context: BrowserContext, keyboard: Keyboard, noticed: Callable[[], object]
) -> Mapping[str, Any]:
    from playwright.sync_api import Error

    first = marks = _marks(platform, context)
    state: Mapping[str, Any] | None = None
    while True:
        done = keyboard.enter(_LOOK_EVERY)
        try:
            seen = _marks(platform, context)
            if done:
                return cast("Mapping[str, Any]", context.storage_state())
            if seen != marks:
                marks = seen
                fresh = cast("Mapping[str, Any]", context.storage_state()) if marks and marks != first else None
                if fresh is not None and state is None:
                    noticed()
                state = fresh
            shut = not context.pages
        except Error:
            shut = True  # the window is closed, and the browser with it
        if state is not None and (shut or keyboard.closed):
            return state
        if shut:
            raise UserError("窗口已关闭，没有看到登录成功，什么也没有保存；请重新运行")


def _marks(platform: Platform, context: BrowserContext) -> frozenset[tuple[str, str]]:
    names = LOGIN_COOKIES[platform]
    return frozenset((c.get("name", ""), c.get("value", "")) for c in context.cookies() if c.get("name") in names)


def _arguments() -> list[str]:
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    return [*quiet, "--no-sandbox"] if os.geteuid() == 0 else quiet
