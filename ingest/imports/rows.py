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
from ingest.mention import Append, Kind, Product, RatingScale
from ingest.times import read_instant

_RATING_WORDS: Mapping[str, tuple[int, RatingScale]] = {
    "好评": (5, "3"), "中评": (3, "3"), "差评": (1, "3"), "good": (5, "3"), "neutral": (3, "3"), "bad": (1, "3"),
    "一星": (1, "5"), "二星": (2, "5"), "三星": (3, "5"), "四星": (4, "5"), "五星": (5, "5"),
}  # fmt: skip
_RATING = re.compile(r"([1-5])(?:\.0+)?\s*(?:分|星|stars?)?", re.IGNORECASE)
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
    rating, scale = _rating(cell("rating"))
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
        rating=rating,
        rating_scale=scale,
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
    draft.native_id = str(identity).strip() if identity is not None else _hashed(text, written, draft)
    return draft


def _hashed(text: str, written: str, draft: Draft) -> str:
    parts = [" ".join(text.split()), draft.title, written, draft.author_id]
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


def _rating(value: Any) -> tuple[int | None, RatingScale | None]:
    if value is None:
        return None, None
    text = str(value).strip().lower()
    if text in _RATING_WORDS:
        return _RATING_WORDS[text]
    match = _RATING.fullmatch(text)
    if not match:
        raise Poison("not a rating from 1 to 5 (or 好评/中评/差评)", field="rating")
    return int(match[1]), "5"


def _count(value: Any, field: str) -> int | None:
    if value is None:
        return None
    match = _COUNT.fullmatch(str(value).strip().replace(",", ""))
    if not match:
        raise Poison("not a count", field=field)
    return int(float(match[1]) * _UNITS.get((match[2] or "").lower(), 1))
