"""Where an unfinished piece of reading stood: small JSON notes by list, in the state database, that survive kill -9."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Engine, String, Text, delete
from sqlalchemy.orm import Mapped, mapped_column

from crawlers.book import transaction
from ingest.clock import Clock
from ingest.state import Base, UtcDateTime, insert_into


class CrawlPlace(Base):
    """Where an unfinished pass through a list stood: JSON, parameters of the next page."""

    __tablename__ = "crawl_places"

    platform: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(400), primary_key=True)
    place: Mapped[str] = mapped_column(Text)
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Places:
    """One platform's notes. What a note says was read must be in the log before the note is kept."""

    def __init__(self, engine: Engine, platform: str, clock: Clock) -> None:
        self._engine = engine
        self._platform = platform
        self._clock = clock

    def get(self, key: str) -> dict[str, Any] | None:
        with transaction(self._engine) as session:
            row = session.get(CrawlPlace, (self._platform, key[:400]))
            found = None if row is None else orjson.loads(row.place)
        return found if isinstance(found, dict) else None

    def keep(self, key: str, place: dict[str, Any]) -> None:
        with transaction(self._engine) as session:
            values = {"place": orjson.dumps(place).decode(), "kept_at": self._clock.now()}
            statement = insert_into(session.connection(), CrawlPlace.__table__)
            session.execute(
                statement.on_conflict_do_update(index_elements=["platform", "key"], set_=values),
                {"platform": self._platform, "key": key[:400]} | values,
            )

    def drop(self, key: str) -> None:
        with transaction(self._engine) as session:
            session.execute(
                delete(CrawlPlace).where(CrawlPlace.platform == self._platform, CrawlPlace.key == key[:400])
            )
