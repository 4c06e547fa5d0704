"""Where fingerprints lie: tables in the state database, and what must go when members of groups do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import BigInteger, Connection, Index, LargeBinary, RowMapping, String, Table, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from ingest.state import Base, UtcDateTime, insert_into

LONGEST_KEY: Final = 200
CHUNK: Final = 2_000


class CopyGroup(Base):
    """A group. ``digest`` to ``bands`` are the founding text's, null once its author was forgotten."""

    __tablename__ = "copy_groups"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(340), unique=True)
    digest: Mapped[int | None] = mapped_column(BigInteger)
    skeleton: Mapped[int | None] = mapped_column(BigInteger)
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    bands: Mapped[bytes | None] = mapped_column(LargeBinary)
    author: Mapped[str | None] = mapped_column(String(LONGEST_KEY), index=True)


class CopyMember(Base):
    """A mention with a fingerprint. ``likeness`` is null for the founder, ``revision`` the newest that was told."""

    __tablename__ = "copy_members"
    __table_args__ = (Index(None, "group_id"), Index(None, "skeleton"), Index(None, "seen_at"))

    mention_id: Mapped[str] = mapped_column(String(300), primary_key=True)
    group_id: Mapped[int] = mapped_column(BigInteger)
    likeness: Mapped[str | None] = mapped_column(String(10))
    digest: Mapped[int] = mapped_column(BigInteger)
    skeleton: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger)
    author: Mapped[str | None] = mapped_column(String(LONGEST_KEY), index=True)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CopyKey(Base):
    """Where a text is looked up: the skeletons of a group's members, the bands of its founding text."""

    __tablename__ = "copy_keys"

    key: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    group_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)


def tidy(
    connection: Connection, group_ids: Iterable[int], skeletons: Iterable[int], erased: Collection[int] = ()
) -> None:
    """After members left: groups without any go, and so does what nobody's text stands behind any more. Of ``erased``
    groups the founding text must go, too, unless a member wrote the same."""
    groups, members, keys = table(CopyGroup), table(CopyMember), table(CopyKey)
    held = {row["skeleton"] for row in rows(connection, CopyMember, "skeleton", set(skeletons))}
    for row in list(rows(connection, CopyGroup, "id", set(group_ids))):
        group = row["id"]
        left = select(members.c.digest).where(members.c.group_id == group).order_by(members.c.digest).limit(1)
        empty = connection.execute(left).first() is None
        same = connection.execute(left.where(members.c.skeleton == row["skeleton"])).scalar()
        if empty or (group in erased and same is None):
            gone = [key for key in (row["skeleton"], *unpacked(row["bands"] or b"")) if key is not None]
            connection.execute(delete(keys).where(keys.c.group_id == group, keys.c.key.in_(gone)))
        if empty:
            connection.execute(delete(groups).where(groups.c.id == group))
        elif group in erased:
            lost_text = dict.fromkeys(("skeleton", "signature", "bands")) if same is None else {}
            connection.execute(update(groups).where(groups.c.id == group).values(author=None, digest=same, **lost_text))
    lost = sorted(set(skeletons) - held)
    for start in range(0, len(lost), CHUNK):
        founding = select(groups.c.skeleton).where(groups.c.skeleton == keys.c.key, groups.c.id == keys.c.group_id)
        connection.execute(
            delete(keys).where(keys.c.key.in_(lost[start : start + CHUNK]), ~founding.correlate(keys).exists())
        )


def rows(connection: Connection, of: type[Base], column: str, values: Collection[Any]) -> Iterable[RowMapping]:
    """The rows whose column has one of the values."""
    found = table(of)
    wanted = sorted(values)
    for start in range(0, len(wanted), CHUNK):
        some = select(found).where(found.c[column].in_(wanted[start : start + CHUNK]))
        yield from connection.execute(some).mappings()


def upsert(connection: Connection, into: Table, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert whole rows, in place of those with the same key."""
    statement = insert_into(connection, into)
    changed = {c.name: statement.excluded[c.name] for c in into.columns if c.name != key}
    connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed), list(rows))


def packed(bands: Sequence[int]) -> bytes:
    """Bands as one value."""
    return b"".join(band.to_bytes(8, "little", signed=True) for band in bands)


def unpacked(packed: bytes) -> tuple[int, ...]:
    """What :func:`packed` packed."""
    return tuple(int.from_bytes(packed[at : at + 8], "little", signed=True) for at in range(0, len(packed), 8))


def table(of: type[Base]) -> Table:
    """A model's table."""
    return cast(Table, of.__table__)
