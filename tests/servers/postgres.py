"""A real PostgreSQL for tests: started when the first test asks for it, one database a test, stopped at the end.

Its collation is ICU's Chinese one, which sorts text unlike Python does: what leans on the server's order shows.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.processes import Nursery
from tests.servers.base import ServerProcess, free_port, give_away, missing, scratch, unprivileged

if TYPE_CHECKING:
    import psycopg

SETTINGS = (
    "fsync=off",  # no test pulls the plug: kill -9 of the server loses nothing that the kernel was given
    "full_page_writes=off",
    "max_connections=120",
    "shared_buffers=32MB",
    "autovacuum=off",
    "log_min_messages=warning",
)
TEMPLATE = "migrated"
_numbers = itertools.count(1)


class PostgresServer(ServerProcess):
    """One server; every child of its is a process group of its own, so signals go to each of them."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.port = port
        self.folder = folder
        command: list[str | Path] = [
            programs / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder,
            "-c", "listen_addresses=127.0.0.1",
        ]  # fmt: skip
        for setting in SETTINGS:
            command += ["-c", setting]
        super().__init__(command, folder / "server.log", self._ready, up_within=30, **unprivileged())

    def start(self) -> None:
        super().start()
        Nursery.open_now.add(self.pid)  # stopped by the session's fixture: no leak

    def stop(self, seconds: float = 30.0) -> None:
        """As ``pg_ctl stop -m fast``: clients are told to leave. Idempotent."""
        if self._process is None:
            return
        pid = self.pid
        self._signal(signal.SIGCONT)
        self._signal(signal.SIGINT)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None
        Nursery.open_now.discard(pid)

    def kill(self) -> None:
        """``kill -9`` of the server and of all its children."""
        if self._process is None:
            return
        pid, children = self.pid, self._children()
        self._signal(signal.SIGKILL)
        self._process.wait(30)
        self._process = None
        Nursery.open_now.discard(pid)
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{child}/stat").exists() for child in children) and time.monotonic() < deadline:
            time.sleep(0.01)

    def restart(self) -> None:
        """Stopped in order and started again, on the same port."""
        self.stop()
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://shengwen:not-asked-for@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        """A plain connection that commits each statement."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="shengwen", dbname=database, autocommit=True, connect_timeout=5
        )

    def make_template(self) -> None:
        """A database with our schema, to be copied."""
        from ingest.state import make_engine
        from shengwen.database import migrate

        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        engine = make_engine(self.url(TEMPLATE))
        migrate(engine)
        engine.dispose()

    @contextmanager
    def database(self, *, template: str = TEMPLATE) -> Iterator[str]:
        """A database of one's own, with our schema (``template="template1"``: empty); its URL."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.url(name)
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _children(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            for listing in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in listing.read_text().split()]
        return found[1:]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT):
            os.kill(self.pid, number)
            return
        children = self._children()
        for pid in (self.pid, *children):  # the server first, or it would start what is missing again
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it left by itself
                continue

    def _ready(self) -> bool:
        import psycopg

        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def programs() -> Path | None:
    """The folder with ``initdb`` and ``postgres``: Debian's newest, else the PATH's."""
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if debian:
        return max(debian, key=lambda path: int(path.parent.name) if path.parent.name.isdigit() else 0)
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A new server in a temporary folder; stopped and erased at the end."""
    found = programs()
    if found is None:
        missing("PostgreSQL", "initdb is neither in /usr/lib/postgresql/*/bin nor on the PATH")
    folder = scratch("postgres")
    try:
        give_away(folder)
        subprocess.run(
            [
                found / "initdb", "-D", folder / "data", "-A", "trust", "-U", "shengwen", "-E", "UTF8", "--no-sync",
                "--locale=C", "--locale-provider=icu", "--icu-locale=zh",
            ],
            check=True, capture_output=True, cwd=folder, timeout=120, **unprivileged(),
        )  # fmt: skip
        server = PostgresServer(found, folder, free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests share. A test that breaks it starts one of its own with :func:`running`."""
    with running() as server:
        server.make_template()
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, migrated database."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, migrated state database: the test runs once on SQLite and once on PostgreSQL."""
    with _fresh(request, tmp_path) as url:
        yield url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def module_state_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """As ``state_url``, for fixtures that a module's tests share."""
    with _fresh(request, tmp_path_factory.mktemp("state")) as url:
        yield url


@contextmanager
def _fresh(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with server.database() as url:
            yield url
    else:
        shutil.copyfile(request.getfixturevalue("_sqlite_template"), folder / "state.db")
        yield f"sqlite:///{folder / 'state.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_state_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As ``state_url``, but nothing is in it yet: no tables, and no file on SQLite."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'state.db'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        with server.database(template="template1") as url:
            yield url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ingest.state import make_engine
    from shengwen.database import migrate

    path = tmp_path_factory.mktemp("template") / "state.db"
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path
