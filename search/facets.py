"""Counting: facets and the histogram by day, over the slots that a query matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from ingest.errors import ContractError
from search.base import Facet, Summary
from search.columns import SETS, Array, Columns
from search.memory import epoch_ms

_SINGLE: Final[tuple[Facet, ...]] = ("source", "sentiment", "intent", "region", "kind", "about")


def summarise(columns: Columns, slots: Array, top: int) -> Summary:
    """Exact counts over ``slots``; of each facet the ``top`` most frequent values."""
    whole = len(slots) == columns.size

    def column(name: str) -> Array:
        return columns[name] if whole else columns[name][slots]

    facets: dict[Facet, Mapping[str, int]] = {}
    for facet in _SINGLE:
        facets[facet] = _top(_by_code(column(facet), columns.terms.get(facet, ("",))), top)
    products: Counter[str] = Counter()
    for label, count in zip(columns.labels(), _counts(column("product"), len(columns.labels())), strict=True):
        if label is not None and count:
            products[label] += count
    facets["product"] = _top(products.items(), top)
    facets["flag"] = _top(_by_bit(column("flags")[:, None], columns.terms.get("flag", ("",))), top)
    for several in SETS:
        facets[several] = _top(_by_bit(column(several), columns.terms.get(several, ("",))), top)
    return Summary(
        len(slots), facets, _by_day(column("day"), column("sentiment"), columns.terms.get("sentiment", ("",)))
    )


def count_steps(
    columns: Columns, slots: Array, *, since: datetime, until: datetime, step: timedelta
) -> Mapping[str, Sequence[int]]:
    """By source, how many of ``slots`` were created in each step of [since, until)."""
    first, last = epoch_ms(since), epoch_ms(until)
    width = step // timedelta(milliseconds=1)
    if width <= 0 or last <= first:
        raise ContractError("a histogram needs a step and a span longer than a millisecond")
    size = -(-(last - first) // width)
    created = columns["created"][slots]
    inside = (created >= first) & (created < last)
    names = columns.terms.get("source", ("",))
    cells = columns["source"][slots][inside].astype(np.int64) * size + (created[inside] - first) // width
    table = np.bincount(cells, minlength=len(names) * size).reshape(len(names), size)
    return {name: row.tolist() for name, row in zip(names, table, strict=True) if row.any()}


def _counts(codes: Array, size: int) -> list[int]:
    counts: list[int] = np.bincount(codes, minlength=size).tolist()
    return counts


def _by_code(codes: Array, terms: Sequence[str]) -> Iterable[tuple[str, int]]:
    return list(zip(terms, _counts(codes, len(terms)), strict=True))[1:]


def _by_bit(words: Array, terms: Sequence[str]) -> Iterable[tuple[str, int]]:
    """How often each bit is set. Counts bytes first: far fewer kinds than mentions."""
    if not words.size or len(terms) < 2:
        return []
    as_bytes = np.ascontiguousarray(words).view(np.uint8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little").astype(np.int64)
    counts: list[int] = []
    for position in range(min(as_bytes.shape[1], (len(terms) + 6) // 8)):
        counts += (np.bincount(as_bytes[:, position], minlength=256) @ bits).tolist()
    return [(term, counts[code - 1]) for code, term in enumerate(terms) if code]


def _top(counts: Iterable[tuple[str, int]], top: int) -> Mapping[str, int]:
    found = sorted(((value, count) for value, count in counts if count), key=lambda pair: (-pair[1], pair[0]))
    return dict(found[:top])


def _by_day(days: Array, sentiments: Array, terms: Sequence[str]) -> Mapping[str, Mapping[str, int]]:
    if not len(days):
        return {}
    first = int(days.min())
    table = np.bincount((days - first).astype(np.int64) * len(terms) + sentiments)
    histogram: dict[str, dict[str, int]] = {}
    for cell in np.flatnonzero(table).tolist():
        day, code = divmod(cell, len(terms))
        histogram.setdefault(date.fromordinal(first + day).isoformat(), {})[terms[code]] = int(table[cell])
    return histogram
