"""Switches: let a platform answer as the real one does when it wants something else than being read.

Every documented "stop now" answer and every documented error form has a name. Set one in-process
(``switches.set("jd", answer="blocked_empty_object")``) or by ``POST /_switch/jd`` with ``{"answer": NAME|null}`` and/or
``{"login": true|false}``; ``GET /_switch`` lists the names with the signals they stand for.

``login`` makes the platform's login page required: without its cookie every page and call answers as logged out.
The faults (``half_body``, ``wrong_charset``, ``html_instead``, ``server_error``) spoil an otherwise good answer.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crawlers.payload import Signal
from shengwen.demo.cast import PLATFORMS, Platform
from shengwen.demo.settings import LOGIN_COOKIES, LOGIN_PATHS

Where = Literal["page", "api"]
Endpoint = Callable[[Request], Awaitable[Response]]
Build = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Answer:
    """One form of refusal. ``signals`` are the readings of it that are right; ``on`` says where it is given."""

    signals: tuple[Signal, ...]
    build: Build | None
    on: tuple[Where, ...] = ("api",)
    only: tuple[str, ...] = ()
    """Ends of the paths that give it; all when empty."""

    def given(self, request: Request, where: Where) -> Response | None:
        """The refusal, or None where it is not given. Without ``build`` it is a mark inside an otherwise usual page."""
        return self.build(request) if self.build and self.fits(where, request.url.path.rstrip("/")) else None

    def fits(self, where: Where, path: str) -> bool:
        return where in self.on and (not self.only or path.endswith(self.only))


FAULTS: Final[dict[str, tuple[Signal, ...]]] = {
    "half_body": ("unknown",),
    "wrong_charset": ("unknown", "ok"),
    "html_instead": ("unknown", "blocked"),
    "server_error": ("unknown", "throttled", "blocked"),
}


@dataclass(slots=True)
class Setting:
    answer: str | None = None
    login: bool = False


class Switches:
    """The state of all platforms' switches. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settings: dict[Platform, Setting] = {name: Setting() for name in PLATFORMS}
        self._answers: dict[Platform, dict[str, Answer]] = {name: {} for name in PLATFORMS}
        self._logged_out: dict[Platform, str] = {}
        self._ended: dict[Platform, int] = dict.fromkeys(PLATFORMS, 0)

    def offer(self, platform: Platform, answers: dict[str, Answer], *, logged_out: str) -> None:
        """Declare a platform's answers; ``logged_out`` names the one that its calls give when login is required."""
        self._answers[platform] = answers
        self._logged_out[platform] = logged_out

    def names(self, platform: Platform) -> dict[str, tuple[Signal, ...]]:
        """Every name that can be set, with the signals it stands for."""
        return {name: answer.signals for name, answer in self._answers[platform].items()} | FAULTS

    def where(self, platform: Platform, name: str) -> tuple[Where, ...]:
        """Which requests are given this answer: the page itself, what it loads, or both."""
        answer = self._answers[platform].get(name)
        if answer is None:
            return ("api",)  # a fault
        return answer.on if answer.build is not None else ("page",)

    def set(self, platform: Platform, *, answer: str | None = None, login: bool = False) -> None:
        """Set both switches of a platform. Raises KeyError for an unknown platform or answer."""
        if answer is not None and answer not in self.names(platform):
            raise KeyError(answer)
        with self._lock:
            self._settings[platform] = Setting(answer, login)

    def get(self, platform: Platform) -> Setting:
        """A copy of a platform's switches."""
        with self._lock:
            now = self._settings[platform]
            return Setting(now.answer, now.login)

    def session(self, platform: Platform) -> str:
        """What a login's cookie holds now."""
        with self._lock:
            ended = self._ended[platform]
        return f"demo-session-{ended}" if ended else "demo-session"

    def end_sessions(self, platform: Platform) -> None:
        """Whoever has logged in until now counts as logged out."""
        with self._lock:
            self._ended[platform] += 1

    def guard(self, platform: Platform, where: Where, endpoint: Endpoint) -> Endpoint:
        """The endpoint behind its platform's switches."""

        async def guarded(request: Request) -> Response:
            setting = self.get(platform)
            if setting.login and request.cookies.get(LOGIN_COOKIES[platform]) != self.session(platform):
                if where == "page":
                    return to_login(request, platform)
                logged_out = self._answers[platform][self._logged_out[platform]]
                return logged_out.given(request, where) or await endpoint(request)
            chosen = self._answers[platform].get(setting.answer or "")
            refusal = chosen.given(request, where) if chosen else None
            if refusal is not None:
                return refusal
            if where == "api" and setting.answer in FAULTS:
                return spoil(setting.answer, await endpoint(request))
            return await endpoint(request)

        return guarded


def to_login(request: Request, platform: Platform) -> Response:
    """To the platform's login page, and back afterwards."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{LOGIN_PATHS[platform]}?redirect={quote(back, safe='')}", 302)


def spoil(fault: str | None, good: Response) -> Response:
    """A good answer gone wrong on its way."""
    body, kind = bytes(good.body), good.headers.get("content-type", "")
    if fault == "half_body":
        return Response(body[: len(body) // 2], good.status_code, {"content-type": kind})
    if fault == "wrong_charset":
        charset = "utf-8" if "GBK" in kind else "gb18030"
        text = body.decode("gb18030" if "GBK" in kind else "utf-8", "replace")
        return Response(text.encode(charset, "replace"), good.status_code, {"content-type": kind})
    if fault == "html_instead":
        page = "<!doctype html><html><head><title>页面</title></head><body>系统繁忙，请稍后再试</body></html>"
        return Response(page, 200, media_type="text/html")
    return Response("upstream error", 503, media_type="text/plain")
