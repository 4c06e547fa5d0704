"""Why an alert was raised: what stands out against the baseline, in whose words, and what speaks against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from alerts.explanation import Explanation, Lift, Quote
from alerts.facts import opinions_of
from alerts.judging import Finding, Negative
from alerts.scopes import source_name
from alerts.tables import Fact, Scope, table
from ingest.clock import BEIJING

BASELINE = timedelta(days=28)
_QUOTES = 3
_QUOTE_LENGTH = 120
_TOP = 3

_CAMPAIGNS: Sequence[tuple[str, tuple[int, int], tuple[int, int]]] = (
    ("618 大促", (5, 31), (6, 20)),
    ("双11 大促", (10, 20), (11, 13)),
    ("双12 大促", (12, 11), (12, 13)),
    ("年货节", (1, 5), (1, 20)),
)


def campaign_on(day: date) -> str | None:
    """The sales campaign that a day (Beijing) lies in."""
    for name, first, last in _CAMPAIGNS:
        if first <= (day.month, day.day) <= last:
            return name
    return None


def explain(
    connection: Connection, evidence: Sequence[Negative], now: datetime, finding: Finding | None = None
) -> Explanation:
    """Explain an incident by its evidence (not empty)."""
    facts = [negative.fact for negative in evidence]
    return Explanation(
        products=_lifts(connection, facts, "product", now, _product_names(facts)),
        tags=_tag_lifts(connection, facts, now),
        regions=_lifts(connection, facts, "region", now, {}),
        sources=_lifts(connection, facts, "source", now, {f["source"]: source_name(f["source"]) for f in facts}),
        quotes=quotes(facts),
        counter=_counter(evidence, now, finding),
        share=finding.share if finding else None,
        share_expected=finding.share_expected if finding else None,
        share_p=finding.share_p if finding else None,
        coverage=finding.coverage if finding else None,
    )


def _product_names(facts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return {fact["product"]: fact["product_name"] or fact["product"] for fact in facts if fact["product"] is not None}


def _lifts(
    connection: Connection, facts: Sequence[Mapping[str, Any]], column: str, now: datetime, names: Mapping[str, str]
) -> tuple[Lift, ...]:
    here = Counter(fact[column] for fact in facts if fact[column] is not None)
    if not here:
        return ()
    rows = table(Fact)
    usual = rows.c[column]
    chosen = (
        select(usual, func.count())
        .where(
            rows.c.any_negative.is_(True),
            rows.c.created_at > now - BASELINE,
            rows.c.created_at <= now - timedelta(days=1),
            usual.is_not(None),
        )
        .group_by(usual)
    )
    base: dict[str, int] = dict(connection.execute(chosen).all())
    return _ranked(here, base, lambda value: names.get(value, value))


def _tag_lifts(connection: Connection, facts: Sequence[Mapping[str, Any]], now: datetime) -> tuple[Lift, ...]:
    from alerts.aggregates import bucket_of, read_sums

    here = Counter(
        tag for fact in facts for tag in {o.tag for o in opinions_of(fact["tags"]) if o.sentiment == "negative"}
    )
    if not here:
        return ()
    scopes = table(Scope)
    chosen = select(scopes.c.id, scopes.c.tag).where(scopes.c.kind == "tag", scopes.c.tag.is_not(None))
    ids: dict[int, str] = dict(connection.execute(chosen).all())
    sums = read_sums(connection, list(ids), bucket_of(now - BASELINE), bucket_of(now - timedelta(days=1)))
    return _ranked(here, {ids[number]: negative for number, (_, negative) in sums.items()}, lambda tag: tag)


def _ranked(here: Counter[str], base: Mapping[str, int], name: Callable[[str], str]) -> tuple[Lift, ...]:
    total, base_total = sum(here.values()), sum(base.values())
    found = []
    for value, count in here.items():
        # One imagined mention spread over the values seen keeps a first-time value from being infinitely unusual.
        usual = (base.get(value, 0) + 1) / (base_total + len(base) + 1)
        found.append(Lift(name(value), count, round(count / total / usual, 1)))
    return tuple(sorted(found, key=lambda lift: (-lift.count, -lift.lift, lift.value))[:_TOP])


def quotes(facts: Sequence[Mapping[str, Any]]) -> tuple[Quote, ...]:
    """Three quotes that differ: the gravest first, then whatever is least like those chosen; one an author."""
    left = sorted(
        (fact for fact in facts if fact["excerpt"]),
        key=lambda fact: (-fact["severity"], -fact["reach"], fact["created_at"], fact["mention_id"]),
    )[:200]
    grams = {fact["mention_id"]: _bigrams(fact["excerpt"]) for fact in left}
    chosen: list[Mapping[str, Any]] = []
    while left and len(chosen) < _QUOTES:
        best = min(
            left,
            key=lambda fact: max(
                (_alike(grams[fact["mention_id"]], grams[c["mention_id"]]) for c in chosen), default=0.0
            ),
        )
        chosen.append(best)
        same = best["author"]
        left = [f for f in left if f is not best and (same is None or f["author"] != same)]
    return tuple(
        Quote(f["mention_id"], _short(f["excerpt"]), f["source"], f["created_at"].isoformat(), f["url"]) for f in chosen
    )


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _QUOTE_LENGTH else plain[: _QUOTE_LENGTH - 1] + "…"


def _bigrams(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def _alike(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))


def _counter(evidence: Sequence[Negative], now: datetime, finding: Finding | None) -> tuple[str, ...]:
    facts = [negative.fact for negative in evidence]
    total = len(facts)
    said: list[str] = []
    authors = Counter(fact["author"] for fact in facts if fact["author"] is not None)
    if authors and (most := authors.most_common(1)[0][1]) > 1 and most >= 0.4 * total:
        said.append(f"一位作者占 {most / total:.0%}")
    copies = total - len({negative.unit for negative in evidence})
    if copies >= 2 and copies >= 0.2 * total:
        said.append(f"有 {copies} 条是重复转贴或同一作者，没有计入")
    products = Counter(fact["product"] for fact in facts if fact["product"] is not None)
    if total >= 3 and products and products.most_common(1)[0][1] >= 0.9 * total:
        said.append("集中在一个商品")
    promotion = campaign_on(now.astimezone(BEIJING).date())
    if promotion is not None:
        said.append(f"正值{promotion}")
    if finding is not None:
        if finding.coverage < 1.0:
            said.append(f"采集完整度只有 {finding.coverage:.0%}，预期按此折算")
        if finding.share_p is not None and finding.share_p > 0.05:
            said.append(f"负面占比 {finding.share or 0:.0%} 与平时 {finding.share_expected or 0:.0%} 差别不大")
    return tuple(said)
