"""Trouble on the wire: stands between a spider and the replica, and spoils what one place answers.

Everything else is handed through as it is. A fault gets the good answer and says what is sent instead: another answer,
or bytes as they are, however broken. What was asked is remembered, so that a test sees who went on asking.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

_JSONP = re.compile(r"(?s)\A([\w.$]+)\((.*)\)(;?)\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        """Those of the query, and of a posted JSON object."""
        found = dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))
        if self.body.startswith(b"{"):
            found |= {name: str(value) for name, value in json.loads(self.body).items()}
        return found

    def request(self) -> Request:
        """As the replica's own code sees it."""
        return Request(
            {
                "type": "http",
                "method": self.method,
                "scheme": "http",
                "path": self.path,
                "root_path": "",
                "query_string": urlsplit(self.target).query.encode(),
                "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers],
            }
        )


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer, whole: it is sent with its length."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json; charset=utf-8"),)

    @classmethod
    def of(cls, response: Response) -> Answered:
        """What an endpoint of the replica returned."""
        headers = tuple((n.decode(), v.decode()) for n, v in response.raw_headers if n.lower() != b"content-length")
        return cls(bytes(response.body), response.status_code, headers)

    def header(self, name: str) -> str:
        return next((value for known, value in self.headers if known.lower() == name.lower()), "")

    def headed(self, **headers: str) -> Answered:
        """With these headers instead of those that it had of the same name (``_`` for ``-``)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = [(name, value) for name, value in self.headers if name.lower() not in {one.lower() for one in named}]
        return replace(self, headers=(*kept, *named.items()))

    @property
    def charset(self) -> str:
        return "gb18030" if "GBK" in self.header("content-type") else "utf-8"

    @property
    def data(self) -> Any:
        """The JSON in it, its callback taken off."""
        text = self.body.decode(self.charset)
        called = _JSONP.match(text)
        return json.loads(called[2] if called else text)

    def saying(self, data: Any) -> Answered:
        """The same answer with other data: same callback, same charset."""
        called = _JSONP.match(self.body.decode(self.charset))
        text = json.dumps(data, ensure_ascii=False)
        return replace(self, body=(f"{called[1]}({text}){called[3]}" if called else text).encode(self.charset))

    def head(self, *, length: bool = True) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} Here", *(f"{name}: {value}" for name, value in self.headers)]
        if length:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


RESET = b""
"""Sent as a piece: the connection is reset here."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A place is asked once more. ``good`` is what the replica says; ``nth`` counts from 0."""

    asked: Asked
    good: Answered
    nth: int
    over: threading.Event
    """Set when the test is over: what has no end ends here."""


Spoil = Callable[[Turn], "Answered | Iterable[bytes]"]


Plan = Sequence[tuple[Callable[[Asked], bool], Spoil]]
"""Where there is trouble, and what; the first place counts."""


@dataclass(slots=True)
class Log:
    """What was asked for under one plan. ``troubled``: where in ``asked`` a fault happened."""

    asked: list[Asked] = field(default_factory=list)
    troubled: list[int] = field(default_factory=list)

    def after_trouble(self) -> list[str]:
        """Paths of data and pages that were asked for after the first fault."""
        if not self.troubled:
            return []
        return [one.path for one in self.asked[self.troubled[0] + 1 :] if _is_worth_counting(one.path)]


class Wire:
    """The way between a spider and the replica ``behind``, with trouble on it.

    One of ``plans`` is in force at a time: :meth:`begin` or ``GET /_plan/NAME`` from another process changes it; none
    is at first. ``changed`` rewrites what is asked before the replica sees it (old → new, in target and body).
    """

    def __init__(
        self, behind: tuple[str, int], plans: Mapping[str, Plan] | None = None, changed: Mapping[str, str] | None = None
    ) -> None:
        self.logs: dict[str, Log] = {}
        self._plans = dict(plans or {})
        self._plan: Plan = ()
        self._counts: list[int] = []
        self._changed = dict(changed or {})
        self._behind = behind
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.begin("")
        wire = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 30

            def do_GET(self) -> None:
                wire.answer(self)

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that closing waits for them
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="trouble")

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()

    def begin(self, name: str) -> None:
        """Put a plan in force, "" for none; what is asked from now on is logged under this name, anew."""
        with self._lock:
            self._plan = self._plans.get(name, ())
            self._counts = [0] * len(self._plan)
            self._log = self.logs[name] = Log()

    def answer(self, client: BaseHTTPRequestHandler) -> None:
        """One request of a client: the good answer, or what a fault makes of it."""
        if client.path.startswith("/_plan/"):
            self.begin(client.path.removeprefix("/_plan/"))
            client.wfile.write(Answered(b"{}").head() + b"{}")
            return
        body = client.rfile.read(int(client.headers.get("content-length") or 0))
        asked = Asked(client.command, client.path, tuple(client.headers.items()), body)
        with self._lock:
            self._log.asked.append(asked)
            found = next((n for n, (is_at, _) in enumerate(self._plan) if is_at(asked)), None)
            if found is not None:
                self._log.troubled.append(len(self._log.asked) - 1)
                nth, spoil = self._counts[found], self._plan[found][1]
                self._counts[found] += 1
        good = self._fetch(asked)
        sent = good if found is None else spoil(Turn(asked, good, nth, self._over))
        pieces: Iterable[bytes] = (sent.head(), sent.body) if isinstance(sent, Answered) else sent
        with suppress(OSError):  # the spider hung up: it had enough
            for piece in pieces:
                if piece is RESET and not isinstance(sent, Answered):
                    client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.connection.close()
                    break
                client.wfile.write(piece)
        client.close_connection = True

    def _fetch(self, asked: Asked) -> Answered:
        connection = HTTPConnection(*self._behind, timeout=30)
        target, body = asked.target, asked.body
        for old, new in self._changed.items():
            target, body = target.replace(old, new), body.replace(old.encode(), new.encode())
        dropped = ("connection", "accept-encoding", "content-length")
        try:
            connection.putrequest(asked.method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in asked.headers:
                if name.lower() not in dropped:
                    connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            kept = [(n, v) for n, v in response.getheaders() if n.lower() not in ("content-length", "connection")]
            return Answered(response.read(), response.status, tuple(kept))
        finally:
            connection.close()


def _is_worth_counting(path: str) -> bool:
    return not path.endswith(("robots.txt", ".ico")) and not path.startswith(("/_static", "/_pictures"))


def once(spoil: Spoil) -> Spoil:
    """Only the first time; then the answer is good."""
    return lambda turn: spoil(turn) if turn.nth == 0 else turn.good


def endless(over: threading.Event, head: bytes, piece: bytes, tail: bytes = b"", pause: float = 0.0) -> Iterator[bytes]:
    """Pieces without an end, until the test is over or the spider hangs up."""
    yield head
    while not over.wait(pause):
        yield piece
    yield tail
