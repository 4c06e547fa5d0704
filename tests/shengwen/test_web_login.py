"""Nobody reads without logging in, and nobody posts from elsewhere."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from ingest.clock import ManualClock
from ingest.errors import UserError
from ingest.state import make_engine
from shengwen.web.app import create_app
from shengwen.web.security import HEADERS, OPEN_PATHS, PUSH_PATH, local_path
from shengwen.web.users import ADMIN, change_password, ensure_admin, reset_password, verify_password
from tests.shengwen.world import World, log_in, open_world, post, token_in

EVERY_GET = (
    "/", "/?q=漏水", "/mentions/jd:review:1", "/timeline", "/alerts", "/alerts/A-1", "/deliveries", "/tickets",
    "/tickets/T-1", "/sources", "/dead-letters", "/metrics", "/account", "/export.csv", "/export.xlsx", "/export.jsonl",
    "/fragments/status",
    "/fragments/mentions?cursor=x", "/api/v1/search", "/api/v1/alerts", "/api/v1/alerts/A-1", "/api/v1/tickets",
    "/api/v1/tickets/T-1", "/corrections/jd:review:1", "/no-such-page",
)  # fmt: skip
EVERY_POST = (
    "/logout", "/account/password", "/alerts/A-1/verdict", "/tickets/T-1", "/tickets/T-1/cause", "/sources/resume",
    "/dead-letters/replay", "/searches", "/searches/1/delete", "/corrections/jd:review:1",
    "/tickets/T-1/verification", "/deliveries/1/again",
)  # fmt: skip


@pytest.fixture
def world(tmp_path: Path, state_url: str) -> Iterator[World]:
    with open_world(tmp_path, url=state_url) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """For tests that change nothing and guess no password."""
    with open_world(tmp_path_factory.mktemp("shared")) as opened:
        yield opened


def attempt(client: httpx.Client, password: str, user: str = ADMIN) -> httpx.Response:
    token = token_in(client.get("/login").text, "token")
    return client.post("/login", data={"user": user, "password": password, "token": token}, follow_redirects=False)


@pytest.mark.parametrize("path", EVERY_GET)
def test_a_page_sends_a_stranger_to_the_login(shared: World, path: str) -> None:
    answer = shared.client().get(path, follow_redirects=False)
    if path.startswith("/api/") or path == "/metrics":
        assert answer.status_code == 401
        assert answer.json() == {"error": "请先登录"}
    else:
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/login")


def test_a_push_without_a_token_is_told_to_log_in(shared: World) -> None:
    """What a token opens, test_web_push.py says."""
    answer = shared.client().post(PUSH_PATH, json=[{"text": "x"}], follow_redirects=False)
    assert (answer.status_code, answer.json()) == (401, {"error": "请先登录"})


@pytest.mark.parametrize("path", EVERY_POST)
def test_a_form_from_a_stranger_changes_nothing(shared: World, path: str) -> None:
    answer = shared.client().post(path, data={"csrf": "x"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_the_lists_above_leave_no_route_out(shared: World) -> None:
    def shape(path: str) -> str:
        return path.partition("?")[0].rstrip("/")

    checked = {shape(path) for path in (*EVERY_GET, *EVERY_POST, *OPEN_PATHS, PUSH_PATH)}
    routes = shared.app.routes
    flat = [route for entry in routes for route in getattr(getattr(entry, "original_router", None), "routes", [entry])]
    regexes = [route.path_regex for route in flat if getattr(route, "methods", None)]  # type: ignore[attr-defined]
    assert len(regexes) > 20
    unchecked = [regex.pattern for regex in regexes if not any(regex.match(path or "/") for path in checked)]
    assert unchecked == []


def test_a_fragment_tells_htmx_to_go_to_the_login(shared: World) -> None:
    answer = shared.client().get("/fragments/status", headers={"HX-Request": "true"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/login")


def test_after_the_login_one_is_where_one_wanted_to_be(shared: World) -> None:
    client = shared.client()
    page = client.get("/tickets?status=待响应")
    data = {"user": ADMIN, "password": shared.password, "token": token_in(page.text, "token")}
    data["next"] = token_in(page.text, "next")
    answer = client.post("/login", data=data)
    assert answer.url.path == "/tickets"
    assert answer.url.params["status"] == "待响应"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "", "/a\nb", "/\t/evil"],
)
def test_the_login_leads_nowhere_else(shared: World, target: str) -> None:
    assert local_path(target) == "/"
    client = shared.client()
    token = token_in(client.get("/login", params={"next": target}).text, "token")
    data = {"user": ADMIN, "password": shared.password, "token": token, "next": target}
    assert client.post("/login", data=data, follow_redirects=False).headers["location"] == "/"


def test_a_wrong_password_and_an_unknown_user_look_the_same(world: World) -> None:
    wrong, unknown = attempt(world.client(), "nope"), attempt(world.client(), world.password, user="root")
    assert wrong.status_code == unknown.status_code == 401
    assert "用户名或密码不对" in wrong.text
    assert "用户名或密码不对" in unknown.text


def test_five_failures_make_even_the_right_password_wait(world: World) -> None:
    client = world.client()
    assert [attempt(client, f"wrong{n}").status_code for n in range(5)] == [401] * 5
    waiting = attempt(client, world.password)
    assert waiting.status_code == 429
    assert "请等 30 秒" in waiting.text
    world.clock.advance(29)
    assert attempt(client, world.password).status_code == 429
    world.clock.advance(2)
    assert attempt(client, world.password).status_code == 303


def test_each_further_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(world: World) -> None:
    client = world.client()
    for n in range(5):
        attempt(client, f"wrong{n}")
    waits = []
    for expected in (30, 60, 120, 240, 480, 900, 900):
        waits.append(f"请等 {expected} 秒" in attempt(client, "still wrong").text)
        world.clock.advance(expected + 1)
        assert attempt(client, "still wrong").status_code == 401
    assert all(waits)


def test_a_success_forgets_the_failures(world: World) -> None:
    client = world.client()
    for _ in range(3):
        for n in range(4):
            assert attempt(client, f"wrong{n}").status_code == 401
        assert attempt(client, world.password).status_code == 303
        client.cookies.clear()


def test_many_guesses_at_once_are_no_way_around_the_throttle(world: World) -> None:
    answers: list[int] = []

    def guess(number: int) -> None:
        answers.append(attempt(world.client(), f"guess{number}").status_code)

    threads = [threading.Thread(target=guess, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [401] * 5 + [429] * 7


def test_the_session_cookie_is_out_of_scripts_reach(shared: World) -> None:
    answer = attempt(shared.client(), shared.password)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("shengwen_session_8700="))
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie  # loopback without TLS: a browser would not send it back


def test_the_session_cookie_is_for_https_when_reached_by_name(tmp_path: Path) -> None:
    with open_world(tmp_path, hosts=("voice.example",)) as world:
        client = world.client("voice.example")
        client.base_url = httpx.URL("https://voice.example")
        answer = attempt(client, world.password)
        cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("__Host-shengwen_session_"))
        assert "Secure" in cookie.split("; ")


def test_a_cookie_that_was_tampered_with_opens_nothing(shared: World) -> None:
    client = shared.logged_in()
    name, value = next((c.name, c.value) for c in client.cookies.jar if "session" in c.name)
    assert value is not None
    swapped = value[:-5] + ("A" if value[-5] != "A" else "B") + value[-4:]  # the last one holds bits that mean nothing
    for forged in (swapped, value.partition(".")[0], "x" + value, "", "é"):
        answer = shared.client().get("/", headers={"cookie": f"{name}={forged}".encode()}, follow_redirects=False)
        assert answer.status_code == 303, forged


def test_a_session_that_logged_out_is_gone_even_for_a_copied_cookie(world: World) -> None:
    client = world.logged_in()
    copied = {"cookie": "; ".join(f"{c.name}={c.value}" for c in client.cookies.jar)}
    assert world.client().get("/account", headers=copied, follow_redirects=False).status_code == 200
    assert post(client, "/logout").headers["location"] == "/login"
    assert world.client().get("/account", headers=copied, follow_redirects=False).status_code == 303


def test_a_session_ends_when_it_is_idle(world: World) -> None:
    client = world.logged_in()
    for _ in range(3):
        world.clock.advance(11 * 3600)
        assert client.get("/account", follow_redirects=False).status_code == 200
    world.clock.advance(12 * 3600 + 60)
    assert client.get("/account", follow_redirects=False).status_code == 303


def test_a_page_left_open_does_not_keep_the_session_alive(world: World) -> None:
    client = world.logged_in()
    for _ in range(12):
        world.clock.advance(3600)
        assert client.get("/fragments/status", follow_redirects=False).status_code == 200
    world.clock.advance(60)
    assert client.get("/fragments/status", follow_redirects=False).status_code == 303


def test_a_session_ends_after_a_week_however_busy(world: World) -> None:
    client = world.logged_in()
    answers = []
    for _ in range(18):
        world.clock.advance(10 * 3600)
        answers.append(client.get("/account", follow_redirects=False).status_code)
    assert answers == [200] * 16 + [303] * 2


def test_the_database_holds_neither_the_password_nor_the_sessions_id(world: World) -> None:
    client = world.logged_in()
    session_id = next(c.value for c in client.cookies.jar if "session" in c.name)
    assert session_id is not None
    with world.engine.connect() as connection:
        rows = [str(connection.execute(text(f"SELECT * FROM {name}")).all()) for name in ("users", "web_sessions")]
    assert "argon2id" in rows[0]
    assert world.password not in rows[0]
    assert session_id.partition(".")[0] not in rows[1]


def test_the_first_password_is_told_once_even_to_two_at_once(state_url: str) -> None:
    engine = make_engine(state_url)
    told: list[str | None] = []
    threads = [threading.Thread(target=lambda: told.append(ensure_admin(engine, ManualClock()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    passwords = [one for one in told if one is not None]
    assert (len(told), len(passwords)) == (4, 1)
    assert verify_password(engine, ADMIN, passwords[0])
    assert not verify_password(engine, ADMIN, passwords[0] + "x")
    engine.dispose()


def test_a_reset_password_ends_every_session_and_the_old_password(world: World) -> None:
    client = world.logged_in()
    fresh = reset_password(world.engine, world.clock)
    assert client.get("/account", follow_redirects=False).status_code == 303
    assert attempt(world.client(), world.password).status_code == 401
    log_in(world.client(), fresh)


def test_the_password_can_be_changed_on_the_page(world: World) -> None:
    client = world.logged_in()
    refused = post(client, "/account/password", old="wrong", new="a new long one", again="a new long one")
    assert "当前密码不对" in refused.text
    assert "不一样" in post(client, "/account/password", old=world.password, new="a" * 12, again="b" * 12).text
    changed = post(client, "/account/password", old=world.password, new="a new long one", again="a new long one")
    assert changed.headers["location"] == "/login"
    log_in(world.client(), "a new long one")


@pytest.mark.parametrize("new", ["short", "x" * 201])
def test_a_new_password_has_a_sane_length(world: World, new: str) -> None:
    with pytest.raises(UserError, match="新密码要有"):
        change_password(world.engine, world.clock, ADMIN, world.password, new)


def test_a_form_needs_its_own_sessions_token(shared: World) -> None:
    mine, other = shared.logged_in(), shared.logged_in()
    stolen = token_in(other.get("/account").text)
    for data in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": stolen}):
        answer = mine.post("/logout", data=data, follow_redirects=False)
        assert answer.status_code == 403
        assert "刷新" in answer.text
    assert mine.get("/account", follow_redirects=False).status_code == 200


def test_the_login_form_needs_its_own_token(shared: World) -> None:
    data = {"user": ADMIN, "password": shared.password}
    assert shared.client().post("/login", data=data).status_code == 403
    token = token_in(shared.client().get("/login").text, "token")
    assert shared.client().post("/login", data={**data, "token": token}).status_code == 403  # another browser's


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
def test_a_form_on_another_site_is_refused(shared: World, headers: dict[str, str]) -> None:
    client = shared.logged_in()
    token = token_in(client.get("/account").text)
    answer = client.post("/logout", data={"csrf": token}, headers=headers, follow_redirects=False)
    assert answer.status_code == 403
    assert client.get("/account", follow_redirects=False).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8700", 200),
        ("localhost", 200),
        ("[::1]:8700", 200),
        ("LOCALHOST:1", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8700", 421),
        ("", 421),
    ],
)
def test_only_this_machines_names_are_answered(shared: World, host: str, status: int) -> None:
    for path in ("/login", "/healthz", "/static/page.css"):
        assert shared.client().get(path, headers={"host": host}).status_code == status


def test_an_operator_can_name_other_hosts(tmp_path: Path) -> None:
    with open_world(tmp_path, hosts=("voice.example",), host="192.168.1.20") as world:
        answers = {
            host: world.client().get("/login", headers={"host": host}).status_code
            for host in ("voice.example", "192.168.1.20:8700", "evil.example")
        }
        assert answers == {"voice.example": 200, "192.168.1.20:8700": 200, "evil.example": 421}


def test_binding_to_every_address_allows_no_name(tmp_path: Path) -> None:
    with open_world(tmp_path, host="0.0.0.0") as world:
        assert world.client().get("/login", headers={"host": "0.0.0.0"}).status_code == 421


@pytest.mark.parametrize("path", ["/", "/login", "/static/page.css", "/nope", "/healthz", "/api/v1/search", "/?q=(("])
def test_every_answer_carries_the_protective_headers(shared: World, path: str) -> None:
    for client in (shared.client(), shared.logged_in()):
        answer = client.get(path)
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
        assert "unsafe" not in answer.headers["content-security-policy"]
        cached = "immutable" if path.startswith("/static/") else "no-store"
        assert cached in answer.headers["cache-control"]


def test_a_bug_shows_no_trace_and_keeps_the_headers(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @world.app.get("/api/v1/bug")
    def bug() -> None:
        raise RuntimeError("a secret detail")

    answer = world.logged_in().get("/api/v1/bug")
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"
    assert "a secret detail" in caplog.text


def test_a_large_body_is_refused(world: World) -> None:
    client = world.client()
    token = token_in(client.get("/login").text, "token")
    big = {"user": ADMIN, "password": "x" * 100_000, "token": token}
    assert client.post("/login", data=big).status_code == 413
    assert client.post("/login", content=b"x", headers={"content-length": "-1"}).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 10_000

    assert client.post("/login", content=b"".join(endless())).status_code == 413


def test_programs_log_in_with_basic_authentication_for_the_api_only(world: World) -> None:
    def header(password: str) -> dict[str, str]:
        return {"authorization": "Basic " + base64.b64encode(f"{ADMIN}:{password}".encode()).decode()}

    assert world.client().get("/api/v1/search", headers=header(world.password)).json()["total"] == 0
    assert world.client().get("/", headers=header(world.password), follow_redirects=False).status_code == 303
    assert world.client().get("/api/v1/search", headers=header("wrong")).status_code == 401
    assert world.client().get("/api/v1/search", headers={"authorization": "Basic %%%"}).status_code == 401


def test_the_cookies_need_a_real_key(world: World) -> None:
    settings = replace(world.deps.settings, session_key=b"short")
    with pytest.raises(ValueError, match="32 bytes"):
        create_app(replace(world.deps, settings=settings))


def test_missing_assets_are_named_in_the_log_and_pages_work_without(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("shengwen.web.pages.VENDOR", ("vendor/absent.js",))
    world.app = create_app(world.deps)
    assert "make setup" in caplog.text
    page = world.logged_in().get("/")
    assert page.status_code == 200
    assert "vendor/" not in page.text


def test_sessions_of_the_past_are_swept_away(world: World) -> None:
    world.logged_in()
    world.clock.advance(timedelta(days=8).total_seconds())
    world.logged_in()
    with world.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM web_sessions")).scalar() == 1
