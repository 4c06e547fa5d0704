"""A hostile or broken server: the run ends by itself, with its errors counted, and loses nothing that was well."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.runs import Home
from tests.processes import KILLED, wait_until


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


FETCH_FAULTS = ("half_body", "drops", "gzip_bomb", "bad_gzip", "endless", "silent", "bad_header")


@pytest.mark.parametrize("fault", FETCH_FAULTS)
def test_one_broken_product_does_not_take_the_others_with_it(shop: ShopServer, home: Home, fault: str) -> None:
    shop.reviews = {sku: [review(base + n) for n in range(12, 0, -1)] for sku, base in (("1", 0), ("3", 100))}
    shop.reviews["2"] = [review(n) for n in range(12)]
    shop.faults["2"] = fault
    home.configure(jd=shop.settings("1", "2", "3", timeout=1, max_bytes=200_000))
    report = home.crawl("jd")
    by_query = {record.query: record for record in report.coverage}
    assert by_query["sku=1"].status == by_query["sku=3"].status == "complete"
    assert by_query["sku=2"].status == "failed"
    assert by_query["sku=2"].reason
    assert report.status == "partial"
    assert len(home.ids()) == 24
    assert not home.status("jd").needs_person


def test_a_dead_server_ends_the_run_after_three_failures(shop: ShopServer, home: Home) -> None:
    shop.faults = {str(n): "drops" for n in range(9)}
    home.configure(jd=shop.settings(*shop.faults))
    report = home.crawl("jd")
    assert report.status == "failed"
    assert len(report.coverage) == 3
    assert sum(shop.hits[sku] for sku in shop.faults) == 9  # three products, each asked for three times


def test_a_wrong_charset_is_read_all_the_same_or_stops(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(5)]
    shop.faults["1"] = "wrong_charset"
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").status == "complete"
    assert all("岚炉暖气片第" in mention.text for mention in home.streamed())


def test_a_redirect_to_the_login_page_stops_and_the_page_is_not_asked_for(shop: ShopServer, home: Home) -> None:
    shop.faults = {"1": "to_login"}
    home.configure(jd=shop.settings("1", "2"))
    report = home.crawl("jd")
    assert (report.status, report.signal) == ("stopped", "login_required")
    assert shop.hits["1"] == 1
    assert shop.hits["2"] == shop.hits["/passport"] == 0


def test_a_stopped_platform_is_left_alone_until_a_person_resumes_it(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(3)]
    shop.faults = {"1": "to_login"}
    home.configure(jd=shop.settings("1"))
    home.crawl("jd")
    first = home.status("jd")
    assert first.needs_person
    assert home.crawl("jd").status == "stopped"
    assert shop.hits["1"] == 1
    assert home.status("jd").stopped_at == first.stopped_at
    assert len([record for record in home.coverage() if record.status == "stopped"]) == 1
    shop.faults.clear()
    assert home.resume("jd")
    assert home.crawl("jd").status == "complete"
    assert len(home.ids()) == 3


def test_robots_txt_is_obeyed(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(1)]
    shop.robots = b"User-agent: Shengwen\nDisallow: /club/\n"
    home.configure(jd=shop.settings("1"))
    report = home.crawl("jd")
    assert report.status == "failed"
    assert "robots.txt" in report.reason
    assert shop.hits["1"] == 0


def test_a_record_that_cannot_be_read_is_parked_once_and_its_neighbours_stream(shop: ShopServer, home: Home) -> None:
    broken = review(2, creationTime="不是时间")
    shop.reviews["1"] = [review(3), broken, review(1)]
    home.configure(jd=shop.settings("1", full_pass_hours=0))
    report = home.crawl("jd")
    assert (report.coverage[0].new, report.coverage[0].dead, report.coverage[0].got) == (2, 1, 3)
    shop.reviews["1"].insert(0, review(4))
    assert home.crawl("jd").coverage[0].dead == 1
    assert home.letter_records() == 1
    letter = home.letters()[0]
    assert (letter.stage, letter.source, letter.sealed) == ("collect", "jd", True)
    assert set(home.ids().values()) == {1}


def test_a_second_run_streams_nothing_and_reads_one_page(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(25, 0, -1)]
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").coverage[0].new == 25
    again = home.crawl("jd").coverage[0]
    assert (again.new, again.pages, again.status) == (0, 1, "complete")
    assert home.ids().total() == 25


def test_news_and_edits_are_streamed_and_reading_stops_at_what_is_known(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(40, 0, -1)]
    home.configure(jd=shop.settings("1"))
    home.crawl("jd")
    shop.reviews["1"] = [review(41), review(40, content="追加：三天后开始漏水"), *shop.reviews["1"][1:]]
    record = home.crawl("jd").coverage[0]
    assert (record.new, record.pages) == (2, 2)
    assert home.ids()["jd:review:10000000040"] == 2
    newest = [mention for mention in home.streamed() if mention.id == "jd:review:10000000040"]
    assert newest[0].revision.number < newest[1].revision.number


def test_what_a_killed_run_streamed_does_not_hide_what_it_did_not_reach(shop: ShopServer, home: Home) -> None:
    """The news are five pages; the run dies after the first of them. The next one must not stop at page one."""
    old = [review(n) for n in range(10, 0, -1)]
    shop.reviews["1"] = old
    home.configure(jd=shop.settings("1"))
    home.crawl("jd")
    shop.reviews["1"] = [review(n) for n in range(60, 10, -1)] + old
    home.configure(jd=shop.settings("1", pages_per_run=1))
    assert home.crawl("jd").status == "partial"
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").status == "complete"
    assert len(home.ids()) == 60
    assert set(home.ids().values()) == {1}


@pytest.mark.parametrize("pages", [1, 3, 5])
def test_kill_9_in_the_middle_loses_nothing_and_streams_nothing_twice(shop: ShopServer, home: Home, pages: int) -> None:
    shop.reviews["1"] = [review(n) for n in range(60, 0, -1)]
    home.configure(jd=shop.settings("1", pause=[0.05, 0.05]))
    child = home.begin("jd")
    wait_until(lambda: shop.hits["1"] >= pages)
    child.signal(signal.SIGKILL)
    assert child.wait() == KILLED
    report = home.crawl("jd")
    assert report.status == "complete"
    assert home.ids() == {f"jd:review:{10_000_000_000 + n}": 1 for n in range(1, 61)}
    assert home.known() == 60


def test_a_long_list_is_gone_on_with_where_kill_9_cut_it_off(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(300, 0, -1)]
    home.configure(jd=shop.settings("1", pause=[0.05, 0.05]))
    child = home.begin("jd")
    wait_until(lambda: shop.hits["1"] >= 17)
    child.signal(signal.SIGKILL)
    assert child.wait() == KILLED
    reached = shop.hits["1"]
    assert reached < 30
    shop.reviews["1"] = [review(n) for n in range(312, 300, -1)] + shop.reviews["1"]  # and there are news
    shop.hits.clear()
    home.configure(jd=shop.settings("1"))
    (record,) = home.crawl("jd").coverage
    assert record.status == "complete"
    assert home.ids() == {f"jd:review:{10_000_000_000 + n}": 1 for n in range(1, 313)}
    assert shop.hits["1"] <= 32 - 15 + 3  # two pages of news, one page twice
    assert record.planned == record.got
    again = home.crawl("jd").coverage[0]
    assert (again.new, again.pages) == (0, 1)


def test_a_place_that_does_not_fit_any_more_is_not_gone_by(shop: ShopServer, home: Home) -> None:
    """Most of what was read is removed: behind the noted page nothing is known, or there is none."""
    shop.reviews["1"] = [review(n) for n in range(300, 0, -1)]
    home.configure(jd=shop.settings("1", pages_per_run=12))
    assert home.crawl("jd").status == "partial"
    shop.reviews["1"] = shop.reviews["1"][:10] + shop.reviews["1"][120:]
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").status == "complete"
    wanted = {f"jd:review:{record['id']}" for record in shop.reviews["1"]}
    assert wanted <= set(home.ids())
    assert set(home.ids().values()) == {1}


def test_sigterm_ends_cleanly_with_what_was_read(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(30, 0, -1)]
    shop.reviews["2"] = [review(n) for n in range(99, 90, -1)]
    shop.faults["2"] = "slow"
    home.configure(jd=shop.settings("1", "2"))
    child = home.begin("jd")
    wait_until(lambda: shop.hits["2"])
    child.signal(signal.SIGTERM)
    assert child.wait(60) == 0
    shop.delay.set()
    assert len(home.ids()) == 30
    assert [(record.query, record.status) for record in home.coverage()] == [
        ("sku=1", "complete"),
        ("sku=2", "partial"),
    ]
    assert home.coverage()[1].reason.startswith("收到 SIGTERM")


def test_the_pause_between_pages_is_kept(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(40, 0, -1)]
    home.configure(jd=shop.settings("1", pause=[0.2, 0.3]))
    record = home.crawl("jd").coverage[0]
    assert record.pages == 4
    assert (record.finished_at - record.started_at).total_seconds() >= 0.6  # three pauses between four pages


def test_a_list_that_goes_in_circles_is_left(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n % 7) for n in range(80)]
    home.configure(jd=shop.settings("1"))
    report = home.crawl("jd")
    assert report.status == "complete"
    assert shop.hits["1"] <= 2
    assert len(home.ids()) == 7


def test_the_page_cap_and_the_hours_budget_hold(shop: ShopServer, home: Home) -> None:
    shop.reviews["1"] = [review(n) for n in range(80, 0, -1)]
    home.configure(jd=shop.settings("1", page_cap=3))
    report = home.crawl("jd")
    assert (report.status, shop.hits["1"]) == ("partial", 3)
    assert "页数上限" in report.reason
    home.configure(jd=shop.settings("1", requests_per_hour=4, full_pass_hours=0))
    report = home.crawl("jd")
    assert (report.status, shop.hits["1"]) == ("partial", 4)
    assert "requests_per_hour" in report.reason
