"""The classifier's contract."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ingest.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is classified: ``Mention.full_text``, and what is known beside it.

    ``default_review``: the platform filled it in (Mention.empty_text). ``rating`` 1-5 or null. ``likes`` for reach.
    """

    text: str
    rating: int | None = None
    default_review: bool = False
    likes: int | None = None


class Classifier(ABC):
    """Says what texts mean: deterministic, thread-safe, bounded in time and memory for any text whatever."""

    @property
    @abstractmethod
    def name(self) -> str:
        """name/version, written into every Analysis."""

    @abstractmethod
    def analyse(self, utterances: Sequence[Utterance]) -> list[Analysis]:
        """One Analysis for each utterance, in order. Never raises for a text; spans are offsets into ``text``."""
