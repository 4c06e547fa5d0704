"""Instants as platforms show them: epoch numbers, Beijing clock strings, dates without a year, "2个月前".

Clock strings without a zone are Beijing time; what comes out is aware UTC with the precision that was given. A day
without a clock time is that day's Beijing midnight. Relative dates are counted back from the capture.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from ingest.clock import BEIJING
from ingest.mention import Precision

_MILLISECONDS_FROM: Final = 1e11
_MICROSECONDS_FROM: Final = 1e14
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (UTC) and how exactly it is known."""

    at: datetime
    precision: Precision


def read_moment(value: object, captured_at: datetime) -> Moment:
    """An instant from epoch seconds or milliseconds (number or digits) or a Beijing clock string, exact or relative.

    Raises ValueError for anything else and for years outside 2000-2099.
    """
    if isinstance(value, bool) or value is None or value in ("", 0, "0"):
        raise ValueError("没有时间")
    if isinstance(value, int | float):
        return Moment(from_epoch(value), "second")
    if not isinstance(value, str):
        raise ValueError(f"时间不能是 {type(value).__name__}")
    text = unicodedata.normalize("NFKC", value[:80]).strip()
    if re.fullmatch(r"\d{9,17}", text):
        return Moment(from_epoch(int(text)), "second")
    text = _LABEL.sub("", text)
    moment = _absolute(text) or relative(text, captured_at) or _without_year(text, captured_at)
    if moment is None:
        raise ValueError("读不懂的日期")
    return Moment(_checked(moment.at), moment.precision)


_LABEL: Final = re.compile(r"^(?:最后)?(?:编辑|发布|修改|追评|回答|更新|评价|评论)于\s*:?\s*")
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d{1,9})?)?"
_ABSOLUTE: Final = re.compile(
    r"(?P<year>\d{4})\s*(?:[-/.]|年)\s*(?P<month>\d{1,2})\s*(?:(?:[-/.]|月)\s*(?P<day>\d{1,2})(?:\s*日)?|月?)(?!\d)"
    rf"(?:[\sT]*{_CLOCK}\s*(?P<zone>Z|[+-]\d{{2}}:?\d{{2}})?)?"
)
_NO_YEAR: Final = re.compile(rf"(?P<month>\d{{1,2}})(?:[-/]|月)(?P<day>\d{{1,2}})(?:日)?(?![\d年/-])(?:\s*{_CLOCK})?")
_AGO: Final = re.compile(
    r"(?P<number>\d{1,5}|半|几)\s*个?\s*(?P<unit>秒钟?|分钟?|小时|钟头|天|日|周|星期|月|年)\s*(?:以)?前"
)
_NAMED_DAY: Final = re.compile(rf"(?P<name>今天|昨天|前天)\s*(?:{_CLOCK})?")
_DAYS_BACK: Final = {"今天": 0, "昨天": 1, "前天": 2}


def _absolute(text: str) -> Moment | None:
    match = _ABSOLUTE.match(text)
    if match is None:
        return None
    if match["day"] is None:
        return Moment(_local(int(match["year"]), int(match["month"]), 1), "month")
    day = _local(int(match["year"]), int(match["month"]), int(match["day"]))
    return _with_clock(day, match)


def _without_year(text: str, captured_at: datetime) -> Moment | None:
    match = _NO_YEAR.match(text)
    if match is None:
        return None
    here = captured_at.astimezone(BEIJING)
    month, day = int(match["month"]), int(match["day"])
    # The year is left out for recent dates: the latest one that is not in the future (leap days go further back).
    for year in range(here.year, here.year - 9, -1):
        try:
            moment = _with_clock(_local(year, month, day), match)
        except ValueError:
            continue
        if moment.at <= captured_at + timedelta(hours=1):
            return moment
    return None


def relative(text: str, captured_at: datetime) -> Moment | None:
    """ "刚刚", "昨天 10:00", "3天前", "2个月前", counted back from ``captured_at``; None for what is none of these."""
    here = captured_at.astimezone(BEIJING)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    if text.startswith("刚刚"):
        return Moment(here.replace(second=0, microsecond=0), "minute")
    if (named := _NAMED_DAY.match(text)) is not None:
        return _with_clock(midnight - timedelta(days=_DAYS_BACK[named["name"]]), named)
    match = _AGO.match(text)
    if match is None:
        return None
    half = match["number"] == "半"
    number = 3 if match["number"] == "几" else 0 if half else int(match["number"])
    unit = match["unit"][0]
    if unit in "秒分小钟":
        seconds = {"秒": 1, "分": 60, "小": 3600, "钟": 3600}[unit]
        at = here - timedelta(seconds=seconds // 2 if half else number * seconds)
        if unit == "秒":
            return Moment(at.replace(microsecond=0), "second")
        if unit == "分" or half:
            return Moment(at.replace(second=0, microsecond=0), "minute")
        return Moment(at.replace(minute=0, second=0, microsecond=0), "hour")
    if unit in "天日":
        return Moment(midnight - timedelta(days=number), "day")
    if unit in "周星":
        return Moment(midnight - timedelta(days=7 * number), "month")
    if unit == "月":
        return Moment(midnight - timedelta(days=15) if half else _months_back(midnight, number), "month")
    return Moment(_months_back(midnight, 6 if half else 12 * number), "month")


def _with_clock(day: datetime, match: re.Match[str]) -> Moment:
    if match["hour"] is None:
        return Moment(day, "day")
    at = day.replace(hour=int(match["hour"]), minute=int(match["minute"]), second=int(match["second"] or 0))
    zone = match.groupdict().get("zone")
    if zone == "Z":
        at = at.replace(tzinfo=UTC)
    elif zone:
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        at = at.replace(tzinfo=timezone(-offset if zone[0] == "-" else offset))
    return Moment(at, "second" if match["second"] else "minute")


def _months_back(day: datetime, months: int) -> datetime:
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    for last in (day.day, 30, 29, 28):
        try:
            return day.replace(year=year, month=month + 1, day=last)
        except ValueError:
            continue
    raise ValueError("太久以前")


def _local(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=BEIJING)


def from_epoch(value: float) -> datetime:
    """From seconds, milliseconds or microseconds since 1970. Raises ValueError outside 2000-2099."""
    if not 0 < value < 1e17:  # also refuses infinity and NaN
        raise ValueError("不是时间戳")
    if value > _MICROSECONDS_FROM:
        value /= 1e6
    elif value > _MILLISECONDS_FROM:
        value /= 1e3
    return _checked(datetime.fromtimestamp(value, UTC))


def _checked(at: datetime) -> datetime:
    try:
        at = at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("超出了日历") from error
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"不可能的年份（{at.year}）")
    return at
