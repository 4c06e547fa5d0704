"""Running a spider for real: its own process, its own home, the embedded log and state."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

import crawlers.ledger
import crawlers.run
from crawlers.book import PlatformBook, PlatformStatus
from crawlers.config import CrawlSettings, Platform
from crawlers.run import Job, Report, load_job, run
from ingest.clock import SystemClock
from ingest.coverage import Coverage, coverage_from_json
from ingest.dead_letters import DeadLetter, DeadLetters
from ingest.log.base import Record, Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Mention, mention_from_json
from ingest.relevance import Brand
from ingest.state import Base, make_engine
from shengwen.demo.settings import LOGIN_COOKIES
from tests.crawlers.refusals import refused_in_child, refused_in_one_browser
from tests.processes import Child, Nursery

SHARED = (
    "crawlers.run",
    "crawlers.http",
    "crawlers.pipeline",
    "scrapy.crawler",
    "scrapy.core.engine",
    "scrapy.core.downloader.handlers.http11",
    "crawlers.handler",
)
"""What the nursery imports once. No reactor: a fork could not use it."""
assert crawlers.ledger  # its tables are declared on Base


class StartedAt(SystemClock):
    """A clock that begins at an instant of the test's choice and goes on from there."""

    def __init__(self, start: datetime) -> None:
        self._ahead = start - super().now()

    def now(self) -> datetime:
        return super().now() + self._ahead


def run_in_child(platform: Platform, config: str, report: str, now: str = "") -> None:
    """What a forked child does: one run, its report into a file. ``now``: what its clock says when it begins."""
    if now:
        start = datetime.fromisoformat(now)
        crawlers.run.SystemClock = lambda: StartedAt(start)  # type: ignore[misc,assignment]  # this child's only
    done = run(platform, load_job(Path(config)))
    Path(report).write_text(done.model_dump_json(), encoding="utf-8")
    raise SystemExit(done.exit_code)


class Home:
    """A home folder of a test, and what its runs left in it."""

    def __init__(self, path: Path, nursery: Nursery, **platforms: dict[str, Any]) -> None:
        self.path = path
        self.now: datetime | None = None
        """What a run's clock says when it begins; none: the machine's."""
        self._nursery = nursery
        path.mkdir(parents=True, exist_ok=True)
        self.state_url = f"sqlite:///{path / 'state.db'}"
        engine = make_engine(self.state_url)
        Base.metadata.create_all(engine)
        engine.dispose()
        self.job = self.configure(**platforms)

    def configure(self, **platforms: dict[str, Any]) -> Job:
        """Set the job anew: settings by platform, without pauses unless they say so."""
        courteous = {name: {"pause": [0, 0], "timeout": 5} | settings for name, settings in platforms.items()}
        self.job = Job(
            crawl=CrawlSettings.model_validate(courteous),
            log_path=self.path / "log.db",
            state_url=self.state_url,
            secret_path=self.path / "secret.key",
            brand=Brand(name="岚炉", aliases=("LANLU",)),
        )
        return self.job

    def begin(self, platform: Platform) -> Child:
        """Start a run and do not wait for it."""
        config = self.path / f"{platform}.job.json"
        config.write_text(self.job.model_dump_json(), encoding="utf-8")
        self._report(platform).unlink(missing_ok=True)
        now = self.now.isoformat() if self.now is not None else ""
        return self._nursery.start(run_in_child, platform, str(config), str(self._report(platform)), now)

    def crawl(self, platform: Platform, seconds: float = 110) -> Report:
        """One run, to its end; its exit code fits its report."""
        code = self.begin(platform).wait(seconds)
        report = Report.model_validate_json(self._report(platform).read_bytes())
        assert code == report.exit_code
        return report

    def refused(
        self, platform: Platform, base_url: str, answers: list[str], *, one_browser: bool = False, seconds: float = 110
    ) -> list[dict[str, Any]]:
        """Run once for each of the replica's answers; how each run ended (see :mod:`tests.crawlers.refusals`)."""
        config, out = self.path / f"{platform}.job.json", self.path / f"{platform}.refused.json"
        config.write_text(self.job.model_dump_json(), encoding="utf-8")
        child = self._nursery.start(
            refused_in_one_browser if one_browser else refused_in_child,
            platform,
            str(config),
            base_url,
            answers,
            str(out),
        )
        assert child.wait(seconds) == 0
        found: list[dict[str, Any]] = json.loads(out.read_bytes())
        return found

    def _report(self, platform: Platform) -> Path:
        return self.path / f"{platform}.report.json"

    def _records(self, topic: str) -> list[Record]:
        with SqliteLog(self.path / "log.db") as log:
            return list(log.read(topic, 0, 0, 100_000))

    def streamed(self) -> list[Mention]:
        """Every record of mentions.collected, in order."""
        return [mention_from_json(record.value) for record in self._records(Topics.COLLECTED)]

    def ids(self) -> Counter[str]:
        """How often each mention was streamed."""
        return Counter(mention.id for mention in self.streamed())

    def coverage(self) -> list[Coverage]:
        return [coverage_from_json(record.value) for record in self._records(Topics.COVERAGE)]

    def letters(self) -> list[DeadLetter]:
        with SqliteLog(self.path / "log.db") as log:
            return DeadLetters(log, SystemClock()).open()

    def letter_records(self) -> int:
        return len(self._records(Topics.DEAD_LETTERS))

    def status(self, platform: Platform) -> PlatformStatus:
        engine = make_engine(self.state_url)
        try:
            return PlatformBook(engine, SystemClock()).status(platform)
        finally:
            engine.dispose()

    def resume(self, platform: Platform) -> bool:
        engine = make_engine(self.state_url)
        try:
            return PlatformBook(engine, SystemClock()).resume(platform)
        finally:
            engine.dispose()

    def known(self) -> int:
        """How many mentions the ledger remembers."""
        with sqlite3.connect(self.path / "state.db") as db:
            (count,) = db.execute("SELECT count(*) FROM crawl_items WHERE id NOT LIKE 'dead:%'").fetchone()
        db.close()
        return int(count)


def a_session(path: Path, platform: Platform) -> Path:
    """What ``shengwen login`` leaves behind."""
    cookie = {"name": LOGIN_COOKIES[platform], "value": "demo-session", "domain": "127.0.0.1", "path": "/"}
    flags = {"expires": time.time() + 3600, "httpOnly": True, "secure": False, "sameSite": "Lax"}
    path.write_bytes(orjson.dumps({"cookies": [cookie | flags], "origins": []}))
    return path
