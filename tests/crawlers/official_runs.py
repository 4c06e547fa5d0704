"""Runs of the official APIs against receivers that check signatures by themselves, on a clock that tests move."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crawlers.audit import Audit, read_audit
from crawlers.book import PlatformBook
from crawlers.config import CrawlSettings, Platform
from crawlers.kit import Kit
from crawlers.ledger import Ledger
from crawlers.official.api import OfficialApi
from crawlers.official.douyin import Douyin
from crawlers.official.jos import Jos
from crawlers.official.top import Top
from crawlers.official.zhihu import ZhihuSearch
from crawlers.pipeline import Pipeline
from ingest.clock import ManualClock
from ingest.coverage import Coverage, coverage_from_json
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Mention, mention_from_json
from ingest.privacy import Privacy
from ingest.state import Base, make_engine
from tests.alerts.receivers import Got, Receiver, Reply, receiver
from tests.crawlers.official import Fake, Said

NOW = datetime(2026, 3, 4, 6, 20, tzinfo=UTC)
FAST = {"requests_per_minute": 6000, "timeout": 5}
READERS: Mapping[str, tuple[Platform, Callable[[Kit, threading.Event], OfficialApi]]] = {
    "jos": ("jd", Jos),
    "top": ("tmall", Top),
    "zhihu": ("zhihu", ZhihuSearch),
    "douyin": ("douyin", Douyin),
}


class Home:
    """A log and a state database on disk, and runs of one API with a clock that the test moves."""

    def __init__(self, path: Path, api: str) -> None:
        self.path, self.api = path, api
        self.platform, self.make = READERS[api]
        self.split_words: list[str] = []
        self.clock = ManualClock(NOW)
        self.url = f"sqlite:///{path / 'state.db'}"
        self.engine = make_engine(self.url)
        Base.metadata.create_all(self.engine)
        self.log = SqliteLog(path / "log.db", clock=self.clock)
        self.pages: dict[str, Any] = {}
        """The platform's settings that are not the API's own."""

    def run(self, stop: threading.Event | None = None, **settings: Any) -> OfficialApi:
        platform = {self.platform: {"split_words": self.split_words} | self.pages}
        crawl = CrawlSettings.model_validate(platform | {"official": {self.api: FAST | settings}})
        assert crawl.official_of(self.platform) == self.api
        ledger = Ledger(self.engine, self.platform, self.clock)
        pipeline = Pipeline(self.log, ledger, Privacy(bytes(32)), self.clock, platform=self.platform)
        pipeline.recover()
        book = PlatformBook(self.engine, self.clock)
        audit = Audit(self.path / "audit", self.platform, ledger, self.clock, why="official_api", days=crawl.audit_days)
        kit = Kit(
            settings=crawl, log=self.log, ledger=ledger, book=book, pipeline=pipeline, clock=self.clock, audit=audit
        )
        ledger.begin()
        reader = self.make(kit, stop or threading.Event())
        reader.run()
        return reader

    def streamed(self) -> list[Mention]:
        return [mention_from_json(record.value) for record in self.log.read(Topics.COLLECTED, 0, 0, 100_000)]

    def ids(self) -> Counter[str]:
        return Counter(mention.id for mention in self.streamed())

    def coverage(self) -> list[Coverage]:
        return [coverage_from_json(record.value) for record in self.log.read(Topics.COVERAGE, 0, 0, 1000)]

    def stopped(self) -> str:
        status = PlatformBook(self.engine, self.clock).status(self.platform)
        return status.reason if status.needs_person else ""

    def audited(self) -> list[dict[str, Any]]:
        """Every line of the audit; none holds a key."""
        lines = list(read_audit(self.path / "audit", [self.platform], NOW - timedelta(days=1)))
        assert not any(secret in line.raw for line in lines for secret in (b"secret", b"token", b"-session", b"sign="))
        return [dict(line.fields) for line in lines]

    def close(self) -> None:
        self.log.close()
        self.engine.dispose()


@contextmanager
def world(path: Path, api: str, fake: Callable[..., Fake], **held: Any) -> Iterator[tuple[Home, Any, Receiver]]:
    home = Home(path, api)
    try:
        answering = fake(home.clock, **held)
        with receiver(answering) as server:
            yield home, answering, server
    finally:
        home.close()


def reviews(number: int, *, every: timedelta, until: datetime = NOW) -> list[Said]:
    return [
        Said(str(10_000 + n), until - every * n - timedelta(seconds=1), f"第{n}条：升温慢", (5, 3, 1)[n % 3])
        for n in range(number)
    ]


def jos_keys(server: Receiver, **more: Any) -> dict[str, Any]:
    known = {"url": server.url, "app_key": "jos-key", "app_secret": "jos secret", "access_token": "jos-token"}
    return {**known, "history_days": 90, "window_days": 30, **more}


def top_keys(server: Receiver, **more: Any) -> dict[str, Any]:
    return {"url": server.url, "app_key": "12345678", "app_secret": "top secret", "session": "top-session", **more}


def once(reply: Reply) -> Callable[[Got], Reply | None]:
    left = [reply]
    return lambda got: left.pop() if left else None
