"""Instants as people and exports write them. A text without a zone is Beijing time."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ingest.clock import BEIJING
from ingest.mention import Precision

_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_CLOCK = re.compile(r"(\d{1,2})[:：时](\d{1,2})(?:[:：分](\d{1,2})(?:\.\d+)?秒?)?分?")
_MONTH = re.compile(r"(\d{4})[-/.年](\d{1,2})月?")
_SERIAL = re.compile(r"[2-7]\d{4}(?:\.\d+)?")
_NUMBER = re.compile(r"\d{9,14}(?:\.\d+)?")
_FIRST_SERIAL, _LAST_SERIAL = 20_000, 80_000
"""Excel's day numbers from 1954 to 2119; as seconds since 1970 they would all be its first day."""
MILLISECONDS_ABOVE = 1e11
"""An epoch number larger than this is in milliseconds (in seconds it would be the year 5138)."""


def read_instant(value: Any) -> tuple[datetime, Precision]:
    """An instant (aware UTC) and its precision, from a text, an epoch number, Excel's day number or a datetime.

    Raises ValueError when it is none.
    """
    if isinstance(value, bool):
        raise ValueError("not a date")
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
        return _written(text)
    return _written(text)


def _written(text: str) -> tuple[datetime, Precision]:
    if match := _DAY.match(text):
        year, month, day = (int(part) for part in match.groups())
        rest = text[match.end() :].strip()
        if not rest:
            return _aware(datetime(year, month, day)), "day"  # noqa: DTZ001
        if clock := _CLOCK.fullmatch(rest):
            hour, minute, second = (int(part or 0) for part in clock.groups())
            precise: Precision = "minute" if clock[3] is None else "second"
            return _aware(datetime(year, month, day, hour, minute, second)), precise  # noqa: DTZ001
    elif match := _MONTH.fullmatch(text):
        return _aware(datetime(int(match[1]), int(match[2]), 1)), "month"  # noqa: DTZ001
    raise ValueError("not a date")


def _aware(value: datetime) -> datetime:
    try:
        return (value if value.tzinfo else value.replace(tzinfo=BEIJING)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("out of range") from error


def _serial(days: float) -> tuple[datetime, Precision]:
    """Excel's date of a cell without a date format: days since 30 December 1899, the time as their fraction."""
    at = datetime(1899, 12, 30) + timedelta(seconds=round(days * 86_400))  # noqa: DTZ001
    return _aware(at), "day" if days.is_integer() else "second"


def _epoch(value: float) -> datetime:
    seconds = value / 1000 if value > MILLISECONDS_ABOVE else value
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError) as error:
        raise ValueError("out of range") from error
