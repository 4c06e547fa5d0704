"""What a single mention sets off by itself, as soon as it is absorbed: a safety alert, a reputation alert, a ticket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update

from alerts import spike
from alerts.config import AlertSettings, Level
from alerts.facts import opinions_of, parts_of, with_names
from alerts.incidents import Case, Incidents
from alerts.judging import Negative
from alerts.messages import INTENTS
from alerts.routing import Routing
from alerts.scopes import ScopeKey, source_name
from alerts.tables import Fact, Incident, Scope, TicketEvidence, table
from alerts.tickets import NewTicket, note, open_ticket, raise_level
from ingest.mention import FUTURE_TOLERANCE
from ingest.state import by_code_point

_SAME_PROBLEM = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reaction:
    """What a call did. ``handled`` mentions; ``alerts`` raised or fed; ``tickets`` opened; ``joined`` an incident."""

    handled: int = 0
    alerts: int = 0
    tickets: int = 0
    joined: int = 0

    def __add__(self, other: Reaction) -> Reaction:
        return Reaction(
            self.handled + other.handled,
            self.alerts + other.alerts,
            self.tickets + other.tickets,
            self.joined + other.joined,
        )


class Desk:
    """Reacts to pending mentions within one transaction."""

    def __init__(self, connection: Connection, settings: AlertSettings, routing: Routing, now: datetime) -> None:
        self._db = connection
        self._settings = settings
        self._routing = routing
        self._now = now
        self._incidents = Incidents(connection, settings, routing, now)

    def react(self, limit: int = 200) -> Reaction:
        """React to at most ``limit`` pending mentions, safety first; afterwards they are pending no more."""
        facts = table(Fact)
        waiting = (
            select(facts)
            .where(facts.c.pending.is_(True))
            .order_by(facts.c.safety.desc(), facts.c.reputation.desc(), by_code_point(facts.c.mention_id))
            .limit(limit)
        )
        rows = with_names(self._db, self._db.execute(waiting).mappings().all())
        if not rows:
            return Reaction()
        open_spikes = self._open_spikes()
        total = Reaction(handled=len(rows))
        for fact in rows:
            total += self._one(fact, open_spikes)
        done = [row["mention_id"] for row in rows]
        self._db.execute(update(facts).where(facts.c.mention_id.in_(done)).values(pending=False))
        return total

    def _one(self, fact: Mapping[str, Any], open_spikes: Mapping[ScopeKey, tuple[int, datetime]]) -> Reaction:
        urgent = self._urgency(fact)
        if urgent is not None and self._is_news(fact):
            return Reaction(alerts=int(self._alert(fact, *urgent)))
        held = self._tickets_with(fact["mention_id"])
        if held:
            for ticket in held:
                self._revised(ticket, fact, urgent is not None)
            return Reaction()
        if urgent is None and not self._may_open(fact):
            return Reaction()
        if fact["intent"] == "complaint" or fact["any_negative"]:
            for part in parts_of(fact):
                incident = open_spikes.get(part.scope)
                if part.negative and incident is not None and fact["created_at"] >= incident[1]:
                    self._feed(incident[0], fact)
                    return Reaction(joined=1)
        self._open(fact, "一级" if urgent is not None else self._level(fact))
        return Reaction(tickets=1)

    def _urgency(self, fact: Mapping[str, Any]) -> tuple[str, str] | None:
        """(kind, what to call it) of a mention that alone is 一级."""
        if fact["safety"]:
            return "safety", "安全事件"
        if fact["reputation"]:
            return "reputation", "舆情风险"
        if fact["author"] is not None and fact["author"] in self._settings.important_authors and _complains(fact):
            return "customer", "重要客户投诉"
        return None

    def _is_news(self, fact: Mapping[str, Any]) -> bool:
        age = self._now - fact["spoken_at"]
        return bool(-FUTURE_TOLERANCE <= age <= timedelta(hours=self._settings.tickets.safety_alert_age.hours or 0))

    def _alert(self, fact: Mapping[str, Any], kind: str, name: str) -> bool:
        tag = _blamed(fact)
        where = fact["product"] or fact["parent_id"] or fact["source"]
        same = where if kind == "safety" else (fact["parent_id"] or fact["mention_id"])
        problem = "\x1f".join((kind, tag or "", same))
        about = " ".join(part for part in (self._place(fact), tag.split("/", 1)[-1] if tag else None) if part)
        severity = spike.severity(1.0, safety_share=1.0 if fact["safety"] else 0.0, reach=fact["reach"], sources=1)
        case = Case(
            kind=kind,
            level="一级",
            problem=problem,
            title=f"{name}：{about}",
            evidence=[Negative(dict(fact), 0)],
            severity=max(float(fact["severity"]), severity),
        )
        number = self._incidents.by_problem(problem, _SAME_PROBLEM)
        if number is None:
            self._incidents.raise_(case)
            return True
        return self._incidents.feed(number, case) > 0

    def _feed(self, number: int, fact: Mapping[str, Any]) -> None:
        self._incidents.attach(number, [Negative(dict(fact), 0)])

    def _may_open(self, fact: Mapping[str, Any]) -> bool:
        if fact["intent"] not in self._settings.tickets.intents:
            return False
        age = self._now - fact["spoken_at"]
        return bool(age <= timedelta(hours=self._settings.tickets.max_age.hours or 0))

    def _level(self, fact: Mapping[str, Any]) -> Level:
        grave = fact["severity"] >= self._settings.tickets.min_severity_second
        return "二级" if fact["intent"] == "complaint" and grave else "三级"

    def _open(self, fact: Mapping[str, Any], level: Level) -> None:
        opinions = opinions_of(fact["tags"])
        intent = "complaint" if level == "一级" else fact["intent"]
        tag = _blamed(fact) or (opinions[0].tag if opinions else None)
        about = " ".join(part for part in (self._place(fact), tag.split("/", 1)[-1] if tag else None) if part)
        open_ticket(
            self._db,
            self._settings,
            NewTicket(
                seed=f"mention:{fact['mention_id']}",
                level=level,
                title=f"{INTENTS.get(intent, intent)}：{about}",
                department=self._routing.department(intent, opinions),
                intent=intent,
                tags=list(dict.fromkeys(opinion.tag for opinion in opinions)),
                product=fact["product_name"] or fact["product"],
                region=fact["region"],
                platform=fact["source"],
                link=fact["url"],
                text=fact["excerpt"],
                evidence=[fact],
                mention_id=fact["mention_id"],
            ),
            self._now,
        )

    def _place(self, fact: Mapping[str, Any]) -> str:
        return str(fact["product_name"] or fact["product"] or source_name(fact["source"]))

    def _tickets_with(self, mention_id: str) -> list[int]:
        rows = table(TicketEvidence)
        return list(self._db.scalars(select(rows.c.ticket_id).where(rows.c.mention_id == mention_id)))

    def _revised(self, ticket: int, fact: Mapping[str, Any], urgent: bool) -> None:
        """The author edited or appended: the ticket shows the new words, and whether they turned."""
        rows = table(TicketEvidence)
        changed = self._db.execute(
            update(rows)
            .where(rows.c.ticket_id == ticket, rows.c.mention_id == fact["mention_id"], rows.c.text != fact["excerpt"])
            .values(text=fact["excerpt"])
        ).rowcount
        if changed:
            turned = {"positive": "转好评", "negative": "仍为负面"}.get(fact["sentiment"], "转中性")
            note(self._db, ticket, self._now, "客户", "追评或修改", turned)
        if urgent:
            raise_level(self._db, self._settings, ticket, "一级", self._now)

    def _open_spikes(self) -> dict[ScopeKey, tuple[int, datetime]]:
        """Scopes with a tag or product in which a spike is going on: later complaints belong to it."""
        incidents, scopes = table(Incident), table(Scope)
        found = self._db.execute(
            select(
                incidents.c.id,
                incidents.c.started_at,
                scopes.c.kind,
                scopes.c.source,
                scopes.c.product,
                scopes.c.tag,
            )
            .join(scopes, scopes.c.id == incidents.c.scope_id)
            .where(
                incidents.c.kind == "spike",
                incidents.c.state != "closed",
                incidents.c.verdict.is_distinct_from("dismissed"),
            )
        ).all()
        return {
            ScopeKey(row.kind, row.source, row.product, row.tag): (row.id, row.started_at)
            for row in found
            if row.tag is not None or row.product is not None
        }


def _complains(fact: Mapping[str, Any]) -> bool:
    return bool(fact["negative"] or fact["intent"] == "complaint")


def _blamed(fact: Mapping[str, Any]) -> str | None:
    """The most certain negative tag."""
    bad = sorted((o for o in opinions_of(fact["tags"]) if o.sentiment == "negative"), key=lambda o: -o.confidence)
    return bad[0].tag if bad else None
