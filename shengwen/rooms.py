"""Everything a command or the service opens of a home, each part when it is first asked for, closed together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ingest.clock import Clock, SystemClock
from ingest.dead_letters import DeadLetters
from ingest.privacy import Privacy, load_secret
from shengwen.home import Home
from shengwen.settings import Settings, load_settings, state_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from alerts.read import AlertReader
    from alerts.routing import Routing
    from classify.base import Classifier
    from classify.taxonomy import Taxonomy
    from ingest.log.base import EventLog
    from search.base import Index
    from shengwen.alerting import Alerting


class Rooms:
    """One home's parts. Thread-safe once opened; raises what the parts raise (ConfigError, Permanent, Retryable)."""

    def __init__(self, home: Home, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.home = home.ensure()
        self.settings = settings or load_settings(home)
        self.clock = clock or SystemClock()
        self._stack = ExitStack()

    @cached_property
    def log(self) -> EventLog:
        from ingest.log.sqlite import SqliteLog

        return self._stack.enter_context(SqliteLog(self.home.log, clock=self.clock))

    @cached_property
    def index(self) -> Index:
        from search.sqlite import SqliteIndex

        index = SqliteIndex(self.home.index, self.clock)
        self._stack.callback(index.close)
        return index

    @cached_property
    def engine(self) -> Engine:
        from ingest.state import make_engine
        from shengwen.database import migrate

        engine = make_engine(state_url(self.home, self.settings))
        self._stack.callback(engine.dispose)
        migrate(engine)
        return engine

    @cached_property
    def privacy(self) -> Privacy:
        return Privacy(load_secret(self.home.secret))

    @cached_property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.log, self.clock)

    @property
    def taxonomy_path(self) -> Path | None:
        """The file that replaces the shipped taxonomy, or None."""
        chosen = self.settings.classify.taxonomy
        return None if chosen is None else self.home.path / chosen

    @cached_property
    def taxonomy(self) -> Taxonomy:
        from classify.taxonomy import load_taxonomy

        return load_taxonomy(self.taxonomy_path)

    @cached_property
    def classifier(self) -> Classifier:
        from classify.load import load_classifier

        return load_classifier(self.taxonomy_path, brand_words=self.settings.brand.all_words)

    @cached_property
    def routing(self) -> Routing:
        from shengwen.routing import routing_from

        return routing_from(self.taxonomy)

    @cached_property
    def alerting(self) -> Alerting:
        from shengwen.alerting import Alerting

        return Alerting(self)

    @cached_property
    def reader(self) -> AlertReader:
        from alerts.read import AlertReader

        return AlertReader(self.engine)

    def on_close(self, action: Callable[[], object]) -> None:
        """Call ``action`` when these rooms are closed."""
        self._stack.callback(action)

    def close(self) -> None:
        """Close what was opened; idempotent."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
