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
from shengwen.settings import Settings, load_settings, log_settings, secret_path, state_url

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from alerts.config import AlertSettings
    from alerts.read import AlertReader
    from alerts.routing import Routing
    from classify.base import Classifier
    from classify.corrections import Corrections
    from classify.taxonomy import Taxonomy
    from ingest.copies import Copies
    from ingest.log.base import EventLog
    from search.base import Index
    from search.elastic.index import ElasticIndex
    from shengwen.alerting import Alerting


def taxonomy_path(home: Home, settings: Settings) -> Path | None:
    """The file that replaces the shipped taxonomy, or None."""
    chosen = settings.classify.taxonomy
    return None if chosen is None else home.path / chosen


def build_classifier(home: Home, settings: Settings) -> Classifier:
    """The classifier of the settings; what it raises, ``classify.load`` says. Touches nothing in the home."""
    from classify.load import load_classifier

    return load_classifier(
        taxonomy_path(home, settings),
        settings.brand.all_words,
        model=settings.classify.model,
        labels=settings.classify.labels,
        base=home.path,
    )


class Rooms:
    """One home's parts. Thread-safe once opened; raises what the parts raise (ConfigError, Permanent, Retryable)."""

    def __init__(self, home: Home, settings: Settings | None = None, clock: Clock | None = None) -> None:
        self.home = home.ensure()
        self.settings = settings or load_settings(home)
        self.clock = clock or SystemClock()
        self._stack = ExitStack()

    @cached_property
    def log(self) -> EventLog:
        from ingest.log.opening import open_log

        return self._stack.enter_context(open_log(log_settings(self.home, self.settings), self.home.log, self.clock))

    @cached_property
    def index(self) -> Index:
        if self.settings.index.backend == "elasticsearch":
            return self.elastic
        from search.sqlite import SqliteIndex

        index = SqliteIndex(self.home.index, self.clock)
        self._stack.callback(index.close)
        return index

    @cached_property
    def elastic(self) -> ElasticIndex:
        """The index on Elasticsearch, also where the settings choose the embedded one."""
        from search.elastic.index import ElasticIndex

        settings = self.settings.index.elasticsearch
        if settings.ca_file is not None:
            settings = settings.model_copy(update={"ca_file": self.home.path / settings.ca_file})
        index = ElasticIndex(settings, self.clock)
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
    def secret(self) -> bytes:
        """The installation's secret: made in a home that has none yet, never where a setting names it."""
        return load_secret(secret_path(self.home, self.settings), make=self.settings.secret_file is None)

    @cached_property
    def privacy(self) -> Privacy:
        return Privacy(self.secret)

    @cached_property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.log, self.clock)

    @cached_property
    def taxonomy(self) -> Taxonomy:
        from classify.taxonomy import load_taxonomy

        return load_taxonomy(taxonomy_path(self.home, self.settings))

    @cached_property
    def classifier(self) -> Classifier:
        return build_classifier(self.home, self.settings)

    @cached_property
    def corrections(self) -> Corrections:
        from classify.corrections import Corrections

        return Corrections(self.engine, self.clock)

    @cached_property
    def copies(self) -> Copies:
        from ingest.copies import Copies

        return Copies(self.engine, self.clock)

    @cached_property
    def routing(self) -> Routing:
        from shengwen.routing import routing_from

        return routing_from(self.taxonomy)

    @cached_property
    def alert_settings(self) -> AlertSettings:
        from shengwen.pacing import patient

        return patient(self.settings.alerts, self.settings.crawl, self.settings.schedule.crawl_every)

    @cached_property
    def alerting(self) -> Alerting:
        from shengwen.alerting import Alerting

        return Alerting(self)

    @cached_property
    def reader(self) -> AlertReader:
        from alerts.read import AlertReader

        return AlertReader(self.engine, self.alert_settings)

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
