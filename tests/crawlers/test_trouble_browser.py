"""Xiaohongshu and Douyin break while a real Chromium reads them: the run ends, counts what it met, has every record
that could be reached, and asks for nothing after a stop. When the platform is well again the next run has all of them.

Each trial costs two starts of Chromium, so a few faults of each class are tried, each on one of the platforms, in turn;
``SHENGWEN_TROUBLE=all`` tries all of them on both. With ``-s`` a table of all trials is printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from crawlers.config import Platform
from shengwen.demo.items import Item
from shengwen.demo.replica import douyin, xiaohongshu
from shengwen.demo.replica.switches import Answer
from tests.crawlers import faults
from tests.crawlers.crowd import World, cut, ids, running_world
from tests.crawlers.faults import MAX_BYTES
from tests.crawlers.trials import PATIENCE, Case, Trials
from tests.crawlers.trouble import Answered, Asked, Spoil, Turn
from tests.processes import Nursery

pytestmark = [
    pytest.mark.browser,
    pytest.mark.usefixtures("chromium"),
    pytest.mark.timeout(PATIENCE + 60),
]

LANE: Final = 5
"""Trials that one child makes, so that two browsers a platform are open at most."""
SHOWN: Final = 2
"""Posts that a page of a search shows here, so that there is a second page."""
CHANGED: Final[dict[Platform, dict[str, str]]] = {
    "xiaohongshu": {'"page_size":20': f'"page_size":{SHOWN}'},
    "douyin": {"count=10": f"count={SHOWN}"},
}
ROOTS: Final[dict[Platform, int]] = {"xiaohongshu": 10, "douyin": 20}
"""Comments a page."""
REPLIES: Final[dict[Platform, int]] = {"xiaohongshu": 6, "douyin": 5}
"""Replies seen before the second page of them: a preview and a short page, or one page."""
ANSWERS: Final[dict[Platform, dict[str, Answer]]] = {
    "xiaohongshu": xiaohongshu.ANSWERS,
    "douyin": douyin.ANSWERS,
}


@dataclass(frozen=True)
class Posts:
    """What the keyword finds on a platform, in the order in which it is read."""

    world: World
    platform: Platform

    @property
    def first(self) -> Item:
        """The newest post, the one with many comments."""
        return self.world.posts(self.platform)[0]

    def whole(self, *posts: Item) -> set[str]:
        """Posts with all below them."""
        return ids([one for post in posts for one in (post, *self.world.below(post))])

    @property
    def found(self) -> set[str]:
        """What the searches alone tell: on Xiaohongshu only stubs."""
        return ids(self.world.posts(self.platform)) if self.platform == "douyin" else set()

    def comments(self, pages: int, *, unfolded: bool) -> set[str]:
        """The first post with so many pages of its comments, and the replies to these."""
        roots = self.world.roots(self.first.native_id, self.platform)
        shown = [root for page in cut(roots, ROOTS[self.platform])[:pages] for root in page]
        preview = 1 if self.platform == "xiaohongshu" else 0
        told = [reply for root in shown for reply in self.world.replies(root)[: None if unfolded else preview]]
        return ids([self.first, *shown, *told])

    def replies(self, some: int) -> set[str]:
        """Replies below the first post, so many below each comment."""
        roots = self.world.roots(self.first.native_id, self.platform)
        return ids([reply for root in roots for reply in self.world.replies(root)[:some]])


Reached = Callable[[Posts], set[str]]
At = Callable[[Asked], bool]


def search(asked: Asked) -> bool:
    """The second page of a search, however sorted."""
    page = asked.params.get("page") or asked.params.get("offset")
    return asked.path.endswith(("/search/notes", "/search/single/")) and page == "2"


def comments(asked: Asked) -> bool:
    """The second page of a post's comments."""
    at_start = asked.params.get("cursor") in ("", "0")
    return asked.path.endswith(("/v2/comment/page", "/comment/list/")) and not at_start


def every_comments(asked: Asked) -> bool:
    return asked.path.endswith(("/v2/comment/page", "/comment/list/"))


def replies(asked: Asked) -> bool:
    """A page of replies behind the first."""
    douyin = asked.path.endswith("/comment/list/reply/") and asked.params.get("cursor") != "0"
    return douyin or (asked.path.endswith("/comment/sub/page") and "num" in asked.params)


def _not_first_sub_page() -> At:
    seen: list[Asked] = []

    def at(asked: Asked) -> bool:
        if not replies(asked):
            return False
        seen.append(asked)
        return len(seen) > 1 or "/douyin" in asked.path

    return at


def a_post(asked: Asked) -> bool:
    """Any post's own page."""
    return bool(re.search(r"/xhs/explore/[0-9a-f]{24}$|/douyin/video/\d+$", asked.path))


# What is left, by place and class of the fault ------------------------------------------------------------------------


def all_there(posts: Posts) -> set[str]:
    return posts.world.truth(posts.platform)


def without_later_posts(posts: Posts) -> set[str]:
    return posts.whole(*posts.world.posts(posts.platform)[:SHOWN])


def without_later_comments(posts: Posts) -> set[str]:
    others = posts.world.posts(posts.platform)[1:]
    return posts.comments(1, unfolded=True) | posts.whole(*others)


def without_later_replies(posts: Posts) -> set[str]:
    return all_there(posts) - (posts.replies(10**6) - posts.replies(REPLIES[posts.platform]))


def nothing_but_searches(posts: Posts) -> set[str]:
    return posts.found & ids(posts.world.posts(posts.platform)[:SHOWN])


def up_to_comments(posts: Posts) -> set[str]:
    return posts.found | posts.comments(1, unfolded=False)


def up_to_replies(posts: Posts) -> set[str]:
    return posts.found | posts.comments(99, unfolded=False) | posts.replies(REPLIES[posts.platform])


def nothing_below(posts: Posts) -> set[str]:
    return posts.found


@dataclass(frozen=True)
class Trouble:
    """A fault in the browser. ``stop``: the platform is left at once."""

    name: str
    at: Callable[[], At]
    spoil: Spoil
    reached: Reached
    says: str
    stop: bool = False
    extra: bool = False
    """Only in the long sweep."""


def _fault(name: str) -> Spoil:
    fault = next(one for one in faults.FAULTS if one.name == name)
    return fault.make(None)  # type: ignore[arg-type] - these need to know nothing of a list


def _said(platform: Platform, name: str) -> Spoil:
    def spoil(turn: Turn) -> Answered:
        build = ANSWERS[platform][name].build
        assert build is not None
        return Answered.of(build(turn.asked.request()))

    return spoil


def _changed(**fields: Any) -> Spoil:
    """The same answer with these fields of it (or of what is under its ``data``) changed."""

    def spoil(turn: Turn) -> Answered:
        data = turn.good.data
        inner = data["data"] if isinstance(data.get("data"), dict) else data
        inner.update({name: value for name, value in fields.items() if name in inner})
        return turn.good.saying(data)

    return spoil


def _first_page_again() -> Spoil:
    """The first page of comments comes for ever, each time promising more."""
    kept: dict[str, Answered] = {}

    def spoil(turn: Turn) -> Answered:
        post = turn.asked.params.get("note_id") or turn.asked.params["aweme_id"]
        again = kept.setdefault(post, turn.good)
        data = again.data
        inner = data.get("data", data)
        if turn.asked.params.get("cursor") not in ("", "0"):
            more = turn.nth + 7
            inner |= {"has_more": 1 if "status_code" in data else True}
            inner["cursor"] = more if "status_code" in data else f"{more:024x}"
        return again.saying(data)

    return spoil


def troubles(platform: Platform) -> list[Trouble]:
    xhs = platform == "xiaohongshu"

    def at(place: At) -> Callable[[], At]:
        return lambda: place

    captcha, spent, expired = (
        ("verification_461", "throttled_300013", "login_100") if xhs
        else ("verification_header", "verification_nil", "login_8")
    )  # fmt: skip

    def hole(
        name: str, place: At, fault: str, left: Reached, says: str = "capture_", *, extra: bool = False
    ) -> Trouble:
        return Trouble(name, at(place), _fault(fault), left, says, extra=extra)

    def stop(name: str, place: Callable[[], At], spoil: Spoil, left: Reached, *, extra: bool = False) -> Trouble:
        says = "stopped (verification|throttled|login_required|blocked|unknown) "
        return Trouble(name, place, spoil, left, says, stop=True, extra=extra)

    fewer = without_later_comments
    cut_replies = _fault("half_body")
    circle, claims = _first_page_again(), _changed(total=3, user_id=None)
    made = [
        hole("comments_half_body", comments, "half_body", fewer),
        hole("comments_gzip_bomb", comments, "gzip_bomb", fewer, "too_large|capture_"),
        hole("comments_http_502", comments, "http_502", fewer, "http_502"),
        hole("search_reset", search, "reset", without_later_posts, "搜索中断"),
        Trouble("replies_half_body", _not_first_sub_page, cut_replies, without_later_replies, "capture_|stalled"),
        Trouble("comments_in_a_circle", at(every_comments), circle, fewer, "partial|complete"),
        stop("comments_captcha", at(comments), _said(platform, captcha), up_to_comments),
        stop("search_refused", at(search), _said(platform, spent), nothing_but_searches),
        stop("replies_login", _not_first_sub_page, _said(platform, expired), up_to_replies),
        stop("post_to_login", at(a_post), _said(platform, "login_redirect"), nothing_below),
        stop("comments_html", at(comments), _fault("html_as_json"), up_to_comments, extra=True),
        stop("comments_empty_object", at(comments), _fault("empty_object"), up_to_comments, extra=True),
        stop("comments_short", at(comments), _fault("short_length"), up_to_comments, extra=True),
        hole("comments_endless", comments, "endless", fewer, "too_large|capture_", extra=True),
        hole("comments_drip", comments, "drip", fewer, "capture_|stalled", extra=True),
        Trouble("comments_gzip", at(comments), _fault("gzip"), all_there, "complete", extra=True),
        Trouble("comments_claims", at(every_comments), claims, all_there, "complete", extra=True),
    ]
    if os.environ.get("SHENGWEN_TROUBLE") == "all":
        return made
    return [one for number, one in enumerate(made) if not one.extra and number % 2 == xhs]


PLATFORMS: Final[tuple[Platform, ...]] = ("xiaohongshu", "douyin")
CASES: Final = [(platform, trouble) for platform in PLATFORMS for trouble in troubles(platform)]


def case_of(platform: Platform, trouble: Trouble) -> Case:
    more: dict[str, Any] = {"max_bytes": MAX_BYTES, "timeout": 15}
    return Case(platform, platform, trouble.name, [(trouble.at(), trouble.spoil)], more, more, CHANGED[platform])


@pytest.fixture(scope="module")
def trials(
    request: pytest.FixtureRequest, spider_nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Trials, World]]:
    wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = [(params["platform"], params["trouble"]) for params in wanted if "trouble" in params]
    cases = [case_of(platform, trouble) for platform, trouble in dict.fromkeys(asked)]
    with (
        running_world() as world,
        Trials(world, spider_nursery, tmp_path_factory.mktemp("trouble"), cases, lane=LANE) as made,
    ):
        yield made, world


@pytest.mark.parametrize(("platform", "trouble"), CASES, ids=[f"{platform}-{one.name}" for platform, one in CASES])
def test_what_can_be_reached_is_read_and_the_rest_is_told(
    trials: tuple[Trials, World], platform: Platform, trouble: Trouble
) -> None:
    trial, posts = trials[0].of(platform, trouble.name), Posts(trials[1], platform)
    got, wanted, report = trial.streamed(1), trouble.reached(posts), trial.first["report"]
    print(trial.row(len(wanted)))
    assert trial.log.troubled
    assert set(got) == wanted
    assert set(got.values()) <= {1}
    assert re.search(trouble.says, trial.counted), trial.counted
    assert (report["status"] == "stopped") == trouble.stop
    if trouble.stop:
        # No page is opened any more; what the open one is about to ask for itself cannot be called back.
        later = [path for path in trial.log.after_trouble() if "/login" not in path]
        assert not [path for path in later if re.search(r"/search_result|/explore|/douyin/(search|video)/", path)]
        assert len(later) <= 2
    if wanted != all_there(posts):
        assert report["status"] != "complete"
    # Well again: nothing was lost for ever, nothing is told twice.
    assert trial.second["report"]["status"] == "complete", trial.second["report"]["reason"]
    assert trial.streamed(2) == dict.fromkeys(all_there(posts), 1)
