"""The consuming step: what alerting keeps of each classified mention, counted once however often it is delivered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast, get_args

import orjson
from sqlalchemy import Connection, Engine, RowMapping, delete, select, update

from alerts.aggregates import Delta, apply, bucket_of
from alerts.config import AlertSettings
from alerts.routing import Opinion
from alerts.scopes import Contribution, ScopeKey, contributions
from alerts.tables import Evidence, Fact, table
from alerts.upsert import lock, upsert
from ingest.analysis import ClassifiedMention
from ingest.mention import Precision
from ingest.precision import When, at, dated, kept, when_of

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
    if mention.created_precision == "month" and mention.edited_at is not None:
        spoken = max(spoken, mention.edited_at)  # all that is known of its age: these words stood there then
    spoken = max(created, min(spoken, mention.collected_at))
    limit = settings.tickets.safety_max_age if safety else settings.tickets.max_age
    fresh = (mention.collected_at - spoken).total_seconds() <= (limit.hours or 0) * 3600
    pending = opinion and fresh and (safety or reputation or analysis.intent in settings.tickets.intents)
    product = mention.product
    keep = pending or any_negative
    return {
        "mention_id": mention.id,
        "revision": mention.revision.number,
        "content": f"{mention.revision.hash[:24]}:{mention.created_precision}",
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

    Deliveries may come twice, in any order: a fact is that of the mention's highest revision number, at the finest time
    that any of its revisions had (:mod:`ingest.precision`).
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
            if held is None:
                newest[mention.id] = (mention, origin)
            elif mention.revision.number > held[0].revision.number:
                newest[mention.id] = (dated(mention, held[0]), origin)
            elif mention.revision.number < held[0].revision.number:
                newest[mention.id] = (dated(held[0], mention), held[1])
        if not newest:
            return Absorbed()
        with self._engine.begin() as connection:
            lock(connection)
            old = _stored(connection, list(newest))
            fresh = []
            for mention, origin in newest.values():
                was = old.get(mention.id)
                if was is None or mention.revision.number > was["revision"]:
                    fresh.append(fact_of(_dated(mention, was), origin, self._settings))
            known = self._replace(connection, fresh, old)
            late = [mention for mention, _ in newest.values() if mention.id in old]
            known |= self._redate(connection, late, old)
        # Only now: ids handed out in a transaction that rolled back do not exist.
        self._scopes.update(known)
        new = sum(row["mention_id"] not in old for row in fresh)
        return Absorbed(new=new, revised=len(fresh) - new, unchanged=len(batch) - len(fresh))

    def correct(self, mentions: Sequence[ClassifiedMention]) -> int:
        """Judge known mentions anew by a person's analysis, in one transaction; how many. Twice is once.

        Of corrections of one mention the last one holds. Whatever revision is known takes it, as long as its content
        is the one that was judged; what is not known stays so. Raises SQLAlchemy's errors as they come.
        """
        latest = {mention.id: mention for mention in mentions}
        if not latest:
            return 0
        with self._engine.begin() as connection:
            lock(connection)
            old = _stored(connection, list(latest))
            fresh = []
            for mention in latest.values():
                was = old.get(mention.id)
                if was is None or _hash(was) != mention.revision.hash[:24]:
                    continue
                when = _when(was)
                row = fact_of(at(mention, when) if when is not None else mention, None, self._settings)
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

    def _redate(
        self, connection: Connection, mentions: Sequence[ClassifiedMention], old: Mapping[str, Mapping[str, Any]]
    ) -> dict[ScopeKey, int]:
        """Give facts the finer times of revisions that are older than theirs; the ids of scopes met on the way."""
        facts, delta = table(Fact), Delta()
        for mention in mentions:
            was = old[mention.id]
            when = _when(was)
            if when is None or mention.revision.number >= was["revision"]:
                continue
            better = kept(mention.source, when, when_of(mention))
            if better == when:
                continue
            created = said_at(at(mention, better))
            later = was["spoken_at"] if was["spoken_at"] > was["created_at"] else created
            content = f"{_hash(was)}:{better.precision}"
            bucket = bucket_of(created)
            delta.add(parts_of(was), was["bucket"], -1)
            delta.add(parts_of(was), bucket, 1)
            values = {"bucket": bucket, "created_at": created, "spoken_at": max(created, later), "content": content}
            connection.execute(update(facts).where(facts.c.mention_id == mention.id).values(**values))
        return apply(connection, delta, self._scopes)

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


def with_names(connection: Connection, facts: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """The facts with the names that others give to the same products: a question tells only its product's number."""
    names = names_of(connection, {f["product"] for f in facts if f["product"] and not f["product_name"]})
    return [
        {**fact, "product_name": fact["product_name"] or names.get((fact["source"], fact["product"]))}
        for fact in map(dict, facts)
    ]


def names_of(connection: Connection, products: Collection[str]) -> dict[tuple[str, str], str]:
    """(source, product) -> what mentions call it, for products of which any mention tells a name."""
    rows = table(Fact)
    names: dict[tuple[str, str], str] = {}
    wanted = sorted(products)
    for start in range(0, len(wanted), _CHUNK):
        named = select(rows.c.source, rows.c.product, rows.c.product_name).distinct()
        some = named.where(rows.c.product.in_(wanted[start : start + _CHUNK]), rows.c.product_name.is_not(None))
        for source, product, name in connection.execute(some):
            names[source, product] = max(name, names.get((source, product), ""))
    return names


def _stored(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    facts = table(Fact)
    columns = (
        facts.c.mention_id, facts.c.revision, facts.c.content, facts.c.bucket, facts.c.source, facts.c.product,
        facts.c.tags, facts.c.negative, facts.c.genuine, facts.c.safety, facts.c.reputation, facts.c.pending,
        facts.c.origin, facts.c.created_at, facts.c.spoken_at,
    )  # fmt: skip
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _CHUNK):
        some = select(*columns).where(facts.c.mention_id.in_(ids[start : start + _CHUNK]))
        found.update((row["mention_id"], dict(row)) for row in connection.execute(some).mappings())
    return found


def _hash(fact: Mapping[str, Any]) -> str:
    return str(fact["content"]).partition(":")[0]


def _when(fact: Mapping[str, Any]) -> When | None:
    """The time of a stored fact; None for one of an older version, which did not note how precise it is."""
    precision = str(fact["content"]).partition(":")[2]
    if precision not in get_args(Precision):
        return None
    when: datetime = fact["created_at"]
    return When(when + _A_MONTH if precision == "month" else when, cast(Precision, precision))


def _dated(mention: ClassifiedMention, was: Mapping[str, Any] | None) -> ClassifiedMention:
    """The newer revision of a fact, with the time that is kept."""
    when = _when(was) if was is not None else None
    return mention if when is None else at(mention, kept(mention.source, when_of(mention), when))


def _says_more(was: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    # A crawl reads the same review every day: only a change of words or of weight deserves another reaction.
    return bool(
        _hash(was) != _hash(row)
        or (row["safety"] and not was["safety"])
        or (row["reputation"] and not was["reputation"])
    )
