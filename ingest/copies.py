"""Copies in the stream: every mention is told its group, in the state database, before it is streamed on.

A group is named after the mention that founded it. The first mention of a text founds one; a later one joins when

* its text is the same but for digits, case, width, punctuation and white space (always, whatever the order), or
* it shares enough bigrams with the *founding* text (:mod:`ingest.likeness`): groups are stars, they do not chain.

What was told once stays, whoever asks, however often and in whatever order, until the text itself is edited (or was
not collected for :data:`REMEMBERED`). It is decided under one lock, so any number of workers found one group, not two.
Which of two near texts comes first, and so founds, is the order of arrival: everybody afterwards is told the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    RowMapping,
    delete,
    func,
    select,
)

from ingest.analysis import ClassifiedMention, Likeness
from ingest.clock import Clock
from ingest.copy_tables import (
    LONGEST_KEY,
    CopyGroup,
    CopyKey,
    CopyMember,
    packed,
    rows,
    table,
    tidy,
    unpacked,
    upsert,
)
from ingest.likeness import THRESHOLD, Fingerprint, fingerprint_of, similarities
from ingest.mention import Mention
from ingest.state import reading, state_errors

REMEMBERED: Final = timedelta(days=90)
"""A fingerprint goes when its mention was not collected for so long."""
_CANDIDATES: Final = 24
"""So many groups are compared with one text, those with most bands in common first."""
_CROWDED: Final = 32
"""A band that so many groups share tells nothing (a product's name, a phrase of the house): no more are noted."""
_PRUNED_AT_ONCE: Final = 500
_LOCK: Final = 0x5348_454E_434F_5059

M = TypeVar("M", bound=Mention)


@dataclass(frozen=True, slots=True)
class Told:
    """A mention's group. ``likeness`` to the group's founding text; null for the founder itself."""

    group: str
    likeness: Likeness | None


@dataclass(slots=True)
class _Group:
    id: int
    name: str
    digest: int | None
    skeleton: int | None
    signature: bytes
    bands: tuple[int, ...]
    author: str | None

    def likeness(self, of: Fingerprint) -> Likeness:
        if of.digest == self.digest:
            return "exact"
        return "template" if of.skeleton == self.skeleton else "near"

    def found(self, by: Fingerprint, author: str | None) -> None:
        self.digest, self.skeleton, self.signature, self.bands = by.digest, by.skeleton, by.signature, by.bands
        self.author = author

    def row(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "digest": self.digest,
            "skeleton": self.skeleton,
            "signature": self.signature or None,
            "bands": packed(self.bands) or None,
            "author": self.author,
        }


class Copies:
    """The store. Thread-safe, any number of processes; raises what :func:`ingest.state.mapped` says."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def tell(self, mentions: Sequence[Mention]) -> list[Told | None]:
        """The group of each, in one transaction; None where a text is too short, or is none. Idempotent.

        An older revision than was told of before changes nothing, and is told what the newer one was.
        """
        if not mentions:
            return []
        prints = [fingerprint_of(mention) for mention in mentions]
        with state_errors(), self._engine.begin() as connection:
            _lock(connection)
            batch = _Batch(connection, self._clock.now(), mentions, prints)
            told = [batch.tell(mention, found) for mention, found in zip(mentions, prints, strict=True)]
            batch.save()
        return told

    def grouped(self, mentions: Sequence[ClassifiedMention]) -> list[ClassifiedMention]:
        """The mentions with their groups. What the classifier took for a default review has none."""
        told = iter(self.tell([m for m in mentions if "default_review" not in m.analysis.flags]))
        done = []
        for mention in mentions:
            found = None if "default_review" in mention.analysis.flags else next(told)
            group, likeness = (found.group, found.likeness) if found else (None, None)
            done.append(mention.model_copy(update={"group": group, "likeness": likeness}))
        return done

    def erase(self, author_key: str) -> int:
        """Forget an author's fingerprints; how many. A group that others are in keeps its name, and its fingerprint
        only where one of them wrote the same."""
        groups, members = table(CopyGroup), table(CopyMember)
        author = author_key[:LONGEST_KEY]
        with state_errors(), self._engine.begin() as connection:
            _lock(connection)
            founded = set(connection.scalars(select(groups.c.id).where(groups.c.author == author)))
            gone = connection.execute(
                select(members.c.group_id, members.c.skeleton).where(members.c.author == author)
            ).all()
            connection.execute(delete(members).where(members.c.author == author))
            tidy(connection, [row.group_id for row in gone] + list(founded), [row.skeleton for row in gone], founded)
        return len(gone)

    def prune(self, before: datetime | None = None) -> int:
        """Forget what was last collected before ``before`` (:data:`REMEMBERED` ago); how many mentions."""
        members = table(CopyMember)
        old = before or self._clock.now() - REMEMBERED
        pruned = 0
        while True:
            with state_errors(), self._engine.begin() as connection:
                _lock(connection)
                gone = connection.execute(
                    select(members.c.mention_id, members.c.group_id, members.c.skeleton)
                    .where(members.c.seen_at < old)
                    .limit(_PRUNED_AT_ONCE)
                ).all()
                connection.execute(delete(members).where(members.c.mention_id.in_([row.mention_id for row in gone])))
                tidy(connection, [row.group_id for row in gone], [row.skeleton for row in gone])
            pruned += len(gone)
            if len(gone) < _PRUNED_AT_ONCE:
                return pruned

    def counts(self) -> tuple[int, int]:
        """Groups that have copies, and the mentions in them."""
        members = table(CopyMember)
        many = func.count(members.c.mention_id)
        sizes = select(many.label("n")).group_by(members.c.group_id).having(many > 1).subquery()
        with reading(self._engine) as connection:
            groups, mentions = connection.execute(
                select(func.count(), func.coalesce(func.sum(sizes.c.n), 0)).select_from(sizes)
            ).one()
        return int(groups), int(mentions)


@dataclass(slots=True)
class _Member:
    group: _Group
    likeness: Likeness | None
    fingerprint: Fingerprint
    revision: int
    author: str | None
    seen_at: datetime
    changed: bool = False


@dataclass(slots=True)
class _Left:
    """What edits left behind, to be looked at when all is written."""

    members: set[str] = field(default_factory=set)
    groups: set[int] = field(default_factory=set)
    skeletons: set[int] = field(default_factory=set)


class _Batch:
    """One transaction's view: what is stored of all that the batch may touch, changed in memory, written at the end."""

    def __init__(
        self,
        connection: Connection,
        now: datetime,
        mentions: Sequence[Mention],
        prints: Sequence[Fingerprint | None],
    ) -> None:
        self._connection = connection
        self._now = now
        self._groups: dict[int, _Group] = {}
        self._named: dict[str, _Group] = {}
        self._members: dict[str, _Member] = {}
        self._keys: dict[int, list[int]] = {}
        self._new_keys: dict[tuple[int, int], None] = {}
        self._changed_groups: dict[int, _Group] = {}
        self._left = _Left()
        members = list(rows(connection, CopyMember, "mention_id", {m.id for m in mentions}))
        known = {row["mention_id"]: row["digest"] for row in members}
        changed = {m.id for m, f in zip(mentions, prints, strict=True) if known.get(m.id) != (f.digest if f else None)}
        # What was told already is not looked up again.
        fresh = [(m, f) for m, f in zip(mentions, prints, strict=True) if f is not None and m.id in changed]
        for row in rows(connection, CopyKey, "key", {k for _, f in fresh for k in (f.skeleton, *f.bands)}):
            self._keys.setdefault(row["key"], []).append(row["group_id"])
        wanted = {row["group_id"] for row in members} | {one for _, f in fresh for one in self._near(f)}
        for row in rows(connection, CopyGroup, "id", wanted):
            self._hold(row)
        # A name may be taken by a group that its founder has left: a mention edited away, or forgotten and read anew.
        names = {name for m, f in fresh for name in _names(m, f)}
        for row in rows(connection, CopyGroup, "name", names - set(self._named)):
            self._hold(row)
        for row in members:
            self._members[row["mention_id"]] = _Member(
                self._groups[row["group_id"]],
                row["likeness"],
                Fingerprint(row["digest"], row["skeleton"]),
                row["revision"],
                row["author"],
                row["seen_at"],
            )
        highest = connection.execute(select(func.max(table(CopyGroup).c.id))).scalar() if fresh else None
        self._next = (highest or 0) + 1

    def tell(self, mention: Mention, found: Fingerprint | None) -> Told | None:
        held = self._members.get(mention.id)
        if held is not None and mention.revision.number < held.revision:
            return Told(held.group.name, held.likeness)
        if found is None:
            if held is not None:
                self._leave(mention.id, held)
                del self._members[mention.id]
                self._left.members.add(mention.id)
            return None
        if held is not None and held.fingerprint.digest == found.digest:
            self._see(mention, held)
            return Told(held.group.name, held.likeness)
        group, likeness = self._judge(mention, found, held)
        if held is not None:
            self._leave(mention.id, held)
        author = mention.author.key[:LONGEST_KEY] if mention.author.key else None
        self._members[mention.id] = _Member(
            group, likeness, found, mention.revision.number, author, self._now, changed=True
        )
        self._left.members.discard(mention.id)
        self._key(found.skeleton, group)
        return Told(group.name, likeness)

    def _see(self, mention: Mention, held: _Member) -> None:
        # Once a day is enough: what is read again every hour costs no write.
        if mention.revision.number > held.revision or self._now - held.seen_at >= timedelta(days=1):
            held.revision = mention.revision.number
            held.seen_at = max(self._now, held.seen_at)
            held.changed = True

    def _judge(self, mention: Mention, found: Fingerprint, held: _Member | None) -> tuple[_Group, Likeness | None]:
        same = self._keys.get(found.skeleton)
        group: _Group | None = None
        if same:
            group = self._groups[same[0]]
        elif held is not None and similarities(found.signature, [held.group.signature])[0] >= THRESHOLD:
            group = held.group
        else:
            near = [self._groups[one] for one in self._near(found)]
            shares = similarities(found.signature, [one.signature for one in near])
            best = max(zip(shares, (-one.id for one in near), near, strict=True), default=None)
            if best is not None and best[0] >= THRESHOLD:
                group = best[2]
        if group is None:
            return self._found(mention, found), None
        founder = held is not None and held.group is group and held.likeness is None
        return group, None if founder else group.likeness(found)

    def _near(self, found: Fingerprint) -> list[int]:
        """Groups that share a key, most keys first, the oldest of as many."""
        if found.skeleton in self._keys:
            return self._keys[found.skeleton][:1]
        shared = Counter(group for key in found.bands for group in self._keys.get(key, ()))
        return [group for group, _ in sorted(shared.items(), key=lambda item: (-item[1], item[0]))[:_CANDIDATES]]

    def _found(self, mention: Mention, found: Fingerprint) -> _Group:
        plain, spare = _names(mention, found)
        group = self._named.get(spare) if plain in self._named else None
        if group is None:
            name = spare if plain in self._named else plain
            group = _Group(self._next, name, None, None, b"", (), None)
            self._next += 1
            self._groups[group.id] = self._named[name] = group
        group.found(found, mention.author.key[:LONGEST_KEY] if mention.author.key else None)
        self._changed_groups[group.id] = group
        for key in found.bands:
            if len(self._keys.get(key, ())) < _CROWDED:
                self._key(key, group)
        return group

    def _key(self, key: int, group: _Group) -> None:
        at = self._keys.setdefault(key, [])
        if group.id not in at:
            at.append(group.id)
            self._new_keys[key, group.id] = None

    def _leave(self, mention_id: str, held: _Member) -> None:
        self._left.groups.add(held.group.id)
        self._left.skeletons.add(held.fingerprint.skeleton)

    def _hold(self, row: RowMapping) -> None:
        group = _Group(
            row["id"],
            row["name"],
            row["digest"],
            row["skeleton"],
            row["signature"] or b"",
            unpacked(row["bands"] or b""),
            row["author"],
        )
        self._groups[group.id] = self._named[group.name] = group

    def save(self) -> None:
        """Write what changed."""
        connection = self._connection
        groups, members = table(CopyGroup), table(CopyMember)
        if self._left.members:
            connection.execute(delete(members).where(members.c.mention_id.in_(sorted(self._left.members))))
        if self._changed_groups:
            upsert(connection, groups, "id", [group.row() for group in self._changed_groups.values()])
        changed = [
            {
                "mention_id": mention_id,
                "group_id": held.group.id,
                "likeness": held.likeness,
                "digest": held.fingerprint.digest,
                "skeleton": held.fingerprint.skeleton,
                "revision": held.revision,
                "author": held.author,
                "seen_at": held.seen_at,
            }
            for mention_id, held in self._members.items()
            if held.changed
        ]
        if changed:
            upsert(connection, members, "mention_id", changed)
        if self._new_keys:
            # Eleven rows a group: by the driver itself, as SQLAlchemy takes longer to prepare them than to write them.
            mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
            connection.exec_driver_sql(
                f"INSERT INTO copy_keys (key, group_id) VALUES ({mark}, {mark}) ON CONFLICT DO NOTHING",  # noqa: S608
                sorted(self._new_keys),
            )
        if self._left.groups:
            tidy(connection, self._left.groups, self._left.skeletons)


def _names(mention: Mention, found: Fingerprint) -> tuple[str, str]:
    """What a group founded by the mention is called, and what if that is taken."""
    return mention.id, f"{mention.id}#{found.digest & (1 << 64) - 1:016x}"


def _lock(connection: Connection) -> None:
    # On SQLite the transaction's BEGIN IMMEDIATE already is that lock.
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
