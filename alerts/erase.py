"""Forgetting a person: their words go from facts, tickets, alerts and messages; numbers and cases stay."""

from __future__ import annotations

from dataclasses import replace

import orjson
from sqlalchemy import Connection, Engine, select, update

from alerts.channels.base import Message
from alerts.explanation import Explanation, explanation_from_json, explanation_json
from alerts.tables import Evidence, Fact, Incident, Outbox, Ticket, TicketEvidence, table
from alerts.upsert import lock

ERASED = "（已应作者要求删除）"
_CHUNK = 500


def forget_author(engine: Engine, author_key: str) -> int:
    """Erase what an author said wherever alerting keeps it; how many mentions. Idempotent.

    Aggregates are numbers without a person in them and stay; so do tickets, emptied. Messages about those tickets and
    alerts keep their key and lose all quotes; one that still waits goes out without them.
    """
    facts = table(Fact)
    with engine.begin() as connection:
        lock(connection)
        ids = list(connection.scalars(select(facts.c.mention_id).where(facts.c.author == author_key[:200])))
        for start in range(0, len(ids), _CHUNK):
            _forget(connection, ids[start : start + _CHUNK])
    return len(ids)


def _forget(connection: Connection, mentions: list[str]) -> None:
    facts, evidence, tickets = table(Fact), table(TicketEvidence), table(Ticket)
    touched = select(evidence.c.ticket_id).where(evidence.c.mention_id.in_(mentions))
    streams = list(connection.scalars(select(tickets.c.key).where(tickets.c.id.in_(touched))))
    # A ticket's text may quote several people: it is emptied when one of them asks.
    connection.execute(update(tickets).where(tickets.c.id.in_(touched)).values(text=ERASED, link=None))
    connection.execute(update(evidence).where(evidence.c.mention_id.in_(mentions)).values(text=ERASED, url=None))
    incidents, joined = table(Incident), table(Evidence)
    chosen = select(incidents.c.id, incidents.c.key, incidents.c.explanation).where(
        incidents.c.id.in_(select(joined.c.incident_id).where(joined.c.mention_id.in_(mentions)))
    )
    for row in connection.execute(chosen).all():
        streams.append(row.key)
        told = explanation_from_json(row.explanation)
        kept = _without(told, set(mentions))
        connection.execute(update(incidents).where(incidents.c.id == row.id).values(explanation=explanation_json(kept)))
    box = table(Outbox)
    for start in range(0, len(streams), _CHUNK):
        some = box.c.stream.in_(streams[start : start + _CHUNK])
        for sent in connection.execute(select(box.c.id, box.c.body).where(some)).all():
            body = _scrubbed(Message.from_json(sent.body)).to_json()
            connection.execute(update(box).where(box.c.id == sent.id).values(body=body))
    connection.execute(
        update(facts)
        .where(facts.c.mention_id.in_(mentions))
        .values(author=None, excerpt="", url=None, copies=None, pending=False)
    )


def _scrubbed(message: Message) -> Message:
    payload = orjson.loads(message.payload)
    if "ticket" in payload:
        payload["ticket"] |= {"text": ERASED, "link": None, "evidence": []}
    if "alert" in payload:
        payload["alert"]["quotes"] = []
    lines = tuple(line for line in message.lines if not line.startswith("> "))
    return replace(message, lines=lines, payload=orjson.dumps(payload).decode())


def _without(explanation: Explanation, mentions: set[str]) -> Explanation:
    return replace(explanation, quotes=tuple(q for q in explanation.quotes if q.mention_id not in mentions))
