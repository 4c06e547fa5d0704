"""What only reads the state database waits for no writer: the page is there while a stage writes, and the other way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from shengwen.home import Home
from shengwen.lease import holder
from shengwen.rooms import Rooms

READS: dict[str, Callable[[Rooms], object]] = {
    "alerts": lambda rooms: rooms.reader.alerts(),
    "tickets": lambda rooms: rooms.reader.tickets(now=rooms.clock.now()),
    "deliveries": lambda rooms: rooms.reader.deliveries(),
    "corrections": lambda rooms: rooms.corrections.get(["jd:review:1"]),
    "copies": lambda rooms: rooms.copies.counts(),
    "lease": lambda rooms: holder(rooms.engine),
}


@pytest.mark.parametrize("what", READS)
def test_a_reader_waits_for_no_writer(tmp_path: Path, what: str) -> None:
    with Rooms(Home(tmp_path / "home")) as rooms:
        READS[what](rooms)
        with rooms.engine.begin() as writing:
            writing.execute(text("UPDATE leases SET until = until"))
            # Who takes the lock to read gives up after the busy time-out, half a minute, with an error.
            READS[what](rooms)
