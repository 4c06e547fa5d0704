"""Typed reading of a JSON value that always knows the path where it stands.

Strict about what a record rests on (:meth:`Reader.id`, :meth:`Reader.moment`, :meth:`Reader.record`): those raise
PayloadError naming the path. Tolerant about the rest: null, "", missing and a wrong type all read as "not there".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Self

from crawlers.values import Count, Moment, read_count, read_moment
from ingest.errors import PayloadError

_ID: Final = re.compile(r"[\w@/=+.:~-]{1,160}", re.ASCII)
LOST_DIGITS: Final = "编号成了小数，已经丢了位数"
_AS_FLOAT: Final = re.compile(r"\d+\.\d+|\d+(?:\.\d+)?[eE]\+?\d+")


class Reader:
    """A value and where it stood (``comments[3].creationTime``; "" is the root)."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str = "") -> None:
        self.value = value
        self.path = path

    def __getitem__(self, key: str | int) -> Reader:
        """A member; a Reader of None where there is none."""
        if isinstance(key, int):
            there = isinstance(self.value, list) and 0 <= key < len(self.value)
            return Reader(self.value[key] if there else None, f"{self.path}[{key}]")  # type: ignore[index]
        value = self.value.get(key) if isinstance(self.value, dict) else None
        return Reader(value, f"{self.path}.{key}" if self.path else key)

    def at(self, dotted: str) -> Reader:
        """A member's member: ``a.b.0.c``; digits index a list."""
        node: Reader = self
        for part in dotted.split("."):
            node = node[int(part)] if part.isdigit() and isinstance(node.value, list) else node[part]
        return node

    def first(self, *names: str) -> Reader:
        """The first of several dotted names that holds something; the first name where none does."""
        for name in names:
            value = self._peek(name)
            if value is not None and value != "":
                return self.at(name)
        return self.at(names[0])

    def _peek(self, dotted: str) -> object:
        """``at(dotted).value``, without a path: most fields are only looked at, and a page has thousands."""
        value = self.value
        for part in dotted.split("."):
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    def _held(self, names: tuple[str, ...]) -> object:
        """``first(*names).value``"""
        value: object = None
        for name in names:
            value = self._peek(name)
            if value is not None and value != "":
                return value
        return value if len(names) == 1 else self._peek(names[0])

    def has(self, *names: str) -> bool:
        """Whether all these keys are there, be it with null."""
        return isinstance(self.value, dict) and all(name in self.value for name in names)

    def is_list(self, dotted: str) -> bool:
        return isinstance(self._peek(dotted), list)

    def is_object(self, dotted: str) -> bool:
        return isinstance(self._peek(dotted), dict)

    def each(self, *names: str) -> Iterator[Reader]:
        """The items of the first of these lists that is not empty; nothing for null, "" or a missing one."""
        for name in names:
            value = self._peek(name)
            if isinstance(value, list) and value:
                yield from self.at(name).items()
                return

    def items(self) -> Iterator[Reader]:
        """The items of this list; nothing when it is none."""
        if isinstance(self.value, list):
            for index in range(len(self.value)):
                yield self[index]

    def values(self) -> Iterator[Reader]:
        """The members of an object, in their order."""
        if isinstance(self.value, dict):
            for key in self.value:
                yield self[key]

    def record(self) -> Self:
        """This reader, if it stands on an object. Raises PayloadError."""
        if not isinstance(self.value, dict):
            raise PayloadError(f"应为对象，却是{_kind(self.value)}", field=self.path or "body")
        return self

    def id(self, *names: str) -> str:
        """A platform id as text. Raises PayloadError when it is missing, a float (digits lost) or no id at all."""
        node = self.first(*names)
        value = node.value
        if value is None or value == "":
            raise PayloadError("缺少编号", field=node.path)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if isinstance(value, float) or (isinstance(value, str) and _AS_FLOAT.fullmatch(value.strip())):
            raise PayloadError(LOST_DIGITS, field=node.path)
        if isinstance(value, str) and _ID.fullmatch(value.strip()):
            return value.strip()
        raise PayloadError(f"应为编号，却是{_kind(value)}", field=node.path)

    def id_or_none(self, *names: str) -> str | None:
        """An id of something else (a product, a parent), or None where it is missing, "0" or unreadable."""
        if self._held(names) in (None, ""):
            return None
        try:
            found = self.id(*names)
        except PayloadError:
            return None
        return None if found == "0" else found

    def text(self, *names: str) -> str:
        """Text as the platform sent it; "" where there is none."""
        value = self._held(names)
        if isinstance(value, str):
            return value
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""

    def count(self, *names: str) -> Count:
        return read_count(self._held(names))

    def number(self, *names: str) -> int | None:
        """A count without its flag."""
        return self.count(*names).value

    def flag(self, *names: str) -> bool:
        """True for true, 1, "1", "true"."""
        value = self._held(names)
        return value is True or (isinstance(value, int | str) and str(value).lower() in ("1", "true"))

    def moment(self, captured_at: datetime, *names: str) -> Moment:
        """An instant. Raises PayloadError naming the path when it is missing or cannot be read."""
        node = self.first(*names)
        try:
            return read_moment(node.value, captured_at)
        except ValueError as error:
            raise PayloadError(str(error), field=node.path) from error

    def moment_or_none(self, captured_at: datetime, *names: str) -> Moment | None:
        """An instant, or None where it is missing or cannot be read."""
        value = self._held(names)
        if value is None or value == "":  # most are
            return None
        try:
            return read_moment(value, captured_at)
        except ValueError:
            return None

    def raw(self) -> bytes:
        """This value alone as JSON bytes."""
        try:
            return json.dumps(self.value, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # lone surrogates
            return json.dumps(self.value).encode()


def _kind(value: object) -> str:
    names = {dict: "对象", list: "列表", str: "文字", bool: "真假值", int: "整数", float: "小数"}
    return "空值（null）" if value is None else names.get(type(value), type(value).__name__)
