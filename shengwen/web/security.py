"""What stands before every page: the Host check, the size limit, the headers, the login and the forms' tokens.

Denied is the default: a path is open only when it is named in :data:`OPEN_PATHS`.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shengwen.web.auth import Cookies, PasswordCheck, basic_credentials, host_name
from shengwen.web.deps import LOOPBACK, WebSettings
from shengwen.web.users import Login, Sessions

logger = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/healthz", "/login"})
OPEN_PREFIX = "/static/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
POLLED = "/fragments/"
"""Pages ask for these by themselves; they keep no session alive."""
MAX_BODY = 64 * 1024

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x20\\]*")


def local_path(path: str) -> str:
    """``path`` if it leads nowhere but into these pages, else ``/``."""
    return path if _LOCAL_PATH.fullmatch(path) else "/"


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that a form came from these pages. Programs say nothing and are let through."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


class Guard:
    """ASGI middleware: answers or refuses before any page is asked. ``request.state.login`` is who is logged in."""

    def __init__(
        self, app: ASGIApp, *, settings: WebSettings, sessions: Sessions, cookies: Cookies, check: PasswordCheck
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._cookies = cookies
        self._check = check
        bound = {host_name(f"[{settings.host}]" if ":" in settings.host else settings.host)} - {"0.0.0.0", "[::]"}  # noqa: S104
        self._hosts = {*LOOPBACK, *bound, *(host_name(host) for host in settings.hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope, receive)

        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            answer = await self._refuse(request) or self._app
            await answer(scope, _limited(receive), with_headers)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            if started:
                raise  # half an answer is out: cut the connection
            await PlainTextResponse("服务出错了，详情见日志；请稍后再试。", 500)(scope, receive, with_headers)

    async def _refuse(self, request: Request) -> Response | None:
        headers = request.headers
        if "*" not in self._hosts and host_name(headers.get("host", "")) not in self._hosts:
            logger.warning("refused a request for a host that is not ours")
            return PlainTextResponse(
                "这个地址不在允许的主机名之列；请用 127.0.0.1 打开，或在设置中加入这个主机名。", 421
            )
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            return PlainTextResponse("请求太大。", 413)
        if request.method not in SAFE_METHODS and not same_origin(headers):
            return PlainTextResponse("这个请求来自别的网站，已拒绝。", 403)
        path = request.url.path
        login = await run_in_threadpool(self._login, request, path)
        request.state.login = login
        if login is not None or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return None
        return _to_login(request, path)

    def _login(self, request: Request, path: str) -> Login | None:
        session_id = self._cookies.get(request, "session")
        if session_id is not None:
            return self._sessions.find(session_id, used=not path.startswith(POLLED))
        credentials = basic_credentials(request.headers) if path.startswith("/api/") else None
        if credentials is not None and self._check(request, *credentials) == 0.0:
            return Login(user=credentials[0], csrf="")
        return None


def _limited(receive: Receive) -> Receive:
    """A body without a length is cut off at the limit too."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > MAX_BODY:
                return {"type": "http.disconnect"}
        return message

    return limited


def _to_login(request: Request, path: str) -> Response:
    if path.startswith("/api/"):
        return JSONResponse({"error": "请先登录"}, 401, {"WWW-Authenticate": 'Basic realm="shengwen", charset="UTF-8"'})
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    target = path + (f"?{request.url.query}" if request.url.query else "")
    wanted = f"?next={quote(target, safe='')}" if request.method in SAFE_METHODS and path != "/" else ""
    return RedirectResponse(f"/login{wanted}", 303)
