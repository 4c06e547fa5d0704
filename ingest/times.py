"""Instants as people and exports write them. A text without a zone is Beijing time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from ingest.clock import BEIJING
from ingest.mention import Precision
from ingest.moments import relative

_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_CLOCK = re.compile(
    r"(?:(?:星期|周)[一二三四五六日天]\s*)?(上午|下午|早上|清晨|凌晨|中午|傍晚|晚上|[ap]m)?\s*"
    r"(\d{1,2})[:：时点](\d{1,2})(?:[:：分](\d{1,2})(?:\.\d+)?秒?)?分?\s*([ap]m)?",
    re.IGNORECASE,
)
_NAMED = re.compile(r"(今天|昨天|前天)?\s*(.*)", re.DOTALL)
_NAMED_DAYS = {None: 0, "今天": 0, "昨天": 1, "前天": 2}
_AGO = re.compile(r"刚刚|(?:\d{1,5}|半|几)\s*个?\s*(?:秒钟?|分钟?|小时|钟头|天|日|周|星期|月|年)\s*(?:以)?前")
_MONTH = re.compile(r"(\d{4})[-/.年](\d{1,2})月?")
_SERIAL = re.compile(r"[2-7]\d{4}(?:\.\d+)?")
_NUMBER = re.compile(r"\d{9,14}(?:\.\d+)?")
_FIRST_SERIAL, _LAST_SERIAL = 20_000, 80_000
"""Excel's day numbers from 1954 to 2119; as seconds since 1970 they would all be its first day."""
MILLISECONDS_ABOVE = 1e11
"""An epoch number larger than this is in milliseconds (in seconds it would be the year 5138)."""


def read_instant(value: Any, since: datetime | None = None) -> tuple[datetime, Precision]:
    """An instant (aware UTC) and its precision, from a text, an epoch number, Excel's day number or a datetime.

    ``since``: what "2个月前", "昨天 下午3:05" and a clock alone are counted from; without it they are no dates.
    Raises ValueError when it is none.
    """
    if isinstance(value, bool):
        raise ValueError("读不懂的日期")
    if isinstance(value, datetime):
        return _aware(value), "second"
    if isinstance(value, date):
        return _aware(datetime(value.year, value.month, value.day)), "day"  # noqa: DTZ001
    if isinstance(value, int | float):
        if _FIRST_SERIAL <= value < _LAST_SERIAL:
            return _serial(float(value))
        return _epoch(float(value)), "second"
    text = str(value).strip()
    if _SERIAL.fullmatch(text):
        return _serial(float(text))
    if _NUMBER.fullmatch(text):
        return _epoch(float(text)), "second"
    try:
        if len(text) > 10:
            return _aware(datetime.fromisoformat(text)), "second"
    except ValueError:
        return _written(text, since)
    return _written(text, since)


def _written(text: str, since: datetime | None) -> tuple[datetime, Precision]:
    if match := _DAY.match(text):
        year, month, day = (int(part) for part in match.groups())
        rest = text[match.end() :].strip()
        if not rest:
            return _aware(datetime(year, month, day)), "day"  # noqa: DTZ001
        if clock := _CLOCK.fullmatch(rest):
            return _at_clock(datetime(year, month, day), clock)  # noqa: DTZ001
    elif match := _MONTH.fullmatch(text):
        return _aware(datetime(int(match[1]), int(match[2]), 1)), "month"  # noqa: DTZ001
    elif since is not None:
        return _counted_back(text, since)
    raise ValueError("读不懂的日期")


def _counted_back(text: str, since: datetime) -> tuple[datetime, Precision]:
    if _AGO.fullmatch(text) and (moment := relative(text, since)):
        return _aware(moment.at), moment.precision
    named = _NAMED.fullmatch(text)
    if named and (named[1] or named[2]):
        day = datetime.combine(since.astimezone(BEIJING) - timedelta(days=_NAMED_DAYS[named[1]]), time())
        if not named[2]:
            return _aware(day), "day"
        if clock := _CLOCK.fullmatch(named[2].strip()):
            return _at_clock(day, clock)
    raise ValueError("读不懂的日期")


def _at_clock(day: datetime, clock: re.Match[str]) -> tuple[datetime, Precision]:
    """Twelve hours more in the afternoon; twelve at night is none, as Excel writes it."""
    half = (clock[1] or clock[5] or "").lower()
    hour, minute, second = (int(part or 0) for part in clock.groups()[1:4])
    if (half in ("下午", "晚上", "傍晚", "pm") and hour < 12) or (half == "中午" and hour < 11):
        hour += 12
    elif half in ("上午", "凌晨", "am") and hour == 12:
        hour = 0
    precise: Precision = "minute" if clock[4] is None else "second"
    return _aware(day.replace(hour=hour, minute=minute, second=second)), precise


def _aware(value: datetime) -> datetime:
    try:
        return (value if value.tzinfo else value.replace(tzinfo=BEIJING)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("超出了范围") from error


def _serial(days: float) -> tuple[datetime, Precision]:
    """Excel's date of a cell without a date format: days since 30 December 1899, the time as their fraction."""
    at = datetime(1899, 12, 30) + timedelta(seconds=round(days * 86_400))  # noqa: DTZ001
    return _aware(at), "day" if days.is_integer() else "second"


def _epoch(value: float) -> datetime:
    seconds = value / 1000 if value > MILLISECONDS_ABOVE else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("超出了范围") from error
