"""``POST /api/v1/mentions``: programs push what customers said, with a token of ``shengwen tokens``."""

from __future__ import annotations

import io
import logging
import re
import zlib
from typing import Any, Final

import orjson
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from ingest.errors import Retryable
from shengwen.pushing import MAX_ITEMS, Outcome, Pushing
from shengwen.tokens import Pusher
from shengwen.web.pages import PagesDep
from shengwen.web.security import MAX_PUSHED, PUSH_PATH

logger = logging.getLogger(__name__)
router = APIRouter()

MAX_UNPACKED: Final = 32 * 1024 * 1024
RETRY_AFTER: Final = 5.0
MAX_LINES: Final = 10 * MAX_ITEMS
"""Lines of JSON lines, blank ones among them."""
MAX_PIECES: Final = 100 * MAX_ITEMS
"""Objects, lists and commas outside of texts (an item with every field has fifty): bounds what JSON takes in memory."""
_PIECE: Final = re.compile(rb'[{\[,]|"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
READERS: Final = 2
"""Batches that are unpacked and read at a time."""
_reading = CapacityLimiter(READERS)
JSON_LINES: Final = frozenset({"application/x-ndjson", "application/jsonl", "application/x-jsonlines"})


class _Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@router.post(PUSH_PATH)
async def push(request: Request, pages: PagesDep) -> Response:
    """``{"accepted", "duplicate", "rejected", "results": […]}``: one result an item, in order.

    202: what is not rejected is in the log, durably; 422: every item was rejected; 503 with Retry-After: nothing is
    promised, send the same batch again.
    """
    pusher: Pusher | None = getattr(request.state, "pusher", None)
    pushing: Pushing | None = pages.deps.pushing
    if pusher is None or pushing is None:
        return JSONResponse({"error": "推送要用令牌：Authorization: Bearer …（shengwen tokens create）"}, 403)
    try:
        body = await request.body()
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        # In a thread: what unpacks to 32 MB would keep the page from everybody else meanwhile.
        items = await run_sync(lambda: _items(_unpacked(body, encoding), media), limiter=_reading)
    except ClientDisconnect:
        return JSONResponse({"error": f"请求超过 {MAX_PUSHED} 字节，请分成几批"}, 413)
    except _Refused as refused:
        return JSONResponse({"error": str(refused)}, refused.status)
    try:
        outcomes = await run_in_threadpool(pushing.take, items, pusher)
    except Retryable as error:
        logger.warning("a pushed batch of %s could not be taken: %s", len(items), error)
        wait = str(max(1, round(error.retry_after or RETRY_AFTER)))
        return JSONResponse({"error": "暂时无法写入，请稍后把同一批再发一遍"}, 503, {"Retry-After": wait})
    return _told(outcomes)


def _told(outcomes: list[Outcome]) -> Response:
    counts = {name: sum(one.status == name for one in outcomes) for name in ("accepted", "duplicate", "rejected")}
    results = [one.to_dict(index) for index, one in enumerate(outcomes)]
    status = 422 if outcomes and counts["rejected"] == len(outcomes) else 202
    return Response(orjson.dumps({**counts, "results": results}), status, media_type="application/json")


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise _Refused(415, "Content-Encoding 只支持 gzip")
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(body, MAX_UNPACKED + 1)
    except zlib.error:
        raise _Refused(400, "gzip 内容已损坏") from None
    if len(plain) > MAX_UNPACKED:
        raise _Refused(413, f"解压后超过 {MAX_UNPACKED} 字节，请分成几批")
    if not unpack.eof or unpack.unused_data:
        raise _Refused(400, "gzip 内容不完整")
    return plain


def _items(body: bytes, media: str) -> list[Any]:
    if media in JSON_LINES:
        if body.count(b"\n") > MAX_LINES or sum(not line.isspace() for line in io.BytesIO(body)) > MAX_ITEMS:
            raise _Refused(413, f"一批应有 1 到 {MAX_ITEMS} 条，这里更多，请分成几批")
        _check_pieces(body)
        items: Any = [
            _loaded(line, f"第 {number} 行") for number, line in enumerate(io.BytesIO(body), 1) if not line.isspace()
        ]
    elif media == "application/json":
        _check_pieces(body)
        value = _loaded(body, "请求")
        items = value.get("mentions") if isinstance(value, dict) and set(value) == {"mentions"} else value
    else:
        raise _Refused(415, "Content-Type 应为 application/json 或 application/x-ndjson")
    if not isinstance(items, list):
        raise _Refused(400, '应为 {"mentions": […]} 或一个列表')
    if not 1 <= len(items) <= MAX_ITEMS:
        raise _Refused(413 if items else 400, f"一批应有 1 到 {MAX_ITEMS} 条，这里有 {len(items)} 条")
    return items


def _check_pieces(body: bytes) -> None:
    """Raises _Refused for JSON of far more parts than a batch has, before anything is made of them."""
    texts = 0
    for number, piece in enumerate(_PIECE.finditer(body), 1):
        texts += piece[0][:1] == b'"'
        if number - texts > MAX_PIECES or texts > 2 * MAX_PIECES:
            raise _Refused(413, f"内容的层次或条目太多（一批最多 {MAX_ITEMS} 条），请分成几批")


def _loaded(data: bytes, where: str) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _Refused(400, f"{where}不是有效的 JSON（第 {error.pos + 1} 个字符处）") from None
