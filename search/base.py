"""The index's contract. Every backend passes ``tests/contract/index_suite.py``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Literal, Self

from ingest.analysis import ClassifiedMention
from search.query import Node

Outcome = Literal["indexed", "revised", "duplicate", "empty"]
Sort = Literal["relevance", "newest", "oldest", "likes", "severity"]
Facet = Literal["source", "sentiment", "intent", "tag", "product", "region", "kind", "flag", "about", "matched"]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A classified mention as it comes off the log.

    ``origin`` is the position (topic, partition, offset) of the *collected* record it came from; within a partition
    origins come in rising order, and one at or below the highest already counted is a redelivery.
    ``replay`` is the id of the dead letter it was replayed from, if it was: then the order of origins says nothing.
    ``correction``: nothing was collected; a person judged anew what is stored (or took that back).
    """

    mention: ClassifiedMention
    origin: tuple[str, int, int] | None = None
    replay: str | None = None
    correction: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """``copies``: one, and one more for each ``duplicate`` of it.

    ``group_size``: how many results of the same query are of its group, itself among them; 1 unless the search merges.

    ``highlights``: [start, end) character ranges of the matched words, in order and free of overlaps, by field
    ("title", "text", "appends.0", ...).
    """

    mention: ClassifiedMention
    copies: int = 1
    highlights: Mapping[str, Sequence[tuple[int, int]]] = field(default_factory=dict)
    group_size: int = 1


@dataclass(frozen=True, slots=True)
class Results:
    """``total`` is exact. ``cursor`` fetches the next page, null at the end.

    ``groups``, where the search merges: how many hits all pages have together, exactly; a mention that is in no group
    counts as one of its own. ``total`` counts mentions all the same.
    """

    hits: Sequence[Hit]
    total: int
    cursor: str | None = None
    groups: int | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything beside the hits, for one query: exact counts. What a mention does not have is in no facet.

    The facet ``product`` is by label (:func:`search.memory.product_label`), which ``product:="…"`` selects.
    ``facets``: facet -> value -> mentions, most first. ``by_day``: ISO date in Beijing -> sentiment -> mentions.
    """

    total: int
    facets: Mapping[Facet, Mapping[str, int]]
    by_day: Mapping[str, Mapping[str, int]]


class Index(ABC):
    """Searchable mentions.

    A query word matches when the text contains it (NFKC, lower case, white space folded), with recall and precision
    1.0 against a plain scan; see :mod:`search.query`. All methods may raise Retryable.
    """

    @abstractmethod
    def apply(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        """Upsert a batch; on return it is durable and searchable. Deliver twice, in any order: the same index.

        A mention whose ``revision.number`` is not higher than the stored one's never replaces it. Of all revisions'
        times the finest stays (:mod:`ingest.precision`), whichever brings the words. ``empty``: nothing
        to index (``has_content`` is false). ``duplicate``: same id and same content again (or an older revision);
        ``copies`` of the stored one grows by one. ``revised``: a newer revision replaced an older one.
        Counts (:meth:`counts`) move only for deliveries that are no redelivery, atomically with the documents; the
        outcome of a redelivery is ``duplicate``. A redelivery never brings back a mention that was erased.
        A correction replaces the analysis, and nothing else, of whatever revision is stored, if that has the same
        ``full_text``; it moves no counts. Corrections of one mention must come in the order in which they were made:
        the last one holds. Its outcome is ``revised``, or ``duplicate`` when it changed nothing.
        Raises Poison, with nothing of the batch applied, for a mention that cannot be stored.
        """

    @abstractmethod
    def search(
        self,
        query: Node,
        *,
        sort: Sort = "newest",
        limit: int = 20,
        cursor: str | None = None,
        merge: bool = False,
    ) -> Results:
        """One page of results. Ties are broken by a fixed order, so pages neither overlap nor leave gaps.

        ``merge`` shows of every group (:attr:`ClassifiedMention.group`) one hit: the one that, of those that match,
        comes first in the order asked for. So a group whose founder does not match is shown all the same.

        ``relevance`` is :func:`search.memory.relevance`, then newest; ``likes`` and ``severity`` then newest.
        Raises UserError for a cursor that is not of this index and sort.
        """

    @abstractmethod
    def scan(self, query: Node, *, sort: Sort = "newest") -> Iterator[ClassifiedMention]:
        """All results, one by one; memory grows by a few bytes a result. A mention erased meanwhile is left out."""

    @abstractmethod
    def summary(self, query: Node, *, top: int = 20) -> Summary:
        """Facets and the histogram of a query."""

    @abstractmethod
    def histogram(
        self, query: Node, *, since: datetime, until: datetime, step: timedelta
    ) -> Mapping[str, Sequence[int]]:
        """Matches over time by source: how many were created in each ``step`` from ``since`` on, up to ``until``.

        Exact. Every list has one number a step (the last step may be cut short); sources without any are left out.
        """

    @abstractmethod
    def get(self, mention_id: str) -> Hit | None:
        """One mention."""

    @abstractmethod
    def delete_by_author(self, author_key: str) -> int:
        """Erase an author's mentions; how many. They count as ``erased``."""

    @abstractmethod
    def delete_before(self, source: str, before: datetime) -> int:
        """Erase a source's mentions created before ``before`` (retention); how many. They count as ``erased``."""

    @abstractmethod
    def counts(self, source: str | None = None) -> Mapping[str, int]:
        """How often each outcome came, exactly, redeliveries aside: ``indexed``, ``revised``, ``duplicate``, ``empty``.

        ``erased``: mentions erased. ``documents``: mentions stored now, counted where they are stored; so
        ``documents == indexed - erased`` unless something was lost. Of one source, or of all.
        """

    @abstractmethod
    def close(self) -> None:
        """Release everything; idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
