"""Values that the page, the API and the command line show of alerts, tickets, deliveries and sources.

Instants are aware UTC; texts are masked and hostile (escape them). ``key`` is the public id of alerts and tickets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerts.explanation import Explanation


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert (incident). ``kind``: spike, safety, reputation, silence, stop, drift.

    ``state``: firing, cooling, closed.

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
