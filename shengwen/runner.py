"""Runs stages in threads: starts a stage again after what may pass, leaves it stopped after what needs a person."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from ingest.errors import Permanent, ShengwenError
from ingest.stage import Stage, StageHealth, StagePolicy
from shengwen.stages import build_stage

if TYPE_CHECKING:
    from shengwen.rooms import Rooms

logger = logging.getLogger(__name__)

RESTART_AFTER = 15.0
"""Seconds between a stage's giving up on something that may pass and its next start."""


class StageRunner:
    """Stages of one home in this process. Another process may run the same ones: a group's work is done once."""

    def __init__(
        self,
        rooms: Rooms,
        names: Iterable[str],
        policy: StagePolicy | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self._rooms = rooms
        self._stop = stop or threading.Event()
        self._stages = {name: build_stage(name, rooms, policy) for name in names}
        self._threads = [
            threading.Thread(target=self._run, args=(stage,), name=f"stage-{name}")
            for name, stage in self._stages.items()
        ]
        self.failed: dict[str, Exception] = {}

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Tell the stages to finish the batch in hand, and wait for it."""
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()

    def health(self) -> Mapping[str, StageHealth]:
        """Stage name -> its health."""
        return {name: stage.health for name, stage in self._stages.items()}

    def problem(self) -> Exception | None:
        """Why a stage cannot go on without a person."""
        return next(iter(self.failed.values()), None)

    def notes(self) -> Mapping[str, str]:
        """Nothing but the stages' health."""
        return {}

    def _run(self, stage: Stage) -> None:
        while not self._stop.is_set():
            try:
                stage.run(self._stop)
            except Permanent as error:
                logger.error("stage %s stopped and needs a person: %s", stage.name, error)
                self.failed[stage.name] = error
                return
            except Exception as error:
                logger.error(
                    "stage %s gave up for now, starts again in %.0f s: %s", stage.name, RESTART_AFTER, error,
                    exc_info=not isinstance(error, ShengwenError),
                )  # fmt: skip
                self._rooms.clock.wait(RESTART_AFTER, self._stop)


def repeat(action: Callable[[], object], every: float, stop: threading.Event, rooms: Rooms, name: str) -> None:
    """Call ``action`` every ``every`` seconds until stopped; a failure is logged and does not end it."""
    while not stop.is_set():
        try:
            action()
        except Exception as error:
            # A full disk comes here every second: what is known by name needs no trace.
            known = isinstance(error, ShengwenError)
            logger.error("%s failed, tried again in %.0f s: %s", name, every, error, exc_info=not known)
        rooms.clock.wait(every, stop)
