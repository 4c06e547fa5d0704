"""The query's syntax tree: what a query means, free of how it was typed and of who executes it.

``str(node)`` is a query text that parses to an equal tree. Meaning of each node, for every backend:

* the searched fields of a mention are its title, its text and each append, each by itself: nothing matches across
  two of them. Both sides are compared after :func:`search.normalise.fold`;
* a comparison with something the mention does not have (no rating, no region) is false, so its negation is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ingest.clock import BEIJING

KeywordField = Literal[
    "source",
    "kind",
    "sentiment",
    "intent",
    "tag",
    "flag",
    "product",
    "region",
    "about",
    "matched",
    "author",
    "id",
    "group",
    "copies",
]
NumberField = Literal["rating", "likes", "replies", "shares", "views", "severity"]
Part = Literal["media", "append", "reply"]

_BARE_WORD = re.compile(r"\w+")
_BARE_VALUE = re.compile(r"[\w/][\w/:.\-]*|\*")
OPERATORS = {"AND": "and", "OR": "or", "NOT": "not", "与": "and", "或": "or", "非": "not"}


def quote(text: str) -> str:
    """``text`` as a quoted literal of the query language."""
    escaped = re.sub(r'([\\"＂])', r"\\\1", text)
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a parsed query."""

    def children(self) -> tuple[Node, ...]:
        """The nodes directly below."""
        return ()


@dataclass(frozen=True, slots=True)
class Everything(Node):
    """Matches every mention: the empty query."""

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class And(Node):
    """All of two or more."""

    parts: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.parts

    def __str__(self) -> str:
        return " ".join(f"({part})" if isinstance(part, And | Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Any of two or more."""

    parts: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.parts

    def __str__(self) -> str:
        return " OR ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Node):
    """Everything that ``part`` does not match."""

    part: Node

    def children(self) -> tuple[Node, ...]:
        return (self.part,)

    def __str__(self) -> str:
        return f"NOT ({self.part})" if isinstance(self.part, And | Or) else f"NOT {self.part}"


@dataclass(frozen=True, slots=True)
class Word(Node):
    """A searched field contains ``text`` (as typed; fold it before comparing)."""

    text: str

    def __str__(self) -> str:
        return self.text if _BARE_WORD.fullmatch(self.text) and self.text not in OPERATORS else quote(self.text)


@dataclass(frozen=True, slots=True)
class Near(Node):
    """One searched field contains both words with at most ``distance`` characters between them, in either order.

    Counted in folded characters from the end of the one that starts first to the start of the other; words that
    overlap or touch are 0 apart, so a word is near itself.
    """

    first: str
    second: str
    distance: int

    def __str__(self) -> str:
        return f"{quote(f'{self.first} {self.second}')}~{self.distance}"


@dataclass(frozen=True, slots=True)
class Is(Node):
    """A keyword field has this value.

    * ``source``: equal; ``import`` stands for every ``import:<name>``.
    * ``kind``, ``sentiment``, ``intent``, ``region``, ``about``, ``author``, ``id``, ``group``: equal. ``flag``: one of
      the flags is equal.
    * ``matched``: one of the brand file's words found in it is equal after folding; ``*`` is any of them.
    * ``tag``: one of the tags, its group or its bare name is equal after folding.
    * ``product``: the id or the SKU is equal, or the name contains it after folding. With ``exact`` the product's
      label (name, else id, else SKU: the value of the facet) is equal.
    * ``copies``: ``yes`` is a copy of an earlier mention in any way, ``exact``, ``near`` or ``template`` in this one;
      ``no`` is none: alone, or the first of its group.
    """

    field: KeywordField
    value: str
    exact: bool = False

    def __str__(self) -> str:
        value = self.value if _BARE_VALUE.fullmatch(self.value) else quote(self.value)
        return f"{self.field}:{'=' if self.exact else ''}{value}"


@dataclass(frozen=True, slots=True)
class Between(Node):
    """A number field lies between ``low`` and ``high`` (null: no bound), each included unless ``…_open``."""

    field: NumberField
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False

    def __str__(self) -> str:
        low, high = _number(self.low), _number(self.high)
        if self.low is None:
            return f"{self.field}:{'<' if self.high_open else '<='}{high}"
        if self.high is None:
            return f"{self.field}:{'>' if self.low_open else '>='}{low}"
        return f"{self.field}:{low}" if low == high else f"{self.field}:{low}..{high}"


@dataclass(frozen=True, slots=True)
class Since(Node):
    """Created at or after ``instant`` (UTC; both sides cut to whole milliseconds)."""

    instant: datetime

    def __str__(self) -> str:
        return f"since:{self.instant.astimezone(BEIJING).isoformat()}"


@dataclass(frozen=True, slots=True)
class Until(Node):
    """Created before ``instant`` (UTC, itself excluded; both sides cut to whole milliseconds)."""

    instant: datetime

    def __str__(self) -> str:
        return f"until:{self.instant.astimezone(BEIJING).isoformat()}"


@dataclass(frozen=True, slots=True)
class Has(Node):
    """There is at least one picture or video, an append, or a seller's reply."""

    part: Part

    def __str__(self) -> str:
        return f"has:{self.part}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))


def positive_words(node: Node) -> Iterator[Word | Near]:
    """The words that a match rests on: those under no NOT (or an even number of them)."""
    yield from _words(node, positive=True)


def _words(node: Node, *, positive: bool) -> Iterator[Word | Near]:
    if isinstance(node, Word | Near):
        if positive:
            yield node
    elif isinstance(node, Not):
        yield from _words(node.part, positive=not positive)
    else:
        for child in node.children():
            yield from _words(child, positive=positive)
