"""The consuming step: what alerting keeps of each classified mention, counted once however often it is delivered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, Engine, delete, select

from alerts.aggregates import Delta, apply, bucket_of
from alerts.config import AlertSettings
from alerts.routing import Opinion
from alerts.scopes import Contribution, ScopeKey, contributions
from alerts.tables import Evidence, Fact, table
from alerts.upsert import lock, upsert
from ingest.analysis import ClassifiedMention

Origin = tuple[str, int, int]
"""(topic, partition, offset) of the record in ``mentions.classified``."""

EXCERPT = 500
_LONGEST_NAME = 200
_NOT_GENUINE = frozenset({"advertisement", "template", "off_topic"})
_NO_OPINION = _NOT_GENUINE | {"empty", "default_review"}
_CHUNK = 500
_A_MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a batch did: mentions seen for the first time, newer revisions, and deliveries that changed nothing."""

    new: int = 0
    revised: int = 0
    unchanged: int = 0


def reach_of(mention: ClassifiedMention) -> int:
    """How many people a mention reached, roughly: likes + 2 · replies + 3 · shares + views/100."""
    likes, replies = mention.likes or 0, mention.replies or 0
    shares, views = mention.shares or 0, mention.views or 0
    return min(likes + 2 * replies + 3 * shares + views // 100, 2**62)


def opinions_of(tags: str) -> list[Opinion]:
    """The ``tags`` column of a fact, read."""
    return [Opinion(tag, sentiment, confidence) for tag, sentiment, confidence in orjson.loads(tags)]


def said_at(mention: ClassifiedMention) -> datetime:
    """The event time that is counted: of a time known only to the month, the earliest that it can be.

    So nothing of unknown age (an export without dates) is taken for news: it wakes nobody and floods no desk.
    """
    return mention.created_at - _A_MONTH if mention.created_precision == "month" else mention.created_at


def fact_of(mention: ClassifiedMention, origin: Origin | None, settings: AlertSettings) -> dict[str, Any]:
    """The row of a mention, as if it were new."""
    analysis = mention.analysis
    flags = set(analysis.flags)
    official = mention.author.is_seller or mention.author.is_brand
    genuine = not (flags & _NOT_GENUINE) and not official and not mention.matched.elsewhere
    opinion = genuine and not (flags & _NO_OPINION)
    tags = [[t.tag, t.sentiment, round(t.confidence, 4)] for t in analysis.tags] if opinion else []
    negative = opinion and analysis.sentiment.label == "negative"
    any_negative = negative or any(tag[1] == "negative" for tag in tags)
    safety = opinion and "safety" in flags
    reach = reach_of(mention)
    text = mention.full_text
    bad = negative or (opinion and analysis.intent == "complaint")
    reputation = bad and (reach >= settings.reach_first_level or any(w in text for w in settings.reputation_words))
    created = said_at(mention)
    spoken = max((created, *(a.created_at for a in mention.appends if a.created_at is not None)))
    spoken = max(created, min(spoken, mention.collected_at))
    limit = settings.tickets.safety_max_age if safety else settings.tickets.max_age
    fresh = (mention.collected_at - spoken).total_seconds() <= (limit.hours or 0) * 3600
    pending = opinion and fresh and (safety or reputation or analysis.intent in settings.tickets.intents)
    product = mention.product
    keep = pending or any_negative
    return {
        "mention_id": mention.id,
        "revision": mention.revision.number,
        "content": mention.revision.hash[:32],
        "origin": ":".join(str(part) for part in origin) if origin is not None else None,
        "bucket": bucket_of(created),
        "created_at": created,
        "spoken_at": spoken,
        "collected_at": mention.collected_at,
        "source": mention.source,
        "kind": mention.kind,
        "parent_id": _short(mention.parent_id),
        "product": _short(product.id or product.sku or product.name) if product else None,
        "product_name": _short(product.name) if product else None,
        "tags": orjson.dumps(tags).decode(),
        "sentiment": analysis.sentiment.label,
        "intent": analysis.intent,
        "severity": analysis.severity,
        "author": _short(mention.author.key),
        "reach": reach,
        "likes": min(mention.likes or 0, 2**62),
        "copies": mention.group if any_negative else None,
        "genuine": genuine,
        "negative": negative,
        "any_negative": any_negative,
        "safety": safety,
        "reputation": reputation,
        "region": mention.region,
        "url": mention.url if keep else None,
        "excerpt": text[:EXCERPT] if keep else "",
        "pending": pending,
    }


def _short(value: str | None) -> str | None:
    """What identifies something, short enough for an index; null for nothing."""
    return value[:_LONGEST_NAME] if value else None


def parts_of(fact: Mapping[str, Any]) -> Iterable[Contribution]:
    """What a fact adds to the aggregates."""
    tags = [(opinion.tag, opinion.sentiment) for opinion in opinions_of(fact["tags"])]
    return contributions(
        fact["source"], fact["product"], tags, negative=bool(fact["negative"]), genuine=bool(fact["genuine"])
    )


class FactStore:
    """Facts and their aggregates.

    Deliveries may come twice, in any order: the store depends only on each mention's highest revision number.
    """

    def __init__(self, engine: Engine, settings: AlertSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._scopes: dict[ScopeKey, int] = {}

    def absorb(self, batch: Sequence[tuple[ClassifiedMention, Origin | None]]) -> Absorbed:
        """Store a batch in one transaction; when it returns, the batch may be committed to the log.

        Raises SQLAlchemy's errors as they come (the stage maps them); then nothing of the batch was stored.
        """
        newest: dict[str, tuple[ClassifiedMention, Origin | None]] = {}
        for mention, origin in batch:
            held = newest.get(mention.id)
            if held is None or mention.revision.number > held[0].revision.number:
                newest[mention.id] = (mention, origin)
        rows = [fact_of(mention, origin, self._settings) for mention, origin in newest.values()]
        if not rows:
            return Absorbed()
        with self._engine.begin() as connection:
            lock(connection)
            old = _stored(connection, [row["mention_id"] for row in rows])
            fresh = [row for row in rows if _is_newer(row, old.get(row["mention_id"]))]
            known = self._replace(connection, fresh, old)
        # Only now: ids handed out in a transaction that rolled back do not exist.
        self._scopes.update(known)
        new = sum(row["mention_id"] not in old for row in fresh)
        return Absorbed(new=new, revised=len(fresh) - new, unchanged=len(batch) - len(fresh))

    def correct(self, mentions: Sequence[ClassifiedMention]) -> int:
        """Judge known mentions anew by a person's analysis, in one transaction; how many. Twice is once.

        Of corrections of one mention the last one holds. Whatever revision is known takes it, as long as its content
        is the one that was judged; what is not known stays so. Raises SQLAlchemy's errors as they come.
        """
        rows = [fact_of(m, None, self._settings) for m in {m.id: m for m in mentions}.values()]
        if not rows:
            return 0
        with self._engine.begin() as connection:
            lock(connection)
            old = _stored(connection, [row["mention_id"] for row in rows])
            fresh = []
            for row in rows:
                was = old.get(row["mention_id"])
                if was is not None and was["content"] == row["content"]:
                    fresh.append(row | {"revision": was["revision"], "origin": was["origin"]})
            known = self._replace(connection, fresh, old)
        self._scopes.update(known)
        return len(fresh)

    def _replace(
        self, connection: Connection, fresh: Sequence[dict[str, Any]], old: Mapping[str, Mapping[str, Any]]
    ) -> dict[ScopeKey, int]:
        """Write facts and move the aggregates by the difference; the ids of scopes met on the way."""
        delta = Delta()
        for row in fresh:
            was = old.get(row["mention_id"])
            if was is not None:
                delta.add(parts_of(was), was["bucket"], -1)
                row["pending"] = bool(was["pending"]) or (row["pending"] and _says_more(was, row))
            delta.add(parts_of(row), row["bucket"], 1)
        known = apply(connection, delta, self._scopes)
        if fresh:
            facts = table(Fact)
            statement = upsert(connection, facts)
            changed = {c.name: statement.excluded[c.name] for c in facts.columns if c.name != "mention_id"}
            connection.execute(statement.on_conflict_do_update(index_elements=["mention_id"], set_=changed), fresh)
        return known

    def retain(self, before: datetime) -> int:
        """Drop facts of events before ``before`` that are no alert's evidence; how many. Aggregates stay."""
        facts, evidence = table(Fact), table(Evidence)
        with self._engine.begin() as connection:
            lock(connection)
            gone = connection.execute(
                delete(facts).where(
                    facts.c.created_at < before,
                    facts.c.mention_id.not_in(select(evidence.c.mention_id)),
                )
            )
            return gone.rowcount


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    facts = table(Fact)
    columns = (
        facts.c.mention_id, facts.c.revision, facts.c.content, facts.c.bucket, facts.c.source, facts.c.product,
        facts.c.tags, facts.c.negative, facts.c.genuine, facts.c.safety, facts.c.reputation, facts.c.pending,
        facts.c.origin,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        some = select(*columns).where(facts.c.mention_id.in_(ids[start : start + _CHUNK]))
        found.update((row["mention_id"], dict(row)) for row in connection.execute(some).mappings())
    return found


def _is_newer(row: Mapping[str, Any], was: Mapping[str, Any] | None) -> bool:
    return was is None or row["revision"] > was["revision"]


def _says_more(was: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    # A crawl reads the same review every day: only a change of words or of weight deserves another reaction.
    return bool(
        was["content"] != row["content"]
        or (row["safety"] and not was["safety"])
        or (row["reputation"] and not was["reputation"])
    )
