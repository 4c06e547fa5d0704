"""Forgetting an author, for good: also what is still in the log must not come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from ingest.log.base import EventLog, Topics
from ingest.mention import Mention

if TYPE_CHECKING:
    from shengwen.rooms import Rooms

M = TypeVar("M", bound=Mention)


def forget(rooms: Rooms, author_key: str) -> int:
    """Erase an author's mentions from the index, the alerts, the tickets' evidence, the corrections and the
    fingerprints of texts; how many were in the index.

    What was collected until now and is still on its way, or is read again from the log, comes to nothing on arrival.
    """
    from alerts.erase import forget_author

    now = rooms.clock.now().isoformat()
    rooms.log.produce(Topics.COLLECTED, [], checkpoint=(_name(author_key), now))
    removed = rooms.index.delete_by_author(author_key)
    forget_author(rooms.engine, author_key)
    rooms.corrections.erase(author_key)
    rooms.copies.erase(author_key)
    return removed


def forgotten(log: EventLog, mentions: Sequence[M]) -> list[M]:
    """Those that were collected before their author was forgotten."""
    keys = {mention.author.key for mention in mentions if mention.author.key is not None}
    found = log.checkpoints([_name(key) for key in keys])
    told = {key: found[_name(key)] for key in keys if _name(key) in found}
    return [
        m for m in mentions if m.author.key in told and m.collected_at <= datetime.fromisoformat(told[m.author.key])
    ]


def _name(author_key: str) -> str:
    return f"forgotten:{author_key}"


__all__ = ["forget", "forgotten"]
