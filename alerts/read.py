"""What the page, the API and the command line may read of alerts, tickets, deliveries and sources.

Everything is a frozen value; instants are aware UTC; texts are masked and hostile (escape them). ``key`` is the
public id of alerts and tickets. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, case, func, or_, select

from alerts.config import RANK, AlertSettings
from alerts.coverage import health, standing
from alerts.explanation import Explanation, explanation_from_json
from alerts.hours import SourceWeek, weeks
from alerts.scopes import ScopeKey
from alerts.tables import (
    Evidence,
    Fact,
    Incident,
    Outbox,
    Scope,
    ScopeState,
    Ticket,
    TicketEvent,
    TicketEvidence,
    TicketLink,
    table,
)
from alerts.tickets import CLOSED
from alerts.views import (
    AlertDetail,
    AlertView,
    DeliveryView,
    EventView,
    EvidenceView,
    QueryView,
    SourceView,
    StateView,
    TicketDetail,
    TicketFilter,
    TicketView,
)
from ingest.state import by_code_point, only_read

__all__ = [
    "AlertDetail",
    "AlertReader",
    "AlertView",
    "DeliveryView",
    "EventView",
    "EvidenceView",
    "Explanation",
    "QueryView",
    "SourceView",
    "StateView",
    "TicketDetail",
    "TicketFilter",
    "TicketView",
]

_ALERT_COLUMNS = (
    "key", "kind", "level", "title", "state", "verdict", "severity", "observed", "expected", "window_hours", "test",
    "p", "started_at", "raised_at", "last_seen_at", "closed_at",
)  # fmt: skip
_TICKET_COLUMNS = (
    "key", "level", "title", "department", "intent", "status", "product", "region", "platform", "link", "text", "likes",
    "count", "created_at", "updated_at", "first_response_due", "plan_due", "done_due", "responded_at", "planned_at",
    "done_at", "closed_at", "mention_id",
)  # fmt: skip
_OUTBOX_COLUMNS = (
    "id", "key", "kind", "title", "state", "attempts", "created_at", "next_at", "finished_at", "delivered_by",
    "problem",
)  # fmt: skip

_ANY = TicketFilter()


class AlertReader:
    """Reads for the page and the command line."""

    def __init__(self, engine: Engine, settings: AlertSettings | None = None) -> None:
        self._engine = only_read(engine)
        self._settings = settings

    def open_alerts(self) -> Sequence[AlertView]:
        """Firing and cooling ones; 一级 first, then the most severe, then the newest."""
        rows = table(Incident)
        with self._engine.connect() as connection:
            found = self._alerts(connection, select(rows).where(rows.c.state != "closed"))
        return sorted(found, key=lambda a: (RANK.get(a.level, 9), -a.severity, -a.raised_at.timestamp()))

    def alerts(self, *, since: datetime | None = None, limit: int = 200) -> Sequence[AlertView]:
        """All, newest first."""
        rows = table(Incident)
        chosen = select(rows).order_by(rows.c.raised_at.desc(), rows.c.id.desc()).limit(limit)
        if since is not None:
            chosen = chosen.where(rows.c.raised_at >= since)
        with self._engine.connect() as connection:
            return self._alerts(connection, chosen)

    def alert(self, key: str) -> AlertDetail | None:
        """One alert."""
        rows, evidence, facts = table(Incident), table(Evidence), table(Fact)
        with self._engine.connect() as connection:
            found = self._alerts(connection, select(rows).where(rows.c.key == key))
            if not found:
                return None
            row = connection.execute(select(rows.c.id, rows.c.explanation).where(rows.c.key == key)).one()
            ids = connection.scalars(
                select(evidence.c.mention_id)
                .outerjoin(facts, facts.c.mention_id == evidence.c.mention_id)
                .where(evidence.c.incident_id == row.id)
                .order_by(facts.c.created_at.desc(), by_code_point(evidence.c.mention_id))
            ).all()
            return AlertDetail(
                found[0], explanation_from_json(row.explanation), tuple(ids), self._outbox(connection, stream=key)
            )

    def tickets(
        self, which: TicketFilter = _ANY, *, now: datetime, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[TicketView], int]:
        """A page of tickets (一级 first, then the nearest unmet deadline) and how many there are in all."""
        tickets = table(Ticket)
        wanted = _conditions(which, now)
        rank = case(dict(RANK), value=tickets.c.level, else_=9)
        nearest = case(
            (tickets.c.status == CLOSED, None),
            (tickets.c.responded_at.is_(None), tickets.c.first_response_due),
            ((tickets.c.planned_at.is_(None)) & (tickets.c.plan_due.is_not(None)), tickets.c.plan_due),
            else_=tickets.c.done_due,
        )
        page = (
            select(tickets)
            .where(*wanted)
            .order_by(tickets.c.status == CLOSED, rank, nearest.is_(None), nearest, tickets.c.id)
            .limit(limit)
            .offset(offset)
        )
        with self._engine.connect() as connection:
            total = connection.execute(select(func.count()).select_from(tickets).where(*wanted)).scalar_one()
            return self._tickets(connection, page, now), int(total)

    def ticket(self, key: str, *, now: datetime) -> TicketDetail | None:
        """One ticket."""
        tickets, evidence, events, links = table(Ticket), table(TicketEvidence), table(TicketEvent), table(TicketLink)
        with self._engine.connect() as connection:
            found = self._tickets(connection, select(tickets).where(tickets.c.key == key), now)
            if not found:
                return None
            row = connection.execute(
                select(tickets.c.id, tickets.c.root_cause, tickets.c.measure, tickets.c.verification).where(
                    tickets.c.key == key
                )
            ).one()
            said = connection.execute(
                select(evidence.c.mention_id, evidence.c.text, evidence.c.url, evidence.c.created_at)
                .where(evidence.c.ticket_id == row.id)
                .order_by(evidence.c.created_at.desc(), by_code_point(evidence.c.mention_id))
                .limit(500)
            )
            diary = connection.execute(
                select(events.c.at, events.c.by, events.c.what, events.c.detail)
                .where(events.c.ticket_id == row.id)
                .order_by(events.c.id)
            )
            linked = connection.execute(select(links.c.system, links.c.external_id).where(links.c.ticket_id == row.id))
            return TicketDetail(
                ticket=found[0],
                evidence=tuple(EvidenceView(*line) for line in said),
                events=tuple(EventView(*line) for line in diary),
                root_cause=tuple(orjson.loads(row.root_cause)) if row.root_cause else (),
                measure=orjson.loads(row.measure) if row.measure else None,
                verification=orjson.loads(row.verification) if row.verification else None,
                links=dict(linked.all()),
                deliveries=self._outbox(connection, stream=key),
            )

    def ticket_counts(self) -> Mapping[str, int]:
        """Status -> tickets."""
        tickets = table(Ticket)
        with self._engine.connect() as connection:
            found = connection.execute(select(tickets.c.status, func.count()).group_by(tickets.c.status))
            return dict(found.all())

    def tickets_of(self, mention_ids: Sequence[str]) -> Mapping[str, str]:
        """Mention id -> key of the ticket it is evidence of (the newest)."""
        tickets, evidence = table(Ticket), table(TicketEvidence)
        found: dict[str, str] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(mention_ids), 500):
                some = mention_ids[start : start + 500]
                for mention, key in connection.execute(
                    select(evidence.c.mention_id, tickets.c.key)
                    .join(tickets, tickets.c.id == evidence.c.ticket_id)
                    .where(evidence.c.mention_id.in_(some))
                    .order_by(tickets.c.id)
                ):
                    found[mention] = key
        return found

    def outbox_failures(self) -> Sequence[DeliveryView]:
        """Messages that no channel took, newest first: shown red."""
        with self._engine.connect() as connection:
            return self._outbox(connection, state="failed")

    def deliveries(self, *, limit: int = 100) -> Sequence[DeliveryView]:
        """The newest messages in any state."""
        with self._engine.connect() as connection:
            return self._outbox(connection, limit=limit)

    def sources(self, now: datetime) -> Sequence[SourceView]:
        """All sources that ever reported coverage, silent ones first."""
        settings = self._settings or AlertSettings()
        with self._engine.connect() as connection:
            found, crawls = health(connection, settings, now), standing(connection, settings)
        views = []
        for one in found:
            mine = crawls.get(one.source, [])
            complete = [row["last_complete_at"] for row in mine if row["last_complete_at"] is not None]
            state = "silent" if one.silent_since is not None else "partial" if one.completeness < 1 else "ok"
            views.append(
                SourceView(
                    source=one.source,
                    state=state,
                    completeness=one.completeness,
                    last_finished_at=one.finished_at,
                    last_complete_at=max(complete, default=None),
                    silent_since=one.silent_since,
                    reason=one.reason
                    or next((r["reason"] for r in mine if r["reason"] and r["status"] != "complete"), ""),
                    queries=tuple(QueryView(**{f.name: row[f.name] for f in fields(QueryView)}) for row in mine),
                )
            )
        return sorted(views, key=lambda v: (("silent", "partial", "ok").index(v.state), v.source))

    def weeks(self, now: datetime) -> Mapping[str, SourceWeek]:
        """Source -> its last seven Beijing days, by hour and by day."""
        with self._engine.connect() as connection:
            return weeks(connection, now)

    def states(self) -> Sequence[StateView]:
        """Scopes that are not normal, worst first."""
        states, scopes = table(ScopeState), table(Scope)
        order = ("firing", "cooling", "watch", "unknown")
        with self._engine.connect() as connection:
            found = connection.execute(
                select(scopes.c.kind, scopes.c.source, scopes.c.product, scopes.c.tag, states).join(
                    scopes, scopes.c.id == states.c.scope_id
                )
            ).all()
        views = []
        for row in found:
            scope = ScopeKey(row.kind, row.source, row.product, row.tag)
            views.append(
                StateView(
                    scope.as_dict(),
                    scope.label(),
                    row.state,
                    row.since,
                    row.observed,
                    row.expected,
                    row.p,
                    row.severity,
                )
            )
        return sorted(views, key=lambda v: (order.index(v.state), -v.severity, v.label))

    def _alerts(self, connection: Connection, chosen: Select[Any]) -> list[AlertView]:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
        ids = [row["id"] for row in rows]
        evidence, tickets, scopes = table(Evidence), table(Ticket), table(Scope)
        counts: dict[int, int] = {}
        keys: dict[int, str] = {}
        named: dict[int, ScopeKey] = {}
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            counted = select(evidence.c.incident_id, func.count()).where(evidence.c.incident_id.in_(some))
            counts.update(connection.execute(counted.group_by(evidence.c.incident_id)).all())
            own = select(tickets.c.incident_id, tickets.c.key).where(
                tickets.c.incident_id.in_(some), tickets.c.mention_id.is_(None)
            )
            keys.update((number, key) for number, key in connection.execute(own) if number is not None)
            wanted = [row["scope_id"] for row in rows[start : start + 500] if row["scope_id"] is not None]
            for scope in connection.execute(select(scopes).where(scopes.c.id.in_(wanted))):
                named[scope.id] = ScopeKey(scope.kind, scope.source, scope.product, scope.tag)
        return [
            AlertView(
                **{name: row[name] for name in _ALERT_COLUMNS},
                interval=(row["low"], row["high"]),
                evidence_count=counts.get(row["id"], 0),
                ticket=keys.get(row["id"]),
                scope=named[row["scope_id"]].as_dict() if row["scope_id"] in named else {},
            )
            for row in rows
        ]

    def _tickets(self, connection: Connection, chosen: Select[Any], now: datetime) -> list[TicketView]:
        rows = [dict(row) for row in connection.execute(chosen).mappings()]
        incidents = table(Incident)
        numbers = sorted({row["incident_id"] for row in rows if row["incident_id"] is not None})
        keys: dict[int, str] = {}
        for start in range(0, len(numbers), 500):
            some = select(incidents.c.id, incidents.c.key).where(incidents.c.id.in_(numbers[start : start + 500]))
            keys.update(connection.execute(some).all())
        return [
            TicketView(
                **{name: row[name] for name in _TICKET_COLUMNS},
                tags=tuple(orjson.loads(row["tags"])),
                alert=keys.get(row["incident_id"]),
                overdue=tuple(
                    clock
                    for clock, met in (("first_response", "responded_at"), ("plan", "planned_at"), ("done", "done_at"))
                    if row["status"] != CLOSED
                    and row[met] is None
                    and row[f"{clock}_due"] is not None
                    and row[f"{clock}_due"] < now
                ),
            )
            for row in rows
        ]

    def _outbox(
        self, connection: Connection, *, state: str | None = None, stream: str | None = None, limit: int = 200
    ) -> tuple[DeliveryView, ...]:
        box = table(Outbox)
        chosen = select(box).order_by(box.c.id.desc()).limit(limit)
        if state is not None:
            chosen = chosen.where(box.c.state == state)
        if stream is not None:
            chosen = chosen.where(box.c.stream == stream)
        views = []
        for row in connection.execute(chosen).mappings():
            route = tuple(row["route"].split(","))
            views.append(
                DeliveryView(
                    **{name: row[name] for name in _OUTBOX_COLUMNS},
                    channels=route,
                    channel=route[min(row["hop"], len(route) - 1)],
                )
            )
        return tuple(views)


def _conditions(which: TicketFilter, now: datetime) -> list[ColumnElement[bool]]:
    tickets = table(Ticket)
    wanted: list[ColumnElement[bool]] = []
    for column, values in (
        (tickets.c.status, which.statuses),
        (tickets.c.level, which.levels),
        (tickets.c.department, which.departments),
        (tickets.c.intent, which.intents),
    ):
        if values:
            wanted.append(column.in_(list(values)))
    if which.text:
        wanted.append(
            or_(
                tickets.c.key == which.text,
                *(
                    column.icontains(which.text, autoescape=True)
                    for column in (tickets.c.title, tickets.c.text, tickets.c.product, tickets.c.tags)
                ),
            )
        )
    if which.open_only:
        wanted.append(tickets.c.status != CLOSED)
    if which.overdue:
        wanted.append(tickets.c.status != CLOSED)
        wanted.append(
            or_(
                and_(tickets.c.responded_at.is_(None), tickets.c.first_response_due < now),
                and_(tickets.c.planned_at.is_(None), tickets.c.plan_due < now),
                and_(tickets.c.done_at.is_(None), tickets.c.done_due < now),
            )
        )
    return wanted
