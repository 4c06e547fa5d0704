"""A keyword is searched for in the browser, newest first where the page sorts so, and what is found is opened.

Everything is scrolled and clicked as a reader does; what the page loads is what is read. A search that does not show
all it has is read in parts (:mod:`crawlers.search_parts`).
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar
from urllib.parse import urlsplit

from crawlers.base import FAILURES_IN_ROW, Reading
from crawlers.browser import PATIENCE, BrowserSpider, Visit
from crawlers.config import Target
from crawlers.errors import FetchFailed, PlatformStopped, SourceDown
from crawlers.payload import Page, Payload
from crawlers.pipeline import mention_id
from crawlers.search_parts import WHOLE, Axis, Option, Part, SearchParts, click
from crawlers.trip import ListPass, Trip
from ingest.draft import Draft

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Search:
    """A search in progress, or a part of one: the posts found, newest first where the platform sorts so.

    ``asked``: the filters of its latest answer; ``met``: its last page held nothing that was not streamed before.
    ``shown``: the beginning of the list, where the search page itself holds it, until it is read: before what the page
    asks for, or when it has asked for nothing.
    """

    lane: ListPass
    part: Part = WHOLE
    incremental: bool = False
    """Once it is sorted by time, what was settled ends it."""
    hits: dict[str, Draft] = field(default_factory=dict)
    by_time: bool = False
    asked: Mapping[str, str] | None = None
    met: bool = False
    shown: tuple[Page, Payload] | None = None

    def shows(self, part: Part) -> bool:
        """Whether the page shows this part by now."""
        return self.asked is not None and part.asked.items() <= self.asked.items()


class SearchSpider(BrowserSpider):
    """A keyword is searched for in the browser; subclasses say how what it finds is read (:meth:`_open`).

    They name addresses and the few places of the page that a reader touches (CSS, or a button's words).
    """

    hit_kinds: ClassVar[frozenset[str]]
    """Of the mentions that a search shows, those that it is about."""
    search_path: ClassVar[re.Pattern[str]]
    search_pane: ClassVar[str]
    newest: ClassVar[re.Pattern[str]]
    """The words on what sorts a search by time."""
    filters: ClassVar[re.Pattern[str]]
    """The words on what opens the panel of a search's filters."""
    axes: ClassVar[Sequence[Axis]]
    """The filters of a search, by which it is split where it is cut off."""
    search_depth: ClassVar[int | None]
    """Pages after which the platform ends any search, where it is known to."""

    @abstractmethod
    def search_url(self, keyword: str) -> str:
        """The search page."""

    @abstractmethod
    def sorted_by_time(self, payload: Payload) -> bool:
        """Whether a search's answer was asked for newest first."""

    @abstractmethod
    def asked(self, payload: Payload) -> Mapping[str, str]:
        """The filters that a search's answer was asked for with, by the fields of :attr:`axes`."""

    @abstractmethod
    async def _open(self, hit: Draft, trip: Trip) -> None:
        """Read what a search found, and what was said below it. Raises FetchFailed when it cannot be read."""

    async def crawl(self, target: Target, trip: Trip) -> None:
        keyword = target.need("keyword")
        tried: set[str] = set()

        async def one(part: Part, lane: ListPass) -> bool:
            return await self._read(f"{keyword} {part.word}".rstrip(), Search(lane, part), trip, tried)

        parts = SearchParts(self, target.key, self.axes, self.here.words_beside(keyword), self.search_depth)
        with self.passing(target.key, trip, newest_first=True, counted=False) as lane:
            search = Search(lane, incremental=lane.newest_first)
            await self._read(keyword, search, trip, tried)
            parts.note(lane, trip, met=search.met)
        await parts.read(trip, one)

    async def _read(self, query: str, search: Search, trip: Trip, tried: set[str]) -> bool:
        """Read a search, or a part of it, and what is due of the posts that it finds; each once in ``tried``.

        False where the page does not offer the part.
        """
        try:
            if not await self._search(query, search, trip):
                return False
        except FetchFailed as error:
            if not search.hits:
                raise
            trip.notes.append(f"搜索中断（{error.kind}）")  # what it found so far may be well
        failed = 0
        for found, hit in search.hits.items():
            if found in tried or not self._due(hit):
                continue
            tried.add(found)
            try:
                await self._open(hit, trip)
                failed = 0
            except FetchFailed as error:  # the other posts may be well
                trip.notes.append(f"{hit.kind} {hit.native_id} 没有读到（{error.kind}）")
                failed += 1
                if failed >= FAILURES_IN_ROW:
                    raise SourceDown(f"连续 {failed} 篇没有读到，最后一篇：{error}") from error
        return True

    def _due(self, hit: Draft) -> bool:
        """Whether a post must be opened: comments changed, it is of age, or it is known as a stub only."""
        if self.comments_due(self._key(hit), self._claim(hit), hit.created_at):
            return True
        return hit.partial and not self.kit.ledger.known([mention_id(hit)])

    @staticmethod
    def _key(hit: Draft) -> str:
        return f"comments:{hit.kind}:{hit.native_id}"

    def _claim(self, hit: Draft) -> int | None:
        """How many comments a hit says it has."""
        return hit.replies

    # -- the search ---------------------------------------------------------------------------------------------

    async def _search(self, query: str, search: Search, trip: Trip) -> bool:
        lane = search.lane
        lane.repeats = BrowserSpider.repeats  # also where the hits are then read by plain requests

        def take(payload: Payload) -> None:
            if not self.search_path.search(urlsplit(payload.url or "").path):
                shown = self.parsed(payload)
                search.shown = (shown, payload) if shown.mentions and not search.by_time else None
                if lane.pages > 0:
                    self._shown(search, trip)
                return
            self._shown(search, trip)  # what the page asks for may go on from there
            search.asked = self.asked(payload)
            if search.part.options and not search.shows(search.part):
                self.parsed(payload)  # before its filters were chosen
                return
            by_time = self.sorted_by_time(payload)
            if search.by_time and not by_time:
                return  # a late answer of the first sorting
            if by_time and not search.by_time:
                search.by_time, lane.pages = True, 0
                lane.ids.clear()
                lane.ended = None
            trip.pages += 1
            self._found(search, self.read(payload, trip, lane))

        for patience in (min(PATIENCE, self.here.timeout), self.here.timeout):
            async with self.visit(self.search_url(query), take) as visit:
                if await visit.until(lambda: search.asked is not None, patience) or self._shown(search, trip):
                    if search.part.options:
                        if not await self._choose(visit, search):
                            return False
                    elif not search.by_time:
                        await self._sort(visit, search)
                    await self._to_the_end(visit, lane, self.search_pane)
                    return True
            await self.pause()  # then one careful reload
        raise PlatformStopped("unknown", "搜索页打开了，却没有加载出能读的内容")

    def _shown(self, search: Search, trip: Trip) -> bool:
        """Read what the search page itself holds, once; False when it holds nothing."""
        if search.shown is None:
            return False
        (page, payload), search.shown = search.shown, None
        if search.part.options:
            return True  # it is of the whole search, and of none of its parts
        trip.pages += 1
        self._found(search, Reading(page, self._take(page, payload, trip, search.lane)))
        return True

    def _found(self, search: Search, reading: Reading) -> None:
        """Take note of one page of the search."""
        hits = {mention_id(d): d for d in reading.page.mentions if d.kind in self.hit_kinds}
        search.hits.update(hits)
        search.met = bool(reading.taken.ids) and not reading.taken.fresh
        reading.taken.unsettled += [found for found, hit in hits.items() if self._due(hit)]
        search.lane.newest_first = search.incremental and search.by_time
        search.lane.saw(reading.page, reading.taken)

    async def _sort(self, visit: Visit, search: Search) -> None:
        """Ask for the newest first, where the page offers it: beside the search, or in the panel of its filters."""
        button = visit.page.get_by_text(self.newest).locator("visible=true").first
        in_panel = next(option for axis in self.axes for option in axis.options if option.newest)
        there = await button.count() > 0
        if there or await visit.page.get_by_text(self.filters).count():
            await self.pause()
            await self.turn()
            if await (visit.click(button) if there else self._click(visit, in_panel)):
                await visit.until(lambda: search.by_time)

    async def _choose(self, visit: Visit, search: Search) -> bool:
        """Click a part's filters, one by one; False where the page does not offer one, or does not follow it."""
        part = Part()
        for option in search.part.options:
            part = part.plus(option)
            await self.pause()
            await self.turn()
            there = await self._click(visit, option)
            if not there or not await visit.until(lambda: search.shows(part)):  # noqa: B023 - awaited here
                logger.warning("%s: the search page does not offer %s", self.platform, part.name)
                return False
        return True

    async def _click(self, visit: Visit, option: Option) -> bool:
        """Choose one filter; False where the page does not offer it."""
        return await click(visit, self.filters, option)

    async def _to_the_end(self, visit: Visit, lane: ListPass, pane: str) -> None:
        while lane.ended is None:
            if lane.pages >= lane.cap:
                lane.ended = "cap"
            elif not await visit.more(lambda: visit.scroll(pane), lambda: lane.pages):
                raise FetchFailed("stalled", f"{lane.key} 读了 {lane.pages} 页后不再加载")
