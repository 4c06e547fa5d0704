from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from alerts import spike
from alerts.grouping import likelihood_ratio

HOURS = spike.hours_needed(8)
WINDOWS = (1, 6, 24)


def test_the_poisson_tail_is_right_where_counts_are_tiny() -> None:
    assert float(spike.upper_tail(3, 0.1)) == pytest.approx(float(stats.poisson.sf(2, 0.1)), rel=1e-12)
    assert float(spike.upper_tail(3, 0.1)) == pytest.approx(1.5465e-4, rel=1e-4)
    assert float(spike.upper_tail(0, 0.1)) == 1.0


@given(st.integers(1, 400), st.floats(0.01, 200), st.floats(1.01, 30))
def test_the_negative_binomial_tail_is_scipys(count: int, mean: float, dispersion: float) -> None:
    size, share = mean / (dispersion - 1), 1 / dispersion
    wanted = float(stats.nbinom.sf(count - 1, size, share))
    assert float(spike.upper_tail(count, mean, dispersion)) == pytest.approx(wanted, rel=1e-6, abs=1e-300)


@given(st.floats(0.01, 300))
def test_dispersion_1_is_poisson_and_more_is_never_less_cautious(mean: float) -> None:
    count = int(mean + 5 * mean**0.5) + 3
    poisson = float(spike.upper_tail(count, mean, 1.0))
    assert poisson == pytest.approx(float(stats.poisson.sf(count - 1, mean)), rel=1e-9, abs=1e-300)
    assert float(spike.upper_tail(count, mean, 3.0)) >= poisson


@given(st.floats(0.05, 80), st.floats(1, 8))
def test_the_interval_holds_95_percent(mean: float, dispersion: float) -> None:
    low, high = spike.interval(mean, dispersion)
    below = 1 - float(spike.upper_tail(low, mean, dispersion)) if low else 0.0
    beyond = float(spike.upper_tail(high + 1, mean, dispersion))
    assert below <= 0.025 + 1e-9
    assert beyond <= 0.025 + 1e-9
    assert low <= max(mean, 0) <= high + 1


@given(st.integers(1, 60), st.integers(0, 200), st.integers(0, 150), st.integers(1, 150))
def test_the_share_tail_is_scipys_beta_binomial(k: int, more: int, base_k: int, base_more: int) -> None:
    total, base = k + more, base_k + base_more
    weight = min(1.0, 200 / (base + 1))
    a, b = (base_k + 0.5) * weight, (base - base_k + 0.5) * weight
    wanted = float(stats.betabinom.sf(k - 1, total, a, b))
    assert spike.share_tail(k, total, base_k, base) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


def test_benjamini_hochberg_is_scipys() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        p = rng.uniform(size=rng.integers(1, 60)) ** rng.uniform(1, 8)
        adjusted = stats.false_discovery_control(p)
        assert (spike.benjamini_hochberg(p, 0.05) == (adjusted <= 0.05)).all()


def test_scopes_that_were_looked_at_count_even_when_their_p_is_1() -> None:
    p = np.array([0.0008])
    assert spike.benjamini_hochberg(p, 0.001).all()
    assert not spike.benjamini_hochberg(p, 0.001, tests=2).any()


def series(rate: float, rng: np.random.Generator, scopes: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Poisson counts with a daily rhythm, and the true mean of each hour."""
    shape = 1 + 0.8 * np.sin(np.arange(HOURS) % 24 / 24 * 2 * np.pi)
    return rng.poisson(rate * shape, (scopes, HOURS)).astype(float), rate * shape


@pytest.mark.parametrize("rate", [0.005, 0.05, 0.5, 5.0])
def test_the_expectation_is_unbiased_and_the_tail_calibrated(rate: float) -> None:
    history, truth = series(rate, np.random.default_rng(5), 1500)
    # Different brands do not share a rhythm here: the profile comes from the pooled series, as in a tick.
    found = spike.expect(history, WINDOWS, profile=spike.profile_of(history.sum(axis=0)))
    for column, hours in enumerate(WINDOWS):
        assert found.mean[:, column].mean() == pytest.approx(truth[:hours].sum(), rel=0.15, abs=0.03)
        observed = history[:, :hours].sum(axis=1)
        p = spike.upper_tail(observed, found.mean[:, column], found.dispersion[:, column])
        assert (p < 0.01).mean() <= 0.02
        assert (p < 0.001).mean() <= 0.003


def test_the_hour_of_the_day_and_the_day_of_the_week_are_learnt() -> None:
    rng = np.random.default_rng(8)
    hours = np.arange(HOURS)
    weekend = ((hours % 168) // 24 == 2) | ((hours % 168) // 24 == 3)
    rate = np.where(hours % 24 < 6, 8.0, 1.0) * np.where(weekend, 3.0, 1.0)
    history = rng.poisson(rate, (200, HOURS)).astype(float)
    found = spike.expect(history, (6,))
    assert found.mean.mean() == pytest.approx(rate[:6].sum(), rel=0.1)
    shifted = spike.expect(np.roll(history, -48, axis=1), (6,))
    assert shifted.mean.mean() == pytest.approx(rate[48:54].sum(), rel=0.15)


def test_a_past_burst_hardly_moves_the_expectation() -> None:
    history, _ = series(0.5, np.random.default_rng(2))
    clean = spike.expect(history, WINDOWS).mean
    burst = history.copy()
    burst[:, 24 + 300 : 24 + 312] += 40  # twelve hours of a crisis, two weeks ago
    burst[:, 168 : 168 + 6] += 40  # and the same hours last week
    dirty = spike.expect(burst, WINDOWS).mean
    assert (dirty.mean(axis=0) / clean.mean(axis=0) < 1.2).all()


def test_hours_that_weigh_nothing_do_not_matter_at_all() -> None:
    history, _ = series(0.5, np.random.default_rng(2), 20)
    weights = np.ones((1, HOURS))
    weights[:, 400:500] = 0
    other = history.copy()
    other[:, 400:500] = 1000
    one = spike.expect(history, WINDOWS, weights=weights)
    two = spike.expect(other, WINDOWS, weights=weights)
    assert np.allclose(one.mean, two.mean, rtol=1e-4)
    assert np.allclose(one.dispersion, two.dispersion, rtol=1e-4)
    per_row = spike.expect(history, WINDOWS, weights=np.repeat(weights, 20, axis=0))
    assert np.allclose(one.mean, per_row.mean, rtol=1e-4)


def test_overdispersion_is_found_and_never_below_poisson() -> None:
    rng = np.random.default_rng(4)
    wild = rng.negative_binomial(2 / 3, 0.25, (300, HOURS)).astype(float)  # mean 2, variance 8
    calm = np.full((1, HOURS), 2.0)
    assert spike.expect(wild, (1,)).dispersion.mean() > 2
    assert (spike.expect(calm, WINDOWS).dispersion >= 1).all()


def test_little_history_is_more_cautious() -> None:
    history, _ = series(0.5, np.random.default_rng(4), 50)
    weights = np.ones((1, HOURS))
    weights[:, 24 + 48 :] = 0
    assert (
        spike.expect(history, WINDOWS, weights=weights).dispersion.mean()
        > spike.expect(history, WINDOWS).dispersion.mean()
    )


def judged(observed: float, mean: float, **given: object) -> spike.Verdicts:
    defaults: dict[str, object] = {
        "coverage": np.ones(1),
        "scale": np.ones((1, 1)),
        "learning": np.zeros(1, dtype=bool),
        "alpha": 0.001,
        "watch_alpha": 0.05,
        "min_mentions": 3,
        "min_authors": 3,
        "min_factor": 1.5,
        "learning_min_mentions": 8,
        "learning_min_factor": 3.0,
        "min_coverage": 0.8,
    }
    authors = np.array([[int(given.pop("authors", observed))]])  # type: ignore[call-overload]
    expectation = spike.Expectation(np.array([[mean]]), np.array([[1.0]]))
    return spike.judge(np.array([[observed]]), authors, expectation, **{**defaults, **given})  # type: ignore[arg-type]


def test_gates() -> None:
    assert judged(5, 0.1).fires.all()
    assert not judged(2, 0.0001).fires.any()
    assert not judged(5, 0.1, authors=2).fires.any()
    assert not judged(1400, 1000).fires.any()
    assert judged(1600, 1000).fires.all()
    assert not judged(5, 0.1, learning=np.ones(1, dtype=bool)).fires.any()
    assert not judged(9, 0.1, scale=np.full((1, 1), 80.0)).fires.any()


def test_coverage_scales_the_expectation_and_asks_for_more_evidence() -> None:
    whole, half = judged(9, 3.0), judged(9, 3.0, coverage=np.array([0.5]))
    assert float(half.mean[0, 0]) == pytest.approx(1.5)
    assert float(half.p[0, 0]) < float(whole.p[0, 0])
    assert float(judged(9, 3.0, coverage=np.array([0.0])).mean[0, 0]) == pytest.approx(0.75)
    assert judged(4, 0.1, coverage=np.array([0.8]), alpha=4e-6).fires.all()
    assert not judged(4, 0.1, coverage=np.array([0.79]), alpha=4e-6).fires.any()


def test_severity_rises_with_everything_that_makes_it_worse() -> None:
    base = spike.severity(1e-5, safety_share=0, reach=0, sources=1)
    assert 0 <= base < spike.severity(1e-9, safety_share=0, reach=0, sources=1)
    assert base < spike.severity(1e-5, safety_share=0.5, reach=0, sources=1)
    assert base < spike.severity(1e-5, safety_share=0, reach=5000, sources=1)
    assert base < spike.severity(1e-5, safety_share=0, reach=0, sources=2)
    assert spike.severity(0.0, safety_share=1, reach=10**9, sources=9) == 10.0


def test_the_likelihood_ratio_prefers_the_narrow_scope_that_explains_it() -> None:
    assert likelihood_ratio(20, 0.5) > likelihood_ratio(30, 10) > 0
    assert likelihood_ratio(3, 5) == 0


def test_history_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(ValueError, match="168"):
        spike.expect(np.zeros((1, 500)), (1,))
