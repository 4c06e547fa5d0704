"""A small HTTP proxy on loopback that misbehaves as told: busy, hanging, cutting, resetting; and notes what it saw."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """An answer of the proxy's own; the server sees nothing."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = '{"error": {"type": "es_rejected_execution_exception", "reason": "busy"}}'


@dataclass(frozen=True)
class Hang:
    """Silence. ``done``: the server did what was asked before."""

    done: bool = False


@dataclass(frozen=True)
class Cut:
    """The server's answer, but only half of its body, then the connection ends."""


@dataclass(frozen=True)
class Reset:
    """The connection is reset. ``done``: the server did what was asked before."""

    done: bool = False


@dataclass(frozen=True)
class RefuseItems:
    """Of a bulk request every ``nth`` item is answered with ``status``; the others reach the server."""

    status: int = 429
    nth: int = 2
    kind: str = "es_rejected_execution_exception"
    reason: str = "rejected execution"


Fault = Answer | Hang | Cut | Reset | RefuseItems


@dataclass(frozen=True)
class Seen:
    """One request: ``METHOD /path``, its headers (lower case), the length of its body."""

    line: str
    headers: dict[str, str]
    size: int


class Proxy:
    """Between a client and ``127.0.0.1:upstream``. ``faults`` are used up by the requests whose path has ``only``."""

    def __init__(self, upstream: int, only: str = "_bulk") -> None:
        self.faults: deque[Fault] = deque()
        self.seen: list[Seen] = []
        self._upstream = upstream
        self._only = only
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._stop = asyncio.Event()

    def requests(self, path: str) -> int:
        """How many requests went by whose line has ``path``."""
        return sum(path in one.line for one in self.seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                while await self._exchange(reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                return  # the client or the server went away: the next connection tells
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, sock=self._socket, limit=1 << 20)
        await self._stop.wait()
        server.close()
        for task in [*tasks]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.split("\r\n")
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest if one)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        line = first.rpartition(" ")[0]
        self.seen.append(Seen(line, headers, len(body)))
        fault = self.faults.popleft() if self.faults and self._only in line else None
        match fault:
            case None:
                writer.write(await self._ask(line, headers, body))
            case Answer(status, extra, said):
                writer.write(_answer(status, said.encode(), extra))
            case Hang(done) | Reset(done):
                if done:
                    await self._ask(line, headers, body)
                if isinstance(fault, Hang):
                    await self._stop.wait()
                else:
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case Cut():
                answer = await self._ask(line, headers, body)
                whole = answer.index(b"\r\n\r\n") + 4
                writer.write(answer[: whole + (len(answer) - whole) // 2])
                await writer.drain()
                return False
            case RefuseItems():
                writer.write(await self._some(fault, line, headers, body))
        await writer.drain()
        return True

    async def _ask(self, line: str, headers: dict[str, str], body: bytes) -> bytes:
        """The server's whole answer, with its length told."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        try:
            kept = {name: value for name, value in headers.items() if name not in ("connection", "accept-encoding")}
            kept |= {"connection": "close", "content-length": str(len(body))}
            head = "".join(f"{name}: {value}\r\n" for name, value in kept.items())
            writer.write(f"{line} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            answer = await reader.read()
        finally:
            writer.close()
        top, _, said = answer.partition(b"\r\n\r\n")
        first, *rest = top.decode("latin-1").split("\r\n")
        if not first:
            raise ConnectionResetError
        told = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
        told.pop("connection", None)
        if told.pop("transfer-encoding", "") == "chunked":
            said = _unchunked(said)
        return _answer(int(first.split(" ")[1]), said, told)

    async def _some(self, fault: RefuseItems, line: str, headers: dict[str, str], body: bytes) -> bytes:
        lines = body.splitlines()
        pairs = [lines[place : place + 2] for place in range(0, len(lines), 2)]
        refused = {place for place in range(len(pairs)) if place % fault.nth == 0}
        let_through = [pair for place, pair in enumerate(pairs) if place not in refused]
        items: list[Any] = []
        if let_through:
            passed = b"".join(one + b"\n" for pair in let_through for one in pair)
            answer = await self._ask(line, headers, passed)
            items = json.loads(answer.partition(b"\r\n\r\n")[2])["items"]
        left = iter(items)
        error = {"type": fault.kind, "reason": fault.reason}
        whole = [
            {"index": {"status": fault.status, "error": error}} if place in refused else next(left)
            for place in range(len(pairs))
        ]
        return _answer(200, json.dumps({"errors": True, "items": whole}).encode(), {})


def _answer(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    known = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"} | headers
    known.pop("content-length", None)
    head = "".join(f"{name}: {value}\r\n" for name, value in known.items())
    return f"HTTP/1.1 {status} X\r\n{head}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


def _unchunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            break
        whole, data = whole + data[:length], data[length + 2 :]
    return whole
