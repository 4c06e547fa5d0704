"""What all spiders share: one flow a platform, read in order, at reading speed, that stops when it should.

A spider does not scatter requests and callbacks: it awaits one page at a time, because whether there is a next one
depends on what this one said. Scrapy still does the fetching (robots.txt, pauses, size and time limits, retries of
broken connections, the browser). Every payload goes through :func:`crawlers.parse.parse` first; a stop signal raises
PlatformStopped through everything, so no further request is made.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from scrapy import Request, Spider
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest
from scrapy.http import Response

from crawlers.address import stored_url, told
from crawlers.audited import META, Asked
from crawlers.config import Platform, PlatformSettings, Target
from crawlers.errors import LEFT, BudgetSpent, FetchFailed, PlatformStopped, RobotsRefused, SourceDown
from crawlers.heat import DEFAULT_BOUNDS, looked
from crawlers.hours import quiet_spans, quiet_until
from crawlers.kit import Kit
from crawlers.ledger import ListState
from crawlers.parse import FAULTS, parse, server_failed
from crawlers.payload import STOP_SIGNALS, Page, Payload
from crawlers.pipeline import Taken
from crawlers.revisit import look_due, reading_depth
from crawlers.session import Session
from crawlers.trip import ListPass, Trip
from ingest.clock import BEIJING
from ingest.coverage import Coverage, Status, write_coverage
from ingest.errors import ShengwenError
from ingest.privacy import mask

logger = logging.getLogger(__name__)

FAILURES_IN_ROW: Final = 3
"""So many pages in a row that could not be fetched end the run: the platform or the network is down."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One page: what it says and what became of its items."""

    page: Page
    taken: Taken


@dataclass(slots=True)
class Outcome:
    """How the run ended."""

    status: Status = "complete"
    signal: str = "ok"
    reason: str = ""


class PlatformSpider(Spider):
    """One run of one platform. Subclasses say how a target is read: :meth:`crawl`."""

    platform: ClassVar[Platform]
    repeats: ClassVar[int] = 1
    """See :class:`ListPass`."""

    def __init__(self, kit: Kit, **kwargs: Any) -> None:
        super().__init__(name=self.platform, **kwargs)
        self.kit = kit
        self.here: PlatformSettings = kit.settings.of(self.platform)
        self.outcome = Outcome()
        self.coverage: list[Coverage] = []
        self._pages = 0
        self._failures = 0
        self._work: asyncio.Task[None] | None = None
        self._ended_early = ""
        self._reading = False
        """Whether the run can be ended by a cancellation."""

    @cached_property
    def session(self) -> Session | None:
        """The session that a person logged in, as the run found it. Raises ConfigError."""
        return self.kit.session.load() if self.kit.session is not None else None

    @abstractmethod
    async def crawl(self, target: Target, trip: Trip) -> None:
        """Read one target: open its lists with :meth:`passing`, hand every payload to :meth:`read`."""

    # -- the run ------------------------------------------------------------------------------------------------

    async def start(self) -> AsyncIterator[Any]:
        """Scrapy's entry point: does the whole run and yields nothing."""
        self._work = asyncio.create_task(self._run())
        await self._work
        return
        yield

    def end_early(self, reason: str) -> None:
        """Finish cleanly now: what was read is streamed, coverage says partial. Call it in the event loop."""
        if not self._ended_early:
            self._ended_early = reason
            if self._reading and self._work is not None:
                self._work.cancel()

    async def _run(self) -> None:
        trips: list[Trip] = []
        self._reading = not self._ended_early
        try:
            if self._ended_early:  # before it began
                raise asyncio.CancelledError
            for target in self._ordered_targets():
                trip = Trip(target, self.kit.clock)
                trips.append(trip)
                if self.session is not None:
                    self.kit.book.logged_in(self.platform, self.session.logged_in_at)
                await self._one(target, trip)
        except asyncio.CancelledError:
            self._end(trips, "partial", "ok", self._ended_early or LEFT)
        except PlatformStopped as stopped:
            logged_in = self.session is not None
            self.kit.book.stop(self.platform, stopped.signal, stopped.reason, logged_in=logged_in)
            logger.warning("%s stopped: %s", self.platform, stopped)
            self._end(trips, "stopped", stopped.signal, stopped.reason)
        except BudgetSpent as spent:
            self._end(trips, "partial", "ok", str(spent))
        except (ShengwenError, OSError) as error:
            logger.error("%s failed: %s", self.platform, error)
            self._end(trips, "failed", "ok", str(error))
        except Exception as error:
            # A fault of ours must not look like a quiet platform.
            logger.exception("%s failed", self.platform)
            self._end(trips, "failed", "ok", f"{type(error).__name__}")
        self._reading = False  # the books are closed in peace
        await self.let_go()
        self._close_books(trips)

    def _ordered_targets(self) -> list[Target]:
        """The target that waited longest, in its own intervals, first: a small budget reaches all of them in turn."""
        heats, now = self.kit.ledger.heats.all(), self.kit.clock.now()
        return sorted(
            self.here.targets,
            key=lambda target: -heats[target.key].waited(now) if target.key in heats else -math.inf,
        )

    async def _one(self, target: Target, trip: Trip) -> None:
        try:
            await self.crawl(target, trip)
        except FetchFailed as error:
            trip.end("failed", reason=str(error))  # the next target may be well
        else:
            trip.end("complete" if trip.whole else "partial", reason=trip.shortfall)

    def _end(self, trips: Sequence[Trip], status: Status, signal: str, reason: str) -> None:
        self.outcome = Outcome(status, signal, reason)
        if trips and trips[-1].status is None:
            trips[-1].end(status, signal=signal, reason=reason)

    async def let_go(self) -> None:
        """Release what the run holds (a browser page); called once, whatever happened."""

    def _close_books(self, trips: Sequence[Trip]) -> None:
        outcome = self.outcome
        try:
            self.kit.pipeline.flush()
            self.coverage = [trip.coverage(self.platform) for trip in trips]
            if not self.coverage:
                trip = Trip(Target(), self.kit.clock)
                trip.end(outcome.status, signal=outcome.signal, reason=outcome.reason or "没有要采集的目标")
                self.coverage = [trip.coverage(self.platform)]
            if outcome.status == "complete":
                self._judge(outcome)
            write_coverage(self.kit.log, self.coverage)
            self._keep_heat(trips)
        except ShengwenError as error:
            logger.error("%s: the end of the run could not be written: %s", self.platform, error)
            outcome.status, outcome.reason = "failed", str(error)
        self.kit.ledger.finish(outcome.status, outcome.signal, outcome.reason)

    def _keep_heat(self, trips: Sequence[Trip]) -> None:
        """Note how lively each target was, and so when it is looked at next; one that was not reached stays due."""
        book, now = self.kit.ledger.heats, self.kit.clock.now()
        before = book.all()
        for trip in trips:
            if trip.pages == 0 and trip.status == "partial":
                continue
            key, bounds = trip.target.key, self.here.crawl_every or DEFAULT_BOUNDS
            whole = trip.status == "complete"
            book.keep(key, looked(before.get(key), new=trip.new, whole=whole, now=now, bounds=bounds, key=key))

    def _judge(self, outcome: Outcome) -> None:
        """The run is as whole as its targets: failed only when none of them could be read."""
        short = [record for record in self.coverage if record.status != "complete"]
        if short:
            failed = all(record.status == "failed" for record in self.coverage)
            outcome.status, outcome.reason = "failed" if failed else "partial", short[0].reason

    # -- reading ------------------------------------------------------------------------------------------------

    def read(self, payload: Payload, trip: Trip, lane: ListPass) -> Reading:
        """Parse one payload of one list and take its items. Raises PlatformStopped on a stop signal."""
        try:
            page = self.parsed(payload)
        except PlatformStopped as stopped:
            if stopped.page is not None and stopped.page.mentions:  # a wall that shows a few records before it
                self._take(stopped.page, payload, trip, lane)
            elif stopped.page is not None:
                trip.look(stopped.page)
            raise
        return Reading(page, self._take(page, payload, trip, lane))

    def _take(self, page: Page, payload: Payload, trip: Trip, lane: ListPass) -> Taken:
        """Take the items of a page that is parsed already, and count them."""
        trip.look(page)
        lane.recognise(page)
        taken = self.kit.pipeline.take(page, payload, query=trip.query, parser=page.endpoint, since=lane.since)
        trip.count(taken)
        return taken

    def parsed(self, payload: Payload) -> Page:
        """Parse one payload. Raises PlatformStopped on a stop signal."""
        page = parse(self.platform, payload)
        if payload.url is not None:  # else it stands for where the browser was led, which is told elsewhere
            self.kit.audit.answered(payload, page.signal)
        if page.signal in STOP_SIGNALS:
            head = mask(payload.body[:120].decode("utf-8", "replace"))
            logger.info(
                "%s %s: HTTP %s, %s bytes, sha256 %s, begins %r",
                self.platform,
                page.endpoint,
                payload.status,
                len(payload.body),
                payload.sha256,
                head,
            )
            raise PlatformStopped(page.signal, f"{page.endpoint}: {page.reason}", page)
        return page

    @contextmanager
    def passing(
        self,
        key: str,
        trip: Trip,
        *,
        newest_first: bool = False,
        claim: int | None = None,
        reach: int | None = None,
        trusted: bool = False,
        counted: bool = True,
    ) -> Iterator[ListPass]:
        """One pass through one list (see :class:`ListPass`); settled in the ledger when it came to its end.

        ``claim``: how many the platform says there are, where known beforehand.
        """
        since = self.kit.ledger.list_state(key)
        lane = ListPass(
            key=key,
            since=since,
            cap=self.here.page_cap,
            newest_first=newest_first and not self._full_pass_due(since),
            total=claim,
            claimed=claim is not None,
            reach=reach,
            trusted=trusted,
            horizon=self._horizon(key, since),
            counted=counted,
            repeats=self.repeats,
        )
        trip.lanes.append(lane)
        yield lane  # an exception leaves the lane open: nothing is settled
        if lane.ended and trip.may_settle(lane):
            self.kit.pipeline.flush()
            self.kit.ledger.settle(key, lane.total, full=lane.ended == "end" or lane.split)

    def _full_pass_due(self, since: ListState) -> bool:
        if since.full_at is None:
            return True
        return self.kit.clock.now() - since.full_at >= timedelta(hours=self.here.full_pass_hours)

    def _horizon(self, key: str, since: ListState) -> datetime | None:
        """Down to when known items are read again in this pass; None: they are not."""
        now = self.kit.clock.now()
        depth = reading_depth(self.here.revisit_hours, key, since.settled_at, now)
        return now - depth if depth else None

    def comments_due(self, key: str, replies: int | None, born: datetime | None) -> bool:
        """Whether a list below an item must be read: never read to its end, its count changed, or it has come of an age
        at which it is looked at again (``born``: the item's own time)."""
        state = self.kit.ledger.list_state(key)
        if state.settled_run == 0 or state.settled_at is None:
            return replies != 0
        if replies is not None and replies != state.total:
            return True
        ladder, now = self.here.revisit_hours, self.kit.clock.now()
        if look_due(ladder, born, state.settled_at, now):
            return True
        # Beyond the ladder a changed count tells; where none is shown, the longest step does.
        return replies is None and look_due(ladder, None, state.settled_at, now)

    # -- manners ------------------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """Take one page out of the budgets, before requesting it. Raises BudgetSpent, also in quiet hours."""
        here = self.here
        if (until := self._quiet_until()) is not None:
            raise BudgetSpent(f"quiet_hours：安静时段，到北京时间 {until.astimezone(BEIJING):%H:%M} 为止")
        if self._pages >= here.pages_per_run:
            raise BudgetSpent(f"pages_per_run：这一次已读 {here.pages_per_run} 页")
        if not self.kit.ledger.budgets.spend(here.requests_per_hour, here.pages_per_day):
            if self.kit.ledger.budgets.pages_today() >= here.pages_per_day:
                raise BudgetSpent(f"pages_per_day：今天已读 {here.pages_per_day} 页")
            raise BudgetSpent(f"requests_per_hour：一小时内已请求 {here.requests_per_hour} 次")
        self._pages += 1

    def _quiet_until(self) -> datetime | None:
        """The end of the quiet hours, when a request that is given out now could begin in them."""
        spans, now = quiet_spans(self.here.quiet_hours), self.kit.clock.now()
        # Scrapy waits for the pause before it sends, and sends again, twice, what broke off.
        latest = now + timedelta(seconds=3 * self.here.pause[1] + 2 * self.here.timeout)
        return quiet_until(spans, now) or quiet_until(spans, latest)

    async def pause(self) -> None:
        """Wait as long as a reader would."""
        low, high = self.here.pause
        if high > 0:
            await asyncio.sleep(random.uniform(low, high))  # noqa: S311 - manners, not secrets

    async def download(self, request: Request) -> Response:
        """Fetch by Scrapy, counting what fails. Raises RobotsRefused, FetchFailed, SourceDown."""
        request.meta.setdefault("download_slot", self.platform)
        asked: Asked = request.meta.setdefault(META, Asked())
        engine = self.crawler.engine
        if engine is None:
            raise SourceDown("采集程序正在退出")
        try:
            response = await engine.download_async(request)
        except IgnoreRequest as error:
            if "robots.txt" in str(error):
                raise RobotsRefused(f"robots.txt 不允许读 {stored_url(request.url)}") from error
            raise self._failed("too_large", error, request, asked) from error
        except DownloadCancelledError as error:  # Scrapy cancels what outgrows DOWNLOAD_MAXSIZE, and nothing else
            raise self._failed("too_large", error, request, asked) from error
        except Exception as error:  # whatever Twisted, Scrapy or the browser raise for a broken fetch
            raise self._failed(type(error).__name__, error, request, asked) from error
        if response.status not in FAULTS:
            self._failures = 0
        return response

    def fault_of(self, payload: Payload) -> str | None:
        """The kind of failure, when the platform's servers failed and said nothing of their own; audited then."""
        if not server_failed(self.platform, payload):
            return None
        self.kit.audit.answered(payload, "failed")
        return f"http_{payload.status}"

    def _failed(self, kind: str, error: Exception, request: Request, asked: Asked) -> ShengwenError:
        if asked.open:  # it was answered, and the answer could not be unpacked
            self.kit.audit.failed(request.method, self.here.real(request.url), kind)
        return self.failed(kind, str(error).splitlines()[0] if str(error) else "")

    def failed(self, kind: str, message: str) -> ShengwenError:
        """Count a failed fetch; what to raise: FetchFailed, or SourceDown after too many in a row."""
        self._failures += 1
        stats = self.crawler.stats
        if stats is not None:
            stats.inc_value(f"fetch_failed/{kind}")
        message = told(message)[:200]
        logger.warning("%s: fetch failed (%s): %s", self.platform, kind, message)
        if self._failures >= FAILURES_IN_ROW:
            return SourceDown(f"连续 {self._failures} 次没有取到，最后一次：{kind}")
        return FetchFailed(kind, message)
