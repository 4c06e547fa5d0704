"""Builders of valid records for every room's tests: each argument may be left out, each may be overridden."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.analysis import Analysis, ClassifiedMention, Flag, Intent, Sentiment, SentimentLabel, TagOpinion, classified
from ingest.draft import Draft
from ingest.mention import Mention, Raw, make_mention

CAPTURED = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
"""When the factories' records were read: 09:00 on a Monday in Beijing, where ManualClock starts too."""

_ids = itertools.count(1)


def a_raw(*, captured_at: datetime = CAPTURED, parser: str = "test/1", **fields: Any) -> Raw:
    """Where a record was read."""
    return Raw(captured_at=captured_at, parser=parser, **fields)


def a_draft(**fields: Any) -> Draft:
    """What a parser read: a JD review of its own number unless told otherwise."""
    known: dict[str, Any] = {
        "source": "jd",
        "kind": "review",
        "native_id": str(next(_ids)),
        "created_at": CAPTURED - timedelta(hours=2),
        "text": "暖气片很热，安装师傅也细心",
    }
    return Draft(**(known | fields))


def a_mention(**fields: Any) -> Mention:
    """A valid mention: a JD review of its own number, captured at CAPTURED, written two hours before.

    ``native_id``, ``source``, ``kind``, ``captured_at`` and ``raw`` may be given beside the fields of Mention.
    """
    captured = fields.pop("captured_at", CAPTURED)
    known: dict[str, Any] = {
        "native_id": str(next(_ids)),
        "source": "jd",
        "kind": "review",
        "raw": fields.pop("raw", None) or a_raw(captured_at=captured),
        "created_at": captured - timedelta(hours=2),
        "text": "暖气片很热，安装师傅也细心",
    }
    return make_mention(**(known | fields))


def an_analysis(
    label: SentimentLabel = "neutral",
    *,
    intent: Intent = "other",
    tags: tuple[str | TagOpinion, ...] = (),
    flags: tuple[Flag, ...] = (),
    severity: float | None = None,
    severity_reason: str = "",
    model: str = "test/1",
) -> Analysis:
    """An analysis that decided on ``label``; tags given by name carry the same sentiment."""
    odds = {"positive": 0.1, "neutral": 0.1, "negative": 0.1} | {label: 0.8}
    return Analysis(
        sentiment=Sentiment(label=label, **odds),
        intent=intent,
        tags=tuple(
            tag if isinstance(tag, TagOpinion) else TagOpinion(tag=tag, sentiment=label, confidence=0.9) for tag in tags
        ),
        flags=flags,
        severity=(6.0 if label == "negative" else 0.0) if severity is None else severity,
        severity_reason=severity_reason,
        model=model,
    )


_ANALYSIS_FIELDS = ("intent", "tags", "flags", "severity", "severity_reason", "model")


def a_classified(
    label: SentimentLabel = "neutral", *, analysis: Analysis | None = None, **fields: Any
) -> ClassifiedMention:
    """A mention with its analysis; takes what :func:`a_mention` and :func:`an_analysis` take."""
    said = {name: fields.pop(name) for name in _ANALYSIS_FIELDS if name in fields}
    return classified(a_mention(**fields), analysis or an_analysis(label, **said))
