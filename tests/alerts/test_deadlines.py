from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.config import AlertSettings, Span
from alerts.deadlines import add_working_time, after, clocks, is_working_day
from ingest.clock import BEIJING


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-03-03 15:00", 3, "2026-03-06 15:00"),  # an ordinary week
        ("2026-03-05 15:00", 3, "2026-03-10 15:00"),  # over a weekend
        ("2026-03-07 10:00", 3, "2026-03-12 00:00"),  # from a Saturday off: Mon, Tue, Wed
        ("2025-09-30 17:00", 3, "2025-10-11 17:00"),  # 国庆: 1-8 off, Saturday 11 October is a 调休 working day
        ("2025-09-26 10:00", 2, "2025-09-29 10:00"),  # Sunday 28 September is a 调休 working day
        ("2024-02-08 12:00", 3, "2024-02-19 12:00"),  # 春节: 9 Feb worked, 10-17 off, Sunday 18 worked
    ],
)
def test_working_days_follow_the_chinese_calendar(start: str, days: float, due: str) -> None:
    assert add_working_time(beijing(start), timedelta(days=days)) == beijing(due)


def test_a_make_up_weekend_is_worked_and_a_holiday_is_not() -> None:
    assert is_working_day(date(2025, 9, 28))
    assert not is_working_day(date(2025, 10, 6))
    assert not is_working_day(date(2025, 10, 12))


def test_a_year_the_calendar_does_not_know_is_monday_to_friday(caplog: pytest.LogCaptureFixture) -> None:
    assert is_working_day(date(2099, 3, 2)) is True
    assert is_working_day(date(2099, 3, 7)) is False
    assert "2099" in caplog.text


instants = st.integers(0, 110_000_000).map(lambda s: datetime(2023, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
lengths = st.timedeltas(timedelta(0), timedelta(days=12))


@settings(max_examples=150, deadline=None)
@given(instants, lengths)
def test_exactly_so_much_of_working_days_lies_between_start_and_due(start: datetime, length: timedelta) -> None:
    due = add_working_time(start, length)
    assert due >= start
    moment, worked = start.astimezone(BEIJING), timedelta(0)
    while moment < due:  # counted the other way round, day by day
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), BEIJING)
        until = min(due, midnight)
        worked += (until - moment) if is_working_day(moment.date()) else timedelta(0)
        moment = until.astimezone(BEIJING)
    assert worked == length


@settings(max_examples=100, deadline=None)
@given(instants, lengths, lengths)
def test_more_time_is_never_due_earlier_and_wall_time_never_later(
    start: datetime, one: timedelta, two: timedelta
) -> None:
    short, long = sorted((one, two))
    assert add_working_time(start, short) <= add_working_time(start, long)
    assert start + long <= add_working_time(start, long)


@settings(max_examples=60, deadline=None)
@given(instants, st.floats(0.5, 8))
def test_warnings_come_in_order(start: datetime, days: float) -> None:
    moments = [after(start, Span(workdays=days), fraction=fraction) for fraction in (0.5, 0.8, 1.0)]
    assert moments == sorted(moments)


def test_first_level_never_pauses_and_a_complaint_never_waits_longer_than_four_hours() -> None:
    rules = AlertSettings()
    friday = beijing("2026-03-06 20:00")
    assert [clock.due(friday) - friday for clock in clocks("一级", "complaint", rules)] == [
        timedelta(hours=2),
        timedelta(hours=24),
        timedelta(hours=48),
    ]
    first, done = clocks("二级", "complaint", rules)
    assert first.due(friday) - friday == timedelta(hours=4)
    assert done.due(friday) == beijing("2026-03-11 20:00")
    (slow,) = clocks("三级", "complaint", rules)
    assert slow.due(friday) - friday == timedelta(hours=4)
    (praise,) = clocks("三级", "praise", rules)
    assert praise.due(friday) - friday == timedelta(hours=8)
