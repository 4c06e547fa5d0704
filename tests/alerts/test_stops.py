"""A stop is told once, by whoever looks first, with what a person must do; and a silence that it explains is not."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from alerts.coverage import CoverageStore
from alerts.engine import AlertEngine
from alerts.stops import Stop
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW
from tests.alerts.test_coverage import crawl

STOPPED = Stop("zhihu", "login_required", "zhihu.feeds: 知乎要求登录", NOW, NOW - timedelta(hours=50), True)


class Collector:
    """Who collects: what stands still, and how often it was asked in a transaction."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.standing: list[Stop] = []

    def __call__(self, connection: Connection) -> Sequence[Stop]:
        assert connection.in_transaction()
        return tuple(self.standing)

    def engine(self) -> AlertEngine:
        """Another process's, on the same database."""
        return AlertEngine(self.room.db, self.room.settings, self.room.clock, standing=self)


@pytest.fixture
def collector(room: Room) -> Collector:
    return Collector(room)


def told(room: Room) -> list[tuple[str, str, str]]:
    return [(alert.kind, alert.level, alert.title) for alert in room.read.alerts()]


def test_a_stop_is_told_once_over_ticks_restarts_and_processes(room: Room, collector: Collector) -> None:
    collector.standing = [STOPPED]
    assert len(collector.engine().tick().stopped) == 1
    for _ in range(3):
        room.clock.advance(3600)
        assert not collector.engine().tick().stopped
    assert told(room) == [("stop", "二级", "采集已停：知乎（登录已失效）")]
    (message,) = room.outbox("alert")
    for words in ("shengwen login zhihu", "按“恢复”", "上次登录在 "):
        assert words in message.body
    assert "zhihu.feeds" not in message.body  # a parser's word is for the sources page
    assert room.read.open_alerts()[0].ticket is None


def test_processes_that_look_at_once_tell_it_once(room: Room, collector: Collector) -> None:
    collector.standing = [STOPPED]
    together = threading.Barrier(4)
    failed: list[BaseException] = []

    def look() -> None:
        engine = collector.engine()
        together.wait(30)
        try:
            engine.tick()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert len(told(room)) == len(room.outbox("alert")) == 1


def test_who_dies_before_the_commit_leaves_it_to_the_next(
    room: Room, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    collector.standing = [STOPPED]
    engine = collector.engine()
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_silence", _die)
        with pytest.raises(KeyboardInterrupt):
            engine.tick()
    assert (told(room), list(room.outbox("alert"))) == ([], [])
    collector.engine().tick()
    assert len(told(room)) == len(room.outbox("alert")) == 1


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_resumed_platform_that_stops_again_is_told_again(room: Room, collector: Collector) -> None:
    collector.standing = [STOPPED]
    collector.engine().tick()
    collector.standing = []
    room.clock.advance(60)
    collector.engine().tick()
    assert room.read.open_alerts() == []
    room.clock.advance(60)
    collector.standing = [Stop("zhihu", "verification", "", room.clock.now())]
    collector.engine().tick()
    collector.engine().tick()
    assert [title for _, _, title in told(room)] == ["采集已停：知乎（平台要求验证）", "采集已停：知乎（登录已失效）"]
    assert len(room.outbox("alert")) == 2


def test_a_dismissed_stop_is_not_told_again_while_it_stands(room: Room, collector: Collector) -> None:
    collector.standing = [STOPPED]
    (key,) = collector.engine().tick().stopped
    room.engine.decide(key, "dismissed", by="王")
    room.clock.advance(timedelta(days=3).total_seconds())
    assert not collector.engine().tick().stopped
    assert len(room.outbox("alert")) == 1


def test_a_stop_is_no_silence_besides_and_a_resumed_source_gets_its_time(room: Room, collector: Collector) -> None:
    store = CoverageStore(room.db)
    store.absorb([crawl("stopped", source="zhihu", signal="login_required")])
    collector.standing = [STOPPED]
    collector.engine().tick()
    room.clock.advance(timedelta(days=3).total_seconds())
    collector.engine().tick()
    assert [kind for kind, *_ in told(room)] == ["stop"]
    collector.standing = []
    collector.engine().tick()
    room.clock.advance(timedelta(hours=25).total_seconds())
    collector.engine().tick()
    assert [kind for kind, *_ in told(room)] == ["stop"]
    room.clock.advance(timedelta(hours=2).total_seconds())
    collector.engine().tick()  # resumed, and yet nothing was ever heard again
    assert sorted(kind for kind, *_ in told(room)) == ["silence", "stop"]


def test_a_source_that_stops_only_in_part_is_told_too(room: Room, collector: Collector) -> None:
    store = CoverageStore(room.db)
    store.absorb([crawl(source="zhihu"), crawl("stopped", source="zhihu", query="散热器", signal="blocked")])
    collector.standing = [Stop("zhihu", "blocked", "HTTP 403", NOW)]
    collector.engine().tick()
    assert told(room) == [("stop", "二级", "采集已停：知乎（平台拒绝访问）")]


@pytest.mark.parametrize(
    ("signal", "reason", "title", "advice"),
    [
        ("login_required", "jd.productPageComments: 京东要求登录", "平台要求登录", "shengwen login jd"),
        ("login_required", "京东开放平台（错误码 19）：请重新授权", "密钥或授权无效", "错误码 19"),
        ("verification", "", "平台要求验证", "shengwen login jd"),
        ("throttled", "HTTP 429", "平台嫌请求太多", "requests_per_hour"),
        ("blocked", "HTTP 403", "平台拒绝访问", "歇一天"),
        ("blocked", "jd.productPageComments: 京东给了空答复", "平台拒绝访问", "可改在浏览器里读商品页"),
        ("blocked", "tmall.traderates: 淘宝开放平台拒绝了（code 9）", "平台拒绝访问", "歇一天"),
        ("unknown", "zhihu.feeds: 答复为空", "应答看不懂", "改版"),
    ],
)
def test_every_signal_says_in_chinese_what_to_do(
    room: Room, collector: Collector, signal: str, reason: str, title: str, advice: str
) -> None:
    collector.standing = [Stop("jd", signal, reason, NOW)]
    collector.engine().tick()
    (message,) = room.outbox("alert")
    assert f"采集已停：京东（{title}）" in message.body
    assert advice in message.body
    assert "恢复" in message.body
