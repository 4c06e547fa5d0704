"""Official APIs in trouble: what may pass is asked again, and whoever must act is told what to do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crawlers.official.client import Client
from ingest.log.base import Topics
from tests.alerts.receivers import Got, Reply
from tests.crawlers.official import Fake, FakeDouyin, FakeJos, FakeTop, FakeZhihu
from tests.crawlers.official_runs import jos_keys, once, reviews, top_keys, world


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": "x"}, status=502),
        Reply(b"busy", status=503, headers={"Retry-After": "0"}),
        Reply(b"", status=429, headers={"Retry-After": "1"}),
        Reply(b'{"jingdong_pop', cut=True),
        Reply(b'{"jingdong_pop_PopCommentJsfService_getVend'),
        Reply({"error_response": {"code": "9", "zh_desc": "平台连接后端服务不可用", "en_desc": "Unavailable"}}),
    ],
    ids=["502", "503", "429", "cut", "half", "busy"],
)
def test_what_may_pass_is_asked_again(tmp_path: Path, reply: Reply) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        fake.trouble = once(reply)
        done = home.run(**jos_keys(server))
        assert (done.status, len(home.ids()), home.stopped()) == ("complete", 2, "")


def test_a_platform_that_stays_down_fails_the_run_and_stops_nothing(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        fake.trouble = lambda got: Reply(b"", status=500)
        done = home.run(**jos_keys(server, tries=3))
        assert (done.status, len(server.got), home.stopped()) == ("failed", 3, "")
        assert [(line["status"], line["signal"]) for line in home.audited()] == [(500, "failed")] * 3
        fake.trouble = lambda got: None
        assert home.run(**jos_keys(server)).status == "complete"
        assert len(home.ids()) == 2


def test_a_long_ban_is_left_to_the_next_run(tmp_path: Path) -> None:
    with world(tmp_path, "top", FakeTop, said=reviews(2, every=timedelta(days=1))) as (home, fake, server):
        said = "This ban will last for 86300 more seconds"
        fake.trouble = lambda got: Reply({"error_response": {"code": 7, "msg": "App Call Limited", "sub_msg": said}})
        done = home.run(**top_keys(server))
        assert (done.status, len(server.got), home.stopped()) == ("partial", 1, "")
        assert "86300 秒后再试" in done.reason
        assert [line["signal"] for line in home.audited()] == ["throttled"]


@pytest.mark.parametrize(
    ("api", "fake", "change", "words"),
    [
        ("jos", FakeJos, {"access_token": "stolen"}, ["重新授权", "[crawl.official.jos]"]),
        ("jos", FakeJos, {"app_secret": "wrong"}, ["签名不对", "app_secret"]),
        ("top", FakeTop, {"session": "old"}, ["session 无效或已过期", "重新授权"]),
        ("top", FakeTop, {"app_secret": "wrong"}, ["签名不对", "sign_method"]),
        ("zhihu", FakeZhihu, {"access_secret": "wrong"}, ["access_secret", "本机时钟"]),
        ("douyin", FakeDouyin, {"access_token": "old"}, ["重新授权", "[crawl.official.douyin]"]),
    ],
)
def test_keys_that_are_not_accepted_stop_the_platform_and_say_what_to_do(
    tmp_path: Path, api: str, fake: Callable[..., Fake], change: dict[str, str], words: list[str]
) -> None:
    with world(tmp_path, api, fake) as (home, _, server):
        keys: dict[str, Any] = {
            "jos": jos_keys(server),
            "top": top_keys(server),
            "zhihu": {"url": server.url, "access_secret": "zhihu secret", "keywords": ["暖气片"]},
            "douyin": {"url": server.url, "open_id": "open-1", "access_token": "dy-token", "items": ["@9Vw=="]},
        }[api]
        done = home.run(**keys | change)
        assert (done.status, done.signal, len(server.got)) == ("stopped", "login_required", 1)
        assert all(word in home.stopped() for word in words), home.stopped()
        assert not any(value in home.stopped() + done.reason for value in change.values())
        (told,) = home.coverage()
        assert (told.status, told.signal, told.reason) == ("stopped", "login_required", home.stopped())
        (line,) = home.audited()
        assert (line["why"], line["signal"], line["status"]) == ("official_api", "login_required", 200)


@pytest.mark.parametrize(
    ("reply", "signal", "word"),
    [
        (Reply(b"<html>nginx</html>", content_type="text/html"), "unknown", "不是 JSON"),
        (Reply({"some": "thing"}), "unknown", "需要更新解析代码"),
        (Reply(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}), "unknown", "HTTP 302"),
        (Reply(b"", status=403), "blocked", "白名单"),
        (Reply(b"{" + b" " * 5000), "unknown", "max_bytes"),
    ],
    ids=["html", "shape", "redirect", "403", "long"],
)
def test_an_answer_of_another_shape_is_never_nothing(tmp_path: Path, reply: Reply, signal: str, word: str) -> None:
    with world(tmp_path, "jos", FakeJos) as (home, fake, server):
        fake.trouble = lambda got: reply
        done = home.run(**jos_keys(server, max_bytes=2048))
        assert (done.status, done.signal) == ("stopped", signal)
        assert word in home.stopped()
        assert len(server.got) == 1


def test_broken_records_are_parked_and_their_neighbours_kept(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(4, every=timedelta(days=1))) as (home, fake, server):
        answer = fake.answer

        def broken(got: Got) -> Reply:
            body: Any = answer(got).body
            for one in next(iter(body.values()))["comments"]:
                if one["commentId"] == "10002":
                    one["creationTime"] = "昨晚吧"
            return Reply(body)

        fake.trouble = broken
        done = home.run(**jos_keys(server))
        assert sorted(home.ids()) == ["jd:review:10000", "jd:review:10001", "jd:review:10003"]
        assert sum(home.log.end_offsets(Topics.DEAD_LETTERS).values()) == 1
        assert (done.status, done.coverage[0].dead > 0) == ("complete", True)


def test_a_run_that_is_asked_to_end_does_and_the_next_goes_on(tmp_path: Path) -> None:
    with world(tmp_path, "jos", FakeJos, said=reviews(200, every=timedelta(hours=10))) as (home, fake, server):
        stop = threading.Event()
        fake.trouble = lambda got: stop.set() if len(server.got) == 3 else None
        done = home.run(stop, **jos_keys(server))
        assert (done.status, done.reason, len(server.got)) == ("partial", "被要求停下，下一次接着采", 3)
        home.run(**jos_keys(server))
        assert home.ids() == Counter({f"jd:review:{one.id}": 1 for one in fake.said})


def test_requests_keep_their_pace(tmp_path: Path) -> None:
    with world(tmp_path, "zhihu", FakeZhihu) as (home, _, server):
        slept: list[float] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Client, "_sleep", lambda self, seconds: slept.append(seconds))
            keys: dict[str, Any] = {
                "url": server.url,
                "access_secret": "zhihu secret",
                "keywords": ["暖气", "地暖", "散热器"],
            }
            home.run(**keys, requests_per_minute=20)
        assert slept == [3.0, 3.0]  # the test's clock stands still between requests
