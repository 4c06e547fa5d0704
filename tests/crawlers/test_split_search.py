"""Searches with more results than the platform shows, in a real Chromium: the page's own filters show the others."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from starlette.responses import Response

import shengwen.demo.replica.douyin
import shengwen.demo.replica.xiaohongshu
from crawlers.config import Platform
from crawlers.douyin.spider import DouyinSpider
from crawlers.xiaohongshu.spider import XiaohongshuSpider
from ingest.coverage import Coverage
from shengwen.demo.items import Item
from shengwen.demo.replica.douyin import duration
from tests.crawlers.replica import Replica
from tests.crawlers.runs import Home
from tests.processes import KILLED, Nursery, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("chromium"), pytest.mark.timeout(600)]

KEYWORD, WORD = "暖房手记", "排气阀"
CAPS = {"xiaohongshu": XiaohongshuSpider.search_depth, "douyin": DouyinSpider.search_depth}
"""One result a page: so many results any search shows."""


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery, replica: Replica) -> Home:
    made = Home(tmp_path / "home", spider_nursery)
    made.now = replica.clock.now()
    return made


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of every search, and the filters that it was made with."""
    seen: list[str] = []
    plain = shengwen.demo.replica.xiaohongshu._Xiaohongshu._filtered

    def notes(self: Any, found: list[Item], body: dict[str, Any], visible: list[Item]) -> list[Item]:
        chosen = [one["tags"][0] for one in body["filters"] if one["tags"][0] not in ("不限", "general")]
        seen.append("+".join([body["keyword"], *chosen]))
        return plain(self, found, body, visible)

    plainly = shengwen.demo.replica.douyin._Douyin._found

    def videos(self: Any, request: Any, visible: list[Item]) -> Any:
        chosen = orjson.loads(request.query_params.get("filter_selected") or "{}")
        used = [value for value in chosen.values() if value not in ("", "0")]
        seen.append("+".join([request.query_params["keyword"], *used]))
        return plainly(self, request, visible)

    monkeypatch.setattr(shengwen.demo.replica.xiaohongshu._Xiaohongshu, "_filtered", notes)
    monkeypatch.setattr(shengwen.demo.replica.douyin._Douyin, "_found", videos)
    monkeypatch.setattr(shengwen.demo.replica.xiaohongshu, "SEARCH_PAGE", 1)
    monkeypatch.setattr(shengwen.demo.replica.douyin, "SEARCH_PAGE", 1)
    return seen


class Crowd:
    """Posts that one keyword finds, served in the place of the story's."""

    def __init__(self, replica: Replica, platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: list[Item] = []
        self._now = replica.clock.now()
        self._rng = Random(5)
        self._pattern = next(item for item in replica.items(platform) if item.kind in ("post", "video"))
        module = getattr(shengwen.demo.replica, platform)
        owner = module._Xiaohongshu if platform == "xiaohongshu" else module._Douyin
        monkeypatch.setattr(owner, "_items", lambda _: list(self.items))

    def add(self, days: Sequence[float], *, pictures: int = 1, likes: Sequence[int] = (), text: str = "") -> None:
        """Posts of these ages, without comments. ``pictures`` of a video: its minutes."""
        for n, age in enumerate(days):
            at = self._now - timedelta(days=age, minutes=n)
            more: dict[str, Any] = {"native_id": self._id(at, pictures), "likes": likes[n] if likes else 0}
            more |= {"title": "", "text": f"{KEYWORD}{text}第{n}篇", "pictures": pictures}
            self.items.append(replace(self._pattern, created_at=at, **more))
        self.items.sort(key=lambda item: (item.created_at, item.native_id), reverse=True)

    def _id(self, at: Any, minutes: int) -> str:
        if self._pattern.platform == "xiaohongshu":
            return f"{int(at.timestamp()):08x}{self._rng.getrandbits(64):016x}"
        return f"{int(at.timestamp())}{self._rng.randrange(10**5):05d}{60 * minutes - 10:04d}"

    def ids(self, items: Sequence[Item] | None = None) -> set[str]:
        found = self.items if items is None else items
        return {f"{item.platform}:{item.kind}:{item.native_id}" for item in found}

    def liked(self, items: Sequence[Item]) -> list[Item]:
        return sorted(items, key=lambda item: item.likes, reverse=True)


def crawl(replica: Replica, home: Home, platform: Platform, **more: Any) -> Coverage:
    home.configure(**{platform: replica.settings(platform, [KEYWORD], pages_per_run=9999, **more)})
    (record,) = home.crawl(platform, 300).coverage
    return record


def test_notes_that_one_list_cannot_show_are_all_found_by_its_parts(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(replica, "xiaohongshu", monkeypatch)
    crowd.add([1 + n for n in range(CAPS["xiaohongshu"] - 2)])
    crowd.add([20 + n for n in range(4)], pictures=0)
    record = crawl(replica, home, "xiaohongshu", split_words=[WORD])
    assert (record.status, record.reason, record.cut_off) == ("complete", "", ())
    assert set(home.ids()) == crowd.ids()
    assert set(home.ids().values()) == {1}
    parts = {one for one in asked if one.partition("+")[2] not in ("", "time_descending")}
    assert parts == {f"{KEYWORD}+普通笔记", f"{KEYWORD}+视频笔记"}
    asked.clear()
    again = crawl(replica, home, "xiaohongshu", split_words=[WORD])
    assert (again.status, again.new, again.cut_off) == ("complete", 0, ())
    assert set(asked) <= {KEYWORD, f"{KEYWORD}+time_descending"}  # once a day is enough


def test_what_no_filter_shows_is_told_to_be_cut_off(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cap = CAPS["xiaohongshu"]
    crowd = Crowd(replica, "xiaohongshu", monkeypatch)
    crowd.add([1, 2], pictures=0)
    crowd.add([5 + n for n in range(cap - 2)], likes=[50] * (cap - 2))
    crowd.add([300 + n for n in range(7)], likes=[0, 90, 0, 80, 1, 70, 0])
    crowd.add([800, 801], text=WORD)
    pictures = [item for item in crowd.items if item.pictures]
    reachable = crowd.items[:cap] + pictures[:cap] + crowd.liked(pictures)[:cap]
    reachable += sorted(pictures, key=lambda item: item.likes // 2, reverse=True)[:cap]
    reachable += [item for item in crowd.items if item.pictures == 0 or WORD in item.text]
    newest, filtered = crowd.ids(crowd.items[:cap]), crowd.ids(reachable)
    assert len(newest) < len(filtered) - 4 < len(crowd.items) - 5, (
        "the test needs what filters show, and what nothing does"
    )
    record = crawl(replica, home, "xiaohongshu", split_words=[WORD, KEYWORD])
    assert (record.status, record.cut_off) == ("complete", ("图文（半年内的看全了）",))
    assert set(home.ids()) == crowd.ids(reachable)
    assert f"{KEYWORD} {WORD}+time_descending" in asked
    assert not any(one.startswith(f"{KEYWORD} {KEYWORD}") for one in asked)
    asked.clear()
    again = crawl(replica, home, "xiaohongshu", split_words=[WORD, KEYWORD])
    assert (again.new, again.cut_off) == (0, record.cut_off)  # it is told as long as it is so
    assert set(asked) <= {KEYWORD, f"{KEYWORD}+time_descending"}


def test_videos_are_split_by_how_long_they_are(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(replica, "douyin", monkeypatch)
    for minutes in (1, 3, 8):
        crowd.add([minutes * 20 + n for n in range(7)], pictures=minutes)
    assert {duration(item) // 60_000 for item in crowd.items} == {0, 2, 7}
    record = crawl(replica, home, "douyin")
    assert (record.status, record.reason, record.cut_off) == ("complete", "", ())
    assert set(home.ids()) == crowd.ids()
    parts = {one.partition("+")[2] for one in asked}
    assert parts == {"", "2", "0-1", "1-5", "5-10000"} | {"2"}


@pytest.mark.parametrize("platform", ["xiaohongshu", "douyin"])
def test_a_search_that_fits_is_not_filtered(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch, platform: Platform
) -> None:
    crowd = Crowd(replica, platform, monkeypatch)
    crowd.add([1 + n for n in range(5)])
    record = crawl(replica, home, platform, split_words=[WORD])
    assert (record.status, record.cut_off) == ("complete", ())
    assert set(home.ids()) == crowd.ids()
    assert {one.partition("+")[2] for one in asked} <= {"", "time_descending", "2"}


def test_where_the_sortings_are_in_the_panel_of_filters_the_newest_are_chosen_there(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = shengwen.demo.replica.xiaohongshu.page

    def without_bar(template: str, **context: Any) -> Response:
        body = bytes(plain(template, **context).body)
        return Response(re.sub(rb"<button data-sort[^/]*</button>", b"", body), media_type="text/html")

    monkeypatch.setattr(shengwen.demo.replica.xiaohongshu, "page", without_bar)
    crowd = Crowd(replica, "xiaohongshu", monkeypatch)
    crowd.add([1, 2])
    assert crawl(replica, home, "xiaohongshu").status == "complete"
    assert set(home.ids()) == crowd.ids()
    assert f"{KEYWORD}+time_descending" in asked


@pytest.mark.parametrize("by_force", [False, True])
def test_parts_that_a_budget_or_kill_9_cut_off_are_gone_on_with(
    replica: Replica, home: Home, asked: list[str], monkeypatch: pytest.MonkeyPatch, by_force: bool
) -> None:
    crowd = Crowd(replica, "xiaohongshu", monkeypatch)
    crowd.add([1 + n for n in range(CAPS["xiaohongshu"] - 2)])
    crowd.add([20 + n for n in range(4)], pictures=0)
    if by_force:
        home.configure(xiaohongshu=replica.settings("xiaohongshu", [KEYWORD], pages_per_run=9999))
        child = home.begin("xiaohongshu")
        wait_until(lambda: f"{KEYWORD}+视频笔记" in asked, 240)
        child.signal(signal.SIGKILL)
        assert child.wait() == KILLED
        asked.clear()
        record = crawl(replica, home, "xiaohongshu")
        assert f"{KEYWORD}+普通笔记" not in asked  # it was read to its end
        assert f"{KEYWORD}+视频笔记" in asked
    else:
        statuses = []
        for _ in range(8):
            home.configure(xiaohongshu=replica.settings("xiaohongshu", [KEYWORD], pages_per_run=28))
            (record,) = home.crawl("xiaohongshu", 300).coverage
            statuses.append(record.status)
            if record.status == "complete":
                break
            assert "pages_per_run" in record.reason
        assert len(statuses) > 1
    assert (record.status, record.cut_off) == ("complete", ())
    assert set(home.ids()) == crowd.ids()
    assert set(home.ids().values()) == {1}
