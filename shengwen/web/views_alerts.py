"""预警: what is on fire, why we think so, and who was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from alerts.read import AlertView
from ingest.clock import BEIJING
from search.ast import Is
from shengwen.web.cards import make_cards
from shengwen.web.deps import Verdict
from shengwen.web.pages import LoginDep, PagesDep, page_url
from shengwen.web.present import decimal
from shengwen.web.querytext import FIELDS

router = APIRouter()

SHOWN_CLOSED = timedelta(days=30)
EVIDENCE_SHOWN = 20


@router.get("/alerts")
def alerts(request: Request, pages: PagesDep) -> Response:
    deps = pages.deps
    opened = deps.reader.open_alerts()
    keys = {one.key for one in opened}
    past = [one for one in deps.reader.alerts(since=deps.clock.now() - SHOWN_CLOSED) if one.key not in keys]
    return pages.render(request, "alerts.html", opened=opened, past=past, states=deps.reader.states())


@router.get("/alerts/{key}")
def alert(request: Request, pages: PagesDep, key: str) -> Response:
    deps = pages.deps
    detail = deps.reader.alert(key)
    if detail is None:
        raise HTTPException(404)
    hits = [hit for hit in map(deps.index.get, detail.mention_ids[:EVIDENCE_SHOWN]) if hit is not None]
    tickets = deps.reader.tickets_of([hit.mention.id for hit in hits])
    return pages.render(
        request,
        "alert.html",
        detail=detail,
        alert=detail.alert,
        why=detail.explanation,
        cards=make_cards(hits, tickets, pages.correcting.of(hit.mention for hit in hits)),
        gauge=gauge(detail.alert),
        scope_names={name: FIELDS[name] for name in ("source", "product", "tag")},
        scope_url=scope_url(detail.alert, deps.clock.now()),
    )


def scope_url(alert: AlertView, now: datetime) -> str:
    """The negatives that were counted: the alert's scope, from the start of its window to its end."""
    words = [str(Is("sentiment", "negative"))] if alert.kind not in ("silence", "stop", "drift") else []
    words += _scope_words(alert.scope)
    since = alert.started_at - timedelta(hours=alert.window_hours if alert.kind == "spike" else 0)
    words.append(f"since:{since.astimezone(BEIJING).isoformat(timespec='seconds')}")
    if alert.closed_at is not None:
        words.append(f"until:{alert.closed_at.astimezone(BEIJING).isoformat(timespec='seconds')}")
    return page_url("/", q=" ".join(words))


def _scope_words(scope: Mapping[str, str]) -> list[str]:
    words = []
    for name in ("source", "product", "tag"):
        value = scope.get(name)
        if value and name == "source":
            words.append(str(Is("source", value)))
        elif value and name == "product":
            words.append(str(Is("product", value)))
        elif value:
            words.append(str(Is("tag", value)))
    return words


@dataclass(frozen=True, slots=True)
class Gauge:
    """Observed against expected on one line; places in the drawing's 600 units."""

    low: float
    high: float
    expected: float
    observed: float
    expected_text: str
    observed_text: str
    anchor_expected: str
    anchor_observed: str


def gauge(alert: AlertView) -> Gauge | None:
    """The drawing of a spike; other kinds have no expectation."""
    if alert.kind != "spike":
        return None
    low, high = alert.interval
    scale = 560 / max(alert.observed, high, 1.0)

    def place(value: float) -> float:
        return round(20 + scale * max(0.0, value), 1)

    def anchor(value: float) -> str:
        return "start" if place(value) < 60 else "end" if place(value) > 540 else "middle"

    return Gauge(
        low=place(low),
        high=place(high),
        expected=place(alert.expected),
        observed=place(alert.observed),
        expected_text=decimal(alert.expected),
        observed_text=decimal(alert.observed, 0),
        anchor_expected=anchor(alert.expected),
        anchor_observed=anchor(alert.observed),
    )


@router.post("/alerts/{key}/verdict")
def decide(
    request: Request, pages: PagesDep, login: LoginDep, key: str, verdict: Annotated[Verdict, Form()]
) -> Response:
    if pages.deps.reader.alert(key) is None:
        raise HTTPException(404)
    pages.deps.decide_alert(key, verdict, login.user)
    return RedirectResponse(f"/alerts/{key}", 303)


@router.get("/deliveries")
def deliveries(request: Request, pages: PagesDep, again: bool = False) -> Response:
    reader = pages.deps.reader
    return pages.render(
        request,
        "deliveries.html",
        failed=reader.outbox_failures(),
        recent=reader.deliveries(),
        notice="已经排队，马上再发一次，从第一个渠道开始。" if again else "",
    )


@router.post("/deliveries/{number}/again")
def again(request: Request, pages: PagesDep, login: LoginDep, number: Annotated[int, Path(ge=1, lt=2**63)]) -> Response:
    pages.deps.send_again(number, login.user)
    return RedirectResponse("/deliveries?again=true", 303)


@router.get("/fragments/status")
def status(request: Request, pages: PagesDep, page: str = "/") -> Response:
    """The header's numbers and the red bar, asked for every five seconds."""
    return pages.render(request, "_status.html", path=page)
