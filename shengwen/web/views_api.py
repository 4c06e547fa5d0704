"""The JSON API: the same reading for programs. Errors are ``{"error": …}`` with a fitting status."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import Response

from alerts.read import TicketFilter
from search.query import parse_query
from shengwen.web.pages import PagesDep
from shengwen.web.views_mentions import Text, sort_of

router = APIRouter(prefix="/api/v1")

MAX_PAGE = 500


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "items"):
        return dict(value.items())
    return list(value)


def _json(value: object) -> Response:
    return Response(orjson.dumps(value, default=_plain), media_type="application/json")


@router.get("/search")
def search(
    pages: PagesDep,
    q: Text = "",
    sort: str = "newest",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    cursor: str = "",
) -> Response:
    """``{"total", "cursor", "mentions"}``: one page; hand ``cursor`` back for the next, null at the end."""
    query = parse_query(q, now=pages.deps.clock.now())
    results = pages.deps.index.search(query, sort=sort_of(sort), limit=limit, cursor=cursor or None)
    return _json({"total": results.total, "cursor": results.cursor, "mentions": [hit.mention for hit in results.hits]})


@router.get("/alerts")
def alerts(pages: PagesDep, all: bool = False) -> Response:  # noqa: A002
    """``{"alerts": […]}``: open ones, or with ``all=1`` the newest 200 whatever their state."""
    reader = pages.deps.reader
    return _json({"alerts": reader.alerts() if all else reader.open_alerts()})


@router.get("/alerts/{key}")
def alert(pages: PagesDep, key: str) -> Response:
    """One alert with its explanation, evidence and deliveries."""
    found = pages.deps.reader.alert(key)
    return (
        _json(found) if found else Response(orjson.dumps({"error": "没有这个预警"}), 404, media_type="application/json")
    )


@router.get("/tickets")
def tickets(
    pages: PagesDep,
    status: str = "",
    level: str = "",
    department: str = "",
    open_only: bool = False,
    overdue: bool = False,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """``{"total", "tickets": […]}``: a page of them, the most pressing first."""
    which = TicketFilter(
        statuses=(status,) if status else (),
        levels=(level,) if level else (),
        departments=(department,) if department else (),
        open_only=open_only,
        overdue=overdue,
    )
    found, total = pages.deps.reader.tickets(which, now=pages.deps.clock.now(), limit=limit, offset=offset)
    return _json({"total": total, "tickets": found})


@router.get("/tickets/{key}")
def ticket(pages: PagesDep, key: str) -> Response:
    """One ticket with its diary, evidence and deliveries."""
    found = pages.deps.reader.ticket(key, now=pages.deps.clock.now())
    return (
        _json(found) if found else Response(orjson.dumps({"error": "没有这个工单"}), 404, media_type="application/json")
    )
