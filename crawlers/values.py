"""Tolerant readers of platform values: counts, instants, provinces, media addresses.

Clock strings without a zone are Beijing time; what comes out is aware UTC with the precision that the platform gave.
A day without a clock time is that day's Beijing midnight. Relative dates ("2个月前") are counted back from the capture.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final, NamedTuple

from ingest.clock import BEIJING
from ingest.mention import Media, Precision

MAX_COUNT: Final = 10**15
"""A larger count is no count (ids and times are not counts either)."""

_MILLISECONDS_FROM: Final = 1e11
_MICROSECONDS_FROM: Final = 1e14
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2100, 1, 1, tzinfo=UTC)


class Count(NamedTuple):
    """A count as shown; ``approximate`` when the platform rounded it ("1.5万", "2000+")."""

    value: int | None
    approximate: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant (UTC) and how exactly it is known."""

    at: datetime
    precision: Precision


_COUNT: Final = re.compile(
    r"^(?:共|约|超过?|近)?\s*(\d{1,15}(?:\.\d{1,4})?)\s*(万|亿|千|[wWkK])?\s*(\+|多)?\s*(?:条|个|次|人)?[^\d%]{0,8}$"
)
_UNITS: Final = {"": 1, "千": 1_000, "k": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000}


def read_count(value: object) -> Count:
    """A count from a number or text ("3703", "1.5万", "14万+", "共 23 条评论"); ``Count(None)`` for anything else."""
    if isinstance(value, bool) or value is None:
        return Count(None)
    if isinstance(value, int):
        return Count(value) if 0 <= value <= MAX_COUNT else Count(None)
    if isinstance(value, float):
        return Count(int(value)) if value.is_integer() and 0 <= value <= MAX_COUNT else Count(None)
    if not isinstance(value, str) or len(value) > 40:
        return Count(None)
    match = _COUNT.match(unicodedata.normalize("NFKC", value).replace(",", "").strip())
    if match is None:
        return Count(None)
    unit = (match[2] or "").lower()
    # Decimal digits only, so 1.1万 is 11000 and not 11000.000000000002.
    whole, _, fraction = match[1].partition(".")
    number = int(whole) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
    if number > MAX_COUNT:
        return Count(None)
    return Count(number, bool(unit or match[3] or fraction))


def read_share(value: object) -> float | None:
    """A share between 0 and 1 from 0.98, 98 or "95%"; None for anything else."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?)\s*(%?)", unicodedata.normalize("NFKC", value[:20]).strip())
        if match is None:
            return None
        value = float(match[1])
        if match[2]:
            return round(value / 100, 6) if value <= 100 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    share = value / 100 if value > 1 else float(value)
    return round(share, 6) if 0 <= share <= 1 else None


def read_moment(value: object, captured_at: datetime) -> Moment:
    """An instant from epoch seconds or milliseconds (number or digits) or a Beijing clock string, exact or relative.

    Raises ValueError for anything else and for years outside 2000-2099.
    """
    if isinstance(value, bool) or value is None or value in ("", 0, "0"):
        raise ValueError("no time")
    if isinstance(value, int | float):
        return Moment(_from_epoch(value), "second")
    if not isinstance(value, str):
        raise ValueError(f"a time cannot be a {type(value).__name__}")
    text = unicodedata.normalize("NFKC", value[:80]).strip()
    if re.fullmatch(r"\d{9,17}", text):
        return Moment(_from_epoch(int(text)), "second")
    text = _LABEL.sub("", text)
    moment = _absolute(text) or _relative(text, captured_at) or _without_year(text, captured_at)
    if moment is None:
        raise ValueError("not a date that can be read")
    return Moment(_checked(moment.at), moment.precision)


def days_after(base: Moment, days: object) -> datetime | None:
    """The instant ``days`` whole days after ``base``; None where the number of days is not stated."""
    count = read_count(days).value
    return None if count is None or count > 20_000 else base.at + timedelta(days=count)


def id_time(native_id: str) -> Moment:
    """The creation time in the first 8 hex digits of a Xiaohongshu id.

    Day precision: a note drafted earlier than it was published keeps the id of its draft (seen up to 26 h apart).
    Raises ValueError when the id is not of that form.
    """
    if not re.fullmatch(r"[0-9a-f]{24}", native_id):
        raise ValueError("not 24 hex digits")
    return Moment(_from_epoch(int(native_id[:8], 16)), "day")


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


def _relative(text: str, captured_at: datetime) -> Moment | None:
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
    raise ValueError("too long ago")


def _local(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, tzinfo=BEIJING)


def _from_epoch(value: float) -> datetime:
    if not 0 < value < 1e17:  # also refuses infinity and NaN
        raise ValueError("not an epoch time")
    if value > _MICROSECONDS_FROM:
        value /= 1e6
    elif value > _MILLISECONDS_FROM:
        value /= 1e3
    return _checked(datetime.fromtimestamp(value, UTC))


def _checked(at: datetime) -> datetime:
    try:
        at = at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside the calendar") from error
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"a year that cannot be ({at.year})")
    return at


_PROVINCES: Final = re.compile(
    "北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|"
    "贵州|云南|陕西|甘肃|青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_PLACE_LABEL: Final = re.compile(r"^(?:IP\s*(?:属地|归属地)?|来自|发布于)\s*:?\s*|^中国(?=.)", re.IGNORECASE)


def province(value: object) -> str | None:
    """The province of "广东", "IP 属地广东", "广东省深圳市", "中国香港"; None for a foreign or unknown place."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    text = unicodedata.normalize("NFKC", value).strip()
    text = _PLACE_LABEL.sub("", _PLACE_LABEL.sub("", text))
    found = _PROVINCES.match(text)
    return found[0] if found else None


def https_url(value: object) -> str | None:
    """A web address with its scheme ("//img…" gets one); None for anything that is not a plausible http(s) address."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("//"):
        text = "https:" + text
    elif text.startswith("http://"):
        text = "https://" + text.removeprefix("http://")
    return (
        text
        if re.fullmatch(r"https://[\w-][\w.-]*[\w](?::\d{1,5})?(?:[/?#][^\s<>\"\\^`{|}]*)?", text, re.ASCII)
        and len(text) <= 2000
        else None
    )


def image(value: object) -> list[Media]:
    """A picture, or nothing when ``value`` is no address."""
    url = https_url(value)
    return [] if url is None else [Media(type="image", url=url)]


def video(value: object) -> list[Media]:
    """A video, or nothing when ``value`` is no address."""
    url = https_url(value)
    return [] if url is None else [Media(type="video", url=url)]
