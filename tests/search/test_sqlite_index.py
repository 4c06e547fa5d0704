"""The embedded index keeps the contract, and what it promises beyond it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.clock import ManualClock
from search.sqlite import SqliteIndex
from tests.contract.index_suite import IndexSuite, Open


class TestSqliteIndex(IndexSuite):
    @pytest.fixture
    def open_index(self, tmp_path: Path, clock: ManualClock) -> Open:
        return lambda: SqliteIndex(tmp_path / "index.db", clock)
