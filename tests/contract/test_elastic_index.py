"""Elasticsearch keeps the index's contract."""

from __future__ import annotations

import pytest

from ingest.clock import ManualClock
from search.elastic.index import ElasticIndex
from tests.contract.index_suite import IndexSuite, Open
from tests.servers.elastic import ElasticServer


class TestElasticIndex(IndexSuite):
    queries = 80  # a thousand more in test_elastic_agrees.py

    @pytest.fixture
    def open_index(self, elastic_server: ElasticServer, elastic_prefix: str, clock: ManualClock) -> Open:
        return lambda: ElasticIndex(elastic_server.settings(elastic_prefix), clock, seed=1)
