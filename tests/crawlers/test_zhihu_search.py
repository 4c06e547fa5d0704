"""Zhihu by keyword: the site's search in a real Chromium, what it finds by plain requests, all in one run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crawlers.browser import BrowserSpider
from crawlers.config import CrawlSettings
from crawlers.run import spider_of
from crawlers.zhihu.spider import ZhihuSpider
from ingest.errors import ConfigError
from shengwen.demo.cast import ZHIHU_ARTICLES, ZHIHU_QUESTIONS
from tests.crawlers.crowd import HITS, KEYWORD, World, ids, running_world
from tests.crawlers.replica import running_replica
from tests.crawlers.runs import Home, a_session
from tests.crawlers.trouble import Answered, Asked, Log, Spoil, Turn, Wire

pytestmark = pytest.mark.timeout(600)
in_chromium = pytest.mark.browser
WAIT = 280
"""Seconds that a run may take on the busiest machine."""
SETTLED: dict[str, Any] = {"revisit_hours": [], "timeout": 30}
"""Nothing is looked at again because of its age."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as running:
        yield running


@pytest.fixture
def session(tmp_path: Path) -> str:
    return str(a_session(tmp_path / "session.json", "zhihu"))


@pytest.fixture
def walled(world: World) -> Iterator[World]:
    """Zhihu as it is: its search is for people who are logged in."""
    world.demo.switches.set("zhihu", login=True)
    yield world
    world.demo.switches.set("zhihu")


def truth(world: World) -> set[str]:
    """What the keyword finds, and what was said below it."""
    return ids([one for hit in world.hits() for one in (hit, *world.talk(hit))])


def settings(world: World, base_url: str, **more: Any) -> dict[str, Any]:
    return world.settings("zhihu", base_url) | {"targets": [{"keyword": KEYWORD}]} | SETTLED | more


def is_search(asked: Asked) -> bool:
    return asked.path.endswith("/search_v3")


def is_talk(asked: Asked) -> bool:
    return "/comment_v5/" in asked.path


def paths(log: Log, of: Callable[[Asked], bool]) -> list[Asked]:
    return [asked for asked in log.asked if of(asked)]


# -- with a browser -------------------------------------------------------------------------------------------------


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_everything_found_is_streamed_once_in_full_and_a_second_run_stops_at_what_it_knows(
    walled: World, home: Home, session: str
) -> None:
    wanted = truth(walled)
    assert len(walled.hits()) == sum(HITS.values()) > 40  # three pages
    with Wire(walled.address) as wire:
        home.configure(zhihu=settings(walled, wire.base_url, storage_state=session))
        report = home.crawl("zhihu", WAIT)
        assert report.status == "complete", report.reason
        assert set(home.ids()) == wanted
        assert set(home.ids().values()) == {1}
        said = {mention.id: mention.text for mention in home.streamed()}
        for hit in walled.hits():  # what the search cuts off was read on its own page
            assert said[f"zhihu:{hit.kind}:{hit.native_id}"] == hit.plain
        (record,) = report.coverage
        assert (record.query, record.got, record.new) == (KEYWORD, len(wanted), len(wanted))
        assert paths(wire.logs[""], lambda asked: asked.params.get("sort") == "created_time")

        wire.begin("again")
        again = home.crawl("zhihu", WAIT)
        assert again.status == "complete", again.reason
        assert home.ids().total() == len(wanted)
        asked = wire.logs["again"]
        assert not paths(asked, is_talk)
        newest = paths(asked, lambda one: is_search(one) and one.params.get("sort") == "created_time")
        assert {one.params["offset"] for one in newest} == {"0"}


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_what_is_new_and_what_was_commented_since_is_picked_up(home: Home) -> None:
    with running_replica() as replica:
        home.configure(zhihu=replica.settings("zhihu", ["岚炉"]) | SETTLED)
        assert home.crawl("zhihu", WAIT).status == "complete"
        before = replica.found_by("zhihu", ["岚炉"])
        assert set(home.ids()) == before
        replica.clock.advance(timedelta(days=26).total_seconds())
        after = replica.found_by("zhihu", ["岚炉"])
        assert {one for one in after - before if ":comment:" in one}
        # A list that ends where everything is known does not reach an old answer that was commented: full passes do.
        home.configure(zhihu=replica.settings("zhihu", ["岚炉"]) | SETTLED | {"full_pass_hours": 0})
        report = home.crawl("zhihu", WAIT)
        assert report.status == "complete", report.reason
        assert set(home.ids()) == after
        assert set(home.ids().values()) == {1}
        assert sum(record.new for record in report.coverage) == len(after - before)


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_keywords_questions_and_articles_are_read_in_one_run_each_in_its_own_way(
    walled: World, home: Home, session: str
) -> None:
    targets = [{"question_id": ZHIHU_QUESTIONS[1]}, {"keyword": KEYWORD}, {"article_id": ZHIHU_ARTICLES[1]}]
    by_id = walled.of_zhihu_target(ZHIHU_QUESTIONS[1]) | walled.of_zhihu_target(ZHIHU_ARTICLES[1])
    with Wire(walled.address) as wire:
        home.configure(zhihu=settings(walled, wire.base_url, targets=targets, storage_state=session))
        report = home.crawl("zhihu", WAIT)
    assert report.status == "complete", report.reason
    assert set(home.ids()) == truth(walled) | by_id
    assert set(home.ids().values()) == {1}
    assert [record.status for record in report.coverage] == ["complete"] * 3
    for asked in wire.logs[""].asked:
        name = next(value for header, value in asked.headers if header.lower() == "user-agent")
        plain = is_talk(asked) or "/feeds" in asked.path or "/question/" in asked.path or "/p/" in asked.path
        if plain or is_search(asked):
            assert ("Mozilla" in name) is not plain, asked.target


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_a_session_that_ends_is_noticed_and_told_once(home: Home, session: str) -> None:
    with running_world() as world, Wire(world.address) as wire:
        world.demo.switches.set("zhihu", login=True)
        home.configure(zhihu=settings(world, wire.base_url, storage_state=session))
        assert home.crawl("zhihu", WAIT).status == "complete"
        world.demo.switches.end_sessions("zhihu")
        wire.begin("ended")
        report = home.crawl("zhihu", WAIT)
        assert (report.status, report.signal) == ("stopped", "login_required")
        assert home.status("zhihu").needs_person
        assert len(paths(wire.logs["ended"], lambda asked: asked.path.endswith("/search"))) == 1
        assert not paths(wire.logs["ended"], lambda asked: is_search(asked) or is_talk(asked))
        wire.begin("stopped")
        assert home.crawl("zhihu", WAIT).status == "stopped"
        assert wire.logs["stopped"].asked == []
    assert [record.status for record in home.coverage()] == ["complete", "stopped"]


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_every_refusal_of_the_search_stops_at_once(world: World, home: Home) -> None:
    meant = world.demo.switches.names("zhihu")
    in_state = {"login_ssr", "blocked_antispider"}  # marks in a question's page
    refusals = [name for name, signals in meant.items() if not {"ok", "empty", "gone"} & set(signals)]
    with running_replica() as replica:
        base_url = replica.demo.base_url
        home.configure(zhihu=settings(world, base_url, timeout=2, pages_per_run=999))
        runs = home.refused(
            "zhihu", base_url, [one for one in refusals if one not in in_state], one_browser=True, seconds=WAIT
        )
    assert len(runs) >= 11
    for run in runs:
        assert run["signal"] in meant[run["answer"]], run
        assert len(run["hits"]) <= 2, run  # the page, and what it loads or is led to


REFUSED: dict[str, Answered] = {
    "verification": Answered(
        b'{"error":{"code":40352,"need_login":true,"redirect":"https://www.zhihu.com/account/unhuman?type=S6E3V1"}}',
        403,
    ),
    "blocked": Answered(b'{"error":{"code":40362,"message":"x"}}', 403),
}


@in_chromium
@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("signal", list(REFUSED))
def test_a_refusal_of_plain_requests_in_the_same_run_stops_the_browser_as_well(
    walled: World, home: Home, session: str, signal: str
) -> None:
    targets = [{"keyword": KEYWORD}, {"keyword": "岚炉"}, {"article_id": ZHIHU_ARTICLES[1]}]
    plans = {"refused": [(is_talk, lambda turn: REFUSED[signal])]}
    with Wire(walled.address, plans) as wire:
        wire.begin("refused")
        home.configure(zhihu=settings(walled, wire.base_url, targets=targets, storage_state=session))
        report = home.crawl("zhihu", WAIT)
    assert (report.status, report.signal) == ("stopped", signal)
    assert wire.logs["refused"].after_trouble() == []
    assert home.status("zhihu").signal == signal
    found = {one for one in ids(walled.hits()) if ":answer:" in one or ":video:" in one}
    assert set(home.ids()) & found  # what the search had shown in full is kept


def clamped() -> Spoil:
    """Behind its end a list shows its last page again, and goes on promising more."""
    last: list[Any] = []

    def spoil(turn: Turn) -> Answered:
        data = turn.good.data
        if data["data"]:
            last[:] = data["data"]
            return turn.good
        return turn.good.saying(data | {"data": list(last)})

    return spoil


def only_adverts() -> Spoil:
    """Behind its end a list shows what nobody asked for, and goes on promising more."""

    def spoil(turn: Turn) -> Answered:
        data = turn.good.data
        return turn.good if data["data"] else turn.good.saying(data | {"data": [{"type": "knowledge_ad"}]})

    return spoil


@in_chromium
@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("lie", [clamped, only_adverts])
def test_a_list_that_never_says_that_it_ends_is_ended_where_nothing_new_comes(
    walled: World, home: Home, session: str, lie: Callable[[], Spoil]
) -> None:
    with Wire(walled.address, {"lie": [(is_search, lie())]}) as wire:
        wire.begin("lie")
        home.configure(zhihu=settings(walled, wire.base_url, storage_state=session))
        report = home.crawl("zhihu", WAIT)
        asked = paths(wire.logs["lie"], is_search)
    assert report.status == "complete", report.reason
    assert set(home.ids()) == truth(walled)
    beyond = {int(one.params["offset"]) for one in asked}
    assert max(beyond) <= 60 + 20 * BrowserSpider.repeats


@in_chromium
@pytest.mark.usefixtures("chromium")
def test_a_search_longer_than_the_cap_is_read_in_parts_by_the_filters_of_its_page(
    walled: World, home: Home, session: str
) -> None:
    with Wire(walled.address) as wire:
        home.configure(zhihu=settings(walled, wire.base_url, storage_state=session))
        assert home.crawl("zhihu", WAIT).status == "complete"
        wire.begin("capped")  # nothing below the hits is due any more, so the budget goes into parts
        more = {"page_cap": 2, "full_pass_hours": 0, "pages_per_run": 24}
        home.configure(zhihu=settings(walled, wire.base_url, storage_state=session, **more))
        report = home.crawl("zhihu", WAIT)
        asked = [one.params for one in paths(wire.logs["capped"], is_search)]
    assert (report.status, report.coverage[0].cut_off) == ("partial", ("全部",))
    assert "pages_per_run" in report.reason
    chosen = {(one.get("time_interval"), one.get("vertical"), one.get("sort")) for one in asked}
    assert {("a_year", None, None), ("a_year", "answer", None), ("a_year", "answer", "upvoted_count")} <= chosen
    assert home.ids().total() == len(truth(walled))


# -- without --------------------------------------------------------------------------------------------------------


def test_no_browser_is_asked_for_without_keywords(world: World, home: Home) -> None:
    nowhere = {"chromium": "/nonexistent/chromium"}
    plain = world.settings("zhihu", world.demo.base_url)
    crawl = CrawlSettings.model_validate({"zhihu": plain} | nowhere)
    spider_class, scrapy = spider_of("zhihu", crawl)
    assert not issubclass(spider_class, BrowserSpider)
    assert "DOWNLOAD_HANDLERS" not in scrapy
    only = CrawlSettings.model_validate({"zhihu": {"targets": [{"keyword": KEYWORD}]}} | nowhere)
    with pytest.raises(ConfigError, match="Chromium"):
        spider_of("zhihu", only)

    home.configure(zhihu=plain | {"targets": [{"keyword": KEYWORD}, {"article_id": ZHIHU_ARTICLES[1]}]})
    home.job = home.job.model_copy(update={"crawl": home.job.crawl.model_copy(update=nowhere)})
    assert spider_of("zhihu", home.job.crawl)[0] is ZhihuSpider
    report = home.crawl("zhihu", WAIT)
    assert report.status == "partial"
    assert [(record.query, record.status) for record in report.coverage] == [
        (KEYWORD, "failed"),
        (f"article_id={ZHIHU_ARTICLES[1]}", "complete"),
    ]
    assert re.search("no_browser", report.reason)
    assert set(home.ids()) == world.of_zhihu_target(ZHIHU_ARTICLES[1])
