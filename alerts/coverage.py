"""What crawls say of themselves: is a source complete, quiet, or dead?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Engine, select

from alerts import drift, hours
from alerts.config import AlertSettings
from alerts.tables import SourceHealth, table
from alerts.upsert import lock, upsert
from ingest.coverage import Coverage
from ingest.state import by_code_point

STOPPED = ("stopped", "failed")
_MAX_QUERY = 400
_CUT_OFF: Final = "没有看全："


class CoverageStore:
    """The last crawl of every query on every source, what crawled records had (``alerts/drift.py``), what each hour
    brought (``alerts/hours.py``).

    Absorbing the same record again changes nothing.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def absorb(self, records: Sequence[Coverage]) -> int:
        """Keep the newest record of each query, in one transaction; how many were news."""
        if not records:
            return 0
        health = table(SourceHealth)
        news = 0
        with self._engine.begin() as connection:
            lock(connection)
            for record in sorted(records, key=lambda r: r.finished_at):
                query = record.query[:_MAX_QUERY]
                was = (
                    connection.execute(
                        select(health).where(health.c.source == record.source[:80], health.c.query == query)
                    )
                    .mappings()
                    .first()
                )
                if was is not None and was["finished_at"] >= record.finished_at:
                    continue
                row = _row(record, query, dict(was) if was is not None else None)
                statement = upsert(connection, health)
                changed = {c.name: statement.excluded[c.name] for c in health.columns if not c.primary_key}
                connection.execute(
                    statement.on_conflict_do_update(index_elements=["source", "query"], set_=changed), row
                )
                drift.keep(connection, record)
                hours.keep(connection, record)
                news += 1
        return news


def _row(record: Coverage, query: str, was: Mapping[str, Any] | None) -> dict[str, Any]:
    complete = record.status == "complete"
    silent = record.status in STOPPED
    since = was["silent_since"] if was is not None else None
    return {
        "source": record.source[:80],
        "query": query,
        "status": record.status,
        "signal": record.signal[:20],
        "reason": reason_of(record),
        "window_from": record.window[0],
        "window_to": record.window[1],
        "planned": record.planned,
        "got": record.got,
        "new": record.new,
        "duplicate": record.duplicate,
        "dead": record.dead,
        "pages": record.pages,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "last_complete_at": record.finished_at if complete else (was["last_complete_at"] if was is not None else None),
        "silent_since": (since or record.finished_at) if silent else None,
    }


def reason_of(record: Coverage) -> str:
    """Why a crawl is not whole, and last, where its search was cut off, what was not seen: for people."""
    if not record.cut_off:
        return record.reason[:500]
    parts = "，".join(record.cut_off)
    said = f"{_CUT_OFF}分开搜过，仍被平台截断的有 {len(record.cut_off)} 部分（{parts}），还差多少条平台不说"
    return f"{record.reason[:200]}；{said}"[:500] if record.reason else said[:500]


def cut_off_in(reason: str) -> str:
    """What :func:`reason_of` says of a search that was cut off; empty where it was not."""
    _, found, said = reason.partition(_CUT_OFF)
    return said if found else ""


@dataclass(frozen=True, slots=True)
class Health:
    """One source as a whole. ``silent_since`` is set when every query stopped, or nothing was heard for too long."""

    source: str
    completeness: float
    silent_since: datetime | None
    reason: str
    finished_at: datetime
    signal: str
    stopped: bool
    """The last crawl met a wall or a refusal."""


def completeness_of(row: Mapping[str, Any]) -> float:
    """The share of what one crawl meant to get that it got, 0-1."""
    if row["status"] == "complete":
        return 1.0
    if row["planned"]:
        return float(min(1.0, row["got"] / row["planned"]))
    # A partial crawl that does not know how much there was got something; a stopped one may have missed all the rest.
    return 0.5 if row["got"] and row["status"] == "partial" else 0.0


def health(connection: Connection, settings: AlertSettings, now: datetime) -> list[Health]:
    """The state of every source that ever reported, by name."""
    rows = table(SourceHealth)
    by_source: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in connection.execute(
        select(rows).order_by(by_code_point(rows.c.source), by_code_point(rows.c.query))
    ).mappings():
        by_source[row["source"]].append(dict(row))
    limit = timedelta(hours=settings.source_silent_after.hours or 26)
    return [_health(source, found, now, limit) for source, found in by_source.items()]


def _health(source: str, rows: Sequence[Mapping[str, Any]], now: datetime, limit: timedelta) -> Health:
    last = max(rows, key=lambda row: row["finished_at"])
    stopped = [row for row in rows if row["silent_since"] is not None]
    silent = min((row["silent_since"] for row in stopped), default=None) if len(stopped) == len(rows) else None
    reason = last["reason"] if last["silent_since"] is not None else ""
    # An import is over when it is over; a crawl that does not report any more is dead.
    if silent is None and not source.startswith("import:") and now - last["finished_at"] > limit:
        silent = last["finished_at"] + limit
        reason = "太久没有抓取记录"
    share = sum(completeness_of(row) for row in rows) / len(rows)
    completeness = 0.0 if silent is not None else share
    stopped = last["status"] == "stopped"
    return Health(source, completeness, silent, reason, last["finished_at"], last["signal"], stopped)


def completeness(connection: Connection, settings: AlertSettings, now: datetime) -> dict[str, float]:
    """Source -> share of what should be there that was collected, for :meth:`alerts.engine.AlertEngine.tick`."""
    return {
        found.source: found.completeness
        for found in health(connection, settings, now)
        if not found.source.startswith("import:")
    }
