"""The downstream desk: a small ticket system that speaks the webhook contract, for the demo and for tests.

    POST /desk/api/tickets             a ticket or an alert, signed; 201 {"id": "D-000123", "url": "…"}
    GET  /desk/api/tickets/{id}        {"id", "key", "status", "updated_at"}: how far the people are
    GET  /desk                         the page          GET /desk/tickets.json
    GET  /desk/t/{id}                  one ticket        POST /desk/t/{id}/status  form field ``status``
    POST /desk/_switch                 {"answer": NAME|null}: answer with an outage instead, see :data:`OUTAGES`

A request carries ``X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256(secret, t + "." + raw body)>`` (within five
minutes), ``X-Event-Id`` and ``Idempotency-Key``. The same Idempotency-Key gives the same ticket again with 200. A
later event about the same ticket (``ticket.key``) updates it and gives its id with 200. Everything is kept in memory,
bounded: the oldest tickets are forgotten.
"""

from __future__ import annotations

import hmac
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from ingest.clock import Clock
from shengwen.demo.cast import NAMES
from shengwen.demo.channels import KEEP, listed, part, text_of
from shengwen.demo.replica.web import answer, as_object, beijing, page, posted_form

DEMO_SECRET: Final = "demo-desk-secret"  # noqa: S105 - of a desk that holds nothing real
STATUSES: Final = ("待响应", "待整改", "整改中", "已完成")
WINDOW: Final = 300
"""Seconds that a signature may be old or ahead."""
MAX_BODY: Final = 512 * 1024
_SIGNATURE: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")
OUTAGES: Final[dict[str, tuple[int, dict[str, str]]]] = {
    "http_500": (500, {}),
    "http_503": (503, {"retry-after": "2"}),
    "http_429": (429, {"retry-after": "2"}),
    "http_410": (410, {}),
    "http_400": (400, {}),
    "html_200": (200, {"content-type": "text/html"}),
}


@dataclass(slots=True)
class Entry:
    """One ticket or alert as the desk holds it. ``told`` is the body's ``ticket`` or ``alert`` as it last came."""

    id: str
    kind: str
    key: str
    told: dict[str, Any]
    at: datetime
    updated: datetime
    status: str = STATUSES[0]
    events: list[str] = field(default_factory=list)

    def line(self) -> dict[str, Any]:
        """What the list shows; absent fields are empty."""
        evidence = listed(self.told.get("evidence")) or listed(self.told.get("quotes"))
        return {
            "id": self.id,
            "kind": self.kind,
            "key": self.key,
            "level": text_of(self.told.get("level")),
            "title": text_of(self.told.get("title")) or "（没有标题）",
            "department": text_of(self.told.get("department")),
            "platform": _platform(text_of(self.told.get("platform"))),
            "product": text_of(self.told.get("product")),
            "status": self.status,
            "evidence": len(evidence),
            "deadlines": part(self.told, "deadlines"),
            "at": self.at.isoformat(),
            "updated_at": self.updated.isoformat(),
            "events": len(self.events),
        }


class Desk:
    """Thread-safe. ``on_status`` is called with the entry after a person moved its status."""

    def __init__(
        self,
        clock: Clock,
        secret: str = DEMO_SECRET,
        on_status: Callable[[Entry], None] | None = None,
    ) -> None:
        self.secret = secret
        self._clock, self._on_status = clock, on_status
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._by_event: OrderedDict[str, str] = OrderedDict()
        self._count = 0
        self._answer: str | None = None

    def entries(self) -> list[Entry]:
        """Newest first."""
        with self._lock:
            return list(reversed(self._entries.values()))

    def set_answer(self, name: str | None) -> None:
        """Answer with an outage from now on, or as usual. Raises KeyError for an unknown one."""
        if name is not None and name not in OUTAGES:
            raise KeyError(name)
        self._answer = name

    def routes(self) -> list[Route]:
        """To be mounted at the root of an app."""
        return [
            Route("/desk/api/tickets", self._receive, methods=["POST"]),
            Route("/desk/api/tickets/{id}", self._status),
            Route("/desk", self._page),
            Route("/desk/tickets.json", self._list),
            Route("/desk/t/{id}", self._one),
            Route("/desk/t/{id}/status", self._move, methods=["POST"]),
            Route("/desk/_switch", self._switch, methods=["POST"]),
        ]

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        if self._answer is not None:
            status, headers = OUTAGES[self._answer]
            return Response("<html>sleeping</html>" if status == 200 else b"", status, headers)
        if len(body) > MAX_BODY:
            return _refuse(413, "body too large")
        if not self._signed(request.headers.get("x-signature", ""), body):
            return _refuse(401, "signature missing, wrong or older than five minutes")
        event, again = request.headers.get("x-event-id", ""), request.headers.get("idempotency-key", "")
        if not 0 < len(again) <= 255 or not 0 < len(event) <= 255:
            return _refuse(400, "X-Event-Id and Idempotency-Key are required")
        message = as_object(body)
        kind = text_of(message.get("type"))
        told = part(message, "alert" if kind == "alert" else "ticket")
        if message.get("version") != 1 or kind not in ("ticket.created", "ticket.updated", "alert") or not told:
            return _refuse(422, "expected version 1 with a ticket or an alert")
        entry, fresh = self._take(kind, told, event, again)
        url = f"{str(request.base_url).rstrip('/')}/desk/t/{entry.id}"
        return answer({"id": entry.id, "url": url}, status=201 if fresh else 200)

    def _signed(self, header: str, body: bytes) -> bool:
        found = _SIGNATURE.fullmatch(header.strip())
        if not found or abs(self._clock.now().timestamp() - int(found[1])) > WINDOW:
            return False
        right = hmac.new(self.secret.encode(), found[1].encode() + b"." + body, sha256).hexdigest()
        return hmac.compare_digest(right, found[2])

    def _take(self, kind: str, told: dict[str, Any], event: str, again: str) -> tuple[Entry, bool]:
        now = self._clock.now()
        with self._lock:
            known = self._entries.get(self._by_event.get(again, ""))
            if known is not None:
                return known, False
            name, key = kind.split(".")[0], text_of(told.get("key"))
            entry = next((one for one in self._entries.values() if key and (one.kind, one.key) == (name, key)), None)
            fresh = entry is None
            if entry is None:
                self._count += 1
                entry = Entry(f"D-{self._count:06d}", name, key, told, now, now)
                self._entries[entry.id] = entry
            entry.told, entry.updated = told, now
            entry.events = [*entry.events[-49:], event]
            self._by_event[again] = entry.id
            for kept, most in ((self._entries, KEEP), (self._by_event, KEEP * 20)):
                while len(kept) > most:
                    kept.popitem(last=False)
            return entry, fresh

    def _find(self, request: Request) -> Entry | None:
        with self._lock:
            return self._entries.get(request.path_params["id"])

    async def _status(self, request: Request) -> Response:
        entry = self._find(request)
        if entry is None:
            return _refuse(404, "no such ticket")
        return answer(
            {"id": entry.id, "key": entry.key, "status": entry.status, "updated_at": entry.updated.isoformat()}
        )

    async def _page(self, _: Request) -> Response:
        return page("desk.html", seed="", statuses=STATUSES)

    async def _list(self, _: Request) -> Response:
        return answer({"tickets": [entry.line() for entry in self.entries()]})

    async def _one(self, request: Request) -> Response:
        entry = self._find(request)
        if entry is None:
            return page("gone.html", seed="", site="工单台", status=404)
        return page(
            "desk_ticket.html",
            seed="",
            entry=entry,
            line=entry.line(),
            statuses=STATUSES,
            rows=_rows(entry.told),
            evidence=_evidence(entry.told),
            text=text_of(entry.told.get("text")),
        )

    async def _move(self, request: Request) -> Response:
        entry, wanted = self._find(request), (await posted_form(request)).get("status", "")
        if entry is None:
            return _refuse(404, "no such ticket")
        if wanted not in STATUSES:
            return _refuse(400, "no such status")
        with self._lock:
            entry.status, entry.updated = wanted, self._clock.now()
        if self._on_status is not None:
            self._on_status(entry)
        return RedirectResponse(f"/desk/t/{entry.id}", 303)

    async def _switch(self, request: Request) -> Response:
        name = as_object(await request.body()).get("answer")
        try:
            self.set_answer(name if isinstance(name, str) else None)
        except KeyError:
            return answer({"error": "no such answer", "answers": list(OUTAGES)}, status=400)
        return answer({"answer": self._answer})


def _refuse(status: int, message: str) -> Response:
    return answer({"error": message}, status=status)


_LABELS: Final = {
    "department": "责任部门",
    "intent": "意图",
    "scope": "范围",
    "tags": "标签",
    "product": "产品",
    "products": "产品",
    "region": "地区",
    "platform": "平台",
    "count": "条数",
    "likes": "点赞",
    "observed": "实际",
    "expected": "预期",
    "interval": "预期区间",
    "test": "检验",
    "severity": "严重度",
    "started_at": "开始",
    "created_at": "创建",
    "status": "上游状态",
}
_CLOCKS: Final = {"first_response": "首次响应", "plan": "整改方案", "done": "完成"}
_INTENTS: Final = {"complaint": "投诉", "suggestion": "建议", "question": "咨询", "praise": "表扬", "other": "其他"}


def _rows(told: dict[str, Any]) -> list[tuple[str, str]]:
    """What is there, in words: fields that are absent or empty are left out."""
    rows = []
    for name, label in _LABELS.items():
        text = _INTENTS.get(text_of(told.get(name)), "") if name == "intent" else ""
        text = _platform(text_of(told.get(name))) if name == "platform" else text
        text = text or _words(told.get(name))
        if text:
            rows.append((label, text))
    rows += [(f"{label}期限", _words(part(told, "deadlines").get(name))) for name, label in _CLOCKS.items()]
    return [row for row in rows if row[1]]


def _platform(name: str) -> str:
    return next((title for key, title in NAMES.items() if key == name), name)


def _words(value: object) -> str:
    if isinstance(value, str):
        return _moment(value)
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, list):
        return "、".join(_words(one) for one in value if _words(one))
    return orjson.dumps(value).decode()


def _moment(text: str) -> str:
    if not re.match(r"\d{4}-\d\d-\d\dT", text):
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return beijing(at, "%m-%d %H:%M") if at.tzinfo else text


def _evidence(told: dict[str, Any]) -> list[dict[str, str]]:
    """Evidence of a ticket or quotes of an alert, as text, address and time."""
    shown = []
    for one in (listed(told.get("evidence")) or listed(told.get("quotes")))[:100]:
        if isinstance(one, str):
            shown.append({"text": one, "url": "", "at": ""})
        elif isinstance(one, dict):
            url = text_of(one.get("url"))
            shown.append(
                {
                    "text": text_of(one.get("text")),
                    "url": url if url.startswith(("http://", "https://")) else "",
                    "at": _moment(text_of(one.get("created_at"))),
                }
            )
    return shown
