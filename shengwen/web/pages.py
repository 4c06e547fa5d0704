"""Renders templates with what every page shows: who is logged in, what is on fire, what could not be sent."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, cast
from urllib.parse import urlencode

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from alerts.read import AlertView, DeliveryView
from classify.corrections import Corrections
from search.ast import Is
from shengwen.correcting import Correcting
from shengwen.web import present
from shengwen.web.auth import same_token
from shengwen.web.deps import WebDeps
from shengwen.web.security import OPEN_PATHS, SAFE_METHODS
from shengwen.web.users import Login

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
STATIC = HERE / "static"
VENDOR = ("vendor/htmx.min.js", "vendor/echarts.min.js")
FAILURES_SHOWN_FOR = timedelta(hours=48)
"""How long a message that no channel took stays in the red bar; the list of messages keeps it."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the header shows. ``urgent``: 一级 alerts that nobody has judged; ``failures``: messages nobody got."""

    open_alerts: Sequence[AlertView]
    urgent: Sequence[AlertView]
    failures: Sequence[DeliveryView]


class Pages:
    """The templates, and what they are all given."""

    def __init__(self, deps: WebDeps) -> None:
        self.deps = deps
        self.correcting = Correcting(deps.index, deps.log, Corrections(deps.engine, deps.clock), deps.clock, deps.tags)
        self._env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._env.filters.update(
            present.FILTERS,
            tag_query=lambda tag: str(Is("tag", tag)),
            matched_query=lambda word: str(Is("matched", word)),
        )
        self._env.globals.update(settings=deps.settings, demo_links=deps.demo_links, url=page_url)
        missing = [name for name in VENDOR if not (STATIC / name).is_file()]
        if missing:
            logger.warning(
                "page assets are missing (%s): run `make setup`; until then pages reload and show tables", missing
            )
        self._env.globals["assets"] = {name: asset_url(name) for name in asset_names() if name not in missing}

    def status(self) -> Status:
        """Read anew for every page and every five seconds."""
        alerts = self.deps.reader.open_alerts()
        since = self.deps.clock.now() - FAILURES_SHOWN_FOR
        failed = [one for one in self.deps.reader.outbox_failures() if (one.finished_at or one.created_at) >= since]
        urgent = [one for one in alerts if one.level == "一级" and one.verdict is None and one.state == "firing"]
        return Status(alerts, urgent, failed)

    def render(self, request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
        """A page. Templates escape everything; what is Markup was escaped by us."""
        login = cast(Login | None, request.state.login)
        now = self.deps.clock.now()
        known: dict[str, Any] = {
            "login": login,
            "csrf": login.csrf if login else "",
            "now": now,
            "ago": partial(present.ago, now=now),
            "path": request.url.path,
            "status": self.status() if login else None,
            "left_out": list(self.deps.left_out()) if login else [],
            "notice": "",
            "problem": "",
        }
        html = self._env.get_template(template).render(known | context)
        return HTMLResponse(html.encode("utf-8", "replace"), status)


def asset_names() -> tuple[str, ...]:
    """Our own static files and those that `make setup` fetches."""
    return ("page.css", "page.js", "charts.js", "icon.svg", *VENDOR)


def asset_url(name: str) -> str:
    """The file's address with its content's hash, so that browsers may keep it for ever."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def page_url(path: str, /, **parameters: object) -> str:
    """``path`` with the parameters that are not empty."""
    query = urlencode({name: str(value) for name, value in parameters.items() if value not in (None, "", False)})
    return f"{path}?{query}" if query else path


def get_pages(request: Request) -> Pages:
    """The application's pages, for FastAPI's Depends."""
    return cast(Pages, request.app.state.pages)


def get_login(request: Request) -> Login:
    """Who is logged in; behind the guard there always is somebody."""
    login = request.state.login
    if login is None:
        raise HTTPException(401)
    return cast(Login, login)


async def check_csrf(request: Request) -> None:
    """Every form carries its session's token; the login form has a token of its own, and a push carries a secret that
    no browser holds."""
    if request.method in SAFE_METHODS or request.url.path in OPEN_PATHS or request.state.pusher is not None:
        return
    form = await request.form()
    given = form.get("csrf")
    login = cast(Login | None, request.state.login)
    if login is None or not isinstance(given, str) or not same_token(given, login.csrf):
        raise HTTPException(403, "页面已过期，请刷新后再试")


PagesDep = Annotated[Pages, Depends(get_pages)]
LoginDep = Annotated[Login, Depends(get_login)]
