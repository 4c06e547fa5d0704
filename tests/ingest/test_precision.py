"""The finer time stays, whatever the order in which revisions come."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingest.mention import Mention
from ingest.precision import dated
from tests.factories import CAPTURED, a_mention

DAY = timedelta(days=1)


def revision(number: int, back: float, precision: str, source: str = "tmall") -> Mention:
    """Captured on day ``number``, said to be written ``back`` days before CAPTURED."""
    captured: Any = CAPTURED + number * DAY
    created = CAPTURED - back * DAY
    return a_mention(
        native_id="121", source=source, captured_at=captured, created_at=created, created_precision=precision
    )


@pytest.mark.parametrize("fine", ["second", "minute", "hour", "day"])
def test_a_finer_time_stays_and_replaces_a_rougher_one(fine: str) -> None:
    old, new = revision(1, 70, fine), revision(2, 60, "month")
    assert dated(new, old) == new.model_copy(update={"created_at": old.created_at, "created_precision": fine})
    old, new = revision(1, 60, "month"), revision(2, 70, fine)
    assert dated(new, old) is new


@pytest.mark.parametrize(
    ("source", "precision", "later_stays"),
    [
        ("tmall", "second", True),
        ("tmall", "minute", True),
        ("tmall", "hour", False),
        ("tmall", "day", False),
        ("tmall", "month", False),
        ("import:shop", "day", True),
        ("import:shop", "month", False),
    ],
)
def test_of_two_equally_fine_times_a_reckoned_one_does_not_drift(
    source: str, precision: str, later_stays: bool
) -> None:
    old, new = revision(1, 3, precision, source), revision(2, 2, precision, source)
    assert dated(new, old).created_at == (new if later_stays else old).created_at


def test_nothing_changes_where_the_times_agree() -> None:
    old, new = revision(1, 3, "day"), revision(2, 3, "day")
    assert dated(new, old) is new
