"""From the store to verdicts: which scopes have too many negatives in a window that ends now.

What is read is bounded: the negatives of the last 24 hours, and for the scopes they touch the aggregates of the last
weeks. The age of the store does not matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, select

from alerts import spike
from alerts.aggregates import PER_HOUR, bucket_end, bucket_start, first_bucket, read_hours, read_sums, scope_ids
from alerts.config import SpikeSettings
from alerts.facts import parts_of, with_names
from alerts.scopes import EVERYTHING, ScopeKey
from alerts.tables import Fact, Incident, IncidentScope, table
from ingest.state import by_code_point

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOOK_BACK = timedelta(hours=24)
LIVE = timedelta(hours=2)
"""While a source is being learnt, only what was collected this soon after it was said can be a spike."""

_MIN_SHARE_TOTAL = 20
_MIN_SHARE_BASE = 50
_MAX_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Negative:
    """A negative of the last 24 hours. ``unit`` is shared by copies of one text and by all words of one author."""

    fact: Mapping[str, Any]
    unit: int

    @property
    def id(self) -> str:
        return str(self.fact["mention_id"])


@dataclass(frozen=True, slots=True)
class Finding:
    """One scope judged: its most telling window. ``observed`` counts units, ``evidence`` are all mentions in it."""

    scope: ScopeKey
    scope_id: int
    window_hours: int
    observed: int
    expected: float
    dispersion: float
    p: float
    factor: float
    fires: bool
    watches: bool
    coverage: float
    evidence: frozenset[str]
    share: float | None = None
    share_expected: float | None = None
    share_p: float | None = None

    @property
    def unknown(self) -> bool:
        return self.coverage < 1.0


@dataclass(slots=True)
class Picture:
    """What a tick sees. ``findings`` are scopes with enough negatives to be judged, by scope."""

    now: datetime
    negatives: Mapping[str, Negative] = field(default_factory=dict)
    findings: Mapping[ScopeKey, Finding] = field(default_factory=dict)
    members: Mapping[ScopeKey, Sequence[Negative]] = field(default_factory=dict)
    candidates: int = 0


def recent_negatives(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """Facts with a negative in any scope whose event time is in the last 24 hours and not after ``now``."""
    facts = table(Fact)
    rows = connection.execute(
        select(facts)
        .where(facts.c.any_negative.is_(True), facts.c.created_at > now - LOOK_BACK, facts.c.created_at <= now)
        .order_by(facts.c.created_at, by_code_point(facts.c.mention_id))
    )
    return with_names(connection, rows.mappings().all())


def units(facts: Sequence[dict[str, Any]]) -> list[Negative]:
    """Join copies of one text (:mod:`ingest.copies`) and the words of one author into units; a mention of which neither
    is known is its own."""
    parent = list(range(len(facts)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[tuple[str, str], int] = {}
    for i, fact in enumerate(facts):
        for what in ("copies", "author"):
            if fact[what] is not None:
                parent[find(i)] = find(first.setdefault((what, fact[what]), i))
    return [Negative(fact, find(i)) for i, fact in enumerate(facts)]


def look(
    connection: Connection,
    now: datetime,
    settings: SpikeSettings,
    coverage: Mapping[str, float],
    known: Mapping[ScopeKey, int],
) -> Picture:
    """Judge every scope that had a negative in the last 24 hours."""
    import numpy as np

    negatives = units(recent_negatives(connection, now))
    picture = Picture(now, {n.id: n for n in negatives})
    if not negatives:
        return picture
    starts = _starts(connection, {str(n.fact["source"]) for n in negatives}, known)
    young = now - timedelta(days=settings.learning_days)
    new_sources = {source for source, start in starts.items() if source and start > young}
    installing = starts[""] > young
    members: dict[ScopeKey, list[Negative]] = defaultdict(list)
    for negative in negatives:
        for part in parts_of(negative.fact):
            hidden = part.scope.source is None and not installing and negative.fact["source"] in new_sources
            if part.negative and not hidden:
                members[part.scope].append(negative)
    picture.members = members
    picture.candidates = len(members)
    hot = sorted(scope for scope, found in members.items() if len({n.unit for n in found}) >= settings.min_mentions)
    if not hot:
        return picture

    learning = np.array([installing or (scope.source in new_sources) for scope in hot])
    windows = settings.windows_hours
    observed = np.zeros((len(hot), len(windows)))
    authors = np.zeros((len(hot), len(windows)), dtype=np.int64)
    for row, scope in enumerate(hot):
        for column, hours in enumerate(windows):
            inside = _inside(members[scope], now, hours, live=bool(learning[row]))
            observed[row, column] = len({n.unit for n in inside})
            authors[row, column] = len({n.fact["author"] or n.id for n in inside})

    ids = {**known, **scope_ids(connection, [*hot, EVERYTHING, *_parents(hot)], known)}
    end = bucket_end(now)
    length = spike.hours_needed(settings.weeks)
    first = end - length * PER_HOUR
    history = _history(connection, [ids[s] for s in hot], end, length)
    weights = _weights(connection, hot, [ids[s] for s in hot], starts, now, length)
    scale, profile = _campaign(connection, hot, ids, end, length, windows)
    expectation = spike.expect(history, windows, weights=weights, profile=profile)
    expectation = _learn(expectation, learning, history, windows)
    covered = _coverage(connection, hot, coverage, ids, first, end)
    verdicts = spike.judge(
        observed,
        authors,
        expectation,
        coverage=covered,
        scale=scale,
        learning=learning,
        alpha=settings.alpha,
        watch_alpha=settings.watch_alpha,
        min_mentions=settings.min_mentions,
        min_authors=settings.min_authors,
        min_factor=settings.min_factor,
        learning_min_mentions=settings.learning_min_mentions,
        learning_min_factor=settings.learning_min_factor,
        min_coverage=settings.min_coverage,
        tests=picture.candidates * len(windows),
    )
    findings = {}
    for row, scope in enumerate(hot):
        order = np.lexsort((np.array(windows), verdicts.p[row], ~verdicts.fires[row]))
        column = int(order[0])
        inside = _inside(members[scope], now, windows[column], live=bool(learning[row]))
        findings[scope] = Finding(
            scope=scope,
            scope_id=ids[scope],
            window_hours=windows[column],
            observed=int(observed[row, column]),
            expected=float(verdicts.mean[row, column]),
            dispersion=float(verdicts.dispersion[row, column]),
            p=float(verdicts.p[row, column]),
            factor=float(verdicts.factor[row, column]),
            fires=bool(verdicts.fires[row, column]),
            watches=bool(verdicts.watches[row].any()),
            coverage=float(covered[row]),
            evidence=frozenset(n.id for n in inside),
        )
    picture.findings = _shares(connection, findings, ids, settings, first, end)
    return picture


def _inside(found: Iterable[Negative], now: datetime, hours: int, *, live: bool) -> list[Negative]:
    since = now - timedelta(hours=hours)
    return [
        n
        for n in found
        if n.fact["created_at"] > since and not (live and n.fact["collected_at"] - n.fact["created_at"] > LIVE)
    ]


def parent_of(scope: ScopeKey) -> ScopeKey:
    """The scope whose mentions a scope's negatives are a share of."""
    if scope.source is not None:
        return ScopeKey("source", source=scope.source)
    if scope.product is not None:
        return ScopeKey("product", product=scope.product)
    return EVERYTHING


def _parents(scopes: Iterable[ScopeKey]) -> set[ScopeKey]:
    return {parent_of(scope) for scope in scopes}


def _starts(connection: Connection, sources: set[str], known: Mapping[ScopeKey, int]) -> dict[str, datetime]:
    """When each source was first heard (event time); "" stands for all of them."""
    scopes = {"": EVERYTHING, **{source: ScopeKey("source", source=source) for source in sources}}
    ids = {**known, **scope_ids(connection, scopes.values(), known)}
    starts = {}
    for name, scope in scopes.items():
        first = first_bucket(connection, ids[scope])
        starts[name] = bucket_start(first if first is not None else 0)
    return starts


def _history(connection: Connection, scopes: Sequence[int], end: int, length: int) -> NDArray[np.floating[Any]]:
    import numpy as np

    history = np.zeros((len(scopes), length), dtype=np.float32)
    row_of = {scope: row for row, scope in enumerate(scopes)}
    scope, hour, _, count = read_hours(connection, scopes, length, end, least=1).T
    history[[row_of[s] for s in scope.tolist()], hour] = count
    return history


def _weights(
    connection: Connection,
    hot: Sequence[ScopeKey],
    ids: Sequence[int],
    starts: Mapping[str, datetime],
    now: datetime,
    length: int,
) -> NDArray[np.floating[Any]]:
    """0 where nothing was collected yet and during confirmed incidents, else 1."""
    import numpy as np

    def column(instant: datetime) -> int:
        return int(max(0, min(length, (now - instant).total_seconds() // 3600)))

    ages = [column(starts.get(scope.source or "", starts[""])) for scope in hot]
    incidents, joined = table(Incident), table(IncidentScope)
    confirmed = connection.execute(
        select(joined.c.scope_id, incidents.c.started_at, incidents.c.last_seen_at)
        .join(incidents, incidents.c.id == joined.c.incident_id)
        .where(incidents.c.verdict == "confirmed", incidents.c.last_seen_at > now - timedelta(hours=length))
    ).all()
    if not confirmed and len(set(ages)) == 1:
        row = np.ones((1, length), dtype=np.float32)
        row[:, ages[0] + 1 :] = 0
        return row
    weights = np.ones((len(hot), length), dtype=np.float32)
    for row_number, age in enumerate(ages):
        weights[row_number, age + 1 :] = 0
    row_of = {scope: row for row, scope in enumerate(ids)}
    for scope_id, began, ended in confirmed:
        if scope_id in row_of:
            weights[row_of[scope_id], column(ended) : column(began) + 1] = 0
    return weights


def _campaign(
    connection: Connection,
    hot: Sequence[ScopeKey],
    ids: Mapping[ScopeKey, int],
    end: int,
    length: int,
    windows: Sequence[int],
) -> tuple[NDArray[np.floating[Any]], spike.Profile]:
    """How much busier than usual the source (or everything) is, by mentions that are not negative; and the rhythm."""
    import numpy as np

    sources = sorted({scope.source for scope in hot if scope.source is not None})
    measured = [EVERYTHING, *(ScopeKey("source", source=source) for source in sources)]
    row_of = {ids[scope]: row for row, scope in enumerate(measured)}
    content = np.zeros((len(measured), length))
    volume = np.zeros(length)
    scope, hour, total, negative = read_hours(connection, list(row_of), length, end).T
    rows = np.array([row_of[s] for s in scope.tolist()], dtype=np.int64)
    content[rows, hour] = np.maximum(total - negative, 0)
    volume[hour[rows == 0]] = total[rows == 0]
    profile = spike.profile_of(volume)
    seen = np.stack([content[:, :hours].sum(axis=1) for hours in windows], axis=1)
    lifted = spike.campaign(seen, spike.expect(content, windows, profile=profile))
    place = {source: row for row, source in enumerate(sources, start=1)}
    return lifted[[place.get(scope.source or "", 0) for scope in hot]], profile


def _learn(
    expectation: spike.Expectation,
    learning: NDArray[np.bool_],
    history: NDArray[np.floating[Any]],
    windows: Sequence[int],
) -> spike.Expectation:
    """Scopes without a past are compared with the rest of their own last two days; a whole day cannot be judged."""

    if not learning.any():
        return expectation
    mean, dispersion = expectation.mean.copy(), expectation.dispersion.copy()
    span = 2 * spike.DAY
    for column, hours in enumerate(windows):
        rest = history[learning, hours:span].sum(axis=1)
        mean[learning, column] = (rest + 1.0) / (span - hours) * hours if hours < spike.DAY else 1e9
        dispersion[learning, column] = 2.0
    return spike.Expectation(mean, dispersion)


def _coverage(
    connection: Connection,
    hot: Sequence[ScopeKey],
    coverage: Mapping[str, float],
    ids: Mapping[ScopeKey, int],
    first: int,
    end: int,
) -> NDArray[np.floating[Any]]:
    """How complete each scope's crawl is: its source's, or the mean over sources weighted by their usual volume."""
    import numpy as np

    if all(c >= 1.0 for c in coverage.values()):
        return np.ones(len(hot))
    scopes = {source: ScopeKey("source", source=source) for source in coverage}
    numbers = {**ids, **scope_ids(connection, scopes.values(), ids)}
    sums = read_sums(connection, [numbers[EVERYTHING], *(numbers[s] for s in scopes.values())], first, end)
    everything = max(1, sums.get(numbers[EVERYTHING], (0, 0))[0])
    missing = sum(
        (1.0 - min(1.0, c)) * sums.get(numbers[scopes[source]], (0, 0))[0] / everything
        for source, c in coverage.items()
    )
    overall = max(0.0, 1.0 - missing)
    return np.array([min(1.0, coverage.get(s.source, 1.0)) if s.source is not None else overall for s in hot])


def _shares(
    connection: Connection,
    findings: dict[ScopeKey, Finding],
    ids: Mapping[ScopeKey, int],
    settings: SpikeSettings,
    first: int,
    end: int,
) -> dict[ScopeKey, Finding]:
    """Add the share test to scopes that fire; one whose share is as usual only watches: everything is up."""
    from dataclasses import replace

    firing = [finding for finding in findings.values() if finding.fires]
    if not firing:
        return findings
    judged = spike.DAY * PER_HOUR
    chosen = sorted({f.scope_id for f in firing} | {ids[parent_of(f.scope)] for f in firing})
    base = read_sums(connection, chosen, first, end - judged)
    totals: dict[int, dict[int, tuple[int, int]]] = {}
    for finding in firing:
        hours = finding.window_hours
        if hours not in totals:
            totals[hours] = read_sums(connection, chosen, end - hours * PER_HOUR, end)
        parent = ids[parent_of(finding.scope)]
        total = totals[hours].get(parent, (0, 0))[0]
        base_total, base_negative = base.get(parent, (0, 0))[0], base.get(finding.scope_id, (0, 0))[1]
        if total < _MIN_SHARE_TOTAL or base_total < _MIN_SHARE_BASE or base_negative > _MAX_SHARE * base_total:
            continue
        p = spike.share_tail(min(finding.observed, total), total, base_negative, base_total)
        usual = p > settings.share_alpha
        findings[finding.scope] = replace(
            finding,
            share=finding.observed / total,
            share_expected=base_negative / base_total,
            share_p=p,
            fires=not usual,
            watches=finding.watches or usual,
        )
    return findings
