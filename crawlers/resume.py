"""Going on with a pass through a long list where it was cut off, by its budget or by kill -9.

For lists with numbered pages, newest first or in another lasting order. Every few pages, and when a run ends early, the
page just read is noted, once all of it is in the log. The next pass reads from the first page until something known
turns up (so all news are read), then jumps to the noted page. New items only push a page's items deeper, so nothing
lies between; when nothing on that page is known, the list has changed otherwise, and the pass goes on from the top.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from crawlers.address import params_of, with_params
from crawlers.kit import Kit
from crawlers.pipeline import Taken
from crawlers.trip import ListPass

KEEP_EVERY: Final = 5
"""Pages between two notes: so many are read twice at most after a kill -9."""
GOOD_FOR: Final = timedelta(days=1)
"""An older note is not gone by: edits of what was read then are due again."""


class Resumption:
    """One pass through one numbered list."""

    def __init__(self, kit: Kit, lane: ListPass, first: str) -> None:
        self._kit = kit
        self._lane = lane
        self._first = first
        self._key = f"{lane.key}#at"
        self._here: str | None = None
        self._back: str | None = None
        self._jumped = False
        self._stays = False
        self._noted = kit.ledger.places.get(self._key)
        if self._noted is not None and kit.clock.now() - datetime.fromisoformat(self._noted["at"]) > GOOD_FOR:
            self._noted = None
        self._kept = 0

    def after(self, here: str, following: str | None, taken: Taken) -> str | None:
        """A page was read; where to go from there: to ``following``, or to where the pass stood."""
        known = len(taken.fresh) < len(taken.ids)
        if self._jumped:
            self._jumped = False
            if not known:  # it does not fit: back to where the pass jumped off
                self._lane.unsee(here, taken)
                return self._back
        elif self._noted is not None and known and following is not None:
            noted, self._noted = self._noted, None
            if noted["pages"] > self._lane.place + 1:
                self._jump(noted)
                self._back, following = following, with_params(self._first, noted["params"])
        self._here = here
        if self._lane.place - self._kept >= KEEP_EVERY and not self._jumped:
            self.keep()
        return following

    def _jump(self, noted: dict[str, Any]) -> None:
        self._jumped = True
        self._lane.skipped = noted["pages"] - 1 - self._lane.pages
        self._lane.before = dict.fromkeys(noted["ids"])

    def keep(self) -> None:
        """Note the page just read; everything up to it is made durable first."""
        if self._here is None or self._jumped or self._stays:
            return
        self._kit.pipeline.flush()
        self._kept = self._lane.place
        place = {
            "params": params_of(self._here),
            "pages": self._lane.place,
            "ids": list(self._lane.all_ids),
            "at": self._kit.clock.now().isoformat(),
        }
        self._kit.ledger.places.keep(self._key, place)

    def stay(self) -> None:
        """A page was left out: the note stays before it, so that a pass that goes on from there meets it again."""
        self.keep()
        self._stays = True

    def drop(self) -> None:
        """The pass has ended."""
        self._kit.ledger.places.drop(self._key)
