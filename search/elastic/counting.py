"""Exact counts: facets, the histogram by day, matches over time, and the sums of the accounting.

Facets come as ``terms`` aggregations of which every shard sends all its values up to a bound far above what there is
as a rule; the server says when a shard had more (``doc_count_error_upper_bound``), and then that one facet is counted
again value by value with a ``composite`` aggregation, page after page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, get_args

from ingest.errors import ContractError
from search.base import Facet, Summary
from search.elastic.compiler import Clause
from search.elastic.document import SENTIMENTS
from search.elastic.mapping import TALLIES
from search.memory import epoch_ms

Ask = Callable[..., Mapping[str, Any]]
"""``ask(query=…, aggs=…, …)``: the answer to a search request over everything."""

FACETS: Final[tuple[Facet, ...]] = get_args(Facet)
_PER_SHARD: Final = 20_000
_PAGE: Final = 10_000
_DAYS: Final = "by_day"


def summary(ask: Ask, query: Clause, top: int) -> Summary:
    """Total, facets and histogram in one request (more only where one cannot be exact)."""
    aggs: dict[str, Clause] = {facet: _terms(facet, top) for facet in FACETS} if top > 0 else {}
    aggs[_DAYS] = _terms("day_sentiment", _PAGE)
    answer = ask(query=query, size=0, track_total_hits=True, aggs=aggs)
    found = answer.get("aggregations") or {}
    facets: dict[Facet, Mapping[str, int]] = {}
    for facet in FACETS:
        terms = found.get(facet) or {}
        if terms.get("doc_count_error_upper_bound"):
            counted = [(key["value"], n) for key, n in composite(ask, query, {"value": {"terms": {"field": facet}}})]
        else:
            counted = [(bucket["key"], bucket["doc_count"]) for bucket in terms.get("buckets", ())]
        facets[facet] = dict(sorted(counted, key=lambda pair: (-pair[1], pair[0]))[:top])
    days = found.get(_DAYS) or {}
    if days.get("doc_count_error_upper_bound") or days.get("sum_other_doc_count"):
        by_code = {key["day"]: n for key, n in composite(ask, query, {"day": {"terms": {"field": "day_sentiment"}}})}
    else:
        by_code = {bucket["key"]: bucket["doc_count"] for bucket in days.get("buckets", ())}
    return Summary(answer["hits"]["total"]["value"], facets, _by_day(by_code))


def histogram(
    ask: Ask, query: Clause, *, since: datetime, until: datetime, step: timedelta
) -> Mapping[str, Sequence[int]]:
    """By source, how many were created in each step of [since, until)."""
    first, last = epoch_ms(since), epoch_ms(until)
    width = step // timedelta(milliseconds=1)
    if width <= 0 or last <= first:
        raise ContractError("a histogram needs a step and a span longer than a millisecond")
    size = -(-(last - first) // width)
    inside = {"bool": {"filter": [query, {"range": {"created": {"gte": first, "lt": last}}}]}}
    steps = {"date_histogram": {"field": "created", "fixed_interval": f"{width}ms", "offset": f"{first % width}ms"}}
    table: dict[str, list[int]] = {}
    for key, n in composite(ask, inside, {"source": {"terms": {"field": "source"}}, "step": steps}):
        table.setdefault(key["source"], [0] * size)[(key["step"] - first) // width] = n
    return table


def tallies(ask: Ask, source: str | None) -> dict[str, int]:
    """The sums of the accounting, and the number of mentions stored."""
    query: Clause = {"match_all": {}} if source is None else {"term": {"source": source}}
    aggs: dict[str, Clause] = {name: {"sum": {"field": name}} for name in TALLIES}
    aggs["documents"] = {"filter": {"term": {"live": True}}}
    found = ask(query=query, size=0, track_total_hits=False, aggs=aggs).get("aggregations") or {}
    counts = {name: int(found[name]["value"]) if name in found else 0 for name in TALLIES}
    return counts | {"documents": found["documents"]["doc_count"] if found else 0}


def composite(ask: Ask, query: Clause, by: Mapping[str, Clause]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Every combination of values with how many there are: exact, page after page."""
    sources = [{name: source} for name, source in by.items()]
    after: Mapping[str, Any] | None = None
    while True:
        page: Clause = {"size": _PAGE, "sources": sources} | ({"after": after} if after else {})
        answer = ask(query=query, size=0, track_total_hits=False, aggs={"all": {"composite": page}})
        found = (answer.get("aggregations") or {}).get("all") or {}
        for bucket in found.get("buckets", ()):
            yield bucket["key"], bucket["doc_count"]
        after = found.get("after_key")
        if after is None:
            return


def _terms(field: str, size: int) -> Clause:
    # Most first, then by value: the order that the summary promises, so that the top is the right one.
    order = [{"_count": "desc"}, {"_key": "asc"}]
    return {"terms": {"field": field, "size": size, "shard_size": max(size, _PER_SHARD), "order": order}}


def _by_day(by_code: Mapping[int, int]) -> Mapping[str, Mapping[str, int]]:
    days: dict[str, dict[str, int]] = {}
    for code, n in sorted(by_code.items()):
        day, sentiment = divmod(code, len(SENTIMENTS))
        days.setdefault(date.fromordinal(day).isoformat(), {})[SENTIMENTS[sentiment]] = n
    return days
