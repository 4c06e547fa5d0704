"""The instants that ``since:`` and ``until:`` understand: spans back from now, days and months in Beijing, ISO 8601."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ingest.clock import BEIJING

_SPAN = re.compile(r"(\d{1,5})(分钟|min|小时|h|天|日|d|周|w)前?")
_UNITS = {
    "分钟": timedelta(minutes=1), "min": timedelta(minutes=1),
    "小时": timedelta(hours=1), "h": timedelta(hours=1),
    "天": timedelta(days=1), "日": timedelta(days=1), "d": timedelta(days=1),
    "周": timedelta(weeks=1), "w": timedelta(weeks=1),
}  # fmt: skip
_LONGEST = timedelta(days=36_500)
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?")
_YEARS = range(1900, 2201)


@dataclass(frozen=True, slots=True)
class Period:
    """A day, week or month as [start, end), or one instant (start == end). UTC."""

    start: datetime
    end: datetime


def parse_period(text: str, now: datetime) -> Period | None:
    """What a folded date text stands for, or None when it is none."""
    span = _SPAN.fullmatch(text)
    if span:
        back = int(span[1]) * _UNITS[span[2]]
        return _instant(now - back) if back <= _LONGEST else None
    today = now.astimezone(BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    named = _named(text, today)
    if named:
        return named
    day = _DAY.fullmatch(text)
    try:
        if day:
            year, month = int(day[1]), int(day[2])
            if day[3]:
                start = datetime(year, month, int(day[3]), tzinfo=BEIJING)
                return _period(start, start + timedelta(days=1)) if year in _YEARS else None
            return _month(datetime(year, month, 1, tzinfo=BEIJING)) if year in _YEARS else None
        instant = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    if instant.year not in _YEARS:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=BEIJING)
    return _instant(instant)


def _named(text: str, today: datetime) -> Period | None:
    days = {"今天": 0, "today": 0, "昨天": 1, "yesterday": 1, "前天": 2}
    if text in days:
        start = today - timedelta(days=days[text])
        return _period(start, start + timedelta(days=1))
    monday = today - timedelta(days=today.weekday())
    if text == "本周":
        return _period(monday, monday + timedelta(days=7))
    if text == "上周":
        return _period(monday - timedelta(days=7), monday)
    first = today.replace(day=1)
    if text == "本月":
        return _month(first)
    if text == "上月":
        return _month((first - timedelta(days=1)).replace(day=1))
    return None


def _month(first: datetime) -> Period:
    return _period(first, (first + timedelta(days=32)).replace(day=1))


def _instant(instant: datetime) -> Period:
    return _period(instant, instant)


def _period(start: datetime, end: datetime) -> Period:
    return Period(start.astimezone(UTC), end.astimezone(UTC))
