"""Runs the demo's platforms, bots and desk in one thread of this process, on loopback.

with DemoServer(Story(7, clock.now()), clock) as demo:
    bases = platform_bases(demo.base_url)          # where the spiders go
    demo.bots.webhook_url("feishu", demo.base_url) # where alerts go
    demo.switches.set("jd", answer="login_code3")
"""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.applications import Starlette

from ingest.clock import Clock, SystemClock
from ingest.errors import Unavailable
from shengwen.demo.bots import Bots
from shengwen.demo.desk import Desk
from shengwen.demo.replica.app import replica_routes
from shengwen.demo.replica.signing import Signer
from shengwen.demo.replica.switches import Switches
from shengwen.demo.story import Story

START_SECONDS: Final = 15
STOP_SECONDS: Final = 10


def demo_app(story: Story, clock: Clock, switches: Switches, bots: Bots, desk: Desk, signer: Signer) -> Starlette:
    """The whole demo as one ASGI app."""
    routes = [*replica_routes(story, clock, switches, signer), *bots.routes(), *desk.routes()]
    return Starlette(routes=routes)


class DemoServer:
    """The demo's server. ``port`` 0 takes a free one; :attr:`base_url` is right once started.

    Starting twice or stopping twice does nothing. Raises Unavailable when it cannot listen or does not start.
    """

    def __init__(
        self,
        story: Story,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        bots: Bots | None = None,
        desk: Desk | None = None,
    ) -> None:
        self.story, self.clock = story, clock or SystemClock()
        self.host, self.port = host, port
        self.switches = Switches()
        self.bots = bots or Bots(self.clock)
        self.desk = desk or Desk(self.clock)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    @property
    def base_url(self) -> str:
        """``http://host:port``, no closing slash."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        if self._server is not None:
            return
        app = demo_app(self.story, self.clock, self.switches, self.bots, self.desk, Signer(self.clock))
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        self._socket = self._listen()
        self.port = self._socket.getsockname()[1]
        self._server = server
        self._thread = threading.Thread(target=server.run, args=([self._socket],), name="demo-server", daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(START_SECONDS * 100):
            if server.started:
                return
            if not self._thread.is_alive():
                break
            waited.wait(0.01)
        self.stop()
        raise Unavailable("the demo server did not start")

    def _listen(self) -> socket.socket:
        # asyncio turns Nagle's algorithm off only for sockets that name their protocol; without it a small answer
        # waits 40 ms for the client's acknowledgement.
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((self.host, self.port))
        except OSError as error:
            made.close()
            raise Unavailable(f"cannot listen on {self.host}:{self.port}: {error.strerror}") from error
        return made

    def stop(self) -> None:
        server, thread, self._server, self._thread = self._server, self._thread, None, None
        if server is not None and thread is not None:
            server.should_exit = True
            thread.join(STOP_SECONDS / 2)
            if thread.is_alive():  # somebody keeps a connection open
                server.force_exit = True
                thread.join(STOP_SECONDS / 2)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
