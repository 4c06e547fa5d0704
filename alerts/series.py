"""Scores for a single series of counts: how surprising is each point, given only what came before it?

Each point is compared, in logarithms, with the level of the last day *and* with what the same time of day usually
reaches; the smaller of the two surprises counts, so neither a daily peak nor a busy day is one. Four widths (1, 3, 6
and 12 points, all ending now) are looked at, because a spike may be one tall point or a broad hump. A surprise is then
measured against the tail of past surprises (exponential above the 95 % quantile of two weeks): noisy series need
more. One incident scores once: after a peak, only what clearly exceeds it scores again, less so as a day passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.floating[Any]]

WIDTHS = (1, 3, 6, 12)
DAYS = 14
_DAY = 86_400.0
_QUANTILE = 0.95
_MIN_SCALE = 0.1
_REFRESH = 12
_MARGIN = 1.5
_UNSEASONED = 0.5
_SOFTNESS = 4.0
_FIRST_INTERVALS = 20
_MIN_POINTS = 24


def score_series(timestamps: Sequence[datetime], values: Sequence[float]) -> list[float]:
    """A score from 0 (ordinary) to 1 (unheard of) for each point.

    Causal: the score of a point depends on nothing after it, so scoring a longer series changes no earlier score.
    ``timestamps`` rise, all with or all without a zone; gaps are allowed. ``values`` are counts (below 0 is 0). The
    first day scores 0. 16,000 points take one to three seconds. Raises ValueError when the lengths differ.
    """
    import numpy as np

    if len(timestamps) != len(values):
        raise ValueError("as many values as timestamps")
    if len(values) <= _MIN_POINTS:
        return [0.0] * len(values)
    slots, per_day = _slots(timestamps)
    dense = np.zeros(slots[-1] + 1)
    dense[slots] = np.maximum(np.nan_to_num(np.asarray(values, dtype=np.float64)), 0.0)
    present = np.zeros(len(dense), dtype=np.bool_)
    present[slots] = True
    # A gap repeats what was last seen: it is neither a fall nor a rise.
    dense = dense[np.maximum.accumulate(np.where(present, np.arange(len(dense)), 0))]
    start = max(per_day, _MIN_POINTS)
    surprise = np.mean([_tail(_excess(dense, width, per_day), start, per_day) for width in WIDTHS], axis=0)
    return [float(score) for score in 1.0 - np.exp(-_once(surprise[slots], slots, per_day) / _SOFTNESS)]


def _slots(timestamps: Sequence[datetime]) -> tuple[NDArray[np.int64], int]:
    """A place on a regular grid for each point, and how many places a day has."""
    import numpy as np

    origin = timestamps[0]
    seconds = np.array([(moment - origin).total_seconds() for moment in timestamps])
    step = max(1.0, float(np.median(np.diff(seconds[: _FIRST_INTERVALS + 1]))))
    per_day = max(1, round(_DAY / step))
    longest = DAYS * per_day
    places = np.zeros(len(seconds), dtype=np.int64)
    shift = 0
    for i in range(1, len(seconds)):
        wanted = round(seconds[i] / step) - shift
        if wanted - places[i - 1] > longest:
            # Whole days are dropped from a long gap, so that the time of day stays where it is.
            days = int((wanted - places[i - 1] - longest) // per_day)
            shift += days * per_day
            wanted -= days * per_day
        places[i] = max(int(wanted), int(places[i - 1]) + 1)
    return places, per_day


def _excess(values: Floats, width: int, per_day: int) -> Floats:
    """By how much, in log units, each trailing mean exceeds both the last day's level and the time of day's peak."""
    import numpy as np
    from numpy.lib.stride_tricks import sliding_window_view

    count = len(values)
    total = np.concatenate(([0.0], np.cumsum(values)))
    ends = np.arange(1, count + 1)
    begins = np.maximum(0, ends - width)
    smooth = np.log1p((total[ends] - total[begins]) / (ends - begins))

    window = max(per_day, _MIN_POINTS)
    level = np.array([np.median(smooth[:i]) if i else smooth[0] for i in range(min(window, count))])
    if count > window:
        level = np.concatenate((level, np.median(sliding_window_view(smooth, window)[: count - window], axis=1)))
    above_level = smooth - level
    if per_day < 2 * WIDTHS[1]:
        return np.asarray(above_level)  # too few points a day to have a time of day

    half = max(1, per_day // 48)
    peaks = sliding_window_view(np.pad(smooth, half, mode="edge"), 2 * half + 1).max(axis=1)
    seasoned = 2 * per_day
    if count <= seasoned:
        return np.asarray(above_level - _UNSEASONED)
    before = np.full((DAYS, count - seasoned), np.nan)
    for day in range(1, DAYS + 1):
        first = max(seasoned, day * per_day)
        if first < count:
            # Reaches half a window past the same time of that day, which still lies before now.
            before[day - 1, first - seasoned :] = peaks[first - day * per_day : count - day * per_day]
    above_usual = smooth[seasoned:] - np.nanmedian(before, axis=0)
    return np.concatenate((above_level[:seasoned] - _UNSEASONED, np.minimum(above_level[seasoned:], above_usual)))


def _tail(excess: Floats, start: int, per_day: int) -> Floats:
    """How far out in the tail of past excesses each one lies, in mean exceedances above the threshold."""
    import numpy as np

    out = np.zeros(len(excess))
    memory = max(DAYS * per_day, 10 * _MIN_POINTS)
    for begin in range(start, len(excess), _REFRESH):
        past = excess[max(0, begin - memory) : begin]
        threshold = max(0.0, float(np.quantile(past, _QUANTILE)))
        above = past[past > threshold] - threshold
        scale = max(float(above.mean()) if above.size else 0.0, _MIN_SCALE)
        now = slice(begin, begin + _REFRESH)
        out[now] = np.maximum(0.0, (excess[now] - threshold) / scale)
    return out


def _once(surprise: Floats, slots: NDArray[np.int64], per_day: int) -> Floats:
    """Keep what exceeds the last peak by half; the peak's claim halves every day."""
    import numpy as np

    out = np.zeros(len(surprise))
    peak, at = 0.0, 0
    for i, (value, slot) in enumerate(zip(surprise.tolist(), slots.tolist(), strict=True)):
        if value > 0 and value > peak * _MARGIN * 0.5 ** ((slot - at) / per_day):
            out[i] = value
            peak, at = value, slot
    return out
