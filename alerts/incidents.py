"""Incidents in the database: raised once, fed with evidence, told of again only when there is more to say.

Every function works in the caller's transaction, under :func:`alerts.upsert.lock`; the ticket, the evidence and the
outbox row become durable together or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import Connection, func, select, update

from alerts import spike
from alerts.config import AlertSettings, Level
from alerts.explain import explain
from alerts.explanation import Explanation, explanation_json
from alerts.facts import opinions_of, with_names
from alerts.judging import Finding, Negative, units
from alerts.messages import alert_message
from alerts.outbox import enqueue_alert
from alerts.routing import Opinion, Routing
from alerts.scopes import ScopeKey
from alerts.tables import Evidence, Fact, Incident, IncidentScope, Scope, Ticket, table
from alerts.tickets import NewTicket, add_evidence, note, open_ticket
from alerts.upsert import upsert
from ingest.state import by_code_point

_CHUNK = 500
TEST = "负二项上尾检验"


@dataclass(frozen=True, slots=True)
class Case:
    """What an incident is about, before it is stored. ``problem`` is the same for the same problem."""

    kind: str
    level: Level
    problem: str
    title: str
    evidence: Sequence[Negative]
    severity: float
    scope: ScopeKey | None = None
    finding: Finding | None = None
    scope_ids: Sequence[int] = ()


class Incidents:
    """Raises and feeds incidents within one transaction."""

    def __init__(self, connection: Connection, settings: AlertSettings, routing: Routing, now: datetime) -> None:
        self._db = connection
        self._settings = settings
        self._routing = routing
        self._now = now

    def raise_(self, case: Case) -> str:
        """Store a new incident with its ticket, and tell of it; its key. There is at least one mention."""
        explanation = explain(self._db, case.evidence, self._now, case.finding)
        return self._store(case, explanation, min(n.fact["created_at"] for n in case.evidence))

    def _store(self, case: Case, explanation: Explanation, started: datetime) -> str:
        rows = table(Incident)
        ids = sorted(negative.id for negative in case.evidence)
        seed = "\x1f".join((case.kind, case.problem, self._now.isoformat(), *ids[:3]))
        key = f"A-{sha256(seed.encode()).hexdigest()[:12]}"
        self._db.execute(
            upsert(self._db, rows).on_conflict_do_nothing(),
            {
                "key": key,
                "kind": case.kind,
                "level": case.level,
                "title": case.title,
                "problem": case.problem,
                "state": "firing",
                "verdict": None,
                "started_at": started,
                "raised_at": self._now,
                "last_seen_at": self._now,
                "calm_since": None,
                "closed_at": None,
                "told_at": None,
                "told_count": 0,
                "told_evidence": 0,
                "told_severity": 0.0,
                "told_sources": "[]",
                "told_products": "[]",
                "explanation": explanation_json(explanation),
                **self._figures(case, len(ids)),
            },
        )
        number = int(self._db.execute(select(rows.c.id).where(rows.c.key == key)).scalar_one())
        self._join(number, case)
        if case.evidence:
            self._ticket(number, key, case, explanation)
        self._tell(number, case, explanation)
        return key

    def raise_silence(self, problem: str, title: str, reason: str, since: datetime) -> str:
        """A source gone silent: an alert without mentions and without a ticket; its key."""
        case = Case("silence", "二级", problem, title, (), 4.0)
        explanation = Explanation(counter=(f"原因：{reason}",) if reason else ())
        return self._store(case, explanation, since)

    def raise_drift(self, problem: str, title: str, reason: str, since: datetime) -> str:
        """A source whose records lost fields: an alert without mentions and without a ticket; its key."""
        return self._store(Case("drift", "二级", problem, title, (), 4.0), Explanation(counter=(reason,)), since)

    def raise_stop(self, problem: str, title: str, words: Sequence[str], since: datetime) -> str:
        """A source that stopped and waits for a person: an alert without mentions and without a ticket; its key."""
        return self._store(Case("stop", "二级", problem, title, (), 4.0), Explanation(counter=tuple(words)), since)

    def feed(self, number: int, case: Case) -> int:
        """Add evidence to an incident and bring its figures up to date; how many mentions were new.

        Tells of it again only if severity rose, a source or product joined, or hours passed with more evidence.
        """
        rows = table(Incident)
        added = self._join(number, case)
        was = self._row(number)
        whole = self.evidence(number)
        values: dict[str, Any] = {"state": "firing", "calm_since": None, "closed_at": None, "last_seen_at": self._now}
        if case.scope is not None and self._names_better(was, case, whole):
            values |= {"title": case.title, "problem": case.problem}
        if case.finding is not None or was["scope_id"] is None:
            values |= self._figures(case, len(whole))
        if case.finding is None:
            values["severity"] = max(was["severity"], case.severity)
        explanation = explain(self._db, whole or case.evidence, self._now, case.finding)
        values["explanation"] = explanation_json(explanation)
        self._db.execute(update(rows).where(rows.c.id == number).values(**values))
        ticket = self._ticket_of(number)
        if ticket is not None and added:
            add_evidence(self._db, self._settings, ticket, [n.fact for n in case.evidence], self._now)
        if self._worth_telling(self._row(number), whole):
            self._tell(number, case, explanation, whole)
        return added

    def attach(self, number: int, evidence: Sequence[Negative]) -> int:
        """Add later mentions of the same problem between ticks; the next tick brings the figures up to date."""
        facts = [negative.fact for negative in evidence]
        added = self._join(number, Case("spike", "一级", "", "", evidence, 0.0))
        ticket = self._ticket_of(number)
        if ticket is not None and added:
            add_evidence(self._db, self._settings, ticket, facts, self._now)
        return added

    def evidence(self, number: int) -> list[Negative]:
        """All mentions an incident rests on."""
        facts, rows = table(Fact), table(Evidence)
        chosen = (
            select(facts)
            .join(rows, rows.c.mention_id == facts.c.mention_id)
            .where(rows.c.incident_id == number)
            .order_by(facts.c.created_at.desc(), by_code_point(facts.c.mention_id))
            .limit(2000)
        )
        return units(with_names(self._db, self._db.execute(chosen).mappings().all()))

    def size(self, number: int) -> int:
        """How many mentions an incident rests on."""
        rows = table(Evidence)
        return int(self._db.execute(select(func.count()).where(rows.c.incident_id == number)).scalar_one())

    def by_problem(self, problem: str, within: timedelta) -> int | None:
        """The newest incident about a problem that is open, or was seen within ``within``."""
        rows = table(Incident)
        found: int | None = self._db.execute(
            select(rows.c.id)
            .where(
                rows.c.problem == problem,
                rows.c.verdict.is_distinct_from("dismissed"),
                (rows.c.state != "closed") | (rows.c.last_seen_at > self._now - within),
            )
            .order_by(rows.c.id.desc())
            .limit(1)
        ).scalar()
        return found

    def sharing(self, mention_ids: Sequence[str]) -> dict[int, int]:
        """Incident -> how many of these mentions it already rests on."""
        rows = table(Evidence)
        found: Counter[int] = Counter()
        for start in range(0, len(mention_ids), _CHUNK):
            for number, count in self._db.execute(
                select(rows.c.incident_id, func.count())
                .where(rows.c.mention_id.in_(mention_ids[start : start + _CHUNK]))
                .group_by(rows.c.incident_id)
            ):
                found[number] += count
        return dict(found)

    def settle(self, seen: set[int], calm: timedelta, *, blind: bool) -> None:
        """Let incidents that were not seen in this tick cool down and close. While blind, nothing closes."""
        rows = table(Incident)
        open_ones = self._db.execute(
            select(rows.c.id, rows.c.kind, rows.c.state, rows.c.calm_since, rows.c.last_seen_at).where(
                rows.c.state != "closed", rows.c.kind.not_in(("silence", "drift", "stop"))
            )
        ).all()
        for row in open_ones:
            if row.id in seen:
                continue
            # A safety mention is one moment: it stays open for a day so that the next one joins it.
            wait = calm if row.kind == "spike" else timedelta(hours=24)
            since = row.calm_since or (self._now if row.kind == "spike" else row.last_seen_at)
            if self._now - since >= wait and not blind:
                values: dict[str, Any] = {"state": "closed", "closed_at": self._now, "calm_since": since}
            else:
                values = {"state": "cooling", "calm_since": min(since, self._now)}
            self._db.execute(update(rows).where(rows.c.id == row.id).values(**values))

    def _figures(self, case: Case, count: int) -> dict[str, Any]:
        finding = case.finding
        if finding is None:
            return {
                "scope_id": None,
                "severity": case.severity,
                "observed": float(count),
                "expected": 0.0,
                "low": 0.0,
                "high": 0.0,
                "window_hours": 24,
                "p": 1.0,
                "test": "无需统计：单条即告警",
            }
        low, high = spike.interval(finding.expected, finding.dispersion)
        return {
            "scope_id": finding.scope_id,
            "severity": case.severity,
            "observed": float(len({n.unit for n in case.evidence})),
            "expected": round(finding.expected, 3),
            "low": float(low),
            "high": float(high),
            "window_hours": finding.window_hours,
            "p": finding.p,
            "test": TEST,
        }

    def _join(self, number: int, case: Case) -> int:
        rows, scopes = table(Evidence), table(IncidentScope)
        ids = [negative.id for negative in case.evidence]
        held: set[str] = set()
        for start in range(0, len(ids), _CHUNK):
            held.update(
                self._db.scalars(
                    select(rows.c.mention_id).where(
                        rows.c.incident_id == number, rows.c.mention_id.in_(ids[start : start + _CHUNK])
                    )
                )
            )
        fresh = [mention for mention in ids if mention not in held]
        if fresh:
            lines = [{"incident_id": number, "mention_id": mention, "added_at": self._now} for mention in fresh]
            self._db.execute(upsert(self._db, rows).on_conflict_do_nothing(), lines)
            self._adopt(number, fresh)
        if case.scope_ids:
            pairs = [{"incident_id": number, "scope_id": scope} for scope in case.scope_ids]
            self._db.execute(upsert(self._db, scopes).on_conflict_do_nothing(), pairs)
        return len(fresh)

    def _adopt(self, number: int, mentions: Sequence[str]) -> None:
        """Link the single tickets of an incident's mentions to it."""
        tickets = table(Ticket)
        for start in range(0, len(mentions), _CHUNK):
            some = tickets.c.mention_id.in_(mentions[start : start + _CHUNK])
            free = list(self._db.scalars(select(tickets.c.id).where(some, tickets.c.incident_id.is_(None))))
            if free:
                self._db.execute(update(tickets).where(tickets.c.id.in_(free)).values(incident_id=number))
            for ticket in free:
                note(self._db, ticket, self._now, "系统", "归并", f"属于告警 {self._row(number)['key']}")

    def _ticket(self, number: int, key: str, case: Case, explanation: Explanation) -> int:
        facts = [negative.fact for negative in case.evidence]
        blamed = Counter(
            opinion.tag for fact in facts for opinion in opinions_of(fact["tags"]) if opinion.sentiment == "negative"
        )
        opinions = [Opinion(tag, "negative", count / len(facts)) for tag, count in blamed.most_common()]
        if case.scope is not None and case.scope.tag is not None:
            opinions.insert(0, Opinion(case.scope.tag, "negative", 2.0))
        worst = max(facts, key=lambda fact: (fact["severity"], fact["reach"], fact["mention_id"]))
        return open_ticket(
            self._db,
            self._settings,
            NewTicket(
                seed=f"incident:{key}",
                level=case.level,
                title=case.title,
                department=self._routing.department("complaint", opinions),
                intent="complaint",
                tags=list(dict.fromkeys(opinion.tag for opinion in opinions)),
                product=_most(fact["product_name"] or fact["product"] for fact in facts),
                region=_most(fact["region"] for fact in facts),
                platform=",".join(source for source, _ in Counter(f["source"] for f in facts).most_common(4))[:80],
                link=worst["url"],
                text="\n".join(quote.text for quote in explanation.quotes),
                evidence=facts,
                incident_id=number,
            ),
            self._now,
        )

    def _ticket_of(self, number: int) -> int | None:
        tickets = table(Ticket)
        found: int | None = self._db.execute(
            select(tickets.c.id).where(tickets.c.incident_id == number, tickets.c.mention_id.is_(None))
        ).scalar()
        return found

    def _row(self, number: int) -> dict[str, Any]:
        rows = table(Incident)
        return dict(self._db.execute(select(rows).where(rows.c.id == number)).mappings().one())

    def _names_better(self, was: Mapping[str, Any], case: Case, whole: Sequence[Negative]) -> bool:
        """Whether the scope that fires now names the incident better: narrower, or the old one leaves much out."""
        scopes = table(Scope)
        held = self._db.execute(
            select(scopes.c.kind, scopes.c.source, scopes.c.product, scopes.c.tag).where(scopes.c.id == was["scope_id"])
        ).first()
        if held is None or case.scope is None:
            return False
        old = ScopeKey(*held)
        covered, covers = _covered(old, whole), _covered(case.scope, whole)
        if covered < 0.8 or covers < 0.8:
            return covers > covered
        return case.scope.specificity > old.specificity

    def _worth_telling(self, row: Mapping[str, Any], whole: Sequence[Negative]) -> bool:
        if row["verdict"] == "dismissed":
            return False
        rules = self._settings.spikes
        if row["severity"] >= row["told_severity"] + rules.severity_step:
            return True
        sources, products = _presence(whole)
        if set(sources) - set(orjson.loads(row["told_sources"])):
            return True
        joined = set(products) - set(orjson.loads(row["told_products"]))
        # One stray mention of another product is no news; two are.
        if any(products[product] >= 2 for product in joined):
            return True
        told = row["told_at"]
        waited = told is not None and self._now - told >= timedelta(hours=rules.repeat_hours)
        return waited and len(whole) > row["told_evidence"]

    def _tell(self, number: int, case: Case, explanation: Explanation, whole: Sequence[Negative] | None = None) -> None:
        rows = table(Incident)
        evidence = case.evidence if whole is None else whole
        sources, products = _presence(evidence)
        row = self._row(number)
        told = row["told_count"] + 1
        self._db.execute(
            update(rows)
            .where(rows.c.id == number)
            .values(
                told_at=self._now,
                told_count=told,
                told_evidence=len(evidence),
                told_severity=row["severity"],
                told_sources=orjson.dumps(sorted(sources)).decode(),
                told_products=orjson.dumps(sorted(products)).decode(),
            )
        )
        label = case.scope.label() if case.scope is not None else case.title
        message = alert_message(row, explanation, label, told, self._settings)
        enqueue_alert(self._db, self._settings, message, stream=row["key"], now=self._now)


def _covered(scope: ScopeKey, evidence: Sequence[Negative]) -> float:
    """The share of the evidence that lies in a scope."""
    inside = 0
    for negative in evidence:
        fact = negative.fact
        inside += (
            scope.source in (None, fact["source"])
            and scope.product in (None, fact["product"])
            and (scope.tag is None or any(o.tag == scope.tag for o in opinions_of(fact["tags"])))
        )
    return inside / max(1, len(evidence))


def _presence(evidence: Sequence[Negative]) -> tuple[Counter[str], Counter[str]]:
    sources = Counter(str(n.fact["source"]) for n in evidence)
    products = Counter(str(n.fact["product"]) for n in evidence if n.fact["product"] is not None)
    return sources, products


def _most(values: Any) -> str | None:
    """The value that at least half of them share."""
    found = list(values)
    counts = Counter(value for value in found if value is not None)
    if not counts:
        return None
    value, count = counts.most_common(1)[0]
    return str(value) if count * 2 >= len(found) else None
