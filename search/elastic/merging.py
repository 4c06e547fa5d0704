"""One hit a group: pages and totals, exact.

The server's own ``collapse`` cannot go on after a key in another order than the collapsed field's, and its
``cardinality`` is an estimate. So a page is read in the query's order, and of the groups met on the way the server is
asked which match comes first: that one is the hit. A group that was met is left out of what is read next, so a page
reads few more than it shows, however large groups are. Nothing is kept between pages: the cursor is a place in the
same total order as without merging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

from ingest.errors import UserError
from search.ast import Node
from search.base import Hit, Results, Sort
from search.elastic import counting
from search.elastic.compiler import COPY, Clause, compiled
from search.elastic.reader import hit_of, read_cursor, request_for, write_cursor

Ask = Callable[..., Mapping[str, Any]]

_BATCH: Final = 500
"""Read at once; of the groups among them, at most as many are asked for together."""
_TERMS: Final = 10_000


def search_merged(ask: Ask, query: Node, *, sort: Sort, limit: int, cursor: str | None) -> Results:
    """What :meth:`search.base.Index.search` promises with ``merge``."""
    if limit < 0:
        raise UserError("每页条数不能是负数")
    after: Sequence[Any] | None = read_cursor(cursor, sort) if cursor else None
    wanted = compiled(query)
    total, groups = _totals(ask, wanted)
    hits: list[Hit] = []
    met: list[str] = []
    place: Sequence[Any] = after or ()
    while True:
        size = min(max(limit - len(hits), 0) + 1, _BATCH)
        request = request_for(query, sort)
        request["query"] = _narrowed(request["query"], without=met)
        rows = ask(
            **request, size=size, source=["mention", "state.copies"], docvalue_fields=["group"], track_total_hits=False,
            search_after=cast(Any, after),
        )["hits"]["hits"]  # fmt: skip
        new = list(dict.fromkeys(name for row in rows if (name := _group(row)) is not None))
        firsts = _firsts(ask, query, sort, new)
        for row in rows:
            group = _group(row)
            first, of_group = firsts.get(group, ("", 1)) if group is not None else (row["_id"], 1)
            if first != row["_id"]:
                continue
            if len(hits) == limit:
                return Results(hits, total, write_cursor(sort, place) if limit else None, groups)
            hits.append(hit_of(query, row["_source"], of_group))
            place = row["sort"]
        if len(rows) < size:
            return Results(hits, total, None, groups)
        met = [*met, *new][-_TERMS:]
        after = rows[-1]["sort"]


def _firsts(ask: Ask, query: Node, sort: Sort, groups: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Group -> the key of its first match in order, and how many matches it has."""
    if not groups:
        return {}
    request = request_for(query, sort)
    request["query"] = _narrowed(request["query"], within=groups)
    # As many buckets as there are groups, from every shard: nothing is cut off, so the counts are exact.
    sizes = {"terms": {"field": "group", "size": len(groups), "shard_size": len(groups)}}
    answer = ask(
        **request, size=len(groups), collapse={"field": "group"}, source=False, track_total_hits=False,
        aggs={"sizes": sizes},
    )  # fmt: skip
    buckets = (answer.get("aggregations") or {}).get("sizes", {}).get("buckets", ())
    counted = {bucket["key"]: bucket["doc_count"] for bucket in buckets}
    return {
        row["fields"]["group"][0]: (row["_id"], counted[row["fields"]["group"][0]]) for row in answer["hits"]["hits"]
    }


def _totals(ask: Ask, wanted: Clause) -> tuple[int, int]:
    """Mentions and groups that match. Founders have groups of their own, so only those of copies are told apart."""
    copies = {"bool": {"filter": [wanted, COPY]}}
    answer = ask(query=wanted, size=0, track_total_hits=True, aggs={"copies": {"filter": COPY}})
    total: int = answer["hits"]["total"]["value"]
    among = ((answer.get("aggregations") or {}).get("copies") or {}).get("doc_count", 0)
    groups = total - among
    if among:
        names = [key["group"] for key, _ in counting.composite(ask, copies, {"group": {"terms": {"field": "group"}}})]
        groups += len(names)
        for some in _chunks(names):
            founders = {"bool": {"filter": [wanted, {"terms": {"group": some}}], "must_not": [COPY]}}
            groups -= ask(query=founders, size=0, track_total_hits=True)["hits"]["total"]["value"]
    return total, groups


def _chunks(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[start : start + _TERMS] for start in range(0, len(names), _TERMS)]


def _narrowed(query: Clause, *, within: Sequence[str] = (), without: Sequence[str] = ()) -> Clause:
    """The compiled query, among some groups, or outside some."""
    inner = dict(query["bool"])
    if within:
        inner["filter"] = [*inner["filter"], {"terms": {"group": list(within)}}]
    if without:
        inner["must_not"] = [*inner.get("must_not", ()), {"terms": {"group": list(without)}}]
    return {"bool": inner}


def _group(row: Mapping[str, Any]) -> str | None:
    found = (row.get("fields") or {}).get("group")
    return str(found[0]) if found else None


__all__ = ["search_merged"]
