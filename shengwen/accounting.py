"""In = indexed + empty + duplicates + dead letters: the sum that proves nothing was lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.dead_letters import COLLECT
from ingest.log.base import Topics
from shengwen.stages import CLASSIFY, INDEX

if TYPE_CHECKING:
    from shengwen.rooms import Rooms


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of everything that was ever collected.

    ``duplicates`` told of a mention that was indexed already: the same again, or a newer revision of it.
    ``dead_letters`` are those that stand for something collected; what only the alerts could not read is in the index.
    ``pending`` is still on its way; ``documents`` are in the index now, ``erased`` were and are no more.
    """

    collected: int
    indexed: int
    empty: int
    duplicates: int
    dead_letters: int
    pending: int
    documents: int
    erased: int

    @property
    def accounted(self) -> int:
        """Collected items whose end is known."""
        return self.indexed + self.empty + self.duplicates + self.dead_letters

    @property
    def adds_up(self) -> bool:
        """Nothing lost, nothing twice: what is missing from the sum is exactly on its way."""
        missing = self.collected - self.accounted
        moving = 0 <= missing <= self.pending if self.pending else missing == 0
        return moving and self.documents == self.indexed - self.erased


def count(rooms: Rooms) -> Counts:
    """Count from the stores themselves. While stages run, ``pending`` is read first, so it can only be too high."""
    pending = rooms.log.lag(Topics.COLLECTED, CLASSIFY) + rooms.log.lag(Topics.CLASSIFIED, INDEX)
    letters = rooms.letters.tallies()
    streamed = sum(rooms.log.end_offsets(Topics.COLLECTED).values())
    index = rooms.index.counts()
    parked = letters[CLASSIFY]
    return Counts(
        # What went back from classifying was counted when it was first collected; what was given up is not missed.
        collected=streamed + letters[COLLECT].open - parked.returned - parked.dropped - letters[INDEX].dropped,
        indexed=index["indexed"],
        empty=index["empty"],
        duplicates=index["duplicate"] + index["revised"],
        dead_letters=sum(letters[stage].open for stage in (COLLECT, CLASSIFY, INDEX)),
        pending=pending,
        documents=index["documents"],
        erased=index["erased"],
    )
