"""The transactional outbox: what is to be sent is written with what it tells, then delivered at least once.

A row keeps its key and its frozen body over all retries, so a receiver that honours the key acts once. Leases and
waits are wall-clock instants in the database, leases by its own clock, as dispatchers on several machines compare
them; one that lies absurdly far ahead means the clock went back, and counts as over.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine, and_, exists, func, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from alerts.channels.base import Channel, Delivered, Delivery, Message, Refused, Retry
from alerts.config import RANK, AlertSettings, DeliverySettings
from alerts.tables import Outbox, Ticket, TicketLink, table
from alerts.upsert import upsert
from ingest.clock import Clock
from ingest.errors import UserError
from ingest.state import UtcDateTime

log = logging.getLogger(__name__)

LONG_WAIT = 60.0
"""A channel that asks for a longer pause than this (s) is passed over when there is another one."""


def enqueue(connection: Connection, message: Message, *, route: Sequence[str], stream: str, now: datetime) -> None:
    """Write a message for one route (channels in order of preference) in the caller's transaction.

    The same key on the same route is written once. An empty route writes nothing: nobody is configured to hear it.
    """
    if not route:
        return
    connection.execute(
        upsert(connection, table(Outbox)).on_conflict_do_nothing(),
        {
            "key": message.key,
            "route": ",".join(route),
            "stream": stream,
            "kind": message.type,
            "rank": RANK.get(message.level, len(RANK)),
            "title": message.title,
            "body": message.to_json(),
            "state": "pending",
            "hop": 0,
            "parts": 0,
            "attempts": 0,
            "hop_attempts": 0,
            "next_at": now,
            "lease_owner": None,
            "lease_until": None,
            "created_at": now,
            "finished_at": None,
            "delivered_by": None,
            "receipt": None,
            "problem": "",
        },
    )


def enqueue_alert(
    connection: Connection, settings: AlertSettings, message: Message, *, stream: str, now: datetime
) -> None:
    """To the level's chain of channels, to channels that always get their own, and to desks that want alerts."""
    route = chain(settings, message.level)
    enqueue(connection, message, route=route, stream=stream, now=now)
    for channel in settings.channels:
        if channel.always and message.level in channel.levels and channel.name != route[0]:
            enqueue(connection, message, route=[channel.name], stream=stream, now=now)
    for system in settings.ticket_systems:
        if system.alerts:
            enqueue(connection, message, route=[system.name], stream=stream, now=now)


def enqueue_ticket(
    connection: Connection, settings: AlertSettings, message: Message, *, stream: str, now: datetime
) -> None:
    """To every downstream desk that takes this level."""
    for system in settings.ticket_systems:
        if message.level in system.levels:
            enqueue(connection, message, route=[system.name], stream=stream, now=now)


def chain(settings: AlertSettings, level: str, first: str | None = None) -> list[str]:
    """The names of a level's channels in order, ``first`` (a department's own channel) before them.

    Where no channel lists the level, all of them: what must be said is better said in the wrong place than nowhere.
    """
    names = [channel.name for channel in settings.channels if level in channel.levels]
    names = names or [channel.name for channel in settings.channels]
    return [first, *(name for name in names if name != first)] if first is not None else names


@dataclass(frozen=True, slots=True)
class Row:
    """A claimed message."""

    id: int
    message: Message
    route: tuple[str, ...]
    hop: int
    parts: int
    attempts: int
    hop_attempts: int
    stream: str

    @property
    def channel(self) -> str:
        return self.route[min(self.hop, len(self.route) - 1)]

    @property
    def has_next(self) -> bool:
        return self.hop + 1 < len(self.route)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be noted of a claimed row."""

    row: Row
    values: Mapping[str, Any]
    receipt: str | None = None
    now: datetime | None = None


class Dispatcher:
    """Delivers outbox rows. Any number of dispatchers, in any number of processes, may run at once.

    Promises: a row is delivered, or falls back to its next channel, or is marked failed; it is never dropped. The
    most urgent goes first. Channels do not wait for each other, a failing row does not hold up its neighbours (only
    later messages of the same stream, which must not overtake it). A dispatcher that dies leaves its rows to the
    others when its lease ends.
    """

    def __init__(
        self,
        engine: Engine,
        channels: Mapping[str, Channel],
        clock: Clock,
        settings: DeliverySettings | None = None,
        *,
        owner: str | None = None,
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._clock = clock
        self._settings = settings or DeliverySettings()
        self._owner = owner or f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self._late: deque[_Change] = deque()

    def run(self, stop: threading.Event, *, idle: float = 1.0) -> None:
        """Deliver until ``stop`` is set; what is in flight is finished first."""
        while not stop.is_set():
            if not self.run_once():
                self._clock.wait(idle, stop)

    def run_once(self, limit: int = 50) -> int:
        """Try every message that is due, at most ``limit``; how many were tried.

        Raises SQLAlchemy's errors as they come. What could not be noted then is noted first the next time, so what
        was sent while the database went away is not sent again.
        """
        while self._late:
            self._write(self._late[0])
            self._late.popleft()
        rows = self.claim(limit)
        by_channel: dict[str, list[Row]] = defaultdict(list)
        for row in rows:
            by_channel[row.channel].append(row)
        if len(by_channel) == 1:
            self._deliver(next(iter(by_channel.values())))
        elif by_channel:
            with ThreadPoolExecutor(max_workers=len(by_channel), thread_name_prefix="deliver") as pool:
                for done in [pool.submit(self._deliver, part) for part in by_channel.values()]:
                    done.result()
        return len(rows)

    def claim(self, limit: int) -> list[Row]:
        """Lease due rows to this dispatcher, most urgent first."""
        box = table(Outbox)
        older = box.alias()
        now = self._clock.now()
        lease = timedelta(seconds=self._settings.lease)
        absurd = now + timedelta(seconds=2 * self._settings.longest_wait)
        waiting = and_(box.c.state == "pending", or_(box.c.next_at <= now, box.c.next_at > absurd))
        behind = exists().where(
            older.c.stream == box.c.stream,
            older.c.route == box.c.route,
            older.c.id < box.c.id,
            older.c.state.in_(("pending", "sending")),
        )
        with self._engine.begin() as connection:
            told = _lease_clock(connection, self._clock)
            over = or_(box.c.lease_until <= told, box.c.lease_until > told + 2 * lease)
            due = (
                select(box.c.id)
                .where(or_(waiting, and_(box.c.state == "sending", over)), ~behind)
                .order_by(box.c.rank, box.c.id)
                .limit(limit)
                .with_for_update(skip_locked=True, of=box)
                .cte("due")
            )
            taken = connection.execute(
                update(box)
                .where(box.c.id.in_(select(due.c.id)))
                .values(state="sending", lease_owner=self._owner, lease_until=told + lease)
                .returning(box)
            ).mappings()
            found = sorted(taken, key=lambda row: (row["rank"], row["id"]))
        return [
            Row(
                id=row["id"],
                message=Message.from_json(row["body"]),
                route=tuple(row["route"].split(",")),
                hop=row["hop"],
                parts=row["parts"],
                attempts=row["attempts"],
                hop_attempts=row["hop_attempts"],
                stream=row["stream"],
            )
            for row in found
        ]

    def _deliver(self, rows: Sequence[Row]) -> None:
        down: Retry | None = None
        for place, row in enumerate(rows):
            try:
                down = self._deliver_one(row, down) or down
            except SQLAlchemyError:
                # Nothing more is sent that could not be noted; what was claimed is free again as soon as it can be.
                now = self._clock.now()
                self._late += [_Change(left, {"state": "pending", "next_at": now}) for left in rows[place + 1 :]]
                raise

    def _deliver_one(self, row: Row, down: Retry | None) -> Retry | None:
        """Send one message and note how it went; the answer of a channel that is down."""
        if down is not None and not row.has_next:
            # The channel just said it is down: knocking again for every row only takes time.
            self._put_back(row, self._wait(row.hop_attempts + 1, down.after), down.problem)
            return None
        channel = self._channels.get(row.channel)
        if channel is not None and (pause := channel.pause()) > 0 and not (row.has_next and pause > LONG_WAIT):
            self._put_back(row, pause, "")
            return None
        result = self._send(channel, row)
        self._mark(row, result)
        return result if isinstance(result, Retry) else None

    def _send(self, channel: Channel | None, row: Row) -> Delivery:
        if channel is None:
            return Refused(f"渠道 {row.channel} 没有配置")
        if (pause := channel.pause()) > 0:
            return Retry("发送太快，渠道暂停中", after=pause)
        try:
            return channel.send(row.message, skip=row.parts)
        except Exception as error:  # a defect in one channel must not stop the messages of the others
            log.exception("channel %s failed on message %s", row.channel, row.message.key)
            return Retry(f"发送程序出错（{type(error).__name__}）")

    def _wait(self, attempts: int, wished: float | None) -> float:
        longest = self._settings.longest_wait
        if wished is not None:
            return min(longest, wished + random.uniform(0, 1))  # noqa: S311 - jitter is no secret
        ceiling = min(longest, self._settings.first_wait * 2 ** min(attempts - 1, 30))
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter is no secret

    def _mark(self, row: Row, result: Delivery) -> None:
        now = self._clock.now()
        tries = self._settings.ticket_tries if row.message.type.startswith("ticket") else self._settings.tries
        if isinstance(result, Delivered):
            changes: dict[str, Any] = {
                "state": "delivered",
                "finished_at": now,
                "delivered_by": row.channel,
                "receipt": result.receipt[:200],
                "problem": "",
            }
            self._update(row, changes, receipt=result.receipt[:200], now=now)
            return
        problem = f"{row.channel}：{result.problem}"[:500]
        log.warning("message %s not delivered by %s: %s", row.message.key, row.channel, result.problem)
        if isinstance(result, Retry):
            enough = row.hop_attempts + 1 >= tries
            slow = row.has_next and result.after is not None and result.after > LONG_WAIT
            if not enough and not slow:
                wait = self._wait(row.hop_attempts + 1, result.after)
                self._update(
                    row,
                    {
                        "state": "pending",
                        "hop_attempts": row.hop_attempts + 1,
                        "parts": result.parts,
                        "next_at": now + timedelta(seconds=wait),
                        "problem": problem,
                    },
                )
                return
        if row.has_next:
            self._update(
                row,
                {
                    "state": "pending",
                    "hop": row.hop + 1,
                    "hop_attempts": 0,
                    "parts": 0,
                    "next_at": now,
                    "problem": problem,
                },
            )
        else:
            self._update(row, {"state": "failed", "finished_at": now, "problem": problem})

    def _put_back(self, row: Row, wait: float, problem: str) -> None:
        changes: dict[str, Any] = {"state": "pending", "next_at": self._clock.now() + timedelta(seconds=wait)}
        if problem:
            changes["problem"] = f"{row.channel}：{problem}"[:500]
        self._update(row, changes, attempted=False)

    def _update(
        self,
        row: Row,
        changes: Mapping[str, Any],
        *,
        attempted: bool = True,
        receipt: str | None = None,
        now: datetime | None = None,
    ) -> None:
        counted = {"attempts": row.attempts + 1} if attempted else {}
        change = _Change(row, {**counted, **changes}, receipt, now)
        try:
            self._write(change)
        except SQLAlchemyError:
            self._late.append(change)
            raise

    def _write(self, change: _Change) -> None:
        box, tickets, row = table(Outbox), table(Ticket), change.row
        with self._engine.begin() as connection:
            # Only while the lease is ours: another dispatcher may have taken over in the meantime.
            connection.execute(
                update(box)
                .where(box.c.id == row.id, box.c.lease_owner == self._owner, box.c.state == "sending")
                .values(lease_owner=None, lease_until=None, **change.values)
            )
            if change.receipt and row.message.type.startswith("ticket"):
                ticket = connection.execute(select(tickets.c.id).where(tickets.c.key == row.stream)).scalar()
                if ticket is not None:
                    connection.execute(
                        upsert(connection, table(TicketLink)).on_conflict_do_nothing(),
                        {
                            "ticket_id": ticket,
                            "system": row.channel,
                            "external_id": change.receipt,
                            "at": change.now or self._clock.now(),
                        },
                    )


def _lease_clock(connection: Connection, clock: Clock) -> datetime:
    """Now, as all dispatchers on this database have it: SQLite is one machine's, PostgreSQL is asked."""
    if connection.dialect.name != "postgresql":
        return clock.now()
    return connection.execute(select(func.clock_timestamp(type_=UtcDateTime()))).scalar_one()


def send_again(engine: Engine, outbox_id: int, clock: Clock) -> None:
    """A person's "try again" on a failed message: from its first channel, with the same key and body.

    Raises UserError (Chinese) when there is no such failed message.
    """
    box = table(Outbox)
    with engine.begin() as connection:
        changed = connection.execute(
            update(box)
            .where(box.c.id == outbox_id, box.c.state == "failed")
            .values(state="pending", hop=0, parts=0, hop_attempts=0, next_at=clock.now(), finished_at=None)
        )
    if changed.rowcount == 0:
        raise UserError("没有这条发送失败的消息，可能已经重发")
