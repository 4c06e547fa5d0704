"""Cutting a list of texts into stretches of bounded size, so that memory does not grow with what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from classify.base import Utterance
from classify.reading import MAX_READ

CHARACTERS = 16_000


def batches(utterances: Sequence[Utterance], most: int = CHARACTERS) -> Iterator[Sequence[Utterance]]:
    """Stretches of at most ``most`` characters, or of one text."""
    start = characters = 0
    for number, utterance in enumerate(utterances):
        length = min(len(utterance.text), MAX_READ)
        if number > start and characters + length > most:
            yield utterances[start:number]
            start, characters = number, 0
        characters += length
    if start < len(utterances):
        yield utterances[start:]
