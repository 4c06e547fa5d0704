"""A HAR file saved from a browser is streamed and tells what it held: coverage with fill rates, by platform."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crawlers.har_job import HarJob
from ingest.clock import ManualClock
from ingest.coverage import Coverage, coverage_from_json
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import mention_from_json
from ingest.privacy import Privacy
from ingest.relevance import Brand
from tests.crawlers.hostile import review

LIST = "https://club.jd.com/comment/productPageComments.action?productId=1&page={page}"


def entry(url: str, answer: dict[str, Any]) -> dict[str, Any]:
    return {
        "startedDateTime": "2026-11-05T01:00:00.000Z",
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {
            "status": 200,
            "headers": [{"name": "content-type", "value": "application/json;charset=utf-8"}],
            "content": {"mimeType": "application/json", "text": json.dumps(answer, ensure_ascii=False)},
        },
    }


def bare(
    url: str, status: int, *, size: int = 0, started: str = "2026-11-05T01:00:00.000Z", **headers: str
) -> dict[str, Any]:
    """An entry as Chrome writes one whose body was empty: no text."""
    return {
        "startedDateTime": started,
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {
            "status": status,
            "headers": [{"name": name.replace("_", "-"), "value": value} for name, value in headers.items()],
            "content": {"mimeType": "application/json", "size": size},
        },
    }


def saved(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}), encoding="utf-8")
    return path


def imported(path: Path, log: SqliteLog) -> None:
    clock = ManualClock(datetime(2026, 11, 6, tzinfo=UTC))
    job = HarJob(path, log=log, privacy=Privacy(bytes(32)), clock=clock, brand=Brand())
    job.run(threading.Event(), lambda _: None, {})


def coverage(log: SqliteLog) -> list[Coverage]:
    return [coverage_from_json(record.value) for record in log.read(Topics.COVERAGE, 0, 0, 100)]


def test_a_har_tells_coverage_and_fill_rates_of_each_platform(tmp_path: Path) -> None:
    path = tmp_path / "saved.har"
    entries = [
        entry(LIST.format(page=0), {"maxPage": 2, "comments": [review(1), review(2)]}),
        entry(LIST.format(page=1), {"maxPage": 2, "comments": [review(4), review(3, creationTime="不是时间")]}),
        entry(LIST.format(page=1), {"code": 605}),
    ]
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}), encoding="utf-8")
    with SqliteLog(tmp_path / "log.db") as log:
        imported(path, log)
        (told,) = coverage(log)
        assert (told.source, told.got, told.new, told.dead, told.pages) == ("import:har-jd", 4, 3, 1, 3)
        assert (told.status, told.reason) == ("partial", "1 条答复是 verification")
        (fill,) = told.fill
        assert (fill.records, fill.broken, fill.fields["text"], fill.fields["append"]) == (3, 1, 3, 0)
        imported(path, log)
        assert len(coverage(log)) == 1  # the same file again is no look


def test_a_clock_that_is_ahead_does_not_number_revisions(tmp_path: Path) -> None:
    ahead = {
        **entry(LIST.format(page=0), {"maxPage": 1, "comments": [review(1)]}),
        "startedDateTime": "2099-01-01T00:00:00Z",
    }
    plain = {
        **entry(LIST.format(page=1), {"maxPage": 1, "comments": [review(2)]}),
        "startedDateTime": "2026-11-05T09:00:00",
    }
    with SqliteLog(tmp_path / "log.db") as log:
        imported(saved(tmp_path / "a.har", ahead, plain), log)
        first, second = [mention_from_json(record.value) for record in log.read(Topics.COLLECTED, 0, 0, 10)]
    assert first.collected_at == datetime(2026, 11, 6, tzinfo=UTC)
    assert second.collected_at == datetime(2026, 11, 5, 1, tzinfo=UTC), "without a zone: Beijing's"


@pytest.mark.parametrize(
    ("wall", "signal"),
    [
        (bare(LIST.format(page=1), 403), "blocked"),
        (bare(LIST.format(page=1), 401), "login_required"),
        (bare("https://www.xiaohongshu.com/api/sns/web/v2/comment/page?note_id=1", 461), "verification"),
        (bare("https://www.douyin.com/aweme/v1/web/comment/list/?aweme_id=1", 200), "blocked"),
        (bare("https://www.douyin.com/some/page", 429), "throttled"),
    ],
)
def test_walls_without_a_body_are_seen(tmp_path: Path, wall: dict[str, Any], signal: str) -> None:
    with SqliteLog(tmp_path / "log.db") as log:
        imported(saved(tmp_path / "a.har", wall), log)
        (told,) = coverage(log)
    assert (told.status, told.got, told.reason) == ("partial", 0, f"1 条答复是 {signal}")


def test_what_a_page_loads_besides_is_passed_over(tmp_path: Path) -> None:
    besides = [
        entry("https://club.jd.com/config.json", {"theme": "dark"}),
        bare("https://static.jd.com/a.js", 403),
        bare("https://www.douyin.com/beacon", 200),
        bare("https://mon.douyin.com/collect", 204),
        bare(LIST.format(page=1), 304),
        bare(LIST.format(page=1), 0),
        bare(LIST.format(page=1), 200, size=5000),
        {**bare(LIST.format(page=1), 200), "request": {"method": "OPTIONS", "url": LIST.format(page=1)}},
    ]
    script = entry("https://static.jd.com/b.js", {})
    script["response"]["content"] = {"mimeType": "text/javascript", "text": "var a = 1;"}
    good = entry(LIST.format(page=0), {"maxPage": 1, "comments": [review(1)]})
    with SqliteLog(tmp_path / "log.db") as log:
        imported(saved(tmp_path / "a.har", *besides, script, good), log)
        (told,) = coverage(log)
    assert (told.source, told.status, told.pages, told.got) == ("import:har-jd", "complete", 1, 1)


def test_a_har_parks_an_answer_once_however_much_of_it_is_broken(tmp_path: Path) -> None:
    broken = [review(n, creationTime="不是时间") for n in range(10, 30)]
    with SqliteLog(tmp_path / "log.db") as log:
        imported(
            saved(tmp_path / "a.har", entry(LIST.format(page=0), {"maxPage": 1, "comments": [review(1), *broken]})), log
        )
        (told,) = coverage(log)
        assert (told.new, told.dead) == (1, 20)
        assert len(log.read(Topics.DEAD_LETTERS, 0, 0, 100)) == 1
