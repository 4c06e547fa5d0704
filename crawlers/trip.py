"""Book-keeping of one run: a trip for each target, a pass for each list, and when a list has been read enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from crawlers.config import Target
from crawlers.fill import FillTally
from crawlers.ledger import ListState
from crawlers.payload import Page
from crawlers.pipeline import Taken
from ingest.clock import Clock
from ingest.coverage import MAX_CUT_OFF, Coverage, Status

EMPTY_IN_ROW: Final = 3
"""So many pages without a single item, each promising more, are the end: platforms mix in pages of advertisements."""

End = Literal["end", "settled", "repeat", "cap"]
"""end: the platform has no more · settled: the rest was read by an earlier run · repeat: the platform turns in a
circle or clamps its last page · cap: our own page cap."""


@dataclass(slots=True, kw_only=True)
class ListPass:
    """One pass through one list.

    ``newest_first``: the list is in order of time and an earlier pass reached its end, so what was settled then ends
    it. ``total``: what the platform claims, on the list itself or (``claimed``) where the list hangs. ``trusted``:
    growth of ``total`` says how many unsettled items there must be (replies far down count as well). ``reach``: how
    many the platform shows at most. ``horizon``: down to this time known items are read again. ``counted`` false: a
    list of stubs, or a part of a list that counts already.
    """

    key: str
    since: ListState = field(default_factory=ListState)
    cap: int
    newest_first: bool = False
    total: int | None = None
    trusted: bool = False
    claimed: bool = False
    reach: int | None = None
    horizon: datetime | None = None
    counted: bool = True
    poster: str | None = None
    """Whose post the list hangs under, by the platform's id: what they say in it is marked as theirs."""
    repeats: int = 1
    """So many pages in a row that hold nothing but what was seen are a circle: one where we ask, more where a browser's
    page asks, as pages do load the same thing twice."""
    ended: End | None = None
    pages: int = 0
    skipped: int = 0
    """Pages that an interrupted pass had read and this one jumped over."""
    ids: dict[str, None] = field(default_factory=dict)
    before: dict[str, None] = field(default_factory=dict)
    """What the interrupted pass had read."""
    unsettled: int = 0
    holes: int = 0
    """Pages that were left out because they could not be fetched."""
    gaps: int = 0
    """Pages without a single item that promise more."""
    lost_way: bool = False
    """Its last page does not say whether or how the list goes on."""
    split: bool = False
    """Where it was cut off, that is dealt with by parts (:mod:`crawlers.search_parts`)."""
    _visited: set[str] = field(default_factory=set)
    _empty: int = 0
    _repeated: int = 0

    @property
    def place(self) -> int:
        """How many pages deep it is."""
        return self.pages + self.skipped

    @property
    def all_ids(self) -> dict[str, None]:
        """What was read by this pass, and by the interrupted one that it goes on with."""
        return self.before | self.ids

    def open(self, place: str) -> bool:
        """Whether the page at ``place`` (address or cursor) may be read; False ends the pass."""
        if place in self._visited:
            self.ended = "repeat"
        elif self.place >= self.cap:
            self.ended = "cap"
        else:
            self._visited.add(place)
            return True
        return False

    def recognise(self, page: Page) -> None:
        """Mark what the one whose post this list hangs under says in it, also where the platform does not."""
        for draft in page.mentions:
            if draft.kind == "comment" and self.poster is not None and draft.author_id == self.poster:
                draft.by_poster = True

    def unsee(self, place: str, taken: Taken) -> None:
        """The page at ``place`` did not belong here: it may be read again, in its turn."""
        self._visited.discard(place)
        for item in taken.ids:
            self.ids.pop(item, None)
        self.pages -= 1
        self.skipped, self.ended, self.lost_way = 0, None, False
        self.before.clear()

    def skip(self) -> None:
        """Leave out a page that cannot be fetched."""
        self.pages += 1
        self.holes += 1

    def saw(self, page: Page, taken: Taken) -> Mapping[str, str] | None:
        """Take note of a page that was read; the next page's parameters, or None when the pass has ended."""
        self.pages += 1
        fresh = [item for item in taken.ids if item not in self.ids]
        self.ids.update(dict.fromkeys(fresh))
        self.unsettled += len(set(fresh) & set(taken.unsettled))
        if page.total is not None and not self.claimed:
            self.total = page.total
        self._empty = 0 if taken.ids else self._empty + 1
        self._repeated = self._repeated + 1 if taken.ids and not fresh else 0
        self.gaps += not taken.ids and page.next is not None
        if page.next is None:
            self.ended, self.lost_way = "end", page.lost_way
        elif self._repeated >= self.repeats or self._empty >= EMPTY_IN_ROW:
            self.ended = "repeat"
        elif self._known(taken) and self._grown() and self._past(page):
            self.ended = "settled"
        return None if self.ended else page.next

    def _known(self, taken: Taken) -> bool:
        """Everything on the page was settled by an earlier pass, and what follows is older."""
        return self.newest_first and self.since.settled_run > 0 and bool(taken.ids) and not taken.unsettled

    def _past(self, page: Page) -> bool:
        """The page lies behind the horizon: even its newest item (others may be pinned) is older."""
        times = [draft.created_at for draft in page.mentions if draft.created_at is not None]
        return self.horizon is None or not times or max(times) < self.horizon

    def _grown(self) -> bool:
        """As many unsettled items were found as the claimed total has grown by."""
        if not self.trusted or self.total is None or self.since.total is None:
            return True
        return self.unsettled >= self.total - self.since.total

    @property
    def short(self) -> bool:
        """Whether an ended pass must have missed some: pages were left out, its end is only a lost way on, or the
        list turned in a circle or had empty pages before it gave what was said where it hangs. Such a list is not
        settled."""
        if self.holes or self.lost_way:
            return True
        odd = self.ended == "repeat" or self.gaps > 0
        return odd and self.claimed and self.total is not None and len(self.all_ids) < self.total

    @property
    def claim(self) -> int | None:
        """How many items this pass set out to read, where the platform says; never fewer than were seen."""
        if self.ended == "settled" or (self.ended and self.total is None):
            return len(self.ids)
        if self.total is None:
            return None
        shown = max(min(self.total, self.reach) if self.reach is not None else self.total, len(self.all_ids))
        return shown - len(self.before.keys() - self.ids.keys())


@dataclass(slots=True)
class Trip:
    """One target in one run: what was planned, what was read, and how it ended."""

    target: Target
    clock: Clock
    lanes: list[ListPass] = field(default_factory=list)
    pages: int = 0
    expected: int = 0
    """Items that were opened one by one (posts, videos)."""
    unreached: int = 0
    """Items that the platform counts and shows in no list."""
    cut_off: tuple[str, ...] = ()
    """Parts of the search that the platform does not show to their end, however they are split; in Chinese."""
    status: Status | None = None
    signal: str = "ok"
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    """What was left out, in Chinese: ends up in the coverage's reason, which the page shows."""
    fill: FillTally = field(default_factory=FillTally)
    _fates: dict[str, str] = field(default_factory=dict)
    _dead: int = 0
    _started: datetime = field(init=False)
    _ended: datetime | None = None

    def __post_init__(self) -> None:
        self._started = self.clock.now()

    @property
    def query(self) -> str:
        """The keyword, or the target's key."""
        return self.target.keyword or self.target.key

    def count(self, taken: Taken) -> None:
        """Add one page's items; an item met twice counts once, as new if it ever was."""
        for item in taken.new:
            self._fates[item] = "new"
        for item in taken.duplicate:
            self._fates.setdefault(item, "duplicate")
        self._dead += taken.dead

    def look(self, page: Page) -> None:
        """Count what a page's records have, and note what the page lacks: its list may have ended too early."""
        self.fill.add(page)
        self.notes += [f"{page.endpoint}：缺少 {path}" for path in page.missing]

    def may_settle(self, lane: ListPass) -> bool:
        """Whether every list opened below this one came to its end, too."""
        return all(below.ended and not below.short for below in self.lanes[self.lanes.index(lane) :])

    @property
    def new(self) -> int:
        """Items streamed for the first time or as a new revision."""
        return sum(fate == "new" for fate in self._fates.values())

    @property
    def whole(self) -> bool:
        """Everything that the platform showed was read."""
        return not self.shortfall

    @property
    def shortfall(self) -> str:
        """Why not everything was read, in Chinese; empty when it was."""
        capped = sum(lane.ended == "cap" and not lane.split for lane in self.lanes)
        unread = sum(lane.ended is None for lane in self.lanes)
        short = sum(lane.ended is not None and lane.short and not lane.holes for lane in self.lanes)
        notes = list(dict.fromkeys(self.notes))
        if short:
            notes.append(f"{short} 个列表给的比它说的少")
        if capped:
            notes.append(f"{capped} 个列表到了页数上限")
        if unread:
            notes.append(f"{unread} 个列表没有读到底")
        return "；".join(notes)

    def end(self, status: Status, *, signal: str = "ok", reason: str = "") -> None:
        self.status, self.signal, self.reason = status, signal, reason
        self._ended = self.clock.now()

    def coverage(self, source: str) -> Coverage:
        """The record of this trip."""
        claims = [lane.claim for lane in self.lanes if lane.counted]
        planned = None if None in claims else sum(claim or 0 for claim in claims) + self.expected
        new = self.new
        got = len(self._fates) + self._dead
        top = self.lanes[0] if self.lanes else None
        return Coverage(
            source=source,
            query=self.query,
            window=(top.since.settled_at if top and top.newest_first else None, self._started),
            planned=None if planned is None else max(planned, got),
            got=got,
            new=new,
            duplicate=len(self._fates) - new,
            dead=self._dead,
            pages=self.pages,
            unreached=self.unreached,
            cut_off=tuple(name[:100] for name in self.cut_off[:MAX_CUT_OFF]),
            status=self.status or "failed",
            signal=self.signal,
            reason=self.reason[:500],
            started_at=self._started,
            finished_at=self._ended or self.clock.now(),
            fill=self.fill.fills(),
        )
