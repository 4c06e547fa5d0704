"""Coverage records: what a crawl meant to get and got, keyed by source, read back with typed complaints."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.coverage import Coverage, coverage_from_json, write_coverage
from ingest.errors import Poison
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog

AT = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)


def a_coverage(**fields: Any) -> Coverage:
    known: dict[str, Any] = {"source": "jd", "query": "100012043978", "status": "complete"}
    return Coverage(**(known | {"started_at": AT, "finished_at": AT + timedelta(minutes=3)} | fields))


FULL = a_coverage(
    source="import:客服",
    window=(AT - timedelta(days=7), None),
    planned=120,
    got=118,
    new=20,
    duplicate=97,
    dead=1,
    pages=12,
    status="partial",
    signal="throttled",
    reason="page 13 answered 429",
)


def test_coverage_goes_through_the_log_keyed_by_source_in_order(log: SqliteLog) -> None:
    records = [a_coverage(), FULL, a_coverage(source="jd", got=2, status="failed", reason="暂停")]
    write_coverage(log, records)
    read = log.read(Topics.COVERAGE, 0, 0, 10)
    assert [record.key for record in read] == ["jd", "import:客服", "jd"]
    assert [coverage_from_json(record.value) for record in read] == records


def test_no_records_write_nothing(log: SqliteLog) -> None:
    write_coverage(log, [])
    assert log.end_offsets(Topics.COVERAGE) == {0: 0}


def test_nobody_knows_how_many_there_are_is_not_none_at_all() -> None:
    assert coverage_from_json(orjson.dumps(a_coverage().model_dump(mode="json"))).planned is None
    assert a_coverage(planned=0).planned == 0


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("got", {"got": -1}),
        ("pages", {"pages": 2**63}),
        ("planned", {"planned": -1}),
        ("planned", {"planned": 2**63}),
        ("status", {"status": "fine"}),
        ("window.1", {"window": [None, "2026-01-05T01:00:00"]}),
        ("started_at", {"started_at": None}),
        ("finished_at", {"finished_at": "9999-12-31T23:59:59-01:00"}),
        ("colour", {"colour": "red"}),
    ],
)
def test_what_does_not_fit_names_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Poison) as caught:
        coverage_from_json(orjson.dumps(FULL.model_dump(mode="json") | changes))
    assert caught.value.field == field


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_poison(data: bytes) -> None:
    with pytest.raises(Poison):
        coverage_from_json(data)
