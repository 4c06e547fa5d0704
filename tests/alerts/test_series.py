from __future__ import annotations

import math
import random
from datetime import datetime, timedelta

import pytest

from alerts.series import score_series
from tests.bench.bench_nab import label, normalised, raw_score

START = datetime(2026, 1, 1)  # noqa: DTZ001 - a series may come without a zone


def rhythm(days: int, every: timedelta = timedelta(minutes=5), seed: int = 1) -> tuple[list[datetime], list[float]]:
    rng = random.Random(seed)
    count = int(timedelta(days=days) / every)
    moments = [START + every * i for i in range(count)]
    level = [20 * (1 + 0.8 * math.sin(2 * math.pi * (m.hour + m.minute / 60) / 24)) for m in moments]
    return moments, [float(max(0, round(rng.gauss(base, base**0.5)))) for base in level]


def test_scores_lie_between_0_and_1_and_a_spike_stands_out() -> None:
    moments, values = rhythm(10)
    values[2000] = values[2001] = 400.0
    scores = score_series(moments, values)
    assert len(scores) == len(values)
    assert all(0 <= score <= 1 for score in scores)
    assert max(range(len(scores)), key=scores.__getitem__) in (2000, 2001)
    assert max(scores) > 0.95


def test_a_broad_hump_stands_out_too() -> None:
    moments, values = rhythm(10)
    for i in range(2000, 2030):
        values[i] += 90
    scores = score_series(moments, values)
    assert 2000 <= max(range(len(scores)), key=scores.__getitem__) < 2030


def test_the_daily_peak_does_not() -> None:
    moments, values = rhythm(14)
    assert max(score_series(moments, values)[288 * 4 :]) < 0.75


def test_one_incident_scores_once_or_twice() -> None:
    moments, values = rhythm(8)
    for i in range(1700, 1750):
        values[i] += 500
    scores = score_series(moments, values)
    assert 1 <= sum(score > 0.8 for score in scores[1690:1800]) <= 4


@pytest.mark.parametrize("cut", [10, 30, 500, 1501, 2500])
def test_the_future_changes_no_score(cut: int) -> None:
    moments, values = rhythm(9)
    values[1500] = 300.0
    whole = score_series(moments, values)
    assert score_series(moments[:cut], values[:cut]) == pytest.approx(whole[:cut])


@pytest.mark.parametrize("every", [timedelta(hours=1), timedelta(days=1), timedelta(minutes=15)])
def test_other_intervals_work(every: timedelta) -> None:
    moments, values = rhythm(60 if every > timedelta(hours=1) else 20, every)
    values[-2] += 2000
    scores = score_series(moments, values)
    assert max(range(len(scores)), key=scores.__getitem__) in (len(scores) - 2, len(scores) - 1)


def test_gaps_repeats_and_short_series_are_taken_as_they_come() -> None:
    moments, values = rhythm(6)
    del moments[600:900], values[600:900]
    moments[1000] = moments[999]
    far = [*moments, moments[-1] + timedelta(days=4000)]
    assert len(score_series(far, [*values, 5.0])) == len(far)
    assert score_series([], []) == []
    assert score_series(moments[:5], values[:5]) == [0.0] * 5
    assert score_series(moments, [0.0] * len(moments)) == [0.0] * len(moments)
    with pytest.raises(ValueError, match="as many"):
        score_series(moments, values[:-1])


def test_the_benchmarks_scorer_gives_0_to_silence_and_nearly_100_to_an_oracle() -> None:
    moments, values = rhythm(6)
    spans = [(moments[1000], moments[1200]), (moments[1400], moments[1500])]
    series = label(moments, values, spans)
    silent = raw_score(series, [0.0] * len(values), 0.5)[0]
    oracle = [1.0 if i in (1000, 1400) else 0.0 for i in range(len(values))]
    assert normalised(silent, 2) == 0
    assert normalised(raw_score(series, oracle, 0.5)[0], 2) == pytest.approx(100)
    late = [1.0 if i in (1300, 1400) else 0.0 for i in range(len(values))]
    assert normalised(raw_score(series, late, 0.5)[0], 2) == pytest.approx(50 - 100 * 0.11 * 0.987 / 4 / 1, abs=2)
