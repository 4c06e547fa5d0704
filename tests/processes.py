"""Real processes for tests that kill them, without paying an interpreter's start for each.

A :class:`Nursery` is one small Python process without threads that forks a child for every call it is asked for;
a child is an ordinary process: it has a pid, may be killed with SIGKILL, and leaves nothing behind but its files.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

ROOT = Path(__file__).resolve().parents[1]
PRELOAD = ("ingest.stage", "ingest.log.sqlite", "ingest.privacy", "tests.factories")
KILLED = -signal.SIGKILL
PATIENCE = 3


class Child:
    """A forked child, from its parent's parent's point of view."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self._nursery = nursery

    def signal(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; a child that already ended is not reaped before :meth:`wait`, so the pid is its own."""
        os.kill(self.pid, number)

    def wait(self, seconds: float = 60.0) -> int:
        """The exit code, negative for a signal. Fails when the child is still running after ``seconds``."""
        return int(self._nursery.ask({"wait": self.pid, "seconds": seconds * PATIENCE}))


class Nursery:
    """Forks children that run ``module:function`` with JSON arguments; ``preload`` names more modules to share."""

    open_now: ClassVar[set[int]] = set()
    """Pids of nurseries that a fixture will still close: no leaks."""

    def __init__(self, preload: Sequence[str] = ()) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.processes", *preload],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.open_now.add(self._process.pid)

    def ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer["ok"]

    def start(self, function: Callable[..., object], *arguments: Any) -> Child:
        """Run a module-level function in a child of its own. It ends with 0, or 1 and a trace on stderr."""
        call = {"module": function.__module__, "function": function.__name__, "arguments": arguments}
        return Child(self, int(self.ask(call)))

    def close(self) -> None:
        self._process.communicate(timeout=20)  # the end of its input tells it to end its children
        self.open_now.discard(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def wait_until(true: Callable[[], object], seconds: float = 20.0, what: str = "it") -> None:
    """Wait for something that another process or thread brings about; fail loudly when it does not come.

    ``seconds`` are a quiet machine's: a busy one gets :data:`PATIENCE` times as many.
    """
    deadline = time.monotonic() + seconds * PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds * PATIENCE} s"
        time.sleep(0.005)


def _child(call: dict[str, Any]) -> int:
    os.dup2(2, 1)  # a stray print must not be taken for the nursery's answer
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.close(0)
        function = getattr(importlib.import_module(call["module"]), call["function"])
        function(*call["arguments"])
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _reap(pid: int, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} is still running after {seconds} s")
        time.sleep(0.002)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    for name in (*PRELOAD, *sys.argv[1:]):
        importlib.import_module(name)
    alive: set[int] = set()
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any]
        try:
            if "wait" in request:
                answer = {"ok": _reap(request["wait"], request["seconds"])}
                alive.discard(request["wait"])
            else:
                pid = _child(request)
                alive.add(pid)
                answer = {"ok": pid}
        except (OSError, TimeoutError) as error:
            answer = {"error": repr(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
