"""15-minute aggregates, maintained as mentions come: total and negative by scope and bucket of event time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, literal, select, text

from alerts.scopes import Contribution, ScopeKey
from alerts.tables import Bucket, Scope, table
from alerts.upsert import upsert

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUCKET = timedelta(minutes=15)
PER_HOUR = 4
_SECONDS = int(BUCKET.total_seconds())
_CHUNK = 500


def bucket_of(instant: datetime) -> int:
    """The 15-minute bucket an instant lies in, counted from the epoch."""
    return int(instant.timestamp() // _SECONDS)


def bucket_start(bucket: int) -> datetime:
    """When a bucket begins, UTC."""
    return datetime.fromtimestamp(bucket * _SECONDS, UTC)


def bucket_end(instant: datetime) -> int:
    """The first bucket that begins at or after ``instant``: the end of windows that end now."""
    return int(-(-instant.timestamp() // _SECONDS))


@dataclass(slots=True)
class Delta:
    """Changes to aggregates, summed before they are written."""

    total: Counter[tuple[ScopeKey, int]] = field(default_factory=Counter)
    negative: Counter[tuple[ScopeKey, int]] = field(default_factory=Counter)

    def add(self, parts: Iterable[Contribution], bucket: int, sign: int) -> None:
        """Count (``sign`` 1) a mention's contributions or take them back (-1)."""
        for part in parts:
            cell = (part.scope, bucket)
            self.total[cell] += sign
            if part.negative:
                self.negative[cell] += sign

    def cells(self) -> list[tuple[ScopeKey, int, int, int]]:
        """(scope, bucket, change of total, change of negative), without those that do not change."""
        return [
            (*cell, change, self.negative.get(cell, 0))
            for cell, change in self.total.items()
            if change or self.negative.get(cell, 0)
        ]


def scope_ids(connection: Connection, scopes: Iterable[ScopeKey], known: Mapping[ScopeKey, int]) -> dict[ScopeKey, int]:
    """The ids of scopes not in ``known``; scopes seen for the first time are stored."""
    wanted = {scope.key: scope for scope in scopes if scope not in known}
    rows = table(Scope)
    found: dict[ScopeKey, int] = {}

    def look_up(keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _CHUNK):
            chosen = select(rows.c.key, rows.c.id).where(rows.c.key.in_(keys[start : start + _CHUNK]))
            found.update((wanted[key], number) for key, number in connection.execute(chosen))

    look_up(list(wanted))
    fresh = [scope for scope in wanted.values() if scope not in found]
    if fresh:
        connection.execute(
            upsert(connection, rows).on_conflict_do_nothing(),
            [{"kind": s.kind, "key": s.key, "source": s.source, "product": s.product, "tag": s.tag} for s in fresh],
        )
        look_up([scope.key for scope in fresh])
    return found


def apply(connection: Connection, delta: Delta, known: Mapping[ScopeKey, int]) -> dict[ScopeKey, int]:
    """Add ``delta`` to the stored aggregates; the scope ids that were not ``known`` (valid once this commits)."""
    cells = delta.cells()
    fresh = scope_ids(connection, {cell[0] for cell in cells}, known)
    if cells:
        buckets = table(Bucket)
        statement = upsert(connection, buckets)
        ids = {**known, **fresh} if fresh else known
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["scope_id", "bucket"],
                set_={
                    "total": buckets.c.total + statement.excluded.total,
                    "negative": buckets.c.negative + statement.excluded.negative,
                },
            ),
            [
                {"scope_id": ids[scope], "bucket": bucket, "total": total, "negative": negative}
                for scope, bucket, total, negative in sorted(cells, key=lambda cell: (ids[cell[0]], cell[1]))
            ],
        )
    return fresh


def read_hours(
    connection: Connection, scopes: Sequence[int], hours: int, end: int, *, least: int = 0
) -> NDArray[np.int64]:
    """Rows (scope, hours ago, total, negatives) of the ``hours`` hours before bucket ``end``; empty hours are left out.

    Hour 0 is the one that ends at ``end``. Only buckets with at least ``least`` negatives are counted.
    """
    import numpy as np

    rows = table(Bucket)
    ago = ((literal(end - 1) - rows.c.bucket) // PER_HOUR).label("ago")
    parts = []
    for start in range(0, len(scopes), _CHUNK):
        found = connection.execute(
            select(rows.c.scope_id, ago, func.sum(rows.c.total), func.sum(rows.c.negative))
            .where(
                rows.c.scope_id.in_(scopes[start : start + _CHUNK]),
                rows.c.bucket >= end - hours * PER_HOUR,
                rows.c.bucket < end,
                rows.c.negative >= least,
            )
            # By its name: with bound parameters PostgreSQL does not see that the two expressions are one.
            .group_by(rows.c.scope_id, text("ago"))
        )
        parts.append(np.fromiter(chain.from_iterable(found.all()), dtype=np.int64))
    return np.concatenate(parts).reshape(-1, 4) if parts else np.empty((0, 4), dtype=np.int64)


def read_sums(connection: Connection, scopes: Sequence[int], first: int, end: int) -> dict[int, tuple[int, int]]:
    """Scope -> (total, negatives) over buckets in [first, end)."""
    rows = table(Bucket)
    sums: dict[int, tuple[int, int]] = {}
    for start in range(0, len(scopes), _CHUNK):
        for scope, total, negative in connection.execute(
            select(rows.c.scope_id, func.sum(rows.c.total), func.sum(rows.c.negative))
            .where(rows.c.scope_id.in_(scopes[start : start + _CHUNK]), rows.c.bucket >= first, rows.c.bucket < end)
            .group_by(rows.c.scope_id)
        ):
            sums[scope] = (int(total), int(negative))
    return sums


def first_bucket(connection: Connection, scope: int) -> int | None:
    """The earliest bucket in which a scope counted anything."""
    rows = table(Bucket)
    found: int | None = connection.execute(
        select(rows.c.bucket).where(rows.c.scope_id == scope, rows.c.total > 0).order_by(rows.c.bucket).limit(1)
    ).scalar()
    return found
