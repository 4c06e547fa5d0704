"""What has been seen of one product's page so far, while a reader goes through it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Final

from crawlers.payload import Page, Payload
from crawlers.trip import ListPass
from ingest.draft import Draft

Heard = tuple[Page, Payload]

_SEVERAL: Final = 5
"""So many reviews in order of time are so by no accident."""
_SPOKEN: Final = re.compile(r"[\u4e00-\u9fffA-Za-z0-9，。！？、]{4,16}")


@dataclass(slots=True)
class Shelf:
    """A product's page in progress. ``part``: one of the page's filters is read, not the whole list.

    ``ahead``, ``first``, ``asked``: what the page loaded before anybody asked: its list of reviews, its first screen,
    its questions. ``answers`` counts the pages of the list that came, whatever their sorting.
    """

    lane: ListPass
    incremental: bool
    part: bool = False
    opened: bool = False
    sorting: bool = False
    by_time: bool = False
    ahead: list[Heard] = field(default_factory=list)
    first: list[Heard] = field(default_factory=list)
    asked: list[Heard] = field(default_factory=list)
    answers: int = 0
    stale: bool = False
    """The last page held nothing new."""
    oldest: datetime | None = None
    spoken: str = ""
    """Words of the last review or question that the page has shown."""
    questions: ListPass | None = None
    below: ListPass | None = None
    due: list[Draft] = field(default_factory=list)
    gone: bool = False

    @property
    def heard(self) -> bool:
        return self.gone or bool(self.answers or self.ahead or self.first)

    def restart(self) -> None:
        """The page asks for the first page of its list anew: another sorting or filter was chosen."""
        lane = self.lane
        lane.pages, lane.ended, lane.newest_first = 0, None, self.incremental
        lane.ids.clear()
        self.oldest, self.by_time = None, self.sorting

    def in_order(self, page: Page) -> bool:
        """Whether the list comes newest first, as far as its dates tell."""
        times = [draft.created_at for draft in page.mentions if draft.created_at is not None]
        chain = [*([self.oldest] if self.oldest is not None else []), *times]
        self.oldest = chain[-1] if chain else None
        falling = all(one >= other for one, other in pairwise(chain))
        return falling and (self.by_time or len(times) >= _SEVERAL)

    def spoke(self, page: Page) -> None:
        for draft in page.mentions:
            self.spoken = spoken(draft) or self.spoken


def spoken(draft: Draft) -> str:
    """Some words of it that a page shows as they are; "" where it has none."""
    found = _SPOKEN.search(draft.text)
    return found[0] if found else ""
