"""One row becomes one draft. What does not fit is a Poison that names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from ingest.default_reviews import is_default_review
from ingest.draft import Draft
from ingest.errors import Poison
from ingest.imports.ratings import Stars, stars, stars_of_csat, stars_of_nps
from ingest.mention import Append, Kind, Product
from ingest.times import read_instant

_COUNT = re.compile(r"(\d{1,12}(?:\.\d+)?)\s*(万|w|k|千)?\+?", re.IGNORECASE)
_UNITS = {"万": 10_000, "w": 10_000, "千": 1_000, "k": 1_000}


def draft_from_row(
    cells: Mapping[str, Any], mapping: Mapping[str, str], *, source: str, kind: Kind, without_date: datetime
) -> Draft:
    """A draft from a row's cells; raises Poison naming our field.

    Without an id column the id is a hash of text, time and author: a text that comes twice is one mention.
    Without a date ``created_at`` is ``without_date`` with precision "month": nobody knows when it was said.
    """

    def cell(field: str) -> Any:
        value = cells.get(mapping.get(field, "\0"))
        return None if isinstance(value, str) and not value.strip() else value

    def words(field: str) -> str | None:
        value = cell(field)
        if isinstance(value, dict | list | float):
            raise Poison("not a text", field=field)
        return None if value is None else str(value).strip()

    text = words("text") or ""
    default = is_default_review(text)
    created, written = cell("created_at"), str(cell("created_at") or "")
    answered = _stars(cell)
    appended = words("append")
    draft = Draft(
        source=source,
        kind=kind,
        native_id=None,
        created_at=without_date,
        created_precision="month",
        text="" if default else text,
        title=words("title"),
        empty_text=default or not text,
        rating=answered.rating,
        rating_scale=answered.scale,
        rating_original=answered.original,
        url=words("url"),
        product=_product(cells, cell),
        author_id=words("author"),
        region=words("region"),
        likes=_count(cell("likes"), "likes"),
        replies=_count(cell("replies"), "replies"),
        appends=[Append(text=appended)] if appended and not is_default_review(appended) else [],
        seller_reply=words("seller_reply"),
    )
    if created is not None:
        try:
            at, precision = read_instant(created)
        except ValueError as error:
            raise Poison(str(error), field="created_at") from error
        draft = replace(draft, created_at=at, created_precision=precision)
    identity = cell("id")
    if isinstance(identity, float | bool | dict | list):
        raise Poison("not an id; a float has lost digits", field="id")
    if identity is not None:
        draft.native_id = str(identity).strip()
    else:
        draft.native_id = content_id(text, draft.title, written + (answered.original or ""), draft.author_id)
    return draft


def content_id(text: str, title: str | None, written: str, author: str | None) -> str:
    """The id of what came without one: the same words of the same person at the same time are the same mention.

    ``written`` is the time as it was given.
    """
    parts = [" ".join(text.split()), title, written, author]
    return sha256(orjson.dumps([str(p or "").encode("utf-8", "replace").decode() for p in parts])).hexdigest()[:20]


def _product(cells: Mapping[str, Any], cell: Any) -> Product | None:
    nested = cells.get("product")
    if isinstance(nested, dict):
        known = {name: nested.get(name) for name in ("id", "sku", "name", "spec")}
    else:
        known = {name: cell(f"product.{name}") for name in ("id", "sku", "name", "spec")}
    kept: dict[str, str] = {}
    for name, value in known.items():
        if isinstance(value, float | dict | list):
            raise Poison("not a text; an id that came as a float has lost digits", field=f"product.{name}")
        if value is not None:
            kept[name] = str(value).strip()
    return Product(**kept) if kept else None


def _stars(cell: Any) -> Stars:
    """Of the answer that is there; a survey's own scale before plain stars."""
    if cell("nps") is not None:
        return stars_of_nps(cell("nps"))
    return stars_of_csat(cell("csat")) if cell("csat") is not None else stars(cell("rating"))


def _count(value: Any, field: str) -> int | None:
    if value is None:
        return None
    match = _COUNT.fullmatch(str(value).strip().replace(",", ""))
    if not match:
        raise Poison("not a count", field=field)
    return int(float(match[1]) * _UNITS.get((match[2] or "").lower(), 1))
