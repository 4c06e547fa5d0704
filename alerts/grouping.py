"""Scopes that fire together become incidents: one problem is one, named by the scope that explains it best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts import spike
from alerts.judging import Finding, Negative
from alerts.scopes import ScopeKey

_STILL_ODD = 0.01
_MIN_FACTOR = 1.5
_MIN_UNITS = 3
_MOSTLY = 0.8
_PREFERENCE = {"all": 0.9, "source": 0.95, "product": 1.0, "tag": 1.0, "source×tag": 1.0, "product×tag": 1.1}
"""Where two scopes explain nearly the same, people want to hear of the product, not of the platform."""


@dataclass(frozen=True, slots=True)
class Group:
    """One problem: the scope that names it, all scopes that fire because of it, and the mentions it rests on."""

    title: Finding
    members: tuple[Finding, ...]
    evidence: frozenset[str]


def likelihood_ratio(observed: float, expected: float) -> float:
    """How much better "more than usual here" explains a count than "as usual" (Kulldorff's scan statistic)."""
    if observed <= expected:
        return 0.0
    expected = max(expected, 1e-6)
    return observed * math.log(observed / expected) - (observed - expected)


def group(
    firing: Sequence[Finding], negatives: Mapping[str, Negative], members: Mapping[ScopeKey, Sequence[Negative]]
) -> list[Group]:
    """Explain the firing scopes by as few problems as possible.

    The scope with the highest likelihood ratio names the first problem; every scope that shares mentions with it and
    is no longer odd without them belongs to it. What is still odd without them is another problem.
    """
    left = list(firing)
    explained: set[str] = set()
    groups: list[Group] = []
    while left:
        counts = {f.scope: _units(f.evidence - explained, negatives) for f in left}
        best = max(
            left,
            key=lambda f: (
                likelihood_ratio(counts[f.scope] / f.dispersion, f.expected / f.dispersion) * _PREFERENCE[f.scope.kind],
                f.scope.key,
            ),
        )
        core = best.evidence - explained
        # The title's window may be an hour, its problem may be older: everything in that scope today is explained.
        explained |= core | {n.id for n in members[best.scope]}
        together, rest = [best], []
        for finding in left:
            if finding is best:
                continue
            if finding.evidence & explained and not _odd(finding, _units(finding.evidence - explained, negatives)):
                together.append(finding)
            else:
                rest.append(finding)
        groups.append(Group(best, tuple(together), frozenset(core)))
        left = rest
    return _bridged(groups, firing, members)


def _bridged(
    groups: list[Group], firing: Sequence[Finding], members: Mapping[ScopeKey, Sequence[Negative]]
) -> list[Group]:
    """Join groups that are one problem seen on several platforms: a firing scope with a tag holds both."""
    bridges = sorted((f for f in firing if f.scope.tag is not None), key=lambda f: (-f.scope.specificity, f.scope.key))
    held = {f.scope: frozenset(n.id for n in members[f.scope]) for f in bridges}
    products = {n.id: n.fact["product"] for found in members.values() for n in found}
    joined: list[Group] = []
    for found in groups:
        for place, other in enumerate(joined):
            one, two = _product(found.evidence, products), _product(other.evidence, products)
            if one is not None and two is not None and one != two:
                continue
            bridge = next(
                (f for f in bridges if all(_held(g.evidence, held[f.scope]) for g in (found, other))),
                None,
            )
            if bridge is not None:
                together = tuple(dict.fromkeys((bridge, *other.members, *found.members)))
                joined[place] = Group(bridge, together, other.evidence | found.evidence)
                break
        else:
            joined.append(found)
    return joined


def _held(evidence: frozenset[str], scope: frozenset[str]) -> bool:
    return len(evidence & scope) >= _MOSTLY * len(evidence)


def _product(evidence: frozenset[str], products: Mapping[str, str | None]) -> str | None:
    """The product that most of the evidence is about."""
    counts = Counter(products[mention] for mention in evidence)
    product, count = counts.most_common(1)[0]
    return product if count >= _MOSTLY * len(evidence) else None


def _units(evidence: frozenset[str], negatives: Mapping[str, Negative]) -> int:
    return len({negatives[mention].unit for mention in evidence})


def _odd(finding: Finding, count: int) -> bool:
    if count < _MIN_UNITS or count < _MIN_FACTOR * finding.expected:
        return False
    return float(spike.upper_tail(count, finding.expected, finding.dispersion)) < _STILL_ODD
