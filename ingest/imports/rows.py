"""One row becomes one draft. What does not fit is a Poison that names the field."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson

from ingest.addresses import public_url
from ingest.counts import Count, read_count
from ingest.default_reviews import is_default_review
from ingest.draft import Draft
from ingest.errors import Poison
from ingest.imports.mapping import has_lost_digits
from ingest.imports.ratings import NOTHING, Stars, stars, stars_of_csat, stars_of_nps, stars_of_ten
from ingest.mention import Append, Kind, Product
from ingest.times import read_instant

_WRAPPED = re.compile(r'=\s*"(.*)"', re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
LOST_DIGITS = "编号是科学计数法（Excel 把它当成了数字），末几位已经丢了；请重新导出，并把这一列设为“文本”"


def draft_from_row(
    cells: Mapping[str, Any],
    mapping: Mapping[str, str],
    *,
    source: str,
    kind: Kind,
    without_date: datetime,
    since: datetime | None = None,
    left_out: Counter[str] | None = None,
) -> Draft:
    """A draft from a row's cells; raises Poison naming our field.

    Without an id column the id is a hash of text, time and author: a text that comes twice is one mention.
    Without a date ``created_at`` is ``without_date`` with precision "month": nobody knows when it was said. ``since``
    is what relative dates are counted from. A value beside the words that cannot be read is left empty and counted by
    field in ``left_out``; a text, an id or a date that cannot is Poison, and so is a rating that stands alone.
    """
    row = _Row(cells, mapping, Counter() if left_out is None else left_out)
    text = row.words("text") or ""
    default = is_default_review(text)
    created, written = row.cell("created_at"), str(row.cell("created_at") or "")
    title, appended = row.words("title"), row.words("append")
    answered = row.answered(alone=not (text or title or appended))
    likes, replies = row.count("likes"), row.count("replies")
    draft = Draft(
        source=source,
        kind=kind,
        native_id=None,
        created_at=without_date,
        created_precision="month",
        text="" if default else text,
        title=title,
        empty_text=default or not text,
        rating=answered.rating,
        rating_scale=answered.scale,
        rating_original=answered.original,
        url=row.url(),
        product=row.product(),
        author_id=row.exact("author"),
        region=row.words("region"),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        appends=[Append(text=appended)] if appended and not is_default_review(appended) else [],
        seller_reply=row.words("seller_reply"),
    )
    if created is not None:
        try:
            at, precision = read_instant(created, since)
        except ValueError as error:
            raise Poison(str(error), field="created_at") from error
        draft = replace(draft, created_at=at, created_precision=precision)
    identity = row.identity()
    if identity is not None:
        draft.native_id = identity
    else:
        draft.native_id = content_id(text, draft.title, written + (answered.original or ""), draft.author_id)
    return draft


@dataclass(frozen=True, slots=True)
class _Row:
    """One row's cells by our fields, and what of them could not be read."""

    cells: Mapping[str, Any]
    mapping: Mapping[str, str]
    left_out: Counter[str]

    def cell(self, field: str) -> Any:
        """As the file has it; None for an empty one, and for what exports write where there is nothing ("-", "无")."""
        value = self.cells.get(self.mapping.get(field, "\0"))
        if not isinstance(value, str):
            return value
        plain = value.strip()
        return None if not plain or (field != "text" and plain.lower() in NOTHING) else value

    def words(self, field: str) -> str | None:
        value = self.cell(field)
        if isinstance(value, dict | list | float):
            if field == "text":
                raise Poison("不是文字", field=field)
            self.left_out[field] += 1
            return None
        return None if value is None else str(value).strip()

    def count(self, field: str) -> Count:
        value = self.cell(field)
        found = read_count(value)
        if value is not None and found.value is None:
            self.left_out[field] += 1
        return found

    def answered(self, *, alone: bool) -> Stars:
        """Of the answer that is there; a survey's own scale before plain stars."""
        field = next((name for name in _ANSWERS if self.cell(name) is not None), None)
        if field is None:
            return Stars()
        try:
            return _ANSWERS[field](self.cell(field))
        except Poison:
            if alone:
                raise
            self.left_out[field] += 1
            return Stars()

    def url(self) -> str | None:
        value = self.words("url")
        kept = public_url(value)
        if value is not None and kept is None:
            self.left_out["url"] += 1
        return kept

    def exact(self, field: str) -> str | None:
        """An id of something else, as text; left out where it went through a float: different ones are equal then."""
        value = self.cell(field)
        if isinstance(value, float | dict | list) or has_lost_digits(value):
            self.left_out[field] += 1
            return None
        return None if value is None else _unwrapped(str(value)) or None

    def identity(self) -> str | None:
        value = self.cell("id")
        if has_lost_digits(value):
            raise Poison(LOST_DIGITS, field="id")
        if isinstance(value, float | bool | dict | list):
            raise Poison("不是编号；小数已经丢了位数", field="id")
        if value is None:
            return None
        plain = _unwrapped(str(value))
        if _CONTROL.search(plain):
            raise Poison("编号里有换行或控制字符", field="id")
        return plain or None

    def product(self) -> Product | None:
        nested = self.cells.get("product")
        row = (
            _Row(nested, {f"product.{name}": name for name in _PRODUCT}, self.left_out)
            if isinstance(nested, dict)
            else self
        )
        known = {name: row.exact(f"product.{name}") for name in ("id", "sku")}
        known |= {name: row.words(f"product.{name}") for name in ("name", "spec")}
        return Product(**known) if any(known.values()) else None


_PRODUCT = ("id", "sku", "name", "spec")
_ANSWERS: Mapping[str, Callable[[Any], Stars]] = {
    "nps": stars_of_nps,
    "csat": stars_of_csat,
    "rating": stars,
    "rating10": stars_of_ten,
}


def _unwrapped(text: str) -> str:
    """Without what makes a spreadsheet keep digits as text: ``="123"``, ``'123``."""
    text = text.strip()
    wrapped = _WRAPPED.fullmatch(text)
    return (wrapped[1] if wrapped else text).strip().removeprefix("'").strip()


def content_id(text: str, title: str | None, written: str, author: str | None) -> str:
    """The id of what came without one: the same words of the same person at the same time are the same mention.

    ``written`` is the time as it was given.
    """
    parts = [" ".join(text.split()), title, written, author]
    return sha256(orjson.dumps([str(p or "").encode("utf-8", "replace").decode() for p in parts])).hexdigest()[:20]
