"""What nobody knows the day of is counted, but is no news."""

from __future__ import annotations

from datetime import timedelta

from alerts.config import AlertSettings
from alerts.facts import fact_of, said_at
from tests.factories import CAPTURED, a_classified


def test_an_export_without_dates_wakes_nobody_and_opens_no_ticket() -> None:
    said = {"intent": "complaint", "severity": 7.0, "created_at": CAPTURED}
    dated = a_classified("negative", **said)
    undated = a_classified("negative", created_precision="month", **said)
    assert fact_of(dated, None, AlertSettings())["pending"]
    fact = fact_of(undated, None, AlertSettings())
    assert not fact["pending"]
    assert fact["negative"]
    assert said_at(undated) == CAPTURED - timedelta(days=31)
