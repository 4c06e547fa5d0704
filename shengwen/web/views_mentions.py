"""提及: search, filter, read, export."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from ingest.clock import BEIJING
from ingest.errors import QueryError
from search.base import Results, Sort
from search.export import export
from search.query import parse_query
from shengwen.web.cards import Card, make_card, make_cards
from shengwen.web.facets import SENTIMENT_ORDER, bars, chart_values, date_presets, day_bounds, facet_groups, tag_groups
from shengwen.web.pages import LoginDep, Pages, PagesDep, page_url
from shengwen.web.querytext import added, chips, without_fields
from shengwen.web.saved import forget_search, save_search, saved_searches

router = APIRouter()

PAGE = 20
TAGS_SHOWN = 60
SORTS: dict[Sort, str] = {
    "newest": "最新",
    "relevance": "最相关",
    "likes": "最多赞",
    "severity": "最严重",
    "oldest": "最早",
}
EXAMPLES = (
    ("漏水 安装", "两个词都有"),
    ("漏水 OR 渗水", "有一个就行（也可以写“或”）"),
    ("不热 NOT 广告", "排除（也可以写 -广告）"),
    ('"暖气 不热"~5', "两个词相隔不超过 5 个字"),
    ("情感:负面 来源:小红书", "按情感、来源筛选"),
    ("tag:产品质量/漏水渗水", "按标签；只写 tag:产品质量 就是整组"),
    ("意图:投诉 since:7d", "近 7 天的投诉"),
    ("点赞:>=100 评分:<=2", "按数字筛选"),
    ("since:2026-01-01 until:2026-01-31", "一段日期"),
    ("关于:竞品", "只谈竞品的；还有 关于:本品牌、关于:同名"),
    ("匹配词:K20-3", "命中了这个词的；匹配词:* 是命中了任何一个"),
    ("has:追评", "有追评；还有 has:图、has:回复"),
    ("NOT 相似:是", "去掉照抄、近似、套用别人的；也可以写 相似:照抄"),
)

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson",
}

Text = Annotated[str, Query(max_length=4000)]
Switch = Annotated[str, Query(max_length=8)]


def sort_of(value: str) -> Sort:
    """A sort from the address; an unknown one is the default."""
    return cast(Sort, value) if value in get_args(Sort) else "newest"


def cards_of(pages: Pages, results: Results, query: str = "") -> list[Card]:
    """A page of results with the tickets they belong to, as corrected; ``query`` is what was typed."""
    shown = [hit.mention for hit in results.hits]
    tickets = pages.deps.reader.tickets_of([mention.id for mention in shown])
    return make_cards(results.hits, tickets, pages.correcting.of(shown), query)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A query that was not understood, with the character it stumbled over."""

    message: str
    before: str
    at: str
    after: str


def trouble(text: str, error: QueryError) -> Trouble:
    place = min(error.position, len(text))
    return Trouble(str(error), text[max(0, place - 40) : place], text[place : place + 1] or " ", text[place + 1 :][:40])


@router.get("/")
def mentions(
    request: Request, pages: PagesDep, q: Text = "", sort: str = "newest", cursor: str = "", merge: Switch = ""
) -> Response:
    deps, order = pages.deps, sort_of(sort)
    shared: dict[str, Any] = {"q": q, "sort": order, "sorts": SORTS, "examples": EXAMPLES, "merge": bool(merge)}
    shared["here"] = partial(page_url, "/", merge=_switch(merge))
    try:
        query = parse_query(q, now=deps.clock.now())
    except QueryError as error:
        return pages.render(request, "mentions.html", status=400, trouble=trouble(q, error), **shared)
    results = deps.index.search(query, sort=order, limit=PAGE, cursor=cursor or None, merge=bool(merge))
    summary = deps.index.summary(query, top=TAGS_SHOWN)
    days = bars(summary.by_day, *day_bounds(query, deps.clock.now()))
    active = chips(q, now=deps.clock.now())
    presets = date_presets(q, active)
    preset = any(one.active for one in presets)
    return pages.render(
        request,
        "mentions.html",
        trouble=None,
        total=results.total,
        merged=results.groups,
        cards=cards_of(pages, results, q),
        more=_more(q, order, results, merge),
        chips=[chip for chip in active if not (preset and chip.field in ("since", "until"))],
        presets=presets,
        groups=facet_groups(summary, q, active),
        tags=tag_groups(summary, q, active),
        bars=days,
        chart=chart_values(days),
        sentiments=SENTIMENT_ORDER,
        day_url=_day_url(q, order, merge),
        saved=saved_searches(deps.engine),
        **shared,
    )


def _more(q: str, order: Sort, results: Results, merge: str) -> dict[str, str] | None:
    if results.cursor is None:
        return None
    known = {"q": q, "sort": order, "merge": _switch(merge), "cursor": results.cursor}
    return {"fragment": page_url("/fragments/mentions", **known), "page": page_url("/", **known)}


def _day_url(q: str, order: Sort, merge: str) -> str:
    bare = without_fields(q, ("since", "until"))
    asked = added(added(bare, "since:__FIRST__"), "until:__LAST__")
    return page_url("/", q=asked, sort=order, merge=_switch(merge))


def _switch(merge: str) -> str:
    return "1" if merge else ""


@router.get("/fragments/mentions")
def more_mentions(
    request: Request, pages: PagesDep, cursor: str, q: Text = "", sort: str = "newest", merge: Switch = ""
) -> Response:
    query, order = parse_query(q, now=pages.deps.clock.now()), sort_of(sort)
    results = pages.deps.index.search(query, sort=order, limit=PAGE, cursor=cursor, merge=bool(merge))
    more = _more(q, order, results, merge)
    return pages.render(request, "_hits.html", cards=cards_of(pages, results, q), more=more)


@router.get("/mentions/{mention_id:path}")
def mention(request: Request, pages: PagesDep, mention_id: str) -> Response:
    deps = pages.deps
    hit = deps.index.get(mention_id)
    if hit is None:
        raise HTTPException(404)
    ticket = deps.reader.tickets_of([mention_id]).get(mention_id)
    parent = deps.index.get(hit.mention.parent_id) if hit.mention.parent_id else None
    corrections = pages.correcting.of(one.mention for one in (hit, parent) if one)
    return pages.render(
        request,
        "mention.html",
        card=make_card(hit, ticket=ticket, limit=None, correction=corrections.get(mention_id)),
        parent=make_card(parent, correction=corrections.get(parent.mention.id)) if parent else None,
    )


@router.post("/searches")
def save(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    name: Annotated[str, Form(max_length=200)] = "",
    q: Annotated[str, Form(max_length=4000)] = "",
    sort: Annotated[str, Form(max_length=20)] = "newest",
) -> Response:
    """Save a query under a name."""
    parse_query(q, now=pages.deps.clock.now())
    save_search(pages.deps.engine, pages.deps.clock, name, q, sort_of(sort), login.user)
    return RedirectResponse(page_url("/", q=q, sort=sort_of(sort)), 303)


@router.post("/searches/{number}/delete")
def forget(pages: PagesDep, number: int, q: Annotated[str, Form(max_length=4000)] = "") -> Response:
    forget_search(pages.deps.engine, number)
    return RedirectResponse(page_url("/", q=q), 303)


@router.get("/export.{kind}")
def export_file(pages: PagesDep, kind: Literal["csv", "xlsx", "jsonl"], q: Text = "", sort: str = "newest") -> Response:
    """Everything that the query finds, as a file; written to a temporary folder first, so that memory stays bounded."""
    now = pages.deps.clock.now()
    query, order = parse_query(q, now=now), sort_of(sort)
    folder = Path(tempfile.mkdtemp(prefix="shengwen-export-"))
    name = f"声闻提及-{now.astimezone(BEIJING):%Y%m%d-%H%M}.{kind}"
    try:
        export(pages.deps.index.scan(query, sort=order), folder / f"export.{kind}")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        folder / f"export.{kind}",
        filename=name,
        media_type=MEDIA_TYPES[kind],
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )
