"""On a replica that is well, a spider gets what the platform shows: at least 99 of 100 mentions, and none of another's.

The number is printed with ``-s``. What is true is worked out from the story alone (:mod:`tests.crawlers.crowd`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from crawlers.config import PLATFORMS, Platform
from tests.crawlers.crowd import World, running_world
from tests.crawlers.runs import Home
from tests.processes import Nursery

COMPLETE: Final = 0.99
READ_IN_BROWSER: Final = ("xiaohongshu", "douyin")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_world() as running:
        yield running


@pytest.mark.parametrize(
    "platform",
    [pytest.param(one, marks=[pytest.mark.browser] if one in READ_IN_BROWSER else []) for one in PLATFORMS],
)
def test_what_the_platform_shows_is_collected(
    request: pytest.FixtureRequest, world: World, spider_nursery: Nursery, tmp_path: Path, platform: Platform
) -> None:
    if platform in READ_IN_BROWSER:
        request.getfixturevalue("chromium")
    settings: dict[str, Any] = world.settings(platform, world.demo.base_url, timeout=30)
    home = Home(tmp_path / "home", spider_nursery, **{platform: settings})
    report = home.crawl(platform, seconds=110)
    got, truth = set(home.ids()), world.truth(platform)
    share = len(got & truth) / len(truth)
    planned = sum(record.planned or 0 for record in report.coverage)
    print(f"{platform}: {len(got & truth)} of {len(truth)} mentions, completeness {share:.4f}; planned {planned}")
    assert share >= COMPLETE
    assert got <= truth
    assert set(home.ids().values()) == {1}
    assert report.status == "complete", report.reason
    assert planned >= len(truth) * COMPLETE
