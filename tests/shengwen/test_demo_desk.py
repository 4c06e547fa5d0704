"""The downstream desk: signed requests in, one ticket each, statuses out."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import orjson
import pytest

from ingest.clock import ManualClock
from shengwen.demo.desk import OUTAGES, STATUSES, Desk, Entry
from shengwen.demo.server import DemoServer
from shengwen.demo.story import Story
from tests.shengwen.demo_kit import START, plain_client

TICKET: dict[str, Any] = {
    "key": "T-1",
    "level": "一级",
    "title": "K20-3 阀门漏水 7 条",
    "department": "研发部",
    "intent": "complaint",
    "status": "待响应",
    "tags": ["产品质量/漏水渗水"],
    "product": "K20-3",
    "region": "山东",
    "platform": "jd",
    "link": "https://example.invalid/t/1",
    "text": "<script>alert(1)</script> 漏水",
    "likes": 3,
    "count": 7,
    "deadlines": {"first_response": "2026-11-22T08:00:00+00:00", "plan": None, "done": "2026-11-24T06:00:00+00:00"},
    "evidence": [
        {
            "mention_id": "jd:review:1",
            "text": "漏水！",
            "url": "javascript:alert(1)",
            "created_at": "2026-11-22T05:59:00Z",
        },
        {
            "mention_id": "jd:review:2",
            "text": "又漏了",
            "url": "https://example.invalid/2",
            "created_at": "2026-11-22T05:59:30+00:00",
        },
    ],
    "created_at": "2026-11-22T06:00:00+00:00",
}
ALERT: dict[str, Any] = {
    "key": "A-1",
    "level": "一级",
    "title": "漏水 突增",
    "scope": "K20-3",
    "observed": 7,
    "expected": 1.2,
    "interval": [0, 4],
    "test": "poisson",
    "severity": 8.5,
    "started_at": "2026-11-22T06:00:00+00:00",
    "tags": ["产品质量/漏水渗水"],
    "products": ["K20-3"],
    "quotes": ["漏水！", {"text": "又漏了", "url": "https://example.invalid/2"}],
    "link": "https://example.invalid/a/1",
}


@pytest.fixture
def moved() -> list[str]:
    return []


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def client(clock: ManualClock, moved: list[str]) -> Iterator[httpx.Client]:
    def note(entry: Entry) -> None:
        moved.append(entry.status)

    with (
        DemoServer(Story(1, START), clock, desk=Desk(clock, on_status=note)) as demo,
        plain_client(demo.base_url) as made,
    ):
        yield made


def send(
    client: httpx.Client,
    clock: ManualClock,
    key: str,
    message: object,
    *,
    off: int = 0,
    secret: str = "demo-desk-secret",
    event: str | None = None,
    signature: str | None = None,
) -> httpx.Response:
    body = orjson.dumps(message)
    stamp = str(int(clock.now().timestamp()) + off)
    sign = hmac.new(secret.encode(), stamp.encode() + b"." + body, sha256).hexdigest()
    sent = {
        "X-Signature": f"t={stamp},v1={sign}" if signature is None else signature,
        "X-Event-Id": f"e-{key}" if event is None else event,
        "Idempotency-Key": key,
    }
    return client.post("/desk/api/tickets", content=body, headers=sent)


def created(ticket: dict[str, Any], kind: str = "ticket.created") -> dict[str, Any]:
    return {"version": 1, "type": kind, "alert" if kind == "alert" else "ticket": ticket}


def test_a_ticket_is_created_once_whatever_is_repeated(client: httpx.Client, clock: ManualClock) -> None:
    first, again = send(client, clock, "k1", created(TICKET)), send(client, clock, "k1", created(TICKET))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["id"] == "D-000001"
    assert client.get(first.json()["url"]).status_code == 200
    assert len(client.get("/desk/tickets.json").json()["tickets"]) == 1


def test_an_update_changes_the_ticket_of_its_key(client: httpx.Client, clock: ManualClock) -> None:
    made = send(client, clock, "k1", created(TICKET)).json()
    update = send(
        client, clock, "k2", created(TICKET | {"title": "K20-3 阀门漏水 19 条", "count": 19}, "ticket.updated")
    )
    assert (update.status_code, update.json()["id"]) == (200, made["id"])
    shown = client.get("/desk/tickets.json").json()["tickets"]
    assert [one["title"] for one in shown] == ["K20-3 阀门漏水 19 条"]
    assert shown[0]["evidence"] == 2


def test_alerts_are_taken_beside_tickets(client: httpx.Client, clock: ManualClock) -> None:
    made = send(client, clock, "a1", created(ALERT, "alert"))
    assert made.status_code == 201
    page = client.get(f"/desk/t/{made.json()['id']}").text
    for words in ("漏水 突增", "预期区间", "0、4", "又漏了", "K20-3"):
        assert words in page


@pytest.mark.parametrize(
    "signature", ["", "t=1,v1=" + "0" * 64, "t=1732255200", f"t={int(START.timestamp())},v1={'a' * 64}"]
)
def test_a_wrong_signature_is_refused(client: httpx.Client, clock: ManualClock, signature: str) -> None:
    assert send(client, clock, "k", created(TICKET), signature=signature).status_code == 401


def test_an_old_early_or_foreign_signature_is_refused(client: httpx.Client, clock: ManualClock) -> None:
    assert send(client, clock, "k", created(TICKET), off=-299).status_code == 201
    assert send(client, clock, "k3", created(TICKET), off=-301).status_code == 401
    assert send(client, clock, "k4", created(TICKET), off=301).status_code == 401
    assert send(client, clock, "k5", created(TICKET), secret="other").status_code == 401


def test_headers_and_contract_are_required(client: httpx.Client, clock: ManualClock) -> None:
    assert send(client, clock, "", created(TICKET)).status_code == 400
    assert send(client, clock, "k", created(TICKET), event="").status_code == 400
    odd: tuple[object, ...] = ({}, [], created(TICKET) | {"version": 2}, created(TICKET, "nonsense"), created({}))
    for message in odd:
        assert send(client, clock, "k", message).status_code == 422
    assert send(client, clock, "big", {"x": "a" * 600_000}).status_code == 413


def test_the_page_is_tolerant_and_escapes(client: httpx.Client, clock: ManualClock) -> None:
    bare = send(
        client,
        clock,
        "bare",
        created({"key": "x", "evidence": [None, 7, "只有字"], "deadlines": "?", "tags": {"a": 1}}),
    )
    assert bare.status_code == 201
    assert "只有字" in client.get(f"/desk/t/{bare.json()['id']}").text
    page = client.get(f"/desk/t/{send(client, clock, 'k', created(TICKET)).json()['id']}").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert 'href="javascript:' not in page
    assert "11-22 16:00" in page  # first response, Beijing time
    assert "投诉" in page


def test_a_person_moves_the_status_and_upstream_can_ask(
    client: httpx.Client, clock: ManualClock, moved: list[str]
) -> None:
    ticket = send(client, clock, "k", created(TICKET)).json()["id"]
    assert client.get(f"/desk/api/tickets/{ticket}").json()["status"] == "待响应"
    for status in STATUSES[1:]:
        assert client.post(f"/desk/t/{ticket}/status", data={"status": status}).status_code == 303
        assert client.get(f"/desk/api/tickets/{ticket}").json()["status"] == status
    assert moved == list(STATUSES[1:])
    assert client.post(f"/desk/t/{ticket}/status", data={"status": "随便"}).status_code == 400
    assert client.post("/desk/t/D-999999/status", data={"status": "已完成"}).status_code == 404
    assert client.get("/desk/api/tickets/D-999999").status_code == 404
    assert client.get("/desk/t/D-999999").status_code == 404


@pytest.mark.parametrize("name", OUTAGES)
def test_outages(client: httpx.Client, clock: ManualClock, name: str) -> None:
    assert client.post("/desk/_switch", json={"answer": name}).status_code == 200
    down = send(client, clock, "k", created(TICKET))
    assert down.status_code == OUTAGES[name][0]
    client.post("/desk/_switch", json={"answer": None})
    assert send(client, clock, "k", created(TICKET)).status_code == 201
    assert client.post("/desk/_switch", json={"answer": "nonsense"}).status_code == 400


def test_the_desk_is_bounded(clock: ManualClock) -> None:
    desk = Desk(clock)
    for number in range(400):
        desk._take("ticket.created", {"key": f"T-{number}"}, "e", f"k{number}")
    assert len(desk.entries()) == 300
    assert desk.entries()[0].key == "T-399"
