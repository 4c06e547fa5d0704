"""Where an installation keeps its things: all of it in its home, or on the three servers. The tests are the same."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ingest.privacy import load_secret
from shengwen import cli
from shengwen.home import Home

if TYPE_CHECKING:
    from tests.servers.elastic import ElasticServer
    from tests.servers.kafka import KafkaServer
    from tests.servers.postgres import PostgresServer


@dataclass(frozen=True)
class Place:
    """``head`` and ``tables`` are TOML: keys above all tables, and tables."""

    name: str
    head: str = ""
    tables: str = ""

    @property
    def partitions(self) -> bool:
        """Whether several workers of a stage work at once."""
        return self.name != "embedded"

    def home(self, path: Path, rest: str = "") -> Home:
        """A home with these settings, ready to be worked on. ``rest`` holds more tables."""
        home = Home(path).ensure()
        load_secret(home.secret)
        home.settings.write_text(f"{self.head}\n{rest}\n{self.tables}", "utf-8")
        assert cli.run(["--home", str(path), "prepare"]) == 0
        return home


@pytest.fixture
def distributed(new_place: Callable[[], Place]) -> Place:
    """Topics, an index and a database of one's own on the real servers; nothing is in them yet."""
    return new_place()


@pytest.fixture
def new_place(request: pytest.FixtureRequest) -> Iterator[Callable[[], Place]]:
    """Makes as many of them as a test needs."""
    broker: KafkaServer = request.getfixturevalue("kafka")
    elastic: ElasticServer = request.getfixturevalue("elastic_server")
    state: PostgresServer = request.getfixturevalue("postgres_server")
    with ExitStack() as stack:
        yield lambda: stack.enter_context(on_servers(broker, elastic, state))


@contextmanager
def on_servers(broker: KafkaServer, elastic: ElasticServer, state: PostgresServer) -> Iterator[Place]:
    """One installation's names on the three servers; index and database are dropped at the end."""
    kafka = broker.settings()
    prefix = f"p{uuid.uuid4().hex[:8]}"
    with state.database(template="template1") as url:
        tables = f"""
[log]
backend = "kafka"
[log.kafka]
servers = {json.dumps(kafka.servers)}
prefix = "{kafka.prefix}"
partitions = {kafka.partitions}
session_timeout = {kafka.session_timeout}
[index]
backend = "elasticsearch"
[index.elasticsearch]
hosts = ["{elastic.url}"]
prefix = "{prefix}"
"""
        try:
            yield Place("distributed", f'state_url = "{url}"', tables)
        finally:
            elastic.clean(prefix)


@pytest.fixture(params=["embedded", "distributed"])
def place(request: pytest.FixtureRequest) -> Place:
    """Each in turn."""
    if request.param == "distributed":
        found: Place = request.getfixturevalue("distributed")
        return found
    return Place("embedded")
