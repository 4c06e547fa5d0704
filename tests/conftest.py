"""What every room's tests share: a clock that stands still, a log of their own, a fixed secret, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from ingest.clock import ManualClock
from ingest.log.sqlite import SqliteLog
from ingest.privacy import SECRET_BYTES, Privacy
from tests.processes import Nursery
from tests.servers.base import NOT_PROVED
from tests.servers.postgres import (  # noqa: F401 - fixtures
    _sqlite_template,
    empty_state_url,
    module_state_url,
    postgres_server,
    postgres_url,
    state_url,
)

pytest_plugins = ["tests.servers.kafka", "tests.servers.elastic", "tests.servers.places"]


# A busy two-core machine is slow at times: that is no failure of a property. Deterministic: a red run can be repeated.
settings.register_profile(
    "shengwen", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], max_examples=100
)
settings.load_profile("shengwen")

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LAST = "tests/test_zz_leaks.py"
APART = Path(__file__).parent / "torch"
"""Has a virtual environment of its own (``make test-torch``): collected only when it is named."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if collection_path != APART:
        return None
    named = [(config.invocation_params.dir / name.partition("::")[0]).resolve() for name in config.args]
    return None if any(path.is_relative_to(APART) for path in named) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.startswith(LAST))  # stable: only the look for leaks moves to the end


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for server, reason in NOT_PROVED.items():
        terminalreporter.write_line(f"NOT PROVED on {server} in this run: {reason}", yellow=True)


@pytest.fixture
def clock() -> ManualClock:
    """Stands at 2026-01-05 01:00 UTC (a Monday, 09:00 in Beijing) until the test moves it."""
    return ManualClock()


@pytest.fixture
def log(tmp_path: Path, clock: ManualClock) -> Iterator[SqliteLog]:
    """An empty embedded log on the test's own clock."""
    with SqliteLog(tmp_path / "log.db", clock=clock) as opened:
        yield opened


@pytest.fixture
def privacy() -> Privacy:
    """Privacy with a fixed secret: the same author keys in every run."""
    return Privacy(bytes(range(SECRET_BYTES)))


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """Starts real processes cheaply: ``nursery.start(function, *json_arguments)``."""
    with Nursery() as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium() -> Path:
    """A browser's executable. Without one the test is skipped, except in CI, where it fails."""
    from playwright.sync_api import expect

    expect.set_options(timeout=30_000)  # five seconds are short beside other tests
    for name in BROWSERS:
        if found := shutil.which(name):
            return Path(found)
    reason = f"none of {', '.join(BROWSERS)} is on the PATH"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
