"""Writing to the embedded index: one batch, one transaction, with the accounting in it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

import orjson

from ingest.analysis import ClassifiedMention, classified
from ingest.errors import Poison
from ingest.mention import Mention
from ingest.precision import dated
from search.base import Delivery, Outcome
from search.columns import INSERT, Codes, encode, name_code
from search.grams import tokens, tokens_apart
from search.memory import epoch_ms
from search.packing import Packer

_CHANGES_KEPT = 50_000


@dataclass(slots=True)
class _Stored:
    """What is, or at the end of the batch will be, stored under one id."""

    docid: int
    number: int
    hash: str
    copies: int
    is_new: bool = False
    counted_again: bool = False
    old: ClassifiedMention | None = None
    """The document as it is stored, where it was read."""
    replaced_by: ClassifiedMention | None = None


class Batch:
    """One write transaction's work. ``codes`` must be the transaction's own."""

    def __init__(self, connection: sqlite3.Connection, codes: Codes, packer: Packer, now: datetime) -> None:
        self._connection = connection
        self._codes = codes
        self._packer = packer
        self._now = now
        self._meta: dict[str, int] = dict(connection.execute("SELECT name, value FROM meta WHERE name <> 'dictionary'"))
        self._tallies: Counter[tuple[str, str]] = Counter()
        self._changed: list[int] = []
        self._text_changed = False

    def apply(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Judge and store each delivery, in order."""
        seen = _Seen(self._connection, deliveries)
        stored = self._load({delivery.mention.id for delivery in deliveries})
        outcomes = [self._judge(delivery, seen, stored) for delivery in deliveries]
        self._save(stored)
        seen.save()
        self._finish()
        return outcomes

    def erase(self, docids: Iterable[int], author_key: str | None = None) -> int:
        """Erase documents (only those of the author, if given); how many.

        Hashes of their ids stay, so that no redelivery brings them back.
        """
        for docid in sorted(docids):
            mention = self._document(docid)
            if author_key is not None and mention.author.key != author_key:
                continue
            self._delete_tokens(docid, mention)
            self._connection.execute("DELETE FROM docs WHERE docid = ?", (docid,))
            self._connection.execute("DELETE FROM columns WHERE docid = ?", (docid,))
            self._connection.execute("DELETE FROM mentions WHERE id = ?", (mention.id,))
            self._connection.execute("INSERT OR IGNORE INTO erased VALUES (?)", (_id_hash(mention.id),))
            self._changed.append(docid)
            self._tallies[mention.source, "erased"] += 1
        erased = len(self._changed)
        if erased:
            self._finish()
        return erased

    def _load(self, ids: Iterable[str]) -> dict[str, _Stored]:
        rows = self._connection.execute(
            "SELECT id, docid, number, hash, copies FROM mentions WHERE id IN (SELECT value FROM json_each(?))",
            (_json(ids),),
        )
        return {row[0]: _Stored(*row[1:]) for row in rows}

    def _judge(self, delivery: Delivery, seen: _Seen, stored: dict[str, _Stored]) -> Outcome:
        mention = delivery.mention
        known = stored.get(mention.id)
        if delivery.correction:
            return self._correct(mention, known)
        first_time = seen.count(delivery)
        if not first_time and known is None and seen.is_erased(mention.id):
            return "duplicate"
        outcome: Outcome
        if not mention.has_content:
            outcome = "empty"
        elif known is None:
            revision = mention.revision
            stored[mention.id] = _Stored(
                self._next_docid(), revision.number, revision.hash, 1, is_new=True, replaced_by=mention
            )
            outcome = "indexed"
        else:
            same = mention.revision.hash == known.hash
            outcome = "duplicate" if same or mention.revision.number <= known.number else "revised"
            self._take(mention, known)
            if first_time and outcome == "duplicate":
                known.copies += 1
                known.counted_again = True
        if not first_time:
            return "duplicate"
        self._tallies[mention.source, outcome] += 1
        return outcome

    def _take(self, mention: ClassifiedMention, known: _Stored) -> None:
        """Let another revision of what is stored replace it, or only give it its finer time."""
        newer = mention.revision.number - known.number
        if newer > 0:
            held = self._held(known)
            known.number, known.hash = mention.revision.number, mention.revision.hash
            known.replaced_by = dated(mention, held)
        elif newer < 0:
            held = self._held(known)
            redated = dated(held, mention)
            if redated is not held:
                known.replaced_by = redated

    def _held(self, known: _Stored) -> ClassifiedMention:
        if known.replaced_by is not None:
            return known.replaced_by
        if known.old is None:
            known.old = self._document(known.docid)
        return known.old

    def _correct(self, mention: ClassifiedMention, known: _Stored | None) -> Outcome:
        if known is None:
            return "duplicate"
        held = self._held(known)
        if held.full_text != mention.full_text or held.analysis == mention.analysis:
            return "duplicate"
        known.replaced_by = classified(held, mention.analysis)
        return "revised"

    def _next_docid(self) -> int:
        self._meta["next_docid"] += 1
        return self._meta["next_docid"] - 1

    def _save(self, stored: Mapping[str, _Stored]) -> None:
        # FTS5 takes documents in rising order of their ids much faster, and deletions before insertions.
        ordered = sorted(stored.items(), key=lambda item: item[1].docid)
        written = [(state.docid, state.replaced_by) for _, state in ordered if state.replaced_by]
        # What cannot be stored is found here, before SQLite sees any of it.
        packed = [(docid, _author(mention), self._packer.pack(mention)) for docid, mention in written]
        retold: list[tuple[int, ClassifiedMention]] = []
        for _, state in ordered:
            if state.replaced_by is None or state.is_new:
                continue
            old = state.old or self._document(state.docid)
            self._changed.append(state.docid)
            if _texts(old) != _texts(state.replaced_by):
                self._delete_tokens(state.docid, old)
                retold.append((state.docid, state.replaced_by))
                self._text_changed = True
        added = [(state.docid, state.replaced_by) for _, state in ordered if state.is_new and state.replaced_by]
        self._connection.executemany(
            "INSERT INTO grams (rowid, text, title, appends) VALUES (?, ?, ?, ?)",
            ((docid, *_tokens(mention)) for docid, mention in (*retold, *added)),
        )
        self._connection.executemany("INSERT OR REPLACE INTO docs VALUES (?, ?, ?)", packed)
        self._connection.executemany(
            INSERT,
            ((docid, *encode(mention, self._codes)) for docid, mention in written),
        )
        touched = [
            (mention_id, state.docid, state.number, state.hash, state.copies)
            for mention_id, state in stored.items()
            if state.is_new or state.counted_again or state.replaced_by
        ]
        self._connection.executemany("INSERT OR REPLACE INTO mentions VALUES (?, ?, ?, ?, ?)", sorted(touched))
        self._connection.executemany(
            "DELETE FROM erased WHERE mention = ?",
            ((_id_hash(mention_id),) for mention_id, state in stored.items() if state.is_new),
        )

    def _document(self, docid: int) -> ClassifiedMention:
        row = self._connection.execute("SELECT doc FROM docs WHERE docid = ?", (docid,)).fetchone()
        return self._packer.unpack(row[0] if row else b"")

    def _delete_tokens(self, docid: int, mention: Mention) -> None:
        self._connection.execute(
            "INSERT INTO grams (grams, rowid, text, title, appends) VALUES ('delete', ?, ?, ?, ?)",
            (docid, *_tokens(mention)),
        )

    def _finish(self) -> None:
        if self._changed:
            self._connection.executemany("INSERT INTO changes (docid) VALUES (?)", ((d,) for d in self._changed))
            self._connection.execute(
                "DELETE FROM changes WHERE n <= (SELECT max(n) FROM changes) - ?", (_CHANGES_KEPT,)
            )
        self._connection.executemany(
            "INSERT INTO tallies VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
            ((source, outcome, n) for (source, outcome), n in self._tallies.items()),
        )
        self._meta["version"] += 1
        self._meta["text_version"] += self._text_changed
        self._meta["changed_at"] = epoch_ms(self._now)
        self._connection.executemany(
            "UPDATE meta SET value = ? WHERE name = ?", ((value, name) for name, value in self._meta.items())
        )


class _Seen:
    """Which deliveries were counted before: by origin up to a high-water mark, replays one by one."""

    def __init__(self, connection: sqlite3.Connection, deliveries: Sequence[Delivery]) -> None:
        self._connection = connection
        self._high = {(topic, part): high for topic, part, high in connection.execute("SELECT * FROM origins")}
        self._moved: set[tuple[str, int]] = set()
        replays = [delivery.replay for delivery in deliveries if delivery.replay is not None]
        self._replays: set[str] = set()
        self._new_replays: set[str] = set()
        if replays:
            rows = connection.execute(
                "SELECT id FROM replays WHERE id IN (SELECT value FROM json_each(?))", (_json(replays),)
            )
            self._replays = {row[0] for row in rows}

    def count(self, delivery: Delivery) -> bool:
        """Note the delivery; False when it is a redelivery."""
        if delivery.replay is not None:
            if delivery.replay in self._replays:
                return False
            self._replays.add(delivery.replay)
            self._new_replays.add(delivery.replay)
            return True
        if delivery.origin is None:
            return True
        topic, part, offset = delivery.origin
        if offset <= self._high.get((topic, part), -1):
            return False
        self._high[topic, part] = offset
        self._moved.add((topic, part))
        return True

    def is_erased(self, mention_id: str) -> bool:
        row = self._connection.execute("SELECT 1 FROM erased WHERE mention = ?", (_id_hash(mention_id),)).fetchone()
        return row is not None

    def save(self) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO origins VALUES (?, ?, ?)",
            ((topic, part, self._high[topic, part]) for topic, part in self._moved),
        )
        self._connection.executemany("INSERT INTO replays VALUES (?)", ((replay,) for replay in self._new_replays))


def _texts(mention: Mention) -> tuple[str, ...]:
    return mention.text, mention.title or "", *(append.text for append in mention.appends)


def _tokens(mention: Mention) -> tuple[str, str, str]:
    text, title, *appends = _texts(mention)
    return tokens(text), tokens(title), tokens_apart(appends)


def _author(mention: Mention) -> int | None:
    return name_code(mention.author.key) if mention.author.key is not None else None


def _id_hash(mention_id: str) -> bytes:
    return blake2b(mention_id.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _json(values: Iterable[str]) -> str:
    try:
        return orjson.dumps(list(values)).decode()
    except TypeError as error:  # a lone surrogate, in a record that was never validated
        raise Poison("编号无法写成 UTF-8", field="id") from error
