"""Feishu / Lark custom bot: interactive cards, signed with the secret in the key and an empty message."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Any

import orjson
from pydantic import SecretStr

from alerts.channels.base import (
    Answer,
    Channel,
    Delivered,
    Delivery,
    Limiter,
    Message,
    Poster,
    Refused,
    Retry,
    escape,
    integer,
    judge_status,
    said,
    split_bytes,
)
from ingest.clock import Clock

CARD_BYTES = 16_000
"""Of text in one card; the whole body may have 20 KB."""

_COLOURS = {"一级": "red", "二级": "orange", "三级": "blue"}


def sign(secret: str, timestamp: str) -> str:
    """Base64 of HMAC-SHA256 with ``timestamp\\nsecret`` as the key over nothing. ``timestamp`` is in seconds."""
    return b64encode(hmac.digest(f"{timestamp}\n{secret}".encode(), b"", "sha256")).decode()


class FeishuBot(Channel):
    """Cards of at most 20 KB; 100 a minute, 5 a second."""

    def __init__(
        self,
        name: str,
        url: SecretStr,
        clock: Clock,
        *,
        secret: SecretStr | None = None,
        keyword: str = "",
        timeout: float = 10,
    ) -> None:
        self.name = name
        self._clock = clock
        self._poster = Poster(SecretStr(url.get_secret_value().rstrip("/")), clock, timeout)
        self._limiter = Limiter(clock, (100, 60.0), (5, 1.0))
        self._secret = secret
        self._keyword = keyword

    def pause(self) -> float:
        return self._limiter.pause()

    def close(self) -> None:
        self._poster.close()

    def send(self, message: Message, *, skip: int = 0) -> Delivery:
        for number, body in enumerate(self.render(message)):
            if number < skip:
                continue
            result = self._post(body)
            if isinstance(result, Refused):
                return result
            if isinstance(result, Retry):
                return Retry(result.problem, result.after, parts=number)
        return Delivered()

    def render(self, message: Message) -> list[dict[str, Any]]:
        """The requests for a message, in order, unsigned."""
        title = f"{message.level} {message.title}"
        lines = [escape(line[2:]) if line.startswith("> ") else escape(line) for line in message.lines]
        lines = [
            f"「{shown}」" if line.startswith("> ") else shown for line, shown in zip(message.lines, lines, strict=True)
        ]
        if self._keyword and self._keyword not in "\n".join([title, *lines]):
            lines.append(escape(self._keyword))
        pieces = split_bytes(lines, CARD_BYTES) or [escape(message.title)]
        bodies = []
        for number, piece in enumerate(pieces):
            elements: list[dict[str, Any]] = [{"tag": "markdown", "content": piece}]
            if number == len(pieces) - 1 and message.link.startswith(("http://", "https://")):
                button = {"tag": "button", "text": {"tag": "plain_text", "content": "查看"}, "url": message.link}
                elements.append({"tag": "action", "actions": [button]})
            elif number == len(pieces) - 1 and message.link:
                elements.append({"tag": "markdown", "content": f"编号：{escape(message.link)}"})
            header = {
                "title": {"tag": "plain_text", "content": title[:200]},
                "template": _COLOURS.get(message.level, "blue"),
            }
            bodies.append({"msg_type": "interactive", "card": {"header": header, "elements": elements}})
        return bodies

    def _post(self, body: dict[str, Any]) -> Delivery:
        if (pause := self._limiter.pause()) > 0:
            return Retry("发送太快，稍后再发", after=pause)
        result = self._once(body)
        if isinstance(result, _BadSignature):
            # The clock may have just been set: sign once more, then a person must look.
            result = self._once(body)
            if isinstance(result, _BadSignature):
                return Refused("签名不对或本机时间不准（19021）")
        return result

    def _once(self, body: dict[str, Any]) -> Delivery | _BadSignature:
        self._limiter.count()
        signed = dict(body)
        if self._secret is not None:
            timestamp = str(int(self._clock.now().timestamp()))
            signed = {"timestamp": timestamp, "sign": sign(self._secret.get_secret_value(), timestamp), **body}
        answer = self._poster.post(orjson.dumps(signed))
        return answer if isinstance(answer, Retry) else judge(answer)


class _BadSignature:
    """Feishu did not accept the signature."""


def judge(answer: Answer) -> Delivery | _BadSignature:
    """Delivered only when the body says ``code`` 0 (old answers: ``StatusCode`` 0)."""
    by_status = judge_status(answer)
    if by_status is not None:
        return by_status
    data = answer.data
    if data is None:
        return Retry(f"回答不是 JSON（HTTP {answer.status}），可能是代理或登录页")
    code = integer(data.get("code", data.get("StatusCode")))
    if code is None:
        return Refused(f"回答不是飞书的（HTTP {answer.status}），请核对地址")
    words = said(data, "msg", "StatusMessage")
    if code == 0:
        return Delivered() if answer.status == 200 else Refused(f"HTTP {answer.status}")
    if code == 11232:
        return Retry("飞书限流（11232）")
    if code == 19021:
        return _BadSignature()
    if code == 19001:
        return Refused("机器人地址无效或已被删除（19001）", gone=True)
    if code == 19022:
        return Refused("本机 IP 不在机器人白名单里（19022）")
    if code == 19024:
        return Refused("消息缺少机器人的安全关键词（19024）")
    return Refused(f"飞书拒收（{code}）{words}")
