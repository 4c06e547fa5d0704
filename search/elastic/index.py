"""The index on Elasticsearch 8 or 9."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from ingest.analysis import ClassifiedMention
from ingest.clock import Clock
from ingest.errors import ShengwenError
from search.ast import And, Is, Node, Until
from search.base import Delivery, Hit, Index, Outcome, Results, Sort, Summary
from search.elastic import counting
from search.elastic.client import Elastic
from search.elastic.compiler import compiled
from search.elastic.config import ElasticSettings
from search.elastic.indices import Indices
from search.elastic.mapping import Names
from search.elastic.merging import search_merged
from search.elastic.reader import Reader
from search.elastic.reindex import Copied, Told, reindex
from search.elastic.writer import Writer
from search.memory import matches

logger = logging.getLogger(__name__)

_ERASE_BATCH: Final = 1_000


class ElasticIndex(Index):
    """One installation's index. Any number of threads, processes and machines may read and write at once.

    Nothing is asked of the server before the first use; a server that is just starting is waited for. What
    :meth:`apply` acknowledged is in the servers' transaction logs, on disk. Raises Retryable when the server does not
    answer, or wants to be left alone, for longer than ``patience``; ConfigError for a refused login, a certificate that
    does not hold, a server that is too old, an index of another mapping version; Poison as :class:`Writer` says.
    """

    def __init__(self, settings: ElasticSettings, clock: Clock, *, seed: int | None = None) -> None:
        self.names = Names(settings.prefix)
        self.elastic = Elastic(settings, clock, seed=seed)
        self.indices = Indices(self.elastic, self.names, settings)
        self._reader = Reader(self.elastic, self.names)
        self._writer = Writer(self.elastic, self.names, self.indices, settings.bulk_bytes)

    def apply(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        self.indices.ready()
        return self._writer.apply(deliveries) if deliveries else []

    def search(
        self,
        query: Node,
        *,
        sort: Sort = "newest",
        limit: int = 20,
        cursor: str | None = None,
        merge: bool = False,
    ) -> Results:
        self.indices.ready()
        if merge:
            return search_merged(self._reader.ask, query, sort=sort, limit=limit, cursor=cursor)
        return self._reader.search(query, sort=sort, limit=limit, cursor=cursor)

    def scan(self, query: Node, *, sort: Sort = "newest") -> Iterator[ClassifiedMention]:
        self.indices.ready()
        return self._reader.scan(query, sort=sort)

    def summary(self, query: Node, *, top: int = 20) -> Summary:
        self.indices.ready()
        return counting.summary(self._reader.ask, compiled(query), top)

    def histogram(
        self, query: Node, *, since: datetime, until: datetime, step: timedelta
    ) -> Mapping[str, Sequence[int]]:
        self.indices.ready()
        return counting.histogram(self._reader.ask, compiled(query), since=since, until=until, step=step)

    def get(self, mention_id: str) -> Hit | None:
        self.indices.ready()
        return self._reader.get(mention_id)

    def delete_by_author(self, author_key: str) -> int:
        return self._erase(Is("author", author_key))

    def delete_before(self, source: str, before: datetime) -> int:
        return self._erase(And((Is("source", source), Until(before))))

    def counts(self, source: str | None = None) -> Mapping[str, int]:
        self.indices.ready()
        return counting.tallies(self._reader.ask, source)

    def reindex(self, *, told: Told, restart: bool = False) -> Sequence[Copied]:
        """New physical indices with this program's mapping and the shards of the settings; writes may go on."""
        return reindex(self.elastic, self.names, self.indices, told=told, restart=restart)

    def drop(self) -> int:
        """Delete every index of this installation, the accounting with it; how many there were."""
        return self.indices.drop()

    def describe(self) -> str:
        """The server and the indices, for people. Raises what a first use raises."""
        self.indices.ready()
        version = ".".join(map(str, self.elastic.version()))
        return f"Elasticsearch {version}，{len(self.indices.aliases())} 个索引"

    def close(self) -> None:
        self.elastic.close()

    def _erase(self, query: Node) -> int:
        self.indices.ready()
        wanted: Callable[[ClassifiedMention], bool] = lambda mention: matches(query, mention)  # noqa: E731
        erased = 0
        while places := self._reader.places(query, _ERASE_BATCH):
            erased += self._writer.erase(places, wanted)
        if erased:
            self._expunge()
        return erased

    def _expunge(self) -> None:
        try:
            self.indices.expunge()
        except ShengwenError as error:  # they are erased; the merges to come will do the rest
            logger.warning("erased text stays on the disk until the next merge: %s", error)
