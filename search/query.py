"""The query language: text in, one syntax tree out.

    漏水 AND (安装 OR 师傅) NOT 广告 source:xiaohongshu tag:产品质量/焊缝 likes:>=100 since:7d "暖气 不热"~5

* Words side by side mean AND; ``OR`` binds weaker than AND; ``NOT x`` and ``-x`` exclude; parentheses group. 与, 或, 非
  standing by themselves are the operators; full-width punctuation is accepted everywhere.
* ``"…"`` takes spaces and operators literally (``\\"`` is a quote, ``\\\\`` a backslash); ``"a b"~5``
  is a proximity.
* Fields: ``source kind sentiment intent tag flag product region about matched author id group`` (a list ``jd,tmall``
  means any of them; ``product:=…`` is the exact label, ``matched:*`` any word of the brand file), ``rating likes
  replies shares views severity`` (``3``, ``>=3``, ``1..3``, ``1.5万``), ``since until`` (``7d``, ``24h``, ``2w``,
  ``今天``, ``2026-01-05``, ``2026-01``, ISO 8601; ``until`` a day includes that day), ``has:media|append|reply``,
  ``copies:yes|no|exact|near|template``. Field names and values may be Chinese: ``情感:负面``.
* The empty query matches everything.

The nodes and their exact meaning are in :mod:`search.ast`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import cast
from unicodedata import normalize

from ingest.errors import QueryError
from search.ast import (
    And,
    Between,
    Everything,
    Has,
    Is,
    KeywordField,
    Near,
    Node,
    Not,
    NumberField,
    Or,
    Part,
    Since,
    Until,
    Word,
    positive_words,
)
from search.dates import parse_period
from search.fields import ALL_FIELDS, FIELD_ALIASES, NUMBER_FIELDS, VALUE_ALIASES, VALUES
from search.lexer import Lexer, Token
from search.normalise import fold

MAX_LENGTH = 2_000
"""Longest query, in characters."""
MAX_NODES = 100
MAX_DEPTH = 30
MAX_DISTANCE = 50
MAX_NUMBER = 4_000_000_000
"""Largest number that a field is compared with; larger counts are all the same to every index."""

_LISTABLE = frozenset(
    {"source", "kind", "sentiment", "intent", "tag", "flag", "region", "about", "matched", "has", "copies"}
)
_SEPARATORS = re.compile("[,，、]")
_NUMBER = re.compile(r"(\d{1,12}(?:\.\d{1,4})?)(万|w|亿)?")
_FACTORS = {"万": 10_000, "w": 10_000, "亿": 100_000_000}
_DECIMALS = 4


def parse_query(text: str, *, now: datetime) -> Node:
    """The tree of ``text``; ``now`` (aware) is what ``since:7d`` and 今天 count from.

    Raises QueryError (Chinese, with the position and where possible a suggestion), and nothing else.
    """
    if len(text) > MAX_LENGTH:
        raise QueryError(
            f"查询太长：{len(text)} 个字符", position=MAX_LENGTH, suggestion=f"最多 {MAX_LENGTH} 个字符，请拆成几个查询"
        )
    return _Parser(text, now).parse()


@dataclass
class _Parser:
    text: str
    now: datetime
    at: int = 0
    nodes: int = 0
    depth: int = 0
    tokens: list[Token] = field(default_factory=list)

    def parse(self) -> Node:
        self.tokens = list(Lexer(self.text).tokens())
        if not self.tokens:
            return Everything()
        node = self._or()
        if self.at < len(self.tokens):
            extra = self.tokens[self.at]
            raise QueryError("多出来一个右括号", position=extra.position, suggestion="请删去它，或在前面补上左括号")
        return node

    def _peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _count(self, token: Token) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise QueryError(
                f"查询太复杂，超过 {MAX_NODES} 个条件", position=token.position, suggestion="请拆成几个查询"
            )

    def _or(self) -> Node:
        parts = [self._and()]
        while (token := self._peek()) and token.kind == "or":
            self.at += 1
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else Or(tuple(_flat(parts, Or)))

    def _and(self) -> Node:
        parts = [self._unary()]
        while (token := self._peek()) and token.kind not in (")", "or"):
            if token.kind == "and":
                self.at += 1
            parts.append(self._unary())
        return parts[0] if len(parts) == 1 else And(tuple(_flat(parts, And)))

    def _unary(self) -> Node:
        token = self._peek()
        if token is None:
            raise QueryError("查询没有写完，这里还缺一个词", position=len(self.text), suggestion=self._dangling())
        self._count(token)
        self.at += 1
        if token.kind == "not":
            return Not(self._unary())
        if token.kind == "(":
            return self._group(token)
        if token.kind in ("word", "quoted"):
            return Word(token.text)
        if token.kind == "near":
            return _near(token)
        if token.kind == "field":
            nodes = list(self._field(token))
            for _ in nodes[1:]:
                self._count(token)
            return nodes[0] if len(nodes) == 1 else Or(tuple(nodes))
        if token.kind == ")":
            if self.depth:
                raise QueryError("右括号前缺一个词", position=token.position, suggestion="括号里要有要找的词")
            raise QueryError("多出来一个右括号", position=token.position, suggestion="请删去它，或在前面补上左括号")
        raise QueryError(
            f"“{token.text}”前面缺一个词",
            position=token.position,
            suggestion=f'要查找“{token.text}”这个词本身，请写成 "{token.text}"',
        )

    def _group(self, opening: Token) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise QueryError(f"括号套了 {MAX_DEPTH} 层以上", position=opening.position, suggestion="请减少括号的层数")
        node = self._or()
        closing = self._peek()
        if closing is None:
            raise QueryError("括号没有闭合", position=opening.position, suggestion="请补上右括号")
        self.at += 1
        self.depth -= 1
        return node

    def _dangling(self) -> str:
        last = self.tokens[-1]
        if last.kind in ("and", "or", "not") and last.text not in "-－":
            return f'要查找“{last.text}”这个词本身，请写成 "{last.text}"'
        return "请补上要找的词和右括号" if last.kind == "(" else ""

    def _field(self, token: Token) -> Iterator[Node]:
        name = _field_name(token)
        if not token.text or token.text.isspace():
            raise QueryError(f"“{token.name}:”后面缺一个值", position=token.value_at, suggestion=_example(name))
        if name in NUMBER_FIELDS:
            yield _between(cast(NumberField, name), token)
            return
        if name in ("since", "until"):
            yield self._created(name, token)
            return
        if token.comparison and not (name == "product" and token.comparison == "="):
            raise QueryError(
                f"“{token.name}”不能比较大小",
                position=token.value_at - len(token.comparison),
                suggestion=f"请写成 {token.name}:{token.text}",
            )
        listed = name in _LISTABLE and not token.quoted
        values = [part for part in _SEPARATORS.split(token.text) if part] if listed else [token.text]
        if not values:
            raise QueryError(f"“{token.name}:”后面缺一个值", position=token.value_at, suggestion=_example(name))
        for value in values:
            known = _known_value(name, value, token)
            if name == "has":
                yield Has(cast(Part, known))
            else:
                yield Is(cast(KeywordField, name), known, exact=bool(token.comparison))

    def _created(self, name: str, token: Token) -> Node:
        period = None if token.comparison else parse_period(fold(token.text).strip(), self.now)
        if period is None:
            raise QueryError(
                f"看不懂的时间“{_short(token.text)}”",
                position=token.value_at,
                suggestion="可以写 7d、24h、2w、今天、昨天、本周、上月、2026-01-05 或 2026-01-05T08:00",
            )
        return Since(period.start) if name == "since" else Until(period.end)


def _flat(parts: list[Node], kind: type[And] | type[Or]) -> Iterator[Node]:
    for part in parts:
        if isinstance(part, kind):
            yield from part.children()
        else:
            yield part


def _near(token: Token) -> Node:
    words = token.text.split()
    if len(words) != 2:
        raise QueryError(
            "“~”要用在两个词上", position=token.position, suggestion='引号里写两个用空格分开的词，例如 "暖气 不热"~5'
        )
    if token.distance > MAX_DISTANCE:
        raise QueryError(
            f"相隔最多 {MAX_DISTANCE} 个字", position=token.value_at, suggestion=f"请写 ~{MAX_DISTANCE} 或更小"
        )
    return Near(words[0], words[1], token.distance)


def _field_name(token: Token) -> str:
    typed = fold(token.name)
    name = FIELD_ALIASES.get(typed, typed)
    if name in ALL_FIELDS:
        return name
    near = get_close_matches(typed, [*ALL_FIELDS, *FIELD_ALIASES], n=1, cutoff=0.5)
    literal = f"要查找带冒号的原文，请加引号：{_quoted(f'{token.name}:{token.text}')}"
    hint = f"是不是 {near[0]}？{literal}" if near else f"可用的字段：{'、'.join(ALL_FIELDS)}。{literal}"
    raise QueryError(f"没有“{_short(token.name)}”这个字段", position=token.position, suggestion=hint)


def _known_value(name: str, typed: str, token: Token) -> str:
    """The canonical value of a closed field; free fields keep what was typed."""
    if name not in VALUES:
        return typed
    value = fold(typed).strip()
    value = VALUE_ALIASES[name].get(value, value)
    if value in VALUES[name]:
        return value
    if name == "source" and value.startswith("import:") and len(value) > len("import:"):
        return "import:" + normalize("NFKC", typed).strip().partition(":")[2]
    aliases = VALUE_ALIASES[name]
    near = get_close_matches(value, [*VALUES[name], *aliases], n=1, cutoff=0.5)
    listed = "、".join(VALUES[name])
    raise QueryError(
        f"{name} 没有“{_short(typed)}”这个值",
        position=token.value_at + max(0, token.text.find(typed)),
        suggestion=f"是不是 {near[0]}？可用的值：{listed}" if near else f"可用的值：{listed}",
    )


def _between(name: NumberField, token: Token) -> Node:
    text = fold(token.text).strip()
    low_text, dots, high_text = text.partition("..")
    if dots and not token.comparison and (low_text or high_text):
        low = _number(name, low_text, token) if low_text else None
        high = _number(name, high_text, token) if high_text else None
        if low is not None and high is not None and low > high:
            raise QueryError(
                "范围的起点大于终点", position=token.value_at, suggestion=f"请写成 {name}:{high_text}..{low_text}"
            )
        return Between(name, low, high)
    value = _number(name, text, token)
    if token.comparison in (">", ">="):
        return Between(name, low=value, low_open=token.comparison == ">")
    if token.comparison in ("<", "<="):
        return Between(name, high=value, high_open=token.comparison == "<")
    return Between(name, value, value)


def _number(name: str, text: str, token: Token) -> float:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise QueryError(f"“{_short(token.text)}”不是数字或范围", position=token.value_at, suggestion=_example(name))
    value = round(float(found[1]) * _FACTORS.get(found[2] or "", 1), _DECIMALS)
    if value > MAX_NUMBER:
        raise QueryError("数字太大", position=token.value_at, suggestion=f"最大 {MAX_NUMBER}")
    return value


def _example(name: str) -> str:
    if name in NUMBER_FIELDS:
        return f"例如 {name}:>=3 或 {name}:1..5"
    if name in ("since", "until"):
        return f"例如 {name}:7d 或 {name}:2026-01-05"
    if name in VALUES:
        return f"可用的值：{'、'.join(VALUES[name])}"
    return {
        "tag": "例如 tag:产品质量/不热",
        "product": "例如 product:K20",
        "region": "例如 region:山东",
        "matched": "例如 matched:K20 或 matched:*",
    }.get(name, "")


def _quoted(text: str) -> str:
    return '"' + _short(text).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _short(text: str) -> str:
    return text if len(text) <= 20 else f"{text[:20]}…"


__all__ = [
    "MAX_DEPTH",
    "MAX_DISTANCE",
    "MAX_LENGTH",
    "MAX_NODES",
    "MAX_NUMBER",
    "And",
    "Between",
    "Everything",
    "Has",
    "Is",
    "Near",
    "Node",
    "Not",
    "Or",
    "Since",
    "Until",
    "Word",
    "parse_query",
    "positive_words",
]
