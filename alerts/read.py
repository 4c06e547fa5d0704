"""What the page, the API and the command line may read of alerts, tickets, deliveries and sources.

Everything is a frozen value; instants are aware UTC; texts are masked and hostile (escape them). ``key`` is the
public id of alerts and tickets. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Engine, Row, Select, func, or_, select

from alerts.tables import (
    Evidence,
    Incident,
    Outbox,
    Scope,
    ScopeState,
    SourceHealth,
    Ticket,
    TicketEvent,
    TicketEvidence,
    TicketLink,
    table,
)


@dataclass(frozen=True, slots=True)
class Lift:
    """A value that stands out: ``count`` in the evidence, ``lift`` = its share there over its share in the baseline."""

    value: str
    count: int
    lift: float


@dataclass(frozen=True, slots=True)
class Quote:
    """Words of a customer, masked."""

    mention_id: str
    text: str
    source: str
    created_at: str
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an alert was raised. ``counter`` are Chinese sentences that speak against it."""

    products: Sequence[Lift] = ()
    tags: Sequence[Lift] = ()
    regions: Sequence[Lift] = ()
    sources: Sequence[Lift] = ()
    quotes: Sequence[Quote] = ()
    counter: Sequence[str] = ()
    share: float | None = None
    share_expected: float | None = None
    share_p: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert (incident). ``kind``: spike, safety, reputation, silence. ``state``: firing, cooling, closed.

    ``observed`` and ``expected`` count negatives in the last ``window_hours``; ``interval`` is the expectation's
    95 % range. ``ticket`` is the ticket's key. ``verdict``: confirmed, dismissed or null.
    """

    key: str
    kind: str
    level: str
    title: str
    state: str
    verdict: str | None
    severity: float
    observed: float
    expected: float
    interval: tuple[float, float]
    window_hours: int
    test: str
    p: float
    started_at: datetime
    raised_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    evidence_count: int
    ticket: str | None
    scope: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertDetail:
    """An alert with its explanation, the ids of the mentions it rests on (newest first) and what was sent of it."""

    alert: AlertView
    explanation: Explanation
    mention_ids: Sequence[str]
    deliveries: Sequence[DeliveryView]


@dataclass(frozen=True, slots=True)
class TicketView:
    """One ticket. ``overdue`` names the clocks (first_response, plan, done) that ran out."""

    key: str
    level: str
    title: str
    department: str
    intent: str
    status: str
    tags: Sequence[str]
    product: str | None
    region: str | None
    platform: str
    link: str | None
    text: str
    likes: int
    count: int
    created_at: datetime
    updated_at: datetime
    first_response_due: datetime
    plan_due: datetime | None
    done_due: datetime | None
    responded_at: datetime | None
    planned_at: datetime | None
    done_at: datetime | None
    closed_at: datetime | None
    mention_id: str | None
    alert: str | None
    overdue: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EvidenceView:
    mention_id: str
    text: str
    url: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class EventView:
    """A line of the ticket's diary."""

    at: datetime
    by: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class TicketDetail:
    """``root_cause``: the 5-Why answers in order. ``measure``: what, owner, due. ``links``: system -> its id."""

    ticket: TicketView
    evidence: Sequence[EvidenceView]
    events: Sequence[EventView]
    root_cause: Sequence[str]
    measure: Mapping[str, Any] | None
    verification: Mapping[str, Any] | None
    links: Mapping[str, str]
    deliveries: Sequence[DeliveryView]


@dataclass(frozen=True, slots=True)
class DeliveryView:
    """A message in the outbox. ``state``: pending, sending, delivered, failed. ``problem`` holds no secrets."""

    id: int
    key: str
    kind: str
    title: str
    state: str
    channels: Sequence[str]
    channel: str
    attempts: int
    created_at: datetime
    next_at: datetime
    finished_at: datetime | None
    delivered_by: str | None
    problem: str


@dataclass(frozen=True, slots=True)
class SourceView:
    """One source: its last crawl per query, and whether it is silent. ``completeness`` 0-1 or null if unknown."""

    source: str
    state: str
    completeness: float | None
    last_finished_at: datetime
    last_complete_at: datetime | None
    silent_since: datetime | None
    reason: str
    queries: Sequence[QueryView]


@dataclass(frozen=True, slots=True)
class QueryView:
    query: str
    status: str
    signal: str
    reason: str
    planned: int | None
    got: int
    new: int
    duplicate: int
    dead: int
    pages: int
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class StateView:
    """A scope that is not normal: watch, firing, cooling, unknown."""

    scope: Mapping[str, str]
    label: str
    state: str
    since: datetime
    observed: float
    expected: float
    p: float
    severity: float


@dataclass(frozen=True, slots=True)
class TicketFilter:
    """Which tickets; empty means any. ``open_only`` leaves out 已闭环. ``overdue`` keeps those with a clock run out."""

    statuses: Sequence[str] = ()
    levels: Sequence[str] = ()
    departments: Sequence[str] = ()
    intents: Sequence[str] = ()
    text: str = ""
    open_only: bool = False
    overdue: bool = False


class AlertReader:
    """Reads for the page and the command line."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open_alerts(self) -> Sequence[AlertView]:
        """Firing and cooling ones; 一级 first, then the most severe, then the newest."""
        raise NotImplementedError

    def alerts(self, *, since: datetime | None = None, limit: int = 200) -> Sequence[AlertView]:
        """All, newest first."""
        raise NotImplementedError

    def alert(self, key: str) -> AlertDetail | None:
        """One alert."""
        raise NotImplementedError

    def tickets(
        self, which: TicketFilter = TicketFilter(), *, now: datetime, limit: int = 50, offset: int = 0
    ) -> tuple[Sequence[TicketView], int]:
        """A page of tickets (一级 first, then the nearest unmet deadline) and how many there are in all."""
        raise NotImplementedError

    def ticket(self, key: str, *, now: datetime) -> TicketDetail | None:
        """One ticket."""
        raise NotImplementedError

    def ticket_counts(self) -> Mapping[str, int]:
        """Status -> tickets."""
        raise NotImplementedError

    def tickets_of(self, mention_ids: Sequence[str]) -> Mapping[str, str]:
        """Mention id -> key of the ticket it is evidence of (the newest)."""
        raise NotImplementedError

    def outbox_failures(self) -> Sequence[DeliveryView]:
        """Messages that no channel took, newest first: shown red."""
        raise NotImplementedError

    def deliveries(self, *, limit: int = 100) -> Sequence[DeliveryView]:
        """The newest messages in any state."""
        raise NotImplementedError

    def sources(self) -> Sequence[SourceView]:
        """All sources that ever reported coverage, silent ones first."""
        raise NotImplementedError

    def states(self) -> Sequence[StateView]:
        """Scopes that are not normal, worst first."""
        raise NotImplementedError
