"""What is done by the clock beside the stages: the alert tick, delivery, trimming the log and the fingerprints.

Delivery may be shared by any number of processes. The tick (spikes, deadlines, reminders) and trimming are done by the
one process that holds the lease; the others stand by.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from shengwen.lease import SCHEDULER, Lease
from shengwen.runner import repeat
from shengwen.stages import STAGES

if TYPE_CHECKING:
    from ingest.stage import StageHealth
    from shengwen.rooms import Rooms

TRIM_EVERY: Final = 3600.0
DISPATCH_EVERY: Final = 1.0


class Chores:
    """Threads that end when ``stop`` is set. ``owner``: see :class:`Lease`."""

    def __init__(self, rooms: Rooms, stop: threading.Event, owner: str | None = None) -> None:
        self._rooms = rooms
        self._stop = stop
        self._lease = Lease(rooms.engine, rooms.clock, SCHEDULER, owner=owner)
        self._trimmed: float | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        every = self._rooms.settings.schedule.tick_every
        alerting = self._rooms.alerting
        self._every("clock", self._once_only, every)
        self._every("dispatch", lambda: alerting.dispatch(self._stop), min(DISPATCH_EVERY, every))

    def stop(self) -> None:
        """Wait for what is in hand, then let another process have the lease."""
        for thread in self._threads:
            thread.join()
        self._lease.release()

    def health(self) -> Mapping[str, StageHealth]:
        """No stage."""
        return {}

    def problem(self) -> Exception | None:
        """What fails here is tried again."""
        return None

    def notes(self) -> Mapping[str, str]:
        """Whether this process is the one that does what only one may do."""
        return {SCHEDULER: "holds" if self._lease.holds else "stands by"}

    def _every(self, name: str, action: Callable[[], object], seconds: float) -> None:
        thread = threading.Thread(target=repeat, args=(action, seconds, self._stop, self._rooms, name), name=name)
        thread.start()
        self._threads.append(thread)

    def _once_only(self) -> None:
        if not self._lease.held():
            return
        self._rooms.alerting.tick()
        now = self._rooms.clock.monotonic()
        if self._trimmed is None or now - self._trimmed >= TRIM_EVERY:
            self._trimmed = now
            self._trim()

    def _trim(self) -> None:
        before = self._rooms.clock.now() - timedelta(days=self._rooms.settings.schedule.log_days)
        for topic in set(STAGES.values()):
            self._rooms.log.trim(topic, before)
        self._rooms.copies.prune()
