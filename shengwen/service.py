"""``shengwen up``: the whole service in one process; spiders are its children."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Final

from ingest.errors import ConfigError, UserError
from shengwen.crawling import CrawlSchedule
from shengwen.runner import StageRunner, repeat
from shengwen.settings import check_bind
from shengwen.stages import STAGES

if TYPE_CHECKING:
    import uvicorn

    from shengwen.alerting import Alerting
    from shengwen.home import Home
    from shengwen.rooms import Rooms

logger = logging.getLogger(__name__)

TRIM_EVERY: Final = 3600.0
STOP_WITHIN: Final = 60.0


class OneService:
    """Only one service runs on a home; the lock falls with its process."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._file: IO[str] | None = None

    def __enter__(self) -> OneService:
        self._file = (self._home.ensure().path / "up.lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(f"{self._home.path} 上已经有一个 shengwen up 在运行{_where(self._home)}") from None
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


class Service:
    """All parts of a home, running. Start, wait, stop."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        crawl: bool = True,
        demo_links: Sequence[tuple[str, str]] = (),
    ) -> None:
        check_bind(rooms.settings.web)
        self.rooms = rooms
        self.stop = threading.Event()
        self.password: str | None = None
        self.url = ""
        self._crawl = crawl
        self._demo_links = demo_links
        self._threads: list[threading.Thread] = []
        self._server: uvicorn.Server | None = None
        self._runner: StageRunner | None = None
        self._schedule: CrawlSchedule | None = None

    def start(self) -> None:
        """Returns when the page answers; raises ConfigError when it cannot."""
        alerting = self.rooms.alerting
        self._schedule = CrawlSchedule(self.rooms)
        self._runner = StageRunner(self.rooms, STAGES)
        self._serve(alerting, self._runner, self._schedule)
        self._runner.start()
        schedule = self.rooms.settings.schedule
        self._every("tick", alerting.tick, schedule.tick_every)
        self._every("dispatch", lambda: alerting.dispatch(self.stop), min(1.0, schedule.tick_every))
        self._every("trim", self._trim, TRIM_EVERY)
        if self._crawl:
            self._schedule.start()

    def _every(self, name: str, action: Callable[[], object], seconds: float) -> None:
        thread = threading.Thread(target=repeat, args=(action, seconds, self.stop, self.rooms, name), name=name)
        thread.start()
        self._threads.append(thread)

    def _serve(self, alerting: Alerting, runner: StageRunner, schedule: CrawlSchedule) -> None:
        import uvicorn

        from shengwen.pages import make_app

        web = self.rooms.settings.web
        sock = bind(web.host, web.port)
        port = sock.getsockname()[1]
        shown = f"[{web.host}]" if ":" in web.host else web.host
        self.url = f"http://{shown}:{port}/"
        app, self.password = make_app(self.rooms, alerting, runner, schedule, port, self._demo_links)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        thread = threading.Thread(target=self._server.run, args=([sock],), name="web")
        thread.start()
        self._threads.append(thread)
        while not self._server.started and thread.is_alive():
            time.sleep(0.01)
        if not thread.is_alive():
            raise ConfigError("网页没有启动，原因见日志（shengwen -v up）")
        self.rooms.home.runtime.write_text(json.dumps({"url": self.url, "pid": os.getpid()}), encoding="utf-8")

    def _trim(self) -> None:
        before = self.rooms.clock.now() - timedelta(days=self.rooms.settings.schedule.log_days)
        for topic in set(STAGES.values()):
            self.rooms.log.trim(topic, before)

    def caught_up(self) -> bool:
        """Every platform was crawled once, and nothing is on its way to the index or the alerts."""
        crawled = self._schedule is not None and self._schedule.all_ran
        return crawled and not any(self.rooms.log.lag(topic, stage) for stage, topic in STAGES.items())

    def shut_down(self) -> None:
        """Spiders write their coverage, stages finish and commit the batch in hand, the page closes."""
        self.stop.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._schedule is not None:
            self._schedule.stop()
        if self._runner is not None:
            self._runner.stop()
        for thread in self._threads:
            thread.join(STOP_WITHIN)
