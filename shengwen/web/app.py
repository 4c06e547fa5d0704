"""Puts the pages together: one FastAPI application behind one guard."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from ingest.errors import Poison, QueryError, Retryable, UserError
from ingest.state import mapped
from shengwen.tokens import Tokens
from shengwen.web import (
    views_alerts,
    views_api,
    views_corrections,
    views_login,
    views_mentions,
    views_metrics,
    views_push,
    views_sources,
    views_tickets,
    views_timeline,
)
from shengwen.web.auth import Cookies, LoginThrottle, PasswordCheck
from shengwen.web.deps import WebDeps
from shengwen.web.pages import STATIC, Pages, check_csrf
from shengwen.web.security import Guard, no_data
from shengwen.web.users import Sessions, verify_password

logger = logging.getLogger(__name__)

_SAID = {404: "没有这个页面，或者它已经被删除。", 405: "这个地址不能这样打开。", 422: "地址里的参数不对。"}


class _Static(StaticFiles):
    """Addresses carry the content's hash, so browsers may keep what they got."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


def create_app(deps: WebDeps) -> FastAPI:
    """The application. It opens nothing itself and closes nothing: what it stands on is the caller's.

    Every path but the login, ``/healthz`` and the static files answers only to who is logged in; pushes to a token.
    """
    settings = deps.settings
    app = FastAPI(title="声闻", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(check_csrf)])
    sessions = Sessions(
        deps.engine,
        deps.clock,
        idle=timedelta(hours=settings.idle_hours),
        longest=timedelta(hours=settings.session_hours),
    )
    cookies = Cookies(settings)
    check = PasswordCheck(LoginThrottle(deps.clock), partial(verify_password, deps.engine))
    app.state.pages, app.state.sessions, app.state.cookies, app.state.check = Pages(deps), sessions, cookies, check
    for views in (
        views_login,
        views_mentions,
        views_corrections,
        views_timeline,
        views_alerts,
        views_tickets,
        views_sources,
        views_metrics,
        views_api,
        views_push,
    ):
        app.include_router(views.router)
    app.mount("/static", _Static(directory=STATIC), name="static")
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(Retryable, _retryable)
    app.add_exception_handler(SQLAlchemyError, _state_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    tokens = Tokens(deps.engine, deps.clock)
    app.add_middleware(Guard, settings=settings, sessions=sessions, cookies=cookies, check=check, tokens=tokens)
    return app


def _problem(request: Request, status: int, message: str, **more: object) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": message, **more}, status)
    pages = request.app.state.pages
    assert isinstance(pages, Pages)
    return pages.render(request, "error.html", status=status, message=message, code=status)


def _user_error(request: Request, error: Exception) -> Response:
    more: dict[str, object] = {}
    if isinstance(error, QueryError):
        more = {"position": error.position, "suggestion": error.suggestion}
    return _problem(request, 400, str(error), **more)


def _retryable(request: Request, error: Exception) -> Response:
    logger.warning("%s: %s", request.url.path, error)
    return no_data(request.url.path)


def _state_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    ours = mapped(error)
    if isinstance(ours, Retryable):
        return _retryable(request, ours)
    if isinstance(ours, Poison):  # what was typed holds something that no text column takes
        return _problem(request, 400, "输入里有无法保存的字符，或者太长。")
    raise error


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = error.detail if error.status_code in (400, 403, 409) else _SAID.get(error.status_code, "请求没有成功。")
    return _problem(request, error.status_code, message)


def _invalid(request: Request, error: Exception) -> Response:
    return _problem(request, 422, _SAID[422])
