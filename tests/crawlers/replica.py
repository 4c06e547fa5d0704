"""The demo's replica of the five platforms, watched: what it shows, and what it was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

import shengwen.demo.server
from crawlers.config import Platform
from ingest.clock import ManualClock
from shengwen.demo.items import Item
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import platform_bases
from shengwen.demo.story import Story

NOW = datetime(2026, 11, 1, 4, tzinfo=UTC)
"""Fixed, as the story depends on when it begins; in the past of every machine's clock."""
START_DAYS = 9
CLOCK_DAYS = 30
"""The story's demo begins so many days before NOW and its clock stands earlier still, so that all that a test may
move it to lies in the past of the spiders' own clock."""


class Watched:
    """An app that remembers the paths it was asked for (pages and calls; not robots.txt, scripts and pictures).

    ``/_hits`` tells them to another process, and begins anew.
    """

    def __init__(self, app: ASGIApp, hits: list[str]) -> None:
        self._app = app
        self._hits = hits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path == "/_hits":
            asked = list(self._hits)
            self._hits.clear()
            await JSONResponse(asked)(scope, receive, send)
            return
        if not path.endswith(("robots.txt", ".ico")) and not path.startswith(("/_static", "/_pictures", "/_switch")):
            self._hits.append(path)
        await self._app(scope, receive, send)


class Replica:
    """The running replica, its story and its clock."""

    def __init__(self, demo: DemoServer, clock: ManualClock, hits: list[str]) -> None:
        self.demo = demo
        self.clock = clock
        self.hits = hits

    def items(self, platform: Platform) -> list[Item]:
        """What the platform shows now."""
        return [item for item in self.demo.story.visible(self.clock.now()) if item.platform == platform]

    def truth(self, platform: Platform) -> set[str]:
        """The ids of all mentions that the platform shows now."""
        return {f"{platform}:{item.kind}:{item.native_id}" for item in self.items(platform)}

    def found_by(self, platform: Platform, keywords: list[str]) -> set[str]:
        """The ids of posts that these keywords find, and of everything said below them."""
        items = self.items(platform)
        kinds = ("answer", "article", "question") if platform == "zhihu" else ("post", "video")
        posts = [i for i in items if i.kind in kinds and any(k in i.title + i.text for k in keywords)]
        below = {post.native_id for post in posts}
        said = [item for item in items if item.kind == "comment" and item.parent_id in below]
        return {f"{platform}:{item.kind}:{item.native_id}" for item in (*posts, *said)}

    def keywords(self, platform: Platform) -> list[str]:
        """Two short searches: the post with the most replies to comments, and one with a few comments."""
        items = self.items(platform)
        posts = [item for item in items if item.kind in ("post", "video")]
        said = {post.native_id: [item for item in items if item.parent_id == post.native_id] for post in posts}
        deep = max(posts, key=lambda post: sum(item.root_id is not None for item in said[post.native_id]))
        few = next(post for post in posts if post is not deep and 1 <= len(said[post.native_id]) <= 4)
        return [(post.title or post.text).split()[0][:14] for post in (deep, few)]

    def settings(self, platform: Platform, keywords: list[str] | None = None, **more: Any) -> dict[str, Any]:
        """A spider's settings for all of the platform, or for these searches."""
        wanted = self.demo.story.targets()
        targets: dict[Platform, list[dict[str, str]]] = {
            "jd": [{"sku": sku} for sku in wanted.jd_skus],
            "tmall": [{"item_id": item.item_id, "seller_id": item.seller_id} for item in wanted.tmall_items],
            "xiaohongshu": [{"keyword": word} for word in wanted.keywords],
            "douyin": [{"keyword": word} for word in wanted.keywords],
            "zhihu": [{"question_id": number} for number in wanted.zhihu_questions]
            + [{"article_id": number} for number in wanted.zhihu_articles],
        }
        if keywords is not None:
            targets[platform] = [{"keyword": word} for word in keywords]
        bases = platform_bases(self.demo.base_url)[platform]
        return {
            "bases": bases,
            "targets": targets[platform],
            "requests_per_hour": 100_000,
            "pages_per_day": 1_000_000,
        } | more


@contextmanager
def running_replica() -> Iterator[Replica]:
    """A replica of its own; its story begins some days ago and moves when its clock is moved."""
    hits: list[str] = []
    plain = shengwen.demo.server.demo_app
    now = NOW
    clock = ManualClock(now - timedelta(days=CLOCK_DAYS))

    def watched(*parts: Any) -> Any:
        return Watched(plain(*parts), hits)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shengwen.demo.server, "demo_app", watched)
        with DemoServer(Story(7, now - timedelta(days=START_DAYS)), clock) as demo:
            yield Replica(demo, clock, hits)
