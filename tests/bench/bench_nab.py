"""The Numenta Anomaly Benchmark's own scorer (standard profile) over labelled series, with an optimised threshold.

    python -m tests.bench.bench_nab --data DIR [--threshold 0.5]

DIR holds ``*.csv`` (timestamp,value) and ``windows.json``. "left out" chooses the threshold on the other series, which
is how well it does on a series it was not tuned on.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from alerts.series import score_series

FALSE_POSITIVE = 0.11
PROBATION = 0.15
PROBATION_ROWS = 750


@dataclass(frozen=True)
class Series:
    """A labelled series: for each row the anomaly window it lies in (or -1) and what a detection there is worth."""

    timestamps: Sequence[datetime]
    values: Sequence[float]
    window: Sequence[int]
    worth: Sequence[float]
    windows: int

    @property
    def probation(self) -> int:
        return min(int(PROBATION * len(self.values)), PROBATION_ROWS)


def sigmoid(position: float) -> float:
    """NAB's scaled sigmoid: 1 far left of a window's end, -1 far right of it."""
    return -1.0 if position > 3 else 2 / (1 + math.exp(5 * position)) - 1


def label(
    timestamps: Sequence[datetime], values: Sequence[float], spans: Sequence[tuple[datetime, datetime]]
) -> Series:
    rows: list[tuple[int, int]] = []
    window = [-1] * len(timestamps)
    for number, (begin, end) in enumerate(sorted(spans)):
        inside = [i for i, moment in enumerate(timestamps) if begin <= moment <= end]
        rows.append((inside[0], inside[-1]))
        for i in inside:
            window[i] = number
    worth: list[float] = []
    for i, number in enumerate(window):
        if number >= 0:
            left, right = rows[number]
            worth.append(sigmoid(-(right - i + 1) / (right - left + 1)) / sigmoid(-1.0))
            continue
        before = [span for span in rows if span[1] < i]
        if before:
            left, right = before[-1]
            worth.append(FALSE_POSITIVE * sigmoid((i - right) / max(1, right - left)))
        else:
            worth.append(-FALSE_POSITIVE)
    return Series(timestamps, values, window, worth, len(rows))


def raw_score(series: Series, scores: Sequence[float], threshold: float) -> tuple[float, int, int]:
    """(raw score, windows found, false positives); only the first detection in a window counts."""
    total, found, wrong = 0.0, set[int](), 0
    for i in range(series.probation, len(scores)):
        if scores[i] < threshold:
            continue
        number = series.window[i]
        if number < 0:
            total += series.worth[i]
            wrong += 1
        elif number not in found:
            found.add(number)
            total += series.worth[i]
    return total - (series.windows - len(found)), len(found), wrong


def normalised(raw: float, windows: int) -> float:
    """0 is a detector that says nothing, 100 a perfect one."""
    return 100 * (raw + windows) / (2 * windows)


def optimise(all_series: Mapping[str, Series], scores: Mapping[str, Sequence[float]]) -> float:
    """The threshold with the highest score over these series."""
    candidates = sorted({round(s, 3) for name in all_series for s in scores[name] if s > 0}) or [1.0]
    return max(candidates, key=lambda t: sum(raw_score(all_series[n], scores[n], t)[0] for n in all_series))


def load(folder: Path) -> dict[str, Series]:
    spans = json.loads((folder / "windows.json").read_text())
    found = {}
    for name, windows in spans.items():
        with (folder / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        found[name] = label(
            [datetime.fromisoformat(row["timestamp"]) for row in rows],
            [float(row["value"]) for row in rows],
            [(datetime.fromisoformat(begin), datetime.fromisoformat(end)) for begin, end in windows],
        )
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--data", type=Path)
    options.add_argument("--threshold", type=float, help="instead of the best one")
    chosen = options.parse_args()
    console = Console()
    if chosen.data is None:
        console.print("give the folder with the labelled series: --data DIR")
        return
    all_series = load(chosen.data)
    started = time.perf_counter()
    scores = {name: score_series(series.timestamps, series.values) for name, series in all_series.items()}
    seconds = time.perf_counter() - started
    threshold = chosen.threshold if chosen.threshold is not None else optimise(all_series, scores)
    table = Table("series", "windows", "found", "false positives", "score", "left out")
    raws, blind, windows = 0.0, 0.0, 0
    for name, series in all_series.items():
        raw, found, wrong = raw_score(series, scores[name], threshold)
        others = {n: s for n, s in all_series.items() if n != name}
        apart = raw_score(series, scores[name], optimise(others, scores) if others else threshold)[0]
        raws, blind, windows = raws + raw, blind + apart, windows + series.windows
        table.add_row(
            name,
            str(series.windows),
            str(found),
            str(wrong),
            f"{normalised(raw, series.windows):.1f}",
            f"{normalised(apart, series.windows):.1f}",
        )
    table.add_row("all", str(windows), "", "", f"{normalised(raws, windows):.1f}", f"{normalised(blind, windows):.1f}")
    console.print(table)
    console.print(f"threshold {threshold:.3f}; {seconds / len(all_series):.1f} s a series")


if __name__ == "__main__":
    main()
