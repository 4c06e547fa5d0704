"""Alerting as the shell runs it: engine, deadlines, delivery; the state database's errors are mapped here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from alerts.channels.registry import make_channels
from alerts.coverage import CoverageStore
from alerts.engine import AlertEngine
from alerts.facts import FactStore
from alerts.outbox import Dispatcher, send_again
from alerts.stops import Stop
from alerts.tickets import Tickets
from crawlers.book import platforms_in
from ingest.errors import UserError
from ingest.state import state_errors

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ingest.analysis import ClassifiedMention
    from ingest.coverage import Coverage
    from shengwen.rooms import Rooms
    from shengwen.web.deps import TicketChange, Verdict

logger = logging.getLogger(__name__)


def standing_stops(connection: Connection) -> list[Stop]:
    """Platforms that stopped and were not resumed yet, as alerts tell them; reads in the caller's transaction."""
    return [
        Stop(
            source=one.platform,
            signal=one.signal,
            reason=one.reason,
            at=one.stopped_at,
            login_at=one.login_at,
            login_lost=one.login_lost_at is not None,
        )
        for one in platforms_in(connection)
        if one.stopped_at is not None
    ]


class Alerting:
    """What the alert stage, the clock and the page call. Thread-safe."""

    def __init__(self, rooms: Rooms) -> None:
        settings = rooms.settings.alerts
        self._facts = FactStore(rooms.engine, settings)
        self._coverage = CoverageStore(rooms.engine)
        self._state, self._clock = rooms.engine, rooms.clock
        self._engine = AlertEngine(rooms.engine, settings, rooms.clock, rooms.routing, standing=standing_stops)
        self._tickets = Tickets(rooms.engine, settings, rooms.clock)
        self._channels = make_channels(settings, rooms.clock)
        for channel in self._channels.values():
            rooms.on_close(channel.close)
        self._dispatcher = Dispatcher(rooms.engine, self._channels, rooms.clock, settings.delivery)

    def absorb(
        self,
        batch: Sequence[tuple[ClassifiedMention, tuple[str, int, int] | None]],
        corrected: Sequence[ClassifiedMention] = (),
    ) -> None:
        """Count classified mentions, once each, judge anew what a person corrected, open what a single one sets off."""
        with state_errors():
            self._facts.absorb(batch)
            self._facts.correct(corrected)
            self._engine.react()

    def absorb_coverage(self, records: Sequence[Coverage]) -> None:
        """Note what crawls told of themselves."""
        with state_errors():
            self._coverage.absorb(records)

    def tick(self) -> None:
        """Judge what is now, open what must be opened, remind of what is due."""
        with state_errors():
            self._engine.tick()

    def dispatch(self, stop: threading.Event) -> None:
        """Deliver what is in the outbox, or until ``stop`` is set."""
        with state_errors():
            while not stop.is_set() and self._dispatcher.run_once():
                pass

    def decide(self, key: str, verdict: Verdict, by: str) -> None:
        """A person says whether an alert was one."""
        with state_errors():
            self._engine.decide(key, verdict, by=by)

    def send_again(self, number: int, by: str) -> None:
        """A person wants a failed message of the outbox delivered after all. Raises UserError when it is none."""
        with state_errors():
            send_again(self._state, number, self._clock)
        logger.info("message %d of the outbox is sent again: asked for by %s", number, by)

    def change_ticket(self, change: TicketChange) -> None:
        """What somebody did to a ticket on the page. Raises UserError."""
        with state_errors():
            if change.status:
                self._tickets.move(change.key, change.status, by=change.by, remark=change.note)
            elif change.note:
                self._tickets.comment(change.key, change.note, by=change.by)
            if change.root_cause is not None:
                self._tickets.set_root_cause(change.key, change.root_cause, by=change.by)
            if change.measure is not None:
                measure = change.measure
                try:
                    due = date.fromisoformat(str(measure.get("due", "")))
                except ValueError:
                    raise UserError("改进措施要写明完成日期") from None
                what, owner = str(measure.get("what", "")), str(measure.get("owner", ""))
                self._tickets.set_measure(change.key, what, owner=owner, due=due, by=change.by)
            if change.verification is not None:
                self._tickets.set_verification(change.key, change.verification, by=change.by)
