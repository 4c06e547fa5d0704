"""Which share of the records has a field: counted by endpoint, added over pages and runs, carried in the coverage."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from hypothesis import given
from hypothesis import strategies as st

from alerts.drift import FIELD_NAMES
from crawlers.config import Target
from crawlers.fill import FIELDS, FillTally, fill_of
from crawlers.payload import Page, Problem
from crawlers.trip import Trip
from ingest.clock import ManualClock
from ingest.coverage import Coverage, Fill, coverage_from_json, write_coverage
from ingest.draft import Draft
from ingest.log.base import EventLog, Outgoing
from ingest.mention import Append, Product
from tests.crawlers.payloads import changed, read
from tests.crawlers.payloads.douyin import DOUYIN_COMMENTS
from tests.crawlers.payloads.jd import JD_OLD

NOW = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)


def page(*drafts: Draft, endpoint: str = "jd.x", broken: int = 0, missing: tuple[str, ...] = ()) -> Page:
    problems = tuple(Problem(f"a[{i}]", "broken", b"{}") for i in range(broken))
    return Page(endpoint=endpoint, signal="ok", mentions=drafts, problems=problems, missing=missing)


def draft(**given: Any) -> Draft:
    return Draft(source="jd", kind="review", native_id="1", created_at=given.pop("created_at", NOW), **given)


def test_a_field_counts_where_it_holds_something() -> None:
    full = draft(
        text="热", title="t", author_id="a", region="北京", rating=5, product=Product(id="1", spec="白"), likes=0,
        replies=0, shares=0, views=0, appends=[Append(text="漏")], seller_reply="亲", parent_native="video:1",
        media=list(read("jd", JD_OLD).mentions[0].media),
    )  # fmt: skip
    bare = draft(created_at=None, product=Product(name="x"))
    fill = fill_of(page(full, bare, draft(created_precision="day"), broken=1))
    assert fill is not None
    assert (fill.endpoint, fill.records, fill.broken) == ("jd.x", 3, 1)
    assert fill.fields == dict.fromkeys(FIELDS, 1) | {"time": 2}
    assert fill.shares()["record"] == 0.75
    assert fill.shares()["time"] == 2 / 3


def test_a_page_without_records_says_nothing_of_fields_and_one_that_breaks_says_so() -> None:
    assert fill_of(page()) is None
    broken = fill_of(page(broken=4))
    assert broken is not None
    assert broken.shares() == {"record": 0.0}
    assert Fill(endpoint="x", records=0).shares() == {}


def test_what_a_page_lacks_is_lacked_by_its_records() -> None:
    cut = fill_of(read("douyin", changed(DOUYIN_COMMENTS, "has_more", ...)))
    assert cut is not None
    assert cut.lacking == {"has_more": 2}
    assert cut.shares()["has_more"] == 0.0


counts = st.integers(0, 5)


@given(pages=st.lists(st.tuples(st.sampled_from("ab"), counts, counts, counts), max_size=8))
def test_pages_add_up_in_any_order(pages: list[tuple[str, int, int, int]]) -> None:
    made = [
        page(*[draft(text="x")] * worded, *[draft()] * mute, endpoint=name, broken=broken)
        for name, worded, mute, broken in pages
    ]
    one, other = FillTally(), FillTally()
    for each in made:
        one.add(each)
    for each in reversed(made):
        other.add(each)
    assert one.fills() == other.fills()
    for fill in one.fills():
        mine = [counted for counted in pages if counted[0] == fill.endpoint]
        assert fill.records == sum(worded + mute for _, worded, mute, _ in mine)
        assert fill.broken == sum(broken for *_, broken in mine)
        assert fill.fields.get("text", 0) == sum(worded for _, worded, _, _ in mine)
        assert all(0 <= share <= 1 for share in fill.shares().values())


def test_a_trip_carries_counts_and_what_was_missing_into_its_coverage() -> None:
    trip = Trip(Target(), ManualClock(NOW))
    trip.look(read("douyin", DOUYIN_COMMENTS))
    trip.look(read("douyin", changed(DOUYIN_COMMENTS, "has_more", ...)))
    assert not trip.whole
    trip.end("partial", reason=trip.shortfall)
    record = trip.coverage("douyin")
    assert record.reason == "douyin.comment.list：缺少 has_more"
    (fill,) = record.fill
    assert (fill.records, fill.fields["author"], fill.fields["region"]) == (4, 4, 2)
    assert coverage_from_json(record.model_dump_json().encode()) == record


class Kept:
    """What was written to a log."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def produce(self, _topic: str, records: list[Outgoing]) -> None:
        self.values += [record.value for record in records if record.value is not None]


def test_coverage_without_counts_is_written_as_before_and_older_records_are_read() -> None:
    log = Kept()
    plain = Coverage(source="import:x", query="", status="complete", started_at=NOW, finished_at=NOW)
    counted = plain.model_copy(update={"fill": (Fill(endpoint="jd.x", records=2, fields={"text": 1}),)})
    write_coverage(cast(EventLog, log), [plain, counted])
    assert "fill" not in orjson.loads(log.values[0])
    assert [coverage_from_json(value) for value in log.values] == [plain, counted]
    assert json.loads(log.values[1])["fill"][0]["fields"] == {"text": 1}


def test_users_have_a_word_for_every_field() -> None:
    assert {"record", *FIELDS} == set(FIELD_NAMES)
