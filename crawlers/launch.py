"""Starting a run as a child process and reading how it ended. Blocks: call it from a worker thread."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from pydantic import ValidationError

from crawlers.config import Platform
from crawlers.run import Job, Report

GRACE: Final = 30.0
"""Seconds between SIGTERM and SIGKILL: enough to close a browser and write the end of the run."""
_STEP: Final = 0.1
_TAIL: Final = 4000


class Stop(Protocol):
    """Tells that a run shall finish early: a ``threading.Event``, for one."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class RunReport:
    """A finished run. ``report`` is None when the child died before it could write one; ``log_tail`` says why.

    ``timed_out``: it was ended because it took too long (its report is there all the same when it ended cleanly).
    """

    platform: Platform
    exit_code: int
    report: Report | None
    log_tail: str
    timed_out: bool = False

    @property
    def status(self) -> str:
        """complete, partial, stopped or failed."""
        return self.report.status if self.report else "failed"


def run_spider(
    platform: Platform, job: Job, timeout: float, *, stop: Stop | None = None, grace: float = GRACE
) -> RunReport:
    """Run one platform's spider and wait for it.

    After ``timeout`` seconds, or when ``stop`` is set, it is asked to finish; ``grace`` seconds later it and its
    browser are killed (which loses nothing: the next run goes on).
    """
    with tempfile.TemporaryDirectory(prefix="shengwen-job-") as folder:
        config = Path(folder) / "job.json"
        out, err = Path(folder) / "out", Path(folder) / "err"
        config.touch(mode=0o600)  # the APIs' secrets; the state URL and Kafka's settings may hold a password
        config.write_text(job.to_json(), encoding="utf-8")
        with out.open("wb") as stdout, err.open("wb") as stderr:
            # A group of its own: a Ctrl-C on the service must not reach the browser before the spider is done.
            child = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "crawlers.run", "--config", str(config), platform],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            timed_out = _wait(child, timeout, stop, grace)
        lines = out.read_bytes().splitlines()
        tail = err.read_bytes()[-_TAIL:].decode("utf-8", "replace")
    return RunReport(platform, child.returncode, _report(lines), tail, timed_out)


def _wait(child: subprocess.Popen[bytes], timeout: float, stop: Stop | None, grace: float) -> bool:
    """Wait for the child's end; True when it took too long."""
    deadline = time.monotonic() + timeout
    timed_out = False
    try:
        while child.poll() is None:
            timed_out = time.monotonic() >= deadline
            if timed_out or (stop is not None and stop.is_set()):
                child.terminate()
                child.wait(grace)
            else:
                _nap(child)
    except subprocess.TimeoutExpired:
        timed_out = True
    finally:
        _kill_group(child)
    return timed_out


def _nap(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(_STEP)


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """Whatever the child left behind (a browser, when it was killed) goes with it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nothing was left
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _report(lines: list[bytes]) -> Report | None:
    try:
        return Report.model_validate_json(lines[-1]) if lines else None
    except ValidationError:
        return None


__all__ = ["RunReport", "run_spider"]
