"""Invented mentions and databases for the alert room's tests."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from ingest.analysis import Analysis, ClassifiedMention, Sentiment, TagOpinion, classified
from ingest.mention import Append, Author, Product, Raw, make_mention
from ingest.state import Base, make_engine

NOW = datetime(2026, 3, 4, 6, 0, tzinfo=UTC)  # a Wednesday, 14:00 in Beijing
_counter = itertools.count()


def database(folder: Path, name: str = "state.db") -> Engine:
    """A new SQLite file with all tables."""
    engine = hurried(make_engine(f"sqlite:///{folder / name}"))
    Base.metadata.create_all(engine)
    return engine


def hurried(engine: Engine) -> Engine:
    """Without waiting for the disk: no test pulls the plug."""
    if engine.dialect.name != "sqlite":
        return engine

    @event.listens_for(engine, "connect")
    def _fast(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    return engine


def mention(
    native: str | None = None,
    *,
    at: datetime = NOW,
    collected: datetime | None = None,
    captured: datetime | None = None,
    text: str | None = None,
    source: str = "jd",
    kind: str = "review",
    product: str | None = "K20",
    author: str | None = "",
    tags: Sequence[tuple[str, str]] = (("产品质量/漏水渗水", "negative"),),
    sentiment: str = "negative",
    intent: str = "complaint",
    flags: Sequence[str] = (),
    severity: float = 5.0,
    likes: int | None = None,
    region: str | None = "河北",
    appends: Sequence[tuple[str, datetime]] = (),
    parent_id: str | None = None,
) -> ClassifiedMention:
    """One classified mention; everything not said is invented, each with an author of its own."""
    number = next(_counter)
    collected = collected or captured or at + timedelta(minutes=2)
    raw = Raw(captured_at=collected, parser="test/1")
    made = make_mention(
        native_id=native or f"n{number}",
        source=source,
        kind=kind,
        raw=raw,
        text=text if text is not None else f"第{_words(number)}次用就出问题，{_words(number * 7 + 3)}，太失望了",
        created_at=at,
        product=Product(id=product, name=f"{product} 暖气片") if product else None,
        author=Author(key=f"a{number}" if author == "" else author),
        likes=likes,
        region=region,
        url=f"https://item.example/{number}",
        parent_id=parent_id,
        appends=tuple(Append(text=words, created_at=when) for words, when in appends),
    )
    label: Any = sentiment
    share = {"negative": (0.05, 0.05, 0.9), "neutral": (0.1, 0.8, 0.1), "positive": (0.9, 0.05, 0.05)}[sentiment]
    analysis = Analysis(
        sentiment=Sentiment(label=label, positive=share[0], neutral=share[1], negative=share[2]),
        intent=intent,  # type: ignore[arg-type]
        tags=tuple(TagOpinion(tag=t, sentiment=s, confidence=0.9) for t, s in tags),  # type: ignore[arg-type]
        flags=tuple(flags),  # type: ignore[arg-type]
        severity=severity,
        model="test/1",
    )
    return classified(made, analysis)


def _words(number: int) -> str:
    # Spread-out characters: two invented texts must not look like copies of one another.
    base = "接缝滴锈响冷裂歪薄旧皱翘松脆涩闷慢漏脏晚贵乱丢坏碎短偏堵沉烫"
    out = []
    value = number * 2654435761 % 2**32
    for _ in range(10):
        out.append(base[value % len(base)])
        value = value * 1103515245 + 12345 & 0x7FFFFFFF
    return "".join(out)


def praise(**given: Any) -> ClassifiedMention:
    """A mention that is content."""
    defaults: dict[str, Any] = {
        "sentiment": "positive", "intent": "other", "tags": (("使用体验/采暖效果", "positive"),), "severity": 0.0,
    }  # fmt: skip
    return mention(**{**defaults, **given})
