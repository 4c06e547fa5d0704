"""Coverage: what a crawl meant to get, what it got, and why not all of it. Quiet and dead are different things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from ingest.headers import stamped
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import MAX_COUNT, Count, Frozen, Instant, poison_from

Status = Literal["complete", "partial", "stopped", "failed"]

MAX_CUT_OFF: Final = 20
"""Parts of a search that one record names at most."""


class Fill(Frozen):
    """What the records of one endpoint had in one crawl: counts, so that those of several crawls can be added.

    ``records`` could be read, ``broken`` could not. ``fields``: field -> records that have it. ``lacking``: JSON path
    -> records of pages that lacked it although the endpoint promises it.
    """

    endpoint: str = Field(max_length=80)
    records: int = Field(ge=0, le=MAX_COUNT)
    broken: int = Field(default=0, ge=0, le=MAX_COUNT)
    fields: dict[str, int] = Field(default_factory=dict)
    lacking: dict[str, int] = Field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """Field or path -> share of the records that have it, 0-1; ``record`` is the share that could be read."""
        if not self.records:
            return {"record": 0.0} if self.broken else {}
        found = {name: count / self.records for name, count in self.fields.items()}
        found |= {path: 1 - count / self.records for path, count in self.lacking.items()}
        return found | {"record": self.records / (self.records + self.broken)}


class Coverage(Frozen):
    """One crawl of one query on one source. ``window`` is the event time meant to be covered, UTC.

    ``planned``: what the platform says there is, null where it does not say; ``got``: items read; ``new``: streamed
    for the first time or as a new revision; ``duplicate``: known and unchanged; ``dead``: parked. ``signal`` is the
    parser's last. ``unreached``: items that the platform counts and shows in no list, however it is sorted or
    filtered; they are not planned. ``cut_off``: parts of a search that stayed cut off, in the words of its filters,
    where the platform counts nothing. ``fill`` counts what the records had, where a parser read them. Older records
    have none of these.
    """

    source: str
    query: str
    window: tuple[Instant | None, Instant | None] = (None, None)
    planned: Count = None
    got: int = Field(default=0, ge=0, le=MAX_COUNT)
    new: int = Field(default=0, ge=0, le=MAX_COUNT)
    duplicate: int = Field(default=0, ge=0, le=MAX_COUNT)
    dead: int = Field(default=0, ge=0, le=MAX_COUNT)
    pages: int = Field(default=0, ge=0, le=MAX_COUNT)
    unreached: int = Field(default=0, ge=0, le=MAX_COUNT)
    cut_off: tuple[Annotated[str, Field(max_length=100)], ...] = Field(default=(), max_length=MAX_CUT_OFF)
    status: Status
    signal: str = "ok"
    reason: str = ""
    started_at: Instant
    finished_at: Instant
    fill: tuple[Fill, ...] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without counts a record is written as before, for readers that do not know them."""
        values: dict[str, Any] = handler(self)
        for name in ("fill", "unreached", "cut_off"):
            if not values.get(name):
                values.pop(name, None)
        return values


def write_coverage(log: EventLog, records: Sequence[Coverage]) -> None:
    """Append to ``crawl.coverage``, keyed by source."""
    log.produce(
        Topics.COVERAGE, [Outgoing(r.source, orjson.dumps(r.model_dump(mode="json")), stamped()) for r in records]
    )


def coverage_from_json(data: bytes) -> Coverage:
    """Raises Poison naming the field."""
    try:
        return Coverage.model_validate_json(data)
    except ValidationError as error:
        raise poison_from(error) from None
