from __future__ import annotations

import logging
import time
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from alerts.channels import dingtalk, feishu, webhook, wecom
from alerts.channels.base import (
    Channel,
    Delivered,
    Delivery,
    Limiter,
    Message,
    Refused,
    Retry,
    escape,
    guard_logs,
    retry_after,
    split_bytes,
)
from alerts.channels.dingtalk import DingTalkBot
from alerts.channels.feishu import FeishuBot
from alerts.channels.registry import make_channels
from alerts.channels.webhook import Webhook
from alerts.channels.wecom import WeComBot
from alerts.config import load_settings
from ingest.clock import ManualClock
from tests.alerts import receivers
from tests.alerts.helpers import NOW
from tests.alerts.receivers import Got, Reply, receiver

SECRET = SecretStr("SECdemo")


def message(lines: int = 3, level: str = "一级", link: str = "https://voc.example/alerts/A-1") -> Message:
    return Message(
        key="A-1:1",
        type="alert",
        level=level,
        title="负面激增：K20 漏水渗水",
        lines=("近 1 小时 9 条负面，预期 0.4 条", *[f"> 京东：第{i}句，接口在漏，等了三天" for i in range(lines)]),
        link=link,
        payload=orjson.dumps({"version": 1, "type": "alert", "alert": {"key": "A-1"}}).decode(),
    )


def send(channel: Channel, what: Message | None = None, skip: int = 0) -> Delivery:
    try:
        return channel.send(what or message(), skip=skip)
    finally:
        channel.close()


def test_signatures_match_the_published_vectors() -> None:
    assert feishu.sign("demo", "1599360473") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
    assert dingtalk.sign("SECdemo", "1599360473000") == "tGWkA5eQOQNCNPDgphtxIoNLO%2B%2FgD8Lcb705KQoRzeY%3D"


def test_our_signature_is_verified_and_expires() -> None:
    header = webhook.sign("s", "1700000000", b"{}")
    assert webhook.verify("s", header, b"{}", 1700000100)
    assert not webhook.verify("s", header, b"{ }", 1700000100)
    assert not webhook.verify("x", header, b"{}", 1700000100)
    assert not webhook.verify("s", header, b"{}", 1700000301)
    for broken in ("", "t=,v1=", "t=x,v1=y", "v1=00", "t=1e9,v1=a", "t=é,v1=é"):
        assert not webhook.verify("s", broken, b"{}", 1700000100)


def test_healthy_bots_take_signed_messages() -> None:
    clock = ManualClock(NOW)

    def now() -> float:
        return clock.now().timestamp()

    with receiver(receivers.wecom) as bot:
        assert send(WeComBot("w", SecretStr(f"{bot.url}/cgi-bin/webhook/send?key=right-key"), clock)) == Delivered()
    with receiver(receivers.feishu("SECdemo", now)) as bot:
        assert (
            send(FeishuBot("f", SecretStr(f"{bot.url}/open-apis/bot/v2/hook/abc/"), clock, secret=SECRET))
            == Delivered()
        )
        assert bot.got[0].path == "/open-apis/bot/v2/hook/abc"
        assert bot.got[0].json["card"]["elements"][-1]["actions"][0]["url"] == "https://voc.example/alerts/A-1"  # type: ignore[index]
    with receiver(receivers.dingtalk("SECdemo", now)) as bot:
        assert (
            send(DingTalkBot("d", SecretStr(f"{bot.url}/robot/send?access_token=T"), clock, secret=SECRET))
            == Delivered()
        )
        assert bot.got[0].query["access_token"] == "T"
    with receiver(receivers.desk("SECdemo", now, tickets={})) as desk:
        assert send(Webhook("x", SecretStr(f"{desk.url}/hook"), SECRET, clock)) == Delivered("D-1")
        assert desk.got[0].headers["idempotency-key"] == desk.got[0].headers["x-event-id"] == "A-1:1"


WECOM = [
    ({"errcode": 93000, "errmsg": "invalid webhook url, hint: [abc]"}, Refused),
    ({"errcode": 40058, "errmsg": "markdown.content exceed max length 4096"}, Refused),
    ({"errcode": 45009, "errmsg": "api freq out of limit"}, Retry),
    ({"errcode": -1, "errmsg": "system busy"}, Retry),
    ({"errmsg": "ok"}, Refused),
    ([0], Retry),
]
FEISHU = [
    ({"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}, Refused),
    ({"code": 19002, "msg": "msg_type invalid"}, Refused),
    ({"code": 19021, "msg": "sign match fail"}, Refused),
    ({"code": 19022, "msg": "ip not allowed"}, Refused),
    ({"code": 19024, "msg": "Key Words Not Found"}, Refused),
    ({"code": 9499, "msg": "Bad Request"}, Refused),
    ({"code": 11232, "msg": "frequency limited"}, Retry),
    ({"StatusCode": 0, "StatusMessage": "success"}, Delivered),
    ({"code": 19001, "StatusCode": 0}, Refused),
]
DINGTALK = [
    ({"errcode": 310000, "errmsg": "keywords not in content"}, Refused),
    ({"errcode": 130101, "errmsg": "send too fast"}, Retry),
    ({"errcode": 410100, "errmsg": "throttled"}, Retry),
    ({"errcode": 460101, "errmsg": "message too long"}, Refused),
    ({"errcode": 300001, "errmsg": "token is not exist"}, Refused),
    ({"errcode": 300005, "errmsg": "token is not exist"}, Refused),
    ({"errcode": 400013, "errmsg": "group dissolved"}, Refused),
    ({"errcode": 400101, "errmsg": "x"}, Refused),
    ({"errcode": 40035, "errmsg": "missing parameter json"}, Refused),
    ({"errcode": -1, "errmsg": "busy"}, Retry),
]


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [("wecom", *case) for case in WECOM]
    + [("feishu", *case) for case in FEISHU]
    + [("ding", *case) for case in DINGTALK],
)
def test_an_error_with_http_200_is_judged_by_the_body(kind: str, body: object, expected: type) -> None:
    clock = ManualClock(NOW)
    with receiver(lambda _got: Reply(body)) as bot:
        url = SecretStr(bot.url)
        made: dict[str, Channel] = {
            "wecom": WeComBot("w", url, clock),
            "feishu": FeishuBot("f", url, clock, secret=SECRET),
            "ding": DingTalkBot("d", url, clock),
        }
        try:
            result = made[kind].send(message())
        finally:
            for channel in made.values():
                channel.close()
    assert isinstance(result, expected)


@pytest.mark.parametrize("kind", ["wecom", "feishu", "ding", "webhook"])
@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(b"<html>sign in</html>", content_type="text/html"), Retry),
        (Reply(b"<html>sleeping</html>"), Retry),
        (Reply(b"", status=503), Retry),
        (Reply(b"", status=500), Retry),
        (Reply({}, status=429, headers={"Retry-After": "7"}), Retry),
        (Reply(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}), Refused),
        (Reply({"id": "x", "errcode": 0, "code": 0}, cut=True), Retry),
        (Reply({}, status=410), Refused),
    ],
    ids=["html", "html-as-json", "503", "500", "429", "redirect", "cut", "gone"],
)
def test_http_trouble_is_never_success(kind: str, reply: Reply, expected: type) -> None:
    clock = ManualClock(NOW)
    with receiver(lambda _got: reply) as bot:
        url = SecretStr(bot.url)
        make = {
            "wecom": lambda: WeComBot("w", url, clock),
            "feishu": lambda: FeishuBot("f", url, clock),
            "ding": lambda: DingTalkBot("d", url, clock),
            "webhook": lambda: Webhook("x", url, SECRET, clock),
        }[kind]
        result = send(make())
    assert isinstance(result, expected)
    if isinstance(result, Retry) and reply.status == 429:
        assert result.after == 7
    if reply.status == 410:
        assert isinstance(result, Refused)
        assert result.gone


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"id": "D-1"}, 201, Delivered("D-1")),
        ({"id": 7}, 200, Delivered("7")),
        ({"ok": True}, 200, Retry),
        ({"id": None}, 200, Retry),
        ({"id": True}, 200, Retry),
        ({"error": "no such field"}, 400, Refused),
        ({"error": "bad signature"}, 401, Refused),
        ({"error": "in flight"}, 409, Retry),
    ],
)
def test_a_desk_must_name_what_it_created(body: object, status: int, expected: object) -> None:
    with receiver(lambda _got: Reply(body, status=status)) as desk:
        result = send(Webhook("x", SecretStr(desk.url), SECRET, ManualClock(NOW)))
    assert result == expected or (isinstance(expected, type) and isinstance(result, expected))


def test_a_receiver_that_answers_late_or_not_at_all_is_tried_again() -> None:
    with receiver(lambda _got: Reply({"id": "x"}, delay=1.0)) as desk:
        assert isinstance(send(Webhook("x", SecretStr(desk.url), SECRET, ManualClock(NOW), timeout=0.2)), Retry)
    assert isinstance(send(Webhook("x", SecretStr("http://127.0.0.1:9"), SECRET, ManualClock(NOW))), Retry)


def test_a_wrong_signature_is_signed_once_more_then_refused() -> None:
    with receiver(lambda _got: Reply({"code": 19021, "msg": "sign match fail"})) as bot:
        result = send(FeishuBot("f", SecretStr(bot.url), ManualClock(NOW), secret=SECRET))
        assert len(bot.got) == 2
    assert isinstance(result, Refused)


def test_long_messages_are_split_by_bytes_and_resumed_where_they_broke() -> None:
    clock = ManualClock(NOW)
    failing = {"left": 1}

    def flaky(got: Got) -> Reply:
        if len(bot.got) == 3 and failing["left"]:
            failing["left"] -= 1
            return Reply({"errcode": -1, "errmsg": "busy"})
        return receivers.wecom(got)

    with receiver(flaky) as bot:
        channel = WeComBot("w", SecretStr(f"{bot.url}/?key=right-key"), clock, mobiles=("13800001111",))
        first = channel.send(message(400))
        assert first == Retry("企业微信系统繁忙（-1）", parts=2)
        assert send(channel, message(400), skip=2) == Delivered()
        texts = [got.json for got in bot.got]
    contents = [str(text["markdown"]["content"]) for text in texts if text["msgtype"] == "markdown"]  # type: ignore[index]
    assert all(len(content.encode()) <= 4096 for content in contents)
    assert sum(content.count("第399句") for content in contents) == 1
    assert texts[-1]["text"]["mentioned_mobile_list"] == ["13800001111"]  # type: ignore[index]


@pytest.mark.parametrize("kind", ["feishu", "ding"])
def test_long_messages_fit_the_other_bots_too(kind: str) -> None:
    clock = ManualClock(NOW)
    answer = (receivers.feishu if kind == "feishu" else receivers.dingtalk)("SECdemo", lambda: clock.now().timestamp())
    with receiver(answer) as bot:
        url = SecretStr(f"{bot.url}/?access_token=T" if kind == "ding" else bot.url)
        make = FeishuBot if kind == "feishu" else DingTalkBot
        channel = make("c", url, clock, secret=SECRET)
        assert send(channel, message(900)) == Delivered()
        assert len(bot.got) > 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=12), st.integers(4, 40))
def test_splitting_loses_nothing_and_fits(lines: list[str], limit: int) -> None:
    pieces = split_bytes(lines, limit)
    assert all(len(piece.encode()) <= limit for piece in pieces)
    joined = "".join(pieces).replace("\n", "")
    assert joined == "".join(line.encode("utf-8", "replace").decode() for line in lines).replace("\n", "")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_text_from_outside_cannot_mark_up_mention_or_link(text: str) -> None:
    shown = escape(text)
    assert not set(shown) & set("<>[]`*#_\n\r\u202e\u2066\x00")
    assert "://" not in shown


def test_a_hostile_quote_stays_text() -> None:
    bad = '> 京东：<@all> <font color="warning">x</font> [领奖](https://evil.example) \u202eabc'
    body = WeComBot("w", SecretStr("http://127.0.0.1:9"), ManualClock(NOW))
    try:
        (rendered,) = body.render(Message("k", "alert", "二级", "t", (bad,), "", "{}"))
    finally:
        body.close()
    content = rendered["markdown"]["content"]
    assert "<@all>" not in content
    assert "](https" not in content
    assert "\u202e" not in content


def test_a_missing_keyword_is_added() -> None:
    clock = ManualClock(NOW)
    one = FeishuBot("f", SecretStr("http://127.0.0.1:9"), clock, keyword="舆情")
    two = DingTalkBot("d", SecretStr("http://127.0.0.1:9"), clock, keyword="舆情", mobiles=("13800001111",))
    try:
        assert "舆情" in str(one.render(message()))
        (body,) = two.render(message())
    finally:
        one.close()
        two.close()
    assert "舆情" in body["markdown"]["text"]
    assert "@13800001111" in body["markdown"]["text"]
    assert body["at"]["atMobiles"] == ["13800001111"]


def test_sending_limits_hold_the_twenty_first_message() -> None:
    clock = ManualClock(NOW)
    with receiver(receivers.wecom) as bot:
        channel = WeComBot("w", SecretStr(f"{bot.url}/?key=right-key"), clock)
        results = [channel.send(message(level="二级")) for _ in range(21)]
        assert results[:20] == [Delivered()] * 20
        assert isinstance(results[20], Retry)
        assert len(bot.got) == 20
        assert channel.pause() == pytest.approx(60)
        clock.advance(61)
        assert send(channel) == Delivered()


def test_dingtalks_penalty_mutes_it_for_ten_minutes() -> None:
    clock = ManualClock(NOW)
    with receiver(lambda _got: Reply({"errcode": 130101, "errmsg": "send too fast"})) as bot:
        channel = DingTalkBot("d", SecretStr(bot.url), clock)
        assert channel.send(message()) == Retry("钉钉限流（130101）", after=600.0)
        assert isinstance(send(channel), Retry)
        assert len(bot.got) == 1


def test_limiters_look_at_every_limit() -> None:
    clock = ManualClock(NOW)
    limiter = Limiter(clock, (100, 60.0), (5, 1.0))
    for _ in range(5):
        assert limiter.pause() == 0
        limiter.count()
    assert limiter.pause() == pytest.approx(1)
    clock.advance(1.1)
    assert limiter.pause() == 0


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 3, 4, 6, 0, tzinfo=UTC)
    assert retry_after("12", now) == 12
    assert retry_after("Wed, 04 Mar 2026 06:01:00 GMT", now) == 60
    assert retry_after("Wed, 04 Mar 2026 05:01:00 GMT", now) == 0
    assert retry_after("soon", now) is None
    assert retry_after(None, now) is None


def test_no_secret_in_logs_reprs_or_problems(caplog: pytest.LogCaptureFixture) -> None:
    guard_logs()
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="httpx")  # a command that ran before may have quietened it
    clock = ManualClock(NOW)
    problems = []
    with receiver(
        lambda got: Reply({"errcode": 93000, "errmsg": f"invalid webhook url, see http://x.example{got.path}"})
    ) as bot:
        for url in (f"{bot.url}/hook/TOPSECRET?key=TOPSECRET", "http://127.0.0.1:9/TOPSECRET", "http://[TOPSECRET/"):
            channel = WeComBot("w", SecretStr(url), clock)
            problems.append(repr(channel.__dict__) + repr(send(channel)))
    assert "TOPSECRET" not in caplog.text
    assert "TOPSECRET" not in "".join(problems)
    assert "HTTP Request: POST http://127.0.0.1" in caplog.text


def test_channels_are_made_from_settings() -> None:
    rules = load_settings(
        {
            "channels": [
                {"name": "a", "type": "wecom", "url": "https://x.example/?key=k"},
                {"name": "b", "type": "feishu", "url": "https://x.example/h", "secret": "s"},
                {"name": "c", "type": "dingtalk", "url": "https://x.example/h", "secret": "s"},
                {"name": "d", "type": "webhook", "url": "https://x.example/h", "secret": "s"},
            ],
            "ticket_systems": [{"name": "desk", "url": "https://x.example/h", "secret": "s"}],
        }
    )
    channels = make_channels(rules, ManualClock(NOW))
    try:
        assert list(channels) == ["a", "b", "c", "d", "desk"]
    finally:
        for channel in channels.values():
            channel.close()
    assert "x.example" not in repr(rules)


def test_a_slow_drip_does_not_hold_the_sender() -> None:
    class Ticking(ManualClock):
        def monotonic(self) -> float:
            self.advance(3)
            return super().monotonic()

    with receiver(lambda _got: Reply(b"[" * 5000)) as bot:
        started = time.monotonic()
        assert isinstance(send(Webhook("x", SecretStr(bot.url), SECRET, Ticking(NOW), timeout=1)), Retry)
        assert time.monotonic() - started < 20


def test_wecom_colours_and_link() -> None:
    channel = WeComBot("w", SecretStr("http://127.0.0.1:9"), ManualClock(NOW))
    try:
        (first, *_) = channel.render(message())
        (bare,) = channel.render(message(level="三级", link="alerts/A-1"))
    finally:
        channel.close()
    assert first["markdown"]["content"].startswith('<font color="warning">一级</font>')
    assert "[查看详情](https://voc.example/alerts/A-1)" in first["markdown"]["content"]
    assert "编号：alerts/A-1" in bare["markdown"]["content"]
    assert isinstance(wecom.MARKDOWN_BYTES, int)
