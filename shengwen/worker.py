"""The life of one process of the service: open what it needs, work, beat, end in bounded time.

Exit codes: 0 it was told to end and did; :data:`EXIT_PERMANENT` it cannot go on without a person;
128 + signal it was told twice, or did not come to its end in time. What it had not
committed comes again: a forced end loses nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Final, Protocol

import click

from ingest.errors import Permanent, Retryable, ShengwenError
from ingest.stage import StageHealth
from shengwen.heartbeat import BEAT_EVERY, Heartbeat
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import Settings

logger = logging.getLogger(__name__)

EXIT_PERMANENT: Final = 78
"""EX_CONFIG of sysexits.h: for ``RestartPreventExitStatus=``."""
STOP_WITHIN: Final = 15.0
"""Seconds between the first SIGTERM and a forced end."""
LOOK_EVERY: Final = 0.2
OPEN_AGAIN: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between attempts to open the stores; the last one again and again."""


class Part(Protocol):
    """What runs in threads of its own between ``start`` and ``stop``; ``stop`` blocks, and may come without a start."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def health(self) -> Mapping[str, StageHealth]:
        """By stage name; empty for what is no stage."""
        ...

    def notes(self) -> Mapping[str, str]:
        """What else a person may want to know, by name."""
        ...

    def problem(self) -> Exception | None:
        """Why it cannot go on without a person."""
        ...


Make = Callable[[Rooms, threading.Event], Sequence[Part]]
"""Builds the parts of a process; raises Retryable when a server is not there yet."""


def on_signals() -> threading.Event:
    """The first SIGINT or SIGTERM asks to finish, a second one ends at once: everything accepted is on disk anyway."""
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop


class Worker:
    """Runs the parts of one process. The main thread only watches, so a part that hangs cannot keep it from ending."""

    def __init__(
        self,
        home: Home,
        role: str,
        make: Make,
        settings: Settings | None = None,
        *,
        stop_within: float | None = None,
    ) -> None:
        self._home = home
        self._stop_within = STOP_WITHIN if stop_within is None else stop_within
        self._role = role
        self._make = make
        self._settings = settings
        self._parts: Sequence[Part] = ()
        self._state = "starting"
        self._waits_for = ""
        self._told: dict[str, str] = {}
        """By who waits (the process, a stage), the reason that was last said on stderr."""
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def run(self, greet: Callable[[], None]) -> int:
        """Work until SIGTERM or until it cannot go on; the exit code. Raises what opening raises, but for Retryable.

        ``greet`` is called when all parts have started.
        """
        stop = on_signals()
        leave = threading.Event()
        """Set when the parts shall end, for whichever reason."""
        with Heartbeat(self._home, self._role) as heart:
            body = threading.Thread(target=self._live, args=(leave, greet), name=self._role, daemon=True)
            body.start()
            beaten, told = 0.0, ""
            while not stop.wait(LOOK_EVERY) and not self._ended.is_set() and self._problem() is None:
                if self._state != told or time.monotonic() - beaten >= BEAT_EVERY:
                    beaten, told = time.monotonic(), self._state
                    self._beat(heart)
            problem = self._problem()
            leave.set()
            if stop.is_set():
                click.echo("正在收尾……", err=True)
            self._state = "stopping"
            if not self._wait_for_end(heart):
                logger.error("%s did not end within %.0f s, left as it is", self._role, self._stop_within)
                click.echo("没有按时收尾，直接退出；没有提交的会重做，不会丢", err=True)
                os._exit(EXIT_PERMANENT if problem else 128 + signal.SIGTERM)
        if self._error is not None:
            raise self._error
        if problem is not None:
            click.echo(f"错误：{self._role} 停下了，要人处理：{problem}", err=True)
            return EXIT_PERMANENT
        return 0

    def _wait_for_end(self, heart: Heartbeat) -> bool:
        deadline = time.monotonic() + self._stop_within
        while (left := deadline - time.monotonic()) > 0:
            if self._ended.wait(min(left, BEAT_EVERY)):
                return True
            self._beat(heart)
        return False

    def _live(self, leave: threading.Event, greet: Callable[[], None]) -> None:
        try:
            with ExitStack() as stack:
                rooms = self._opened(leave, stack)
                if rooms is None:
                    return
                for part in self._parts:
                    # Before its start: what has begun to start must be stopped, too.
                    stack.callback(part.stop)
                    part.start()
                self._state = "running"
                greet()
                leave.wait()
        except BaseException as error:
            self._error = error
        finally:
            self._ended.set()

    def _opened(self, leave: threading.Event, stack: ExitStack) -> Rooms | None:
        """The rooms and parts; None when told to end before that. A server that is not there yet is waited for."""
        attempt = 0
        while not leave.is_set():
            rooms = Rooms(self._home, self._settings)
            try:
                self._parts = self._make(rooms, leave)
            except Retryable as error:
                rooms.close()
                self._state, self._waits_for = "waiting", str(error)
                wait = OPEN_AGAIN[min(attempt, len(OPEN_AGAIN) - 1)]
                attempt += 1
                logger.warning("%s cannot begin yet: %s; again in %.0f s", self._role, error, wait)
                self._say(self._role, str(error))
                leave.wait(wait)
            except BaseException:
                rooms.close()
                raise
            else:
                self._waits_for = ""
                stack.callback(rooms.close)
                return rooms
        return None

    def _say(self, who: str, reason: str) -> None:
        """Once for each reason: who starts it sees what is wrong without asking for the log."""
        if self._told.get(who) != reason:
            self._told[who] = reason
            click.echo(f"{who} 在等：{reason}；会一直自动再试", err=True)

    def _problem(self) -> Exception | None:
        return next((problem for part in self._parts if (problem := part.problem()) is not None), None)

    def _beat(self, heart: Heartbeat) -> None:
        stages: dict[str, Any] = {}
        notes: dict[str, str] = {}
        for part in self._parts:
            notes |= part.notes()
            for name, health in part.health().items():
                stages[name] = {
                    "state": health.state,
                    "records": health.records,
                    "rejected": health.rejected,
                    "retries": health.retries,
                }
                if health.state == "retrying":
                    stages[name]["reason"] = health.last_error
                    self._say(name, health.last_error)
        heart.beat(self._state, waits_for=self._waits_for, stages=stages, notes=notes)


def run(worker: Worker, greet: Callable[[], None]) -> None:
    """Run a worker to its end as a command does: raises SystemExit with its code unless that is 0.

    ``greet`` is called when all parts have started.
    """
    try:
        code = worker.run(greet)
    except Permanent as error:
        click.echo(f"错误：{error}", err=True)
        code = EXIT_PERMANENT
    except ShengwenError as error:
        click.echo(f"错误：{error}", err=True)
        code = 1
    if code:
        raise SystemExit(code)


__all__ = ["EXIT_PERMANENT", "STOP_WITHIN", "Part", "Worker", "on_signals", "run"]
