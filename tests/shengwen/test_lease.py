"""The lease: one process holds it, whatever dies, hangs or jumps; on SQLite and on PostgreSQL."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ingest.clock import ManualClock, SystemClock
from ingest.errors import ShengwenError
from ingest.state import make_engine
from shengwen.lease import Lease, holder
from shengwen.runner import repeat
from tests.processes import KILLED, Nursery, wait_until

SHORT = 3.0
"""Seconds of a test's lease; the product's is longer, and takeover in proportion."""


class Skewed(SystemClock):
    """A machine whose wall clock is wrong."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return super().now() + self._by


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    made = make_engine(state_url)
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery(["tests.shengwen.test_lease"]) as opened:
        yield opened


def test_one_of_several_has_it_until_it_is_given_back(engine: Engine) -> None:
    with Lease(engine, SystemClock(), owner="first") as first, Lease(engine, SystemClock(), owner="second") as second:
        assert (first.held(), second.held()) == (True, False)
        found = holder(engine)
        assert found is not None
        assert found.owner == "first"
        assert timedelta(0) < found.until - datetime.now(UTC) <= timedelta(seconds=10.5)
        first.release()
        first.release()
        assert not first.held()
        assert second.try_once()
    assert holder(engine) is None


def test_leases_of_other_names_are_others(engine: Engine) -> None:
    with Lease(engine, SystemClock(), "a") as one, Lease(engine, SystemClock(), "b") as other:
        assert one.held()
        assert other.held()


def test_it_is_kept_while_its_holder_lives_and_taken_soon_after(engine: Engine) -> None:
    with Lease(engine, SystemClock(), seconds=SHORT) as other, Lease(engine, SystemClock(), seconds=SHORT):
        assert other.held(), "who asked first has it"
        until = time.monotonic() + 2 * SHORT
        while time.monotonic() < until:
            assert other.held()
            time.sleep(0.05)


def test_the_same_owner_goes_on_at_once_after_a_crash(engine: Engine) -> None:
    died = Lease(engine, SystemClock(), owner="machine:/home")
    assert died.try_once()
    assert not Lease(engine, SystemClock(), owner="another").try_once()
    assert Lease(engine, SystemClock(), owner="machine:/home").try_once()


def test_its_holder_stops_believing_before_anybody_else_may_have_it(engine: Engine) -> None:
    clock = ManualClock()
    lease = Lease(engine, clock, seconds=30)
    assert lease.try_once()
    clock.advance(29.9)
    assert lease.holds
    clock.advance(0.2)
    assert not lease.holds
    assert lease.try_once(), "nobody took it meanwhile"


@pytest.mark.parametrize("skew", [timedelta(hours=1), timedelta(hours=-1), timedelta(days=400)])
def test_clients_clocks_are_not_asked(engine: Engine, skew: timedelta) -> None:
    right, wrong = Lease(engine, SystemClock(), owner="right"), Lease(engine, Skewed(skew), owner="wrong")
    assert right.try_once()
    assert not wrong.try_once(), "an hour ahead, and the lease still is the other's"
    right._give_back()
    assert wrong.try_once()
    assert not right.try_once()
    found = holder(engine)
    assert found is not None
    assert abs(found.until - datetime.now(UTC)) < timedelta(seconds=15), "told by the database's clock"


def test_a_clients_clock_that_jumps_changes_nothing(engine: Engine) -> None:
    clock = ManualClock()
    lease = Lease(engine, clock)
    assert lease.try_once()
    for jump in (timedelta(hours=1), timedelta(hours=-2), timedelta(days=400)):
        clock.jump(clock.now() + jump)
        assert lease.holds
        assert lease.try_once()
        assert not Lease(engine, clock).try_once()


def test_an_end_told_by_a_database_clock_that_was_set_back_binds_nobody(engine: Engine) -> None:
    assert Lease(engine, SystemClock()).try_once()
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET until = until + 3600000"))
    assert Lease(engine, SystemClock()).try_once()


def test_a_database_that_fails_is_no_lease_and_no_end(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE leases RENAME TO elsewhere"))
    with caplog.at_level(logging.WARNING), Lease(engine, SystemClock(), seconds=SHORT) as lease:
        assert not lease.held()
        with pytest.raises(ShengwenError):
            lease.try_once()
        assert "could not be renewed" in caplog.text
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO leases"))
        wait_until(lease.held, what="the lease")


def work_under_lease(url: str, name: str, file: str, seconds: float) -> None:
    """In a process of its own: what the service does by the clock, a line in ``file`` standing for a tick."""
    engine = make_engine(url)
    lease = Lease(engine, Skewed(timedelta(hours=len(name))), owner=name, seconds=seconds)

    def tick() -> None:
        if lease.held():
            with Path(file).open("a", encoding="utf-8") as out:
                out.write(f"{time.monotonic()} {name}\n")

    class Rooms:
        clock = SystemClock()

    repeat(tick, 0.05, threading.Event(), Rooms(), "tick")  # type: ignore[arg-type]


def told(file: Path) -> list[tuple[float, str]]:
    """(when, by whom) of every tick."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    return [(float(when), who) for when, _, who in (line.partition(" ") for line in lines)]


def test_of_three_processes_one_ticks_and_another_takes_over_after_kill_9(
    state_url: str, tmp_path: Path, nursery: Nursery
) -> None:
    file = tmp_path / "ticks"
    names = ["a", "bb", "ccc"]  # each an hour further ahead than the one before
    children = {name: nursery.start(work_under_lease, state_url, name, str(file), SHORT) for name in names}
    died: list[tuple[str, float]] = []
    for _ in range(2):
        gone = {name for name, _ in died}
        wait_until(lambda gone=gone: told(file) and told(file)[-1][1] not in gone, 10 * SHORT, "a tick")  # type: ignore[misc]
        time.sleep(SHORT)
        one = told(file)[-1][1]
        children[one].signal(signal.SIGKILL)
        died.append((one, time.monotonic()))
        assert children.pop(one).wait() == KILLED
    (last,) = children
    wait_until(lambda: told(file)[-1][1] == last, 10 * SHORT, "the last one's turn")
    children[last].signal(signal.SIGKILL)
    children[last].wait()
    ticks = told(file)
    order = [who for index, (_, who) in enumerate(ticks) if index == 0 or ticks[index - 1][1] != who]
    assert order == [died[0][0], died[1][0], last], "never two at once"
    for (who, at), successor in zip(died, (died[1][0], last), strict=True):
        first = min(when for when, name in ticks if name == successor)
        assert first - at < SHORT * 1.25 + 5, f"after {who}"


def test_a_holder_that_was_stopped_for_long_does_not_go_on_as_one(
    state_url: str, tmp_path: Path, nursery: Nursery
) -> None:
    file = tmp_path / "ticks"
    first = nursery.start(work_under_lease, state_url, "a", str(file), SHORT)
    wait_until(lambda: told(file), what="a tick")
    first.signal(signal.SIGSTOP)
    second = nursery.start(work_under_lease, state_url, "bb", str(file), SHORT)
    wait_until(lambda: told(file)[-1][1] == "bb", 10 * SHORT, "the successor")
    taken = len(told(file))
    first.signal(signal.SIGCONT)
    time.sleep(2 * SHORT)
    after = [who for _, who in told(file)[taken:]]
    assert set(after) == {"bb"}
    for child in (first, second):
        child.signal(signal.SIGKILL)
        child.wait()


def test_the_products_lease_is_taken_over_within_fifteen_seconds() -> None:
    from shengwen.lease import _RENEWALS, SECONDS

    assert SECONDS + SECONDS / _RENEWALS < 15
