"""A product with more reviews than its list shows: other filters show more, and the rest is told to be out of reach."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import shengwen.demo.replica.jd
import shengwen.demo.replica.tmall
from crawlers.config import Platform
from crawlers.jd.spider import PARTS
from shengwen.demo.cast import model_of_item, model_of_sku
from shengwen.demo.items import Item
from shengwen.demo.replica.jd_records import by_score, ordered
from tests.crawlers.replica import Replica
from tests.crawlers.runs import Home
from tests.processes import KILLED, Nursery, wait_until

pytestmark = pytest.mark.timeout(600)  # many runs, each a process

LISTS: dict[Platform, tuple[object, int]] = {
    "jd": (shengwen.demo.replica.jd, 10),
    "tmall": (shengwen.demo.replica.tmall, 20),
}
"""By platform: the replica's module that holds the cap, and the items on a page."""


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery, replica: Replica) -> Home:
    made = Home(tmp_path / "home", spider_nursery)
    made.now = replica.clock.now()
    return made


TIMES = 5
"""A product of the story has some twenty reviews; here each of them was written so many times."""


@pytest.fixture(autouse=True)
def much_talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replica serves products with more reviews than its lists show."""
    for owner in (shengwen.demo.replica.jd._Jd, shengwen.demo.replica.tmall._Tmall):
        monkeypatch.setattr(owner, "_reviews", more_of(owner._reviews))


def more_of(plain: Callable[[Any, Any], list[Item]]) -> Callable[[Any, Any], list[Item]]:
    def many(self: Any, of: Any) -> list[Item]:
        found = plain(self, of)
        return sorted(
            (copy(item, number) for item in found for number in range(TIMES)),
            key=lambda item: (item.created_at, item.native_id),
            reverse=True,
        )

    return many


def copy(item: Item, number: int) -> Item:
    earlier = timedelta(days=60 * number, minutes=number)
    return replace(
        item,
        native_id=f"{item.native_id}{number}",
        created_at=item.created_at - earlier,
        likes=item.likes + number,
        append=None if item.append is None else replace(item.append, at=item.append.at - earlier),
    )


def reviews(replica: Replica, platform: Platform, target: dict[str, str]) -> list[Item]:
    """What there is of a target, newest first."""
    model = model_of_sku(target["sku"]) if platform == "jd" else model_of_item(target["item_id"])
    found = [item for item in replica.items(platform) if item.kind == "review" and item.model is model]
    return ordered([copy(item, number) for item in found for number in range(TIMES)], 6)


def shown(platform: Platform, found: list[Item], limit: int) -> set[str]:
    """What any of the lists shows when each is cut off behind ``limit``, as the field guide describes them."""
    seen: set[str] = set()
    if platform == "jd":
        for part in PARTS:
            score = int(part.params.get("score", 0))
            for sort in (5,) if "sortType" in part.params else (6, 5):
                seen |= {item.native_id for item in ordered(by_score(found, score), sort)[:limit]}
    else:
        filters = (found, [i for i in found if i.append], [i for i in found if i.pictures])
        for chosen in filters:
            liked = sorted(chosen, key=lambda item: (item.likes, item.created_at), reverse=True)
            seen |= {item.native_id for item in (*chosen[:limit], *liked[:limit])}
    return seen | {item.native_id for item in found[:limit]}


def longest(replica: Replica, platform: Platform) -> dict[str, str]:
    targets: list[dict[str, str]] = replica.settings(platform)["targets"]
    return max(targets, key=lambda target: len(reviews(replica, platform, target)))


def settings(replica: Replica, platform: Platform, target: dict[str, str], **more: object) -> dict[str, object]:
    return replica.settings(platform, questions=False, **more) | {"targets": [target]}


@pytest.mark.parametrize("platform", ["jd", "tmall"])
def test_what_one_list_cannot_show_others_do_and_the_rest_is_told(
    replica: Replica, home: Home, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, size = LISTS[platform]
    target = longest(replica, platform)
    there = reviews(replica, platform, target)
    pages = len(there) // size // 3
    monkeypatch.setattr(module, "MAX_PAGES", pages)
    reachable = shown(platform, there, pages * size)
    assert pages * size < len(reachable) < len(there), "the test needs a list that parts help and do not exhaust"
    home.configure(**{platform: settings(replica, platform, target)})
    report = home.crawl(platform, 240)
    assert report.status == "complete"
    (record,) = report.coverage
    assert {mention.rpartition(":")[2] for mention in home.ids()} == reachable
    assert set(home.ids().values()) == {1}
    assert record.unreached == len(there) - len(reachable)
    assert record.planned == record.got == len(reachable)
    (again,) = home.crawl(platform, 240).coverage
    assert (again.new, again.pages, again.unreached) == (0, 1, record.unreached)


def test_a_list_that_fits_is_read_once(replica: Replica, home: Home) -> None:
    target = longest(replica, "jd")
    home.configure(jd=settings(replica, "jd", target))
    (record,) = home.crawl("jd", 240).coverage
    assert (record.unreached, record.got) == (0, len(reviews(replica, "jd", target)))
    assert record.pages == -(-record.got // 10)


@pytest.mark.parametrize("by_force", [False, True])
def test_parts_that_a_budget_or_kill_9_cut_off_are_gone_on_with(
    replica: Replica, home: Home, monkeypatch: pytest.MonkeyPatch, by_force: bool
) -> None:
    target = longest(replica, "jd")
    there = reviews(replica, "jd", target)
    pages = len(there) // 10 // 3
    monkeypatch.setattr(shengwen.demo.replica.jd, "MAX_PAGES", pages)
    reachable = shown("jd", there, pages * 10)
    replica.hits.clear()
    if by_force:
        home.configure(jd=settings(replica, "jd", target, pause=[0.02, 0.02]))
        child = home.begin("jd")
        wait_until(lambda: len(replica.hits) > 2 * pages, 240)
        child.signal(signal.SIGKILL)
        assert child.wait() == KILLED
    else:
        home.configure(jd=settings(replica, "jd", target, pages_per_run=pages + 3))
        assert home.crawl("jd", 240).status == "partial"
    before = len(replica.hits)
    home.configure(jd=settings(replica, "jd", target))
    (record,) = home.crawl("jd", 240).coverage
    assert record.status == "complete"
    assert {mention.rpartition(":")[2] for mention in home.ids()} == reachable
    assert set(home.ids().values()) == {1}
    assert record.unreached == len(there) - len(reachable)
    assert before > pages
