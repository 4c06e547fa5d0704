"""Reading: pages of results, all of them, one by one, one by its id."""

from __future__ import annotations

import base64
import binascii
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

import orjson
from elasticsearch import Elasticsearch

from ingest.analysis import ClassifiedMention
from ingest.errors import Retryable, ShengwenError, UserError
from search.ast import Near, Node, Word, positive_words
from search.base import Hit, Results, Sort
from search.elastic.client import Elastic, NotThere
from search.elastic.compiler import compiled, ranked
from search.elastic.document import key_of, parsed
from search.elastic.mapping import Names
from search.highlight import highlights

logger = logging.getLogger(__name__)

_INVALID: Final = "翻页标记无效，请从第一页重新搜索"
_VERSION: Final = "e1"
_SCAN_BATCH: Final = 500
_KEEP_ALIVE: Final = "5m"
_MAX_PAGE: Final = 10_000
"""The server's own bound for one answer (``index.max_result_window``)."""

# The last key is the mention's id, so the order is total; "oldest" is "newest" from the other end.
_ORDERS: Final[Mapping[Sort, Sequence[dict[str, Any]]]] = {
    "newest": [{"created": "desc"}, {"id": "desc"}],
    "oldest": [{"created": "asc"}, {"id": "asc"}],
    "likes": [{"likes": {"order": "desc", "missing": -1}}, {"created": "desc"}, {"id": "desc"}],
    "severity": [{"severity": "desc"}, {"created": "desc"}, {"id": "desc"}],
    "relevance": [{"_score": "desc"}, {"created": "desc"}, {"id": "desc"}],
}

Key = Sequence[int | float | str]


class Reader:
    """Reads what the write side has refreshed. Thread-safe."""

    def __init__(self, elastic: Elastic, names: Names) -> None:
        self._elastic = elastic
        self._names = names

    def ask(self, **request: Any) -> Mapping[str, Any]:
        """A search over everything. All shards answer or none does: a partial answer would be a wrong count."""
        answer = self._elastic.call(
            lambda client: client.search(
                index=self._names.everything,
                ignore_unavailable=True,
                allow_partial_search_results=False,
                **request,
            )
        )
        found: Mapping[str, Any] = answer.body
        return found

    def search(self, query: Node, *, sort: Sort, limit: int, cursor: str | None) -> Results:
        """One page. The cursor is the last hit's place in the total order: no state on the server that could expire."""
        if limit < 0:
            raise UserError("每页条数不能是负数")
        after = read_cursor(cursor, sort) if cursor else None
        hits: list[Hit] = []
        total = 0
        while True:
            size = min(limit - len(hits), _MAX_PAGE - 1)
            # One more than wanted tells whether there is a next page.
            answer = self.ask(
                **request_for(query, sort), size=size + 1, source=["mention", "state.copies"], track_total_hits=True,
                search_after=cast(Any, after),
            )  # fmt: skip
            total = answer["hits"]["total"]["value"]
            rows = answer["hits"]["hits"]
            page = rows[:size]
            hits += [hit_of(query, row["_source"]) for row in page]
            more = len(rows) > size
            if not more or not page:
                return Results(hits, total)
            after = page[-1]["sort"]
            if len(hits) >= limit:
                return Results(hits, total, write_cursor(sort, after))

    def scan(self, query: Node, *, sort: Sort) -> Iterator[ClassifiedMention]:
        """All results as they were at the beginning; each as it is when it is handed out.

        What is more than one batch is read from a point in time. One that expired, because the consumer took its time
        or the index was replaced meanwhile, is opened anew and goes on behind the last id.
        """
        request = {**request_for(query, sort), "source": False, "track_total_hits": False}
        keys = len(_ORDERS[sort])
        rows = self.ask(**request, size=_SCAN_BATCH)["hits"]["hits"]
        if len(rows) < _SCAN_BATCH:
            yield from self._mentions([row["sort"][keys - 1] for row in rows])
            return
        point = self._open()
        after: Key | None = None
        try:
            while True:
                try:
                    answer = self._batch(point, request, after)
                except NotThere:
                    point = self._open()
                    answer = self._batch(point, request, after)
                point = answer.get("pit_id") or point
                rows = answer["hits"]["hits"]
                if not rows:
                    return
                after = rows[-1]["sort"][:keys]
                yield from self._mentions([row["sort"][keys - 1] for row in rows])
                if len(rows) < _SCAN_BATCH:
                    return
        finally:
            self._close(point)

    def get(self, mention_id: str) -> Hit | None:
        """One mention, also when it was written a moment ago."""
        source = self._sources([mention_id])[0]
        if source is None:
            return None
        return Hit(parsed(source["mention"]), source["state"]["copies"])

    def places(self, query: Node, limit: int) -> list[tuple[str, str]]:
        """(source, key) of some documents that match."""
        answer = self.ask(
            query=compiled(query), size=limit, source=False, docvalue_fields=["source"], track_total_hits=False
        )
        return [(row["fields"]["source"][0], row["_id"]) for row in answer["hits"]["hits"]]

    def _mentions(self, ids: Sequence[str]) -> Iterator[ClassifiedMention]:
        for source in self._sources(ids) if ids else ():
            if source is not None:
                yield parsed(source["mention"])

    def _sources(self, ids: Sequence[str]) -> list[Mapping[str, Any] | None]:
        """What is stored under ids now, None for what is not there (any more)."""
        places = [(self._names.source_of(one), key_of(one)) for one in ids]
        found = read_documents(self._elastic, self._names, places, ["mention", "state.copies"])
        sources = [document.get("_source") or {} for document in found]
        return [source if "mention" in source else None for source in sources]

    def _open(self) -> str:
        answer = self._elastic.call(
            lambda client: client.open_point_in_time(
                index=self._names.everything, keep_alive=_KEEP_ALIVE, ignore_unavailable=True
            )
        )
        return str(answer["id"])

    def _batch(self, point: str, request: Mapping[str, Any], after: Key | None) -> Mapping[str, Any]:
        answer = self._elastic.call(
            lambda client: client.search(
                pit={"id": point, "keep_alive": _KEEP_ALIVE},
                size=_SCAN_BATCH,
                allow_partial_search_results=False,
                **request,
                search_after=cast(Any, after),
            )
        )
        found: Mapping[str, Any] = answer.body
        return found

    def _close(self, point: str) -> None:
        try:
            self._elastic.once(lambda client: client.close_point_in_time(id=point))
        except ShengwenError as error:  # it expires by itself
            logger.info("a point in time was left open: %s", error)


def read_documents(
    elastic: Elastic, names: Names, places: Sequence[tuple[str, str]], fields: Sequence[str]
) -> list[Mapping[str, Any]]:
    """Documents by (source, key), as they are this moment: ``_version`` and ``_source``, nothing of what is not there.

    Raises Retryable when a shard does not answer: what cannot be read is not the same as what is not there.
    """
    wanted = [{"_index": names.alias(source), "_id": key} for source, key in places]

    def read(client: Elasticsearch) -> list[Mapping[str, Any]]:
        answer = client.mget(
            docs=wanted, source=fields, filter_path="docs.found,docs._version,docs._source,docs.error.type"
        )
        documents: list[Mapping[str, Any]] = answer.body.get("docs") or []
        problems = {document["error"]["type"] for document in documents if "error" in document}
        if problems - {"index_not_found_exception"} or len(documents) != len(wanted):
            raise Retryable(f"Elasticsearch 暂时读不出部分内容，会自动再试（{sorted(problems)}）")
        return documents

    return elastic.call(read)


def request_for(query: Node, sort: Sort) -> dict[str, Any]:
    """The query and the order, as parts of a search request."""
    words: list[Word | Near] = list(dict.fromkeys(positive_words(query))) if sort == "relevance" else []
    return {
        "query": ranked(query, words) if words else compiled(query),
        "sort": _ORDERS[sort],
    }


def hit_of(query: Node, source: Mapping[str, Any], group_size: int = 1) -> Hit:
    """A stored document as a hit."""
    mention = parsed(source["mention"])
    return Hit(mention, source["state"]["copies"], highlights(query, mention), group_size)


def write_cursor(sort: Sort, key: Key) -> str:
    """An opaque, URL-safe mark of the last hit."""
    return base64.urlsafe_b64encode(orjson.dumps([_VERSION, sort, *key])).decode().rstrip("=")


def read_cursor(cursor: str, sort: Sort) -> Key:
    """Raises UserError for anything that :func:`write_cursor` did not write for the same sort."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, of_sort, *key = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error) as error:
        raise UserError(_INVALID) from error
    expected = len(_ORDERS[sort])
    if version != _VERSION or of_sort != sort or len(key) != expected or not isinstance(key[-1], str):
        raise UserError(_INVALID)
    if not all(map(_is_number, key[:-1])):
        raise UserError(_INVALID)
    found: Key = key
    return found


def _is_number(value: object) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and abs(value) < 2**63
    )
