"""Fake group bots of WeCom, Feishu and DingTalk that answer as the real ones do, and a page that shows what came.

Real host ↔ prefix: qyapi.weixin.qq.com ``/bots/wecom`` · open.feishu.cn ``/bots/feishu`` ·
oapi.dingtalk.com ``/bots/dingtalk``; paths below are the real ones:

    POST /bots/wecom/cgi-bin/webhook/send?key=KEY
    POST /bots/feishu/open-apis/bot/v2/hook/TOKEN                       timestamp (s) and sign in the body
    POST /bots/dingtalk/robot/send?access_token=T&timestamp=MS&sign=S
    GET  /bots                       the page          GET /bots/messages.json[?channel=wecom]
    POST /bots/_switch/{channel}     {"answer": NAME|null}: answer every message with a documented error instead

Refusals come with HTTP 200 and an error code in the body (Feishu's 9499 with HTTP 400), as documented. Keys, limits
and signature windows are checked; so are the bots' rates.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ingest.clock import Clock
from shengwen.demo.channels import Rate, Wall, listed, part, text_of
from shengwen.demo.replica.web import answer, as_object, page

Channel = Literal["wecom", "feishu", "dingtalk"]
CHANNELS: Final[tuple[Channel, ...]] = ("wecom", "feishu", "dingtalk")
HOSTS: Final[dict[str, str]] = {
    "qyapi.weixin.qq.com": "/bots/wecom",
    "open.feishu.cn": "/bots/feishu",
    "oapi.dingtalk.com": "/bots/dingtalk",
}
TEXT_BYTES: Final = 2048
MARKDOWN_BYTES: Final = 4096
FEISHU_BYTES: Final = 20 * 1024
DINGTALK_BYTES: Final = 20_000
WINDOW: Final = 3600
"""Seconds that a signature's timestamp may be off."""

Failure = tuple[int, dict[str, Any]]


def _err(code: int, message: str) -> Failure:
    return 200, {"errcode": code, "errmsg": message}


def _feishu(code: int, message: str, status: int = 200) -> Failure:
    return status, {"code": code, "msg": message, "data": {}}


_TOO_FAST: Final = "send too fast, exceed 20 times per minute"
ERRORS: Final[dict[Channel, dict[str, Failure]]] = {
    "wecom": {
        "93000": _err(93000, "invalid webhook url, hint: [0000000000_demo], from ip: 127.0.0.1"),
        "40058": _err(40058, "markdown.content exceed max length 4096. invalid Request Parameter"),
        "45009": _err(45009, "api freq out of limit"),
        "-1": _err(-1, "system busy"),
    },
    "feishu": {
        "19001": _feishu(19001, "param invalid: incoming webhook access token invalid"),
        "19002": _feishu(19002, "param invalid: msg_type invalid"),
        "19021": _feishu(19021, "sign match fail or timestamp is not within one hour from current time"),
        "19022": _feishu(19022, "Ip Not Allowed"),
        "19024": _feishu(19024, "Key Words Not Found"),
        "9499": _feishu(9499, "Bad Request", 400),
        "11232": _feishu(11232, "frequency limited psm[lark.oapi.app_platform_runtime]"),
    },
    "dingtalk": {
        "310000": _err(310000, "sign not match"),
        "310000_time": _err(310000, "invalid timestamp"),
        "310000_keywords": _err(310000, "keywords not in content"),
        "310000_ip": _err(310000, "ip 127.0.0.1 not in whitelist"),
        "130101": _err(130101, _TOO_FAST),
        "410100": _err(410100, _TOO_FAST),
        "460101": _err(460101, "message too long, exceed 20000 bytes"),
        "300001": _err(300001, "token is not exist"),
        "300005": _err(300005, "token is not exist"),
        "400101": _err(400101, "access_token not exist"),
        "400102": _err(400102, "robot is stopped"),
        "400106": _err(400106, "robot is missing"),
        "400013": _err(400013, "group is dissolved"),
        "40035": _err(40035, "missing parameter"),
        "43002": _err(43002, "need POST"),
        "43004": _err(43004, "invalid content type"),
        "-1": _err(-1, "system busy"),
    },
}
"""Every documented error by the name of its code."""
OUTAGES: Final[dict[str, Failure]] = {"http_500": (500, {}), "http_502_html": (502, {})}


@dataclass(frozen=True, slots=True)
class BotKeys:
    """The bots' secrets, all invented. ``keywords``: one of them must be in a message's text, unless empty."""

    wecom_key: str = "00000000-demo-4000-8000-000000000000"
    feishu_token: str = "demo-feishu-hook"  # noqa: S105 - of a fake bot
    feishu_secret: str = "demo-feishu-secret"  # noqa: S105
    dingtalk_token: str = "demo-dingtalk-token"  # noqa: S105
    dingtalk_secret: str = "SECdemo-dingtalk"  # noqa: S105
    keywords: tuple[str, ...] = ()


def feishu_sign(timestamp: str, secret: str) -> str:
    """Base64 of HMAC-SHA256 with key ``timestamp\\nsecret`` over nothing."""
    return base64.b64encode(hmac.new(f"{timestamp}\n{secret}".encode(), b"", sha256).digest()).decode()


def dingtalk_sign(timestamp: str, secret: str) -> str:
    """Base64 (not yet URL-encoded) of HMAC-SHA256 with key ``secret`` over ``timestamp\\nsecret``."""
    return base64.b64encode(hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), sha256).digest()).decode()


class Bots:
    """The three bots and their wall."""

    def __init__(self, clock: Clock, keys: BotKeys | None = None) -> None:
        self.keys = keys or BotKeys()
        self.wall = Wall(clock)
        self._clock = clock
        self._answers: dict[Channel, str | None] = dict.fromkeys(CHANNELS)
        self._rates: dict[Channel, Sequence[Rate]] = {
            "wecom": [Rate(clock.monotonic, 20, 60)],
            "feishu": [Rate(clock.monotonic, 5, 1), Rate(clock.monotonic, 100, 60)],
            "dingtalk": [Rate(clock.monotonic, 20, 60)],
        }

    def webhook_url(self, channel: Channel, base_url: str) -> str:
        """The address that a person would paste into the settings (DingTalk's without timestamp and sign)."""
        root = base_url.rstrip("/")
        return {
            "wecom": f"{root}/bots/wecom/cgi-bin/webhook/send?key={self.keys.wecom_key}",
            "feishu": f"{root}/bots/feishu/open-apis/bot/v2/hook/{self.keys.feishu_token}",
            "dingtalk": f"{root}/bots/dingtalk/robot/send?access_token={self.keys.dingtalk_token}",
        }[channel]

    def set_answer(self, channel: Channel, name: str | None) -> None:
        """Answer with a documented error or an outage from now on, None: as usual. Raises KeyError if unknown."""
        if name is not None and name not in ERRORS[channel] and name not in OUTAGES:
            raise KeyError(name)
        self._answers[channel] = name

    def routes(self) -> list[Route]:
        """To be mounted at the root of an app."""
        return [
            Route("/bots/wecom/cgi-bin/webhook/send", self._endpoint("wecom"), methods=["POST"]),
            Route("/bots/feishu/open-apis/bot/v2/hook/{token}", self._endpoint("feishu"), methods=["POST"]),
            Route("/bots/dingtalk/robot/send", self._endpoint("dingtalk"), methods=["GET", "POST"]),
            Route("/bots", self._page),
            Route("/bots/messages.json", self._messages),
            Route("/bots/_switch/{channel}", self._switch, methods=["POST"]),
        ]

    async def _page(self, _: Request) -> Response:
        return page("bots.html", seed="")

    async def _messages(self, request: Request) -> Response:
        shown = self.wall.messages(request.query_params.get("channel"))
        return answer({"messages": [message.to_json() for message in shown]})

    async def _switch(self, request: Request) -> Response:
        name = as_object(await request.body()).get("answer")
        channel = next((one for one in CHANNELS if one == request.path_params["channel"]), None)
        if channel is None:
            return answer({"error": "no such channel"}, status=404)
        try:
            self.set_answer(channel, name if isinstance(name, str) else None)
        except KeyError:
            return answer({"error": "no such answer", "answers": [*ERRORS[channel], *OUTAGES]}, status=400)
        return answer({"answer": self._answers[channel]})

    def _endpoint(self, channel: Channel) -> Any:
        async def receive(request: Request) -> Response:
            body = await request.body()
            forced = self._answers[channel]
            if forced == "http_502_html":
                return Response("<html><body>Bad Gateway</body></html>", 502, media_type="text/html")
            if forced is not None:
                status, said = ERRORS[channel].get(forced) or OUTAGES[forced]
                return answer(said, status=status)
            take = {"wecom": self._wecom, "feishu": self._feishu, "dingtalk": self._dingtalk}[channel]
            failure = take(request, body)
            if failure is not None:
                return answer(failure[1], status=failure[0])
            if channel == "feishu":
                return answer({"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"})
            return answer({"errcode": 0, "errmsg": "ok"})

        return receive

    def _too_fast(self, channel: Channel) -> bool:
        return not all(rate.allows() for rate in self._rates[channel])

    def _fresh(self, stamp: str, unit: int) -> bool:
        """True for a timestamp, in ``1/unit`` seconds, that lies within the window."""
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 18):
            return False
        return abs(self._clock.now().timestamp() - int(stamp) / unit) <= WINDOW

    def _wecom(self, request: Request, body: bytes) -> Failure | None:
        errors = ERRORS["wecom"]
        if not hmac.compare_digest(request.query_params.get("key", "").encode(), self.keys.wecom_key.encode()):
            return errors["93000"]
        message = as_object(body)
        kind = text_of(message.get("msgtype"))
        limit = {"text": TEXT_BYTES, "markdown": MARKDOWN_BYTES, "markdown_v2": MARKDOWN_BYTES}.get(kind)
        if limit is None:
            return _err(40058, "invalid msgtype. invalid Request Parameter")
        inner = part(message, kind)
        text = text_of(inner.get("content"))
        if not text:
            return _err(40058, f"missing {kind}.content. invalid Request Parameter")
        if len(text.encode("utf-8", "replace")) > limit:
            return _err(40058, f"{kind}.content exceed max length {limit}. invalid Request Parameter")
        if self._too_fast("wecom"):
            return errors["45009"]
        mentions = [
            text_of(one) for name in ("mentioned_list", "mentioned_mobile_list") for one in listed(inner.get(name))
        ]
        self.wall.add("wecom", kind, "", text, mentions=tuple(mentions))
        return None

    def _feishu(self, request: Request, body: bytes) -> Failure | None:
        errors = ERRORS["feishu"]
        if not hmac.compare_digest(request.path_params["token"].encode(), self.keys.feishu_token.encode()):
            return errors["19001"]
        message = as_object(body)
        if not message or len(body) > FEISHU_BYTES:
            return errors["9499"]
        stamp = text_of(message.get("timestamp"))
        sign = feishu_sign(stamp, self.keys.feishu_secret)
        if not self._fresh(stamp, 1) or not hmac.compare_digest(text_of(message.get("sign")).encode(), sign.encode()):
            return errors["19021"]
        kind = text_of(message.get("msg_type"))
        if kind not in ("text", "post", "image", "share_chat", "interactive"):
            return errors["19002"]
        card = part(message, "card" if kind == "interactive" else "content")
        if not card:
            return errors["9499"]
        title, text, links = _feishu_words(kind, card)
        if self.keys.keywords and not any(word in title + text for word in self.keys.keywords):
            return errors["19024"]
        if self._too_fast("feishu"):
            return errors["11232"]
        colour = text_of(part(card, "header").get("template"))
        self.wall.add("feishu", kind, title, text, colour=colour, links=tuple(links))
        return None

    def _dingtalk(self, request: Request, body: bytes) -> Failure | None:
        errors, query = ERRORS["dingtalk"], request.query_params
        if request.method != "POST":
            return errors["43002"]
        if not query.get("access_token"):
            return errors["40035"]
        if not hmac.compare_digest(query["access_token"].encode(), self.keys.dingtalk_token.encode()):
            return errors["300001"]
        if not request.headers.get("content-type", "").startswith("application/json"):
            return errors["43004"]
        stamp = query.get("timestamp", "")
        fresh = (
            stamp.isascii()
            and stamp.isdigit()
            and abs(self._clock.now().timestamp() - int(stamp[:18]) / 1000) <= WINDOW
        )
        if not fresh:
            return errors["310000_time"]
        # Starlette has undone the URL-encoding once; a sign that was encoded twice does not match.
        if not hmac.compare_digest(
            query.get("sign", "").encode(), dingtalk_sign(stamp, self.keys.dingtalk_secret).encode()
        ):
            return errors["310000"]
        if len(body) > DINGTALK_BYTES:
            return errors["460101"]
        message = as_object(body)
        kind = text_of(message.get("msgtype"))
        inner = part(message, kind)
        title, text = text_of(inner.get("title")), text_of(inner.get("text")) or text_of(inner.get("content"))
        if kind not in ("text", "link", "markdown", "actionCard", "feedCard") or not text:
            return errors["40035"]
        if self.keys.keywords and not any(word in title + text for word in self.keys.keywords):
            return errors["310000_keywords"]
        if self._too_fast("dingtalk"):
            return errors["130101"]
        at = part(message, "at")
        mentions = [text_of(one) for name in ("atMobiles", "atUserIds") for one in listed(at.get(name))]
        if at.get("isAtAll") is True:
            mentions.append("@all")
        links = [
            (text_of(inner.get("singleTitle")) or "查看", text_of(inner.get(name)))
            for name in ("singleURL", "messageUrl")
        ]
        shown = tuple(link for link in links if link[1])
        self.wall.add("dingtalk", kind, title, text, mentions=tuple(mentions), links=shown)
        return None


def _feishu_words(kind: str, card: dict[str, Any]) -> tuple[str, str, list[tuple[str, str]]]:
    """Title, text and buttons of a message's content or card, flattened."""
    if kind == "text":
        return "", text_of(card.get("text")), []
    if kind == "post":
        told = next((one for one in part(card, "post").values() if isinstance(one, dict)), {})
        rows = [
            "".join(text_of(bit.get("text")) for bit in listed(row) if isinstance(bit, dict))
            for row in listed(told.get("content"))
        ]
        return text_of(told.get("title")), "\n".join(rows), []
    if kind != "interactive":
        return "", f"[{kind}]", []
    title = text_of(part(part(card, "header"), "title").get("content"))
    texts: list[str] = []
    links: list[tuple[str, str]] = []
    for element in listed(card.get("elements") or part(card, "body").get("elements")):
        if not isinstance(element, dict):
            continue
        texts += [text_of(element.get("content")), text_of(part(element, "text").get("content"))]
        texts += [text_of(part(one, "text").get("content")) for one in listed(element.get("fields"))]
        texts += [text_of(one.get("content")) for one in listed(element.get("elements")) if isinstance(one, dict)]
        for button in (element, *listed(element.get("actions"))):
            if isinstance(button, dict) and button.get("tag") == "button" and text_of(button.get("url")):
                links.append((text_of(part(button, "text").get("content")) or "查看", text_of(button.get("url"))))
    return title, "\n".join(text for text in texts if text), links
