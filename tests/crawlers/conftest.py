"""Shared by the spiders' tests: a nursery with Scrapy in it, a home, a replica that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crawlers.replica import Replica, running_replica
from tests.crawlers.runs import SHARED, Home
from tests.processes import Nursery


@pytest.fixture(scope="session")
def spider_nursery() -> Iterator[Nursery]:
    """Forks spider processes without paying Scrapy's import each time."""
    with Nursery(SHARED) as opened:
        yield opened


@pytest.fixture
def home(tmp_path: Path, spider_nursery: Nursery) -> Home:
    return Home(tmp_path / "home", spider_nursery)


@pytest.fixture(scope="module")
def replica() -> Iterator[Replica]:
    with running_replica() as running:
        yield running
