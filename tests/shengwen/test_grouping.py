"""Copies on their way through the stages: grouped, kept over replays and rebuilding, gone with who wrote them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.analysis import classified_from_json
from ingest.clock import ManualClock
from ingest.copies import REMEMBERED
from ingest.log.base import Outgoing, Topics
from ingest.mention import Author, Mention
from search.query import parse_query
from shengwen.chores import Chores
from shengwen.commands.doctor import examine
from shengwen.forgetting import forget
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import CLASSIFY, INDEX, build_stage
from tests.factories import CAPTURED, a_mention
from tests.processes import wait_until

LEAK = "客厅装了三组钢制暖气片，用到第二个月接口开始漏水，地板泡坏了一大片，客服让我等通知"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def rooms(home: Home, clock: ManualClock) -> Iterator[Rooms]:
    with Rooms(home, clock=clock) as opened:
        yield opened


def said(number: int, text: str = LEAK, **fields: object) -> Mention:
    return a_mention(native_id=number, text=text, **fields)


def pass_on(rooms: Rooms, *mentions: Mention) -> None:
    """Collect, classify, index."""
    rooms.log.produce(Topics.COLLECTED, [Outgoing(one.id, one.to_json()) for one in mentions])
    for name in (CLASSIFY, INDEX):
        build_stage(name, rooms).drain()


def found(rooms: Rooms, query: str) -> list[str]:
    return sorted(m.id for m in rooms.index.scan(parse_query(query, now=rooms.clock.now())))


def streamed(rooms: Rooms) -> list[tuple[str, str | None, str | None]]:
    """What ``mentions.classified`` holds."""
    with rooms.log.consumer(Topics.CLASSIFIED, "test") as consumer:
        records = list(consumer.poll(1_000, 10.0))
    read = [classified_from_json(record.value) for record in records]
    return [(one.id, one.group, one.likeness) for one in read]


def test_what_is_streamed_and_indexed_carries_its_group(rooms: Rooms) -> None:
    pass_on(rooms, said(1), said(2, "质量很好"), said(3, f"{LEAK}！"))
    pass_on(rooms, said(4, LEAK.replace("第二个月", "第三个月")), said(1))
    assert streamed(rooms) == [
        ("jd:review:1", "jd:review:1", None),
        ("jd:review:2", None, None),
        ("jd:review:3", "jd:review:1", "exact"),
        ("jd:review:4", "jd:review:1", "near"),
        ("jd:review:1", "jd:review:1", None),
    ]
    assert found(rooms, "group:jd:review:1") == ["jd:review:1", "jd:review:3", "jd:review:4"]
    assert found(rooms, "相似:是") == ["jd:review:3", "jd:review:4"]


def test_the_doctor_counts_groups(rooms: Rooms, home: Home) -> None:
    pass_on(rooms, said(1), said(2), said(3, LEAK[::-1]))
    [line] = [check for check in examine(home)["checks"] if check["name"] == "相似"]
    assert line["ok"]
    assert line["detail"].startswith("1 组")
    assert "共 2 条" in line["detail"]


def test_a_forgotten_authors_words_are_no_longer_known_even_when_read_again(rooms: Rooms, clock: ManualClock) -> None:
    author = Author(key="a" * 24)
    pass_on(rooms, said(1, author=author))
    forget(rooms, "a" * 24)
    assert rooms.copies.counts() == (0, 0)
    # Still in the log, and delivered once more: its fingerprint must not come back.
    pass_on(rooms, said(1, author=author))
    clock.advance(3600)
    pass_on(rooms, said(2, captured_at=CAPTURED + timedelta(hours=1)))
    assert found(rooms, "") == ["jd:review:2"]
    assert found(rooms, "group:jd:review:2 copies:no") == ["jd:review:2"]


def test_the_chores_prune_what_was_not_seen_for_long(rooms: Rooms, clock: ManualClock) -> None:
    pass_on(rooms, said(1), said(2))
    assert rooms.copies.counts() == (1, 2)
    clock.advance(REMEMBERED.total_seconds() + 60)
    stop = threading.Event()
    chores = Chores(rooms, stop)
    chores.start()
    try:
        wait_until(lambda: rooms.copies.counts() == (0, 0), 60, "the pruning of fingerprints")
    finally:
        stop.set()
        chores.stop()
