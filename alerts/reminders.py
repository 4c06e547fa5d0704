"""Deadline warnings: at shares of a clock to the owner, past it to the superior (督办); nobody twice for one step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, select, update

from alerts import deadlines
from alerts.config import RANK, AlertSettings, Department
from alerts.messages import INTENTS, local, notice_message
from alerts.outbox import chain, enqueue
from alerts.tables import Ticket, TicketStep, table
from alerts.tickets import CLOSED
from alerts.upsert import upsert

ESCALATE = "督办"
_CLOCK_DONE = {"first_response": "responded_at", "plan": "planned_at", "done": "done_at"}


@dataclass(frozen=True, slots=True)
class _Notice:
    key: str
    level: str
    title: str
    lines: tuple[str, ...]
    ticket: str
    department: str


def due_steps(connection: Connection, settings: AlertSettings, now: datetime) -> int:
    """Warn about deadlines that come near or passed; how many warnings were written.

    Of the steps of one clock that passed since the last look only the latest is told. Many at once for one
    department (after a stop, or when the clock was wrong) are folded into one message.
    """
    tickets = table(Ticket)
    due = (
        select(tickets)
        .where(tickets.c.step_at <= now, tickets.c.status != CLOSED)
        .order_by(tickets.c.step_at)
        .limit(2000)
        .with_for_update()
    )
    notices: dict[str, list[_Notice]] = defaultdict(list)
    for row in connection.execute(due).mappings().all():
        for notice in _steps(connection, settings, dict(row), now):
            notices[notice.department].append(notice)
    for department, found in notices.items():
        _tell(connection, settings, department, found, now)
    return sum(len(found) for found in notices.values())


def _steps(connection: Connection, settings: AlertSettings, row: Mapping[str, Any], now: datetime) -> Iterable[_Notice]:
    steps = table(TicketStep)
    told = {
        (step.clock, step.step)
        for step in connection.execute(
            select(steps.c.clock, steps.c.step).where(steps.c.ticket_id == row["id"], steps.c.round == row["reopened"])
        )
    }
    later: list[datetime] = []
    fresh: list[dict[str, Any]] = []
    notices: list[_Notice] = []
    for clock in deadlines.clocks(row["level"], row["intent"], settings):
        due = row[f"{clock.name}_due"]
        if due is None or row[_CLOCK_DONE[clock.name]] is not None:
            continue
        moments = [(f"{fraction:.0%}", clock.due(row["clock_start"], fraction)) for fraction in settings.warn_at]
        # A level that rose may have left an earlier due than the clock says: the promise made first stands.
        moments = [(step, min(moment, due)) for step, moment in moments]
        passed = [step for step, moment in moments if moment <= now and (clock.name, step) not in told]
        later += [moment for step, moment in moments if moment > now]
        for step in passed:
            fresh.append({"clock": clock.name, "step": step, "told": step == passed[-1]})
        if passed:
            notices.append(_notice(row, clock.name, passed[-1], due, row["department"]))
        if (clock.name, ESCALATE) not in told:
            if now > due:
                fresh.append({"clock": clock.name, "step": ESCALATE, "told": True})
                superior = _department(settings, row["department"]).superior
                notices.append(_notice(row, clock.name, ESCALATE, due, superior))
            else:
                later.append(due + timedelta(seconds=1))
    if fresh:
        marks = {"ticket_id": row["id"], "round": row["reopened"], "at": now}
        connection.execute(upsert(connection, steps).on_conflict_do_nothing(), [{**marks, **step} for step in fresh])
    connection.execute(
        update(table(Ticket)).where(table(Ticket).c.id == row["id"]).values(step_at=min(later, default=None))
    )
    return notices


def _notice(row: Mapping[str, Any], clock: str, step: str, due: datetime, department: str) -> _Notice:
    promise = deadlines.CLOCK_NAMES[clock]
    if step == ESCALATE:
        title = f"督办：{row['department']}的工单{promise}已超时"
    elif step == "100%":
        title = f"工单{promise}已到期"
    else:
        title = f"工单{promise}时限已用 {step}"
    intent = INTENTS.get(row["intent"], row["intent"])
    lines = (
        f"{row['key']} {row['title']}",
        f"{row['level']} · {intent} · {row['department']} · {row['status']}",
        f"{promise}期限：{local(due)}",
    )
    key = f"{row['key']}:{clock}:{step}:{row['reopened']}"
    return _Notice(key, row["level"], title, lines, row["key"], department)


def _department(settings: AlertSettings, name: str) -> Department:
    return settings.departments.get(name) or Department()


def _tell(
    connection: Connection, settings: AlertSettings, name: str, notices: Sequence[_Notice], now: datetime
) -> None:
    department = _department(settings, name)
    if len(notices) > settings.digest_above:
        level = min((notice.level for notice in notices), key=lambda found: RANK[found])
        lines = [f"{notice.title}：{notice.lines[0]}" for notice in notices[:20]]
        if len(notices) > len(lines):
            lines.append(f"另有 {len(notices) - len(lines)} 条，见工单页")
        digest = sha256("\n".join(sorted(notice.key for notice in notices)).encode()).hexdigest()[:16]
        title = f"{name}有 {len(notices)} 条工单时限提醒"
        key = f"digest:{digest}"
        message = notice_message(key, level, title, lines, "tickets", department.mobiles, settings)
        route = chain(settings, level, department.channel)
        enqueue(connection, message, route=route, stream=key, now=now)
        return
    for notice in notices:
        urgent = "一级" if notice.title.startswith(ESCALATE) else notice.level
        message = notice_message(
            notice.key,
            notice.level,
            notice.title,
            notice.lines,
            f"tickets/{notice.ticket}",
            department.mobiles,
            settings,
        )
        route = chain(settings, urgent, department.channel)
        enqueue(connection, message, route=route, stream=f"notice:{notice.ticket}", now=now)
