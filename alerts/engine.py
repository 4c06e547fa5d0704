"""The tick: judge all scopes, keep their states, turn what fires together into one incident, warn about deadlines.

States are stored, so a restart goes on where it was and tells nobody twice. A tick judges only windows that end now;
judging the same past again (a clock that went back) finds its evidence under an incident and feeds that one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, delete, select, update

from alerts import coverage as coverage_of
from alerts import drift, spike, stops
from alerts.config import AlertSettings
from alerts.desk import Desk, Reaction
from alerts.grouping import Group, group
from alerts.incidents import Case, Incidents
from alerts.judging import Finding, Picture, look
from alerts.reminders import due_steps
from alerts.routing import Routing
from alerts.scopes import ScopeKey, source_name
from alerts.tables import Incident, IncidentScope, ScopeState, TickLock, table
from alerts.tickets import flush_updates
from alerts.upsert import lock, upsert
from ingest.clock import BEIJING, Clock
from ingest.errors import UserError

log = logging.getLogger(__name__)

_STILL_FACTOR = 1.2
_OVERLAP = 0.3
_REOPEN = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What a tick saw and did."""

    now: datetime
    judged: int = 0
    candidates: int = 0
    firing: int = 0
    unknown: int = 0
    raised: Sequence[str] = ()
    fed: Sequence[str] = ()
    silent: Sequence[str] = ()
    stopped: Sequence[str] = ()
    drifted: Sequence[str] = ()
    warnings: int = 0
    reaction: Reaction = field(default_factory=Reaction)


class AlertEngine:
    """Call :meth:`react` after each absorbed batch and :meth:`tick` on a schedule (every 15-60 s).

    Any process may do so: writers queue behind one lock, and every effect is stored with its cause in one
    transaction, so a crash at any point repeats nothing and loses nothing.
    """

    def __init__(
        self,
        engine: Engine,
        settings: AlertSettings,
        clock: Clock,
        routing: Routing | None = None,
        *,
        standing: stops.Standing = stops.none_stands,
    ) -> None:
        self._engine = engine
        self._standing = standing
        self._settings = settings
        self._clock = clock
        self._routing = routing or Routing()

    def react(self, now: datetime | None = None) -> Reaction:
        """Alerts and tickets that single mentions set off, until none is pending."""
        total = Reaction()
        while True:
            with self._engine.begin() as connection:
                lock(connection)
                step = Desk(connection, self._settings, self._routing, now or self._clock.now()).react()
            total += step
            if not step.handled:
                return total

    def tick(self, now: datetime | None = None, coverage: Mapping[str, float] | None = None) -> TickReport:
        """Judge the windows that end at ``now``.

        ``coverage``: source -> completeness 0-1; read from the store when not given.
        """
        now = now or self._clock.now()
        reaction = self.react(now)
        with self._engine.begin() as connection:
            lock(connection)
            covered = coverage if coverage is not None else coverage_of.completeness(connection, self._settings, now)
            picture = look(connection, now, self._settings.spikes, covered, {})
            states = _States(connection, self._settings, now)
            unknown = states.update(picture, covered)
            raised, fed = self._incidents(connection, picture, now, covered)
            drifted = self._drift(connection, now)
            stopped = stops.tell(connection, self._settings, self._routing, now, self._standing(connection))
            silent = self._silence(connection, now, stopped.excused)
            ticks = upsert(connection, table(TickLock)).on_conflict_do_update(
                index_elements=["id"], set_={"ticked_at": now}
            )
            connection.execute(ticks, {"id": 1, "ticked_at": now})
        with self._engine.begin() as connection:
            lock(connection)
            warnings = due_steps(connection, self._settings, now)
            flush_updates(connection, self._settings, now)
        return TickReport(
            now=now,
            judged=len(picture.findings),
            candidates=picture.candidates,
            firing=sum(finding.fires for finding in picture.findings.values()),
            unknown=unknown,
            raised=raised,
            fed=fed,
            silent=silent,
            stopped=stopped.raised,
            drifted=drifted,
            warnings=warnings,
            reaction=reaction,
        )

    def decide(self, key: str, verdict: str, *, by: str) -> None:
        """A person's word on an alert: ``confirmed`` (its time is no baseline) or ``dismissed`` (it is closed).

        Raises UserError (Chinese) for an unknown alert or verdict.
        """
        if verdict not in ("confirmed", "dismissed"):
            raise UserError("结论只能是 confirmed（属实）或 dismissed（误报）")
        rows = table(Incident)
        now = self._clock.now()
        values: dict[str, Any] = {"verdict": verdict}
        if verdict == "dismissed":
            values |= {"state": "closed", "closed_at": now}
        with self._engine.begin() as connection:
            lock(connection)
            changed = connection.execute(update(rows).where(rows.c.key == key).values(**values))
        if changed.rowcount == 0:
            raise UserError(f"没有告警 {key}")
        log.info("alert %s was %s by a person", key, verdict)

    def _incidents(
        self, connection: Connection, picture: Picture, now: datetime, covered: Mapping[str, float]
    ) -> tuple[list[str], list[str]]:
        desk = Incidents(connection, self._settings, self._routing, now)
        firing = [finding for finding in picture.findings.values() if finding.fires]
        raised: list[str] = []
        fed: list[str] = []
        seen: set[int] = set()
        for found in group(firing, picture.negatives, picture.members):
            case = self._case(found, picture)
            number = self._match(connection, desk, found, now, seen)
            if number is None:
                key = desk.raise_(case)
                raised.append(key)
                seen.add(_number(connection, key))
            else:
                desk.feed(number, case)
                seen.add(number)
                fed.append(_key(connection, number))
        seen |= self._still_firing(connection)
        blind = any(c < self._settings.spikes.min_coverage for c in covered.values())
        desk.settle(seen, timedelta(hours=self._settings.spikes.cooling_hours), blind=blind)
        return raised, fed

    def _case(self, found: Group, picture: Picture) -> Case:
        finding = found.title
        evidence = [picture.negatives[mention] for mention in sorted(found.evidence)]
        safety = sum(bool(n.fact["safety"]) for n in evidence) / len(evidence)
        name = next((n.fact["product_name"] for n in evidence if n.fact["product"] == finding.scope.product), None)
        return Case(
            kind="spike",
            level="一级",
            problem="\x1f".join(("spike", finding.scope.key)),
            title=f"负面激增：{finding.scope.label(name)}",
            evidence=evidence,
            severity=spike.severity(
                finding.p,
                safety_share=safety,
                reach=max(int(n.fact["reach"]) for n in evidence),
                sources=len({n.fact["source"] for n in evidence}),
            ),
            scope=finding.scope,
            finding=finding,
            scope_ids=[member.scope_id for member in found.members],
        )

    def _match(
        self, connection: Connection, desk: Incidents, found: Group, now: datetime, taken: set[int]
    ) -> int | None:
        """The incident that a group belongs to: most shared mentions, else one with the same title still open."""
        rows = table(Incident)
        shared = {n: count for n, count in desk.sharing(sorted(found.evidence)).items() if n not in taken}
        for number, count in sorted(shared.items(), key=lambda item: (-item[1], item[0])):
            row = connection.execute(select(rows).where(rows.c.id == number)).mappings().one()
            size = desk.size(number)
            near = row["state"] != "closed" or now - row["last_seen_at"] < _REOPEN
            if near and count >= _OVERLAP * min(len(found.evidence), max(size, 1)):
                return number
        number_ = desk.by_problem("\x1f".join(("spike", found.title.scope.key)), timedelta(0))
        return number_ if number_ not in taken else None

    def _still_firing(self, connection: Connection) -> set[int]:
        """Open spikes one of whose scopes has not calmed down yet."""
        rows, joined, states = table(Incident), table(IncidentScope), table(ScopeState)
        return set(
            connection.scalars(
                select(rows.c.id)
                .join(joined, joined.c.incident_id == rows.c.id)
                .join(states, (states.c.scope_id == joined.c.scope_id) & (states.c.scope_id == rows.c.scope_id))
                .where(rows.c.state != "closed", states.c.state == "firing")
            )
        )

    def _silence(self, connection: Connection, now: datetime, excused: frozenset[str]) -> list[str]:
        """Raise one 二级 alert for each silence of a source; close it when the source is heard again.

        ``excused``: a stop explains why nothing is heard of these, and is told instead.
        """
        rows = table(Incident)
        told: list[str] = []
        open_ones: dict[str, int] = dict(
            connection.execute(
                select(rows.c.problem, rows.c.id).where(rows.c.kind == "silence", rows.c.state != "closed")
            ).all()
        )
        for found in coverage_of.health(connection, self._settings, now):
            problem = f"silence\x1f{found.source}"
            if found.silent_since is None:
                if problem in open_ones:
                    closed = {"state": "closed", "closed_at": now}
                    connection.execute(update(rows).where(rows.c.id == open_ones[problem]).values(**closed))
                continue
            if found.stopped and found.source in excused:
                continue
            if problem in open_ones:
                connection.execute(update(rows).where(rows.c.id == open_ones[problem]).values(last_seen_at=now))
                continue
            desk = Incidents(connection, self._settings, self._routing, now)
            reason = found.reason or found.signal
            key = desk.raise_silence(problem, f"来源中断：{source_name(found.source)}", reason, found.silent_since)
            told.append(key)
        return told

    def _drift(self, connection: Connection, now: datetime) -> list[str]:
        """Raise one 二级 alert for each endpoint whose fields emptied; close it when they are back.

        One that a person dismissed is not raised again until its fields were back.
        """
        rows = table(Incident)
        newest: dict[str, Any] = {}
        for row in connection.execute(select(rows).where(rows.c.kind == "drift").order_by(rows.c.id)).mappings():
            newest[row["problem"]] = row
        told = {problem: row for problem, row in newest.items() if _stands(row)}
        opened = {_endpoint_of(problem): row["started_at"].astimezone(BEIJING).date() for problem, row in told.items()}
        raised: list[str] = []
        today = now.astimezone(BEIJING).date()
        for found in drift.drifts(drift.kept(connection, today, opened), today, opened=opened):
            problem = f"drift\x1f{found.source}\x1f{found.endpoint}"
            if problem in told:
                seen: dict[str, Any] = {"last_seen_at": now}
                over = {"state": "closed", "closed_at": now, "calm_since": now}
                values = seen if found.fallen else over
                connection.execute(update(rows).where(rows.c.id == told[problem]["id"]).values(**values))
            elif found.fallen:
                desk = Incidents(connection, self._settings, self._routing, now)
                title = f"数据结构变化：{source_name(found.source)}"
                raised.append(desk.raise_drift(problem, title, found.words, drift.start_of(found.since)))
        return raised


def _stands(incident: Mapping[str, Any]) -> bool:
    """Whether a drift is not over: open, or dismissed (closed by a person, not by its fields coming back)."""
    return incident["state"] != "closed" or (incident["verdict"] == "dismissed" and incident["calm_since"] is None)


def _endpoint_of(problem: str) -> drift.Key:
    _, source, endpoint = problem.split("\x1f")
    return source, endpoint


class _States:
    """The stored state of scopes: normal (no row), watch, firing, cooling, unknown."""

    def __init__(self, connection: Connection, settings: AlertSettings, now: datetime) -> None:
        self._db = connection
        self._rules = settings.spikes
        self._now = now

    def update(self, picture: Picture, covered: Mapping[str, float]) -> int:
        """Move every scope that was judged or is not normal; how many are unknown."""
        rows = table(ScopeState)
        stored = {row["scope_id"]: dict(row) for row in self._db.execute(select(rows)).mappings()}
        judged = {finding.scope_id: finding for finding in picture.findings.values()}
        blind = self._blind(covered)
        moved: list[dict[str, Any]] = []
        gone: list[int] = []
        for scope_id in sorted({*stored, *judged, *blind}):
            was = stored.get(scope_id)
            finding = judged.get(scope_id)
            state = self._next(was, finding, scope_id in blind)
            if state is None:
                gone.append(scope_id)
                continue
            moved.append(self._row(scope_id, state, was, finding))
        if gone:
            for start in range(0, len(gone), 500):
                self._db.execute(delete(rows).where(rows.c.scope_id.in_(gone[start : start + 500])))
        if moved:
            statement = upsert(self._db, rows)
            changed = {c.name: statement.excluded[c.name] for c in rows.columns if not c.primary_key}
            self._db.execute(statement.on_conflict_do_update(index_elements=["scope_id"], set_=changed), moved)
        return sum(row["state"] == "unknown" for row in moved)

    def _blind(self, covered: Mapping[str, float]) -> set[int]:
        from alerts.aggregates import scope_ids

        dark = [ScopeKey("source", source=s) for s, c in covered.items() if c < self._rules.min_coverage]
        return set(scope_ids(self._db, dark, {}).values()) if dark else set()

    def _next(self, was: Mapping[str, Any] | None, finding: Finding | None, blind: bool) -> str | None:
        state = was["state"] if was is not None else "normal"
        blind = blind or (finding is not None and finding.coverage < self._rules.min_coverage)
        if finding is not None and finding.fires:
            return "firing"
        if state == "firing":
            still = finding is not None and finding.p < self._rules.watch_alpha and finding.factor >= _STILL_FACTOR
            # Blind is not calm: without sight a fire is not called out.
            return "firing" if still or blind else "cooling"
        if state == "cooling" and was is not None:
            calm = self._now - (was["calm_since"] or self._now)
            return "cooling" if blind or calm < timedelta(hours=self._rules.cooling_hours) else None
        if blind:
            return "unknown"
        return "watch" if finding is not None and finding.watches else None

    def _row(self, scope_id: int, state: str, was: Mapping[str, Any] | None, finding: Finding | None) -> dict[str, Any]:
        same = was is not None and was["state"] == state
        calm = (was["calm_since"] if same and was is not None else None) or self._now
        return {
            "scope_id": scope_id,
            "state": state,
            "since": was["since"] if same and was is not None else self._now,
            "judged_at": self._now,
            "calm_since": min(calm, self._now) if state == "cooling" else None,
            "observed": float(finding.observed) if finding is not None else 0.0,
            "expected": finding.expected if finding is not None else 0.0,
            "p": finding.p if finding is not None else 1.0,
            "severity": spike.severity(finding.p, safety_share=0, reach=0, sources=1) if finding is not None else 0.0,
        }


def _number(connection: Connection, key: str) -> int:
    return int(connection.execute(select(table(Incident).c.id).where(table(Incident).c.key == key)).scalar_one())


def _key(connection: Connection, number: int) -> str:
    return str(connection.execute(select(table(Incident).c.key).where(table(Incident).c.id == number)).scalar_one())
