"""What the pages are given: everything they may read and the few things they may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Engine

from alerts.read import AlertReader
from ingest.clock import Clock
from ingest.dead_letters import DeadLetters
from ingest.log.base import EventLog, Topics
from ingest.stage import StageHealth
from search.base import Index
from shengwen.pushing import Pushing

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The Host names that are always answered."""

Verdict = Literal["confirmed", "dismissed"]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the pages are served.

    ``session_key`` signs cookies: at least 32 secret bytes that stay the same over restarts. ``hosts`` are Host names
    (without port) answered beside the loopback ones, ``*`` for any; needed as soon as the page is reached by a name
    of its own, since a foreign Host is how DNS rebinding looks. A session ends ``idle_hours`` after its last use and
    ``session_hours`` after the login at the latest. ``departments`` are offered as a filter of tickets.
    """

    brand: str
    session_key: bytes = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8700
    hosts: Sequence[str] = ()
    idle_hours: float = 12
    session_hours: float = 24 * 7
    demo: bool = False
    departments: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """One collector. ``state``: running, waiting (for its next run), stopped, off (not configured).

    ``signal`` and ``reason`` say why it stopped. ``needs_person``: it will not go on before somebody logged in or
    looked at a verification page and pressed 恢复. ``login_at``: when a person last logged in there; ``login_lost_at``:
    since when that is worth nothing. ``next_why``: why then, in Chinese. Instants are UTC.
    """

    source: str
    name: str
    state: Literal["running", "waiting", "stopped", "off"]
    signal: str = "ok"
    reason: str = ""
    stopped_at: datetime | None = None
    needs_person: bool = False
    login_at: datetime | None = None
    login_lost_at: datetime | None = None
    last_run: datetime | None = None
    next_run: datetime | None = None
    next_why: str = ""


@dataclass(frozen=True, slots=True)
class TicketChange:
    """What somebody did to a ticket on the page; null leaves as is.

    ``status`` is one of DOMAIN's states. ``root_cause`` holds the 5-Why answers in order; ``measure`` has ``what``,
    ``owner`` and ``due`` (an ISO date); ``verification`` has ``verdict`` and, if given, the figures ``before`` and
    ``after``.
    """

    key: str
    by: str
    status: str | None = None
    note: str = ""
    root_cause: Sequence[str] | None = None
    measure: Mapping[str, Any] | None = None
    verification: Mapping[str, Any] | None = None


def _no_health() -> Mapping[str, StageHealth]:
    return {}


def _nothing() -> tuple[()]:
    return ()


@dataclass(frozen=True, slots=True)
class WebDeps:
    """Everything the pages stand on.

    ``health`` gives the stages that run in this process, by name (= consumer group). ``stage_topics`` says which topic
    each group reads, so that its lag can be shown wherever it runs. ``left_out`` are Chinese sentences about what
    does not run here and why. ``tags`` are the taxonomy's, in its order; ``demo_links`` are (label, url). ``pushing``
    takes what programs push; null where nothing may be pushed.
    ``decide_alert`` (key, verdict, by), ``change_ticket``, ``send_again`` (number of a failed message, by) and
    ``resume_source`` raise UserError with a Chinese message when it cannot be done.
    """

    index: Index
    reader: AlertReader
    log: EventLog
    letters: DeadLetters
    engine: Engine
    clock: Clock
    settings: WebSettings
    decide_alert: Callable[[str, Verdict, str], None]
    change_ticket: Callable[[TicketChange], None]
    send_again: Callable[[int, str], None]
    resume_source: Callable[[str], None]
    platform_status: Callable[[], Sequence[PlatformStatus]] = _nothing
    health: Callable[[], Mapping[str, StageHealth]] = _no_health
    left_out: Callable[[], Sequence[str]] = _nothing
    demo_links: Sequence[tuple[str, str]] = ()
    tags: Sequence[str] = ()
    pushing: Pushing | None = None
    stage_topics: Mapping[str, str] = field(
        default_factory=lambda: {
            "classify": Topics.COLLECTED,
            "index": Topics.CLASSIFIED,
            "alert": Topics.CLASSIFIED,
            "coverage": Topics.COVERAGE,
        }
    )
