"""Asking an official API: paced, within the day's quota, again when the server fails, and clear about refusals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal, Protocol

import httpx
import orjson
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from crawlers.audit import Audit
from crawlers.errors import LEFT
from crawlers.ledger import Ledger
from crawlers.official.config import ApiSettings
from crawlers.payload import Payload, Signal
from ingest.clock import BEIJING, Clock
from ingest.errors import Permanent, Retryable, Unavailable

logger = logging.getLogger(__name__)

LONGEST_WAIT: Final = 120.0
"""Seconds. A server that wants a longer pause than this is asked again by the next run, not by this one."""
QUOTA_WAIT: Final = 30.0
"""Seconds until a request that was too fast is made again, where the answer does not say how long."""

Kind = Literal["credentials", "permission", "request", "clock", "busy", "rate", "quota"]
"""credentials, permission, request, clock: a person must mend something · busy: the platform's own fault · rate: too
fast · quota: the day's calls are used up."""

_SIGNALS: Final[Mapping[Kind, Signal]] = {
    "credentials": "login_required",
    "permission": "blocked",
    "request": "unknown",
    "clock": "unknown",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that the platform answered. ``advice`` is Chinese and says what to do; ``wait`` in seconds."""

    kind: Kind
    code: str
    advice: str = ""
    wait: float | None = None


class ApiRefused(Permanent):
    """The API will not answer before a person has mended something. ``signal`` is as a parser would give it."""

    def __init__(self, signal: Signal, reason: str) -> None:
        super().__init__(reason)
        self.signal = signal
        self.reason = reason


class QuotaSpent(Retryable):
    """The day's calls are used up; the next day goes on."""


class Stopped(Retryable):
    """The run was asked to end."""


class _TooFast(Retryable):
    """The API wants a pause."""


class Asked(Protocol):
    """One kind of API: what its errors mean."""

    @property
    def name(self) -> str:
        """In Chinese, for messages."""
        ...

    def refusal(self, status: int, body: Mapping[str, Any]) -> Refusal | None:
        """The error in a decoded answer, or None when it holds data."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``real``: the address that parsers know the answer by, without keys; ``posted`` the same of a form.

    ``send`` makes the httpx request anew for each try, as timestamps and signatures grow old.
    """

    send: Callable[[], httpx.Request]
    real: str
    posted: bytes = b""
    share: float = 1.0
    """Of the day's calls, how many may be spent when this one is made."""


class Client:
    """Makes requests for one run of one API. Not thread-safe; blocks. ``stop`` ends every wait."""

    def __init__(
        self,
        api: Asked,
        settings: ApiSettings,
        ledger: Ledger,
        clock: Clock,
        stop: threading.Event,
        *,
        audit: Audit,
        longest_wait: float = LONGEST_WAIT,
    ) -> None:
        self._api = api
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._stop = stop
        self._audit = audit
        self._longest = longest_wait
        self._last: float | None = None
        # No redirects: whoever an API leads to would be handed the keys.
        self.http = httpx.Client(timeout=settings.timeout, follow_redirects=False)

    def close(self) -> None:
        self.http.close()

    def ask(self, call: Call) -> Payload:
        """One answer that holds data; its line in the audit is the caller's, who reads it.

        Raises ApiRefused (a person must act), QuotaSpent, Unavailable (after all tries), Stopped.
        """
        asking = Retrying(
            retry=retry_if_exception_type((Unavailable, _TooFast)),
            wait=self._wait,
            stop=stop_after_attempt(self._settings.tries),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return asking(self._once, call)
        except _TooFast as error:
            raise QuotaSpent(f"{error}，由下一轮继续；可以调小 requests_per_minute") from None

    def _once(self, call: Call) -> Payload:
        self._turn(call.share)
        request = call.send()
        try:
            payload = self._fetch(request, call)
        except httpx.HTTPError as error:
            self._audit.failed(request.method, call.real, type(error).__name__)
            # The text of httpx's errors may hold the address, and with it a key.
            raise Unavailable(f"{self._api.name}: {type(error).__name__}") from None
        try:
            self._judge(payload)
        except ApiRefused as refused:
            self._audit.answered(payload, refused.signal)
            raise
        except (QuotaSpent, _TooFast):
            self._audit.answered(payload, "throttled")
            raise
        except Unavailable:
            self._audit.answered(payload, "failed")
            raise
        return payload

    def _fetch(self, request: httpx.Request, call: Call) -> Payload:
        limit = self._settings.max_bytes
        response = self.http.send(request, stream=True)
        try:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > limit:
                    self._audit.failed(request.method, call.real, "too_large")
                    raise ApiRefused("unknown", f"{self._api.name}：应答超过 {limit} 字节（max_bytes）")
        finally:
            response.close()
        return Payload(
            url=call.real,
            method=request.method,
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items() if name.lower() != "set-cookie"},
            body=bytes(body),
            captured_at=self._clock.now(),
            request_body=call.posted,
        )

    def _judge(self, payload: Payload) -> None:
        """Raise what an answer without data means."""
        status, name = payload.status, self._api.name
        body = _object(payload.body)
        refusal = self._api.refusal(status, body) if body is not None else None
        if refusal is not None and refusal.kind not in ("busy", "rate", "quota"):
            said = f"（错误码 {refusal.code[:40]}）" if refusal.code else ""
            raise ApiRefused(_SIGNALS[refusal.kind], f"{name}{said}：{refusal.advice}")
        wished = retry_after(payload.headers.get("retry-after"), self._clock)
        if refusal is not None and refusal.kind == "quota":
            raise QuotaSpent(f"{name}：平台说今天的调用次数用完了（错误码 {refusal.code[:40]}），明天自动继续")
        if status == 429 or (refusal is not None and refusal.kind == "rate"):
            wait = wished if wished is not None else refusal.wait if refusal is not None else None
            if wait is not None and wait > self._longest:
                raise QuotaSpent(f"{name}：平台要求 {wait:.0f} 秒后再试，由下一轮继续")
            raise _TooFast(f"{name}：平台说请求太快", retry_after=wait)
        if status >= 500 or (refusal is not None and refusal.kind == "busy"):
            if wished is not None and wished > self._longest:
                raise QuotaSpent(f"{name}：平台要求 {wished:.0f} 秒后再试，由下一轮继续")
            raise Unavailable(f"{name}：平台出错（HTTP {status}）", retry_after=wished)
        if status in (401, 403):
            advice = "密钥或授权没有被接受，请核对密钥、重新授权，并检查服务器出口 IP 是否在平台白名单里"
            raise ApiRefused("login_required" if status == 401 else "blocked", f"{name}（HTTP {status}）：{advice}")
        if status != 200:
            raise ApiRefused("unknown", f"{name}：没有想到的应答（HTTP {status}），请核对 url 设置")
        if body is None:
            if payload.body.lstrip()[:1] in (b"{", b"["):
                raise Unavailable(f"{name}：应答不完整（{len(payload.body)} 字节）")
            raise ApiRefused("unknown", f"{name}：应答不是 JSON，请核对 url 设置")

    # -- manners ----------------------------------------------------------------------------------------------------

    def _turn(self, share: float) -> None:
        """Wait for this request's turn and take it out of the day's quota."""
        if self._stop.is_set():
            raise Stopped(LEFT)
        if self._last is not None:
            pause = 60.0 / self._settings.requests_per_minute - (self._clock.monotonic() - self._last)
            if pause > 0:
                self._sleep(pause)
        today = self._clock.now().astimezone(BEIJING).date().isoformat()
        limit = int(self._settings.requests_per_day * share)
        if not self._ledger.budgets.spend_today(today, limit):
            what = "" if share == 1 else "里可用于追评的"
            raise QuotaSpent(f"requests_per_day：今天{what} {limit} 次调用用完了，明天自动继续")
        self._last = self._clock.monotonic()

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Stopped(LEFT)

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome is not None else None
        wished = error.retry_after if isinstance(error, Retryable) else None
        if wished is not None:
            return min(wished, self._longest)
        if isinstance(error, _TooFast):
            return min(QUOTA_WAIT, self._longest)
        return min(wait_random_exponential(multiplier=0.5, max=20)(state), self._longest)


def _object(body: bytes) -> Mapping[str, Any] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def retry_after(value: str | None, clock: Clock) -> float | None:
    """Seconds of a ``Retry-After`` header, written as seconds or as a date; None when there is none that reads."""
    if not value:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit() and len(value) < 9:
        return float(value)
    try:
        at: datetime = parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - clock.now()).total_seconds())


def text_of(value: Any) -> str:
    """A scalar of an answer as a short text."""
    return str(value)[:300] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


__all__ = ["ApiRefused", "Call", "Client", "QuotaSpent", "Refusal", "Stopped", "retry_after", "text_of"]
