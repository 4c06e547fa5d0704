"""The replica with more in it, in a process of its own, each answer made once and then served from memory.

    python -m tests.bench.crawl_site      prints its address, serves until its input ends

``/_size`` tells how much there is, ``/_delay/40`` makes every answer 40 ms late, as over a network.
What a spider gets is what the replica answers (:mod:`shengwen.demo.replica`).
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.clock import ManualClock
from shengwen.demo import cast, history
from shengwen.demo import server as demo_server
from shengwen.demo.items import Item
from shengwen.demo.story import Story

NOW: Final = datetime(2026, 11, 1, 4, tzinfo=UTC)
SHELVES: Final = 2
"""So many catalogues of three products; each product has more reviews than the 100 pages that are shown."""
REVIEWS: Final = 5_500
SHELF_SEED: Final = 7
WORDS: Final = tuple(f"批次{number:02d}" for number in range(30))
"""Searches, each finding one story's notes."""


class Library(Story):
    """Several stories as one, standing still."""

    def __init__(self) -> None:
        super().__init__(SHELF_SEED, NOW)
        self._all = tuple(sorted([*self._shelves(), *self._notes()], key=lambda item: item.created_at))

    def visible(self, now: datetime) -> Sequence[Item]:
        return self._all

    @staticmethod
    def _shelves() -> Iterator[Item]:
        usual, history.JD_REVIEWS = history.JD_REVIEWS, REVIEWS  # type: ignore[misc]
        products = cast.MODELS
        for shelf in range(SHELVES):
            copies = {model.code: model if shelf == 0 else _copy(model, shelf) for model in products}
            for item in Story(SHELF_SEED + shelf, NOW).visible(NOW):
                if item.platform == "jd" and item.kind == "review" and item.model is not None:
                    model = copies[item.model.code]
                    yield replace(item, model=model, sku=model.jd_skus[0])
            if shelf:
                cast.MODELS += tuple(copies.values())  # type: ignore[misc]
        history.JD_REVIEWS = usual  # type: ignore[misc]

    @staticmethod
    def _notes() -> Iterator[Item]:
        for number, word in enumerate(WORDS):
            for item in Story(SHELF_SEED + number, NOW).visible(NOW):
                if item.platform == "xiaohongshu":
                    yield replace(item, text=f"{item.text} {word}") if item.kind == "post" else item


def _copy(model: cast.Model, shelf: int) -> cast.Model:
    return replace(model, jd_skus=tuple(f"{shelf + 1}{sku[1:]}" for sku in model.jd_skus))


class FromMemory:
    """Answers each request once by the app, then out of memory: asked again, it costs the server next to nothing."""

    def __init__(self, app: ASGIApp, library: Library) -> None:
        self._app = app
        self._library = library
        self._delay = 0.0
        self._kept: dict[tuple[str, str, bytes, bytes], list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(("/_size", "/_delay/")):
            if scope["path"].startswith("/_delay/"):
                self._delay = int(scope["path"].removeprefix("/_delay/")) / 1000
            await JSONResponse(self._size())(scope, receive, send)
            return
        await asyncio.sleep(self._delay)
        body = b""
        while True:
            part = await receive()
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        key = (scope["method"], scope["path"], scope["query_string"], body)
        if key not in self._kept:
            self._kept[key] = await self._made(scope, receive, body)
        for message in self._kept[key]:
            await send(message)

    async def _made(self, scope: Scope, receive: Receive, body: bytes) -> list[Message]:
        messages: list[Message] = []
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def given() -> Message:
            return whole.pop() if whole else await receive()

        async def kept(message: Message) -> None:
            messages.append(dict(message))

        await self._app(scope, given, kept)
        return messages

    def _size(self) -> dict[str, Any]:
        notes = [item for item in self._library.visible(NOW) if item.kind == "post"]
        return {
            "skus": [model.jd_skus[0] for model in cast.MODELS],
            "notes": {word: sum(note.text.endswith(word) for note in notes) for word in WORDS},
        }


def serve() -> None:
    library = Library()
    plain = demo_server.demo_app
    demo_server.demo_app = lambda *parts: FromMemory(plain(*parts), library)  # type: ignore[assignment,return-value]
    with demo_server.DemoServer(library, ManualClock(NOW)) as running:
        print(running.base_url, flush=True)
        sys.stdin.read()


@contextmanager
def running_site() -> Iterator[tuple[str, dict[str, Any]]]:
    """Start the site beside this process: its address and what :meth:`FromMemory._size` tells."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.crawl_site"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        base_url = process.stdout.readline().strip()
        if not base_url:
            raise RuntimeError("the site did not start")
        with urllib.request.urlopen(f"{base_url}/_size", timeout=60) as answer:
            yield base_url, json.loads(answer.read())
    finally:
        process.stdin.close()
        process.wait(20)


if __name__ == "__main__":
    serve()
