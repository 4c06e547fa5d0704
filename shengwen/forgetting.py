"""Forgetting an author, for good: also what is still in the log must not come back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from ingest.log.base import EventLog, Topics
from ingest.mention import Mention

if TYPE_CHECKING:
    from shengwen.rooms import Rooms


def forget(rooms: Rooms, author_key: str) -> int:
    """Erase an author's mentions from the index, the alerts and the tickets' evidence; how many were in the index.

    What was collected until now and is still on its way, or is read again from the log, is erased when it arrives.
    """
    from alerts.erase import forget_author

    now = rooms.clock.now().isoformat()
    rooms.log.produce(Topics.COLLECTED, [], checkpoint=(_name(author_key), now))
    removed = rooms.index.delete_by_author(author_key)
    forget_author(rooms.engine, author_key)
    return removed


def forgotten(log: EventLog, mentions: Iterable[Mention]) -> set[str]:
    """Keys of those authors who were forgotten after one of these mentions was collected."""
    oldest: dict[str, datetime] = {}
    for mention in mentions:
        key = mention.author.key
        if key is not None:
            oldest[key] = min(mention.collected_at, oldest.get(key, mention.collected_at))
    found = {key: log.checkpoint(_name(key)) for key in oldest}
    return {key for key, at in found.items() if at is not None and oldest[key] <= datetime.fromisoformat(at)}


def _name(author_key: str) -> str:
    return f"forgotten:{author_key}"


__all__ = ["forget", "forgotten"]
