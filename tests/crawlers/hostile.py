"""A server that behaves badly, on purpose, one way a product: half bodies, bombs, no end, walls, wrong names."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PAGE = 10


def review(number: int, **fields: Any) -> dict[str, Any]:
    """One review in the shape of JD's old list."""
    known = {
        "id": 10_000_000_000 + number,
        "guid": f"g{number}",
        "content": f"岚炉暖气片第{number}条评价，安装师傅很细心",
        "score": 5,
        "creationTime": f"2026-10-{1 + number % 28:02d} 10:00:00",
        "referenceId": "1001",
        "nickname": f"用***{number % 10}",
        "usefulVoteCount": 0,
        "replyCount": 0,
    }
    return known | fields


class ShopServer:
    """JD's old review list on loopback. ``reviews[sku]`` newest first; a sku named after a fault shows that fault."""

    def __init__(self) -> None:
        self.reviews: dict[str, list[dict[str, Any]]] = {}
        self.hits: Counter[str] = Counter()
        """Requests by sku; ``/robots.txt`` and login pages by path."""
        self.faults: dict[str, str] = {}
        self.robots = b"User-agent: *\nAllow: /\n"
        self.delay = threading.Event()
        self._over = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._threads: set[threading.Thread] = set()
        self._main = threading.Thread(target=self._serve, daemon=True)
        self._main.start()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def settings(self, *skus: str, **more: Any) -> dict[str, Any]:
        """A spider's settings for these products."""
        hosts = ("club.jd.com", "item.jd.com", "passport.jd.com")
        bases = {host: f"{self.base}/{host.partition('.')[0]}" for host in hosts}
        return {"bases": bases, "targets": [{"sku": sku} for sku in skus], "questions": False} | more

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._main.join(5)
        for thread in list(self._threads):
            thread.join(5)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(client,), daemon=True)
            self._threads.add(thread)
            thread.start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            client.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            target = urlsplit(head.split(b" ", 2)[1].decode())
            if target.path == "/robots.txt":
                self.hits["/robots.txt"] += 1
                self._send(client, self.robots, "text/plain")
            elif target.path.startswith("/passport"):
                self.hits["/passport"] += 1
                self._send(client, "<title>京东-欢迎登录</title>".encode(), "text/html")
            else:
                query = {name: values[0] for name, values in parse_qs(target.query).items()}
                self._list(client, query["productId"], int(query["page"]), query.get("callback", ""))

    def _list(self, client: socket.socket, sku: str, page: int, callback: str) -> None:
        self.hits[sku] += 1
        reviews = self.reviews.get(sku, [])
        data = {
            "productCommentSummary": {"commentCount": len(reviews)},
            "maxPage": -(-len(reviews) // PAGE),
            "comments": reviews[page * PAGE : page * PAGE + PAGE],
        }
        text = f"{callback}({json.dumps(data, ensure_ascii=False)});"
        body = text.encode("gb18030")
        fault = self.faults.get(sku, "")
        if fault == "half_body":
            self._send(client, body[: len(body) // 2], "text/html;charset=GBK", length=len(body))
        elif fault == "drops":
            return
        elif fault == "wrong_charset":
            self._send(client, text.encode(), "text/html;charset=GBK")
        elif fault == "gzip_bomb":
            self._send(client, gzip.compress(bytes(64 * 1024 * 1024)), "text/html", ("Content-Encoding: gzip",))
        elif fault == "bad_gzip":
            self._send(client, b"\x1f\x8b" + b"nonsense" * 20, "text/html", ("Content-Encoding: gzip",))
        elif fault == "endless":
            self._endless(client)
        elif fault == "silent":
            self._over.wait(20)
        elif fault == "bad_header":
            client.sendall(b"HTTP/1.1 200 OK\r\n\x00\xff: \xfe\r\nNo colon here\r\n\r\n" + body)
        elif fault == "to_login":
            where = f"Location: {self.base}/passport/new/login.aspx?ReturnUrl=x"
            self._send(client, b"", "text/html", (where,), status="302 Found")
        elif fault == "slow":
            self.delay.wait(20)
            self._send(client, body, "text/html;charset=GBK")
        else:
            self._send(client, body, "text/html;charset=GBK")

    def _endless(self, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self._over.is_set():
            client.sendall(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")

    @staticmethod
    def _send(
        client: socket.socket,
        body: bytes,
        kind: str,
        more: tuple[str, ...] = (),
        *,
        status: str = "200 OK",
        length: int | None = None,
    ) -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {length or len(body)}", *more]
        client.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1") + body)
