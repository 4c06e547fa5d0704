"""What people said against the classifier: corrections, kept in the state database.

A correction holds for the words that it was made for: where an author has since edited or appended, the classifier's
own word stands again (a 追评 may tell of a new problem), and the correction remains as an example.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    Engine,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    delete,
    select,
)
from sqlalchemy.orm import Mapped, mapped_column

from classify.base import Utterance
from ingest.analysis import Analysis, ClassifiedMention, Sentiment, SentimentLabel, TagOpinion, classified
from ingest.clock import Clock
from ingest.mention import Mention
from ingest.state import Base, UtcDateTime, insert_into, reading, state_errors

CORRECTED = "+corrected"
"""Stands behind the model's name in an analysis that a person corrected."""
_CHUNK = 500
_LONGEST_KEY = 200


class CorrectionRow(Base):
    """One live correction. ``text`` is the masked ``full_text`` that was judged; ``author_key`` is kept for erasure,
    ``source`` and ``created_at`` (the mention's) for retention. ``tags`` and ``before`` are JSON, the latter the whole
    analysis that was corrected."""

    __tablename__ = "corrections"
    __table_args__ = (Index(None, "source", "created_at"),)

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    mention_id: Mapped[str] = mapped_column(String(300), unique=True)
    source: Mapped[str] = mapped_column(String(80))
    author_key: Mapped[str | None] = mapped_column(String(_LONGEST_KEY), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    text: Mapped[str] = mapped_column(Text)
    rating: Mapped[int | None] = mapped_column(Integer)
    default_review: Mapped[bool] = mapped_column(Boolean)
    sentiment: Mapped[str | None] = mapped_column(String(10))
    tags: Mapped[str | None] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    made_by: Mapped[str] = mapped_column(String(80))


@dataclass(frozen=True, slots=True)
class Correction:
    """One mention's correction.

    ``sentiment`` is null when only tags were corrected; ``tags`` is the complete corrected list, null when only the
    sentiment was. ``before`` is the analysis that was corrected. Instants are UTC.
    """

    mention_id: str
    source: str
    text: str
    rating: int | None
    default_review: bool
    sentiment: SentimentLabel | None
    tags: tuple[TagOpinion, ...] | None
    before: Analysis
    made_at: datetime
    made_by: str

    def fits(self, mention: Mention) -> bool:
        """Whether the mention still says what was judged."""
        return mention.id == self.mention_id and mention.full_text == self.text

    def apply(self, analysis: Analysis) -> Analysis:
        """The analysis as corrected; what the person said nothing of stays. Twice is once.

        One that carries an earlier, other correction is put back to ``before`` first. Severity is of blame: where no
        blame is left, and no danger, there is none.
        """
        if analysis.model.endswith(CORRECTED):
            if self._is_in(analysis):
                return analysis
            analysis = self.before
        tags = analysis.tags if self.tags is None else self.tags
        sentiment = analysis.sentiment if self.sentiment is None else _certain(self.sentiment)
        blamed = sentiment.label == "negative" or any(tag.sentiment == "negative" for tag in tags)
        calm = not blamed and "safety" not in analysis.flags
        return analysis.model_copy(
            update={
                "sentiment": sentiment,
                "tags": tags,
                "flags": tuple(flag for flag in analysis.flags if flag != "unsure"),
                "severity": 0.0 if calm else analysis.severity,
                "severity_reason": "" if calm else analysis.severity_reason,
                "model": analysis.model + CORRECTED,
            }
        )

    def _is_in(self, analysis: Analysis) -> bool:
        return self.sentiment in (None, analysis.sentiment.label) and self.tags in (None, analysis.tags)

    @property
    def wanted(self) -> Analysis:
        """What is right: the corrected analysis with everything that the person left standing."""
        return self.apply(self.before)

    @property
    def utterance(self) -> Utterance:
        """What a classifier is asked. Likes are not kept: they weigh in severity only."""
        return Utterance(self.text, self.rating, self.default_review)

    def to_json(self) -> bytes:
        """UTF-8 JSON, one line; without the author's key."""
        return orjson.dumps(
            {
                "mention_id": self.mention_id,
                "source": self.source,
                "text": self.text,
                "rating": self.rating,
                "default_review": self.default_review,
                "sentiment": self.sentiment,
                "tags": None if self.tags is None else [_plain(tag) for tag in self.tags],
                "before": {
                    "model": self.before.model,
                    "sentiment": self.before.sentiment.label,
                    "tags": [_plain(tag) for tag in self.before.tags],
                },
                "made_at": self.made_at,
                "made_by": self.made_by,
            }
        )


class Corrections:
    """The store. Thread-safe; raises what :func:`ingest.state.mapped` says."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def put(
        self,
        mention: ClassifiedMention,
        *,
        sentiment: SentimentLabel | None,
        tags: Sequence[TagOpinion] | None,
        by: str,
    ) -> Correction:
        """Store what a person says of a mention; it replaces what was said of it before.

        ``mention`` carries the analysis that the person saw. Of a mention that is already corrected the analysis of
        the classifier stays the one that is corrected.
        """
        known = self.get([mention.id]).get(mention.id)
        before = known.before if known is not None and known.fits(mention) else mention.analysis
        text = mention.full_text
        made = Correction(
            mention_id=mention.id,
            source=mention.source,
            text=text,
            rating=mention.rating,
            default_review=mention.empty_text and not text,
            sentiment=sentiment,
            tags=None if tags is None else tuple(tag.model_copy(update={"confidence": 1.0}) for tag in tags),
            before=before,
            made_at=self._clock.now(),
            made_by=by[:80],
        )
        row = {
            "mention_id": made.mention_id,
            "source": made.source,
            "author_key": None if mention.author.key is None else mention.author.key[:_LONGEST_KEY],
            "created_at": mention.created_at,
            "text": made.text,
            "rating": made.rating,
            "default_review": made.default_review,
            "sentiment": made.sentiment,
            "tags": None if made.tags is None else orjson.dumps([_plain(tag) for tag in made.tags]).decode(),
            "before": made.before.to_json().decode(),
            "made_at": made.made_at,
            "made_by": made.made_by,
        }
        with state_errors(), self._engine.begin() as connection:
            insert = insert_into(connection, _table())
            again = {name: insert.excluded[name] for name in row if name != "mention_id"}
            connection.execute(insert.on_conflict_do_update(index_elements=["mention_id"], set_=again), row)
        return made

    def remove(self, mention_id: str) -> Correction | None:
        """Take a correction back; the one that was there, or None."""
        known = self.get([mention_id]).get(mention_id)
        self._delete(_table().c.mention_id == mention_id)
        return known

    def get(self, mention_ids: Collection[str]) -> dict[str, Correction]:
        """The corrections of those mentions that have one, by mention id."""
        ids = list(mention_ids)
        found: dict[str, Correction] = {}
        with reading(self._engine) as connection:
            for start in range(0, len(ids), _CHUNK):
                some = select(_table()).where(_table().c.mention_id.in_(ids[start : start + _CHUNK]))
                found.update((row.mention_id, _read(row)) for row in connection.execute(some))
        return found

    def all(self) -> list[Correction]:
        """Every correction, oldest first."""
        table = _table()
        with reading(self._engine) as connection:
            return [_read(row) for row in connection.execute(select(table).order_by(table.c.made_at, table.c.id))]

    def applied(self, mentions: Sequence[ClassifiedMention]) -> list[ClassifiedMention]:
        """The mentions, in order, with the corrections that fit them: one indexed look-up."""
        known = self.get({mention.id for mention in mentions}) if mentions else {}
        return [
            classified(mention, known[mention.id].apply(mention.analysis))
            if mention.id in known and known[mention.id].fits(mention)
            else mention
            for mention in mentions
        ]

    def erase(self, author_key: str) -> int:
        """Erase what was stored of an author's mentions; how many."""
        return self._delete(_table().c.author_key == author_key[:_LONGEST_KEY])

    def delete_before(self, source: str, before: datetime) -> int:
        """Erase what was stored of a source's mentions created before ``before`` (retention); how many."""
        return self._delete((_table().c.source == source) & (_table().c.created_at < before))

    def _delete(self, which: ColumnElement[bool]) -> int:
        with state_errors(), self._engine.begin() as connection:
            return connection.execute(delete(_table()).where(which)).rowcount


def _certain(label: SentimentLabel) -> Sentiment:
    return Sentiment(**({"positive": 0.0, "neutral": 0.0, "negative": 0.0} | {label: 1.0}), label=label)


def _plain(tag: TagOpinion) -> dict[str, Any]:
    return {"tag": tag.tag, "sentiment": tag.sentiment, "span": tag.span}


def _read(row: Row[Any]) -> Correction:
    tags = None if row.tags is None else tuple(TagOpinion(**tag, confidence=1.0) for tag in orjson.loads(row.tags))
    return Correction(
        mention_id=row.mention_id,
        source=row.source,
        text=row.text,
        rating=row.rating,
        default_review=row.default_review,
        sentiment=cast(SentimentLabel | None, row.sentiment),
        tags=tags,
        before=Analysis.model_validate_json(row.before),
        made_at=row.made_at,
        made_by=row.made_by,
    )


def _table() -> Table:
    return cast(Table, CorrectionRow.__table__)
