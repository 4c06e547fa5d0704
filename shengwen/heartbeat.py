"""A process says that it lives and what it does, in a file of the home; ``shengwen health`` reads it.

The file is locked by its process, so one whose process was killed is told from one that is merely late.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, Self

from ingest.errors import ConfigError
from shengwen.home import Home

BEAT_EVERY: Final = 2.0
STALE_AFTER: Final = 30.0
"""Seconds without a beat after which a process counts as hanging."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What one process last said. ``age``: seconds since then; ``alive``: its process still runs."""

    role: str
    pid: int
    host: str
    ok: bool
    state: str
    age: float
    alive: bool
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        return self.alive and self.ok and self.age <= STALE_AFTER


class Heartbeat:
    """One process's file. Beats of processes of the same role that were killed are swept away at the start."""

    def __init__(self, home: Home, role: str) -> None:
        self._folder = home.ensure().beats
        self._role = role
        self._host = socket.gethostname()
        self._path = self._folder / f"{role}.{self._host}.{os.getpid()}.json"
        self._file: IO[str] | None = None

    def beat(self, state: str, *, ok: bool = True, **details: Any) -> None:
        """Say it now. A full disk is no reason to stop working: then the file gets old, which says enough."""
        if self._file is None:
            return
        told = {
            "role": self._role, "pid": os.getpid(), "host": self._host, "ok": ok, "state": state,
            "at": time.time(), **details,
        }  # fmt: skip
        with suppress(OSError):
            self._file.seek(0)
            self._file.write(json.dumps(told, ensure_ascii=False) + "\n")  # what is behind the line is of an older beat
            self._file.truncate()
            self._file.flush()

    def __enter__(self) -> Self:
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            for path in self._folder.glob(f"{self._role}.{self._host}.*.json"):
                if not _held(path):
                    path.unlink(missing_ok=True)
            self._file = self._locked()
        except OSError as error:
            raise ConfigError(f"无法在 {self._folder} 写进程的状态：{error.strerror}") from error
        self.beat("starting")
        return self

    def _locked(self) -> IO[str]:
        while True:
            file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_SH)
            with suppress(OSError):
                if os.path.samestat(os.fstat(file.fileno()), self._path.stat()):
                    return file
            file.close()  # swept away by another one's start before it was locked

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


def beats(home: Home, role: str | None = None) -> list[Beat]:
    """What the home's processes (of one role) last said; a file that cannot be read says nothing and is left out."""
    found = []
    for path in sorted(home.beats.glob(f"{role or '*'}.*.json")):
        try:
            told = json.loads(path.read_text(encoding="utf-8").partition("\n")[0])
            found.append(
                Beat(
                    role=str(told.pop("role")),
                    pid=int(told.pop("pid")),
                    host=str(told.pop("host")),
                    ok=bool(told.pop("ok")),
                    state=str(told.pop("state")),
                    age=max(0.0, time.time() - path.stat().st_mtime),
                    alive=_held(path),
                    details=told,
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # it ended, or begins, in this moment
    return found


def _held(path: Path) -> bool:
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


__all__ = ["BEAT_EVERY", "STALE_AFTER", "Beat", "Heartbeat", "beats"]
