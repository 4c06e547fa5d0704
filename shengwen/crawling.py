"""Collecting, as the service does it: each platform's spider as a child process, on a schedule."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from crawlers.book import PlatformBook
from crawlers.config import MAX_SPLIT_WORDS, PLATFORMS, CrawlSettings, Platform, Target
from crawlers.heat import DEFAULT_BOUNDS, Bounds
from ingest.errors import UserError
from shengwen.home import Home
from shengwen.lease import CRAWLER, Lease
from shengwen.pacing import Plan, paced, plan
from shengwen.settings import Settings, log_settings, secret_path, state_url

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from crawlers.launch import RunReport
    from crawlers.run import Job
    from ingest.stage import StageHealth
    from shengwen.rooms import Rooms

logger = logging.getLogger(__name__)

NAMES: Final[Mapping[str, str]] = {
    "jd": "京东",
    "tmall": "天猫",
    "xiaohongshu": "小红书",
    "douyin": "抖音",
    "zhihu": "知乎",
}
SHOPS: Final[frozenset[Platform]] = frozenset({"jd", "tmall"})
"""Platforms that can be read either way."""
AT_ONCE: Final = 2
RUN_TIMEOUT: Final = 3600.0
LOOK_FOR_RESUMED: Final = 5.0
STAND_BY: Final = 5.0
"""Seconds between two looks at whether it is this process's turn to crawl."""


_ALL_TARGETS: Final[Mapping[Platform, Sequence[Target]]] = {}


def _always() -> bool:
    return True


def session_file(home: Home, settings: Settings, platform: Platform) -> Path:
    """Where a platform's browser session lies: as set, else in the home folder."""
    chosen = settings.crawl.of(platform).storage_state
    return home.path / (chosen or f"sessions/{platform}.json")


def job_of(home: Home, settings: Settings, due: Mapping[Platform, Sequence[Target]] = _ALL_TARGETS) -> Job:
    """What a spider's process is told. A session that ``shengwen login`` kept is used.

    ``due``: by platform, the targets to read, where not all. Where no words are set to split a search by, the brand's
    products are.
    """
    from crawlers.run import Job

    crawl = paced(settings.crawl, settings.schedule.crawl_every)
    products = tuple(product.name for product in settings.brand.products)[:MAX_SPLIT_WORDS]
    for platform in PLATFORMS:
        if crawl.of(platform).split_words is None:
            here = crawl.of(platform).model_copy(update={"split_words": products})
            crawl = crawl.model_copy(update={platform: here})
        if platform in due:
            here = crawl.of(platform).model_copy(update={"targets": tuple(due[platform])})
            crawl = crawl.model_copy(update={platform: here})
        session = session_file(home, settings, platform)
        if session.exists():
            here = crawl.of(platform).model_copy(update={"storage_state": str(session)})
            crawl = crawl.model_copy(update={platform: here})
    return Job(
        crawl=crawl,
        log=log_settings(home, settings),
        log_path=home.log,
        state_url=state_url(home, settings),
        secret_path=secret_path(home, settings),
        lock_folder=home.path,
        brand=settings.brand,
    )


def has_chromium(settings: Settings) -> bool:
    """Whether the machine has a browser that the browser spiders can use."""
    from crawlers.chromium import find_chromium

    return find_chromium(settings.crawl.chromium) is not None


def planned(settings: Settings) -> list[Platform]:
    """Platforms that are switched on and have targets, or an official API with its keys."""
    crawl = settings.crawl
    return [p for p in PLATFORMS if crawl.of(p).enabled and (crawl.of(p).targets or crawl.official_of(p))]


def in_browser(settings: Settings, platform: Platform, *, logged_in: bool = False) -> bool:
    """Whether a platform, or one of its targets, is read in a browser: an official API alone opens no page.

    ``logged_in``: a person's session is kept.
    """
    here = settings.crawl.of(platform)
    if settings.crawl.official_of(platform) is not None and not here.targets:
        return False
    return here.in_browser(logged_in=logged_in) or any(target.in_browser for target in here.targets)


class CrawlSchedule:
    """Runs every planned platform when one of its targets is due (:mod:`shengwen.pacing`), one run of it at a time.

    A run reads the targets that are due, and begins no sooner than the shortest interval after the last one ended. None
    begins in quiet hours, or when the day's pages are spent.

    A platform that stopped on a login wall, a verification or a refusal is left alone until a person resumes it.
    Nothing is crawled while ``held`` says no (another process does it); that is looked at again every few seconds.
    """

    def __init__(
        self, rooms: Rooms, only: Sequence[Platform] | None = None, *, held: Callable[[], bool] | None = None
    ) -> None:
        self._held_by_us = held or _always
        self._rooms = rooms
        self._only = only
        self._book = PlatformBook(rooms.engine, rooms.clock)
        self._stop = threading.Event()
        self._planning = threading.Lock()
        self._running: set[Platform] = set()
        self._scheduler: BackgroundScheduler | None = None
        self._ran: set[Platform] = set()
        self._stopped: set[Platform] = set()
        self._scheduled: list[Platform] = []
        self._forced: set[Platform] = set()
        self._asked: set[Platform] = set()
        """Resumed, and not looked at since: a run that is just ending may swallow its start or plan over it."""
        self._no_browser = False
        self.left_out: list[str] = []

    def start(self) -> None:
        """Begin with every platform at once (two at a time), then by the schedule."""
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self._rooms.privacy  # noqa: B018  (the secret file must exist before a child reads it)
        platforms = [p for p in planned(self._rooms.settings) if self._only is None or p in self._only]
        if not has_chromium(self._rooms.settings):
            from crawlers.chromium import INSTALL_HINT

            missing = [p for p in platforms if self._in_browser(p)]
            partly = [p for p in missing if not self._wholly(p)]
            self._no_browser = True
            asked = [p for p in missing if self._crawl.official_of(p) is not None]
            if missing:
                what = {p: "的关键词" if p in partly else "的页面" if p in asked else "" for p in missing}
                names = "、".join(NAMES[p] + what[p] for p in missing)
                shops = [p for p in missing if p in SHOPS]
                way = "".join(f"；{NAMES[p]}也可以设 crawl.{p}.way 为 http，不用浏览器" for p in shops)
                self.left_out.append(f"没有找到 Chromium，{names}没有采集。{INSTALL_HINT}{way}")
            platforms = [p for p in platforms if p not in missing or p in partly or p in asked]
        self._scheduled = platforms
        self._scheduler = BackgroundScheduler(
            # A slow browser run must not keep the quick ones waiting.
            executors={"http": ThreadPoolExecutor(AT_ONCE), "browser": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone="UTC",
        )
        for platform in platforms:
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[platform],
                id=platform,
                executor="browser" if self._in_browser(platform) else "http",
                # In case a run dies before it says when the next one is.
                seconds=self._bounds(platform)[0],
                next_run_time=self._rooms.clock.now(),
            )
        self._scheduler.add_job(self._look_for_resumed, "interval", id="resumed", seconds=LOOK_FOR_RESUMED)
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # it warns of each run that is still going on
        self._scheduler.start()

    def stop(self) -> None:
        """Ask running spiders to finish, and wait for them."""
        with self._planning:
            self._stop.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=True)

    def resume(self, platform: str) -> None:
        """A person looked at it: crawl again, now. Raises UserError for a platform that is not stopped."""
        if not self._book.resume(platform):
            raise UserError(f"{NAMES.get(platform, platform)} 没有停下，不需要恢复")
        for known in PLATFORMS:
            if known == platform:
                self._at_once(known)

    @property
    def _crawl(self) -> CrawlSettings:
        """What is crawled here, and how often: without a browser not what needs one."""
        crawl = paced(self._rooms.settings.crawl, self._rooms.settings.schedule.crawl_every)
        if not self._no_browser:
            return crawl
        seen = {p: tuple(t for t in crawl.of(p).targets if not t.in_browser) for p in PLATFORMS}
        return crawl.model_copy(
            update={p: crawl.of(p).model_copy(update={"targets": targets}) for p, targets in seen.items()}
        )

    def _logged_in(self, platform: Platform) -> bool:
        return session_file(self._rooms.home, self._rooms.settings, platform).exists()

    def _in_browser(self, platform: Platform) -> bool:
        return in_browser(self._rooms.settings, platform, logged_in=self._logged_in(platform))

    def _wholly(self, platform: Platform) -> bool:
        """Whether without a browser nothing of the platform can be read."""
        here = self._crawl.of(platform)
        return here.in_browser(logged_in=self._logged_in(platform)) or all(t.in_browser for t in here.targets)

    def _bounds(self, platform: Platform) -> Bounds:
        return self._crawl.of(platform).crawl_every or DEFAULT_BOUNDS

    def plan(self, platform: Platform, *, forced: bool = False) -> Plan:
        """What is to be done about a platform now, and why."""
        return plan(self._crawl, self._rooms.engine, platform, self._rooms.clock.now(), forced=forced)

    def _at(self, platform: str, wait: timedelta) -> None:
        # A scheduler that shuts down holds its lock until the runs have ended: they must not ask it for anything then.
        with self._planning:
            if self._stop.is_set() or self._scheduler is None or self._scheduler.get_job(platform) is None:
                return
            self._scheduler.modify_job(platform, next_run_time=self._rooms.clock.now() + wait)

    def _at_once(self, platform: Platform) -> None:
        self._forced.add(platform)
        if platform in self._scheduled:
            self._asked.add(platform)
        self._at(platform, timedelta(0))

    def running(self) -> frozenset[Platform]:
        """Platforms being crawled right now."""
        return frozenset(self._running)

    @property
    def all_ran(self) -> bool:
        """Whether every scheduled platform had a run in this process."""
        return self._ran.issuperset(self._scheduled)

    def next_run(self, platform: str) -> datetime | None:
        """When a platform is crawled next, UTC; null when this process does not schedule it."""
        job = self._scheduler.get_job(platform) if self._scheduler is not None else None
        return None if job is None else job.next_run_time

    def _run(self, platform: Platform) -> None:
        from crawlers.launch import run_spider

        self._asked.discard(platform)
        if not self._held_by_us():
            self._at(platform, timedelta(seconds=STAND_BY))
            return
        if self._stop.is_set():
            return
        if self._book.status(platform).needs_person:
            self._stopped.add(platform)
            return
        found = self.plan(platform, forced=platform in self._forced)
        if not found.go:
            self._ran.add(platform)
            self._at(platform, max(found.next_at - self._rooms.clock.now(), timedelta(seconds=1)))
            return
        self._forced.discard(platform)
        self._running.add(platform)
        try:
            # Made anew for each run: somebody may have logged in meanwhile.
            job = job_of(self._rooms.home, self._rooms.settings, {platform: found.due})
            report = run_spider(platform, job, RUN_TIMEOUT, stop=_Leave(self._stop, self._held_by_us))
        except Exception:
            logger.exception("%s could not be started", platform)
        else:
            _log(report)
            if report.status == "stopped":
                self._stopped.add(platform)
        finally:
            self._running.discard(platform)
            self._ran.add(platform)
            self._after(platform)

    def _after(self, platform: Platform) -> None:
        """Say when the next run is: when a target is due, and not at once again (a budget may be spent)."""
        shortest = timedelta(seconds=self._bounds(platform)[0])
        try:
            found = self.plan(platform)
            self._at(platform, max(found.next_at - self._rooms.clock.now(), shortest))
        except Exception as error:
            logger.warning("cannot see when %s is due: %s", platform, error)
            self._at(platform, shortest)

    def _look_for_resumed(self) -> None:
        """What a person resumed on a page that runs elsewhere is crawled now, not at the next round."""
        for platform in list(self._stopped):
            try:
                stopped = self._book.status(platform).needs_person
            except Exception as error:
                logger.warning("cannot see whether %s was resumed: %s", platform, error)
                return
            if not stopped:
                self._stopped.discard(platform)
                self._at_once(platform)
        for platform in list(self._asked):
            self._at(platform, timedelta(0))


@dataclass(frozen=True, slots=True)
class _Leave:
    """Tells a running spider to finish: the service ends, or another process crawls now."""

    stop: threading.Event
    held: Callable[[], bool]

    def is_set(self) -> bool:
        return self.stop.is_set() or not self.held()


class LeasedSchedule:
    """The schedule as a process of its own (a part of ``shengwen.worker``): one crawls, the others stand by."""

    def __init__(self, rooms: Rooms, only: Sequence[Platform] | None = None) -> None:
        self._lease = Lease(rooms.engine, rooms.clock, CRAWLER)
        self._schedule = CrawlSchedule(rooms, only, held=self._lease.held)

    def start(self) -> None:
        """Begin to crawl, or to stand by."""
        self._lease.held()  # also where nothing is to be crawled yet: then it is seen who would
        self._schedule.start()

    def stop(self) -> None:
        """Ask running spiders to finish, wait for them, let another process have the lease."""
        self._schedule.stop()
        self._lease.release()

    def health(self) -> Mapping[str, StageHealth]:
        """No stage."""
        return {}

    def problem(self) -> Exception | None:
        """A platform that stopped waits for its person; the others go on."""
        return None

    def notes(self) -> Mapping[str, str]:
        """Whether this is the process that crawls, and what it crawls right now."""
        return {
            CRAWLER: "holds" if self._lease.holds else "stands by",
            "crawling": " ".join(sorted(self._schedule.running())),
            "left out": " ".join(self._schedule.left_out),
        }


def crawl_once(rooms: Rooms, platforms: Sequence[Platform], stop: threading.Event) -> list[RunReport]:
    """One run of each platform, one after the other."""
    from crawlers.launch import run_spider

    rooms.privacy  # noqa: B018  (the secret file must exist before a child reads it)
    rooms.engine  # noqa: B018  (and the state database must be migrated)
    job = job_of(rooms.home, rooms.settings)
    reports = []
    for platform in platforms:
        if stop.is_set():
            break
        report = run_spider(platform, job, RUN_TIMEOUT, stop=stop)
        _log(report)
        reports.append(report)
    return reports


def _log(report: RunReport) -> None:
    said = report.report.reason if report.report else report.log_tail
    level = logging.INFO if report.status in ("complete", "partial") else logging.WARNING
    logger.log(level, "%s: %s %s", report.platform, report.status, said)


__all__ = [
    "NAMES",
    "CrawlSchedule",
    "LeasedSchedule",
    "crawl_once",
    "has_chromium",
    "in_browser",
    "job_of",
    "planned",
]
