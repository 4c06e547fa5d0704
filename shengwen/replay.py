"""Replay a dead letter: back onto its topic, or, from the collecting stage, through the parser or the import again."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from ingest.dead_letters import COLLECT, DeadLetter
from ingest.errors import Poison
from ingest.headers import stamped
from ingest.imports.job import mention_from_row
from ingest.log.base import Outgoing, Topics
from ingest.mention import Mention, Raw

if TYPE_CHECKING:
    from shengwen.rooms import Rooms


def replay_letter(letter: DeadLetter, rooms: Rooms) -> None:
    """Raises Poison when it still cannot pass; the letter then stays."""
    if letter.stage != COLLECT:
        rooms.letters.replay(letter)
        return
    payload = rooms.privacy.unlock(letter.payload) if letter.sealed else letter.payload
    mentions = _imported(letter, payload, rooms) if "mapping" in letter.headers else _crawled(letter, payload, rooms)
    # One letter may be parked again after it was closed: each parking is replayed once.
    done = f"replay:{letter.id}:{letter.at.isoformat()}"
    if rooms.log.checkpoint(done) is None:  # set: a crash came between these two steps
        records = [Outgoing(mention.id, mention.to_json(), stamped()) for mention in mentions]
        rooms.log.produce(Topics.COLLECTED, records, checkpoint=(done, rooms.clock.now().isoformat()))
    rooms.letters.close(letter, Topics.COLLECTED)


def _imported(letter: DeadLetter, payload: bytes, rooms: Rooms) -> list[Mention]:
    try:
        cells = json.loads(payload)
    except ValueError as error:
        raise Poison(str(error), field="row") from error
    if not isinstance(cells, dict):
        raise Poison("不是一行的内容", field="row")
    mapping = orjson.loads(letter.headers["mapping"])
    kind: Any = letter.headers["kind"]
    brand = rooms.settings.brand
    since = datetime.fromisoformat(letter.headers.get("since", letter.at.isoformat()))
    return [
        mention_from_row(
            cells,
            mapping,
            letter.source,
            kind,
            rooms.privacy,
            rooms.clock,
            brand.match,
            since=since,
        )
    ]


def _crawled(letter: DeadLetter, payload: bytes, rooms: Rooms) -> list[Mention]:
    from crawlers.parse import parse
    from crawlers.payload import Payload

    head = letter.headers
    captured = datetime.fromisoformat(head["captured_at"]) if "captured_at" in head else letter.at
    page = parse(letter.source, Payload(url=head.get("url"), body=payload, captured_at=captured))
    if page.problems:  # the good ones beside it were streamed when the page was read
        raise Poison(page.problems[0].reason, field=page.problems[0].path)
    full = [draft for draft in page.mentions if not draft.partial]  # a stub would look like a newer, emptier revision
    if not full:
        raise Poison(page.reason or page.signal, field="payload")
    mentions = []
    for draft in full:
        raw = Raw(url=head.get("url"), captured_at=captured, parser=f"{page.endpoint}/replay")
        matched = rooms.settings.brand.match(draft)
        mentions.append(rooms.privacy.seal(draft, raw, matched, own=rooms.settings.brand.owns(draft)))
    return mentions
