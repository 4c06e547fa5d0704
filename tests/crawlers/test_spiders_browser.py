"""Xiaohongshu and Douyin against the replica, read by a real Chromium."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crawlers.config import Platform
from crawlers.payload import STOP_SIGNALS
from crawlers.session import SessionFile
from ingest.privacy import load_secret
from shengwen.demo.items import Item
from shengwen.demo.replica import xhs_records
from shengwen.demo.settings import LOGIN_COOKIES
from tests.crawlers.replica import NOW, Replica, running_replica
from tests.crawlers.runs import Home, a_session
from tests.processes import KILLED, wait_until

PLATFORMS: tuple[Platform, ...] = ("xiaohongshu", "douyin")
pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("chromium")]


@pytest.fixture
def replica() -> Iterator[Replica]:
    with running_replica() as running:
        yield running


@pytest.mark.parametrize("platform", PLATFORMS)
def test_posts_with_all_comments_and_replies_are_streamed_and_news_are_picked_up(
    replica: Replica, home: Home, tmp_path: Path, platform: Platform
) -> None:
    """As somebody who has logged in by hand: the platform shows nothing to others."""
    keywords = replica.keywords(platform)[:1]
    truth = replica.found_by(platform, keywords)
    session = a_session(tmp_path / "session.json", platform)
    replica.demo.switches.set(platform, login=True)
    home.configure(**{platform: replica.settings(platform, keywords, storage_state=str(session))})
    report = home.crawl(platform)
    assert report.status == "complete", report.reason
    assert set(home.ids()) == truth
    assert set(home.ids().values()) == {1}
    assert any(":comment:" in (mention.parent_id or "") for mention in home.streamed())  # replies were unfolded
    assert b"demo-session" not in session.read_bytes()  # was plain; is sealed since the run took it
    kept = SessionFile(session, platform, load_secret(home.job.secret_path, make=False)).load()
    assert kept is not None
    assert LOGIN_COOKIES[platform] in {cookie["name"] for cookie in kept.state["cookies"]}
    assert session.stat().st_mode & 0o077 == 0

    replica.clock.advance(timedelta(days=26).total_seconds())
    later = replica.found_by(platform, keywords)
    assert later > truth
    again = home.crawl(platform)
    assert again.status == "complete"
    assert sum(record.new for record in again.coverage) == len(later - truth)
    assert set(home.ids()) == later
    assert set(home.ids().values()) == {1}


@pytest.mark.parametrize("state", ["rendered", "rendered_twice"])
def test_a_first_screen_that_stands_in_the_pages_state_is_read_from_there_once(
    replica: Replica, home: Home, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """Search, notes and comments: whether the page never asks for what its state holds, or asks for it all the same."""
    monkeypatch.setattr("shengwen.demo.replica.xiaohongshu.SEARCH_PAGE", 2)
    truth = replica.found_by("xiaohongshu", ["安装"])
    posts = [found for found in truth if ":post:" in found]
    said = Counter(item.parent_id for item in replica.items("xiaohongshu") if item.root_id is None and item.parent_id)
    further = sum((said[found.rpartition(":")[2]] - 1) // 10 for found in posts if said[found.rpartition(":")[2]])
    assert further
    replica.demo.switches.set("xiaohongshu", answer=state)
    home.configure(xiaohongshu=replica.settings("xiaohongshu", ["安装"], timeout=30))
    report = home.crawl("xiaohongshu")
    assert report.status == "complete", report.reason
    assert home.ids() == dict.fromkeys(truth, 1)
    (told,) = report.coverage
    assert (told.planned, told.got, told.new, told.duplicate) == (len(truth), len(truth), len(truth), 0)
    asked = Counter(path.partition("/api/sns/web/")[2] for path in replica.hits)
    searches = -(-len(posts) // 2)
    if state == "rendered":
        assert (asked["v1/search/notes"], asked["v1/feed"], asked["v2/comment/page"]) == (searches - 1, 0, further)
    else:
        assert asked["v1/search/notes"] > searches  # sorted otherwise at first
        assert asked["v1/feed"] == len(posts)
        assert asked["v2/comment/page"] > len(posts)
    assert asked["v2/comment/sub/page"] > 0


@pytest.mark.timeout(1000)
def test_a_post_that_comes_of_age_is_opened_again_though_its_count_did_not_change(
    replica: Replica, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    keywords = replica.keywords("xiaohongshu")[1:]  # one post with a few comments
    (post,) = [
        one for one in replica.items("xiaohongshu") if one.kind == "post" and keywords[0] in one.title + one.text
    ]
    age = (NOW - post.created_at).total_seconds() / 3600
    # A search tells the day at most, so the spider takes the post for up to a day older than it is.
    settings = replica.settings("xiaohongshu", keywords, timeout=30, full_pass_hours=10_000, revisit_hours=[age + 36])
    home.configure(xiaohongshu=settings)

    def opened(hours: float) -> int:
        """Run so long after the first time; how often the post was opened."""
        replica.hits.clear()
        home.now = NOW + timedelta(hours=hours)
        report = home.crawl("xiaohongshu", seconds=240)  # on the busiest machine
        assert report.status == "complete", report.reason
        return sum(path.endswith(f"/explore/{post.native_id}") for path in replica.hits)

    assert opened(0) == 1
    said = next(one for one in replica.items("xiaohongshu") if one.parent_id == post.native_id)
    edited = replace(said, text=said.text + "（更新：师傅来过了）")
    told = tuple(edited if one is said else one for one in replica.demo.story._items)
    monkeypatch.setattr(replica.demo.story, "_items", told)
    assert opened(6) == 0
    assert opened(40) == 1
    texts = [mention.text for mention in home.streamed() if mention.id == f"xiaohongshu:comment:{said.native_id}"]
    assert len(texts) == 2
    assert texts[1].endswith("（更新：师傅来过了）")


@pytest.mark.parametrize(("platform", "gone"), [("xiaohongshu", "gone_510000"), ("douyin", "gone")])
def test_every_refusal_stops_the_browser_at_once_and_what_is_gone_does_not(
    replica: Replica, home: Home, platform: Platform, gone: str
) -> None:
    keywords = replica.keywords(platform)[1:]
    home.configure(**{platform: replica.settings(platform, keywords, timeout=2, pages_per_run=999)})
    meant = replica.demo.switches.names(platform)
    del meant["server_error"]  # a gateway's trouble is nobody's refusal
    refusals = [name for name, signals in meant.items() if not {"ok", "empty", "gone"} & set(signals)]
    runs = home.refused(platform, replica.demo.base_url, [*refusals, gone], one_browser=True)
    assert [run["answer"] for run in runs] == [*refusals, gone]
    assert runs.pop()["signal"] == ""
    assert len(runs) >= 12
    for run in runs:
        assert run["signal"] in STOP_SIGNALS, run
        assert len(run["hits"]) <= 2, run  # the page, and what it loads or is led to


def test_a_posters_comments_are_known_by_the_account_where_no_tag_says_so(
    replica: Replica, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = xhs_records._comment
    monkeypatch.setattr(xhs_records, "_comment", lambda item, note: told(item, note) | {"show_tags": []})
    items = {item.native_id: item for item in replica.items("xiaohongshu")}

    def by_poster(item: Item) -> bool:
        top = item
        while top.parent_id is not None:
            top = items[top.parent_id]
        return top is not item and top.author.uid == item.author.uid

    keywords = replica.keywords("xiaohongshu")[:1]
    home.configure(xiaohongshu=replica.settings("xiaohongshu", keywords))
    assert home.crawl("xiaohongshu").status == "complete"
    streamed = home.streamed()
    wanted = {mention.id for mention in streamed if by_poster(items[mention.id.rpartition(":")[2]])}
    assert wanted
    assert {mention.id for mention in streamed if mention.author.by_poster} == wanted


def test_a_refused_run_is_told_once_and_not_repeated(replica: Replica, home: Home) -> None:
    home.configure(douyin=replica.settings("douyin", replica.keywords("douyin")))
    replica.demo.switches.set("douyin", answer="verification_nil")
    report = home.crawl("douyin")
    assert (report.status, report.signal) == ("stopped", "verification")
    assert home.status("douyin").needs_person
    replica.hits.clear()
    assert home.crawl("douyin").status == "stopped"
    assert replica.hits == []
    assert [record.status for record in home.coverage()] == ["stopped"]


def test_kill_9_in_the_middle_loses_nothing_and_leaves_no_browser_behind(replica: Replica, home: Home) -> None:
    keywords = replica.keywords("xiaohongshu")[:1]  # the one whose comments take several pages
    home.configure(xiaohongshu=replica.settings("xiaohongshu", keywords, pages_per_context=2))
    child = home.begin("xiaohongshu")
    wait_until(lambda: sum(path.endswith("/comment/page") for path in replica.hits) >= 2, 60)
    family = descendants(child.pid)
    assert family
    child.signal(signal.SIGKILL)
    assert child.wait() == KILLED
    wait_until(lambda: not any(alive(pid) for pid in family), 20, "the end of the browser")
    assert home.crawl("xiaohongshu").status == "complete"
    assert set(home.ids()) == replica.found_by("xiaohongshu", keywords)
    assert set(home.ids().values()) == {1}


def test_sigterm_closes_the_browser_and_keeps_what_was_read(replica: Replica, home: Home) -> None:
    home.configure(douyin=replica.settings("douyin", replica.keywords("douyin")))
    child = home.begin("douyin")
    wait_until(lambda: any(path.endswith("/comment/list/") for path in replica.hits), 60)
    family = descendants(child.pid)
    child.signal(signal.SIGTERM)
    assert child.wait(60) == 0
    assert [record.status for record in home.coverage()] == ["partial"]
    assert home.ids()
    wait_until(lambda: not any(alive(pid) for pid in family), 30, "the end of the browser")


def descendants(pid: int) -> set[int]:
    """Every process that this one started, and theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: set[int] = set()
    layer = {pid}
    while layer:
        layer = {child for child, parent in parents.items() if parent in layer}
        found |= layer
    return found


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z" and os.path.exists(f"/proc/{pid}")
