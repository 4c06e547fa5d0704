"""What stands before every page: the Host check, the size limit, the headers, the login and the forms' tokens.

Denied is the default: a path is open only when it is named in :data:`OPEN_PATHS`.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import quote, urlsplit

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest.errors import Retryable
from ingest.state import mapped, may_pass
from shengwen.tokens import Tokens
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
PUSH_PATH = "/api/v1/mentions"
"""The one path that a token opens, for POST only. A token is in no browser, so no form's token is asked for there."""
MAX_PUSHED = 8 * 1024 * 1024

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


def is_api(path: str) -> bool:
    """Whether programs ask for it: they may log in with Basic auth, and are told so."""
    return path.startswith("/api/") or path == "/metrics"


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that a form came from these pages. Programs say nothing and are let through."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


class Guard:
    """ASGI middleware: answers or refuses before any page is asked. ``request.state.login`` is who is logged in,
    ``request.state.pusher`` whose token came with a push."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: WebSettings,
        sessions: Sessions,
        cookies: Cookies,
        check: PasswordCheck,
        tokens: Tokens,
    ) -> None:
        self._app = app
        self._tokens = tokens
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
            limit = MAX_PUSHED if request.state.pusher is not None else MAX_BODY
            await answer(scope, _limited(receive, limit), with_headers)
        except Exception:
            logger.exception("%s %s failed", request.method, request.url.path)
            if started:
                raise  # half an answer is out: cut the connection
            await PlainTextResponse("服务出错了，详情见日志；请稍后再试。", 500)(scope, receive, with_headers)

    async def _refuse(self, request: Request) -> Response | None:
        headers = request.headers
        request.state.login = request.state.pusher = None
        if "*" not in self._hosts and host_name(headers.get("host", "")) not in self._hosts:
            logger.warning("refused a request for a host that is not ours")
            return PlainTextResponse(
                "这个地址不在允许的主机名之列；请用 127.0.0.1 打开，或在设置中加入这个主机名。", 421
            )
        path = request.url.path
        pushed = path == PUSH_PATH and request.method == "POST" and bearer(headers) is not None
        length = headers.get("content-length", "0")
        if not length.isdigit() or len(length) > 18 or int(length) > (MAX_PUSHED if pushed else MAX_BODY):
            return PlainTextResponse("请求太大。", 413)
        if request.method not in SAFE_METHODS and not same_origin(headers):
            return PlainTextResponse("这个请求来自别的网站，已拒绝。", 403)
        if pushed:
            try:
                request.state.pusher = await run_in_threadpool(self._tokens.find, bearer(headers) or "")
            except Retryable as error:
                logger.warning("%s: a token could not be looked up: %s", path, error)
                return JSONResponse({"error": "暂时无法核对令牌，请稍后再发一遍"}, 503, {"Retry-After": "5"})
            return None if request.state.pusher is not None else _no_token()
        is_open = path in OPEN_PATHS or path.startswith(OPEN_PREFIX)
        try:
            login = await run_in_threadpool(self._login, request, path)
        except SQLAlchemyError as error:
            if not may_pass(error):
                raise
            logger.warning("%s: cannot see who is logged in: %s", path, mapped(error))
            if not is_open:
                return no_data(path)
            login = None
        request.state.login = login
        if login is not None or is_open:
            return None
        return _to_login(request, path)

    def _login(self, request: Request, path: str) -> Login | None:
        session_id = self._cookies.get(request, "session")
        if session_id is not None:
            return self._sessions.find(session_id, used=not path.startswith(POLLED))
        credentials = basic_credentials(request.headers) if is_api(path) else None
        if credentials is not None and self._check(request, *credentials) == 0.0:
            return Login(user=credentials[0], csrf="")
        return None


def no_data(path: str) -> Response:
    """What is answered while a store does not. Not the usual page: its header reads the very database."""
    if path.startswith("/api/"):
        return JSONResponse({"error": "暂时读不到数据，请稍后再试"}, 503, {"Retry-After": "5"})
    return Response("暂时读不到数据，请稍后刷新。", 503, {"Retry-After": "5"}, "text/plain; charset=utf-8")


def bearer(headers: Headers) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _no_token() -> Response:
    said = "令牌无效或已停用；用 shengwen tokens create 新建"
    return JSONResponse({"error": said}, 401, {"WWW-Authenticate": 'Bearer realm="shengwen", error="invalid_token"'})


def _limited(receive: Receive, limit: int) -> Receive:
    """A body without a length is cut off at the limit too."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > limit:
                return {"type": "http.disconnect"}
        return message

    return limited


def _to_login(request: Request, path: str) -> Response:
    if is_api(path):
        return JSONResponse({"error": "请先登录"}, 401, {"WWW-Authenticate": 'Basic realm="shengwen", charset="UTF-8"'})
    if "hx-request" in request.headers:
        return Response(status_code=401, headers={"HX-Redirect": "/login"})
    target = path + (f"?{request.url.query}" if request.url.query else "")
    wanted = f"?next={quote(target, safe='')}" if request.method in SAFE_METHODS and path != "/" else ""
    return RedirectResponse(f"/login{wanted}", 303)
