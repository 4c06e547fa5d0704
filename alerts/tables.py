"""The alert room's tables in the state database: facts, aggregates, incidents, tickets, outbox, source health.

They run on SQLite and PostgreSQL alike. Instants are UTC; JSON is kept as text, written by :mod:`orjson`, so that
what was frozen stays byte for byte.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from ingest.state import Base, UtcDateTime

# SQLite only gives out row ids by itself for INTEGER keys; PostgreSQL should have 64 bits.
RowId = BigInteger().with_variant(Integer(), "sqlite")


def table(model: type[Base]) -> Table:
    """The model's table, typed for Core statements."""
    found: Any = model.__table__
    if not isinstance(found, Table):
        raise TypeError(f"{model.__name__} is not mapped to a table")
    return found


class Fact(Base):
    """What alerting must know of one mention. ``bucket`` counts 15-minute steps of event time since the epoch.

    ``content`` is ``<hash>:<precision of created_at>``; facts of older versions have the hash alone.
    ``spoken_at`` is the newest of the text and its appends. ``negative`` counts in every scope without a tag,
    ``any_negative`` in at least one scope. ``genuine`` is false for advertisements, templates, off-topic ones
    and those that are only about a rival or a namesake. ``tags`` is JSON ``[[tag, sentiment, confidence], ...]``;
    ``excerpt`` (masked, at most 500 characters) is kept only for what may become evidence. ``pending`` waits for the
    engine's reaction.
    """

    __tablename__ = "alert_facts"
    __table_args__ = (
        Index(None, "any_negative", "created_at"),
        Index(None, "pending", "mention_id"),
        Index(None, "product"),
    )

    mention_id: Mapped[str] = mapped_column(String(300), primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[str] = mapped_column(String(32))
    origin: Mapped[str | None] = mapped_column(String(200))
    bucket: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    spoken_at: Mapped[datetime] = mapped_column(UtcDateTime)
    collected_at: Mapped[datetime] = mapped_column(UtcDateTime)
    source: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(20))
    parent_id: Mapped[str | None] = mapped_column(String(300))
    product: Mapped[str | None] = mapped_column(Text)
    product_name: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[str] = mapped_column(Text)
    sentiment: Mapped[str] = mapped_column(String(10))
    intent: Mapped[str] = mapped_column(String(20))
    severity: Mapped[float] = mapped_column(Float)
    author: Mapped[str | None] = mapped_column(String(200), index=True)
    reach: Mapped[int] = mapped_column(BigInteger)
    likes: Mapped[int] = mapped_column(BigInteger)
    copies: Mapped[str | None] = mapped_column(String(340))
    genuine: Mapped[bool] = mapped_column(Boolean)
    negative: Mapped[bool] = mapped_column(Boolean)
    any_negative: Mapped[bool] = mapped_column(Boolean)
    safety: Mapped[bool] = mapped_column(Boolean)
    reputation: Mapped[bool] = mapped_column(Boolean)
    region: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    excerpt: Mapped[str] = mapped_column(Text)
    pending: Mapped[bool] = mapped_column(Boolean)


class Scope(Base):
    """A thing that is counted: everything, a source, a product, a tag, or a pair. ``key`` is unique and stable."""

    __tablename__ = "alert_scopes"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(20))
    key: Mapped[str] = mapped_column(Text, unique=True)
    source: Mapped[str | None] = mapped_column(String(80))
    product: Mapped[str | None] = mapped_column(Text)
    tag: Mapped[str | None] = mapped_column(Text)


class Bucket(Base):
    """Genuine mentions and negatives of one scope in one 15-minute bucket of event time."""

    __tablename__ = "alert_buckets"
    __table_args__ = ({"sqlite_with_rowid": False},)

    scope_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    bucket: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    total: Mapped[int] = mapped_column(Integer)
    negative: Mapped[int] = mapped_column(Integer)


class TickLock(Base):
    """One row: when the windows were last judged."""

    __tablename__ = "alert_tick"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    ticked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ScopeState(Base):
    """Where one scope stands: normal (no row), watch, firing, cooling, unknown."""

    __tablename__ = "alert_states"

    scope_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(String(10))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    judged_at: Mapped[datetime] = mapped_column(UtcDateTime)
    calm_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    observed: Mapped[float] = mapped_column(Float)
    expected: Mapped[float] = mapped_column(Float)
    p: Mapped[float] = mapped_column(Float)
    severity: Mapped[float] = mapped_column(Float)


class Incident(Base):
    """One thing that went wrong: a spike, a safety mention, a threat to reputation, a source gone silent.

    ``state``: firing, cooling, closed. ``verdict``: confirmed or dismissed by a person, else null.
    ``told_*`` is what was last told, and decides whether to say more. ``explanation`` is JSON.
    """

    __tablename__ = "alert_incidents"
    __table_args__ = (Index(None, "state", "last_seen_at"),)

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(40), unique=True)
    kind: Mapped[str] = mapped_column(String(12))
    level: Mapped[str] = mapped_column(String(4))
    title: Mapped[str] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(Text, index=True)
    scope_id: Mapped[int | None] = mapped_column(RowId)
    state: Mapped[str] = mapped_column(String(10))
    verdict: Mapped[str | None] = mapped_column(String(10))
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    raised_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    calm_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    severity: Mapped[float] = mapped_column(Float)
    observed: Mapped[float] = mapped_column(Float)
    expected: Mapped[float] = mapped_column(Float)
    low: Mapped[float] = mapped_column(Float)
    high: Mapped[float] = mapped_column(Float)
    window_hours: Mapped[int] = mapped_column(Integer)
    p: Mapped[float] = mapped_column(Float)
    test: Mapped[str] = mapped_column(Text)
    explanation: Mapped[str] = mapped_column(Text)
    told_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    told_count: Mapped[int] = mapped_column(Integer)
    told_evidence: Mapped[int] = mapped_column(Integer)
    told_severity: Mapped[float] = mapped_column(Float)
    told_sources: Mapped[str] = mapped_column(Text)
    told_products: Mapped[str] = mapped_column(Text)


class IncidentScope(Base):
    """A scope that fires because of an incident; ``title`` marks the one that names it."""

    __tablename__ = "alert_incident_scopes"

    incident_id: Mapped[int] = mapped_column(ForeignKey("alert_incidents.id", ondelete="CASCADE"), primary_key=True)
    scope_id: Mapped[int] = mapped_column(RowId, primary_key=True, index=True)


class Evidence(Base):
    """A mention that an incident rests on."""

    __tablename__ = "alert_evidence"

    incident_id: Mapped[int] = mapped_column(ForeignKey("alert_incidents.id", ondelete="CASCADE"), primary_key=True)
    mention_id: Mapped[str] = mapped_column(String(300), primary_key=True, index=True)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Ticket(Base):
    """One piece of work. ``key`` follows from its mention or incident, so it exists once whatever is delivered twice.

    ``tags`` is a JSON list; ``root_cause`` and ``measure`` are JSON objects or null. ``version`` rises with every
    change that downstream systems are told. ``tell_at``: when a change is to be told, ``step_at``: when the next
    deadline warning is due (null: nothing waits). Clocks start at ``clock_start``; ``reopened`` counts reopenings.
    """

    __tablename__ = "tickets"
    __table_args__ = (Index(None, "status", "level"), Index(None, "created_at"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(40), unique=True)
    level: Mapped[str] = mapped_column(String(4))
    title: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(String(80))
    intent: Mapped[str] = mapped_column(String(20))
    status: Mapped[str] = mapped_column(String(20))
    tags: Mapped[str] = mapped_column(Text)
    product: Mapped[str | None] = mapped_column(Text)
    region: Mapped[str | None] = mapped_column(Text)
    platform: Mapped[str] = mapped_column(String(80))
    link: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    likes: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(Integer)
    mention_id: Mapped[str | None] = mapped_column(String(300), index=True)
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("alert_incidents.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    tell_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    step_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    clock_start: Mapped[datetime] = mapped_column(UtcDateTime)
    reopened: Mapped[int] = mapped_column(Integer)
    first_response_due: Mapped[datetime] = mapped_column(UtcDateTime)
    plan_due: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_due: Mapped[datetime | None] = mapped_column(UtcDateTime)
    responded_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    planned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    root_cause: Mapped[str | None] = mapped_column(Text)
    measure: Mapped[str | None] = mapped_column(Text)
    verification: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)


class TicketEvidence(Base):
    """A mention under a ticket, as it read when it was added (masked)."""

    __tablename__ = "ticket_evidence"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    mention_id: Mapped[str] = mapped_column(String(300), primary_key=True, index=True)
    text: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    added_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TicketEvent(Base):
    """The ticket's diary: who did what, when."""

    __tablename__ = "ticket_events"

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), index=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    by: Mapped[str] = mapped_column(Text)
    what: Mapped[str] = mapped_column(String(30))
    detail: Mapped[str] = mapped_column(Text)


class TicketStep(Base):
    """A warning that was given (or passed over for a later one): nobody is told twice for the same step.

    ``round`` is how often the ticket had been reopened: a new round has new warnings.
    """

    __tablename__ = "ticket_steps"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    clock: Mapped[str] = mapped_column(String(20), primary_key=True)
    step: Mapped[str] = mapped_column(String(10), primary_key=True)
    round: Mapped[int] = mapped_column(Integer, primary_key=True)
    told: Mapped[bool] = mapped_column(Boolean)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class TicketLink(Base):
    """What a downstream system calls the ticket."""

    __tablename__ = "ticket_links"

    ticket_id: Mapped[int] = mapped_column(ForeignKey("tickets.id", ondelete="CASCADE"), primary_key=True)
    system: Mapped[str] = mapped_column(String(80), primary_key=True)
    external_id: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class Outbox(Base):
    """A message to be sent, written in the transaction of what it tells. ``body`` is frozen.

    ``route``: names of channels in order, comma-separated; ``hop`` is the one to try. ``stream``: messages of one
    stream reach one route in order. ``state``: pending, sending (leased), delivered, failed.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("key", "route"),
        Index(None, "state", "next_at"),
        Index(None, "stream", "route", "state"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=True)
    key: Mapped[str] = mapped_column(String(120))
    route: Mapped[str] = mapped_column(String(400))
    stream: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(30))
    rank: Mapped[int] = mapped_column(Integer)
    title: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(10))
    hop: Mapped[int] = mapped_column(Integer)
    parts: Mapped[int] = mapped_column(Integer)
    attempts: Mapped[int] = mapped_column(Integer)
    hop_attempts: Mapped[int] = mapped_column(Integer)
    next_at: Mapped[datetime] = mapped_column(UtcDateTime)
    lease_owner: Mapped[str | None] = mapped_column(String(80))
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    delivered_by: Mapped[str | None] = mapped_column(String(80))
    receipt: Mapped[str | None] = mapped_column(Text)
    problem: Mapped[str] = mapped_column(Text)


class SourceHealth(Base):
    """The last crawl of one query on one source, and since when the source is silent."""

    __tablename__ = "source_health"

    source: Mapped[str] = mapped_column(String(80), primary_key=True)
    query: Mapped[str] = mapped_column(String(400), primary_key=True)
    status: Mapped[str] = mapped_column(String(10))
    signal: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    window_from: Mapped[datetime | None] = mapped_column(UtcDateTime)
    window_to: Mapped[datetime | None] = mapped_column(UtcDateTime)
    planned: Mapped[int | None] = mapped_column(RowId)
    got: Mapped[int] = mapped_column(RowId)
    new: Mapped[int] = mapped_column(RowId)
    duplicate: Mapped[int] = mapped_column(RowId)
    dead: Mapped[int] = mapped_column(RowId)
    pages: Mapped[int] = mapped_column(RowId)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_complete_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    silent_since: Mapped[datetime | None] = mapped_column(UtcDateTime)


class FieldFill(Base):
    """How many records of one source's endpoint had which fields on one Beijing day (``YYYY-MM-DD``).

    ``fields`` and ``lacking`` are JSON objects: name -> count (:class:`ingest.coverage.Fill`).
    """

    __tablename__ = "field_fills"

    source: Mapped[str] = mapped_column(String(80), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(80), primary_key=True)
    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    records: Mapped[int] = mapped_column(BigInteger)
    broken: Mapped[int] = mapped_column(BigInteger)
    fields: Mapped[str] = mapped_column(Text)
    lacking: Mapped[str] = mapped_column(Text)


class SourceHour(Base):
    """What the crawls of one query on one source that ended in one hour brought, summed. ``hour`` begins it, UTC.

    ``runs`` counts crawls, ``short`` those of them that stopped or failed; ``planned`` leaves out crawls that could not
    say. ``unreached``: counted by the platform and not shown, in the last of them. ``reason`` is the last one's.
    """

    __tablename__ = "source_hours"

    source: Mapped[str] = mapped_column(String(80), primary_key=True)
    query: Mapped[str] = mapped_column(String(400), primary_key=True)
    hour: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True, index=True)
    runs: Mapped[int] = mapped_column(BigInteger)
    short: Mapped[int] = mapped_column(BigInteger)
    planned: Mapped[int] = mapped_column(BigInteger)
    got: Mapped[int] = mapped_column(BigInteger)
    new: Mapped[int] = mapped_column(BigInteger)
    duplicate: Mapped[int] = mapped_column(BigInteger)
    dead: Mapped[int] = mapped_column(BigInteger)
    unreached: Mapped[int] = mapped_column(BigInteger)
    pages: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text)
