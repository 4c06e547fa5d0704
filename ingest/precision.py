"""Which of two times of one mention is kept: what is known precisely is never overwritten by what is known roughly.

A platform shows the same item's time to the second in one list and as "2个月前" in another, or not at all; a newer
revision read from the rougher list brings its words, not its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from ingest.mention import Mention, Precision

_ROUGHNESS: Final[dict[Precision, int]] = {"second": 0, "minute": 1, "hour": 2, "day": 3, "month": 4}

M = TypeVar("M", bound=Mention)


@dataclass(frozen=True, slots=True)
class When:
    """An event time and how precisely it is known."""

    at: datetime
    precision: Precision


def when_of(mention: Mention) -> When:
    """When it was said."""
    return When(mention.created_at, mention.created_precision)


def kept(source: str, newer: When, older: When) -> When:
    """Of the times of a newer and an older revision: the finer one.

    Of two equally fine ones the newer, as the platform may have put it right. But rough times that were reckoned from
    the capture ("3天前", nothing at all) only drift later: of those the earlier. An export's days are written in it, so
    a newer one is a correction; its months are mostly no date at all.
    """
    if newer.precision != older.precision:
        return min(newer, older, key=lambda when: _ROUGHNESS[when.precision])
    reckoned: Precision = "month" if source.startswith("import:") else "hour"
    if _ROUGHNESS[newer.precision] < _ROUGHNESS[reckoned]:
        return newer
    return min(newer, older, key=lambda when: when.at)


def dated(newer: M, older: Mention) -> M:
    """The newer revision with the time that is kept."""
    return at(newer, kept(newer.source, when_of(newer), when_of(older)))


def at(mention: M, when: When) -> M:
    """The mention with this time; itself where it has it."""
    if when == when_of(mention):
        return mention
    return mention.model_copy(update={"created_at": when.at, "created_precision": when.precision})


__all__ = ["When", "at", "dated", "kept", "when_of"]
