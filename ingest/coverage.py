"""Coverage: what a crawl meant to get, what it got, and why not all of it. Quiet and dead are different things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import orjson
from pydantic import Field, ValidationError

from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import MAX_COUNT, Count, Frozen, Instant, poison_from

Status = Literal["complete", "partial", "stopped", "failed"]


class Coverage(Frozen):
    """One crawl of one query on one source. ``window`` is the event time meant to be covered, UTC.

    ``planned``: what the platform says there is, null where it does not say; ``got``: items read; ``new``: streamed
    for the first time or as a new revision; ``duplicate``: known and unchanged; ``dead``: parked. ``signal`` is the
    parser's last.
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
    status: Status
    signal: str = "ok"
    reason: str = ""
    started_at: Instant
    finished_at: Instant


def write_coverage(log: EventLog, records: Sequence[Coverage]) -> None:
    """Append to ``crawl.coverage``, keyed by source."""
    log.produce(Topics.COVERAGE, [Outgoing(r.source, orjson.dumps(r.model_dump(mode="json"))) for r in records])


def coverage_from_json(data: bytes) -> Coverage:
    """Raises Poison naming the field."""
    try:
        return Coverage.model_validate_json(data)
    except ValidationError as error:
        raise poison_from(error) from None
