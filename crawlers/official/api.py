"""One run of one official API: the same parser, pipeline, ledger and coverage as a spider's, without pages."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar, Final

from crawlers.config import OFFICIAL as APIS
from crawlers.config import Platform
from crawlers.fill import FillTally
from crawlers.heat import DEFAULT_BOUNDS, OFFICIAL, looked
from crawlers.kit import Kit
from crawlers.ledger import ListState
from crawlers.official.client import ApiRefused, Call, Client, QuotaSpent, Refusal, Stopped
from crawlers.official.config import ApiSettings, WindowedSettings
from crawlers.official.windows import Lane, Window, lanes, windows
from crawlers.parse import parse
from crawlers.payload import STOP_SIGNALS, Page, Payload
from crawlers.pipeline import Taken
from ingest.coverage import MAX_CUT_OFF, Coverage, Status, write_coverage
from ingest.errors import Retryable, ShengwenError, Unavailable

logger = logging.getLogger(__name__)

NEVER: Final = ListState()


@dataclass(slots=True)
class Tally:
    """One target in one run: what was read of it and how that ended."""

    query: str
    started: datetime
    window: tuple[datetime | None, datetime | None] = (None, None)
    fates: dict[str, str] = field(default_factory=dict)
    dead: int = 0
    pages: int = 0
    missing: int = 0
    """Items that the platform counts and did not give."""
    fill: FillTally = field(default_factory=FillTally)
    lacking: set[str] = field(default_factory=set)
    """What pages lacked although the API promises it."""
    unread: str = ""
    """What beside the list could not be read, in Chinese."""
    cut_off: tuple[str, ...] = ()
    """See :class:`ingest.coverage.Coverage`."""
    status: Status = "complete"
    signal: str = "ok"
    reason: str = ""
    finished: datetime | None = None

    @property
    def shortfall(self) -> str:
        """Why it is not whole, in Chinese; "" when it is."""
        short = [f"有 {self.missing} 条计了数却没有给出"] if self.missing else []
        if self.lacking:
            short.append(f"答复里缺少 {'、'.join(sorted(self.lacking)[:5])}：接口可能变了")
        return "；".join([*short, self.unread] if self.unread else short)

    def look(self, page: Page) -> None:
        """Count what one page's records have, and what it lacks."""
        self.fill.add(page)
        self.lacking.update(page.missing)

    def count(self, taken: Taken) -> None:
        for item in taken.new:
            self.fates[item] = "new"
        for item in taken.duplicate:
            self.fates.setdefault(item, "duplicate")
        self.dead += taken.dead

    def end(self, now: datetime, status: Status, signal: str = "ok", reason: str = "") -> None:
        self.finished, self.status, self.signal, self.reason = now, status, signal, reason

    def coverage(self, source: str) -> Coverage:
        new = sum(fate == "new" for fate in self.fates.values())
        got = len(self.fates) + self.dead
        return Coverage(
            source=source,
            query=self.query,
            window=self.window,
            planned=got + self.missing,
            got=got,
            new=new,
            duplicate=len(self.fates) - new,
            dead=self.dead,
            pages=self.pages,
            cut_off=tuple(name[:100] for name in self.cut_off[:MAX_CUT_OFF]),
            status=self.status,
            signal=self.signal,
            reason=self.reason[:500],
            started_at=self.started,
            finished_at=self.finished or self.started,
            fill=self.fill.fills(),
        )


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is read; ``key`` names its list in the ledger, ``query`` is what people read."""

    key: str
    query: str


class OfficialApi(ABC):
    """One run. Subclasses say what there is to read and how; :meth:`run` never raises on what the platform answers."""

    platform: ClassVar[Platform]
    name: ClassVar[str]
    """In Chinese, for messages."""
    settings: ApiSettings

    def __init__(self, kit: Kit, stop: threading.Event) -> None:
        self.kit = kit
        self.stop = stop
        self.settings = kit.settings.official.of(APIS[self.platform])
        self.status: Status = "complete"
        self.signal = "ok"
        self.reason = ""
        self.coverage: list[Coverage] = []

    @cached_property
    def client(self) -> Client:
        """What requests are made with."""
        return Client(self, self.settings, self.kit.ledger, self.kit.clock, self.stop, audit=self.kit.audit)

    @abstractmethod
    def targets(self) -> Sequence[Target]:
        """What there is to read. May ask the API."""

    @abstractmethod
    def read(self, target: Target, tally: Tally) -> None:
        """Read one target."""

    @abstractmethod
    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        """See :class:`crawlers.official.client.Asked`."""

    # -- the run ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Read every target and write coverage; how it ended is in ``status``, ``signal``, ``reason``."""
        tallies: list[Tally] = []
        try:
            for target in self._ordered():
                tally = Tally(target.query, self.kit.clock.now())
                tallies.append(tally)
                self._one(target, tally)
        except ApiRefused as refused:
            self.kit.book.stop(self.platform, refused.signal, refused.reason)
            logger.warning("%s stopped: %s", self.platform, refused)
            self._end(tallies, "stopped", refused.signal, refused.reason)
        except (QuotaSpent, Stopped) as ended:
            self._end(tallies, "partial", "ok", str(ended))
        except (ShengwenError, OSError) as error:
            logger.error("%s failed: %s", self.platform, error)
            self._end(tallies, "failed", "ok", str(error))
        except Exception as error:
            # A fault of ours must not look like a quiet platform.
            logger.exception("%s failed", self.platform)
            self._end(tallies, "failed", "ok", type(error).__name__)
        finally:
            self.client.close()
        self._close_books(tallies)

    def _ordered(self) -> Sequence[Target]:
        """The target that waited longest first, so that a small quota reaches all of them in turn."""
        states = [(self.kit.ledger.list_state(target.key).settled_at, target) for target in self.targets()]
        never = [target for at, target in states if at is None]
        return never + [t for _, t in sorted(((at, t) for at, t in states if at is not None), key=lambda one: one[0])]

    def _one(self, target: Target, tally: Tally) -> None:
        try:
            self.read(target, tally)
        except (QuotaSpent, Stopped):
            raise
        except Retryable as error:  # the platform failed after all tries; the next target may be well
            tally.end(self.kit.clock.now(), "failed", reason=str(error))
        else:
            short = tally.shortfall
            tally.end(self.kit.clock.now(), "partial" if short else "complete", reason=short)

    def _end(self, tallies: Sequence[Tally], status: Status, signal: str, reason: str) -> None:
        self.status, self.signal, self.reason = status, signal, reason
        if tallies and tallies[-1].finished is None:
            tallies[-1].end(self.kit.clock.now(), status, signal, reason)

    def _close_books(self, tallies: Sequence[Tally]) -> None:
        try:
            self.flush()
            if not tallies:
                tally = Tally(self.name, self.kit.clock.now())
                tally.end(tally.started, self.status, self.signal, self.reason)
                tallies = [tally]
            self.coverage = [tally.coverage(self.platform) for tally in tallies]
            short = [record for record in self.coverage if record.status != "complete"]
            if self.status == "complete" and short:
                failed = all(record.status == "failed" for record in self.coverage)
                self.status, self.reason = "failed" if failed else "partial", short[0].reason
            write_coverage(self.kit.log, self.coverage)
            self._keep_heat()
        except ShengwenError as error:
            logger.error("%s: the end of the run could not be written: %s", self.platform, error)
            self.status, self.reason = "failed", str(error)
        self.kit.ledger.finish(self.status, self.signal, self.reason)

    def _keep_heat(self) -> None:
        """The API as a whole counts as one target: its quota is the platform's, not a product's."""
        book, now = self.kit.ledger.heats, self.kit.clock.now()
        bounds = self.kit.settings.of(self.platform).crawl_every or DEFAULT_BOUNDS
        new, whole = sum(record.new for record in self.coverage), self.status == "complete"
        before = book.all().get(OFFICIAL)
        book.keep(OFFICIAL, looked(before, new=new, whole=whole, now=now, bounds=bounds, key=OFFICIAL))

    # -- reading ----------------------------------------------------------------------------------------------------

    def ask(self, call: Call, tally: Tally, since: ListState = NEVER) -> tuple[Page, Taken]:
        """One answer, parsed and taken. Raises what :meth:`Client.ask` does; ApiRefused for an unknown shape."""
        payload = self.client.ask(call)
        tally.pages += 1
        page = self.parsed(payload)
        tally.look(page)
        page = self.completed(page, payload, tally)
        taken = self.kit.pipeline.take(page, payload, query=tally.query, parser=page.endpoint, since=since)
        tally.count(taken)
        return page, taken

    def completed(self, page: Page, payload: Payload, tally: Tally) -> Page:
        """A page with what its records have elsewhere."""
        return page

    def flush(self) -> None:
        """Make everything taken so far durable."""
        self.kit.pipeline.flush()

    def parsed(self, payload: Payload) -> Page:
        """Parse one answer. Raises ApiRefused for one that is no data."""
        page = parse(self.platform, payload)
        self.kit.audit.answered(payload, page.signal)
        # Where every record broke the page is unknown, too: those are parked and counted, not asked for again.
        if page.signal in STOP_SIGNALS and not page.problems:
            logger.info("%s: %s bytes, sha256 %s: %s", page.endpoint, len(payload.body), payload.sha256, page.reason)
            advice = "应答不是约定的样子，可能是平台改了接口，需要更新解析代码"
            raise ApiRefused(page.signal, f"{self.name}：{advice}（{page.reason}）")
        return page


class WindowedApi(OfficialApi):
    """An API that is asked by windows of creation time, page by page."""

    PAGE_CAP: ClassVar[int]
    """The last page that the platform gives; a window with more is halved."""

    settings: WindowedSettings
    looking_back = False
    """Whether a pass back is under way, for edits and 追评, and not the news."""

    @abstractmethod
    def page_call(self, target: Target, window: Window, page: int) -> Call:
        """The request of one page (from 1) of a window."""

    def read(self, target: Target, tally: Tally) -> None:
        now = self.kit.clock.now()
        longest = timedelta(days=self.settings.window_days)
        ladder = self.kit.settings.of(self.platform).revisit_hours
        for lane in lanes(self.settings, self.kit.ledger, target.key, now, ladder):
            self.looking_back = lane.full
            known = tally.window[0]
            tally.window = (lane.since if known is None else min(lane.since, known), lane.until)
            for window in windows(lane.since, lane.until, longest):
                self._window(target, window, tally)
                self._settle(lane, window)

    def _settle(self, lane: Lane, window: Window) -> None:
        self.flush()  # the watermark never runs ahead of the log
        done = window.until >= lane.until
        self.kit.ledger.settle(lane.key, None, full=lane.full and done, through=window.until)

    def _window(self, target: Target, window: Window, tally: Tally) -> None:
        seen: set[str] = set()
        number, dead = 1, tally.dead
        while True:
            page, taken = self.ask(self.page_call(target, window, number), tally)
            repeats = bool(taken.ids) and seen.issuperset(taken.ids)
            seen.update(taken.ids)
            if page.next is None or repeats:
                break
            if number >= self.PAGE_CAP:
                halves = window.halves()
                if halves is None:
                    tally.missing += max(1, (page.total or 0) - len(seen))
                    return
                for half in halves:
                    self._window(target, half, tally)
                return
            number += 1
        if page.total is not None:
            tally.missing += max(0, page.total - len(seen) - (tally.dead - dead))


__all__ = ["OfficialApi", "Tally", "Target", "Unavailable", "WindowedApi"]
