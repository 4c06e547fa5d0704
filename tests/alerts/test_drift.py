"""Schema drift: told when a field empties against last week, once, until it is back; and not for anything else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.coverage import CoverageStore
from alerts.drift import DayFill, Drift, DriftRules, Key, drifts
from ingest.clock import BEIJING
from ingest.coverage import Coverage, Fill
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW

TODAY = date(2026, 3, 20)
END = "jd.productPageComments"


def fill(records: int, *, broken: int = 0, lacking: int = 0, endpoint: str = END, **fields: int) -> Fill:
    missing = {"data.has_more": lacking} if lacking else {}
    return Fill(endpoint=endpoint, records=records, broken=broken, fields=fields, lacking=missing)


def day(ago: int, counted: Fill, source: str = "jd") -> DayFill:
    return DayFill(source, TODAY - timedelta(days=ago), counted)


def week(**fields: int) -> list[DayFill]:
    counts = Fill(endpoint=END, records=100, fields=fields)
    return [day(ago, counts) for ago in range(1, 8)]


def found(days: list[DayFill], opened: Mapping[Key, date] | None = None) -> list[tuple[str, float, float]]:
    return [
        (one.field, round(one.before, 4), round(one.now, 4))
        for drift in drifts(days, TODAY, opened=opened)
        for one in drift.fallen
    ]


def test_a_field_that_empties_is_a_drift_and_the_others_are_not() -> None:
    days = [*week(text=98, author=100, append=4), day(0, fill(200, text=30, author=200, append=0))]
    assert found(days) == [("text", 0.98, 0.15)]
    (drift,) = drifts(days, TODAY)
    assert (drift.source, drift.endpoint, drift.since, drift.records) == ("jd", END, TODAY, 200)
    assert "正文从 98% 降到 15%" in drift.words
    assert "200 条" in drift.words


@pytest.mark.parametrize(
    ("now", "fell"),
    [(fill(100, text=60), True), (fill(100, text=61), False), (fill(100, text=100), False), (fill(49, text=0), False)],
)
def test_thirty_points_on_fifty_records_are_a_drift(now: Fill, fell: bool) -> None:
    assert bool(found([*week(text=90), day(0, now)])) == fell


def test_a_week_with_too_few_records_says_nothing() -> None:
    assert drifts([day(1, fill(49, text=49)), day(0, fill(500, text=0))], TODAY) == []
    assert drifts([day(0, fill(500, text=0))], TODAY) == []
    assert drifts([], TODAY) == []


def test_records_that_cannot_be_read_and_paths_that_are_missing_are_drifts() -> None:
    assert found([*week(text=100), day(0, fill(0, broken=80))]) == [("record", 1.0, 0.0)]
    assert found([*week(text=100), day(0, fill(100, text=100, lacking=100))]) == [("data.has_more", 1.0, 0.0)]
    assert found([*(day(ago, fill(100, lacking=100)) for ago in range(1, 8)), day(0, fill(100, lacking=100))]) == []


def test_a_field_that_is_new_or_counted_no_more_is_none() -> None:
    assert found([*week(text=90), day(0, fill(100, text=90, region=0))]) == []
    assert found([*week(text=90, region=90), day(0, fill(100, text=90))]) == []


def test_quiet_endpoints_are_judged_on_up_to_three_days() -> None:
    def quiet(before: int, now: int) -> list[DayFill]:
        days = [day(ago, fill(20, text=before)) for ago in range(3, 11)]
        return [*days, *(day(ago, fill(20, text=now)) for ago in range(3))]

    assert found(quiet(20, 2)) == [("text", 1.0, 0.1)]
    assert found(quiet(20, 20)) == []
    stale = [*week(text=90), *(day(ago, fill(20, text=0)) for ago in (3, 4))]
    assert drifts([one for one in stale if one.day <= TODAY - timedelta(days=3)], TODAY) == []


def test_other_sources_and_endpoints_do_not_mix() -> None:
    days = [*week(text=90), day(0, fill(100, text=0), "tmall"), day(0, fill(100, text=0, endpoint="jd.other"))]
    assert found(days) == []


def test_an_open_drift_is_compared_with_the_week_before_it_began_however_long_it_lasts() -> None:
    began = TODAY - timedelta(days=20)
    good = [day(ago, fill(100, text=90)) for ago in range(21, 28)]
    bad = [day(ago, fill(100, text=10)) for ago in range(21)]
    assert found([*good, *bad]) == []
    assert found([*good, *bad], {("jd", END): began}) == [("text", 0.9, 0.1)]
    back = [*good, *bad[1:], day(0, fill(100, text=88))]
    (drift,) = drifts(back, TODAY, opened={("jd", END): began})
    assert drift.fallen == ()
    half = [*good, *bad[1:], day(0, fill(100, text=70))]
    assert found(half, {("jd", END): began}) == [("text", 0.9, 0.7)]


counted = st.integers(0, 300).flatmap(
    lambda n: st.builds(fill, st.just(n), broken=st.integers(0, 50), text=st.integers(0, n))
)


@given(days=st.lists(st.builds(day, st.integers(-2, 30), counted), max_size=15))
def test_any_history_gives_falls_of_at_least_the_limit_and_does_not_depend_on_its_order(days: list[DayFill]) -> None:
    rules = DriftRules()
    seen: list[Drift] = drifts(days, TODAY)
    assert [(d.endpoint, d.since, d.records, {f.field for f in d.fallen}) for d in seen] == [
        (d.endpoint, d.since, d.records, {f.field for f in d.fallen})
        for d in drifts(sorted(days, key=lambda one: one.day), TODAY)
    ]
    for drift in seen:
        assert drift.records >= rules.min_records
        assert drift.since <= TODAY
        for one in drift.fallen:
            assert 0 <= one.now <= one.before <= 1
            assert one.before - one.now >= rules.fall - 1e-9


# -- stored, told, closed --------------------------------------------------------------------------------------------


def crawl(room: Room, counted: Fill, hours: float = 0, source: str = "jd", query: str = "暖气片") -> Coverage:
    at = room.clock.now() - timedelta(hours=hours)
    return Coverage(source=source, query=query, status="complete", started_at=at, finished_at=at, fill=(counted,))


def live_through(room: Room, counted: Fill, days: int) -> None:
    """A crawl and a tick a day."""
    store = CoverageStore(room.db)
    for _ in range(days):
        store.absorb([crawl(room, counted)])
        room.tick()
        room.clock.advance(24 * 3600)


def alerts_of(room: Room) -> list[tuple[str, str, str]]:
    return [(one.kind, one.level, one.title) for one in room.read.open_alerts()]


def test_a_drift_is_told_once_stays_while_it_lasts_and_ends_when_the_field_is_back(room: Room) -> None:
    good, bad = fill(200, text=195, author=200), fill(200, text=3, author=200)
    live_through(room, good, 8)
    assert alerts_of(room) == []
    live_through(room, bad, 12)
    assert alerts_of(room) == [("drift", "二级", "数据结构变化：京东")]
    (message,) = room.outbox("alert")
    assert "正文从 98% 降到 2%" in message.body
    assert END in message.body
    assert room.outbox("ticket") == []
    live_through(room, good, 1)
    assert alerts_of(room) == []
    live_through(room, good, 7)
    live_through(room, bad, 1)
    assert len(room.outbox("alert")) == 2


def test_a_drift_that_a_person_dismissed_is_not_told_again_until_its_field_was_back(room: Room) -> None:
    good, bad = fill(200, region=180), fill(200, region=0)
    live_through(room, good, 8)
    live_through(room, bad, 1)
    (alert,) = room.read.open_alerts()
    room.engine.decide(alert.key, "dismissed", by="me")
    live_through(room, bad, 3)
    assert alerts_of(room) == []
    assert len(room.outbox("alert")) == 1
    live_through(room, good, 8)
    live_through(room, bad, 1)
    assert [kind for kind, *_ in alerts_of(room)] == ["drift"]


def test_the_same_record_again_counts_once(room: Room) -> None:
    store = CoverageStore(room.db)
    live_through(room, fill(200, text=200), 8)
    record = crawl(room, fill(30, text=0))
    for _ in range(3):
        store.absorb([record])
    room.tick()
    assert alerts_of(room) == []  # thirty records, not ninety
    store.absorb([crawl(room, fill(30, text=0), query="散热器")])
    room.tick()
    assert [kind for kind, *_ in alerts_of(room)] == ["drift"]


def test_days_are_cut_in_beijing_and_old_ones_are_dropped(room: Room) -> None:
    from sqlalchemy import select

    from alerts.tables import FieldFill, table

    store = CoverageStore(room.db)
    store.absorb([crawl(room, fill(5, text=5), hours=24 * 100), crawl(room, fill(5, text=5))])
    rows = table(FieldFill)
    with room.db.connect() as connection:
        kept = connection.execute(select(rows.c.day)).scalars().all()
    assert kept == [NOW.astimezone(BEIJING).date().isoformat()]
