"""Fill rates: of the records that an endpoint gave, how many have each field. Pure counting, no judgement.

A field that a platform renamed or stopped sending does not break a parser, it only comes back empty. Its share of
records falls from one run to the next: ``alerts/drift.py`` compares.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from crawlers.payload import Page
from ingest.coverage import Fill
from ingest.draft import Draft

FIELDS: Final[Mapping[str, Callable[[Draft], bool]]] = {
    "text": lambda draft: bool(draft.text),
    "title": lambda draft: bool(draft.title),
    "time": lambda draft: draft.created_at is not None,
    "clock": lambda draft: draft.created_at is not None and draft.created_precision in ("second", "minute"),
    "author": lambda draft: draft.author_id is not None,
    "region": lambda draft: draft.region is not None,
    "rating": lambda draft: draft.rating is not None,
    "product": lambda draft: draft.product is not None and draft.product.id is not None,
    "spec": lambda draft: draft.product is not None and draft.product.spec is not None,
    "parent": lambda draft: draft.parent_native is not None,
    "likes": lambda draft: draft.likes is not None,
    "replies": lambda draft: draft.replies is not None,
    "shares": lambda draft: draft.shares is not None,
    "views": lambda draft: draft.views is not None,
    "append": lambda draft: bool(draft.appends),
    "seller_reply": lambda draft: draft.seller_reply is not None,
    "media": lambda draft: bool(draft.media),
}
"""Name → whether a record has it. ``clock``: its time is known to the minute at least."""


def fill_of(page: Page) -> Fill | None:
    """One page's counts; None for a page without any record, readable or not.

    What the whole page lacks (:attr:`crawlers.payload.Page.missing`) is lacked by each of its records.
    """
    if not page.mentions and not page.problems:
        return None
    records = len(page.mentions)
    return Fill(
        endpoint=page.endpoint,
        records=records,
        broken=page.broken,
        fields={name: sum(map(has, page.mentions)) for name, has in FIELDS.items()} if records else {},
        lacking=dict.fromkeys(page.missing, records) if records else {},
    )


@dataclass(slots=True)
class FillTally:
    """The counts of several pages, by endpoint."""

    _by_endpoint: dict[str, Fill] = field(default_factory=dict)

    def add(self, page: Page) -> None:
        fill = fill_of(page)
        if fill is not None:
            before = self._by_endpoint.get(fill.endpoint)
            self._by_endpoint[fill.endpoint] = fill if before is None else _sum(before, fill)

    def fills(self) -> tuple[Fill, ...]:
        """By name of the endpoint."""
        return tuple(fill for _, fill in sorted(self._by_endpoint.items()))


def _sum(one: Fill, other: Fill) -> Fill:
    return Fill(
        endpoint=one.endpoint,
        records=one.records + other.records,
        broken=one.broken + other.broken,
        fields=_added(one.fields, other.fields),
        lacking=_added(one.lacking, other.lacking),
    )


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
