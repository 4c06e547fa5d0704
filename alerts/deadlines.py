"""Deadlines: hours run on the wall clock, working days on the Chinese calendar (statutory holidays and 调休 weekends).

A working day counts 24 hours, from midnight to midnight in Beijing; a day off counts none. So "3 working days" from
Tuesday 15:00 is Friday 15:00, and from a Saturday off it is the midnight that ends the third working day.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from alerts.config import AlertSettings, Level, Span
from ingest.clock import BEIJING

log = logging.getLogger(__name__)

_DAY = timedelta(days=1)
_LONGEST = 400


@lru_cache(maxsize=4096)
def is_working_day(day: date) -> bool:
    """Whether people work on that day. Years the calendar does not know yet are Monday to Friday."""
    import chinese_calendar

    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        _warn_once(day.year)
        return day.weekday() < 5


@lru_cache(maxsize=64)
def _warn_once(year: int) -> None:
    log.warning("the holidays of %d are not known to chinesecalendar yet; weekends only", year)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), BEIJING)


def add_working_time(start: datetime, length: timedelta) -> datetime:
    """The instant at which ``length`` of working-day time has passed since ``start``. UTC."""
    if length < timedelta(0):
        raise ValueError("a length of time is not negative")
    moment, left = start.astimezone(BEIJING), length
    for _ in range(_LONGEST + 2 * length.days):
        tomorrow = _midnight(moment.date() + _DAY)
        if is_working_day(moment.date()):
            today = tomorrow - moment
            if left <= today:
                return (moment + left).astimezone(UTC)
            left -= today
        moment = tomorrow
    raise ValueError("no working day in more than a year")


def after(start: datetime, span: Span, *, wall_clock: bool = False, fraction: float = 1.0) -> datetime:
    """When ``fraction`` of ``span`` has passed since ``start``, UTC. ``wall_clock`` counts working days as 24 hours."""
    if span.hours is not None:
        return start + timedelta(hours=span.hours * fraction)
    length = timedelta(days=(span.workdays or 0) * fraction)
    return start + length if wall_clock else add_working_time(start, length)


@dataclass(frozen=True, slots=True)
class Clock:
    """One promise on a ticket: ``name`` is first_response, plan or done."""

    name: str
    span: Span
    wall_clock: bool

    def due(self, start: datetime, fraction: float = 1.0) -> datetime:
        """When this share of the time is used up."""
        return after(start, self.span, wall_clock=self.wall_clock, fraction=fraction)


CLOCK_NAMES = {"first_response": "首次响应", "plan": "整改方案", "done": "整改完成"}


def clocks(level: Level, intent: str, settings: AlertSettings) -> tuple[Clock, ...]:
    """The promises for a ticket. A complaint is first answered within 4 hours whatever its level; 一级 never pauses."""
    promised = settings.service_levels[level]
    wall = level == "一级"
    first = promised.first_response
    ceiling = settings.complaint_first_response
    if intent == "complaint" and (first.hours is None or (ceiling.hours is not None and first.hours > ceiling.hours)):
        first = ceiling
    found = [Clock("first_response", first, wall)]
    if promised.plan is not None:
        found.append(Clock("plan", promised.plan, wall))
    if promised.done is not None:
        found.append(Clock("done", promised.done, wall))
    return tuple(found)
