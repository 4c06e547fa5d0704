"""WeCom (企业微信) group bot. No signature: the key in the address is the whole secret."""

from __future__ import annotations

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

MARKDOWN_BYTES = 4096
TEXT_BYTES = 2048
PER_MINUTE = 20
_COLOURS = {"一级": "warning", "二级": "comment", "三级": "info"}


class WeComBot(Channel):
    """Markdown messages of at most 4096 UTF-8 bytes; a 一级 alert is followed by a short text that rings phones."""

    def __init__(
        self, name: str, url: SecretStr, clock: Clock, *, mobiles: tuple[str, ...] = (), timeout: float = 10
    ) -> None:
        self.name = name
        self._poster = Poster(url, clock, timeout)
        self._limiter = Limiter(clock, (PER_MINUTE, 60.0))
        self._mobiles = mobiles

    def pause(self) -> float:
        return self._limiter.pause()

    def close(self) -> None:
        self._poster.close()

    def send(self, message: Message, *, skip: int = 0) -> Delivery:
        bodies = self.render(message)
        for number, body in enumerate(bodies):
            if number < skip:
                continue
            result = self._post(body)
            if isinstance(result, Refused):
                return result
            if isinstance(result, Retry):
                return Retry(result.problem, result.after, parts=number)
        return Delivered()

    def render(self, message: Message) -> list[dict[str, Any]]:
        """The requests for a message, in order."""
        colour = _COLOURS.get(message.level, "info")
        head = f'<font color="{colour}">{escape(message.level)}</font> **{escape(message.title)}**'
        lines = [head, *(_line(line) for line in message.lines)]
        if message.link.startswith(("http://", "https://")):
            lines.append(f"[查看详情]({message.link})")
        elif message.link:
            lines.append(f"编号：{escape(message.link)}")
        bodies: list[dict[str, Any]] = [
            {"msgtype": "markdown", "markdown": {"content": piece}} for piece in split_bytes(lines, MARKDOWN_BYTES)
        ]
        called = list(dict.fromkeys((*message.mobiles, *(self._mobiles if message.level == "一级" else ()))))
        if called:
            content = split_bytes([f"{message.level} {message.title}"], TEXT_BYTES)[0]
            bodies.append({"msgtype": "text", "text": {"content": content, "mentioned_mobile_list": called}})
        return bodies

    def _post(self, body: dict[str, Any]) -> Delivery:
        if (pause := self._limiter.pause()) > 0:
            return Retry("每分钟最多 20 条，稍后再发", after=pause)
        self._limiter.count()
        answer = self._poster.post(orjson.dumps(body))
        if isinstance(answer, Retry):
            return answer
        result = judge(answer)
        if isinstance(result, Retry) and result.after is not None:
            self._limiter.hold(result.after)
        return result


def judge(answer: Answer) -> Delivery:
    """Delivered only when the body says ``errcode`` 0."""
    by_status = judge_status(answer)
    if by_status is not None:
        return by_status
    if answer.data is None:
        return Retry(f"回答不是 JSON（HTTP {answer.status}），可能是代理或登录页")
    code = integer(answer.data.get("errcode"))
    if code is None:
        return Refused(f"回答不是企业微信的（HTTP {answer.status}），请核对地址")
    words = said(answer.data, "errmsg")
    if code == 0:
        return Delivered() if answer.status == 200 else Refused(f"HTTP {answer.status}")
    if code == 45009:
        return Retry("发送太快（45009）", after=60.0)
    if code == -1:
        return Retry("企业微信系统繁忙（-1）")
    if code == 93000:
        return Refused("机器人地址无效或已被删除（93000）", gone=True)
    return Refused(f"企业微信拒收（{code}）{words}")


def _line(line: str) -> str:
    return f"> {escape(line[2:])}" if line.startswith("> ") else escape(line)
