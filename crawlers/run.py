"""One run of one platform, in a process of its own (a Twisted reactor cannot start twice in one).

    python -m crawlers.run --config JOB.json PLATFORM

reads a :class:`Job` and prints a :class:`Report` as the last line of standard output; logs go to standard error.
Exit code 0: the run came to its end (complete, or partial when a budget or SIGTERM ended it); 3: the platform is
stopped and waits for a person; 1: it failed. SIGTERM and SIGINT finish cleanly: what was read is streamed and coverage
is written.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crawlers.address import told
from crawlers.config import CrawlSettings, Platform
from crawlers.official.config import Api, revealed
from ingest.clock import SystemClock
from ingest.complaints import first_complaint
from ingest.coverage import Coverage, Status, write_coverage
from ingest.errors import ConfigError, ShengwenError
from ingest.log.kafka_config import LogSettings
from ingest.relevance import Brand

if TYPE_CHECKING:
    from crawlers.audit import Why
    from crawlers.kit import Kit
    from crawlers.official.api import OfficialApi

logger = logging.getLogger(__name__)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_STOPPED: Final = 3


class Job(BaseModel):
    """What a run needs to know. ``secret_path`` names the installation's secret; the secret itself is in no job.

    ``lock_folder``: where runs on this machine see each other; beside the secret when not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    crawl: CrawlSettings
    log: LogSettings = LogSettings()
    log_path: Path
    state_url: str = Field(repr=False)
    secret_path: Path
    brand: Brand = Brand()
    log_level: str = "INFO"
    lock_folder: Path | None = None

    def to_json(self) -> str:
        """The job with its secrets, for a file that only its owner can read; any other dump hides them."""
        return self.model_dump_json(context=revealed)

    def lock_path(self, platform: Platform) -> Path:
        """Held by a run, so that there is one of a platform at a time."""
        return (self.lock_folder or self.secret_path.parent) / f"crawl-{platform}.lock"

    @property
    def audit_folder(self) -> Path:
        """Where each request leaves a line."""
        return (self.lock_folder or self.secret_path.parent) / "audit"


class Report(BaseModel):
    """How a run ended."""

    model_config = ConfigDict(frozen=True)

    platform: str
    status: Status
    signal: str = "ok"
    reason: str = ""
    coverage: tuple[Coverage, ...] = ()

    @property
    def exit_code(self) -> int:
        return {"stopped": EXIT_STOPPED, "failed": EXIT_FAILED}.get(self.status, EXIT_OK)


def load_job(path: Path) -> Job:
    """Read a job file. Raises ConfigError (Chinese)."""
    try:
        return Job.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"无法读取采集任务文件 {path.name}：{error.strerror}") from error
    except ValidationError as error:
        where, said = first_complaint(error)
        raise ConfigError(f"采集任务文件 {path.name} 的 {where} 不对：{said}") from error


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the platform's lock. Raises ConfigError when another run holds it; the kernel frees it on kill -9."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError("这个平台的另一次采集还在运行，请等它结束") from error
        yield
    finally:
        os.close(handle)


@contextmanager
def opened(job: Job, platform: Platform) -> Iterator[Kit]:
    """What a spider works with: log, ledger, pipeline; the last run's unfinished business is settled first."""
    from crawlers.audit import Audit
    from crawlers.book import PlatformBook
    from crawlers.kit import Kit
    from crawlers.ledger import Ledger
    from crawlers.pipeline import Pipeline
    from crawlers.session import SessionFile
    from ingest.log.opening import open_log
    from ingest.privacy import Privacy, load_secret
    from ingest.state import make_engine

    clock = SystemClock()
    with ExitStack() as stack:
        engine = make_engine(job.state_url)
        stack.callback(engine.dispose)
        log = stack.enter_context(closing(open_log(job.log, job.log_path)))
        ledger = Ledger(engine, platform, clock)
        secret = load_secret(job.secret_path)
        pipeline = Pipeline(log, ledger, Privacy(secret), clock, platform=platform, brand=job.brand)
        pipeline.recover()
        book = PlatformBook(engine, clock)
        here = job.crawl.of(platform)
        why: Why = "robots_allowed" if here.obey_robots else "permission"
        audit = Audit(
            job.audit_folder, platform, ledger, clock, why=why, reason=here.robots_reason, days=job.crawl.audit_days
        )
        kept = here.storage_state
        session = SessionFile(Path(kept), platform, secret) if kept is not None else None
        yield Kit(
            settings=job.crawl,
            log=log,
            ledger=ledger,
            book=book,
            pipeline=pipeline,
            clock=clock,
            audit=audit,
            session=session,
        )


def run(platform: Platform, job: Job) -> Report:
    """Run the platform's official API where it is configured, then its spider where it has targets, in this process.

    An API that a person must mend, or a run that is asked to end, leaves the pages alone. A spider starts the reactor:
    once a process.
    """
    with one_at_a_time(job.lock_path(platform)), opened(job, platform) as kit:
        standing = kit.book.status(platform)
        if standing.needs_person:
            logger.warning("%s is stopped (%s) and waits for a person", platform, standing.signal)
            return Report(platform=platform, status="stopped", signal=standing.signal, reason=standing.reason)
        api = kit.settings.official_of(platform)
        if api is None:
            return _part(platform, kit, partial(_crawl, platform, kit))
        stop = threading.Event()
        asking = replace(kit, audit=kit.audit.reasoned("official_api"))
        report = _part(platform, kit, partial(_ask, api, asking, stop))
        if report.status == "stopped" or stop.is_set() or not kit.settings.of(platform).targets:
            return report
        whole = _joined(report, _part(platform, kit, partial(_crawl, platform, kit)))
        kit.ledger.finish(whole.status, whole.signal, whole.reason)
        return whole


def _part(platform: Platform, kit: Kit, work: Callable[[], Report]) -> Report:
    """One run in the ledger. What it raises before or behind its targets is a failure that coverage tells."""
    started = kit.clock.now()
    kit.ledger.begin()
    try:
        return work()
    except (ShengwenError, OSError) as error:
        reason = told(str(error))
        record = Coverage(
            source=platform,
            query="",
            status="failed",
            reason=reason[:500],
            started_at=started,
            finished_at=kit.clock.now(),
        )
        write_coverage(kit.log, [record])
        kit.ledger.finish("failed", "ok", reason)
        return Report(platform=platform, status="failed", reason=reason, coverage=(record,))


def _joined(api: Report, pages: Report) -> Report:
    """How both parts ended: stopped when the pages were, failed when both failed, complete when both are."""
    short = next((part for part in (pages, api) if part.status != "complete"), pages)
    status: Status = "partial" if api.status != pages.status else api.status
    if pages.status == "stopped":
        status = "stopped"
    return Report(
        platform=api.platform,
        status=status,
        signal=short.signal,
        reason=short.reason,
        coverage=api.coverage + pages.coverage,
    )


def _ask(api: Api, kit: Kit, stop: threading.Event) -> Report:
    """Read the platform through its official API. SIGTERM and SIGINT set ``stop`` and end the run behind the request
    in hand."""
    here = threading.current_thread() is threading.main_thread()
    before = [(n, signal.signal(n, lambda *_: stop.set())) for n in (signal.SIGTERM, signal.SIGINT) if here]
    try:
        official = _official(api, kit, stop)
        official.run()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    return Report(
        platform=official.platform,
        status=official.status,
        signal=official.signal,
        reason=official.reason,
        coverage=tuple(official.coverage),
    )


def _official(api: Api, kit: Kit, stop: threading.Event) -> OfficialApi:
    if api == "jos":
        from crawlers.official.jos import Jos

        return Jos(kit, stop)
    if api == "top":
        from crawlers.official.top import Top

        return Top(kit, stop)
    if api == "zhihu":
        from crawlers.official.zhihu import ZhihuSearch

        return ZhihuSearch(kit, stop)
    from crawlers.official.douyin import Douyin

    return Douyin(kit, stop)


def _crawl(platform: Platform, kit: Kit) -> Report:
    from scrapy import signals
    from scrapy.crawler import AsyncCrawlerProcess

    spider_class, settings = spider_of(platform, kit.settings)
    process = AsyncCrawlerProcess(settings)
    crawler = process.create_crawler(spider_class)

    def listen() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(
                number, _end_early, crawler, f"收到 {signal.Signals(number).name}，停在这里，下一次接着采"
            )

    crawler.signals.connect(listen, signals.spider_opened, weak=False)
    process.crawl(crawler, kit=kit)
    process.start(install_signal_handlers=False)
    return report_of(platform, crawler.spider)


def _end_early(crawler: Any, reason: str) -> None:
    crawler.spider.end_early(reason)


def report_of(platform: Platform, spider: Any) -> Report:
    """How a finished spider's run ended. Raises ConfigError for one that never began."""
    if spider is None or not spider.coverage:
        raise ConfigError(f"{platform} 的采集没有启动，详情见日志")
    outcome = spider.outcome
    return Report(
        platform=platform,
        status=outcome.status,
        signal=outcome.signal,
        reason=outcome.reason,
        coverage=tuple(spider.coverage),
    )


def spider_of(platform: Platform, crawl: CrawlSettings) -> tuple[Any, dict[str, Any]]:
    """The spider class for the platform's targets, and Scrapy's settings for it.

    Raises ConfigError when none of the targets can be read without a browser and there is none.
    """
    from crawlers.chromium import find_chromium
    from crawlers.settings import scrapy_settings

    here, settings = crawl.of(platform), scrapy_settings(crawl, platform)
    targets, wholly = here.targets, here.in_browser(logged_in=here.storage_state is not None)
    in_browser = wholly or any(target.in_browser for target in targets)
    if in_browser and not wholly and find_chromium(crawl.chromium) is None:
        in_browser = all(target.in_browser for target in targets)  # else what needs none is read, and the rest fails
    if in_browser:
        from crawlers.browser import browser_settings

        settings |= browser_settings(crawl, platform)
    return _spider(platform, in_browser=in_browser), settings


def _spider(platform: Platform, *, in_browser: bool) -> Any:
    if platform == "jd" and in_browser:
        from crawlers.jd.pages import JdPageSpider

        return JdPageSpider
    if platform == "tmall" and in_browser:
        from crawlers.tmall.pages import TmallPageSpider

        return TmallPageSpider
    if platform == "jd":
        from crawlers.jd.spider import JdSpider

        return JdSpider
    if platform == "tmall":
        from crawlers.tmall.spider import TmallSpider

        return TmallSpider
    if platform == "xiaohongshu":
        from crawlers.xiaohongshu.spider import XiaohongshuSpider

        return XiaohongshuSpider
    if platform == "douyin":
        from crawlers.douyin.spider import DouyinSpider

        return DouyinSpider
    if in_browser:
        from crawlers.zhihu.search import ZhihuSearchSpider

        return ZhihuSearchSpider
    from crawlers.zhihu.spider import ZhihuSpider

    return ZhihuSpider


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of the child process; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m crawlers.run", description="运行一个平台的一次采集")
    parser.add_argument("--config", required=True, type=Path, metavar="JOB.json", help="采集任务文件")
    parser.add_argument("platform", choices=get_args(Platform), help="平台")
    options = parser.parse_args(argv)
    platform = cast(Platform, options.platform)
    try:
        job = load_job(options.config)
        _log_to_stderr(job.log_level)
        report = run(platform, job)
    except ShengwenError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the command's answer
        report = Report(platform=platform, status="failed", reason=str(error))
    sys.stdout.buffer.write(orjson.dumps(report.model_dump(mode="json")) + b"\n")
    sys.stdout.flush()
    return report.exit_code


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(level=level, stream=sys.stderr, force=True)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(_Told("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handler.addFilter(_worth_saying)


class _Told(logging.Formatter):
    """No address in a line, nor in a trace, carries a token: libraries name what failed by its whole address."""

    def format(self, record: logging.LogRecord) -> str:
        return told(super().format(record))


def _worth_saying(record: logging.LogRecord) -> bool:
    """Libraries are heard from warnings up: below, they log addresses with tokens in them.

    Playwright leaves tasks of its own behind when a page is closed under an answer: their end is no trouble.
    """
    error = record.exc_info[1] if record.exc_info else None
    if record.name == "asyncio" and type(error).__name__ == "TargetClosedError":
        return False
    return record.levelno >= logging.WARNING or record.name.startswith(("crawlers", "ingest", "__main__"))


if __name__ == "__main__":
    sys.exit(main())
