"""Loopback receivers that speak exactly as the chat bots and desks are documented to; each keeps what it was sent."""

from __future__ import annotations

import hmac
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import orjson

JSON = "application/json; charset=utf-8"


@dataclass
class Got:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        data: dict[str, object] = orjson.loads(self.body)
        return data

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


@dataclass
class Reply:
    """What to answer. ``delay`` before it; ``cut`` closes the connection in the middle of the body."""

    body: object = b""
    status: int = 200
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False

    @property
    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else orjson.dumps(self.body)


Answerer = Callable[[Got], Reply]


@dataclass
class Receiver:
    url: str
    got: list[Got]
    server: ThreadingHTTPServer


@contextmanager
def receiver(answer: Answerer) -> Iterator[Receiver]:
    """A server on a free loopback port; stopped and joined at the end."""
    got: list[Got] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            request = Got(self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length))
            got.append(request)
            reply = answer(request)
            if reply.delay:
                time.sleep(reply.delay)
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.raw) + (100 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(reply.raw)
            if reply.cut:
                self.close_connection = True

        do_GET = do_POST  # noqa: N815 - the server's name for it

        def log_message(self, *args: object) -> None:
            """Quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that gave up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Receiver(f"http://127.0.0.1:{server.server_port}", got, server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wecom(got: Got) -> Reply:
    """A healthy WeCom bot: judges the key, the lengths, and answers errors with HTTP 200."""
    if got.query.get("key") != "right-key":
        return Reply({"errcode": 93000, "errmsg": "invalid webhook url, hint: [1234567890123456_0_abcdef]"})
    data = got.json
    if data["msgtype"] == "markdown" and len(str(data["markdown"]["content"]).encode()) > 4096:  # type: ignore[index]
        return Reply({"errcode": 40058, "errmsg": "markdown.content exceed max length 4096. invalid Request Parameter"})
    if data["msgtype"] == "text" and len(str(data["text"]["content"]).encode()) > 2048:  # type: ignore[index]
        return Reply({"errcode": 40058, "errmsg": "text.content exceed max length 2048. invalid Request Parameter"})
    return Reply({"errcode": 0, "errmsg": "ok"})


def feishu(secret: str, now: Callable[[], float]) -> Answerer:
    """A Feishu bot with a signature check and a 20 KB limit."""

    def answer(got: Got) -> Reply:
        data = got.json
        key = f"{data.get('timestamp')}\n{secret}".encode()
        wanted = b64encode(hmac.new(key, b"", "sha256").digest()).decode()
        if data.get("sign") != wanted or abs(now() - int(str(data.get("timestamp", 0)))) > 3600:
            return Reply(
                {"code": 19021, "msg": "sign match fail or timestamp is not within one hour from current time"}
            )
        if len(got.body) > 20_000:
            return Reply({"code": 9499, "msg": "Bad Request"}, status=400)
        return Reply({"code": 0, "msg": "success", "StatusCode": 0, "StatusMessage": "success"})

    return answer


def dingtalk(secret: str, now: Callable[[], float]) -> Answerer:
    """A DingTalk bot: checks the signature in the address (decoded once, as its own server does) and the length."""

    def answer(got: Got) -> Reply:
        query = got.query
        stamp = query.get("timestamp", "0")
        wanted = b64encode(hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), "sha256").digest()).decode()
        if query.get("sign") != wanted or abs(now() * 1000 - int(stamp)) > 3_600_000:
            return Reply({"errcode": 310000, "errmsg": "sign not match"})
        if len(got.body) > 20_000:
            return Reply({"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"})
        return Reply({"errcode": 0, "errmsg": "ok"})

    return answer


def desk(secret: str, now: Callable[[], float], *, tickets: dict[str, str]) -> Answerer:
    """Our signed webhook's receiver: refuses bad or old signatures, honours the idempotency key."""

    def answer(got: Got) -> Reply:
        parts = dict(part.split("=", 1) for part in got.headers["x-signature"].split(","))
        wanted = hmac.new(secret.encode(), parts["t"].encode() + b"." + got.body, "sha256").hexdigest()
        if not hmac.compare_digest(wanted, parts["v1"]) or abs(now() - int(parts["t"])) > 300:
            return Reply({"error": "bad signature"}, status=401)
        key = got.headers["idempotency-key"]
        return Reply({"id": tickets.setdefault(key, f"D-{len(tickets) + 1}")}, status=201)

    return answer
