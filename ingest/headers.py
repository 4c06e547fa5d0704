"""Headers that every record of a mention carries, on either log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from uuid import uuid4

from ingest.log.base import Record

SCHEMA: Final = "1"
"""The version of the JSON in records' values."""


def stamped(more: Mapping[str, str] | None = None, *, after: Record | None = None) -> dict[str, str]:
    """``schema``, ``trace`` and ``more``. The trace id follows a mention through the topics: it is that of the record
    ``after`` which this one is written, or a new one."""
    trace = after.headers.get("trace") if after is not None else None
    return {"schema": SCHEMA, "trace": trace or uuid4().hex[:16], **(more or {})}


__all__ = ["SCHEMA", "stamped"]
