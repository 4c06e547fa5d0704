"""The fake group bots answer as the real ones do; the vectors are those of the channels' documentation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from ingest.clock import ManualClock
from shengwen.demo.bots import CHANNELS, ERRORS, BotKeys, Bots, Channel, dingtalk_sign, feishu_sign
from shengwen.demo.server import DemoServer
from shengwen.demo.story import Story
from tests.shengwen.demo_kit import START, plain_client

Said = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[DemoServer, ManualClock]]:
    clock = ManualClock(START)
    with DemoServer(Story(1, START), clock, bots=Bots(clock, BotKeys(keywords=("预警",)))) as demo:
        yield demo, clock


@pytest.fixture
def bots(server: tuple[DemoServer, ManualClock]) -> Iterator[Bots]:
    demo, clock = server
    clock.advance(3600)  # the rates forget
    yield demo.bots
    for channel in CHANNELS:
        demo.bots.set_answer(channel, None)


@pytest.fixture
def client(server: tuple[DemoServer, ManualClock]) -> Iterator[httpx.Client]:
    with plain_client(server[0].base_url) as made:
        yield made


@pytest.fixture
def clock(server: tuple[DemoServer, ManualClock]) -> ManualClock:
    return server[1]


def wecom(client: httpx.Client, bots: Bots, message: object, key: str | None = None) -> Said:
    response = client.post("/bots/wecom/cgi-bin/webhook/send", params={"key": key or bots.keys.wecom_key}, json=message)
    assert response.status_code == 200
    said: Said = response.json()
    return said


def feishu(
    client: httpx.Client, bots: Bots, clock: ManualClock, message: Said, *, off: int = 0, secret: str = ""
) -> Said:
    stamp = str(int(clock.now().timestamp()) + off)
    signed = {"timestamp": stamp, "sign": feishu_sign(stamp, secret or bots.keys.feishu_secret)} | message
    said: Said = client.post(f"/bots/feishu/open-apis/bot/v2/hook/{bots.keys.feishu_token}", json=signed).json()
    return said


def dingtalk(client: httpx.Client, bots: Bots, clock: ManualClock, message: object, *, off: int = 0) -> Said:
    stamp = str(int(clock.now().timestamp() * 1000) + off)
    sign = quote(dingtalk_sign(stamp, bots.keys.dingtalk_secret), safe="")
    query = f"access_token={bots.keys.dingtalk_token}&timestamp={stamp}&sign={sign}"
    said: Said = client.post(f"/bots/dingtalk/robot/send?{query}", json=message).json()
    return said


def text(words: str) -> Said:
    return {"msgtype": "text", "text": {"content": words}}


def test_signatures_equal_the_documented_vectors() -> None:
    assert feishu_sign("1599360473", "demo") == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
    assert (
        quote(dingtalk_sign("1599360473000", "SECdemo"), safe="")
        == "tGWkA5eQOQNCNPDgphtxIoNLO%2B%2FgD8Lcb705KQoRzeY%3D"
    )


def test_wecom_takes_text_and_markdown_and_shows_mentions(client: httpx.Client, bots: Bots) -> None:
    message = {"msgtype": "text", "text": {"content": "一级预警", "mentioned_mobile_list": ["13800001111"]}}
    assert wecom(client, bots, message) == {"errcode": 0, "errmsg": "ok"}
    assert wecom(client, bots, {"msgtype": "markdown", "markdown": {"content": "**漏水**"}})["errcode"] == 0
    last = client.get("/bots/messages.json", params={"channel": "wecom"}).json()["messages"][-2:]
    assert [one["text"] for one in last] == ["一级预警", "**漏水**"]
    assert last[0]["mentions"] == ["13800001111"]


def test_wecom_counts_bytes_not_characters(client: httpx.Client, bots: Bots) -> None:
    fits, over = "漏" * 1365 + "a", "漏" * 1366
    assert wecom(client, bots, {"msgtype": "markdown", "markdown": {"content": fits}})["errcode"] == 0
    refused = wecom(client, bots, {"msgtype": "markdown", "markdown": {"content": over}})
    assert refused["errcode"] == 40058
    assert refused["errmsg"].startswith("markdown.content exceed max length 4096")
    assert wecom(client, bots, text("漏" * 683))["errcode"] == 40058


@pytest.mark.parametrize("message", [{}, [], {"msgtype": "text"}, {"msgtype": "nonsense"}, text(""), {"msgtype": 7}])
def test_wecom_refuses_malformed_messages(client: httpx.Client, bots: Bots, message: object) -> None:
    assert wecom(client, bots, message)["errcode"] == 40058


def test_wecom_refuses_a_wrong_key_and_more_than_twenty_a_minute(
    client: httpx.Client, bots: Bots, clock: ManualClock
) -> None:
    assert wecom(client, bots, text("x"), key="wrong")["errcode"] == 93000
    assert [wecom(client, bots, text(f"第{n}条"))["errcode"] for n in range(21)] == [0] * 20 + [45009]
    clock.advance(61)
    assert wecom(client, bots, text("又能发了"))["errcode"] == 0


CARD: Said = {
    "msg_type": "interactive",
    "card": {
        "header": {"title": {"tag": "plain_text", "content": "一级预警"}, "template": "red"},
        "elements": [
            {"tag": "markdown", "content": "**漏水** 7 条"},
            {"tag": "div", "text": {"tag": "lark_md", "content": "期望 1.2"}},
            {
                "tag": "action",
                "actions": [
                    {"tag": "button", "text": {"tag": "plain_text", "content": "查看"}, "url": "https://x.invalid/"}
                ],
            },
        ],
    },
}


def test_feishu_takes_a_signed_card_and_flattens_it(client: httpx.Client, bots: Bots, clock: ManualClock) -> None:
    said = feishu(client, bots, clock, CARD)
    assert (said["code"], said["StatusCode"], said["msg"]) == (0, 0, "success")
    shown = bots.wall.messages("feishu")[-1]
    assert (shown.title, shown.text, shown.colour) == ("一级预警", "**漏水** 7 条\n期望 1.2", "red")
    assert shown.links == (("查看", "https://x.invalid/"),)
    rows = [[{"tag": "text", "text": "漏水"}, {"tag": "at", "user_id": "x"}]]
    post = {"msg_type": "post", "content": {"post": {"zh_cn": {"title": "预警", "content": rows}}}}
    assert feishu(client, bots, clock, post)["code"] == 0


def test_feishu_checks_signature_window_keyword_type_and_size(
    client: httpx.Client, bots: Bots, clock: ManualClock
) -> None:
    words = {"msg_type": "text", "content": {"text": "预警 漏水"}}
    assert feishu(client, bots, clock, words, off=-3599)["code"] == 0
    assert feishu(client, bots, clock, words, off=-3601)["code"] == 19021
    assert feishu(client, bots, clock, words, off=3700)["code"] == 19021
    assert feishu(client, bots, clock, words, secret="wrong")["code"] == 19021
    assert feishu(client, bots, clock, {"msg_type": "text", "content": {"text": "没有关键词"}})["code"] == 19024
    assert feishu(client, bots, clock, {"msg_type": "nonsense", "content": {"text": "预警"}})["code"] == 19002
    assert feishu(client, bots, clock, {"msg_type": "text", "content": '{"text":"预警"}'})["code"] == 9499
    assert feishu(client, bots, clock, {"msg_type": "text", "content": {"text": "预警" * 4000}})["code"] == 9499
    wrong = client.post("/bots/feishu/open-apis/bot/v2/hook/other", json=words)
    assert wrong.json()["code"] == 19001
    broken = client.post(f"/bots/feishu/open-apis/bot/v2/hook/{bots.keys.feishu_token}", content=b"{")
    assert (broken.status_code, broken.json()["code"]) == (400, 9499)


def test_feishu_takes_five_a_second(client: httpx.Client, bots: Bots, clock: ManualClock) -> None:
    words = {"msg_type": "text", "content": {"text": "预警"}}
    assert [feishu(client, bots, clock, words)["code"] for _ in range(6)] == [0] * 5 + [11232]
    clock.advance(1.1)
    assert feishu(client, bots, clock, words)["code"] == 0


def markdown(words: str) -> Said:
    at = {"atMobiles": ["13800001111"], "isAtAll": False}
    return {"msgtype": "markdown", "markdown": {"title": "一级预警", "text": words}, "at": at}


def test_dingtalk_takes_signed_markdown(client: httpx.Client, bots: Bots, clock: ManualClock) -> None:
    assert dingtalk(client, bots, clock, markdown("### 漏水 7 条\n@13800001111")) == {"errcode": 0, "errmsg": "ok"}
    shown = bots.wall.messages("dingtalk")[-1]
    assert (shown.title, shown.mentions) == ("一级预警", ("13800001111",))


def test_dingtalk_checks_token_sign_window_keyword_and_size(
    client: httpx.Client, bots: Bots, clock: ManualClock
) -> None:
    assert dingtalk(client, bots, clock, markdown("漏水"), off=-3_601_000)["errcode"] == 310000
    assert dingtalk(client, bots, clock, markdown("漏" * 7000))["errcode"] == 460101
    assert dingtalk(client, bots, clock, text("没有关键词"))["errcode"] == 310000
    assert dingtalk(client, bots, clock, {"msgtype": "markdown"})["errcode"] == 40035
    token = bots.keys.dingtalk_token
    assert client.post("/bots/dingtalk/robot/send?access_token=other", json={}).json()["errcode"] == 300001
    assert client.get(f"/bots/dingtalk/robot/send?access_token={token}").json()["errcode"] == 43002
    plain = client.post(f"/bots/dingtalk/robot/send?access_token={token}", content=b"{}")
    assert plain.json()["errcode"] == 43004


def test_dingtalk_refuses_a_sign_that_was_encoded_twice(client: httpx.Client, bots: Bots, clock: ManualClock) -> None:
    stamp = next(
        stamp
        for stamp in (str(int(clock.now().timestamp() * 1000) + n) for n in range(200))
        if "+" in dingtalk_sign(stamp, bots.keys.dingtalk_secret)
    )
    sign = dingtalk_sign(stamp, bots.keys.dingtalk_secret)
    url = f"/bots/dingtalk/robot/send?access_token={bots.keys.dingtalk_token}&timestamp={stamp}&sign="
    assert client.post(url + quote(quote(sign, safe=""), safe=""), json=markdown("漏水")).json()["errcode"] == 310000
    assert client.post(url + quote(sign, safe=""), json=markdown("漏水")).json()["errcode"] == 0


@pytest.mark.parametrize(("channel", "name"), [(channel, name) for channel in CHANNELS for name in ERRORS[channel]])
def test_every_documented_error_can_be_had_with_its_status(
    client: httpx.Client, bots: Bots, channel: Channel, name: str
) -> None:
    assert client.post(f"/bots/_switch/{channel}", json={"answer": name}).status_code == 200
    before = len(bots.wall.messages(channel))
    response = client.post(bots.webhook_url(channel, ""), json=text("预警"))
    said = response.json()
    assert response.status_code == (400 if name == "9499" else 200)
    assert str(said.get("errcode", said.get("code"))) == name.split("_")[0]
    assert len(bots.wall.messages(channel)) == before


def test_outages_and_unknown_answers(client: httpx.Client, bots: Bots) -> None:
    bots.set_answer("wecom", "http_502_html")
    response = client.post(bots.webhook_url("wecom", ""), json=text("x"))
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert client.post("/bots/_switch/wecom", json={"answer": "nonsense"}).status_code == 400
    assert client.post("/bots/_switch/telegram", json={}).status_code == 404


def test_the_wall_is_bounded(bots: Bots) -> None:
    for number in range(700):
        bots.wall.add("wecom", "text", "", str(number))
    assert len(bots.wall.messages()) == 300
    assert bots.wall.messages()[-1].text == "699"
