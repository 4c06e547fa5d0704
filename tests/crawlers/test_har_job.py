"""A HAR file saved from a browser is streamed and tells what it held: coverage with fill rates, by platform."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crawlers.har_job import HarJob
from ingest.clock import ManualClock
from ingest.coverage import Coverage, coverage_from_json
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
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
        assert (told.status, told.reason) == ("partial", "1 answers said verification")
        (fill,) = told.fill
        assert (fill.records, fill.broken, fill.fields["text"], fill.fields["append"]) == (3, 1, 3, 0)
        imported(path, log)
        assert len(coverage(log)) == 1  # the same file again is no look
