"""Shops read in the browser: open a product's page, click to its reviews, sort them by time, scroll to their end, then
open the questions. What the page loads is what is read; no request is made up.

Shops draw their pages anew every few months, so nothing here knows their markup: what a reader clicks is found by its
words, and the pane that is scrolled by the words of the review that was loaded last.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from crawlers.audit import UNREAD
from crawlers.base import FAILURES_IN_ROW
from crawlers.browser import PATIENCE, BrowserSpider, Visit
from crawlers.capped import CutOff, Part
from crawlers.config import Target
from crawlers.endpoint import address_of, request_params
from crawlers.errors import FetchFailed, PlatformStopped
from crawlers.parse import parse
from crawlers.payload import Page, Payload
from crawlers.shelf import Heard, Shelf, spoken
from crawlers.trip import ListPass, Trip
from ingest.draft import Draft

if TYPE_CHECKING:
    from playwright.async_api import Request as BrowserRequest

Words = re.Pattern[str]

NEVER: Final = re.compile(r"(?!)")
TOO_FEW: Final = 10
"""So many reviews less than the page counts, and its list is taken to be cut off."""
_HEARD: Final = frozenset({"xhr", "fetch", "script"})
"""JSONP is a script."""
_OVER: Final = re.compile(r"没有更多|已经到底|到底了|已(加载|显示)全部")


def filters_of_reviews(pictures: str) -> tuple[tuple[str, Words], ...]:
    """The filters that shops offer above their reviews, by name; behind its words each may show how many there are.

    ``pictures``: a pattern of what a shop calls those with pictures.
    """
    offered = {"差评": "差评", "中评": "中评", "好评": "好评", "追评": "追评", "有图": pictures}
    return tuple(
        (name, re.compile(rf"^\s*{words}[\s(（]*[\d.]*[万千]?\+?[)）]?\s*$")) for name, words in offered.items()
    )


class ShopPageSpider(BrowserSpider):
    """Subclasses name addresses, endpoints, and the words on what a reader clicks."""

    data_pages = NEVER
    state_mark = b""
    items: ClassVar[re.Pattern[str]]
    """``host/path`` of products' pages."""
    first_screen: ClassVar[str] = ""
    """The endpoint that tells how many reviews there are, with a few reviews and questions."""
    review_lists: ClassVar[frozenset[str]]
    question_list: ClassVar[str]
    answer_list: ClassVar[str]
    page_fields: ClassVar[tuple[str, ...]]
    """Parameters, one of which counts the pages of a list of reviews."""
    open_reviews: ClassVar[Sequence[Words]]
    newest: ClassVar[Words]
    filters: ClassVar[Sequence[tuple[str, Words]]]
    """The page's own filters of a list that is too long, by name."""
    open_questions: ClassVar[Sequence[Words]]
    open_answers: ClassVar[Words]

    _shown: Payload | None = None
    """The page's own HTML."""

    @property
    def _patience(self) -> float:
        """Seconds that a click is given to show something: what was clicked may be a mere heading."""
        return max(PATIENCE, self.here.timeout / 4)

    @abstractmethod
    def product(self, target: Target) -> tuple[str, str]:
        """The product's number, and the address of its page."""

    def is_noise(self, payload: Payload) -> bool:
        """Whether the page deals with this answer by itself."""
        return False

    # -- listening ----------------------------------------------------------------------------------------------

    def hears(self, request: BrowserRequest) -> bool:
        if request.resource_type not in _HEARD:
            return super().hears(request)
        posted = request.post_data_buffer or b""
        url = self.here.real(request.url)
        asked = Payload(url=url, body=b"", captured_at=self.kit.clock.now(), request_body=posted)
        return bool(self.listens.search(address_of(asked, request_params(asked))))

    def document(self, page: Payload) -> bool:
        """A product's page holds no data, and a good one speaks of logins, too: it is judged where it loads nothing."""
        got = urlsplit(page.final_url or "")
        if page.status >= 400 or not self.items.search(f"{got.hostname}{got.path}"):
            return True
        self._shown = page
        self.kit.audit.answered(page, "ok")
        return False

    def _walled(self) -> None:
        """Raises PlatformStopped where the page that loads nothing is plainly a wall."""
        shown, self._shown = self._shown, None
        page = parse(self.platform, shown) if shown is not None else None
        if page is not None and page.signal in ("login_required", "verification", "throttled"):
            raise PlatformStopped(page.signal, f"{page.endpoint}: {page.reason}", page)

    def _hear(self, payload: Payload, shelf: Shelf, trip: Trip) -> None:
        if self.is_noise(payload):
            self.kit.audit.answered(payload, UNREAD)
            return
        page = self.parsed(payload)
        heard = page, payload
        if page.endpoint in self.review_lists:
            if shelf.opened:
                self._list(heard, shelf, trip)
            else:
                shelf.ahead.append(heard)
        elif page.endpoint == self.first_screen:
            shelf.first.append(heard)
            if not shelf.part:
                shelf.lane.total = page.total
        elif page.endpoint == self.question_list:
            if shelf.questions is not None:
                self._asked(heard, shelf, trip, shelf.questions)
            else:
                shelf.asked.append(heard)
        elif page.endpoint == self.answer_list and shelf.below is not None:
            self._page(heard, trip, shelf.below)
        else:
            shelf.gone = shelf.gone or page.signal == "gone"

    def _page(self, heard: Heard, trip: Trip, lane: ListPass) -> bool:
        """Take one page of a list; whether it held anything new to this pass."""
        page, payload = heard
        trip.pages += 1
        taken = self._take(page, payload, trip, lane)
        fresh = any(item not in lane.ids for item in taken.ids)
        lane.saw(page, taken)
        return fresh

    def _list(self, heard: Heard, shelf: Shelf, trip: Trip) -> None:
        page, payload = heard
        lane, params = shelf.lane, request_params(payload)
        number = next((params[name] for name in self.page_fields if name in params), None)
        if number == "1" and lane.pages:
            shelf.restart()
        elif number not in (None, "1") and not lane.pages and shelf.ahead:
            ahead, shelf.ahead = shelf.ahead, []  # the list goes on behind what the page had shown by itself
            for earlier in ahead:
                self._list(earlier, shelf, trip)
        lane.newest_first = lane.newest_first and shelf.in_order(page)
        shelf.stale = not self._page(heard, trip, lane)
        shelf.answers += 1
        shelf.spoke(page)

    # -- one product --------------------------------------------------------------------------------------------

    async def crawl(self, target: Target, trip: Trip) -> None:
        number, url = self.product(target)
        whole = FilteredPane(spider=self, key=target.key, parts=[Part(name, {}) for name, _ in self.filters], url=url)
        failed: FetchFailed | None = None
        with ExitStack() as passing:
            lane = passing.enter_context(self.passing(target.key, trip, newest_first=True))
            shelf = Shelf(lane, lane.newest_first)
            async with self._opened_page(url, shelf, trip) as visit:
                if shelf.gone:
                    lane.ended = "end"
                    return
                try:
                    await self._reviews(visit, shelf, trip)
                    if not shelf.incremental:
                        whole.note(lane)
                except FetchFailed as error:  # the questions may be well
                    failed = error
                passing.close()
                if self.here.questions:
                    await self._questions(visit, shelf, number, trip)
        if failed is not None:
            raise failed
        await whole.read(trip)

    @asynccontextmanager
    async def _opened_page(self, url: str, shelf: Shelf, trip: Trip) -> AsyncIterator[Visit]:
        """The product's page, once it has loaded something. Raises PlatformStopped where it does not, twice."""
        for patience in (min(PATIENCE, self.here.timeout), self.here.timeout):
            async with self.visit(url, lambda payload: self._hear(payload, shelf, trip)) as visit:
                if await visit.until(lambda: shelf.heard, patience) or await self._open(visit, shelf):
                    yield visit
                    return
            self._walled()
            await self.pause()  # then one careful reload
            shelf.opened = False
        raise PlatformStopped("unknown", "商品页打开了，却没有加载出能读的内容")

    async def _open(self, visit: Visit, shelf: Shelf) -> bool:
        """Click to the list of reviews; whether it came."""
        if not shelf.opened:
            shelf.opened = True
            await self._click(visit, self.open_reviews, lambda: shelf.answers)
        return shelf.answers > 0

    async def _click(self, visit: Visit, words: Sequence[Words], progress: Callable[[], int]) -> bool:
        """Click what bears these words, one after the other, until the page loads something."""
        before = progress()
        for one in words:
            button = visit.page.get_by_text(one).locator("visible=true").last
            if not await button.count():
                continue
            await self.pause()
            await self.turn()
            if await visit.click(button, self._patience) and await visit.until(
                lambda: progress() > before, self._patience
            ):
                return True
        return progress() > before

    async def _reviews(self, visit: Visit, shelf: Shelf, trip: Trip) -> None:
        lane = shelf.lane
        if not await self._open(visit, shelf):
            ahead, shelf.ahead = shelf.ahead, []
            for heard in ahead:  # the page shows its list without being asked
                self._list(heard, shelf, trip)
        if not lane.pages:
            self._only_first(shelf, trip)
            return
        shelf.sorting = True
        await self._click(visit, [self.newest], lambda: shelf.answers)
        await self._to_the_end(visit, shelf)

    def _only_first(self, shelf: Shelf, trip: Trip) -> None:
        """Take the reviews of the first screen, where the page shows no others. Raises FetchFailed if it has more."""
        lane = shelf.lane
        for page, payload in shelf.first:
            self._only(page, payload, trip, lane, "review")
        if (lane.total or 0) > len(lane.ids):
            raise FetchFailed("no_list", "页面没有显示评价列表")
        lane.ended = "end"

    def _only(self, page: Page, payload: Payload, trip: Trip, lane: ListPass, *kinds: str) -> None:
        trip.pages += 1
        shown = tuple(draft for draft in page.mentions if draft.kind in kinds)
        taken = self._take(replace(page, mentions=shown), payload, trip, lane)
        lane.ids.update(dict.fromkeys(taken.ids))

    async def _to_the_end(self, visit: Visit, shelf: Shelf) -> None:
        """Scroll the list to its end. Raises FetchFailed where it stops loading before."""
        lane = shelf.lane
        while lane.ended is None:
            if lane.pages >= lane.cap:
                lane.ended = "cap"
            elif not await visit.more(lambda: _scroll(visit, shelf.spoken), lambda: lane.pages):
                before = lane.pages
                whole = lane.total is not None and len(lane.all_ids) >= lane.total
                if whole or shelf.stale or await visit.page.get_by_text(_OVER).locator("visible=true").count():
                    lane.ended = "end"
                elif not await visit.until(lambda: lane.pages > before, self._patience):  # noqa: B023 - awaited here
                    raise FetchFailed("stalled", f"{lane.key} 读了 {lane.pages} 页后不再加载")

    async def filtered(self, url: str, name: str, lane: ListPass, trip: Trip) -> None:
        """Read what one of the page's filters shows; nothing where the page does not offer it."""
        shelf = Shelf(lane, incremental=False, part=True)
        async with self._opened_page(url, shelf, trip) as visit:
            if not await self._open(visit, shelf):
                raise FetchFailed("no_list", "页面没有显示评价列表")
            if await self._click(visit, [dict(self.filters)[name]], lambda: shelf.answers):
                await self._to_the_end(visit, shelf)
            else:
                lane.ended = "end"

    # -- questions ----------------------------------------------------------------------------------------------

    async def _questions(self, visit: Visit, shelf: Shelf, number: str, trip: Trip) -> None:
        with self.passing(f"questions:{number}", trip) as lane:
            shelf.questions, shelf.stale = lane, False
            for heard in shelf.asked:
                self._asked(heard, shelf, trip, lane)
            try:
                if not lane.pages:
                    await self._click(visit, self.open_questions, lambda: lane.pages)
                if not lane.pages:  # there are none, or the page hides them well
                    for page, payload in shelf.first:
                        self._only(page, payload, trip, lane, "question", "answer")
                    lane.ended = "end"
                while lane.ended is None and lane.pages < lane.cap:
                    if not await visit.more(lambda: _scroll(visit, shelf.spoken), lambda: lane.pages):
                        found = sum(":question:" in item for item in lane.ids)
                        if lane.total is not None and found < lane.total:
                            raise FetchFailed("stalled", f"{lane.total} 个问题只加载了 {found} 个")
                        lane.ended = "end"
                await self._unfold(visit, shelf, trip)
            except FetchFailed as error:  # the reviews are well
                trip.notes.append(f"{lane.key}：没有读全（{error.kind}）")

    def _asked(self, heard: Heard, shelf: Shelf, trip: Trip, lane: ListPass) -> None:
        """A page of questions: take it, and note those whose list does not show all of their answers."""
        self._page(heard, trip, lane)
        drafts = heard[0].mentions
        shelf.spoke(heard[0])
        shown = [draft.parent_native for draft in drafts]
        for draft in drafts:
            hidden = draft.partial or (draft.replies or 0) > shown.count(f"question:{draft.native_id}")
            if (
                draft.kind == "question"
                and hidden
                and self.comments_due(_below(draft), draft.replies, draft.created_at)
            ):
                shelf.due.append(draft)

    async def _unfold(self, visit: Visit, shelf: Shelf, trip: Trip) -> None:
        failures = 0
        for question in shelf.due:
            words = spoken(question)
            if not words or failures >= FAILURES_IN_ROW:
                trip.notes.append(f"{_below(question)}：没有展开")
                continue
            around = (
                visit.page.get_by_text(words).locator("visible=true").last.locator("xpath=ancestor::*[position()<5]")
            )
            button = around.filter(has_text=self.open_answers).last.get_by_text(self.open_answers).first
            with self.passing(_below(question), trip, claim=question.replies) as lane:
                shelf.below = lane
                while lane.ended is None and lane.pages < lane.cap and await button.count():
                    if not await visit.more(lambda: visit.click(button), lambda: lane.pages):  # noqa: B023 - awaited here
                        break
                else:
                    lane.ended = lane.ended or ("end" if lane.pages and not await button.count() else None)
                failures += not lane.pages
                shelf.below = None


def _below(question: Draft) -> str:
    return f"answers:{question.native_id}"


async def _scroll(visit: Visit, words: str) -> None:
    """Scroll what shows these words (the page, where nothing does) to its end; a little back first, so it moves."""
    from playwright.async_api import Error

    with suppress(Error):  # the pane may be about to be drawn anew: the next nudge finds it
        box = None
        if words:
            shown = visit.page.get_by_text(words).locator("visible=true").last
            if await shown.count():
                await shown.scroll_into_view_if_needed(timeout=2000)
                box = await shown.bounding_box()
        if box is not None:
            await visit.page.mouse.move(box["x"] + min(box["width"] / 2, 100), box["y"] + box["height"] / 2)
        else:
            await visit.page.mouse.move(400, 400)
        await visit.page.mouse.wheel(0, -120)
        await visit.page.mouse.wheel(0, 20_000)


@dataclass(slots=True, kw_only=True)
class FilteredPane(CutOff):
    """A product's reviews whose list ends before it has shown as many as the page counts."""

    spider: ShopPageSpider
    url: str

    def is_cut_off(self, lane: ListPass) -> bool:
        return lane.total is not None and lane.total - len(lane.all_ids) >= TOO_FEW

    async def read_part(self, part: Part, lane: ListPass, trip: Trip) -> None:
        await self.spider.filtered(self.url, part.name, lane, trip)


__all__ = ["NEVER", "ShopPageSpider", "filters_of_reviews"]
