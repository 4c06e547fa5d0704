from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from alerts.coverage import CoverageStore, completeness, cut_off_in
from alerts.read import AlertReader
from ingest.coverage import Coverage
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW


def crawl(status: str = "complete", source: str = "jd", hours_ago: float = 0.1, **given: Any) -> Coverage:
    finished = NOW - timedelta(hours=hours_ago)
    return Coverage(
        source=source,
        query=given.pop("query", "暖气片"),
        status=status,  # type: ignore[arg-type]
        started_at=finished - timedelta(minutes=4),
        finished_at=finished,
        **given,
    )


@pytest.fixture
def store(room: Room) -> CoverageStore:
    return CoverageStore(room.db)


def shares(room: Room) -> dict[str, float]:
    with room.db.connect() as connection:
        return completeness(connection, room.settings, room.clock.now())


def test_the_newest_record_of_each_query_counts_once(room: Room, store: CoverageStore) -> None:
    old, new = crawl("stopped", hours_ago=2), crawl("complete")
    assert store.absorb([new, old]) == 2
    assert store.absorb([old]) == 0
    assert store.absorb([new]) == 0
    assert shares(room) == {"jd": 1.0}


@pytest.mark.parametrize(
    ("record", "share"),
    [
        (crawl("complete", got=3), 1.0),
        (crawl("partial", planned=10, got=4), 0.4),
        (crawl("partial", got=4), 0.5),
        (crawl("stopped", signal="verification"), 0.0),
        (crawl("failed"), 0.0),
        (crawl("complete", hours_ago=40), 0.0),
    ],
)
def test_completeness(room: Room, store: CoverageStore, record: Coverage, share: float) -> None:
    store.absorb([record])
    assert shares(room) == {"jd": share}


def test_one_of_two_queries_stopped_is_half_blind_not_silent(room: Room, store: CoverageStore) -> None:
    store.absorb([crawl("complete"), crawl("stopped", query="散热器", reason="login_required")])
    assert shares(room) == {"jd": 0.5}
    (source,) = room.read.sources(NOW)
    assert source.state == "partial"


def test_a_source_gone_silent_is_told_once_per_stop(room: Room, store: CoverageStore) -> None:
    store.absorb([crawl("stopped", signal="login_required", reason="需要重新登录")])
    for _ in range(4):
        room.clock.advance(600)
        room.tick()
    (alert,) = room.read.open_alerts()
    assert (alert.kind, alert.level, alert.ticket) == ("silence", "二级", None)
    assert "京东" in alert.title
    assert len(room.outbox("alert")) == 1
    assert "需要重新登录" in room.outbox("alert")[0].body
    (source,) = room.read.sources(room.clock.now())
    assert (source.state, source.reason) == ("silent", "需要重新登录")
    back = room.clock.now()
    store.absorb([Coverage(source="jd", query="暖气片", status="complete", started_at=back, finished_at=back)])
    room.tick()
    assert room.read.open_alerts() == []
    again = room.clock.now() + timedelta(minutes=5)
    room.clock.jump(again)
    store.absorb([Coverage(source="jd", query="暖气片", status="failed", started_at=again, finished_at=again)])
    room.tick()
    assert len(room.outbox("alert")) == 2


def test_a_crawl_that_reports_no_more_is_silent_and_an_import_is_not(room: Room, store: CoverageStore) -> None:
    store.absorb([crawl(hours_ago=40), crawl(source="import:hotline", hours_ago=40)])
    room.tick()
    assert [alert.title for alert in room.read.open_alerts()] == ["来源中断：京东"]
    assert "import:hotline" not in shares(room)


def test_a_tick_reads_completeness_by_itself(room: Room, store: CoverageStore) -> None:
    room.past(weeks=1)
    store.absorb([crawl("stopped")])
    assert room.tick().unknown == 1


def test_what_a_search_did_not_show_is_told_beside_why_it_is_not_whole(room: Room, store: CoverageStore) -> None:
    parts = ("图文（半年内的看全了）", "K20：全部")
    store.absorb([crawl("partial", reason="pages_per_run: 300 pages read", cut_off=parts)])
    reader = AlertReader(room.db, room.settings)
    (query,) = reader.sources(room.clock.now())[0].queries
    assert query.reason.startswith("pages_per_run: 300 pages read；")
    assert cut_off_in(query.reason).startswith("分开搜过，仍被平台截断的有 2 部分（图文（半年内的看全了），K20：全部）")
    store.absorb([crawl("complete", hours_ago=0)])
    (query,) = reader.sources(room.clock.now())[0].queries
    assert (query.reason, cut_off_in(query.reason)) == ("", "")


def test_a_record_is_written_without_parts_when_none_was_cut_off() -> None:
    assert "cut_off" not in crawl().model_dump()
    assert Coverage.model_validate(crawl(cut_off=("全部",)).model_dump()).cut_off == ("全部",)
