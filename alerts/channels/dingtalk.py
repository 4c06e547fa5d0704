"""DingTalk (钉钉) custom bot: markdown, signed in the address; key and message trade places with Feishu's."""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Any
from urllib.parse import quote

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

MARKDOWN_BYTES = 18_000
"""Of text in one message; the whole body may have 20,000 bytes."""

PER_MINUTE = 20
PENALTY = 600.0
"""Seconds that the bot is mute after it was sent to too fast."""

_GONE = frozenset({300001, 300005, 400101, 400102, 400106, 400013})
_THROTTLED = frozenset({130101, 410100})


def sign(secret: str, timestamp: str) -> str:
    """URL-encoded (once) Base64 of HMAC-SHA256 with the secret as the key over ``timestamp\\nsecret``; ms."""
    digest = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), "sha256")
    return quote(b64encode(digest).decode(), safe="")


class DingTalkBot(Channel):
    """Markdown of at most 20,000 bytes, 20 a minute; beyond that the bot is mute for ten minutes."""

    def __init__(
        self,
        name: str,
        url: SecretStr,
        clock: Clock,
        *,
        secret: SecretStr | None = None,
        keyword: str = "",
        mobiles: tuple[str, ...] = (),
        timeout: float = 10,
    ) -> None:
        self.name = name
        self._clock = clock
        self._poster = Poster(url, clock, timeout)
        self._joiner = "&" if "?" in url.get_secret_value() else "?"
        self._limiter = Limiter(clock, (PER_MINUTE, 60.0))
        self._secret = secret
        self._keyword = keyword
        self._mobiles = mobiles

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
        """The requests for a message, in order."""
        title = f"{message.level} {message.title}"
        called = list(dict.fromkeys((*message.mobiles, *(self._mobiles if message.level == "一级" else ()))))
        lines = [f"### {escape(title)}"]
        lines += [f"> {escape(line[2:])}\n" if line.startswith("> ") else f"{escape(line)}\n" for line in message.lines]
        if message.link.startswith(("http://", "https://")):
            lines.append(f"[查看详情]({message.link})")
        elif message.link:
            lines.append(f"编号：{escape(message.link)}")
        if self._keyword and self._keyword not in "\n".join(lines):
            lines.append(escape(self._keyword))
        if called:
            # A mention in markdown rings only when the number stands in the text too.
            lines.append(" ".join(f"@{mobile}" for mobile in called))
        pieces = split_bytes(lines, MARKDOWN_BYTES)
        return [
            {
                "msgtype": "markdown",
                "markdown": {"title": title[:60], "text": piece},
                "at": {"atMobiles": called if number == len(pieces) - 1 else [], "isAtAll": False},
            }
            for number, piece in enumerate(pieces)
        ]

    def _post(self, body: dict[str, Any]) -> Delivery:
        if (pause := self._limiter.pause()) > 0:
            return Retry("每分钟最多 20 条，稍后再发", after=pause)
        self._limiter.count()
        now = self._clock.now()
        suffix = ""
        if self._secret is not None:
            timestamp = str(int(now.timestamp() * 1000))
            suffix = f"{self._joiner}timestamp={timestamp}&sign={sign(self._secret.get_secret_value(), timestamp)}"
        answer = self._poster.post(orjson.dumps(body), suffix=suffix)
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
        return Refused(f"回答不是钉钉的（HTTP {answer.status}），请核对地址")
    words = said(answer.data, "errmsg")
    if code == 0:
        return Delivered() if answer.status == 200 else Refused(f"HTTP {answer.status}")
    if code in _THROTTLED:
        return Retry(f"钉钉限流（{code}）", after=PENALTY)
    if code == -1:
        return Retry("钉钉系统繁忙（-1）")
    if code == 310000:
        return Refused(f"钉钉安全设置不通过（310000）{words}")
    if code in _GONE:
        return Refused(f"机器人或群已不存在（{code}）", gone=True)
    return Refused(f"钉钉拒收（{code}）{words}")
