"""What is filtered, sorted and counted, as arrays: one slot a mention, in the order of document ids.

A reader keeps one :class:`Columns` in memory and lets it catch up with the file before each query: about 80 bytes
a mention. A snapshot is never changed once it was handed out, so any number of threads may count on it meanwhile.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import orjson

from ingest.analysis import ClassifiedMention
from ingest.clock import BEIJING
from ingest.mention import Product
from search.memory import epoch_ms, product_label
from search.packing import Damage

NULL: Final = 0xFFFFFFFF
"""A count that is not known. Known counts are capped below it, far above what a query can ask for."""
HAS: Final = {"media": 1, "append": 2, "reply": 4}

LIKENESS: Final = {"exact": 1, "near": 2, "template": 3}

_RECORD = struct.Struct("<qdIIIIiIIIIBBBBBBqB")
_DTYPE = np.dtype(
    [
        ("created", "<i8"),
        ("severity", "<f8"),
        ("likes", "<u4"),
        ("replies", "<u4"),
        ("shares", "<u4"),
        ("views", "<u4"),
        ("day", "<i4"),
        ("product", "<u4"),
        ("region", "<u4"),
        ("source", "<u4"),
        ("flags", "<u4"),
        ("kind", "u1"),
        ("sentiment", "u1"),
        ("intent", "u1"),
        ("rating", "u1"),
        ("has", "u1"),
        ("about", "u1"),
        ("group", "<i8"),  # a hash of its name, 0 for none
        ("likeness", "u1"),
    ]
)
SETS: Final[tuple[Literal["tag", "matched"], ...]] = ("tag", "matched")
"""Dimensions of which a mention may have several values: bit sets, each a column of the table and an array."""
TABLE: Final = f"CREATE TABLE columns (docid INTEGER PRIMARY KEY, record BLOB NOT NULL, {' BLOB, '.join(SETS)} BLOB)"
INSERT: Final = f"INSERT OR REPLACE INTO columns VALUES (?, ?{', ?' * len(SETS)})"  # noqa: S608  # our own names
_RELOAD_AFTER_DEAD = 10_000

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]


class Codes:
    """Numbers for the values of each dimension, from 1 in each; 0 is "none". Written by the one writer."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], int] = {}
        self._next: dict[str, int] = {}
        self._products: dict[tuple[str | None, str | None, str | None], int] = {}
        for dimension, code, value in connection.execute("SELECT dimension, code, value FROM terms"):
            self._known[dimension, value] = code
            self._next[dimension] = max(self._next.get(dimension, 1), code + 1)

    def product(self, product: Product | None) -> int:
        """The code of a product, its spec aside."""
        if product is None:
            return 0
        key = (product.id, product.sku, product.name)
        code = self._products.get(key)
        if code is None:
            code = self._products[key] = self("product", orjson.dumps(key).decode())
        return code

    def fits(self, connection: sqlite3.Connection) -> bool:
        """Whether the connection is still the same and nobody else has added values."""
        return connection is self._connection and self._stored() == len(self._known)

    def _stored(self) -> int:
        count: int = self._connection.execute("SELECT count(*) FROM terms").fetchone()[0]
        return count

    def __call__(self, dimension: str, value: str | None) -> int:
        """The value's code; a new one is stored in the running transaction."""
        if value is None:
            return 0
        code = self._known.get((dimension, value))
        if code is None:
            code = self._next.get(dimension, 1)
            self._connection.execute("INSERT INTO terms VALUES (?, ?, ?)", (dimension, value, code))
            self._known[dimension, value] = code
            self._next[dimension] = code + 1
        return code


def encode(mention: ClassifiedMention, codes: Codes) -> tuple[bytes, bytes | None, bytes | None]:
    """A mention's slot: the fixed record, and its :data:`SETS` as little-endian bit sets."""
    analysis = mention.analysis
    flags = 0
    for flag in analysis.flags:
        flags |= 1 << (codes("flag", flag) - 1)
    record = _RECORD.pack(
        epoch_ms(mention.created_at),
        analysis.severity,
        _count(mention.likes),
        _count(mention.replies),
        _count(mention.shares),
        _count(mention.views),
        mention.created_at.astimezone(BEIJING).toordinal(),
        codes.product(mention.product),
        codes("region", mention.region),
        codes("source", mention.source),
        flags,
        codes("kind", mention.kind),
        codes("sentiment", analysis.sentiment.label),
        codes("intent", analysis.intent),
        mention.rating or 0,
        (HAS["media"] if mention.media else 0)
        | (HAS["append"] if mention.appends else 0)
        | (HAS["reply"] if mention.seller_reply else 0),
        codes("about", mention.matched.about),
        0 if mention.group is None else name_code(mention.group),
        LIKENESS[mention.likeness] if mention.likeness else 0,
    )
    tags = _bits("tag", (opinion.tag for opinion in analysis.tags), codes)
    return record, tags, _bits("matched", mention.matched.all_words, codes)


def _bits(dimension: str, values: Iterable[str], codes: Codes) -> bytes | None:
    bits = 0
    for value in values:
        bits |= 1 << (codes(dimension, value) - 1)
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little") if bits else None


def name_code(name: str) -> int:
    """64 bits of a hash of a name: short to store, the same in every file."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def _count(value: int | None) -> int:
    return NULL if value is None else min(value, NULL - 1)


def product_of(key: str) -> Product:
    """The product (without its spec) that a term of the dimension ``product`` stands for."""
    native, sku, name = orjson.loads(key)
    return Product.model_construct(id=native, sku=sku, name=name, spec=None)


@dataclass
class Columns:
    """One snapshot. Slots of erased mentions stay, with ``alive`` false, until the next full load."""

    version: int = -1
    text_version: int = 0
    changes: int = 0
    size: int = 0
    dead: int = 0
    buffers: dict[str, Array] = field(default_factory=dict)
    terms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By dimension, the values by code (0: an empty string that means none)."""

    def __getitem__(self, name: str) -> Array:
        column: Array = self.buffers[name][: self.size]
        return column

    @property
    def docids(self) -> Array:
        return self["docid"]

    @property
    def alive(self) -> Mask:
        return self["alive"]

    @property
    def widths(self) -> Sequence[int]:
        """How many 64-bit words hold the bit sets of a mention, of each of :data:`SETS`.

        The array of a set has the shape (size, width), uint64; bit ``code - 1``.
        """
        return [(len(self.terms.get(dimension, ("",))) + 62) // 64 for dimension in SETS]

    def labels(self) -> Sequence[str | None]:
        """By code of the dimension ``product``, the label."""
        keys = self.terms.get("product", ("",))
        return [None, *(product_label(product_of(key)) for key in keys[1:])]


def catch_up(connection: sqlite3.Connection, columns: Columns) -> Columns:
    """The snapshot of the connection's transaction, made from an older one."""
    state = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('version', 'text_version')"))
    if state["version"] == columns.version:
        return columns
    first, last = connection.execute("SELECT min(n), max(n) FROM changes").fetchone()
    terms = _terms(connection, columns)
    fits = columns.version >= 0 and (first is None or first <= columns.changes + 1)
    same_widths = Columns(terms=terms).widths == columns.widths
    if not fits or not same_widths or columns.dead > max(_RELOAD_AFTER_DEAD, columns.size // 4):
        columns = Columns(changes=last or columns.changes)
    newer = Columns(
        version=state["version"],
        text_version=state["text_version"],
        changes=last or columns.changes,
        size=columns.size,
        dead=columns.dead,
        buffers=columns.buffers,
        terms=terms,
    )
    if (last or 0) > columns.changes:
        _change(connection, newer, columns.changes)
    _append(connection, newer)
    return newer


def _terms(connection: sqlite3.Connection, columns: Columns) -> Mapping[str, Sequence[str]]:
    counts = dict(connection.execute("SELECT dimension, count(*) FROM terms GROUP BY dimension"))
    if all(len(columns.terms.get(dimension, ())) == count + 1 for dimension, count in counts.items()):
        return columns.terms
    terms: dict[str, list[str]] = {dimension: [""] * (count + 1) for dimension, count in counts.items()}
    for dimension, code, value in connection.execute("SELECT dimension, code, value FROM terms"):
        terms[dimension][code] = value
    return terms


_ROW: Final = f"record, {', '.join(SETS)}"


def _append(connection: sqlite3.Connection, columns: Columns) -> None:
    last = int(columns.docids[-1]) if columns.size else 0
    rows = connection.execute(
        f"SELECT docid, {_ROW} FROM columns WHERE docid > ? ORDER BY docid",  # noqa: S608  # our own names
        (last,),
    ).fetchall()
    if not rows and columns.buffers:
        return
    start, end = columns.size, columns.size + len(rows)
    if not columns.buffers or end > len(columns.buffers["docid"]):
        columns.buffers = _grown(columns, max(1024, end + end // 4))
    for name, values in _decoded(rows, columns.widths):
        columns.buffers[name][start:end] = values
    columns.size = end


def _change(connection: sqlite3.Connection, columns: Columns, since: int) -> None:
    # Others may be counting on the old arrays: what changes in place changes in a copy.
    columns.buffers = _grown(columns, len(columns.buffers["docid"]))
    changed = connection.execute(
        f"SELECT DISTINCT changes.docid, {_ROW} FROM changes LEFT JOIN columns USING (docid)"  # noqa: S608
        " WHERE n > ? ORDER BY changes.docid",
        (since,),
    ).fetchall()
    last = int(columns.docids[-1]) if columns.size else 0
    for kept in (True, False):
        rows = [row for row in changed if row[0] <= last and (row[1] is not None) == kept]
        docids = np.array([row[0] for row in rows], np.int64)
        slots = np.searchsorted(columns.docids, docids)
        known = np.take(columns.docids, slots, mode="clip") == docids if columns.size else np.zeros(len(rows), bool)
        slots = slots[known]
        if not kept:
            columns.dead += int(columns.alive[slots].sum())
            columns.buffers["alive"][slots] = False
            continue
        rows = [row for row, is_known in zip(rows, known, strict=True) if is_known]
        for name, values in _decoded(rows, columns.widths):
            columns.buffers[name][slots] = values


def _decoded(rows: Sequence[tuple[Any, ...]], widths: Sequence[int]) -> Iterator[tuple[str, Array]]:
    """The arrays of ``rows``: docid, record, and a bit set for each of :data:`SETS`."""
    docids, records, *sets = zip(*rows, strict=True) if rows else ((), (), *(() for _ in SETS))
    if any(len(record) != _RECORD.size for record in records):
        raise Damage("列存记录的长度不对")
    table = np.frombuffer(b"".join(records), _DTYPE)
    yield "docid", np.array(docids, np.int64)
    yield "alive", np.ones(len(docids), np.bool_)
    for name in _DTYPE.names or ():
        yield name, table[name]
    for name, width, values in zip(SETS, widths, sets, strict=True):
        bits = b"".join((value or b"").ljust(width * 8, b"\0") for value in values)
        yield name, np.frombuffer(bits, "<u8").reshape(len(docids), width)


def _grown(columns: Columns, capacity: int) -> dict[str, Array]:
    types: dict[str, Any] = {"docid": np.dtype(np.int64), "alive": np.dtype(np.bool_)}
    types |= {name: _DTYPE[name] for name in _DTYPE.names or ()}
    grown = {name: np.empty(capacity, kind) for name, kind in types.items()}
    grown |= {name: np.empty((capacity, width), np.uint64) for name, width in zip(SETS, columns.widths, strict=True)}
    if columns.buffers:
        for name, values in grown.items():
            values[: columns.size] = columns[name]
    return grown
