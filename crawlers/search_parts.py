"""A search that shows fewer results than it has is read in parts: by the filters of its own page, then by word.

A search counts nothing and simply ends, so what says that it was cut off is where it ended (:func:`cut_off`). Its parts
are then read one by one, each as a reader would: open the page, click the filters, scroll. A part that is cut off as
well is split further, along the axes in the order that the platform's spider names them:

* **parts**: kinds of posts that exclude each other and leave nothing out. Where all of them fit, nothing is missing.
* **windows**: times of publication, the widest first; one that fits makes the narrower ones needless.
* **orders**: other sortings show other results of a list that stays cut off.

What is cut off in the end is searched again together with each of a few words. What stays cut off is told to the trip
(:attr:`ingest.coverage.Coverage.cut_off`): how many results are missing, no platform says.

It takes many pages, so it happens at most every ``full_pass_hours``, and a run that ends in the midst of it, by its
budget or by force, is gone on with: the parts done are noted in :class:`crawlers.places.Places` after each part.

How a spider uses it (:class:`crawlers.searching.SearchSpider` does)::

    parts = SearchParts(self, target.key, AXES, words=self.split_words(keyword), depth=11)
    with self.passing(target.key, trip, newest_first=True, counted=False) as lane:
        ...                                       # the whole search, and what is opened from it
        parts.note(lane, trip)                    # before the pass is settled
    await parts.read(trip, one)                   # one(part, lane): False where the page does not offer the filters

where ``one`` opens the search for the keyword and ``part.word``, clicks each of ``part.options`` (:func:`click`) and
reads what the page then loads into ``lane``, leaving out answers that were not asked for as ``part.asked`` says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from crawlers.base import FAILURES_IN_ROW, PlatformSpider
from crawlers.errors import FetchFailed, SourceDown
from crawlers.trip import ListPass, Trip

if TYPE_CHECKING:
    from crawlers.browser import Visit

Kind = Literal["parts", "windows", "orders"]
Result = Literal["fits", "cut", "none"]
"""Read to its end · cut off as well · the page did not offer it."""

ALL: Final = "全部"
"""What people read for a search without any filter."""
_APPEARS: Final = 2_000
"""Milliseconds that a panel of filters is given to show."""


@dataclass(frozen=True, slots=True)
class Option:
    """One filter of a page. ``title`` stands above its group, ``words`` on itself; a request that was made with it says
    ``value`` for ``field``. ``newest``: the sorting by time."""

    title: str
    words: str
    field: str
    value: str
    newest: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """Options of which one may be chosen (see the module); ``options`` of ``windows`` begin with the widest."""

    kind: Kind
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One way to see a search: with these filters, and with this word beside the keyword."""

    options: tuple[Option, ...] = ()
    word: str = ""

    @property
    def name(self) -> str:
        """Names it for ever, and for people."""
        chosen = "+".join(option.words for option in self.options) or ALL
        return f"{self.word}：{chosen}" if self.word else chosen

    @property
    def asked(self) -> Mapping[str, str]:
        """What requests for it say."""
        return {option.field: option.value for option in self.options}

    def plus(self, option: Option) -> Part:
        return Part((*self.options, option), self.word)


WHOLE: Final = Part()


def cut_off(lane: ListPass, depth: int | None) -> bool:
    """Whether a pass ended where there was more: at our own cap, in a circle that went on promising more, or, though
    the platform called it the end, as deep as it shows any search (``depth`` pages)."""
    if lane.ended == "end":
        return depth is not None and lane.pages >= depth
    return lane.ended in ("cap", "repeat")


@dataclass(frozen=True, slots=True)
class Tree:
    """Which parts there are, given what came of those that were read (part's name -> result)."""

    axes: Sequence[Axis]
    words: Sequence[str]

    def next(self, results: Mapping[str, Result], tried: set[str]) -> Part | None:
        """The part to read next; those ``tried`` in vain are not offered again."""
        parts = self._parts(results)
        return next((part for part in parts if part.name not in results and part.name not in tried), None)

    def left(self, results: Mapping[str, Result], part: Part = WHOLE) -> tuple[str, ...]:
        """What stays cut off, in words: the widest parts that were not seen whole."""
        if results.get(part.name) == "fits":
            return ()
        if part.name in results or part == WHOLE:
            for axis in self._axes_below(part):
                children = [part.plus(option) for option in axis.options]
                if axis.kind == "parts" and any(results.get(child.name, "none") != "none" for child in children):
                    return tuple(name for child in children for name in self.left(results, child))
                seen = [option for option in axis.options if results.get(part.plus(option).name) == "fits"]
                if axis.kind == "windows" and seen:
                    return (f"{part.name}（{seen[0].words}的看全了）",)
        return (part.name,)

    def _parts(self, results: Mapping[str, Result]) -> Iterator[Part]:
        yield from self._below(WHOLE, results)
        if self.left(results):
            for word in self.words:
                part = Part(word=word)
                yield part
                if results.get(part.name) == "cut":
                    yield from self._below(part, results)

    def _below(self, part: Part, results: Mapping[str, Result]) -> Iterator[Part]:
        for axis in self._axes_below(part):
            offered = False
            for child in (part.plus(option) for option in axis.options if not self._idle(axis, option, part)):
                yield child
                result = results.get(child.name)
                offered = offered or result != "none"
                if result == "cut":
                    yield from self._below(child, results)
                elif axis.kind == "windows" and result != "none":
                    break  # it fits, so do those within it
            if axis.kind == "parts" and offered:
                return  # they hold everything between them, and are split further each by itself

    def _axes_below(self, part: Part) -> Sequence[Axis]:
        used = [n for n, axis in enumerate(self.axes) if any(option in axis.options for option in part.options)]
        return self.axes[max(used, default=-1) + 1 :]

    def _idle(self, axis: Axis, option: Option, part: Part) -> bool:
        """Whether a part would show nothing else: the newest of a window are the newest of all."""
        windows = [one for axis in self.axes if axis.kind == "windows" for one in axis.options]
        return axis.kind == "orders" and option.newest and any(chosen in windows for chosen in part.options)


@dataclass(slots=True)
class SearchParts:
    """The search whose whole list is ``key``. ``depth``: pages after which the platform ends any search, null where it
    does not; ``words``: what to search for beside the keyword."""

    spider: PlatformSpider
    key: str
    axes: Sequence[Axis]
    words: Sequence[str] = ()
    depth: int | None = None

    def note(self, lane: ListPass, trip: Trip, *, met: bool = False) -> None:
        """To be called when the whole search's pass has ended, before it is settled: begins the parts where it was cut
        off. ``met``: its last page held nothing new, so an incremental pass has not left a gap."""
        places = self.spider.kit.ledger.places
        if lane.ended is None or lane.ended == "settled" or (lane.newest_first and met):
            return
        if not cut_off(lane, self.depth):
            if not lane.newest_first:
                places.drop(self._notes)
            return
        place = places.get(self._notes)
        if place is None or (place["end"] is not None and self._due(datetime.fromisoformat(place["end"]))):
            self.spider.kit.pipeline.flush()
            places.keep(self._notes, {"done": {}, "end": None})
        elif place["end"] is not None and lane.newest_first:
            trip.notes.append("搜索还没遇到已知的内容就被截断了")
        lane.split = True

    async def read(self, trip: Trip, one: Callable[[Part, ListPass], Awaitable[bool]]) -> None:
        """Read the parts that are not read yet, and tell the trip what stays cut off.

        ``one`` reads a part, or returns False where the page does not offer it. Raises what it raises, but not
        FetchFailed: that part is read by the next run. Raises SourceDown for several of those in a row.
        """
        places = self.spider.kit.ledger.places
        place = places.get(self._notes)
        if place is None:
            return
        tree, tried = Tree(self.axes, self.words), set[str]()
        done: dict[str, Result] = place["done"]
        trip.cut_off = tree.left(done)
        failed = 0
        while place["end"] is None:
            part = tree.next(done, tried)
            if part is None:
                if tree.next(done, set()) is None:
                    place["end"] = self.spider.kit.clock.now().isoformat()
                    places.keep(self._notes, place)
                break
            tried.add(part.name)
            try:
                result = await self._one(part, trip, one)
            except FetchFailed as error:
                trip.notes.append(f"{self.key}，{part.name}：没有读到（{error.kind}）")
                failed += 1
                if failed >= FAILURES_IN_ROW:
                    raise SourceDown(f"搜索的连续 {failed} 个部分没有读到，最后一个：{error}") from error
                continue
            failed = 0
            if result is not None:
                done[part.name] = result
                self.spider.kit.pipeline.flush()
                places.keep(self._notes, place)
                trip.cut_off = tree.left(done)

    async def _one(self, part: Part, trip: Trip, one: Callable[[Part, ListPass], Awaitable[bool]]) -> Result | None:
        """What came of a part; None when something of it could not be read."""
        with self.spider.passing(f"{self.key}#{part.name}", trip, counted=False) as lane:
            lane.split = True
            if not await one(part, lane):
                lane.ended = "end"
                return "none"
        if lane.ended is None or not trip.may_settle(lane):
            return None
        return "cut" if cut_off(lane, self.depth) else "fits"

    def _due(self, last: datetime) -> bool:
        return self.spider.kit.clock.now() - last >= timedelta(hours=self.spider.here.full_pass_hours)

    @property
    def _notes(self) -> str:
        return f"{self.key}#parts"


async def click(visit: Visit, opener: re.Pattern[str], option: Option) -> bool:
    """Choose a filter as a reader does, opening the panel that holds it; False where the page does not offer it.

    The panel is found by its words: ``opener`` is on what opens it, by the pointer or by a click.
    """
    from playwright.async_api import Error

    page = visit.page
    group = page.get_by_text(option.title, exact=True).locator("xpath=..")
    choice = group.get_by_text(option.words, exact=True).locator("visible=true").first
    button = page.get_by_text(opener).locator("visible=true").first
    try:
        if not await choice.count():
            if not await button.count():
                return False
            await button.hover(timeout=_APPEARS)
            if not await _shows(choice.wait_for(timeout=_APPEARS)):
                await button.click(timeout=_APPEARS)
                await choice.wait_for(timeout=_APPEARS)
    except Error:
        return False
    return await visit.click(choice)


async def _shows(waiting: Awaitable[None]) -> bool:
    from playwright.async_api import TimeoutError as TimedOut

    try:
        await waiting
    except TimedOut:
        return False
    return True


__all__ = ["ALL", "WHOLE", "Axis", "Option", "Part", "SearchParts", "Tree", "click", "cut_off"]
