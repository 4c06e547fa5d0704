"""Platforms of posts with comments, read in the browser: open what a search found, read the comments, unfold replies.

Lists end where the platform says so; a list that stops answering is left unsettled, so the next run reads it again.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar
from urllib.parse import urlsplit

from crawlers.base import FAILURES_IN_ROW
from crawlers.browser import NUDGES, Visit
from crawlers.errors import FetchFailed
from crawlers.payload import Page, Payload
from crawlers.pipeline import mention_id
from crawlers.searching import SearchSpider
from crawlers.trip import ListPass, Trip
from ingest.draft import Draft


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


class PostsSpider(SearchSpider):
    """What a search finds are posts with a page of their own, where their comments are scrolled and unfolded."""

    comments_path: ClassVar[re.Pattern[str]]
    replies_path: ClassVar[re.Pattern[str]]
    root_param: ClassVar[str]
    """The parameter of a call for replies that names the comment."""
    comments_pane: ClassVar[str]
    unfold: ClassVar[re.Pattern[str]]
    """The words on a button that loads (more) replies."""

    @abstractmethod
    def post_url(self, hit: Draft) -> str:
        """A post's own page."""

    def begins_comments(self, page: Page) -> bool:
        """Whether a post's own page holds the first comments, too; then its ``next`` is where they go on."""
        return False

    async def _open(self, hit: Draft, trip: Trip) -> None:
        await self.pause()
        with self.passing(self._key(hit), trip, claim=hit.replies) as lane:
            thread = Thread(lane)
            async with self.visit(self.post_url(hit), self._taker(hit, thread, trip)) as visit:
                await visit.until(lambda: thread.gone or (thread.post is not None and self._begun(thread)))
                if thread.gone:
                    self.kit.pipeline.gone(mention_id(hit))
                    lane.ended = "end"
                    return
                if thread.post is None:
                    raise FetchFailed("no_answer", "页面没有加载出内容")
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
        lane.poster = hit.author_id

        def take(payload: Payload) -> None:
            path = urlsplit(payload.url or "").path
            trip.pages += 1
            if self.replies_path.search(path):
                root = payload.param(self.root_param) or ""
                below = thread.threads.get(root)
                if below is None:
                    below = ListPass(
                        key=f"replies:{root}",
                        cap=lane.cap,
                        counted=False,
                        repeats=self.repeats,
                        poster=lane.poster,
                    )
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
                    page = replace(page, mentions=tuple(d for d in page.mentions if d.kind not in self.hit_kinds))
                    thread.note(page)
                    lane.saw(page, self._take(page, payload, trip, lane))
            else:
                reading = self.read(payload, trip, lane)
                thread.gone = thread.gone or reading.page.signal == "gone"
                if self.begins_comments(reading.page):
                    said = [found for found in reading.taken.ids if found != mention_id(hit)]
                    thread.note(reading.page)
                    lane.saw(reading.page, replace(reading.taken, ids=said))
                for draft in reading.page.mentions:
                    if draft.kind == hit.kind and draft.native_id == hit.native_id and not draft.partial:
                        thread.post, lane.poster = draft, draft.author_id or lane.poster
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
                broken = FetchFailed("stalled", f"{thread.lane.key}：有的回复没有展开")
            except FetchFailed as error:
                broken = error
            failures += 1
            dead += await buttons.count() == there  # else it went away by itself
        else:
            trip.notes.append(f"{thread.lane.key}：回复多于页数上限")
        if broken is not None:
            raise broken
        # The page may have drawn an answer, and taken its button away, before that answer is heard here.
        if not thread.all_unfolded:
            await visit.until(lambda: thread.all_unfolded)
