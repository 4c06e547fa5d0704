"""What each hour brought, by source and query: was nothing there, or did nobody look?

Crawls are summed into the hour in which they ended (``source_hours``). An hour is **quiet** when it was looked at and
held nothing new, **silent** when every look failed or was refused, and has no look at all otherwise. Hours begin in
UTC, which are Beijing's hours too; days are Beijing's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from sqlalchemy import Connection, delete, func, select

from alerts.drift import FIELD_NAMES, WEEK, kept, pooled
from alerts.tables import SourceHour, table
from alerts.upsert import upsert
from ingest.clock import BEIJING
from ingest.coverage import Coverage, Fill

KEPT_DAYS: Final = 60
HOUR: Final = timedelta(hours=1)
SHORT: Final = ("stopped", "failed")
_SUMS: Final = ("runs", "short", "planned", "got", "new", "duplicate", "dead", "pages")
_MAX_QUERY: Final = 400

Look = Literal["none", "silent", "quiet", "new"]


@dataclass(frozen=True, slots=True)
class HourCell:
    """One hour of one source. ``look``: none (nobody looked), silent (looked, in vain), quiet (nothing new), new."""

    hour: datetime
    look: Look
    new: int


@dataclass(frozen=True, slots=True)
class DayLine:
    """One Beijing day of one source, summed over its queries; ``cells`` are its hours that have begun."""

    day: date
    runs: int
    short: int
    planned: int
    got: int
    new: int
    dead: int
    pages: int
    cells: tuple[HourCell, ...]

    @property
    def missing(self) -> int:
        """What the platform promised and the crawls did not get."""
        return max(0, self.planned - self.got)


@dataclass(frozen=True, slots=True)
class Yield:
    """New items in a span of time, and in the same span a week before; null where nobody looked then."""

    new: int | None
    before: int | None


@dataclass(frozen=True, slots=True)
class FieldShare:
    """The share (0-1) of an endpoint's records of the last seven days that had a field; ``name`` as users read it."""

    name: str
    share: float


@dataclass(frozen=True, slots=True)
class EndpointFill:
    endpoint: str
    records: int
    fields: tuple[FieldShare, ...]


@dataclass(frozen=True, slots=True)
class SourceWeek:
    """The last seven Beijing days of one source, the newest last.

    ``hour`` compares the last whole hour, ``day`` the last 24 whole hours. ``short_at`` and ``short_reason`` tell of
    the last crawl that stopped or failed, however long ago it is kept. ``unreached``: by query, what the platform
    counts and does not show, as the query's newest crawl said.
    """

    source: str
    days: tuple[DayLine, ...]
    hour: Yield
    day: Yield
    short_at: datetime | None
    short_reason: str
    unreached: Mapping[str, int]
    fills: tuple[EndpointFill, ...]

    @property
    def new(self) -> int:
        """New items of these days."""
        return sum(line.new for line in self.days)

    @property
    def most(self) -> int:
        """New items of the busiest of these hours; at least 1."""
        return max([1, *(cell.new for line in self.days for cell in line.cells)])


def keep(connection: Connection, record: Coverage) -> None:
    """Add a crawl to its hour. Not idempotent: the caller sees to it that a record is added once."""
    rows = table(SourceHour)
    hour = record.finished_at.replace(minute=0, second=0, microsecond=0)
    source, query = record.source[:80], record.query[:_MAX_QUERY]
    where = (rows.c.source == source, rows.c.query == query, rows.c.hour == hour)
    was = connection.execute(select(rows).where(*where)).mappings().first()
    short = record.status in SHORT
    values: dict[str, Any] = {
        "runs": 1,
        "short": int(short),
        "planned": record.got if record.planned is None else record.planned,
        "got": record.got,
        "new": record.new,
        "duplicate": record.duplicate,
        "dead": record.dead,
        "pages": record.pages,
    }
    reason = record.reason[:500]
    if was is not None:
        values = {name: was[name] + values[name] for name in _SUMS}
        if was["reason"] and not short:  # why a crawl stopped is not covered up by one that was only cut short
            reason = was["reason"]
    values |= {"source": source, "query": query, "hour": hour, "unreached": record.unreached, "reason": reason}
    statement = upsert(connection, rows)
    changed = {c.name: statement.excluded[c.name] for c in rows.columns if not c.primary_key}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["source", "query", "hour"], set_=changed), values
    )
    connection.execute(delete(rows).where(rows.c.source == source, rows.c.hour < hour - timedelta(days=KEPT_DAYS)))


def weeks(connection: Connection, now: datetime) -> dict[str, SourceWeek]:
    """Every source that was crawled in the days that are kept -> its last seven days."""
    rows = table(SourceHour)
    today = now.astimezone(BEIJING).date()
    first = _start(today - timedelta(days=WEEK - 1))
    oldest = first - timedelta(days=WEEK + 1)
    by_source: dict[str, dict[datetime, dict[str, int]]] = defaultdict(dict)
    unreached: dict[str, dict[str, int]] = defaultdict(dict)
    for row in connection.execute(select(rows).where(rows.c.hour >= oldest).order_by(rows.c.hour)).mappings():
        sums = by_source[row["source"]].setdefault(row["hour"], dict.fromkeys(_SUMS, 0))
        for name in _SUMS:
            sums[name] += row[name]
        unreached[row["source"]][row["query"]] = row["unreached"]
    short = _last_short(connection)
    fills = _fills(connection, today)
    return {
        source: SourceWeek(
            source=source,
            days=tuple(_line(today - timedelta(days=ago), hours, now) for ago in reversed(range(WEEK))),
            hour=_yield(hours, now, 1),
            day=_yield(hours, now, 24),
            short_at=short.get(source, (None, ""))[0],
            short_reason=short.get(source, (None, ""))[1],
            unreached={query: count for query, count in unreached[source].items() if count},
            fills=fills.get(source, ()),
        )
        for source, hours in sorted(by_source.items())
    }


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BEIJING)


def _look(sums: Mapping[str, int] | None) -> Look:
    if sums is None:
        return "none"
    if sums["new"]:
        return "new"
    return "silent" if sums["short"] >= sums["runs"] else "quiet"


def _line(day: date, hours: Mapping[datetime, Mapping[str, int]], now: datetime) -> DayLine:
    starts = [at for at in (_start(day) + n * HOUR for n in range(24)) if at <= now]
    mine = [hours[at] for at in starts if at in hours]
    total = {name: sum(sums[name] for sums in mine) for name in _SUMS}
    cells = tuple(HourCell(at, _look(hours.get(at)), hours[at]["new"] if at in hours else 0) for at in starts)
    shown = ("runs", "short", "planned", "got", "new", "dead", "pages")
    return DayLine(day=day, cells=cells, **{name: total[name] for name in shown})


def _yield(hours: Mapping[datetime, Mapping[str, int]], now: datetime, length: int) -> Yield:
    end = now.replace(minute=0, second=0, microsecond=0)
    return Yield(_new(hours, end, length), _new(hours, end - timedelta(days=WEEK), length))


def _new(hours: Mapping[datetime, Mapping[str, int]], end: datetime, length: int) -> int | None:
    found = [hours[at] for at in (end - n * HOUR for n in range(1, length + 1)) if at in hours]
    looked = [sums for sums in found if sums["runs"] > sums["short"] or sums["new"]]
    return sum(sums["new"] for sums in found) if looked else None


def _last_short(connection: Connection) -> dict[str, tuple[datetime, str]]:
    rows = table(SourceHour)
    newest = (
        select(rows.c.source, func.max(rows.c.hour).label("hour"))
        .where(rows.c.short > 0)
        .group_by(rows.c.source)
        .subquery()
    )
    chosen = (
        select(rows.c.source, rows.c.hour, rows.c.reason)
        .join(newest, (rows.c.source == newest.c.source) & (rows.c.hour == newest.c.hour))
        .where(rows.c.short > 0)
        .order_by(rows.c.query)
    )
    return {row.source: (row.hour, row.reason) for row in connection.execute(chosen)}


def _fills(connection: Connection, today: date) -> dict[str, tuple[EndpointFill, ...]]:
    since = today - timedelta(days=WEEK)
    by_endpoint: dict[tuple[str, str], list[Fill]] = defaultdict(list)
    for one in kept(connection, today, {}):
        if one.day > since:
            by_endpoint[one.source, one.fill.endpoint].append(one.fill)
    found: dict[str, list[EndpointFill]] = defaultdict(list)
    for (source, endpoint), given in sorted(by_endpoint.items()):
        found[source].append(_shares(pooled(endpoint, given)))
    return {source: tuple(lines) for source, lines in found.items()}


def _shares(fill: Fill) -> EndpointFill:
    shares = fill.shares()
    shown = [FieldShare(name, shares[field]) for field, name in FIELD_NAMES.items() if shares.get(field)]
    return EndpointFill(fill.endpoint, fill.records + fill.broken, tuple(shown))
