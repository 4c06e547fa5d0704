"""The audit: as many lines as requests reached the platform, whole ones, and nothing in them that must stay secret."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest

from crawlers.audit import Audit, read_audit
from crawlers.config import Platform
from crawlers.ledger import Ledger
from crawlers.payload import Payload
from ingest.clock import ManualClock
from ingest.state import Base, make_engine
from shengwen.demo.settings import PREFIXES
from tests.crawlers.hostile import ShopServer, review
from tests.crawlers.replica import Replica
from tests.crawlers.runs import Home
from tests.processes import KILLED, wait_until

pytestmark = pytest.mark.timeout(300)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
AT = datetime(2026, 3, 4, 15, 59, 59, 250_000, tzinfo=UTC)
"""In Beijing the 4th, a second before midnight."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(AT)


@pytest.fixture
def ledger(tmp_path: Path, clock: ManualClock) -> Iterator[Ledger]:
    engine = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(engine)
    yield Ledger(engine, "jd", clock)
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def audit(folder: Path, ledger: Ledger, clock: ManualClock) -> Audit:
    return Audit(folder, "jd", ledger, clock, why="robots_allowed", days=30)


def lines(folder: Path, *platforms: str, since: datetime = LONG_AGO) -> list[dict[str, Any]]:
    return [dict(line.fields) for line in read_audit(folder, platforms or ("jd",), since)]


def test_a_line_says_what_was_asked_and_what_came_without_body_or_token(
    audit: Audit, folder: Path, ledger: Ledger
) -> None:
    ledger.begin()
    audit.answered(
        Payload(
            url="https://somebody:word@club.jd.com/comment/list.action?productId=7&page=2&h5st=t0ken&callback=x#frag",
            method="POST",
            headers={"set-cookie": "thor=c00kie"},
            body=b"the words of a customer",
            captured_at=AT,
            request_body=b"sign=s1gn",
        ),
        "ok",
    )
    (line,) = lines(folder)
    assert line == {
        "at": "2026-03-04T15:59:59.250000+00:00",
        "platform": "jd",
        "run": 1,
        "method": "POST",
        "url": "https://club.jd.com/comment/list.action?productId=7&page=2",
        "why": "robots_allowed",
        "status": 200,
        "bytes": 23,
        "sha256": sha256(b"the words of a customer").hexdigest(),
        "signal": "ok",
    }
    (file,) = folder.iterdir()
    assert file.name == "jd-2026-03-04.jsonl"
    assert (file.stat().st_mode | folder.stat().st_mode) & 0o077 == 0


def test_files_are_cut_at_beijings_midnight_read_in_order_and_forgotten_in_time(
    audit: Audit, folder: Path, ledger: Ledger, clock: ManualClock
) -> None:
    audit.failed("GET", "https://club.jd.com/a", "TimeoutError")
    clock.advance(2)
    audit.other("GET", "https://club.jd.com/robots.txt", 404, 9, why="robots_txt")
    Audit(folder, "zhihu", ledger, clock, why="permission", reason="自己的店", days=30).failed("GET", "https://z/", "X")
    assert sorted(path.name for path in folder.iterdir()) == [
        *("jd-2026-03-04.jsonl", "jd-2026-03-05.jsonl", "zhihu-2026-03-05.jsonl")
    ]
    assert [line.get("error") or line["why"] for line in lines(folder)] == ["TimeoutError", "robots_txt"]
    assert [line["why"] for line in lines(folder, since=clock.now())] == ["robots_txt"]
    assert [line.get("reason") for line in lines(folder, "zhihu", "jd")] == [None, None, "自己的店"]
    assert lines(folder, "tmall") == []
    clock.advance(timedelta(days=30).total_seconds())
    Audit(folder, "jd", ledger, clock, why="robots_allowed", days=30)
    assert sorted(path.name for path in folder.iterdir()) == ["jd-2026-03-05.jsonl", "zhihu-2026-03-05.jsonl"]


def test_a_line_cut_off_by_a_full_disk_spoils_no_other(audit: Audit, folder: Path) -> None:
    audit.failed("GET", "https://club.jd.com/1", "X")
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:40])
    audit.failed("GET", "https://club.jd.com/2", "X")
    assert [line["url"][-1] for line in lines(folder)] == ["1", "2"]
    assert len(file.read_bytes().splitlines()) == 3


# -- runs --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> Iterator[ShopServer]:
    with ShopServer() as server:
        yield server


def of(home: Home, platform: Platform) -> list[dict[str, Any]]:
    return lines(home.job.audit_folder, platform)


def places(platform: Platform, audited: list[dict[str, Any]]) -> list[str]:
    """Where the replica was asked for what these lines tell."""
    asked = [urlsplit(line["url"]) for line in audited if line["why"] != "robots_txt"]
    return [PREFIXES[platform][url.hostname or ""] + unquote(url.path) for url in asked]


@pytest.mark.parametrize("platform", ["jd", "zhihu"])
def test_every_request_of_a_spider_has_its_line_in_its_order(replica: Replica, home: Home, platform: Platform) -> None:
    replica.hits.clear()
    home.configure(**{platform: replica.settings(platform, pages_per_run=9)})
    home.crawl(platform)
    home.configure(
        **{platform: replica.settings(platform, pages_per_run=3, obey_robots=False, robots_reason="自己的店")}
    )
    home.crawl(platform)
    audited = of(home, platform)
    assert places(platform, audited) == replica.hits
    assert [line["why"] for line in audited] == ["robots_txt", *["robots_allowed"] * 9, *["permission"] * 3]
    assert {line.get("reason") for line in audited} == {None, "自己的店"}
    assert [line["run"] for line in audited] == [1] * 10 + [2] * 3
    pages = [line for line in audited if line["why"] != "robots_txt"]
    assert {(line["status"], line["signal"]) for line in pages} <= {(200, "ok"), (200, "empty"), (404, "gone")}
    streamed = {mention.raw.sha256 for mention in home.streamed()}
    assert streamed <= {line["sha256"] for line in pages}


def test_repeats_of_broken_connections_and_answers_that_cannot_be_unpacked_have_theirs(
    shop: ShopServer, home: Home
) -> None:
    shop.reviews["1"] = [review(n) for n in range(3)]
    shop.faults = {"2": "drops", "3": "gzip_bomb", "4": "half_body"}
    home.configure(jd=shop.settings("1", "2", "3", "4", max_bytes=200_000))
    home.crawl("jd")
    audited = of(home, "jd")
    by_sku = Counter(line["url"].rpartition("productId=")[2].partition("&")[0] for line in audited[1:])
    assert by_sku == {sku: count for sku, count in shop.hits.items() if sku != "/robots.txt"}
    assert by_sku["2"] == 3
    assert audited[0]["why"] == "robots_txt"
    failed = [line for line in audited if "error" in line]
    assert len(failed) == len(audited) - 2  # all but robots.txt and the product that is well
    assert all("status" not in line and line["error"].isidentifier() for line in failed)


def test_what_robots_txt_forbids_is_not_asked_and_has_no_line(shop: ShopServer, home: Home) -> None:
    shop.robots = b"User-agent: *\nDisallow: /\n"
    home.configure(jd=shop.settings("1"))
    assert home.crawl("jd").status == "failed"
    assert dict(shop.hits) == {"/robots.txt": 1}
    assert [line["why"] for line in of(home, "jd")] == ["robots_txt"]


def test_kill_9_leaves_whole_lines_and_the_next_run_goes_on_with_them(shop: ShopServer, home: Home) -> None:
    shop.reviews = {str(sku): [review(sku * 100 + n) for n in range(10)] for sku in range(1, 9)}
    home.configure(jd=shop.settings(*shop.reviews, pause=[0.05, 0.05]))
    child = home.begin("jd")
    wait_until(lambda: sum(shop.hits.values()) >= 4, 60)
    child.signal(signal.SIGKILL)
    assert child.wait() == KILLED
    asked = sum(shop.hits.values())
    (file,) = home.job.audit_folder.iterdir()
    before = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert asked - 1 <= len(before) <= asked
    home.crawl("jd")
    audited = of(home, "jd")
    assert audited[: len(before)] == before
    assert len(audited) - len(before) == sum(shop.hits.values()) - asked


@pytest.mark.browser
@pytest.mark.usefixtures("chromium")
@pytest.mark.parametrize("platform", ["xiaohongshu", "douyin"])
def test_what_a_browser_captures_has_its_line_and_a_stop_is_in_it(
    replica: Replica, home: Home, platform: Platform
) -> None:
    home.configure(**{platform: replica.settings(platform, replica.keywords(platform)[1:])})
    replica.hits.clear()
    assert home.crawl(platform).status == "complete"
    audited = of(home, platform)
    assert Counter(places(platform, audited)) == Counter(replica.hits)
    assert {line["why"] for line in audited} == {"robots_txt", "robots_allowed"}
    assert {line.get("signal") for line in audited} <= {None, "ok", "empty", "unread"}
    assert not any("xsec_token" in (line["url"] or "") or "a_bogus" in line["url"] for line in audited)
    replica.hits.clear()
    replica.demo.switches.set(platform, login=True)
    try:
        assert home.crawl(platform).signal == "login_required"
    finally:
        replica.demo.switches.set(platform)
    walled = of(home, platform)[len(audited) :]
    assert Counter(places(platform, walled)) <= Counter(replica.hits)
    assert [(line["status"], line.get("signal")) for line in walled[1:]] == [(302, None), (200, "login_required")]
