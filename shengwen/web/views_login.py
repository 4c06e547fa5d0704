"""Logging in and out, and changing the password."""

from __future__ import annotations

import math
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from ingest.errors import UserError
from shengwen.web.auth import Cookies, PasswordCheck, same_token
from shengwen.web.pages import LoginDep, PagesDep
from shengwen.web.security import local_path
from shengwen.web.users import ADMIN, Sessions, change_password

router = APIRouter()


def _cookies(request: Request) -> Cookies:
    cookies = request.app.state.cookies
    assert isinstance(cookies, Cookies)
    return cookies


def _sessions(request: Request) -> Sessions:
    sessions = request.app.state.sessions
    assert isinstance(sessions, Sessions)
    return sessions


def _form(request: Request, pages: PagesDep, next_path: str, *, problem: str = "", status: int = 200) -> Response:
    token = _cookies(request).get(request, "login") or secrets.token_urlsafe(24)
    response = pages.render(
        request, "login.html", status=status, token=token, next_path=next_path, problem=problem, admin=ADMIN
    )
    _cookies(request).set(request, response, "login", token)
    return response


@router.get("/login")
def login_form(request: Request, pages: PagesDep, next: str = "/") -> Response:  # noqa: A002
    if request.state.login is not None:
        return RedirectResponse(local_path(next), 303)
    return _form(request, pages, local_path(next))


@router.post("/login")
def log_in(
    request: Request,
    pages: PagesDep,
    user: Annotated[str, Form(max_length=80)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    check = request.app.state.check
    assert isinstance(check, PasswordCheck)
    target = local_path(next)
    if not same_token(token, _cookies(request).get(request, "login") or ""):
        return _form(request, pages, target, problem="页面已过期，请再登录一次。", status=403)
    wait = check(request, user.strip(), password)
    if wait > 0:
        return _form(request, pages, target, problem=f"试得太多了，请等 {math.ceil(wait)} 秒再试。", status=429)
    if wait == PasswordCheck.WRONG:
        return _form(request, pages, target, problem="用户名或密码不对。", status=401)
    response = RedirectResponse(target, 303)
    _cookies(request).set(request, response, "session", _sessions(request).open(user.strip()))
    _cookies(request).drop(request, response, "login")
    return response


@router.post("/logout")
def log_out(request: Request) -> Response:
    session_id = _cookies(request).get(request, "session")
    if session_id:
        _sessions(request).end(session_id)
    response = RedirectResponse("/login", 303)
    _cookies(request).drop(request, response, "session")
    return response


@router.get("/account")
def account(request: Request, pages: PagesDep) -> Response:
    return pages.render(request, "account.html")


@router.post("/account/password")
def new_password(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    old: Annotated[str, Form(max_length=1000)] = "",
    new: Annotated[str, Form(max_length=1000)] = "",
    again: Annotated[str, Form(max_length=1000)] = "",
) -> Response:
    try:
        if new != again:
            raise UserError("两次输入的新密码不一样")
        change_password(pages.deps.engine, pages.deps.clock, login.user, old, new)
    except UserError as error:
        return pages.render(request, "account.html", problem=str(error), status=400)
    return RedirectResponse("/login", 303)
