"""负面走势: negatives over time by source, with the alerts that were raised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from alerts.read import AlertView
from ingest.clock import BEIJING
from ingest.errors import QueryError
from search.ast import And, Everything, Is, Node
from search.query import parse_query
from shengwen.web.pages import PagesDep, page_url
from shengwen.web.present import SOURCES, short, source_name
from shengwen.web.querytext import added
from shengwen.web.views_mentions import Text, trouble

router = APIRouter()

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """A choice of how far to look back and in which steps."""

    name: str
    label: str
    length: timedelta
    step: timedelta


SPANS = (
    Span("1d", "24 小时", DAY, HOUR),
    Span("3d", "3 天", 3 * DAY, HOUR),
    Span("7d", "7 天", 7 * DAY, HOUR),
    Span("30d", "30 天", 30 * DAY, DAY),
    Span("90d", "90 天", 90 * DAY, DAY),
    Span("365d", "一年", 365 * DAY, DAY),
)
_DEFAULT = SPANS[2]


@dataclass(frozen=True, slots=True)
class Row:
    """One step: when it starts (Beijing, as text), negatives by source, and where its mentions are listed."""

    start: str
    counts: Sequence[int]
    url: str


@router.get("/timeline")
def timeline(
    request: Request, pages: PagesDep, q: Text = "", span: Annotated[str, Query(max_length=10)] = _DEFAULT.name
) -> Response:
    deps = pages.deps
    now = deps.clock.now()
    chosen = next((one for one in SPANS if one.name == span), _DEFAULT)
    shared: dict[str, Any] = {"q": q, "span": chosen, "spans": SPANS}
    try:
        query = parse_query(q, now=now)
    except QueryError as error:
        return pages.render(request, "timeline.html", status=400, trouble=trouble(q, error), **shared)
    until = ceiling(now, chosen.step)
    since = until - chosen.length
    counts = deps.index.histogram(_negative(query), since=since, until=until, step=chosen.step)
    sources = sorted(counts, key=_place)
    alerts = [one for one in deps.reader.alerts(since=since) if one.started_at < until]
    starts = [since + number * chosen.step for number in range(int(chosen.length / chosen.step))]
    base = added(q, "sentiment:negative")
    rows = [
        Row(local_text(start), [counts[source][at] for source in sources], _list_url(base, start, chosen.step))
        for at, start in enumerate(starts)
    ]
    return pages.render(
        request,
        "timeline.html",
        trouble=None,
        sources=[source_name(source) for source in sources],
        rows=rows,
        total=sum(sum(values) for values in counts.values()),
        alerts=alerts,
        chart=_chart(sources, counts, starts, rows, alerts),
        **shared,
    )


def _negative(query: Node) -> Node:
    negative = Is("sentiment", "negative")
    return negative if query == Everything() else And((query, negative))


def ceiling(instant: datetime, step: timedelta) -> datetime:
    """The end of the hour or Beijing day that ``instant`` lies in."""
    local = instant.astimezone(BEIJING)
    start = local.replace(minute=0, second=0, microsecond=0)
    if step >= DAY:
        start = start.replace(hour=0)
    return (start + step).astimezone(UTC)


def local_text(instant: datetime) -> str:
    return instant.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")


def _place(source: str) -> tuple[int, str]:
    known = list(SOURCES)
    return (known.index(source) if source in known else len(known), source)


def _list_url(base: str, start: datetime, step: timedelta) -> str:
    since, until = (at.astimezone(BEIJING).isoformat() for at in (start, start + step))
    return page_url("/", q=f"{base} since:{since} until:{until}")


def _chart(
    sources: Sequence[str],
    counts: Mapping[str, Sequence[int]],
    starts: Sequence[datetime],
    rows: Sequence[Row],
    alerts: Sequence[AlertView],
) -> dict[str, Any]:
    """What charts.js draws. ``at`` of an alert is the number of the step that it started in."""
    step = starts[1] - starts[0]
    return {
        "hourly": step < DAY,
        "starts": [row.start for row in rows],
        "urls": [row.url for row in rows],
        "series": [{"source": s, "name": source_name(s), "counts": list(counts[s])} for s in sources],
        "alerts": [
            {
                "at": max(0, min(len(starts) - 1, (one.started_at - starts[0]) // step)),
                "level": one.level,
                "title": short(one.title, 40),
                "url": f"/alerts/{one.key}",
            }
            for one in alerts
        ],
    }
