"""What each hour brought: summed once, quiet and silent told apart, compared with the same hour last week."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.coverage import CoverageStore
from alerts.hours import SourceWeek, Yield, weeks
from ingest.coverage import Coverage, Fill
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW
from tests.alerts.test_coverage import crawl


@pytest.fixture
def store(room: Room) -> CoverageStore:
    return CoverageStore(room.db)


def week(room: Room, source: str = "jd") -> SourceWeek:
    with room.db.connect() as connection:
        return weeks(connection, room.clock.now())[source]


def looks(room: Room) -> dict[float, str]:
    """Hours ago (that the hour began) -> what it was like, without those in which nobody looked."""
    top = NOW.replace(minute=0, second=0, microsecond=0)
    cells = [cell for line in week(room).days for cell in line.cells if cell.look != "none"]
    return {(top - cell.hour) / timedelta(hours=1): cell.look for cell in cells}


def at(hours: int, **given: object) -> Coverage:
    """A crawl that ended some minutes after the full hour, so many hours ago."""
    top = NOW.replace(minute=0, second=0, microsecond=0)
    ago = (NOW - top) / timedelta(hours=1) + hours - 0.1
    return crawl(hours_ago=ago, **given)  # type: ignore[arg-type]


def test_an_hour_sums_its_crawls_and_counts_a_delivery_once(room: Room, store: CoverageStore) -> None:
    first, second = at(3, planned=10, got=8, new=5, pages=2), at(2, planned=10, got=10, new=1, dead=1, pages=1)
    other = at(2, query="漏水", got=4, new=4, pages=1)
    store.absorb([first, second, other])
    store.absorb([second])
    store.absorb([first, second, other])
    lines = week(room).days
    assert sum(line.runs for line in lines) == 3
    assert sum(line.new for line in lines) == week(room).new == 10
    assert sum(line.planned for line in lines) == 24  # a crawl that cannot say planned what it got
    assert sum(line.missing for line in lines) == 2
    assert (sum(line.dead for line in lines), sum(line.pages for line in lines)) == (1, 4)
    assert looks(room) == {3: "new", 2: "new"}


def test_quiet_is_not_silent_and_neither_is_not_looking(room: Room, store: CoverageStore) -> None:
    store.absorb(
        [
            at(6, got=3),
            at(5, status="stopped", reason="verification"),
            at(4, status="failed", reason="connection refused"),
            at(2, query="a", status="failed"),
            at(2, query="b", got=1),
        ]
    )
    assert looks(room) == {6: "quiet", 5: "silent", 4: "silent", 2: "quiet"}
    found = week(room)
    assert found.short_reason == ""  # the last of them gave none
    assert found.short_at is not None
    assert NOW - found.short_at < timedelta(hours=3)


def test_the_last_stop_keeps_its_reason_though_a_later_run_of_the_hour_was_cut_short(
    room: Room, store: CoverageStore
) -> None:
    stopped = at(3, status="stopped", reason="captcha page")
    later = stopped.model_copy(
        update={
            "status": "partial",
            "reason": "pages_per_run",
            "finished_at": stopped.finished_at + timedelta(seconds=60),
        }
    )
    store.absorb([stopped, later])
    assert week(room).short_reason == "captcha page"


def test_the_same_hour_last_week_is_compared_only_where_somebody_looked(room: Room, store: CoverageStore) -> None:
    days = 7 * 24
    store.absorb([at(days + 20, got=9, new=9), at(days + 1, got=4, new=4), at(1, got=2, new=2)])
    assert (week(room).hour, week(room).day) == (Yield(2, 4), Yield(2, 13))
    room.clock.advance(3600)
    assert week(room).hour == Yield(None, None)
    assert week(room).day == Yield(2, 13)


def test_a_day_begins_at_midnight_in_beijing(room: Room, store: CoverageStore) -> None:
    midnight = NOW.replace(hour=16, minute=0, second=0, microsecond=0) - timedelta(days=2)
    for minutes, new in ((-5, 1), (5, 2)):
        finished = midnight + timedelta(minutes=minutes)
        store.absorb([crawl(new=new).model_copy(update={"finished_at": finished})])
    assert [line.new for line in week(room).days if line.new] == [1, 2]
    assert len(week(room).days) == 7


def test_what_is_out_of_reach_and_what_fields_hold_is_told(room: Room, store: CoverageStore) -> None:
    fill = Fill(endpoint="jd.list", records=50, fields={"text": 40, "region": 0})
    store.absorb([at(3, unreached=70, fill=(fill,)), at(2, unreached=50, fill=(fill,)), at(2, query="b", got=1)])
    assert week(room).unreached == {"暖气片": 50}
    (endpoint,) = week(room).fills
    assert (endpoint.endpoint, endpoint.records) == ("jd.list", 100)
    assert [(one.name, one.share) for one in endpoint.fields if one.name != "可读的记录"] == [("正文", 0.8)]


def test_old_hours_are_dropped(room: Room, store: CoverageStore) -> None:
    store.absorb([at(24 * 70, new=1, got=1), at(1, new=1, got=1)])
    with room.db.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM source_hours").scalar() == 1
