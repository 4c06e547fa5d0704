"""Pushed mentions: only with a living token, each item answered, nothing promised before it is durable."""

from __future__ import annotations

import gzip
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from sqlalchemy import text

from ingest.coverage import coverage_from_json
from ingest.errors import Retryable, UserError
from ingest.log.base import Topics
from ingest.mention import Mention, mention_from_json
from shengwen.cli import run
from shengwen.pushing import MAX_ITEMS, PushedMention
from shengwen.serving import bind
from shengwen.tokens import Tokens
from shengwen.web.openapi import document, example, written
from shengwen.web.security import MAX_PUSHED, PUSH_PATH
from tests.shengwen.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def token(world: World) -> str:
    return Tokens(world.engine, world.clock).create("客服系统", "热线", "call")


def push(world: World, token: str, items: Any, **headers: str) -> httpx.Response:
    body = items if isinstance(items, bytes) else orjson.dumps(items)
    known = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return world.client().post(
        PUSH_PATH, content=body, headers=known | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def streamed(world: World) -> list[Mention]:
    return [mention_from_json(record.value) for record in world.log.read(Topics.COLLECTED, 0, 0, 10_000)]


def test_the_documented_example_is_accepted_masked_and_in_the_log(world: World, token: str) -> None:
    answer = push(world, token, example())
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert [one["status"] for one in answer.json()["results"]] == ["accepted", "accepted"]
    call, survey = streamed(world)
    assert [call.id, survey.id] == [one["id"] for one in answer.json()["results"]]
    assert (call.id, call.source, call.kind) == ("import:热线:call:T-20260304-0017", "import:热线", "call")
    assert call.created_at.isoformat() == "2026-03-04T06:05:00+00:00"
    assert call.author.key
    assert "C-10086" not in call.to_json().decode()
    assert (survey.rating, survey.rating_original, survey.kind) == (1, "NPS 3/10", "survey")


def test_the_written_interface_is_the_programs(world: World, token: str) -> None:
    file = Path(__file__).parents[2] / "docs" / "push.openapi.json"
    assert file.read_text("utf-8") == written()
    schemas = document()["components"]["schemas"]
    assert set(schemas["PushedMention"]["properties"]) == set(PushedMention.model_fields)
    answer = push(world, token, [*example()["mentions"], {"text": ""}])
    told = schemas["Answer"]
    assert set(answer.json()) == set(told["required"])
    assert {name for one in answer.json()["results"] for name in one} == set(
        told["properties"]["results"]["items"]["properties"]
    )
    responses = document()["paths"][PUSH_PATH]["post"]["responses"]
    assert {"202", "400", "401", "413", "415", "422", "503"} == set(responses)


def test_every_item_has_its_own_answer_in_order(world: World, token: str) -> None:
    items = [
        {"id": 1, "text": "漏水，电话13812345678"},
        {"id": "1", "text": "漏水，电话13812345678"},
        {"id": 2, "text": "好", "stars": 5},
        {"text": "   "},
        "只是一句话",
        {"id": 2.5, "text": "x"},
        {"id": 3, "text": "x", "rating": 9},
        {"id": 4, "text": "x", "created_at": "昨天"},
        {"id": 5, "text": "x", "nps": 3, "csat": 2},
        {"id": 6, "text": "x", "product": {"sku": 1.5}},
        {"id": 7, "url": "javascript:alert(1)", "text": "x"},
        {"id": 8, "text": "x", "created_at": "2031-01-01"},
        {"id": 1, "text": "又漏水了"},
    ]
    answer = push(world, token, items)
    results = answer.json()["results"]
    assert answer.status_code == 202
    assert [one["index"] for one in results] == list(range(len(items)))
    assert [one["status"] for one in results] == ["accepted", "duplicate", *["rejected"] * 10, "accepted"]
    paths = [one["path"] for one in results if one["status"] == "rejected"]
    assert paths == [
        "stars",
        "text",
        "record",
        "id",
        "rating",
        "created_at",
        "csat",
        "product.sku",
        "url",
        "created_at",
    ]
    assert all(re.search("[一-龥]", one["reason"]) for one in results if one["status"] == "rejected")
    first, second = streamed(world)
    assert (first.text, second.text, first.id == second.id) == ("漏水，电话[电话]", "又漏水了", True)


def test_personal_data_beside_the_text_is_masked_as_well(world: World, token: str) -> None:
    where = "广东省深圳市南山区科技路12号3栋502室 13812345678"
    item = {
        "text": "不热",
        "region": where,
        "product": {"id": "P1", "name": "取暖器", "spec": f"收货地址：{where}"},
        "url": "https://shop.example/r/1?phone=13812345678&token=SECRET&page=2",
    }
    assert push(world, token, [item]).json()["accepted"] == 1
    (mention,) = streamed(world)
    assert (mention.region, mention.url) == ("广东", "https://shop.example/r/1?page=2")
    line = mention.to_json().decode()
    assert not [private for private in ("深圳", "科技路", "502", "13812345678", "SECRET") if private in line]


def test_pushing_again_changes_nothing_with_an_id_or_without(world: World, token: str) -> None:
    items = [{"id": "a", "text": "不热"}, {"text": "师傅没来", "created_at": "2026-03-01 09:00", "author": "1"}]
    assert push(world, token, items).json()["accepted"] == 2
    world.clock.advance(3600)
    again = push(world, token, items).json()
    assert (again["accepted"], again["duplicate"], len(streamed(world))) == (0, 2, 2)
    other = [{"text": "师傅没来", "created_at": "2026-03-01 09:00", "author": "2"}]
    assert push(world, token, other).json()["accepted"] == 1


def test_tokens_of_other_sources_do_not_meet(world: World, token: str) -> None:
    other = Tokens(world.engine, world.clock).create("问卷星", "问卷", "survey")
    for given in (token, other):
        assert push(world, given, [{"id": 1, "text": "不热"}]).json()["accepted"] == 1
    assert [m.id for m in streamed(world)] == ["import:热线:call:1", "import:问卷:survey:1"]


def test_all_rejected_is_no_success(world: World, token: str) -> None:
    answer = push(world, token, [{"text": ""}, {"rating": 0}])
    assert (answer.status_code, answer.json()["rejected"], streamed(world)) == (422, 2, [])


def test_json_lines_and_gzip_are_read(world: World, token: str) -> None:
    lines = b'{"id": 1, "text": "\xe4\xb8\x8d\xe7\x83\xad"}\n\n{"id": 2, "text": "\xe6\xbc\x8f\xe6\xb0\xb4"}\n'
    assert push(world, token, lines, Content_Type="application/x-ndjson").json()["accepted"] == 2
    packed = gzip.compress(orjson.dumps([{"id": 3, "text": "渗水"}]))
    assert push(world, token, packed, Content_Encoding="gzip").json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b"{}", {}, 400),
        (b"[]", {}, 400),
        (b'{"mentions": [], "more": 1}', {}, 400),
        (b"\xff\xfe[", {}, 400),
        (b'["x"]\n[', {"Content_Type": "application/x-ndjson"}, 400),
        (b"text=x", {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        (b"[]", {"Content_Encoding": "br"}, 415),
        (b"no gzip", {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b'[{"text": "x"}]')[:-4], {"Content_Encoding": "gzip"}, 400),
        (gzip.compress(b" " * (33 * 1024 * 1024)), {"Content_Encoding": "gzip"}, 413),
        (orjson.dumps([{"text": "x"}] * (MAX_ITEMS + 1)), {}, 413),
        (b"[" + b" " * MAX_PUSHED + b"]", {}, 413),
    ],
)
def test_a_batch_that_is_none_is_refused_as_a_whole(
    world: World, token: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = push(world, token, body, **headers)
    assert answer.status_code == status
    assert streamed(world) == []


LINES = {"Content_Type": "application/x-ndjson", "Content_Encoding": "gzip"}
BOMBS: list[tuple[bytes, dict[str, str]]] = [
    (b"1\n" * (16 << 20), LINES),
    (b"\n" * (32 << 20), LINES),
    (b"[" + b"{}," * (10 << 20) + b"{}]", {"Content_Encoding": "gzip"}),
    (b'[{"text": [' + b"1," * (15 << 20) + b"1]}]", {"Content_Encoding": "gzip"}),
    (b'["' + b'\\"' * (15 << 20), {"Content_Encoding": "gzip"}),
]
"""Small when packed, and 32 MB of very many parts when not."""


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_a_bomb_is_refused_before_anything_is_made_of_it(
    world: World, token: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    loads = orjson.loads
    monkeypatch.setattr("shengwen.web.views_push.orjson.loads", lambda data: (read.append(len(data)), loads(data))[1])
    plain, headers = BOMBS[number]
    answer = push(world, token, gzip.compress(plain, 9), **headers)
    assert answer.status_code in (400, 413)
    assert "请" in answer.json()["error"]
    assert len(read) <= 1
    assert streamed(world) == []


@pytest.mark.parametrize(
    ("item", "path"),
    [
        ({"created_at": 20000}, "created_at"),
        ({"created_at": "20000"}, "created_at"),
        ({"created_at": 2026}, "created_at"),
        ({"created_at": 0}, "created_at"),
        ({"created_at": "0001-01-01"}, "created_at"),
        ({"created_at": "昨天"}, "created_at"),
        ({"id": "a\nb"}, "id"),
        ({"id": "a\u0000"}, "id"),
        ({"id": "\u2028"}, "id"),
        ({"id": "   "}, "id"),
        ({"author": "a\tb"}, "author"),
        ({"product": {"sku": "1\r"}}, "product.sku"),
        ({"created_at": True}, "created_at"),
        ({"created_at": [1]}, "created_at"),
        ({"created_at": 1.5}, "created_at"),
        ({"created_at": "2031-01-01"}, "created_at"),
        ({"text": "x" * 50_001}, "text"),
        ({"text": None}, "text"),
        ({"kind": "letter"}, "kind"),
        ({"likes": -1}, "likes"),
        ({"likes": "1"}, "likes"),
        ({"appends": "又漏了"}, "appends"),
        ({"appends": ["x"] * 21}, "appends"),
        ({"nps": 11}, "nps"),
        ({"product": "K20"}, "product"),
        ({"stars": 5}, "stars"),
    ],
)
def test_times_and_ids_that_cannot_be_are_refused_and_say_why(
    world: World, token: str, item: dict[str, Any], path: str
) -> None:
    (result,) = push(world, token, [{"text": "漏水", **item}]).json()["results"]
    assert (result["status"], result["path"]) == ("rejected", path)
    assert re.search("[一-龥]", result["reason"])
    assert streamed(world) == []


@pytest.mark.parametrize(
    "value", [1772604300, 1772604300000, "1772604300", "2026-03-04T14:05:00+08:00", "2026-03-04 14:05"]
)
def test_times_of_programs_are_read(world: World, token: str, value: Any) -> None:
    assert push(world, token, [{"text": "漏水", "created_at": value}]).json()["accepted"] == 1
    assert streamed(world)[0].created_at.isoformat() == "2026-03-04T06:05:00+00:00"


def test_a_larger_batch_than_a_form_may_be_is_taken(world: World, token: str) -> None:
    items = [{"id": n, "text": "暖气片不热，约了师傅也没来。" * 20} for n in range(500)]
    assert len(orjson.dumps(items)) > 200_000
    assert push(world, token, items).json()["accepted"] == 500


@pytest.mark.parametrize("given", ["", "swt_000000000000_" + "x" * 43, "' OR 1=1 --", "swt_" + "é" * 20])
def test_without_a_living_token_nothing_is_read(world: World, token: str, given: str) -> None:
    headers = {b"Authorization": f"Bearer {given}".encode(), b"Content-Type": b"application/json"}
    answer = world.client().post(PUSH_PATH, content=b"[" + b" " * 100_000 + b"]", headers=headers)
    assert (answer.status_code, streamed(world)) == (401, [])
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_revoked_token_opens_nothing_at_once(world: World, token: str) -> None:
    tokens = Tokens(world.engine, world.clock)
    assert push(world, token, [{"id": 1, "text": "x"}]).status_code == 202
    (listed,) = tokens.all()
    assert (listed.name, listed.source, listed.used_at) == ("客服系统", "import:热线", world.clock.now())
    tokens.revoke(listed.id)
    assert push(world, token, [{"id": 2, "text": "x"}]).status_code == 401
    with pytest.raises(UserError, match="已经停用"):
        tokens.revoke(listed.id)


def test_a_token_opens_no_other_path_and_no_other_method(world: World, token: str) -> None:
    client, headers = world.client(), {"Authorization": f"Bearer {token}"}
    for path in ("/api/v1/search", "/api/v1/alerts", PUSH_PATH, f"{PUSH_PATH}/"):
        assert client.get(path, headers=headers).status_code == 401
    for path in (f"{PUSH_PATH}/", "/api/v1/search", "//api/v1/mentions"):
        answer = client.post(path, headers=headers, json=[{"text": "x"}], follow_redirects=False)
        assert answer.status_code in (303, 401)
    assert client.post("/logout", headers=headers, follow_redirects=False).status_code == 303
    assert streamed(world) == []


def test_a_login_is_no_token_and_a_form_of_another_site_is_refused(world: World, token: str) -> None:
    browser = world.logged_in()
    answer = browser.post(PUSH_PATH, json=[{"text": "x"}])
    assert answer.status_code == 403
    basic = world.client().post(PUSH_PATH, json=[{"text": "x"}], auth=("admin", world.password))
    assert basic.status_code == 403
    foreign = push(world, token, [{"text": "x"}], Sec_Fetch_Site="cross-site")
    assert foreign.status_code == 403
    assert push(world, token, [{"text": "x"}], Host="evil.example").status_code == 421
    assert streamed(world) == []


def test_only_the_hash_of_a_token_is_kept(world: World, token: str) -> None:
    with world.engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM api_tokens")).all())
    assert token.rpartition("_")[2] not in stored
    assert token not in stored
    assert len(token) > 50


def test_a_log_that_cannot_be_reached_promises_nothing_and_says_when(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce = type(world.log).produce

    def down(*_: Any, **__: Any) -> None:
        raise Retryable("disk full", retry_after=30)

    monkeypatch.setattr(type(world.log), "produce", down)
    answer = push(world, token, [{"id": 1, "text": "漏水"}])
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    monkeypatch.setattr(type(world.log), "produce", produce)
    assert push(world, token, [{"id": 1, "text": "漏水"}]).json()["accepted"] == 1
    assert len(streamed(world)) == 1


def test_every_batch_tells_the_sources_page_that_something_arrived(world: World, token: str) -> None:
    batch: list[Any] = [{"id": 1, "text": "漏水"}, {"id": 2, "text": "不热"}]
    push(world, token, batch)
    push(world, token, [*batch, {"id": 3, "text": "师傅很好"}, {"id": 4, "rating": 9}])
    told = [coverage_from_json(record.value) for record in world.log.read(Topics.COVERAGE, 0, 0, 100)]
    assert [(one.source, one.query) for one in told] == [("import:热线", "push:客服系统")] * 2
    assert [(one.planned, one.got, one.new, one.duplicate, one.status) for one in told] == [
        (2, 2, 2, 0, "complete"),
        (4, 3, 1, 2, "partial"),
    ]
    assert "1 条没有收下" in told[1].reason
    push(world, "swt_000000000000_" + "x" * 43, batch)  # nobody's: nothing to tell
    assert len(list(world.log.read(Topics.COVERAGE, 0, 0, 100))) == 2


def test_a_batch_whose_coverage_cannot_be_written_is_accepted_all_the_same(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce = type(world.log).produce

    def full(log: Any, topic: str, *rest: Any, **more: Any) -> None:
        if topic == Topics.COVERAGE:
            raise Retryable("disk full")
        produce(log, topic, *rest, **more)

    monkeypatch.setattr(type(world.log), "produce", full)
    assert push(world, token, [{"id": 1, "text": "漏水"}]).json()["accepted"] == 1
    assert len(streamed(world)) == 1


def test_a_crash_between_log_and_memory_repeats_and_does_not_lose(
    world: World, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crawlers.ledger import Ledger

    def dies(*_: Any, **__: Any) -> None:
        raise Retryable("the state database went away")

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "record", dies)
        assert push(world, token, [{"id": 1, "text": "漏水"}]).status_code == 503
    assert push(world, token, [{"id": 1, "text": "漏水"}]).json()["accepted"] == 1
    first, second = streamed(world)
    assert (first.id, first.revision.hash) == (second.id, second.revision.hash)  # the index counts it a duplicate


def test_a_body_without_a_length_is_cut_off_at_the_limit_too(world: World, token: str) -> None:
    """Over a real socket: chunked, so that only counting finds the end."""
    sock = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(world.app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run, args=([sock],))
    thread.start()
    try:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:{sock.getsockname()[1]}{PUSH_PATH}"

        def chunks(size: int) -> Iterator[bytes]:
            yield b'[{"id": 1, "text": "x"}'
            for _ in range(size // 65_536):
                yield b" " * 65_536
            yield b"]"

        with httpx.Client(timeout=30) as client:
            assert client.post(url, content=chunks(1_000_000), headers=headers).status_code == 202
            assert client.post(url, content=chunks(MAX_PUSHED + 1_000_000), headers=headers).status_code == 413
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


def test_tokens_are_made_listed_and_revoked_on_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert run([*home, "tokens", "create", "客服系统", "--source", "热线", "--kind", "call"]) == 0
    token = capfd.readouterr().out.strip()
    assert token.startswith("swt_")
    assert run([*home, "tokens", "list", "--json"]) == 0
    (listed,) = orjson.loads(capfd.readouterr().out)
    assert (listed["name"], listed["source"], listed["kind"]) == ("客服系统", "import:热线", "call")
    assert token not in str(listed)
    assert run([*home, "tokens", "revoke", listed["id"]]) == 0
    assert run([*home, "tokens", "list"]) == 0
    assert "停用" in capfd.readouterr().out
    assert run([*home, "tokens", "revoke", "nothing"]) == 1
    assert "没有编号为 nothing 的令牌" in capfd.readouterr().err
    assert run([*home, "tokens", "create", "x", "--source", "a b"]) == 1
