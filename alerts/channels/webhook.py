"""The generic signed webhook: tickets and alerts to any desk.

Headers: ``X-Signature: t=<s>,v1=<hex HMAC-SHA256(secret, t + "." + raw body)>``, ``X-Event-Id`` and ``Idempotency-Key``
(the message's key, the same over all retries). A receiver should refuse a ``t`` older than five minutes; each try is
signed anew. Delivered only when the answer is 2xx *and* JSON *and* holds ``id``.
"""

from __future__ import annotations

import hmac

from pydantic import SecretStr

from alerts.channels.base import (
    Answer,
    Channel,
    Delivered,
    Delivery,
    Message,
    Poster,
    Refused,
    Retry,
    integer,
    judge_status,
    said,
)
from ingest.clock import Clock

REPLAY_WINDOW = 300
"""Seconds within which a receiver accepts a signature."""


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The X-Signature header."""
    digest = hmac.digest(secret.encode(), timestamp.encode() + b"." + body, "sha256").hex()
    return f"t={timestamp},v1={digest}"


def verify(secret: str, header: str, body: bytes, now: float) -> bool:
    """Whether a signature is right and fresh; for status that flows back and for receivers in tests and demos."""
    parts = dict(part.strip().split("=", 1) for part in header.split(",") if "=" in part)
    timestamp = integer(parts.get("t"))
    if timestamp is None and parts.get("t", "").isdigit() and len(parts["t"]) < 14:
        timestamp = int(parts["t"])
    if timestamp is None or abs(now - timestamp) > REPLAY_WINDOW:
        return False
    return hmac.compare_digest(sign(secret, parts["t"], body).encode(), header.strip().encode("utf-8", "replace"))


class Webhook(Channel):
    """Posts the message's frozen JSON."""

    def __init__(self, name: str, url: SecretStr, secret: SecretStr, clock: Clock, *, timeout: float = 10) -> None:
        self.name = name
        self._clock = clock
        self._poster = Poster(url, clock, timeout)
        self._secret = secret

    def close(self) -> None:
        self._poster.close()

    def send(self, message: Message, *, skip: int = 0) -> Delivery:
        body = message.payload.encode()
        now = self._clock.now()
        headers = {
            "X-Signature": sign(self._secret.get_secret_value(), str(int(now.timestamp())), body),
            "X-Event-Id": message.key,
            "Idempotency-Key": message.key,
            "Accept": "application/json",
        }
        answer = self._poster.post(body, headers=headers)
        return answer if isinstance(answer, Retry) else judge(answer)


def judge(answer: Answer) -> Delivery:
    """Delivered only for 2xx with a JSON object that holds ``id``."""
    by_status = judge_status(answer)
    if by_status is not None:
        return by_status
    if answer.status == 409:
        return Retry("对方还在处理上一次的请求（HTTP 409）", after=answer.retry_after)
    if not 200 <= answer.status < 300:
        words = said(answer.data, "error", "message", "detail") if answer.data is not None else ""
        return Refused(f"对方拒收（HTTP {answer.status}）{words}")
    receipt = answer.data.get("id") if answer.data is not None else None
    if isinstance(receipt, bool) or not isinstance(receipt, str | int) or receipt == "":
        # A login page or a sleeping instance answers 200 too: nothing was created as far as anyone can tell.
        return Retry("对方的回答里没有编号 id，不能算送达")
    return Delivered(str(receipt))
