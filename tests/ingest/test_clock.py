"""The clocks: UTC, monotonic, and a wait that a stop event ends."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from ingest.clock import BEIJING, ManualClock, SystemClock


def test_the_machines_clock_is_utc_and_its_wait_ends_when_told_to() -> None:
    clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=5)
    stop = threading.Event()
    assert clock.wait(0.01, stop) is False
    threading.Timer(0.05, stop.set).start()
    started = time.monotonic()
    assert clock.wait(30, stop) is True
    assert time.monotonic() - started < 10
    assert clock.monotonic() <= clock.monotonic()


def test_the_manual_clock_moves_only_when_moved() -> None:
    clock = ManualClock()
    start = clock.now()
    assert (clock.now(), clock.monotonic()) == (start, 0.0)
    clock.advance(90)
    assert (clock.now() - start, clock.monotonic()) == (timedelta(seconds=90), 90.0)
    clock.jump(start - timedelta(days=400))
    assert (clock.now(), clock.monotonic()) == (start - timedelta(days=400), 90.0)


def test_the_manual_clock_waits_by_moving() -> None:
    clock, stop = ManualClock(), threading.Event()
    assert clock.wait(5, stop) is False
    stop.set()
    assert clock.wait(7, stop) is True
    assert (clock.waits, clock.monotonic()) == ([5], 5.0)


def test_beijing_is_eight_hours_ahead_all_year() -> None:
    for month in (1, 7):
        assert datetime(2026, month, 1, tzinfo=BEIJING).utcoffset() == timedelta(hours=8)
