"""What the three servers share: where downloads are kept, what a missing one means, a process to stop and to break."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

PORTS: Final = range(12_000, 32_000)
NOT_PROVED: dict[str, str] = {}
"""Server -> why nothing was proved on it in this run; told in the summary (``tests/conftest.py``)."""


def cache_folder() -> Path:
    """Downloads are kept here, outside the tree (``SHENGWEN_TEST_CACHE`` names another place)."""
    chosen = os.environ.get("SHENGWEN_TEST_CACHE")
    folder = Path(chosen) if chosen else Path.home() / ".cache" / "shengwen-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def missing(server: str, reason: str, *, optional: bool = False) -> NoReturn:
    """The server cannot be started here: a skip for a developer, a failure in CI unless it is ``optional``."""
    NOT_PROVED[server] = reason
    if os.environ.get("CI") == "true" and not optional:
        pytest.fail(f"{server}: {reason}", pytrace=False)
    pytest.skip(f"{server}: {reason}")


def maven(server: str, *arguments: str, folder: Path) -> None:
    """Fetch by Maven in ``folder``; asked again when the repository breaks off."""
    program = shutil.which("mvn")
    if program is None:
        missing(server, "no Maven (mvn) on the PATH to fetch it with")
    said = ""
    for wait in (0, 5, 20):
        time.sleep(wait)
        try:
            subprocess.run(
                [program, "-q", "-B", *arguments],
                cwd=folder, check=True, capture_output=True, text=True, timeout=600, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.CalledProcessError as error:
            said = (error.stdout + error.stderr)[-500:]
        except subprocess.TimeoutExpired:
            missing(server, "Maven did not fetch it within ten minutes")
        else:
            return
    missing(server, f"Maven could not fetch it: {said}")


def java(at_least: int) -> Path | None:
    """The folder of a Java of this version or later (JAVA_HOME, the usual folder, the PATH): the oldest that fits."""
    folders = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    folders += sorted(Path("/usr/lib/jvm").glob("*"))
    if found := shutil.which("java"):
        folders.append(Path(found).resolve().parents[1])
    fit = [(version, home) for home in folders if (version := _version(home)) >= at_least]
    return min(fit)[1] if fit else None


def _version(home: Path) -> int:
    try:
        said = subprocess.run(
            [home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=20, check=True
        ).stderr
        return int(said.split('"')[1].split(".")[0])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError):
        return 0


def free_port() -> int:
    """A port below those that the kernel gives to whoever connects: a server that was killed finds it free again.

    (Linux gives 32768 to 60999. A client that asks for a dead server's port among them may even reach itself.)
    Every caller on the machine takes the next one: two suites side by side never choose the same.
    """
    with (Path(tempfile.gettempdir()) / f"shengwen-test-port-{os.getuid()}").open("a+") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        port = int(turn.read() or PORTS.start)
        for _ in PORTS:
            port = port + 1 if port + 1 in PORTS else PORTS.start
            with socket.socket() as sock, contextlib.suppress(OSError):
                sock.bind(("127.0.0.1", port))
                turn.truncate(0)
                turn.write(str(port))
                return port
    raise OSError(f"no port from {PORTS.start} to {PORTS.stop} is free")


def unprivileged() -> dict[str, Any]:
    """Arguments for ``subprocess`` that run a server as nobody where the tests run as root (servers refuse root)."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def give_away(folder: Path) -> None:
    """Make a folder the unprivileged user's own."""
    if os.geteuid() != 0:
        return
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *folder.rglob("*")):
        os.chown(path, nobody.pw_uid, nobody.pw_gid, follow_symlinks=False)


def scratch(server: str) -> Path:
    """A new folder that every user may pass through (pytest's are closed to others)."""
    folder = Path(tempfile.mkdtemp(prefix=f"shengwen-{server}-"))
    folder.chmod(0o755)
    return folder


class ServerProcess:
    """One server's process and all its children, in a group of their own. Its output goes to ``log``."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        answers: Callable[[], bool],
        *,
        env: Mapping[str, str] | None = None,
        up_within: float = 90.0,
        **options: Any,
    ) -> None:
        self._command = [str(part) for part in command]
        self._log = log
        self._answers = answers
        self._env = {**os.environ, **(env or {})}
        self._within = up_within
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Returns when the server answers; fails with the end of its log when it does not."""
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._env,
                start_new_session=True, **self._options,
            )  # fmt: skip
        deadline = time.monotonic() + self._within
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{self._command[0]} does not answer:\n{self._tail()}", pytrace=False)
            time.sleep(0.1)

    def stop(self, seconds: float = 30.0) -> None:
        """An orderly end; SIGKILL when it takes too long. Idempotent."""
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """``kill -9``, the whole group."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: alive, connections open, no answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _tail(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:] if self._log.exists() else ""
