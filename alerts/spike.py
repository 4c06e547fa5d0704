"""Is this many negatives more than chance? Pure statistics over arrays; no database, no clock.

History is an array ``[scopes, hours]`` of negatives; column 0 is the hour that ends now, column ``j`` ends ``j`` hours
ago. The day under judgement (columns 0-23) is no baseline. Because columns count back from now, ``j % 24`` is the hour
of the day and ``j % 168`` the hour of the week, whatever the time zone (China has no summer time).

Expectation: the same hour of the week in past weeks, winsorised, shrunk towards level x hour-of-day x day-of-week,
whose profiles are in turn shrunk towards those of all mentions. Tail: negative binomial with mean mu and variance
phi * mu; phi is estimated from winsorised residuals, never below 1 (Poisson), and widened for what a short history
leaves unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

DAY = 24
WEEK = 168

HALF_LIFE_WEEKS = 3.0
"""A level moves (seasons, growing sales): a week this old counts half."""

_HOUR_PRIOR = 8.0
_WEEKDAY_PRIOR = 20.0
_MARGINAL_WEEKS = 8.0
_ABSURD = 2.5
_STEEPEST = 8.0
"""No rhythm of people is steeper than this many times its mean; what is, was a burst."""

_PRIOR_EVENTS = 1.0
_PRIOR_HOURS = 24.0
_DISPERSION_PRIOR = 5.0
_MIN_COVERAGE = 0.25
_MAX_CAMPAIGN = 10.0
_CHUNK = 128


@dataclass(frozen=True, slots=True)
class Profile:
    """Relative intensity by ``j % 24`` and by ``(j % 168) // 24``, each with mean about 1."""

    hours: Floats
    days: Floats


@dataclass(frozen=True, slots=True)
class Expectation:
    """By scope and window ``[S, W]``: the mean and the variance-to-mean ratio of the count."""

    mean: Floats
    dispersion: Floats


@dataclass(frozen=True, slots=True)
class Verdicts:
    """By scope and window ``[S, W]``; ``fires`` and ``watches`` passed all gates. ``mean`` is after scaling."""

    mean: Floats
    dispersion: Floats
    p: Floats
    factor: Floats
    fires: Bools
    watches: Bools


def hours_needed(weeks: int) -> int:
    """Columns of history for a look-back of ``weeks``."""
    return DAY + weeks * WEEK


def upper_tail(observed: Floats | float, mean: Floats | float, dispersion: Floats | float = 1.0) -> Floats:
    """P(X >= observed) for a negative binomial with the given mean and variance = dispersion * mean.

    Poisson where the dispersion is 1. Exact (regularised incomplete gamma and beta functions).
    """
    import numpy as np
    from scipy import special

    x, mu, phi = np.broadcast_arrays(
        np.asarray(observed, dtype=np.float64),
        np.asarray(mean, dtype=np.float64),
        np.asarray(dispersion, dtype=np.float64),
    )
    mu = np.maximum(mu, 1e-12)
    at_least_one = np.maximum(x, 1.0)
    over = np.maximum(phi - 1.0, 0.0)
    wide = over > 1e-6
    poisson = special.gammainc(at_least_one, mu)
    binomial = special.betainc(
        at_least_one, mu / np.where(wide, over, 1.0), np.where(wide, over, 1.0) / np.maximum(phi, 1.0)
    )
    tail: Floats = np.where(x <= 0, 1.0, np.where(wide, binomial, poisson))
    return tail


def interval(mean: float, dispersion: float, level: float = 0.95) -> tuple[int, int]:
    """The central range that holds ``level`` of the expectation's distribution."""
    import numpy as np

    spread = max(mean * dispersion, 1e-9) ** 0.5
    counts = np.arange(0, int(mean + 12 * spread + 12) + 1, dtype=np.float64)
    beyond = upper_tail(counts + 1, mean, dispersion)
    rest = (1 - level) / 2
    low = int(np.argmax(1 - beyond > rest))
    high = int(np.argmax(beyond <= rest))
    return low, high


def share_tail(negatives: int, total: int, base_negatives: float, base_total: float, cap: float = 200.0) -> float:
    """P(K >= negatives) of ``total`` for a beta-binomial whose prior is the baseline's share.

    The baseline weighs at most ``cap`` mentions: a share moves by itself, however long it was watched.
    """
    import numpy as np
    from scipy import special

    if negatives <= 0 or total <= 0:
        return 1.0
    weight = min(1.0, cap / (base_total + 1.0))
    a = (base_negatives + 0.5) * weight
    b = (max(base_total - base_negatives, 0.0) + 0.5) * weight
    k = np.arange(min(negatives, total), total + 1, dtype=np.float64)
    log_choose = special.gammaln(total + 1) - special.gammaln(k + 1) - special.gammaln(total - k + 1)
    log_mass = log_choose + special.betaln(k + a, total - k + b) - special.betaln(a, b)
    return float(min(1.0, np.exp(special.logsumexp(log_mass))))


def benjamini_hochberg(p: Floats, alpha: float, tests: int | None = None) -> Bools:
    """Which hypotheses are rejected at false-discovery rate ``alpha``.

    ``tests`` is how many were looked at in all, when those whose p is 1 anyway were left out of ``p``.
    """
    import numpy as np

    flat = p.ravel()
    if flat.size == 0:
        return np.zeros(p.shape, dtype=np.bool_)
    count = max(tests or 0, flat.size)
    order = np.sort(flat)
    passing = np.flatnonzero(order <= alpha * np.arange(1, flat.size + 1) / count)
    cut = order[passing[-1]] if passing.size else -1.0
    rejected: Bools = (flat <= cut).reshape(p.shape)
    return rejected


def flat_profile() -> Profile:
    import numpy as np

    return Profile(np.ones(DAY), np.ones(7))


def profile_of(history: Floats, weights: Floats | None = None) -> Profile:
    """The rhythm of one series ``[H]`` (all mentions): what other scopes' profiles are shrunk towards."""
    import numpy as np

    past = history[None, DAY:]
    exposure = np.ones_like(past) if weights is None else weights[None, DAY:]
    _, hours, days = _marginals(past, exposure, flat_profile())
    return Profile(hours[0], days[0])


def expect(
    history: Floats,
    windows: Sequence[int],
    *,
    weights: Floats | None = None,
    profile: Profile | None = None,
) -> Expectation:
    """What to expect in the windows (hours, ending now; each divides a week) of every scope.

    ``history`` is [S, 24 + 168 * weeks]; ``weights`` [S, H] or [1, H] is 0 for hours that say nothing (before the
    first mention, during a confirmed incident), else 1. Cost is linear in S, below 0.1 ms a scope.
    """
    import numpy as np

    scopes, length = history.shape
    if length < DAY + WEEK or (length - DAY) % WEEK:
        raise ValueError("history must hold 24 + 168 * weeks hours")
    prior = profile or flat_profile()
    mean = np.empty((scopes, len(windows)))
    dispersion = np.empty((scopes, len(windows)))
    given = np.ones((1, length)) if weights is None else weights
    for start in range(0, scopes, _CHUNK):
        rows = slice(start, start + _CHUNK)
        exposure = (given if given.shape[0] == 1 else given[rows]).astype(np.float32)
        mean[rows], dispersion[rows] = _expect(history[rows].astype(np.float32), exposure, windows, prior)
    return Expectation(mean, dispersion)


def _recency(length: int) -> Floats:
    import numpy as np

    return (0.5 ** ((np.arange(length) // WEEK) / HALF_LIFE_WEEKS)).astype(np.float32)


def _sum(values: Floats, weight: Floats) -> Floats:
    """Weighted sums over hours; one row of weights may stand for all scopes."""
    import numpy as np

    if weight.shape[0] == 1:
        return np.asarray(values @ weight[0])
    return np.asarray(np.einsum("sh,sh->s", values, weight))


def _tamed(counts: Floats, cap: Floats, expected: Floats) -> Floats:
    """Counts above the cap are cut to it; far above it they say nothing of ordinary days and are set to expected."""
    import numpy as np

    tamed: Floats = np.where(counts > _ABSURD * cap, expected, np.minimum(counts, cap))
    return tamed


def _dispersion(counts: Floats, expected: Floats, weight: Floats, width: float) -> Floats:
    """Variance-to-mean ratio of winsorised residuals, at least 1 (Poisson).

    Winsorised twice: a past burst must not hide in the variance that allows the next one.
    """
    import numpy as np

    ratio = np.ones(counts.shape[0], dtype=np.float32)
    total = _sum(expected, weight) + _DISPERSION_PRIOR
    root = np.sqrt(expected)
    for _ in range(2):
        error = _tamed(counts, expected + (width * np.sqrt(ratio))[:, None] * root + 1.5, expected)
        error -= expected
        error *= error
        ratio = np.maximum(1.0, (_sum(error, weight) + _DISPERSION_PRIOR) / total)
    return ratio


def _marginals(past: Floats, exposure: Floats, prior: Profile) -> tuple[Floats, Floats, Floats]:
    """Level [S], hour profile [S, 24], day profile [S, 7] of winsorised counts. ``past`` starts a day ago."""
    import numpy as np

    scopes, length = past.shape
    weeks = length // WEEK
    weight = exposure * _recency(length)
    days_prior = np.roll(prior.days, -1)
    base = np.tile((days_prior[:, None] * prior.hours[None, :]).ravel(), weeks).astype(np.float32)
    exposed = weight @ base + np.float32(_PRIOR_HOURS)
    folded = weight.reshape(-1, weeks, WEEK).sum(axis=1).reshape(-1, 7, DAY)
    rough = (_sum(past, weight) + _PRIOR_EVENTS) / exposed
    kept = np.minimum(past, (_STEEPEST * rough + 3.0)[:, None])
    # Rough first, then without what stands out: winsorising against a flat line would cut off a strong rhythm.
    for last in (False, False, True):
        level = (_sum(kept, weight) + _PRIOR_EVENTS) / exposed
        counted = (kept * weight).reshape(scopes, weeks, WEEK).sum(axis=1).reshape(scopes, 7, DAY)
        flat = level[:, None, None] * folded
        hours = (counted.sum(axis=1) + _HOUR_PRIOR * prior.hours) / (flat.sum(axis=1) + _HOUR_PRIOR)
        days = (counted.sum(axis=2) + _WEEKDAY_PRIOR * days_prior) / (flat.sum(axis=2) + _WEEKDAY_PRIOR)
        hours = (hours / hours.mean(axis=1, keepdims=True)).astype(np.float32)
        days = (days / days.mean(axis=1, keepdims=True)).astype(np.float32)
        if not last:
            week = (level[:, None, None] * days[:, :, None] * hours[:, None, :]).reshape(scopes, WEEK)
            cap = week + 4.0 * np.sqrt(week) + 1.5
            split = past.reshape(scopes, weeks, WEEK)
            kept = _tamed(split, cap[:, None, :], week[:, None, :]).reshape(scopes, length)
    return level, hours, np.roll(days, 1, axis=1)


def _expect(history: Floats, exposure: Floats, windows: Sequence[int], prior: Profile) -> tuple[Floats, Floats]:
    import numpy as np

    past, seen = history[:, DAY:], exposure[:, DAY:]
    scopes, length = past.shape
    weeks = length // WEEK
    level, hours, days = _marginals(past, seen, prior)
    week = (level[:, None, None] * days[:, :, None] * hours[:, None, :]).reshape(scopes, WEEK)
    ago = np.tile(np.roll(week, -DAY, axis=1), (1, weeks))
    by_week = 0.5 ** (np.arange(weeks) / HALF_LIFE_WEEKS)
    means, ratios = [], []
    for window in windows:
        marginal = week[:, :window].sum(axis=1)
        usable = _blocks(seen, window) > 0.75 * window
        weight = usable * _recency(length)[::window]
        ratio = _dispersion(_blocks(past, window), _blocks(ago, window), weight.astype(np.float32), 3.5)
        cap = marginal + 2.5 * np.sqrt(ratio * marginal) + 1.0
        pulled, weighed = _MARGINAL_WEEKS * marginal, np.full(exposure.shape[0], _MARGINAL_WEEKS)
        for lag in range(1, weeks + 1):
            hourly = slice(WEEK * lag, WEEK * lag + window)
            count = history[:, hourly].sum(axis=1)
            trust = (exposure[:, hourly].mean(axis=1) > 0.75) * (count <= _ABSURD * cap) * by_week[lag - 1]
            pulled = pulled + trust * np.minimum(count, cap)
            weighed = weighed + trust
        means.append(pulled / weighed)
        samples = weighed - _MARGINAL_WEEKS * (1.0 - np.minimum(1.0, seen.sum(axis=1) / WEEK))
        ratios.append(ratio * (1.0 + 1.0 / np.maximum(samples, 0.5)))
    return np.stack(means, axis=1), np.stack(ratios, axis=1)


def _blocks(values: Floats, window: int) -> Floats:
    """Sums over consecutive windows ``[S, H // window]``."""
    import numpy as np

    if window == 1:
        return values
    return np.asarray(values.reshape(values.shape[0], -1, window).sum(axis=2))


def campaign(observed: Floats, expectation: Expectation) -> Floats:
    """How much busier than usual it is ``[S, W]``: 1 unless clearly more, at most 10.

    To be asked of mentions that are *not* negative: a promotion lifts them, an incident does not.
    """
    import numpy as np

    ratio = observed / np.maximum(expectation.mean, 1e-9)
    clear = upper_tail(observed, expectation.mean, expectation.dispersion) < 0.001
    scale: Floats = np.where(clear & (ratio > 1.2), np.minimum(ratio, _MAX_CAMPAIGN), 1.0)
    return scale


def judge(
    observed: Floats,
    authors: Ints,
    expectation: Expectation,
    *,
    coverage: Floats,
    scale: Floats,
    learning: Bools,
    alpha: float,
    watch_alpha: float,
    min_mentions: int,
    min_authors: int,
    min_factor: float,
    learning_min_mentions: int,
    learning_min_factor: float,
    min_coverage: float,
    tests: int | None = None,
) -> Verdicts:
    """Judge all scopes of a tick together. ``observed``, ``authors``, ``scale`` are [S, W]; the rest are [S].

    The expectation is scaled by coverage (an incomplete crawl sees less) and by the campaign; where coverage is below
    ``min_coverage`` ten times stronger evidence is asked for, as the scaling is a guess.
    """
    import numpy as np

    mean = expectation.mean * scale * np.clip(coverage, _MIN_COVERAGE, 1.0)[:, None]
    p = upper_tail(observed, mean, expectation.dispersion)
    factor = observed / np.maximum(mean, 1e-9)
    need = np.where(learning, max(learning_min_mentions, min_mentions), min_mentions)[:, None]
    times = np.where(learning, max(learning_min_factor, min_factor), min_factor)[:, None]
    gates = (observed >= need) & (authors >= min_authors) & (factor >= times)
    asked = np.where(coverage < min_coverage, 10.0, 1.0)[:, None]
    count = max(tests or 0, p.size)
    rejected = benjamini_hochberg(np.minimum(1.0, p * asked), alpha, count)
    return Verdicts(
        mean=mean,
        dispersion=expectation.dispersion,
        p=np.maximum(p, 1e-300),
        factor=factor,
        fires=gates & rejected,
        watches=(observed >= 2) & (factor >= min_factor) & (p < watch_alpha),
    )


def severity(p: float, *, safety_share: float, reach: int, sources: int) -> float:
    """0-10: up to 6 from the tail (10⁻² is 1, 10⁻¹² is 6), 2 for meant safety, 1.5 for reach, 0.5 for more sources."""
    import math

    tail = 1.0 + (-math.log10(max(p, 1e-300)) - 2.0) * 0.5
    score = min(max(tail, 0.0), 6.0)
    score += 2.0 * min(1.0, safety_share * 3)
    score += min(1.5, 0.5 * math.log10(1 + reach / 100))
    score += 0.5 if sources > 1 else 0.0
    return round(min(score, 10.0), 1)
