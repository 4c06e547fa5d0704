"""Execution on the embedded index: words by FTS5, everything else on the columns, joined as bit masks."""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.ast import And, Between, Everything, Has, Is, Near, Node, Not, Or, Since, Until, Word
from search.columns import HAS, LIKENESS, NULL, Array, Columns, Mask, name_code, product_of
from search.grams import match_expression
from search.memory import ANY, TITLE_WEIGHT, copies_is, epoch_ms, product_is, source_is, tag_keys
from search.normalise import fold

_CACHE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class _Postings:
    docids: Array
    last: int
    text_version: int


class PostingsCache:
    """Documents by MATCH expression. Documents only ever join at the end, so an entry is extended, not read again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Postings] = OrderedDict()
        self._bytes = 0

    def documents(self, connection: sqlite3.Connection, columns: Columns, expression: str) -> Array:
        """Ids of the documents that match in the snapshot of ``columns``, rising; erased ones may be among them."""
        last = int(columns.docids[-1]) if columns.size else 0
        with self._lock:
            known = self._entries.get(expression)
            if known is not None:
                self._entries.move_to_end(expression)
        if known is None or known.text_version != columns.text_version:
            known = _Postings(np.empty(0, np.int64), 0, columns.text_version)
        if known.last >= last:
            return known.docids[: np.searchsorted(known.docids, last, side="right")]
        newer = _read(connection, expression, known.last, last)
        docids = np.concatenate((known.docids, newer)) if len(known.docids) else newer
        self._keep(expression, _Postings(docids, last, columns.text_version))
        return docids

    def _keep(self, expression: str, entry: _Postings) -> None:
        with self._lock:
            old = self._entries.pop(expression, None)
            self._bytes -= old.docids.nbytes if old is not None else 0
            self._entries[expression] = entry
            self._bytes += entry.docids.nbytes
            while self._bytes > _CACHE_BYTES and len(self._entries) > 1:
                self._bytes -= self._entries.popitem(last=False)[1].docids.nbytes


def _read(connection: sqlite3.Connection, expression: str, after: int, last: int) -> Array:
    # One long string costs a quarter of what a row for each document does.
    joined = connection.execute(
        "SELECT group_concat(rowid) FROM grams WHERE grams MATCH ? AND rowid > ? AND rowid <= ?",
        (expression, after, last),
    ).fetchone()[0]
    if joined is None:
        return np.empty(0, np.int64)
    return np.fromstring(joined, np.int64, sep=",")


class Evaluation:
    """Queries over one snapshot, in the read transaction it came from."""

    def __init__(self, connection: sqlite3.Connection, columns: Columns, cache: PostingsCache) -> None:
        self._connection = connection
        self._columns = columns
        self._cache = cache

    def slots(self, node: Node) -> Array:
        """The slots that match, rising."""
        mask = self._mask(node)
        mask &= self._columns.alive
        return np.flatnonzero(mask)

    def relevance(self, words: list[Word | Near]) -> Array:
        """By slot, :func:`search.memory.relevance`."""
        score = np.zeros(self._columns.size, np.int64)
        for word in words:
            expression = match_expression(word)
            score += self._matching(f"{expression}")
            score += self._matching(f"{{title}} : {expression}").astype(np.int64) * (TITLE_WEIGHT - 1)
        return score

    def _mask(self, node: Node) -> Mask:
        """A new mask; the caller may change it."""
        columns = self._columns
        match node:
            case Everything():
                return np.ones(columns.size, np.bool_)
            case Word() | Near():
                return self._matching(match_expression(node) or "")
            case And(parts):
                return self._all(parts)
            case Or(parts):
                expression = match_expression(node)
                if expression is not None:
                    return self._matching(expression)
                mask = self._mask(parts[0])
                for part in parts[1:]:
                    mask |= self._mask(part)
                return mask
            case Not(part):
                return ~self._mask(part)
            case Is():
                return self._is(node)
            case Between():
                return self._between(node)
            case Since(instant):
                return np.asarray(columns["created"] >= epoch_ms(instant))
            case Until(instant):
                return np.asarray(columns["created"] < epoch_ms(instant))
            case Has(part):
                return np.asarray((columns["has"] & HAS[part]) != 0)
        raise TypeError(f"not a query node: {node!r}")

    def _all(self, parts: tuple[Node, ...]) -> Mask:
        # FTS5 intersects words far faster than masks do, so they go to it together.
        texts: list[Node] = []
        rest: list[Node] = []
        for part in parts:
            words = part.part if isinstance(part, Not) else part
            (rest if match_expression(words) is None else texts).append(part)
        expression = match_expression(And(tuple(texts))) if texts else None
        if expression is None:
            mask = np.ones(self._columns.size, np.bool_)
            rest = list(parts)
        else:
            mask = self._matching(expression)
        for part in rest:
            mask &= self._mask(part)
        return mask

    def _matching(self, expression: str) -> Mask:
        return self._at(self._cache.documents(self._connection, self._columns, expression))

    def _at(self, docids: Array) -> Mask:
        columns = self._columns
        mask = np.zeros(columns.size, np.bool_)
        if not columns.size or not len(docids):
            return mask
        first, last = int(columns.docids[0]), int(columns.docids[-1])
        if last - first + 1 == columns.size:
            slots = docids - first
            slots = slots[(slots >= 0) & (slots < columns.size)]
        else:
            slots = np.searchsorted(columns.docids, docids)
            slots = slots[np.take(columns.docids, slots, mode="clip") == docids]
        mask[slots] = True
        return mask

    def _is(self, node: Is) -> Mask:
        value = node.value
        match node.field:
            case "tag":
                key = fold(value)
                return self._in_set("tag", [bool(tag) and key in tag_keys(tag) for tag in self._terms("tag")])
            case "matched":
                key = fold(value)
                words = self._terms("matched")
                return self._in_set("matched", [bool(word) and (value == ANY or fold(word) == key) for word in words])
            case "flag":
                codes = [code for code, flag in enumerate(self._terms("flag")) if code and flag == value]
                bits = sum(1 << (code - 1) for code in codes)
                return np.asarray((self._columns["flags"] & np.uint32(bits)) != 0)
            case "author":
                return self._selected("SELECT docid FROM docs WHERE author = ?", name_code(value))
            case "id":
                return self._selected("SELECT docid FROM mentions WHERE id = ?", value)
            case "group":
                return np.asarray(self._columns["group"] == name_code(value))
            case "copies":
                kinds = np.array([copies_is(value, likeness) for likeness in (None, *LIKENESS)], np.bool_)
                return np.asarray(kinds[self._columns["likeness"]])
            case "source":
                wanted = [source_is(value, source) for source in self._terms("source")]
            case "product":
                wanted = [product_is(node, product_of(key)) if key else False for key in self._terms("product")]
            case dimension:
                wanted = [term == value for term in self._terms(dimension)]
        wanted[0] = False
        if not any(wanted):
            return np.zeros(self._columns.size, np.bool_)
        return np.array(wanted, np.bool_)[self._columns[node.field]]

    def _terms(self, dimension: str) -> list[str]:
        return list(self._columns.terms.get(dimension, ("",)))

    def _in_set(self, name: str, wanted: list[bool]) -> Mask:
        """Where the bit set ``name`` has one of the values that are ``wanted``, by code."""
        mask = np.zeros(self._columns.size, np.bool_)
        sets = self._columns[name]
        bits = [0] * sets.shape[1]
        for code, is_wanted in enumerate(wanted):
            if code and is_wanted:
                bits[(code - 1) // 64] |= 1 << ((code - 1) % 64)
        for word, some in enumerate(bits):
            if some:
                mask |= (sets[:, word] & np.uint64(some)) != 0
        return mask

    def _selected(self, sql: str, value: Any) -> Mask:
        rows = self._connection.execute(sql, (value,)).fetchall()
        return self._at(np.array(sorted(row[0] for row in rows), np.int64))

    def _between(self, node: Between) -> Mask:
        values = self._columns[node.field]
        if node.field == "severity":
            mask = np.ones(len(values), np.bool_)
        else:
            mask = values != (0 if node.field == "rating" else NULL)
        if node.low is not None:
            mask &= (values > node.low) if node.low_open else (values >= node.low)
        if node.high is not None:
            mask &= (values < node.high) if node.high_open else (values <= node.high)
        return mask
