"""The demo as a whole: its own home, the replica with its story, settings that point everything at it, and the turn."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self

from ingest.clock import Clock, SystemClock
from ingest.errors import UserError
from shengwen.demo.cast import B40, BRAND, BRAND_LATIN, COMPETITOR, G60, K20
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import platform_bases
from shengwen.demo.story import Story
from shengwen.home import Home
from shengwen.settings import Settings, load_settings

logger = logging.getLogger(__name__)

SEED: Final = 7
MARK: Final = "这是演示的数据，每次启动都会清空.txt"
"""A home without this file is not the demo's, and is never cleared."""
TURN_AFTER: Final = 20.0
"""Seconds between the history's being in and the story's turn: time to open the page."""
TURN_AT_LATEST: Final = 240.0
CRAWL_EVERY: Final = 8.0
LOOK_EVERY: Final = 0.5


class Demo:
    """Starts the replica on entering, stops it on leaving. The home is emptied first: the story begins anew."""

    def __init__(self, home: Home, clock: Clock | None = None) -> None:
        self._home = home
        self._clock = clock or SystemClock()
        self._stack = ExitStack()
        self._thread: threading.Thread | None = None
        clear(home)
        self.server = DemoServer(Story(SEED, self._clock.now()), self._clock)

    @property
    def links(self) -> Sequence[tuple[str, str]]:
        """What else there is to look at: (label, address)."""
        base = self.server.base_url
        return (
            ("演示·群机器人（手机上的样子）", f"{base}/bots"),
            ("演示·工单台", f"{base}/desk"),
            ("演示·五个平台的仿制站点", f"{base}/"),
        )

    def settings(self, web: Mapping[str, Any]) -> Settings:
        """Settings of a service that collects from the replica and tells the fake bots and the desk.

        ``web`` holds the page's port, for the links in alerts.
        """
        return load_settings(
            self._home,
            brand=_BRAND,
            web=dict(web),
            log={"backend": "embedded"},  # whatever the environment says: it plays on this machine alone
            crawl=self._crawl(),
            alerts=self._alerts(f"http://127.0.0.1:{web['port']}/"),
            schedule={"crawl_every": CRAWL_EVERY, "tick_every": 1.0},
        )

    def _crawl(self) -> dict[str, Any]:
        bases, targets = platform_bases(self.server.base_url), self.server.story.targets()
        wanted: dict[str, list[dict[str, str]]] = {
            "jd": [{"sku": sku} for sku in targets.jd_skus],
            "tmall": [{"item_id": item.item_id, "seller_id": item.seller_id} for item in targets.tmall_items],
            "xiaohongshu": [{"keyword": word} for word in targets.keywords],
            "douyin": [{"keyword": word} for word in targets.keywords],
            "zhihu": [
                *({"question_id": number} for number in targets.zhihu_questions),
                *({"article_id": number} for number in targets.zhihu_articles),
            ],
        }
        # On one's own machine there is nobody to be slow for; on the platforms the defaults hold.
        manners = {"pause": (0.0, 0.05), "requests_per_hour": 100_000, "pages_per_run": 5_000}
        manners |= {"pages_per_day": 10_000_000, "crawl_every": (CRAWL_EVERY, CRAWL_EVERY)}
        return {name: {"bases": bases[name], "targets": wanted[name], **manners} for name in wanted}

    def _alerts(self, page: str) -> dict[str, Any]:
        base, bots, desk = self.server.base_url, self.server.bots, self.server.desk
        return {
            "base_url": page,
            "channels": [
                {"name": "企业微信群", "type": "wecom", "url": bots.webhook_url("wecom", base)},
                {
                    "name": "飞书群",
                    "type": "feishu",
                    "url": bots.webhook_url("feishu", base),
                    "secret": bots.keys.feishu_secret,
                    "always": True,
                },
                {
                    "name": "钉钉群",
                    "type": "dingtalk",
                    "url": bots.webhook_url("dingtalk", base),
                    "secret": bots.keys.dingtalk_secret,
                    "always": True,
                },
            ],
            "ticket_systems": [{"name": "演示工单台", "url": f"{base}/desk/api/tickets", "secret": desk.secret}],
        }

    def begin(self, history_is_in: Callable[[], bool], stop: threading.Event) -> None:
        """Let the story turn a little after ``history_is_in`` says so, in a thread; ends early when ``stop`` is set."""
        self._thread = threading.Thread(target=self._turn, args=(history_is_in, stop), name="demo-turn")
        self._thread.start()

    def _turn(self, history_is_in: Callable[[], bool], stop: threading.Event) -> None:
        latest = self._clock.monotonic() + TURN_AT_LATEST
        while not history_is_in() and self._clock.monotonic() < latest:
            if self._clock.wait(LOOK_EVERY, stop):
                return
        if self._clock.wait(TURN_AFTER, stop):
            return
        self.server.story.begin_turn(self._clock.now())
        logger.info("the story turns: valves begin to leak")

    def __enter__(self) -> Self:
        self._stack.enter_context(self.server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.join()
        self._stack.close()


def clear(home: Home) -> None:
    """Empty the demo's home. Raises UserError for a folder that holds anything else."""
    mark = home.path / MARK
    if home.path.exists():
        others = [entry for entry in home.path.iterdir() if entry.name not in ("up.lock", MARK)]
        if others and not mark.exists():
            raise UserError(f"{home.path} 不是演示的数据文件夹，没有动它；请用 --home 指定别处")
        for entry in others:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    home.ensure()
    mark.touch()


_BRAND: Final[dict[str, Any]] = {
    "name": BRAND,
    "aliases": (BRAND_LATIN,),
    "misspellings": ("兰炉", "岚卢"),
    "products": (K20.code, G60.code, {"name": "小背篓", "models": (B40.code,)}),
    "ambiguous": ("小背篓",),
    "context": ("暖气", "暖气片", "散热器"),
    "competitors": (COMPETITOR,),
}
