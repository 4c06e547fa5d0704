"""The page as a running thing: its port, its thread, and that there is one of it on a home."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Final

from ingest.errors import ConfigError, UserError
from shengwen.settings import check_bind

if TYPE_CHECKING:
    import uvicorn

    from ingest.stage import StageHealth
    from shengwen.crawling import CrawlSchedule
    from shengwen.home import Home
    from shengwen.rooms import Rooms

CLOSE_WITHIN: Final = 60.0


class OneService:
    """Only one page (``up`` or ``serve``) runs on a home; the lock falls with its process."""

    def __init__(self, home: Home, command: str = "up") -> None:
        self._home = home
        self._command = command
        self._file: IO[str] | None = None

    def __enter__(self) -> OneService:
        file = (self._home.ensure().path / "up.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            running = file.read().strip() or "up"
            file.close()
            raise UserError(f"{self._home.path} 上已经有一个 shengwen {running} 在运行{_where(self._home)}") from None
        file.truncate(0)
        file.write(self._command)
        file.flush()
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        self._home.runtime.unlink(missing_ok=True)
        if self._file is not None:
            self._file.close()


def _where(home: Home) -> str:
    try:
        return f"（{json.loads(home.runtime.read_text(encoding='utf-8'))['url']}）"
    except (OSError, ValueError, KeyError):
        return ""


def bind(host: str, port: int) -> socket.socket:
    """A bound socket. Raises ConfigError when the port is taken or the address is not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named, or asyncio leaves Nagle's algorithm on.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        said = f"无法在 {host}:{port} 上开网页（{error.strerror}）；用 --port 换一个，--port 0 是任意空闲的"
        raise ConfigError(said) from error
    return sock


def free_port(wanted: int) -> int:
    """``wanted`` when it is free on loopback, else another free one."""
    try:
        with bind("127.0.0.1", wanted) as sock:
            return int(sock.getsockname()[1])
    except ConfigError:
        with bind("127.0.0.1", 0) as sock:
            return int(sock.getsockname()[1])


class Page:
    """The page and the API, in a thread. ``stages`` tells of the stages that run in this process.

    Raises ConfigError for an address that others could reach without the operator having said so.
    """

    def __init__(
        self,
        rooms: Rooms,
        schedule: CrawlSchedule,
        stages: Callable[[], Mapping[str, StageHealth]],
        demo_links: Sequence[tuple[str, str]] = (),
    ) -> None:
        check_bind(rooms.settings.web)
        self.url = ""
        self.password: str | None = None
        self._rooms = rooms
        self._schedule = schedule
        self._stages = stages
        self._demo_links = demo_links
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Returns when the page answers; raises ConfigError when it cannot."""
        import uvicorn

        from shengwen.pages import make_app

        web = self._rooms.settings.web
        sock = bind(web.host, web.port)
        try:
            port = sock.getsockname()[1]
            shown = f"[{web.host}]" if ":" in web.host else web.host
            self.url = f"http://{shown}:{port}/"
            app, self.password = make_app(self._rooms, self._schedule, self._stages, port, self._demo_links)
        except BaseException:
            sock.close()
            raise
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([sock],), name="web")
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.01)
        if not self._thread.is_alive():
            raise ConfigError("网页没有启动，原因见日志（加 -v）")
        self._rooms.home.runtime.write_text(json.dumps({"url": self.url, "pid": os.getpid()}), encoding="utf-8")

    def problem(self) -> Exception | None:
        """It was started and does not run any more."""
        if self._thread is None or self._thread.is_alive():
            return None
        return ConfigError("网页停了，原因见日志（加 -v）")

    def health(self) -> Mapping[str, StageHealth]:
        """No stage of its own."""
        return {}

    def notes(self) -> Mapping[str, str]:
        """Where it is."""
        return {"url": self.url}

    def ask_to_stop(self) -> None:
        """No new request is taken; returns at once."""
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Answer what was asked, then close."""
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join(CLOSE_WITHIN)
