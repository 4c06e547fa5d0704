"""What stands beside the hits: filters to click, date presets, the histogram of days."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import get_args

from ingest.analysis import SentimentLabel
from ingest.clock import BEIJING
from search.ast import And, Is, Node, Since, Until
from search.base import Facet, Summary
from search.query import MAX_LENGTH
from shengwen.web.present import tag_group, tag_name
from shengwen.web.querytext import Chip, added, value_name, without_fields

SENTIMENT_ORDER: tuple[str, ...] = get_args(SentimentLabel)
TITLES: Mapping[Facet, str] = {
    "sentiment": "情感",
    "source": "来源",
    "intent": "意图",
    "product": "产品",
    "region": "地区",
    "flag": "标记",
    "about": "谈的是",
    "matched": "匹配词",
}
PRESETS = (
    ("全部时间", ""),
    ("今天", "since:今天"),
    ("近 7 天", "since:7d"),
    ("近 30 天", "since:30d"),
    ("近 90 天", "since:90d"),
)
_DAILY_UP_TO, _WEEKLY_UP_TO = 120, 730


@dataclass(frozen=True, slots=True)
class Choice:
    """A value to click: ``query`` is the query's text after the click."""

    label: str
    count: int | None
    query: str
    active: bool
    value: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A titled list of choices; ``head`` narrows to the whole group where there is such a thing."""

    title: str
    choices: Sequence[Choice]
    head: Choice | None = None


def facet_groups(summary: Summary, text: str, active: Sequence[Chip]) -> list[Group]:
    """The single-level facets that have values; whom mentions are about only where that is known of any."""
    groups: list[Group] = []
    for facet, title in TITLES.items():
        values = summary.facets.get(facet, {})
        if facet == "about" and set(values) == {"none"}:
            continue
        choices = [
            _choice(Is(facet, value, exact=facet == "product"), count, text, active) for value, count in values.items()
        ]
        choices = [one for one in choices if len(one.query) <= MAX_LENGTH]  # longer ones could not be asked for
        if choices:
            groups.append(Group(title, choices))
    return groups


def tag_groups(summary: Summary, text: str, active: Sequence[Chip]) -> list[Group]:
    """Tags under their groups, the group that is talked about most first."""
    groups: dict[str, list[Choice]] = {}
    weights: dict[str, int] = {}
    for tag, count in summary.facets.get("tag", {}).items():
        group = tag_group(tag)
        groups.setdefault(group, []).append(_choice(Is("tag", tag), count, text, active, label=tag_name(tag)))
        weights[group] = weights.get(group, 0) + count
    return [
        Group(group, groups[group], head=_choice(Is("tag", group), None, text, active, label=group))
        for group in sorted(groups, key=lambda name: -weights[name])
    ]


def _choice(node: Is, count: int | None, text: str, active: Sequence[Chip], *, label: str | None = None) -> Choice:
    typed = str(node)
    chosen = next((chip for chip in active if chip.text == typed), None)
    return Choice(
        label=label or value_name(node.field, node.value),
        count=count,
        query=chosen.without if chosen else added(text, typed),
        active=chosen is not None,
        value=node.value,
    )


def date_presets(text: str, active: Sequence[Chip]) -> list[Choice]:
    """Spans of time to click; each takes the place of the one before."""
    bare = without_fields(text, ("since", "until"))
    now = [chip.text for chip in active if chip.field in ("since", "until")]
    return [
        Choice(label, None, added(bare, typed) if typed else bare, active=now == ([typed] if typed else []))
        for label, typed in PRESETS
    ]


@dataclass(frozen=True, slots=True)
class Bar:
    """Days [first, last] and their mentions by sentiment."""

    first: str
    last: str
    counts: Mapping[str, int]


def day_bounds(query: Node, now: datetime) -> tuple[date | None, date | None]:
    """The Beijing days that a query asks for at its top level, as far as it says; with a start, up to today."""
    parts = query.parts if isinstance(query, And) else (query,)
    since = max((part.instant for part in parts if isinstance(part, Since)), default=None)
    until = min((part.instant for part in parts if isinstance(part, Until)), default=None)
    if since is None:
        return None, None
    end = min(until - timedelta(milliseconds=1), now) if until is not None else now
    return since.astimezone(BEIJING).date(), end.astimezone(BEIJING).date()


def bars(by_day: Mapping[str, Mapping[str, int]], since: date | None = None, until: date | None = None) -> list[Bar]:
    """The histogram without gaps: by day up to 120 days, then by week (from Monday), beyond two years by month."""
    if not by_day:
        return []
    days = sorted(date.fromisoformat(day) for day in by_day)
    first, last = min(days[0], since or days[0]), max(days[-1], until or days[-1])
    length = (last - first).days + 1
    sums: dict[date, dict[str, int]] = {}
    for day in days:
        cell = sums.setdefault(_start(day, length), dict.fromkeys(SENTIMENT_ORDER, 0))
        for label, count in by_day[day.isoformat()].items():
            cell[label] = cell.get(label, 0) + count
    out: list[Bar] = []
    start = _start(first, length)
    while start <= last:
        following = _next(start, length)
        counts = sums.get(start, dict.fromkeys(SENTIMENT_ORDER, 0))
        out.append(Bar(start.isoformat(), (following - timedelta(days=1)).isoformat(), counts))
        start = following
    return out


def chart_values(shown: Sequence[Bar]) -> list[dict[str, object]]:
    """What charts.js draws of the histogram."""
    return [{"first": bar.first, "last": bar.last, **bar.counts} for bar in shown]


def _start(day: date, length: int) -> date:
    if length <= _DAILY_UP_TO:
        return day
    return day - timedelta(days=day.weekday()) if length <= _WEEKLY_UP_TO else day.replace(day=1)


def _next(start: date, length: int) -> date:
    if length <= _DAILY_UP_TO:
        return start + timedelta(days=1)
    if length <= _WEEKLY_UP_TO:
        return start + timedelta(days=7)
    return (start + timedelta(days=32)).replace(day=1)
