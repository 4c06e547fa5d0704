"""Platforms whose pages must be read as a reader does: an ordinary Chromium opens the page, scrolls and clicks, and
what the page itself loads is captured and parsed. Requests are never re-created, and the browser does not pretend to
be another one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar, cast
from urllib.parse import urlsplit

from scrapy import Request

from crawlers.address import stored_url, told
from crawlers.audit import UNREAD
from crawlers.audited import META, Asked
from crawlers.base import PlatformSpider
from crawlers.chromium import INSTALL_HINT, find_chromium
from crawlers.config import CrawlSettings, Platform
from crawlers.errors import FetchFailed, PlatformStopped
from crawlers.parse import parse
from crawlers.payload import Payload
from ingest.errors import ConfigError

if TYPE_CHECKING:
    from playwright.async_api import BrowserContext, Locator, Page
    from playwright.async_api import Request as BrowserRequest
    from playwright.async_api import Response as BrowserResponse

logger = logging.getLogger(__name__)

PATIENCE: Final = 8.0
"""Seconds to wait for an answer that the page should be asking for."""
NUDGES: Final = (0.4, 0.8, 1.6, 3.0, 5.0)
"""Seconds to wait after each attempt to make a list go on; then it is given up."""
_NOT_NEEDED: Final = frozenset({"image", "media", "font"})
_One = TypeVar("_One")
_Other = TypeVar("_Other")


def launch_options(settings: CrawlSettings) -> dict[str, Any]:
    """How Chromium is started: headless, no background traffic; without its sandbox only where root needs that.

    Raises ConfigError when there is none.
    """
    executable = find_chromium(settings.chromium)
    if executable is None:
        raise ConfigError(f"找不到 Chromium 浏览器。{INSTALL_HINT}")
    flags = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    flags += ["--disable-dev-shm-usage", "--mute-audio", "--disable-gpu", "--blink-settings=imagesEnabled=false"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")
    return {
        "executable_path": executable,
        "args": flags,
        "headless": True,
        # The run ends the browser itself, after it has written its end.
        "handle_sigint": False,
        "handle_sigterm": False,
        "handle_sighup": False,
    }


def not_needed(request: BrowserRequest) -> bool:
    """What the page loads for the eye only is not fetched."""
    return request.resource_type in _NOT_NEEDED


def browser_settings(settings: CrawlSettings, platform: Platform) -> dict[str, Any]:
    """Scrapy's settings for pages opened in the browser. Raises ConfigError when there is none."""
    here = settings.of(platform)
    handler = "crawlers.handler.BrowserHandler"
    return {
        "DOWNLOAD_HANDLERS": {"http": handler, "https": handler},
        "PLAYWRIGHT_BROWSER_TYPE": "chromium",
        "PLAYWRIGHT_LAUNCH_OPTIONS": launch_options(settings),
        "PLAYWRIGHT_PROCESS_REQUEST_HEADERS": None,  # the browser's own name and headers
        "PLAYWRIGHT_ABORT_REQUEST": "crawlers.browser.not_needed",
        "PLAYWRIGHT_DEFAULT_NAVIGATION_TIMEOUT": here.timeout * 1000,
        "PLAYWRIGHT_MAX_PAGES_PER_CONTEXT": 2,
    }


class Visit:
    """One open page and the answers that it has loaded, in the order of their arrival."""

    def __init__(self, spider: BrowserSpider, take: Callable[[Payload], None]) -> None:
        self._spider = spider
        self._take = take
        self._answers: asyncio.Queue[tuple[Payload, bool] | FetchFailed] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._page: Page | None = None
        self.asked = Asked()

    @property
    def page(self) -> Page:
        if self._page is None:
            raise FetchFailed("no_page", "页面没有打开")
        return self._page

    def hear(self, response: BrowserResponse) -> None:
        """Playwright's "response" event: capture the page itself and what the spider listens to."""
        first = response.request
        while first.redirected_from is not None:
            first = first.redirected_from
        if not self._spider.hears(first):
            return
        if first.resource_type == "document":
            self.asked.open = False  # from here on its line in the audit is written here
        if 300 <= response.status < 400:
            # The browser follows by itself; where it ends is heard as well.
            real = self._spider.here.real(response.url)
            self._spider.kit.audit.other(response.request.method, real, response.status, None)
        else:
            task = asyncio.create_task(self._capture(first, response))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _capture(self, first: BrowserRequest, response: BrowserResponse) -> None:
        spider, url = self._spider, first.url
        try:
            async with asyncio.timeout(spider.here.timeout):
                if int(response.headers.get("content-length", "0")) > spider.here.max_bytes:
                    raise FetchFailed("too_large", f"超过 {spider.here.max_bytes} 字节（max_bytes）")
                headers, body = await _both(response.all_headers(), response.body())
                if len(body) > spider.here.max_bytes:
                    raise FetchFailed("too_large", f"超过 {spider.here.max_bytes} 字节（max_bytes）")
                if not body and int(headers.get("content-length", "0")):
                    raise ValueError("答复中断了")
        except asyncio.CancelledError:
            spider.kit.audit.failed(first.method, spider.here.real(url), "cancelled")
            raise
        except FetchFailed as error:
            spider.kit.audit.failed(first.method, spider.here.real(url), error.kind)
            self._answers.put_nowait(error)
            return
        except Exception as error:  # the page moved on, the answer broke off, or it has no end
            spider.kit.audit.failed(first.method, spider.here.real(url), type(error).__name__)
            self._answers.put_nowait(FetchFailed(f"capture_{type(error).__name__}", told(str(error))[:200]))
            return
        payload = Payload(
            url=spider.here.real(url),
            method=first.method,
            status=response.status,
            headers={name.lower(): value for name, value in headers.items()},
            body=body,
            captured_at=spider.kit.clock.now(),
            final_url=spider.here.real(response.url),
            request_body=first.post_data_buffer or b"",
        )
        self._answers.put_nowait((payload, first.resource_type == "document"))

    async def heard(self) -> None:
        """Take what has come, though the page could not be opened. Raises what :meth:`until` does."""
        await asyncio.gather(*self._tasks)
        while not self._answers.empty():
            self._one(self._answers.get_nowait())

    async def until(self, done: Callable[[], bool], patience: float = PATIENCE) -> bool:
        """Take answers as they come until ``done()``; False when it was not within ``patience`` seconds.

        Raises PlatformStopped at the first answer that says stop, FetchFailed for one that could not be read or by
        which a server failed.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while True:
            while not self._answers.empty():
                self._one(self._answers.get_nowait())
            if done():
                return True
            self._spider.check_place(self.page)
            left = deadline - loop.time()
            if left <= 0:
                return False
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, 0.25)):
                    answer = await self._answers.get()
                self._one(answer)

    def _one(self, answer: tuple[Payload, bool] | FetchFailed) -> None:
        if isinstance(answer, FetchFailed):
            raise answer
        payload, is_document = answer
        fault = self._spider.fault_of(payload)
        if fault is not None:
            raise self._spider.failed(fault, f"{stored_url(payload.url)} 答复 HTTP {payload.status}")
        if not is_document or self._spider.document(payload):
            self._take(payload)

    async def more(self, act: Callable[[], Any], progress: Callable[[], int]) -> bool:
        """Act as a reader does (scroll, click) until ``progress()`` grows; False when nothing comes of it."""
        before = progress()
        await self._spider.pause()
        await self._spider.turn()
        for patience in NUDGES:
            await act()
            if await self.until(lambda: progress() > before, patience):
                return True
        return False

    async def scroll(self, pane: str) -> None:
        """Scroll the pane ("" for the page) to its end, by the wheel; a little back first, so that it moves."""
        from playwright.async_api import Error

        with suppress(Error):  # the pane may be about to be drawn anew: the next nudge finds it
            if pane and await self.page.locator(pane).count():
                await self.page.locator(pane).first.hover(timeout=2000)
            else:
                await self.page.mouse.move(400, 400)
            await self.page.mouse.wheel(0, -120)
            await self.page.mouse.wheel(0, 20_000)

    async def click(self, button: Locator, patience: float = 3.0) -> bool:
        """Click what is there; False when it went away, or cannot be clicked within so many seconds."""
        from playwright.async_api import Error

        try:
            await button.click(timeout=patience * 1000)
        except Error:
            return False
        return True

    def opened(self, page: Page) -> None:
        self._page = page

    async def close(self) -> None:
        """Close the page first, so that it asks for nothing more."""
        from playwright.async_api import Error

        if self._page is not None:
            with suppress(Error):
                await self._page.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._answers.empty():
            answer = self._answers.get_nowait()
            if not isinstance(answer, FetchFailed):
                signal = parse(self._spider.platform, answer[0]).signal
                self._spider.kit.audit.answered(answer[0], signal if signal != "unknown" else UNREAD)


async def _both(one: Awaitable[_One], other: Awaitable[_Other]) -> tuple[_One, _Other]:
    """Both results, awaited at the same time; when either fails, its error, once the other has ended, too."""
    first, second = await asyncio.gather(one, other, return_exceptions=True)
    for result in (first, second):
        if isinstance(result, BaseException):
            raise result
    return cast("tuple[_One, _Other]", (first, second))


class BrowserSpider(PlatformSpider):
    """A platform that is read in the browser. ``listens`` matches ``host/path`` of the answers that are parsed;
    ``places`` matches ``host/path`` of pages where a reader may be: anywhere else is a wall. ``data_pages``
    matches pages that hold their own data, behind ``state_mark``; ``list_pages`` those that may hold the beginning of
    their list there."""

    repeats = 3
    listens: ClassVar[re.Pattern[str]]
    places: ClassVar[re.Pattern[str]]
    data_pages: ClassVar[re.Pattern[str]]
    list_pages: ClassVar[re.Pattern[str] | None] = None
    state_mark: ClassVar[bytes]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened = 0
        self._context: BrowserContext | None = None
        self._refreshed: Any = None
        """The storage state that the last context left, where there was one."""

    def hears(self, request: BrowserRequest) -> bool:
        """Whether the answer to this request is captured."""
        if request.resource_type == "document":
            return request.frame.parent_frame is None
        real = urlsplit(self.here.real(request.url))
        return request.resource_type in ("xhr", "fetch") and bool(self.listens.search(f"{real.hostname}{real.path}"))

    def document(self, page: Payload) -> bool:
        """Judge a page itself; True when it holds data and is to be taken like any other answer.

        Raises PlatformStopped when it was refused, is not the page asked for, or is a wall. A page without data in it
        is no refusal: its data come in answers of their own.
        """
        asked, got = urlsplit(page.url or ""), urlsplit(page.final_url or "")
        if page.status >= 400 or (asked.hostname, asked.path) != (got.hostname, got.path):
            return True
        place = f"{asked.hostname}{asked.path}"
        if self.state_mark in page.body:
            holds_data = bool(self.data_pages.search(place))
            if self.list_pages is not None and self.list_pages.search(place):
                holds_data = bool(parse(self.platform, page).mentions)
        elif parse(self.platform, page).signal != "unknown":
            self.parsed(page)
            return False
        else:
            holds_data = False
        if not holds_data:
            self.kit.audit.answered(page, "ok")
        return holds_data

    @asynccontextmanager
    async def visit(self, url: str, take: Callable[[Payload], None]) -> AsyncIterator[Visit]:
        """Open a page; ``take`` gets every answer it loads. Raises what :meth:`download` does, PlatformStopped."""
        await self.turn()
        visit = Visit(self, take)
        await self._renew()
        context = f"c{self._opened // self.here.pages_per_context}"
        self._opened += 1
        request = Request(
            url,
            meta={
                "playwright": True,
                "playwright_include_page": True,
                "playwright_context": context,
                "playwright_context_kwargs": {"storage_state": self._storage_state},
                "playwright_page_event_handlers": {"response": visit.hear},
                "playwright_page_goto_kwargs": {"wait_until": "domcontentloaded"},
                META: visit.asked,
            },
        )
        try:
            try:
                await self.download(request)
            except FetchFailed:
                await visit.heard()  # to a browser a refusal without a body is no page; what it says counts
                raise
            finally:
                page = request.meta.get("playwright_page")
                if page is not None:
                    visit.opened(page)
            self._context = visit.page.context
            self.check_place(visit.page)
            yield visit
        finally:
            await visit.close()

    def check_place(self, page: Page) -> None:
        """Raises PlatformStopped when the browser was led away from the pages that readers read."""
        if page.is_closed() or page.url in ("", "about:blank"):
            return
        real = self.here.real(page.url)
        parts = urlsplit(real)
        if self.places.search(f"{parts.hostname}{parts.path}"):
            return
        led = Payload(
            url=None, status=302, headers={"location": real}, body=b"", captured_at=self.kit.clock.now(), final_url=real
        )
        signal = self.parsed(led).signal
        raise PlatformStopped(signal, f"浏览器被带到了 {parts.hostname}{parts.path}")

    async def _renew(self) -> None:
        """Close the old context when its pages are used up, keeping its session."""
        if self._opened % self.here.pages_per_context == 0 and self._context is not None:
            old, self._context = self._context, None
            self._refreshed = await old.storage_state()
            await old.close()

    @property
    def _storage_state(self) -> Any:
        return self._refreshed or (self.session.state if self.session is not None else None)

    async def let_go(self) -> None:
        """Keep the session that the platform has refreshed, when there is one to keep."""
        from playwright.async_api import Error

        kept = self.kit.session
        if kept is None or self._context is None or self.outcome.status not in ("complete", "partial"):
            return
        if self.session is None:  # nobody logged in: what the page gives to anybody is no session
            return
        try:
            kept.refresh(self.session, cast("dict[str, Any]", await self._context.storage_state()))
        except (Error, OSError, ConfigError) as error:
            logger.warning("%s: the session could not be kept: %s", self.platform, type(error).__name__)
