"""Queries as text: which filters are in one, and the text with a filter added, taken out or replaced.

The query box is the one truth; chips, facets and date presets are edits of its text, so that whatever was typed
stays as it was typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest.errors import QueryError
from search.ast import Between, Has, Is, Node, Not, Or, Since, Until
from search.fields import FIELD_ALIASES
from search.lexer import Lexer, Token
from search.memory import ANY
from search.normalise import fold
from search.query import parse_query
from shengwen.web.present import ABOUTS, COPIES, FLAGS, INTENTS, KINDS, SENTIMENTS, clean, exact, short, source_name

FIELDS = {
    "source": "来源", "kind": "类型", "sentiment": "情感", "intent": "意图", "tag": "标签", "flag": "标记",
    "product": "产品", "region": "地区",
    "about": "谈的是", "matched": "匹配词", "author": "作者", "id": "编号",
    "group": "相似组", "copies": "相似", "rating": "评分", "likes": "点赞",
    "replies": "回复数", "shares": "分享", "views": "浏览", "severity": "严重度", "since": "从", "until": "到",
}  # fmt: skip
_VALUES: dict[str, dict[str, str]] = {
    "kind": KINDS,
    "sentiment": SENTIMENTS,
    "intent": INTENTS,
    "flag": FLAGS,
    "about": ABOUTS,
    "copies": COPIES,
}
_PARTS = {"media": "有图或视频", "append": "有追评", "reply": "有商家回复"}
_BACK = re.compile("([0-9]{1,5})([dhw])")
_BACK_UNITS = {"d": "天", "h": "小时", "w": "周"}


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter of a query. ``text`` is as typed, ``without`` the query's text when it is taken out."""

    field: str
    label: str
    text: str
    without: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of the query's text at the top level: one token, or a bracketed group."""

    start: int
    end: int
    token: Token
    negated: bool = False


def chips(text: str, *, now: datetime) -> Sequence[Chip]:
    """The filters at the top level of a valid query; none when it is an OR, where taking one out would mean else."""
    pieces = _pieces(text)
    if any(piece.token.kind == "or" for piece in pieces):
        return ()
    found: list[Chip] = []
    for at, piece in enumerate(pieces):
        if piece.token.kind != "field":
            continue
        typed = text[piece.start : piece.end]
        try:
            label = _label(parse_query(typed, now=now), piece.token)
        except QueryError:
            continue
        kept = [other for place, other in enumerate(pieces) if place != at]
        found.append(Chip(_field(piece.token), label, typed, _join(text, kept)))
    return found


def added(text: str, filter_text: str) -> str:
    """The query narrowed by one more filter."""
    base = text.strip()
    if any(piece.token.kind == "or" for piece in _pieces(base)):
        base = f"({base})"
    return f"{base} {filter_text}".strip()


def without_fields(text: str, fields: Sequence[str]) -> str:
    """The query without its top-level filters on ``fields``."""
    pieces = _pieces(text)
    if any(piece.token.kind == "or" for piece in pieces):
        return text.strip()
    return _join(text, [p for p in pieces if p.token.kind != "field" or p.negated or _field(p.token) not in fields])


def _pieces(text: str) -> list[_Piece]:
    try:
        tokens = list(Lexer(text).tokens())
    except QueryError:
        return []
    pieces: list[_Piece] = []
    depth, opened, start_not = 0, 0, -1
    for at, token in enumerate(tokens):
        end = tokens[at + 1].position if at + 1 < len(tokens) else len(text)
        end = token.position + len(text[token.position : end].rstrip())
        start = token.position if start_not < 0 else start_not
        if token.kind == "(":
            if depth == 0:
                opened = start
            depth += 1
        elif token.kind == ")":
            depth -= 1
            if depth == 0:
                pieces.append(_Piece(opened, end, token))
                start_not = -1
        elif depth == 0:
            if token.kind == "not":
                start_not = start
            else:
                pieces.append(_Piece(start, end, token, negated=start_not >= 0))
                start_not = -1
    return pieces


def _join(text: str, pieces: Sequence[_Piece]) -> str:
    """The pieces' text, without an AND that has lost its left or right side."""
    kept: list[_Piece] = []
    for piece in pieces:
        if piece.token.kind == "and" and (not kept or kept[-1].token.kind == "and"):
            continue
        kept.append(piece)
    if kept and kept[-1].token.kind == "and":
        kept.pop()
    return " ".join(text[piece.start : piece.end] for piece in kept)


def _field(token: Token) -> str:
    typed = fold(token.name)
    return FIELD_ALIASES.get(typed, typed)


def _label(node: Node, token: Token) -> str:
    if isinstance(node, Not):
        return f"不含 {_label(node.part, token)}"
    if isinstance(node, Or):
        first, *rest = (_label(part, token) for part in node.parts)
        return "、".join([first, *(label.partition("：")[2] or label for label in rest)])
    if isinstance(node, Is):
        return f"{FIELDS[node.field]}：{value_name(node.field, node.value)}"
    if isinstance(node, Has):
        return _PARTS[node.part]
    if isinstance(node, Since | Until):
        back = _BACK.fullmatch(token.text) if isinstance(node, Since) else None
        if back:
            return f"近 {back[1]} {_BACK_UNITS[back[2]]}"
        ends = "从" if isinstance(node, Since) else "到"
        return f"{ends} {short(token.text, 24)}" if not token.quoted else f"{ends} {exact(node.instant, 'minute')}"
    if isinstance(node, Between):
        return f"{FIELDS[node.field]} {token.comparison}{short(token.text, 24)}"
    return short(token.text)


def value_name(field: str, value: str) -> str:
    """A facet's value as people read it."""
    if field == "source":
        return source_name(value)
    if field == "matched" and value == ANY:
        return "任意一个"
    return _VALUES.get(field, {}).get(value) or short(clean(value), 40)


__all__ = ["FIELDS", "Chip", "added", "chips", "value_name", "without_fields"]
