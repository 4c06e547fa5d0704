"""A list that shows fewer items than it counts is read in parts: other filters and sortings show other items.

The parts are those that the platform's own page offers. Each is read to its end; a part that is cut off as well is read
in another sorting, too. What none of them shows stays out of reach, and is counted (:attr:`ingest.coverage.Coverage.
unreached`). It takes many pages, so it happens after a full pass only, and a run that ends in the midst of it, by its
budget or by force, is gone on with: the ids found and the parts done are noted after each part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crawlers.address import with_params
from crawlers.base import PlatformSpider
from crawlers.http import HttpSpider
from crawlers.trip import ListPass, Trip


@dataclass(frozen=True, slots=True)
class Part:
    """One way to see a list: the parameters that ask for it. ``then``: another sorting, where this one is cut off."""

    name: str
    params: Mapping[str, str]
    then: Mapping[str, str] | None = None


@dataclass(slots=True, kw_only=True)
class CutOff(ABC):
    """The list ``key``, and the parts in which it can be read. How a part is read, subclasses say."""

    spider: PlatformSpider
    key: str
    parts: Sequence[Part]

    @abstractmethod
    def is_cut_off(self, lane: ListPass) -> bool:
        """Whether a list that was read to its end has not shown what it counts."""

    @abstractmethod
    async def read_part(self, part: Part, lane: ListPass, trip: Trip) -> None:
        """Read one part to its end."""

    def note(self, lane: ListPass) -> None:
        """To be called when the list's own pass has ended, before it is settled: begins the parts if it was cut off."""
        if lane.ended != "end" or lane.newest_first:
            return  # an incremental pass: the parts were read when the whole list was
        places = self.spider.kit.ledger.places
        if not self.is_cut_off(lane):
            places.drop(self._notes)
            self._settle(0)
            return
        lane.reach = len(lane.all_ids)
        self.spider.kit.pipeline.flush()
        places.keep(
            self._notes, {"total": lane.total, "pages": lane.place, "ids": list(lane.all_ids), "done": [], "cut": []}
        )

    async def read(self, trip: Trip) -> None:
        """Read the parts that are not read yet, and tell the trip what stays out of reach."""
        places = self.spider.kit.ledger.places
        place = places.get(self._notes)
        if place is None:
            trip.unreached += self.spider.kit.ledger.list_state(self._unreached).total or 0
            return
        total, ids = int(place["total"]), dict.fromkeys(place["ids"])
        before = trip.unreached
        trip.unreached = before + max(0, total - len(ids))
        while (part := self._next(place)) is not None and len(ids) < total:
            lane = await self._part(part, trip)
            ids.update(lane.all_ids)
            trip.unreached = before + max(0, total - len(ids))
            place["ids"] = list(ids)
            place["done"].append(part.name)
            if lane.place >= place["pages"]:
                place["cut"].append(part.name)
            places.keep(self._notes, place)
        self._settle(max(0, total - len(ids)))
        places.drop(self._notes)

    def _next(self, place: Mapping[str, Any]) -> Part | None:
        """The part to read next: the filters first, then the other sorting of those that were cut off."""
        again = [
            Part(f"{part.name}+", {**part.params, **part.then})
            for part in self.parts
            if part.then is not None and part.name in place["cut"]
        ]
        return next((part for part in (*self.parts, *again) if part.name not in place["done"]), None)

    async def _part(self, part: Part, trip: Trip) -> ListPass:
        with self.spider.passing(f"{self.key}#{part.name}", trip, counted=False) as lane:
            await self.read_part(part, lane, trip)
        return lane

    @property
    def _notes(self) -> str:
        return f"{self.key}#parts"

    @property
    def _unreached(self) -> str:
        return f"{self.key}#unreached"

    def _settle(self, count: int) -> None:
        """Its claim is what stayed out of reach, until the next full pass."""
        self.spider.kit.ledger.settle(self._unreached, count, full=True)


@dataclass(slots=True, kw_only=True)
class CappedList(CutOff):
    """A list that plain requests read from ``first`` on, ``page_size`` items a page, counted by ``numbered``."""

    spider: HttpSpider
    first: str
    referer: str
    page_size: int
    numbered: str

    def is_cut_off(self, lane: ListPass) -> bool:
        """When its last page has come and all its pages together cannot hold what it counts."""
        return lane.total is not None and lane.total - lane.place * self.page_size >= self.page_size

    async def read_part(self, part: Part, lane: ListPass, trip: Trip) -> None:
        first = with_params(self.first, part.params)
        async for _ in self.spider.walk(lane, trip, first, referer=self.referer, numbered=self.numbered, resumed=True):
            pass


__all__ = ["CappedList", "CutOff", "Part"]
