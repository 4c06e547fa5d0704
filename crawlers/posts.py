"""Platforms of posts with comments, read in the browser: search, open what is new, read the comments, unfold replies.

Everything is scrolled and clicked as a reader does; what the page loads is what is read. Lists end where the platform
says so; a list that stops answering is left unsettled, so the next run reads it again.
"""

from __future__ import annotations

import logging
import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import urlsplit

from crawlers.base import FAILURES_IN_ROW, Reading
from crawlers.browser import NUDGES, PATIENCE, BrowserSpider, Visit
from crawlers.config import Target
from crawlers.errors import FetchFailed, PlatformStopped, SourceDown
from crawlers.payload import Page, Payload
from crawlers.pipeline import mention_id
from crawlers.trip import ListPass, Trip
from ingest.draft import Draft

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Search:
    """A search in progress: the posts found, newest first where the platform sorts so.

    ``shown``: the beginning of the list, where the search page itself holds it, until it is read: before what the page
    asks for, or when it has asked for nothing.
    """

    lane: ListPass
    hits: dict[str, Draft] = field(default_factory=dict)
    by_time: bool = False
    shown: tuple[Page, Payload] | None = None


@dataclass(slots=True)
class Thread:
    """A post's page in progress. ``threads``: one pass for each comment whose replies were unfolded; ``claims``: how
    many replies each comment says it has, ``replies``: those that were read."""

    lane: ListPass
    post: Draft | None = None
    gone: bool = False
    threads: dict[str, ListPass] = field(default_factory=dict)
    claims: dict[str, int] = field(default_factory=dict)
    replies: set[str] = field(default_factory=set)

    def note(self, page: Page) -> None:
        """Count the replies that a page's comments claim, and those that it holds."""
        for draft in page.mentions:
            if draft.kind == "comment" and (draft.parent_native or "").startswith("comment:"):
                self.replies.add(str(draft.native_id))
            elif draft.kind == "comment":
                self.claims[str(draft.native_id)] = draft.replies or 0

    @property
    def owes_replies(self) -> bool:
        """Whether fewer replies were read than the comments claim."""
        return len(self.replies) < sum(self.claims.values())

    @property
    def unfolded(self) -> int:
        """Pages of replies read so far."""
        return sum(thread.pages for thread in self.threads.values())

    @property
    def all_unfolded(self) -> bool:
        """Whether every pass of replies that began has come to its end."""
        return all(thread.ended for thread in self.threads.values())


class PostsSpider(BrowserSpider):
    """Subclasses name addresses and the few places of the page that a reader touches (CSS, or a button's words)."""

    post_kind: ClassVar[str]
    search_path: ClassVar[re.Pattern[str]]
    comments_path: ClassVar[re.Pattern[str]]
    replies_path: ClassVar[re.Pattern[str]]
    root_param: ClassVar[str]
    """The parameter of a call for replies that names the comment."""
    search_pane: ClassVar[str]
    comments_pane: ClassVar[str]
    unfold: ClassVar[re.Pattern[str]]
    """The words on a button that loads (more) replies."""
    newest: ClassVar[re.Pattern[str]]
    """The words on what sorts a search by time."""

    @abstractmethod
    def search_url(self, keyword: str) -> str:
        """The search page."""

    @abstractmethod
    def post_url(self, hit: Draft) -> str:
        """A post's own page."""

    @abstractmethod
    def sorted_by_time(self, payload: Payload) -> bool:
        """Whether a search's answer was asked for newest first."""

    def begins_comments(self, page: Page) -> bool:
        """Whether a post's own page holds the first comments, too; then its ``next`` is where they go on."""
        return False

    async def crawl(self, target: Target, trip: Trip) -> None:
        keyword = target.need("keyword")
        with self.passing(target.key, trip, newest_first=True, counted=False) as lane:
            search = Search(lane)
            try:
                await self._search(keyword, search, trip)
            except FetchFailed as error:
                if not search.hits:
                    raise
                trip.notes.append(f"search: {error.kind}")  # what it found so far may be well
            failed = 0
            for hit in [hit for hit in search.hits.values() if self._due(hit)]:
                try:
                    await self._open(hit, trip)
                    failed = 0
                except FetchFailed as error:  # the other posts may be well
                    trip.notes.append(f"{hit.kind} {hit.native_id}: {error.kind}")
                    failed += 1
                    if failed >= FAILURES_IN_ROW:
                        raise SourceDown(f"{failed} posts in a row could not be read, last: {error}") from error
                await self.pause()

    def _due(self, hit: Draft) -> bool:
        """Whether a post must be opened: comments changed, it is of age, or it is known as a stub only."""
        if self.comments_due(self._key(hit), hit.replies, hit.created_at):
            return True
        return hit.partial and not self.kit.ledger.known([mention_id(hit)])

    @staticmethod
    def _key(hit: Draft) -> str:
        return f"comments:{hit.kind}:{hit.native_id}"

    # -- the search ---------------------------------------------------------------------------------------------

    async def _search(self, keyword: str, search: Search, trip: Trip) -> None:
        lane = search.lane

        def take(payload: Payload) -> None:
            if not self.search_path.search(urlsplit(payload.url or "").path):
                shown = self.parsed(payload)
                search.shown = (shown, payload) if shown.mentions and not search.by_time else None
                if lane.pages > 0:
                    self._shown(search, trip)
                return
            self._shown(search, trip)  # what the page asks for may go on from there
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
            async with self.visit(self.search_url(keyword), take) as visit:
                if await visit.until(lambda: lane.pages > 0, patience) or self._shown(search, trip):
                    if not search.by_time:
                        await self._sort(visit, search)
                    await self._to_the_end(visit, lane, self.search_pane)
                    return
            await self.pause()  # then one careful reload
        raise PlatformStopped("unknown", "the search page opens, but loads nothing that can be read")

    def _shown(self, search: Search, trip: Trip) -> bool:
        """Read what the search page itself holds, once; False when it holds nothing."""
        if search.shown is None:
            return False
        (page, payload), search.shown = search.shown, None
        trip.pages += 1
        self._found(search, self._of_page(page, payload, trip, search.lane))
        return True

    def _of_page(self, page: Page, payload: Payload, trip: Trip, lane: ListPass) -> Reading:
        """Take the items of a page that is parsed already."""
        taken = self._take(page, payload, trip, lane)
        trip.count(taken)
        return Reading(page, taken)

    def _found(self, search: Search, reading: Reading) -> None:
        """Take note of one page of the search."""
        hits = {mention_id(d): d for d in reading.page.mentions if d.kind == self.post_kind}
        search.hits.update(hits)
        reading.taken.unsettled += [found for found, hit in hits.items() if self._due(hit)]
        search.lane.newest_first = search.lane.newest_first and search.by_time
        search.lane.saw(reading.page, reading.taken)

    async def _sort(self, visit: Visit, search: Search) -> None:
        """Ask for the newest first, where the page offers it."""
        button = visit.page.get_by_text(self.newest).first
        if await button.count() and await button.is_visible():
            await self.pause()
            await self.turn()
            if await visit.click(button):
                await visit.until(lambda: search.by_time)

    async def _to_the_end(self, visit: Visit, lane: ListPass, pane: str) -> None:
        while lane.ended is None:
            if lane.pages >= lane.cap:
                lane.ended = "cap"
            elif not await visit.more(lambda: visit.scroll(pane), lambda: lane.pages):
                raise FetchFailed("stalled", f"{lane.key} stopped loading after {lane.pages} pages")

    # -- one post -----------------------------------------------------------------------------------------------

    async def _open(self, hit: Draft, trip: Trip) -> None:
        with self.passing(self._key(hit), trip, claim=hit.replies) as lane:
            thread = Thread(lane)
            async with self.visit(self.post_url(hit), self._taker(hit, thread, trip)) as visit:
                await visit.until(lambda: thread.gone or (thread.post is not None and self._begun(thread)))
                if thread.gone:
                    self.kit.pipeline.gone(mention_id(hit))
                    lane.ended = "end"
                    return
                if thread.post is None:
                    raise FetchFailed("no_answer", "the page loaded no post")
                trip.expected += 1
                if lane.pages == 0 and not thread.post.replies:
                    lane.ended = "end"
                broken: FetchFailed | None = None
                try:
                    await self._to_the_end(visit, lane, self.comments_pane)
                except FetchFailed as error:  # the replies to what was shown may be well
                    broken = error
                await self._unfold(visit, thread, trip)
                if broken is not None:
                    raise broken

    @staticmethod
    def _begun(thread: Thread) -> bool:
        return thread.lane.pages > 0 or (thread.post is not None and thread.post.replies == 0)

    def _taker(self, hit: Draft, thread: Thread, trip: Trip) -> Callable[[Payload], None]:
        lane = thread.lane

        def take(payload: Payload) -> None:
            path = urlsplit(payload.url or "").path
            trip.pages += 1
            if self.replies_path.search(path):
                root = payload.param(self.root_param) or ""
                below = thread.threads.get(root)
                if below is None:
                    below = ListPass(key=f"replies:{root}", cap=lane.cap, counted=False, repeats=self.repeats)
                    thread.threads[root] = below
                    trip.lanes.append(below)
                reading = self.read(payload, trip, below)
                thread.note(reading.page)
                below.saw(reading.page, reading.taken)
            elif self.comments_path.search(path):
                reading = self.read(payload, trip, lane)
                thread.note(reading.page)
                lane.saw(reading.page, reading.taken)
            elif thread.post is not None:
                # The post again, in the page's other form: whether it may be seen, and the comments there, matter.
                page = self.parsed(payload)
                thread.gone = page.signal == "gone"
                if self.begins_comments(page):
                    page = replace(page, mentions=tuple(d for d in page.mentions if d.kind != self.post_kind))
                    thread.note(page)
                    lane.saw(page, self._of_page(page, payload, trip, lane).taken)
            else:
                reading = self.read(payload, trip, lane)
                thread.gone = thread.gone or reading.page.signal == "gone"
                if self.begins_comments(reading.page):
                    said = [found for found in reading.taken.ids if found != mention_id(hit)]
                    thread.note(reading.page)
                    lane.saw(reading.page, replace(reading.taken, ids=said))
                for draft in reading.page.mentions:
                    if draft.kind == self.post_kind and draft.native_id == hit.native_id and not draft.partial:
                        thread.post = draft
                        lane.total, lane.claimed = draft.replies, draft.replies is not None

        return take

    async def _unfold(self, visit: Visit, thread: Thread, trip: Trip) -> None:
        """Click every "展开 N 条回复" until none is left; one that gives nothing is passed over.

        Raises FetchFailed when replies are lacking.
        """
        buttons = visit.page.get_by_text(self.unfold)
        failures, dead = 0, 0
        broken: FetchFailed | None = None
        waits = list(NUDGES)
        for _ in range(thread.lane.cap * 2):
            there = await buttons.count()
            while there <= dead and waits and thread.owes_replies:  # heard already, but not drawn yet
                await visit.until(lambda: False, waits.pop(0))
                there = await buttons.count()
            if there <= dead or failures >= FAILURES_IN_ROW:
                break
            button = buttons.nth(dead)
            try:
                if await visit.more(lambda: visit.click(button), lambda: thread.unfolded):  # noqa: B023 - awaited here
                    continue
                broken = FetchFailed("stalled", f"{thread.lane.key}: some replies did not unfold")
            except FetchFailed as error:
                broken = error
            failures += 1
            dead += await buttons.count() == there  # else it went away by itself
        else:
            trip.notes.append(f"{thread.lane.key}: more replies than the page cap allows")
        if broken is not None:
            raise broken
        # The page may have drawn an answer, and taken its button away, before that answer is heard here.
        if not thread.all_unfolded:
            await visit.until(lambda: thread.all_unfolded)
