"""What the classifier says of a mention, and the classified mention. Names are the contract with search and alerts."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from pydantic import Field, ValidationError

from ingest.errors import Poison
from ingest.mention import MAX_COUNT, Frozen, Mention, Word, poison_from

SentimentLabel = Literal["negative", "neutral", "positive"]
Intent = Literal["complaint", "suggestion", "question", "praise", "other"]
Flag = Literal["empty", "default_review", "advertisement", "template", "off_topic", "sarcasm", "safety", "unsure"]
Likeness = Literal["exact", "near", "template"]
"""Of a text to its group's first: the same words; much the same; the same but for numbers in it."""
Position = Annotated[int, Field(ge=0, le=MAX_COUNT)]


class Sentiment(Frozen):
    """Probabilities sum to 1 (to rounding); ``label`` is the decision, which need not be the largest when unsure."""

    label: SentimentLabel
    positive: float = Field(ge=0, le=1)
    neutral: float = Field(ge=0, le=1)
    negative: float = Field(ge=0, le=1)


class TagOpinion(Frozen):
    """One tag of the taxonomy, with the sentiment of the words it rests on.

    ``tag`` is ``组/标签``; ``span`` is [start, end) in characters of ``Mention.full_text``, null when it rests
    on the whole.
    """

    tag: str
    sentiment: SentimentLabel
    confidence: float = Field(ge=0, le=1)
    span: tuple[Position, Position] | None = None


class Analysis(Frozen):
    """One mention's analysis. ``severity`` 0-10; ``model`` is name/version of what answered."""

    sentiment: Sentiment
    intent: Intent
    tags: tuple[TagOpinion, ...] = ()
    flags: tuple[Flag, ...] = ()
    severity: float = Field(ge=0, le=10)
    severity_reason: str = ""
    model: str

    def to_json(self) -> bytes:
        return orjson.dumps(self.model_dump(mode="json"))


class ClassifiedMention(Mention):
    """A mention with its analysis: what ``mentions.classified`` carries and the index stores.

    ``group``: the mention that first said the same, by id (its own id if it was the first); null for what is too short
    to be a copy, and in records of older versions. ``likeness`` to that first one, null for itself. See
    :mod:`ingest.copies`.
    """

    analysis: Analysis
    group: Word | None = Field(default=None, max_length=340)
    likeness: Likeness | None = None


def classified(mention: Mention, analysis: Analysis) -> ClassifiedMention:
    """Join the two without validating the mention again; an analysis that it already has is replaced."""
    return ClassifiedMention.model_construct(
        _fields_set=mention.model_fields_set | {"analysis"}, **(dict(mention) | {"analysis": analysis})
    )


def classified_from_json(data: bytes) -> ClassifiedMention:
    """Read a classified mention from the wire. Raises Poison naming the field."""
    try:
        return ClassifiedMention.model_validate_json(data)
    except ValidationError as error:
        raise poison_from(error) from None


__all__ = [
    "Analysis",
    "ClassifiedMention",
    "Flag",
    "Intent",
    "Likeness",
    "Poison",
    "Sentiment",
    "SentimentLabel",
    "TagOpinion",
    "classified",
    "classified_from_json",
]
