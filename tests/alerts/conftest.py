"""What most of the alert room's tests need: a database, a clock that stands still, an engine on both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, select

from alerts.config import AlertSettings, load_settings
from alerts.engine import AlertEngine, TickReport
from alerts.facts import FactStore
from alerts.read import AlertReader
from alerts.tables import Outbox, table
from alerts.tickets import Tickets
from ingest.analysis import ClassifiedMention
from ingest.clock import ManualClock
from ingest.state import make_engine
from tests.alerts.helpers import NOW, hurried, mention, praise

CHANNELS = {
    "channels": [{"name": "phone", "type": "wecom", "url": "http://127.0.0.1:9/send?key=never-called"}],
    "ticket_systems": [{"name": "desk", "url": "http://127.0.0.1:9/hook", "secret": "s"}],
}


@dataclass
class Room:
    """An alert room on one database. ``past`` fills in an ordinary history before ``NOW``."""

    db: Engine
    clock: ManualClock
    settings: AlertSettings
    facts: FactStore = field(init=False)
    engine: AlertEngine = field(init=False)
    read: AlertReader = field(init=False)
    tickets: Tickets = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not in the database."""
        self.facts = FactStore(self.db, self.settings)
        self.engine = AlertEngine(self.db, self.settings, self.clock)
        self.read = AlertReader(self.db, self.settings)
        self.tickets = Tickets(self.db, self.settings, self.clock)

    def absorb(self, *mentions: ClassifiedMention) -> None:
        self.facts.absorb([(m, ("mentions.classified", 0, i)) for i, m in enumerate(mentions)])

    def tick(self, coverage: dict[str, float] | None = None) -> TickReport:
        return self.engine.tick(coverage=coverage)

    def past(self, weeks: int = 8, per_day: int = 1, **given: Any) -> None:
        """``per_day`` negatives and ten times as many contented mentions a day, spread over the clock."""
        batch: list[ClassifiedMention] = []
        for day in range(1, weeks * 7 + 1):
            for number in range(per_day):
                minute = (day * 397 + number * 151) % 1440
                at = NOW - timedelta(days=day, minutes=minute)
                batch.append(mention(at=at, intent="other", **given))
            for number in range(per_day * 10):
                at = NOW - timedelta(days=day, minutes=(day * 211 + number * 131) % 1440)
                batch.append(praise(at=at, source=given.get("source", "jd")))
        self.absorb(*batch)

    def outbox(self, kind: str | None = None) -> Sequence[Any]:
        box = table(Outbox)
        chosen = select(box).order_by(box.c.id)
        if kind is not None:
            chosen = chosen.where(box.c.kind == kind)
        with self.db.connect() as connection:
            return connection.execute(chosen).all()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def settings() -> AlertSettings:
    return load_settings(CHANNELS)


@pytest.fixture
def db(state_url: str) -> Iterator[Engine]:
    """An empty state database: on SQLite, then on PostgreSQL."""
    engine = hurried(make_engine(state_url))
    yield engine
    engine.dispose()


@pytest.fixture
def room(db: Engine, clock: ManualClock, settings: AlertSettings) -> Room:
    return Room(db, clock, settings)


def burst(count: int, *, before: timedelta = timedelta(minutes=30), now: datetime = NOW, **given: Any) -> list[Any]:
    """``count`` negatives of different authors, a minute apart, the first ``before`` now."""
    return [mention(at=now - before + timedelta(minutes=i), **given) for i in range(count)]
