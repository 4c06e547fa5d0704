"""追评 of Taobao's reviews: the list of ratings has none, so a review's own feed is asked, one call a review.

Asked is down the ladder of :mod:`crawlers.revisit`, from a day of age on; what is older than the ladder again after its
longest step. Half of the day's calls are left to the list itself, so that news never wait for this.

Promise: that a review was asked is remembered when its 追评 is in the log, not before (:meth:`Appends.remember`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from crawlers.ledger import Ledger
from crawlers.official.client import ApiRefused, QuotaSpent, Stopped
from crawlers.payload import Page
from crawlers.revisit import HOUR, look_due
from ingest.draft import Draft
from ingest.errors import Unavailable
from ingest.mention import Append

logger = logging.getLogger(__name__)

SHARE: Final = 0.5
"""Of the day's calls."""
YOUNGEST: Final = timedelta(days=1)
FAILURES_IN_ROW: Final = 3
"""After so many none is asked any more in this run."""


class Appends:
    """追评 in one run. ``ask`` reads one order line's feed; it raises what :meth:`OfficialApi.parsed` does."""

    def __init__(self, ask: Callable[[str], Page], ledger: Ledger, ladder: Sequence[float]) -> None:
        self._ask = ask
        self._ledger = ledger
        self._ladder = ladder
        self._asked: dict[str, int] = {}
        self._failures = 0
        self._failed = 0
        self._why = ""
        self.ended: QuotaSpent | Stopped | None = None
        """What ends the run, once the page in hand is taken."""

    def added(self, drafts: Iterable[Draft], lines: dict[object, str], now: datetime, *, look: bool) -> list[Draft]:
        """The drafts with their 追评. ``lines``: each draft's order line, by its native id.

        With ``look`` those that are due are asked. One that has a 追评 and is not asked is an excerpt now: its words
        without the 追评 would look like an edit.
        """
        return [self._one(draft, lines.get(draft.native_id), now, look=look) for draft in drafts]

    def _one(self, draft: Draft, line: str | None, now: datetime, *, look: bool) -> Draft:
        key = f"append:{draft.native_id}"
        state = self._ledger.list_state(key)
        found: list[Append] | None = None
        if look and line is not None and self._asking and self._due(draft.created_at, state.settled_at, now):
            found = self._read(line, key, state.total or 0)
        if found is None:
            return replace(draft, excerpt=True) if state.total else draft
        self._asked[key] = len(found)
        return replace(draft, appends=found)

    @property
    def _asking(self) -> bool:
        return self.ended is None and not self._why

    def _due(self, born: datetime | None, last: datetime | None, now: datetime) -> bool:
        if born is not None and now - born < YOUNGEST:
            return False
        if last is None or look_due(self._ladder, born, last, now):
            return True
        return bool(self._ladder) and now - last >= self._ladder[-1] * HOUR

    def _read(self, line: str, key: str, known: int) -> list[Append] | None:
        """The 追评 of one review; None when it could not be read. One that the platform refuses counts as asked: its
        trade may be gone."""
        try:
            page = self._ask(line)
        except (QuotaSpent, Stopped) as ended:
            self.ended = ended
        except ApiRefused as refused:
            this_one = refused.signal == "unknown"  # a missing permission is about all of them
            if this_one:
                self._asked[key] = known
            self._failure(refused.reason, all_of_them=not this_one)
        except Unavailable as error:
            self._failure(str(error))
        else:
            if not page.problems:
                self._failures = 0
                return [append for draft in page.mentions for append in draft.appends]
            self._failure(f"{page.problems[0].path}：{page.problems[0].reason}")
        return None

    def _failure(self, reason: str, *, all_of_them: bool = False) -> None:
        self._failures += 1
        self._failed += 1
        logger.warning("a review's feed could not be read: %s", reason)
        if all_of_them or self._failures >= FAILURES_IN_ROW:
            self._why = reason

    @property
    def shortfall(self) -> str:
        """What of it was not read and why, in Chinese; "" when all that was due was."""
        if self._why:
            return f"追评没有读全：{self._why}（不需要追评时，设 crawl.official.top.appends 为 false）"
        return f"有 {self._failed} 条评价的追评没有读到" if self._failed else ""

    def remember(self) -> None:
        """Call it when what was taken is durable."""
        for key, count in self._asked.items():
            self._ledger.settle(key, count, full=False)
        self._asked.clear()
