"""纠正: somebody says what the classifier got wrong, or takes that back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException

from ingest.errors import UserError
from search.base import Hit
from shengwen.correcting import LABELS
from shengwen.web.cards import CARD_TEXT, Card, make_card
from shengwen.web.pages import LoginDep, Pages, PagesDep
from shengwen.web.present import tag_name

router = APIRouter()

Word = Annotated[str, Form(max_length=100)]
Words = Annotated[list[str], Form(max_length=40)]


@router.get("/corrections/{mention_id:path}")
def form(request: Request, pages: PagesDep, mention_id: str, whole: bool = False) -> Response:
    """The form: for a card that is on the page already, or as a page of its own where scripts do not run."""
    return _form(request, pages, _hit(pages, mention_id), whole=whole)


@router.post("/corrections/{mention_id:path}")
def correct(
    request: Request,
    pages: PagesDep,
    login: LoginDep,
    mention_id: str,
    do: Annotated[Literal["save", "undo"], Form()],
    sentiment: Word = "",
    seen: Word = "",
    keep: Words = [],  # noqa: B006  (FastAPI copies it)
    tag: Words = [],  # noqa: B006
    tag_sentiment: Words = [],  # noqa: B006
    add: Words = [],  # noqa: B006
    add_sentiment: Words = [],  # noqa: B006
    whole: Annotated[bool, Form()] = False,
) -> Response:
    """Store or take back. ``keep`` are the places, in ``tag`` and ``tag_sentiment``, of the tags that stay."""
    hit = _hit(pages, mention_id)
    try:
        if do == "undo":
            pages.correcting.undo(mention_id)
        else:
            tags = [pair for place, pair in enumerate(_pairs(tag, tag_sentiment)) if str(place) in keep]
            tags += [pair for pair in _pairs(add, add_sentiment) if pair[0]]
            pages.correcting.correct(mention_id, sentiment, tags, by=login.user, seen=seen)
    except UserError as error:
        return _form(request, pages, hit, whole=whole, problem=str(error), status=400)
    if "hx-request" not in request.headers:
        return RedirectResponse(f"/mentions/{quote(mention_id, safe='')}", 303)
    return pages.render(request, "_corrected.html", card=_card(pages, _hit(pages, mention_id), whole), whole=whole)


def _pairs(tags: Sequence[str], sentiments: Sequence[str]) -> list[tuple[str, str]]:
    if len(tags) != len(sentiments):
        raise UserError("表单不完整，请刷新页面再试")
    return list(zip(tags, sentiments, strict=True))


def _hit(pages: Pages, mention_id: str) -> Hit:
    hit = pages.deps.index.get(mention_id)
    if hit is None:
        raise HTTPException(404)
    return hit


def _card(pages: Pages, hit: Hit, whole: bool) -> Card:
    mention_id = hit.mention.id
    return make_card(
        hit,
        ticket=pages.deps.reader.tickets_of([mention_id]).get(mention_id),
        limit=None if whole else CARD_TEXT,
        correction=pages.correcting.of([hit.mention]).get(mention_id),
    )


def _form(request: Request, pages: Pages, hit: Hit, *, whole: bool, problem: str = "", status: int = 200) -> Response:
    inline = "hx-request" in request.headers
    page = pages.render(
        request,
        "_correction.html" if inline else "correction.html",
        status=200 if inline else status,  # htmx shows nothing of what failed
        card=_card(pages, hit, whole or not inline),
        labels=LABELS,
        choices=_choices(pages.deps.tags),
        problem=problem,
        whole=whole,
    )
    if inline and problem:
        page.headers["HX-Retarget"] = "this"
        page.headers["HX-Reswap"] = "outerHTML"
    return page


def _choices(tags: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Group -> (tag, its bare name), in the taxonomy's order."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for tag in tags:
        groups.setdefault(tag.partition("/")[0], []).append((tag, tag_name(tag)))
    return groups
