"""A login by hand: the test plays the person, in the real Chromium that the real command opens.

The configured browser is a script that starts Chromium without a screen and lets a second client look on: that client
is the person, who types and clicks in the page. Nothing of the program is replaced.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from crawlers.config import Platform
from crawlers.session import Session, SessionFile
from ingest.privacy import load_secret
from shengwen.crawling import CrawlSchedule
from shengwen.demo.settings import LOGIN_COOKIES
from shengwen.home import Home
from shengwen.pages import make_app
from shengwen.rooms import Rooms
from shengwen.web.users import reset_password
from tests.crawlers.replica import Replica, running_replica
from tests.processes import ROOT, wait_until
from tests.servers.base import free_port
from tests.shengwen.world import InProcess, log_in

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

PATIENCE = 180.0


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica() as running:
        yield running


@dataclass
class Place:
    """A home, the platform in it, and the port where the person finds the window."""

    home: Home
    platform: Platform
    port: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> SessionFile:
        path = self.home.path / "sessions" / f"{self.platform}.json"
        return SessionFile(path, self.platform, load_secret(self.home.secret, make=False))

    def session(self) -> Session:
        found = self.kept.load()
        assert found is not None
        return found

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in a process of its own."""
        call = [sys.executable, "-m", "shengwen", *words, "--home", str(self.home.path)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(call, env=environment, capture_output=True, text=True, timeout=300, check=False)

    def crawl(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command("crawl", self.platform, "--once", *words)


@pytest.fixture
def place(tmp_path: Path, chromium: Path) -> Callable[..., Place]:
    def made(replica: Replica, platform: Platform, keywords: list[str] | None = None) -> Place:
        port, program = free_port(), tmp_path / "chromium-in-sight"
        program.write_text(f'#!/bin/sh\nexec {chromium} --headless=new --remote-debugging-port={port} "$@"\n')
        program.chmod(0o755)
        settings = replica.settings(platform, keywords, pause=[0, 0], timeout=20)
        (tmp_path / "home").mkdir()
        home = Home(tmp_path / "home")
        home.settings.write_text(toml(str(program), platform, settings), "utf-8")
        return Place(home, platform, port)

    return made


def toml(program: str, platform: str, settings: dict[str, Any]) -> str:
    lines = ["[crawl]", f'chromium = "{program}"', f"[crawl.{platform}]"]
    targets = settings.pop("targets")
    bases = ", ".join(f'"{host}" = "{base}"' for host, base in settings.pop("bases").items())
    lines += [f"{key} = {value}" for key, value in settings.items()]
    lines += [f"bases = {{{bases}}}"]
    for target in targets:
        lines += [f"[[crawl.{platform}.targets]]", *(f'{name} = "{value}"' for name, value in target.items())]
    return "\n".join(lines)


class Person:
    """Who sits before the window and at the terminal."""

    def __init__(self, command: subprocess.Popen[str], browser: Browser) -> None:
        self.command = command
        self._browser = browser
        self._eyes = browser.new_browser_cdp_session()

    def sees(self) -> list[Page]:
        self._eyes.send("Target.getTargets")  # lets what happened meanwhile be heard
        return [page for context in self._browser.contexts for page in context.pages if page.url.startswith("http")]

    def logs_in(self) -> None:
        page = self.sees()[0]
        page.fill("input[name=account]", "a-person")
        page.fill("input[name=password]", "their-password")
        page.click("button[type=submit]")

    def hears(self) -> str:
        """The next line of the terminal."""
        assert self.command.stderr is not None
        return self.command.stderr.readline()

    def presses_enter(self) -> None:
        assert self.command.stdin is not None
        self.command.stdin.write("\n")
        self.command.stdin.flush()

    def closes_the_window(self) -> None:
        for page in self.sees():
            page.close()

    def waits(self) -> tuple[int, str, str]:
        """Exit code and what the command said since."""
        out, err = self.command.communicate(timeout=PATIENCE)
        return self.command.returncode, out, err


@contextmanager
def person_at(place: Place, *words: str, stdin: int = subprocess.PIPE) -> Iterator[Person]:
    call = [sys.executable, "-m", "shengwen", "login", place.platform, "--home", str(place.home.path), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DISPLAY": ":0"}
    command = subprocess.Popen(
        call,
        env=environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with sync_playwright() as playwright:
            found: list[Browser] = []

            def window() -> bool:
                assert command.poll() is None, command.communicate()
                try:
                    found.append(playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{place.port}"))
                except Error:
                    return False
                return True

            wait_until(window, PATIENCE, "the window")
            person = Person(command, found[0])
            assert "完成后按回车" in person.hears()
            wait_until(lambda: [page for page in person.sees() if page.query_selector("form")], PATIENCE, "the form")
            yield person
    finally:
        if command.poll() is None:
            os.killpg(command.pid, signal.SIGKILL)
        command.communicate()


@contextmanager
def walled(replica: Replica, platform: Platform) -> Iterator[None]:
    """The platform shows itself to those who have logged in only."""
    replica.demo.switches.set(platform, login=True)
    try:
        yield
    finally:
        replica.demo.switches.set(platform)


def sources_page(place: Place) -> tuple[str, list[str], int]:
    """What a person reads there, the open alerts, and how many messages were ever written; after two ticks."""
    with Rooms(place.home) as rooms:
        rooms.alerting.tick()
        rooms.alerting.tick()
        alerts = [alert.title for alert in rooms.reader.open_alerts()]
        messages = len([one for one in rooms.reader.alerts() if one.kind == "stop"])
        schedule = CrawlSchedule(rooms)
        app, _ = make_app(rooms, schedule, dict, 8700, ())
        with httpx.Client(transport=InProcess(app), base_url="http://127.0.0.1:8700", follow_redirects=True) as client:
            log_in(client, reset_password(rooms.engine, rooms.clock))
            return client.get("/sources").text, alerts, messages


def test_a_login_is_used_outlives_the_process_and_its_end_is_noticed_told_and_mended(
    replica: Replica, place: Callable[..., Place]
) -> None:
    here = place(replica, "xiaohongshu", replica.keywords("xiaohongshu")[1:])
    with walled(replica, "xiaohongshu"):
        with person_at(here) as person:
            person.logs_in()
            assert "看起来已经登录" in person.hears()
            person.presses_enter()
            code, out, err = person.waits()
        assert (code, err) == (0, "")
        assert "已加密保存登录状态" in out
        assert "demo-session" not in here.kept.path.read_text() + out
        first = here.session()
        assert "demo-session" in {cookie["value"] for cookie in first.state["cookies"]}

        for _ in range(2):  # each run is a process of its own: the login outlives them
            done = here.crawl()
            assert done.returncode == 0, done.stderr
            assert "完成" in done.stdout
        assert here.session().logged_in_at == first.logged_in_at  # refreshed by the runs, and as old as it is
        page, alerts, _ = sources_page(here)
        assert "登录于" in page
        assert "登录已失效" not in page
        assert alerts == []

        replica.demo.switches.end_sessions("xiaohongshu")
        stopped = here.crawl()
        assert stopped.returncode == 1
        assert "停下了" in stopped.stdout
        page, alerts, _ = sources_page(here)
        assert "登录已失效" in page
        assert "上次登录在" in page
        assert "shengwen login xiaohongshu" in page
        assert alerts == ["采集已停：小红书（登录已失效）"]
        replica.hits.clear()
        assert here.crawl().returncode == 1
        assert replica.hits == []  # it waits for a person, and asks for nothing
        _, alerts, told = sources_page(here)
        assert (len(alerts), told) == (1, 1)

        with person_at(here, "--resume") as person:
            person.logs_in()
            assert "看起来已经登录" in person.hears()
            person.presses_enter()
            code, out, err = person.waits()
        assert (code, err) == (0, "")
        assert "小红书已恢复" in out
        done = here.crawl()
        assert done.returncode == 0, done.stderr
        page, alerts, told = sources_page(here)
        assert "登录已失效" not in page
        assert (alerts, told) == ([], 1)
        newer = here.session()
        assert newer.logged_in_at is not None
        assert first.logged_in_at is not None
        assert newer.logged_in_at > first.logged_in_at


def test_ctrl_c_keeps_nothing_also_where_somebody_had_logged_in(replica: Replica, place: Callable[..., Place]) -> None:
    here = place(replica, "zhihu")
    with person_at(here) as person:
        person.logs_in()
        assert "看起来已经登录" in person.hears()
        os.killpg(person.command.pid, signal.SIGINT)  # as a terminal does, to the browser as well
        code, out, err = person.waits()
    assert (code, out) == (130, "")
    assert err.strip() == "已中断。"
    assert not here.kept.path.exists()


def test_a_window_that_is_closed_keeps_a_login_and_says_when_there_was_none(
    replica: Replica, place: Callable[..., Place]
) -> None:
    here = place(replica, "zhihu")
    with person_at(here) as person:
        person.closes_the_window()
        code, out, err = person.waits()
    assert (code, out) == (1, "")
    assert "没有看到登录成功，什么也没有保存" in err
    assert not here.kept.path.exists()
    with person_at(here) as person:
        person.logs_in()
        assert "看起来已经登录" in person.hears()
        person.closes_the_window()
        code, _, err = person.waits()
    assert (code, err) == (0, "")
    assert LOGIN_COOKIES["zhihu"] in {cookie["name"] for cookie in here.session().state["cookies"]}


def test_where_nobody_can_press_enter_the_login_itself_is_the_end_and_a_spoilt_session_is_replaced(
    replica: Replica, place: Callable[..., Place]
) -> None:
    here = place(replica, "zhihu")
    replica.hits.clear()
    path = here.home.path / "sessions" / "zhihu.json"
    path.parent.mkdir()
    path.write_bytes(orjson.dumps({"format": "shengwen-session-1", "sealed": "x"}))
    failed = here.crawl()
    assert failed.returncode == 1
    assert "请重新运行 shengwen login zhihu" in failed.stdout
    assert not any(asked.startswith("/zhihu/question") for asked in replica.hits)
    with subprocess.Popen(["/bin/true"], stdout=subprocess.PIPE) as nobody:
        assert nobody.stdout is not None
        with person_at(here, stdin=nobody.stdout.fileno()) as person:
            person.logs_in()
            code, out, err = person.waits()
    assert code == 0, err
    assert "已加密保存登录状态" in out
    assert LOGIN_COOKIES["zhihu"] in {cookie["name"] for cookie in here.session().state["cookies"]}
