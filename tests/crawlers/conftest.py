"""Shared by the spiders' tests: a nursery with Scrapy in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.crawlers.runs import SHARED
from tests.processes import Nursery


@pytest.fixture(scope="session")
def spider_nursery() -> Iterator[Nursery]:
    """Forks spider processes without paying Scrapy's import each time."""
    with Nursery(SHARED) as opened:
        yield opened
