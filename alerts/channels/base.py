"""A place that messages are sent to: the contract, the message, and what all HTTP senders share.

Judging an answer: success is status *and* content type *and* the expected key. A chat bot refuses with HTTP 200.
Addresses hold secrets: they appear in no log line, exception or repr.
"""

from __future__ import annotations

import logging
import re
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx
import orjson
from pydantic import SecretStr

from ingest.clock import Clock

MessageType = Literal["alert", "notice", "ticket.created", "ticket.updated"]

MAX_ANSWER = 64 * 1024
"""Bytes of an answer that are read; no honest receiver says more."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be said. Frozen in the outbox: the same key always carries the same bytes.

    ``lines`` are Chinese, one paragraph each, those beginning with "> " are quotes; all of it is text from outside and
    is escaped by the channel. ``payload`` is the webhook's raw body (JSON). ``mobiles`` are called by name.
    """

    key: str
    type: MessageType
    level: str
    title: str
    lines: tuple[str, ...]
    link: str
    payload: str
    mobiles: tuple[str, ...] = ()

    def to_json(self) -> str:
        """As kept in the outbox."""
        return orjson.dumps(
            {
                "key": self.key,
                "type": self.type,
                "level": self.level,
                "title": self.title,
                "lines": self.lines,
                "link": self.link,
                "payload": self.payload,
                "mobiles": self.mobiles,
            }
        ).decode()

    @classmethod
    def from_json(cls, text: str) -> Message:
        """Read back what :meth:`to_json` wrote."""
        data = orjson.loads(text)
        return cls(**{**data, "lines": tuple(data["lines"]), "mobiles": tuple(data["mobiles"])})


@dataclass(frozen=True, slots=True)
class Delivered:
    """The channel's body said so. ``receipt`` is the other side's id for it, or empty."""

    receipt: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """May pass by itself. ``after``: the other side's wish in seconds. ``parts`` of the message did arrive."""

    problem: str
    after: float | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Will not pass without a person. ``gone``: the receiver unsubscribed or does not exist any more."""

    problem: str
    gone: bool = False


Delivery = Delivered | Retry | Refused


class Limiter:
    """At most ``count`` sends in any ``seconds``; and a pause that the other side asked for. Thread-safe."""

    def __init__(self, clock: Clock, *limits: tuple[int, float]) -> None:
        self._clock = clock
        self._limits = limits
        self._sent: deque[float] = deque(maxlen=max((count for count, _ in limits), default=1))
        self._until = float("-inf")
        self._lock = threading.Lock()

    def pause(self) -> float:
        """Seconds until a send is allowed; 0 now."""
        with self._lock:
            now = self._clock.monotonic()
            wait = self._until - now
            for count, seconds in self._limits:
                if len(self._sent) >= count:
                    wait = max(wait, self._sent[-count] + seconds - now)
            return max(0.0, wait)

    def count(self) -> None:
        """A send happened."""
        with self._lock:
            self._sent.append(self._clock.monotonic())

    def hold(self, seconds: float) -> None:
        """Send nothing for a while."""
        with self._lock:
            self._until = max(self._until, self._clock.monotonic() + seconds)


class Channel(ABC):
    """One place that messages are sent to. Thread-safe."""

    name: str

    @abstractmethod
    def send(self, message: Message, *, skip: int = 0) -> Delivery:
        """Send all of a message, without its first ``skip`` parts, which arrived before.

        Returns what the other side's *body* said. Raises nothing for anything the network or the receiver does.
        """

    def pause(self) -> float:
        """Seconds until the sending limit allows another message; 0 now."""
        return 0.0

    @abstractmethod
    def close(self) -> None:
        """Release connections; idempotent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``data`` is the JSON object of the body, null when the body is none (HTML, a list, broken)."""

    status: int
    data: Mapping[str, Any] | None
    retry_after: float | None


class Poster:
    """POSTs JSON to one secret address: no redirects, short time-outs, a capped answer, no address in any error."""

    def __init__(self, url: SecretStr, clock: Clock, timeout: float) -> None:
        self._url = url
        self._clock = clock
        self._patience = 2 * timeout
        self._client = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
            # A proxy from the environment would see the secret address.
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def post(self, content: bytes, *, headers: Mapping[str, str] | None = None, suffix: str = "") -> Answer | Retry:
        """POST once. ``suffix`` is added to the address as it stands (a signature)."""
        started = self._clock.monotonic()
        send = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        try:
            with self._client.stream(
                "POST", self._url.get_secret_value() + suffix, content=content, headers=send
            ) as got:
                body = bytearray()
                for chunk in got.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER:
                        break
                    # Each read may be in time and the answer still never end.
                    if self._clock.monotonic() - started > self._patience:
                        return Retry("对方没有及时回答")
                kind = got.headers.get("content-type", "")
                wish = retry_after(got.headers.get("retry-after"), self._clock.now())
                return Answer(got.status_code, _object(bytes(body), kind), wish)
        except httpx.TimeoutException:
            return Retry("对方没有及时回答")
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            # Its text may hold the address: only say what kind it was.
            return Retry(f"连接失败（{type(error).__name__}）")

    def close(self) -> None:
        self._client.close()


def _object(body: bytes, content_type: str) -> Mapping[str, Any] | None:
    if "json" not in content_type.lower() and "text/plain" not in content_type.lower():
        return None
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from a Retry-After header (a number or an HTTP date); null when absent or unreadable."""
    if value is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def judge_status(answer: Answer) -> Delivery | None:
    """What the HTTP status alone decides, for every receiver; null when the body has the word."""
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return Retry(f"对方返回 HTTP {answer.status}", after=answer.retry_after)
    if 300 <= answer.status < 400:
        return Refused(f"地址被转走（HTTP {answer.status}），请核对地址")
    if answer.status == 410:
        return Refused("对方已停止接收（HTTP 410）", gone=True)
    return None


def said(data: Mapping[str, Any], *names: str) -> str:
    """The other side's own words, shortened, on one line, printable."""
    for name in names:
        value = data.get(name)
        if isinstance(value, str) and value:
            plain = "".join(c if c.isprintable() else " " for c in value)
            # Bots echo hints with links and keys in them.
            return re.sub(r"https?://\S+|[0-9a-fA-F\-]{24,}", "***", plain)[:160]
    return ""


def integer(value: object) -> int | None:
    """A code as an int; bots send numbers, some proxies turn them into strings."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
        return int(value)
    return None


_MARKUP = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "`": "｀", "*": "＊", "#": "＃", "_": "＿"})


def escape(text: str) -> str:
    """Text from outside as text: no markup, no mentions, no live links, no control or bidi characters, on one line."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split()).translate(_MARKUP).replace("://", "：//")


def split_bytes(lines: Sequence[str], limit: int) -> list[str]:
    """Join lines by newlines into pieces of at most ``limit`` UTF-8 bytes; a longer line is cut between characters.

    ``limit`` is at least 4, the longest character.
    """
    if limit < 4:
        raise ValueError("no room for a character")
    pieces: list[str] = []
    held: list[str] = []
    size = 0
    for line in lines:
        for part in _cut(line, limit):
            length = len(part.encode())
            if held and size + 1 + length > limit:
                pieces.append("\n".join(held))
                held, size = [], 0
            size += length + (1 if held else 0)
            held.append(part)
    if held:
        pieces.append("\n".join(held))
    return pieces


def _cut(line: str, limit: int) -> list[str]:
    data = line.encode("utf-8", "replace")
    if len(data) <= limit:
        return [data.decode()]
    parts = []
    while data:
        head = data[:limit].decode(errors="ignore")
        parts.append(head)
        data = data[len(head.encode()) :]
    return parts


class _Redact(logging.Filter):
    """httpx logs every request with its address, which is a secret here."""

    _address = re.compile(r"(https?://[^/\s\"?]+)[^\s\"]*")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = self._address.sub(r"\1/***", record.getMessage())
        record.args = None
        return True


_filter = _Redact()


def guard_logs() -> None:
    """Make httpx's request log hide paths and queries; once for the process, idempotent."""
    logger = logging.getLogger("httpx")
    if _filter not in logger.filters:
        logger.addFilter(_filter)
