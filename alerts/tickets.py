"""Tickets: opened once, moved through their life, warned about, told to downstream systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, select, update

from alerts import deadlines
from alerts.config import RANK, AlertSettings, Level
from alerts.messages import ticket_message
from alerts.outbox import enqueue_ticket
from alerts.tables import Ticket, TicketEvent, TicketEvidence, TicketLink, table
from alerts.upsert import lock, upsert
from ingest.clock import Clock
from ingest.errors import UserError
from ingest.state import by_code_point

OPENED = "待响应"
CLOSED = "已闭环"
STATUSES = (OPENED, "待整改", "整改中", "已完成", "效果验证中", CLOSED, "重新打开")

MOVES: Mapping[str, frozenset[str]] = {
    OPENED: frozenset({"待整改", "整改中"}),
    "待整改": frozenset({"整改中", "已完成"}),
    "整改中": frozenset({"已完成"}),
    "已完成": frozenset({"效果验证中", "重新打开"}),
    "效果验证中": frozenset({CLOSED, "重新打开"}),
    CLOSED: frozenset({"重新打开"}),
    "重新打开": frozenset({"待整改", "整改中", "已完成"}),
}
"""What may follow what. Questions, praise and suggestions may also be closed from anywhere."""

VERIFICATIONS: Mapping[str, str] = {
    "better": "变好了",
    "no_change": "没有变化",
    "worse": "变差了",
    "too_few": "样本太少，说不准",
}
"""How an improvement worked."""


def ticket_key(seed: str) -> str:
    """The key of the ticket for a mention or an incident: the same seed, the same ticket."""
    return f"T-{sha256(seed.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class NewTicket:
    """What a ticket begins with. ``evidence`` are facts (mappings with mention_id, excerpt, url, created_at, likes)."""

    seed: str
    level: Level
    title: str
    department: str
    intent: str
    tags: Sequence[str]
    product: str | None
    region: str | None
    platform: str
    link: str | None
    text: str
    evidence: Sequence[Mapping[str, Any]]
    mention_id: str | None = None
    incident_id: int | None = None


def open_ticket(connection: Connection, settings: AlertSettings, new: NewTicket, now: datetime) -> int:
    """Open a ticket and tell downstream systems, in the caller's transaction; its row id.

    The same seed again returns the ticket that exists and tells nobody.
    """
    tickets = table(Ticket)
    key = ticket_key(new.seed)
    found: int | None = connection.execute(select(tickets.c.id).where(tickets.c.key == key)).scalar()
    if found is not None:
        return found
    promises = deadlines.clocks(new.level, new.intent, settings)
    due = {clock.name: clock.due(now) for clock in promises}
    connection.execute(
        upsert(connection, tickets).on_conflict_do_nothing(),
        {
            "key": key,
            "level": new.level,
            "title": new.title[:200],
            "department": new.department,
            "intent": new.intent,
            "status": OPENED,
            "tags": orjson.dumps(list(new.tags)).decode(),
            "product": new.product,
            "region": new.region,
            "platform": new.platform,
            "link": new.link,
            "text": new.text,
            "likes": max((int(e["likes"]) for e in new.evidence), default=0),
            "count": len(new.evidence),
            "mention_id": new.mention_id,
            "incident_id": new.incident_id,
            "created_at": now,
            "updated_at": now,
            "sent_at": now,
            "tell_at": None,
            "step_at": min(clock.due(now, settings.warn_at[0] if settings.warn_at else 1.0) for clock in promises),
            "clock_start": now,
            "reopened": 0,
            "first_response_due": due["first_response"],
            "plan_due": due.get("plan"),
            "done_due": due.get("done"),
            "version": 1,
        },
    )
    number = int(connection.execute(select(tickets.c.id).where(tickets.c.key == key)).scalar_one())
    _insert_evidence(connection, number, new.evidence, now)
    note(connection, number, now, "系统", "创建", f"{new.level} · {new.department}")
    message = ticket_message(_row(connection, number), _evidence(connection, number), settings, created=True)
    enqueue_ticket(connection, settings, message, stream=key, now=now)
    return number


def add_evidence(
    connection: Connection, settings: AlertSettings, ticket: int, facts: Sequence[Mapping[str, Any]], now: datetime
) -> int:
    """Add later mentions of the same problem; how many were new. Downstream is told, not more often than configured."""
    tickets = table(Ticket)
    added = _insert_evidence(connection, ticket, facts, now)
    if added:
        row = _row(connection, ticket)
        likes = max([int(row["likes"]), *(int(fact["likes"]) for fact in facts)])
        connection.execute(
            update(tickets)
            .where(tickets.c.id == ticket)
            .values(count=row["count"] + added, likes=likes, updated_at=now, version=row["version"] + 1)
        )
        _tell_later(connection, settings, row, now)
    return added


def change(
    connection: Connection, settings: AlertSettings, ticket: int, values: Mapping[str, Any], now: datetime
) -> None:
    """Change a ticket and tell downstream systems at once."""
    tickets = table(Ticket)
    connection.execute(
        update(tickets)
        .where(tickets.c.id == ticket)
        .values(**values, updated_at=now, version=tickets.c.version + 1, sent_at=now, tell_at=None)
    )
    row = _row(connection, ticket)
    message = ticket_message(row, _evidence(connection, ticket), settings, created=False)
    enqueue_ticket(connection, settings, message, stream=row["key"], now=now)


def raise_level(connection: Connection, settings: AlertSettings, ticket: int, level: Level, now: datetime) -> bool:
    """Make a ticket more urgent; its clocks start anew. False when it already is."""
    row = _row(connection, ticket)
    if RANK[level] >= RANK[row["level"]] or row["status"] == CLOSED:
        return False
    promises = deadlines.clocks(level, row["intent"], settings)
    due = {clock.name: clock.due(now) for clock in promises}
    first = min(row["first_response_due"], due["first_response"])
    values = {
        "level": level,
        "clock_start": now,
        "first_response_due": first,
        "plan_due": due.get("plan"),
        "done_due": due.get("done"),
        "step_at": now,
    }
    change(connection, settings, ticket, values, now)
    note(connection, ticket, now, "系统", "升级", f"{row['level']} → {level}")
    return True


def note(connection: Connection, ticket: int, at: datetime, by: str, what: str, detail: str) -> None:
    """Write a line of the ticket's diary."""
    line = {"ticket_id": ticket, "at": at, "by": by, "what": what, "detail": detail[:2000]}
    connection.execute(table(TicketEvent).insert(), line)


def flush_updates(connection: Connection, settings: AlertSettings, now: datetime) -> int:
    """Tell downstream systems of evidence that was held back; how many tickets."""
    tickets = table(Ticket)
    due = connection.scalars(select(tickets.c.id).where(tickets.c.tell_at <= now).order_by(tickets.c.id).limit(500))
    numbers = list(due)
    for number in numbers:
        row = _row(connection, number)
        message = ticket_message(row, _evidence(connection, number), settings, created=False)
        enqueue_ticket(connection, settings, message, stream=row["key"], now=now)
        connection.execute(update(tickets).where(tickets.c.id == number).values(sent_at=now, tell_at=None))
    return len(numbers)


def _tell_later(connection: Connection, settings: AlertSettings, row: Mapping[str, Any], now: datetime) -> None:
    if row["tell_at"] is not None:
        return
    pause = timedelta(hours=settings.tickets.update_interval.hours or 0)
    last = row["sent_at"]
    when = now if last is None or last > now else max(now, last + pause)
    connection.execute(update(table(Ticket)).where(table(Ticket).c.id == row["id"]).values(tell_at=when))


def _insert_evidence(connection: Connection, ticket: int, facts: Sequence[Mapping[str, Any]], now: datetime) -> int:
    rows = table(TicketEvidence)
    ids = [fact["mention_id"] for fact in facts]
    held: set[str] = set()
    for start in range(0, len(ids), 500):
        chosen = select(rows.c.mention_id).where(
            rows.c.ticket_id == ticket, rows.c.mention_id.in_(ids[start : start + 500])
        )
        held.update(connection.scalars(chosen))
    fresh = {
        fact["mention_id"]: {
            "ticket_id": ticket,
            "mention_id": fact["mention_id"],
            "text": fact["excerpt"],
            "url": fact["url"],
            "created_at": fact["created_at"],
            "added_at": now,
        }
        for fact in facts
        if fact["mention_id"] not in held
    }
    if fresh:
        connection.execute(upsert(connection, rows).on_conflict_do_nothing(), list(fresh.values()))
    return len(fresh)


def _row(connection: Connection, ticket: int) -> dict[str, Any]:
    tickets = table(Ticket)
    return dict(connection.execute(select(tickets).where(tickets.c.id == ticket)).mappings().one())


def _evidence(connection: Connection, ticket: int) -> list[dict[str, Any]]:
    rows = table(TicketEvidence)
    newest = (
        select(rows)
        .where(rows.c.ticket_id == ticket)
        .order_by(rows.c.created_at.desc(), by_code_point(rows.c.mention_id))
    )
    return [dict(row) for row in connection.execute(newest.limit(50)).mappings()]


class Tickets:
    """What people and schedules do with tickets. Each call is one transaction.

    Methods that take a key raise UserError (Chinese) for an unknown ticket or a step that is not allowed.
    """

    def __init__(self, engine: Engine, settings: AlertSettings, clock: Clock) -> None:
        self._engine = engine
        self._settings = settings
        self._clock = clock

    def move(self, key: str, status: str, *, by: str, remark: str = "") -> None:
        """Move a ticket on. The status it already has is no change (a webhook may come twice)."""
        with self._engine.begin() as connection:
            row = self._locked(connection, key)
            if row["status"] == status:
                return
            allowed = MOVES[row["status"]] | (frozenset() if row["intent"] == "complaint" else {CLOSED})
            if status not in allowed:
                options = "、".join(s for s in STATUSES if s in allowed)
                raise UserError(f"工单 {key} 现在是“{row['status']}”，不能改成“{status}”；可以改成：{options}")
            now = self._clock.now()
            values: dict[str, Any] = {"status": status}
            if row["responded_at"] is None:
                values["responded_at"] = now
            if status in ("整改中", "已完成") and row["planned_at"] is None:
                values["planned_at"] = now
            if status == "已完成":
                values["done_at"] = now
            if status == CLOSED:
                values |= {"closed_at": now, "done_at": row["done_at"] or now, "step_at": None}
            if status == "重新打开":
                values |= self._reopen(row, now)
            change(connection, self._settings, row["id"], values, now)
            note(
                connection,
                row["id"],
                now,
                by,
                "状态",
                f"{row['status']} → {status}" + (f"：{remark}" if remark else ""),
            )

    def _reopen(self, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        promises = {c.name: c for c in deadlines.clocks(row["level"], row["intent"], self._settings)}
        done = promises.get("done")
        return {
            "done_at": None,
            "closed_at": None,
            "verification": None,
            "clock_start": now,
            "reopened": row["reopened"] + 1,
            "done_due": done.due(now) if done is not None else None,
            "step_at": now if done is not None else None,
        }

    def respond(self, key: str, *, by: str, remark: str = "") -> None:
        """The customer was answered: stops the first clock, 待响应 becomes 待整改."""
        self.move(key, "待整改", by=by, remark=remark)

    def comment(self, key: str, text: str, *, by: str) -> None:
        """Add a line to the diary."""
        with self._engine.begin() as connection:
            note(connection, self._locked(connection, key)["id"], self._clock.now(), by, "备注", text)

    def assign(self, key: str, department: str, *, by: str) -> None:
        """Give the ticket to another department."""
        with self._engine.begin() as connection:
            row, now = self._locked(connection, key), self._clock.now()
            if row["department"] == department:
                return
            change(connection, self._settings, row["id"], {"department": department}, now)
            note(connection, row["id"], now, by, "转派", f"{row['department']} → {department}")

    def set_root_cause(self, key: str, whys: Sequence[str], *, by: str) -> None:
        """Store the 5-Why answers, first why first (one to seven)."""
        answers = [why.strip() for why in whys if why.strip()]
        if not 1 <= len(answers) <= 7:
            raise UserError("根因分析要写 1 到 7 个“为什么”")
        self._store(key, "root_cause", answers, by, "根因", " → ".join(answers))

    def set_measure(self, key: str, what: str, *, owner: str, due: date, by: str) -> None:
        """Store the improvement measure with its owner and date."""
        if not what.strip() or not owner.strip():
            raise UserError("改进措施要写清楚做什么、谁负责")
        measure = {"what": what.strip(), "owner": owner.strip(), "due": due.isoformat()}
        self._store(key, "measure", measure, by, "措施", f"{what.strip()}（{owner.strip()}，{due.isoformat()}）")

    def set_verification(self, key: str, result: Mapping[str, Any], *, by: str) -> None:
        """Store how the improvement worked: ``{"verdict": one of VERIFICATIONS, ...}`` with its figures."""
        verdict = str(result.get("verdict"))
        if verdict not in VERIFICATIONS:
            raise UserError("没有这个验证结论")
        self._store(key, "verification", dict(result), by, "验证", VERIFICATIONS[verdict])

    def link(self, key: str, system: str, external_id: str) -> None:
        """Remember what a downstream system calls the ticket."""
        with self._engine.begin() as connection:
            row = self._locked(connection, key)
            connection.execute(
                upsert(connection, table(TicketLink)).on_conflict_do_nothing(),
                {"ticket_id": row["id"], "system": system, "external_id": external_id, "at": self._clock.now()},
            )

    def due_steps(self, now: datetime | None = None) -> int:
        """Warn about deadlines that come near or passed; see :func:`alerts.reminders.due_steps`."""
        from alerts.reminders import due_steps

        with self._engine.begin() as connection:
            lock(connection)
            return due_steps(connection, self._settings, now or self._clock.now())

    def _store(self, key: str, column: str, value: object, by: str, what: str, detail: str) -> None:
        with self._engine.begin() as connection:
            row, now = self._locked(connection, key), self._clock.now()
            connection.execute(
                update(table(Ticket))
                .where(table(Ticket).c.id == row["id"])
                .values(**{column: orjson.dumps(value).decode()}, updated_at=now)
            )
            note(connection, row["id"], now, by, what, detail)

    def _locked(self, connection: Connection, key: str) -> dict[str, Any]:
        lock(connection)
        tickets = table(Ticket)
        row = connection.execute(select(tickets).where(tickets.c.key == key)).mappings().first()
        if row is None:
            raise UserError(f"没有工单 {key}")
        return dict(row)
