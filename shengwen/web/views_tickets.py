"""工单: who owes what to whom until when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from alerts.read import TicketFilter, TicketView
from alerts.tickets import CLOSED, MOVES, VERIFICATIONS
from ingest.errors import UserError
from shengwen.web.deps import TicketChange
from shengwen.web.pages import LoginDep, PagesDep, page_url
from shengwen.web.present import CLOCKS, INTENTS, duration

router = APIRouter()

PAGE = 30
STATUSES = ("待响应", "待整改", "整改中", "已完成", "效果验证中", "已闭环")
REOPENED = "重新打开"
VERIFIED = STATUSES[3:]
"""How an improvement worked can be told once it is done."""
LEVELS = ("一级", "二级", "三级")
_WARN_AT = 0.8
MAX_NOTE = 2000
WHYS = 5


@dataclass(frozen=True, slots=True)
class Deadline:
    """One clock of a ticket. ``state``: done, late (done too late), overdue, warn (80 % are gone), running."""

    name: str
    label: str
    due: datetime
    state: str
    text: str


def deadlines(ticket: TicketView, now: datetime) -> list[Deadline]:
    """All clocks that the ticket has, in order."""
    clocks = (
        ("first_response", ticket.first_response_due, ticket.responded_at),
        ("plan", ticket.plan_due, ticket.planned_at),
        ("done", ticket.done_due, ticket.done_at),
    )
    return [_deadline(name, ticket.created_at, due, met, now) for name, due, met in clocks if due is not None]


def _deadline(name: str, start: datetime, due: datetime, met: datetime | None, now: datetime) -> Deadline:
    if met is not None:
        late = met > due
        text = f"晚了 {duration(met - due)}" if late else f"用了 {duration(met - start)}"
        return Deadline(name, CLOCKS[name], due, "late" if late else "done", text)
    if now >= due:
        return Deadline(name, CLOCKS[name], due, "overdue", f"超时 {duration(now - due)}")
    gone = (now - start) / (due - start) if due > start else 1.0
    return Deadline(name, CLOCKS[name], due, "warn" if gone >= _WARN_AT else "running", f"还剩 {duration(due - now)}")


def next_deadline(ticket: TicketView, now: datetime) -> Deadline | None:
    """The clock to look at: the first one not met; none when the ticket is closed or all are met."""
    if ticket.closed_at is not None:
        return None
    return next((one for one in deadlines(ticket, now) if one.state not in ("done", "late")), None)


@dataclass(frozen=True, slots=True)
class Line:
    """A ticket in the list."""

    ticket: TicketView
    deadline: Deadline | None


Word = Annotated[str, Query(max_length=80)]


@router.get("/tickets")
def tickets(
    request: Request,
    pages: PagesDep,
    status: Word = "",
    level: Word = "",
    department: Word = "",
    intent: Word = "",
    text: Annotated[str, Query(max_length=200)] = "",
    overdue: bool = False,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
) -> Response:
    deps, now = pages.deps, pages.deps.clock.now()
    which = TicketFilter(
        statuses=_one(status) if status != "all" else (),
        levels=_one(level),
        departments=_one(department),
        intents=_one(intent),
        text=text.strip(),
        open_only=not status,
        overdue=overdue,
    )
    found, total = deps.reader.tickets(which, now=now, limit=PAGE, offset=(page - 1) * PAGE)
    chosen = {
        "status": status,
        "level": level,
        "department": department,
        "intent": intent,
        "text": text,
        "overdue": "1" if overdue else "",
    }
    counts = deps.reader.ticket_counts()
    return pages.render(
        request,
        "tickets.html",
        lines=[Line(one, next_deadline(one, now)) for one in found],
        total=total,
        counts=counts,
        all_count=sum(counts.values()),
        open_count=sum(number for name, number in counts.items() if name != STATUSES[-1]),
        statuses=(*STATUSES, REOPENED),
        levels=LEVELS,
        intents=INTENTS,
        departments=sorted({*deps.settings.departments, *(one.department for one in found), *_one(department)}),
        chosen=chosen,
        earlier=page_url("/tickets", **chosen, page=page - 1) if page > 1 else None,
        later=page_url("/tickets", **chosen, page=page + 1) if page * PAGE < total else None,
    )


def _one(value: str) -> tuple[str, ...]:
    return (value,) if value else ()


@router.get("/tickets/{key}")
def ticket(request: Request, pages: PagesDep, key: str) -> Response:
    return _page(request, pages, key)


def _page(request: Request, pages: PagesDep, key: str, *, problem: str = "", status: int = 200) -> Response:
    now = pages.deps.clock.now()
    detail = pages.deps.reader.ticket(key, now=now)
    if detail is None:
        raise HTTPException(404)
    whys = [*detail.root_cause, *[""] * (WHYS - len(detail.root_cause))]
    return pages.render(
        request,
        "ticket.html",
        status=status,
        problem=problem,
        detail=detail,
        ticket=detail.ticket,
        deadlines=deadlines(detail.ticket, now),
        steps=STATUSES,
        reached=_reached(detail.ticket.status),
        moves=moves(detail.ticket),
        whys=whys,
        measure={name: (detail.measure or {}).get(name) for name in ("what", "owner", "due")},
        verification=detail.verification,
        verdicts=VERIFICATIONS if detail.ticket.status in VERIFIED else {},
    )


def moves(ticket: TicketView) -> list[str]:
    """What the ticket may become next; only a complaint cannot be closed at once."""
    allowed = MOVES.get(ticket.status, frozenset()) | (frozenset() if ticket.intent == "complaint" else {CLOSED})
    return [name for name in (*STATUSES, REOPENED) if name in allowed and name != ticket.status]


def _reached(status: str) -> int:
    """How many steps of the way are behind; a reopened ticket starts anew."""
    return STATUSES.index(status) if status in STATUSES else 0


@router.post("/tickets/{key}")
def change(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    key: str,
    status: Annotated[str, Form(max_length=20)] = "",
    note: Annotated[str, Form(max_length=MAX_NOTE)] = "",
) -> Response:
    if status not in ("", *STATUSES, REOPENED):
        raise UserError("没有这个状态")
    return _apply(request, pages, TicketChange(key=key, by=login.user, status=status or None, note=note.strip()))


@router.post("/tickets/{key}/cause")
def cause(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    key: str,
    why: Annotated[list[str], Form(max_length=10)] = [],  # noqa: B006  (FastAPI copies it)
    what: Annotated[str, Form(max_length=MAX_NOTE)] = "",
    owner: Annotated[str, Form(max_length=80)] = "",
    due: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    answers: Sequence[str] = [answer.strip()[:MAX_NOTE] for answer in why if answer.strip()]
    measure = {"what": what.strip(), "owner": owner.strip(), "due": due} if what.strip() else None
    if due:
        try:
            date.fromisoformat(due)
        except ValueError as error:
            raise UserError("完成日期要写成 2026-01-31 这样") from error
    return _apply(request, pages, TicketChange(key=key, by=login.user, root_cause=answers or None, measure=measure))


@router.post("/tickets/{key}/verification")
def verify(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    key: str,
    verdict: Annotated[Literal["better", "no_change", "worse", "too_few"], Form()],
    before: Annotated[str, Form(max_length=20)] = "",
    after: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    figures = {name: _figure(text) for name, text in (("before", before), ("after", after)) if text.strip()}
    return _apply(request, pages, TicketChange(key=key, by=login.user, verification={"verdict": verdict, **figures}))


def _figure(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1e9:
        raise UserError("整改前后的数要写成不小于 0 的数字，例如 3.2")
    return number


def _apply(request: Request, pages: PagesDep, wanted: TicketChange) -> Response:
    if pages.deps.reader.ticket(wanted.key, now=pages.deps.clock.now()) is None:
        raise HTTPException(404)
    try:
        pages.deps.change_ticket(wanted)
    except UserError as error:
        return _page(request, pages, wanted.key, problem=str(error), status=400)
    return RedirectResponse(f"/tickets/{wanted.key}", 303)
