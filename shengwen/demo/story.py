"""The seeded story that the replica shows: eight ordinary weeks of an invented radiator brand, then a batch failure.

    story = Story(seed=7, start=clock.now())
    story.visible(now)                 what exists at ``now``, oldest first
    story.begin_turn(now)              K20-3 valves begin to leak: about 45 reports within a minute
    story.targets()                    SKUs, item ids, keywords, question ids to crawl

The same seed, start and turn tell the same story, ids included. Ordinary mentions go on after ``start`` for two weeks
in the same rhythm. Everything is invented; see :mod:`shengwen.demo.cast` for the names.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from shengwen.demo.cast import TARGETS, Targets
from shengwen.demo.history import Essays, Shops, Threads
from shengwen.demo.items import Item
from shengwen.demo.rhythm import AFTER, BEFORE, Rhythm
from shengwen.demo.turn import failure


class Story:
    """Thread-safe; reading never blocks on telling.

    ``start`` is when the demo begins (aware); ``turn`` when the failure begins, or None until :meth:`begin_turn`.
    """

    def __init__(self, seed: int, start: datetime, turn: datetime | None = None) -> None:
        if start.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        self.seed = seed
        self.start = start.astimezone(UTC).replace(microsecond=0)
        self._lock = threading.Lock()
        self._ordinary = _ordinary(seed, self.start)
        self._items: tuple[Item, ...] = self._ordinary
        self._turn: datetime | None = None
        if turn is not None:
            self.begin_turn(turn)

    @property
    def turn(self) -> datetime | None:
        """When the failure began or will begin (UTC), None before it is decided."""
        return self._turn

    def begin_turn(self, at: datetime) -> None:
        """Let the failure begin at ``at``. Once it is set it stays: a second call changes nothing."""
        if at.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        with self._lock:
            if self._turn is not None:
                return
            at = at.astimezone(UTC)
            told = [item for item in self._ordinary if item.created_at <= at]
            self._items = tuple(sorted((*self._ordinary, *failure(self.seed, at, told)), key=_order))
            self._turn = at

    def visible(self, now: datetime) -> Sequence[Item]:
        """All items that exist at ``now``, oldest first, each as it looked then (追评 and answers come later)."""
        items = self._items
        end = bisect_right(items, now, key=lambda item: item.created_at)
        return [item.as_of(now) for item in items[:end]]

    def targets(self) -> Targets:
        """What to crawl to reach every item."""
        return TARGETS


def _order(item: Item) -> tuple[datetime, str]:
    return item.created_at, item.native_id


def _ordinary(seed: int, start: datetime) -> tuple[Item, ...]:
    begin, end = start - BEFORE, start + AFTER

    def stream(name: str) -> tuple[Random, Rhythm]:
        # A stream of its own for each platform: a sentence added to one does not change the others.
        rng = Random(f"{seed}:{name}")  # noqa: S311 - a story, not a secret
        return rng, Rhythm(begin, end, rng)

    jd, tmall = Shops("jd", *stream("jd")), Shops("tmall", *stream("tmall"))
    told = [*jd.reviews(), *jd.questions(), *tmall.reviews()]
    for kind in ("post", "video"):
        rng, rhythm = stream(kind)
        told += Threads("post" if kind == "post" else "video", rng).tell(rhythm)
    told += Essays(*stream("zhihu")).tell()
    ordered = sorted((item for item in told if item.created_at < end), key=_order)
    return _apart(ordered)


def _apart(items: list[Item]) -> tuple[Item, ...]:
    """Leave out an item whose text equals its neighbour's (two default reviews in a row), unless others hang on it."""
    needed = {item.parent_id for item in items} | {item.root_id for item in items}
    kept: list[Item] = []
    for item in items:
        if kept and kept[-1].text == item.text:
            if item.native_id not in needed:
                continue
            if kept[-1].native_id not in needed:
                kept.pop()
        kept.append(item)
    return tuple(kept)
