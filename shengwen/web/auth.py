"""How a visitor shows who they are: signed cookies, passwords behind a throttle, tokens in forms."""

from __future__ import annotations

import base64
import binascii
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from itsdangerous import BadSignature, Signer
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from ingest.clock import Clock
from shengwen.web.deps import LOOPBACK, WebSettings


def host_name(host: str) -> str:
    """The name in a Host header, without its port, lower case."""
    name = host.strip().lower()
    if name.startswith("["):
        return name.partition("]")[0] + "]"
    return name.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether the Host header names this machine itself."""
    return host_name(host) in LOOPBACK


class Cookies:
    """Names, signs and reads the two cookies: the session's id and, before there is one, the login form's token.

    Cookies know no ports: the name carries it, so that two installations on one machine do not log each other out.
    """

    def __init__(self, settings: WebSettings) -> None:
        if len(settings.session_key) < 32:
            raise ValueError("session_key needs at least 32 bytes")
        self._signers = {
            kind: Signer(settings.session_key, salt=f"shengwen.{kind}", digest_method=sha256)
            for kind in ("session", "login")
        }
        self._port = settings.port
        self._max_age = math.ceil(settings.session_hours * 3600)

    @staticmethod
    def _secure(request: Request) -> bool:
        return request.url.scheme == "https" or not is_loopback(request.headers.get("host", ""))

    def _name(self, kind: str, *, secure: bool) -> str:
        return f"{'__Host-' if secure else ''}shengwen_{kind}_{self._port}"

    def set(self, request: Request, response: Response, kind: str, value: str) -> None:
        secure = self._secure(request)
        response.set_cookie(
            self._name(kind, secure=secure),
            self._signers[kind].sign(value).decode(),
            max_age=self._max_age if kind == "session" else None,
            httponly=True,
            samesite="lax",
            secure=secure,
            path="/",
        )

    def get(self, request: Request, kind: str) -> str | None:
        """The value if the cookie is there and signed by us."""
        signed = request.cookies.get(self._name(kind, secure=self._secure(request)))
        if not signed:
            return None
        try:
            return self._signers[kind].unsign(signed).decode()
        except (BadSignature, UnicodeDecodeError):
            return None

    def drop(self, request: Request, response: Response, kind: str) -> None:
        secure = self._secure(request)
        response.delete_cookie(self._name(kind, secure=secure), path="/", secure=secure, httponly=True, samesite="lax")


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


class LoginThrottle:
    """Five wrong passwords from one address, and it waits: 30 s, doubled by each further one, at most 15 minutes.

    An attempt counts before it is checked, so that many at once are no way around. Kept in memory, at most
    ``_REMEMBERED`` addresses: a restart forgets, argon2 still slows.
    """

    _FREE, _FIRST_S, _LONGEST_S, _REMEMBERED = 5, 30.0, 900.0, 10_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, _Failures] = OrderedDict()

    def attempt(self, address: str) -> float:
        """Seconds to wait before trying; 0 means that this attempt may go on (and is counted)."""
        now = self._clock.monotonic()
        with self._lock:
            failures = self._seen.setdefault(address, _Failures())
            self._seen.move_to_end(address)
            if len(self._seen) > self._REMEMBERED:
                self._seen.popitem(last=False)
            if failures.until > now:
                return failures.until - now
            failures.count += 1
            if failures.count >= self._FREE:
                wait = min(self._LONGEST_S, self._FIRST_S * 2 ** min(10, failures.count - self._FREE))
                failures.until = now + wait
            return 0.0

    def succeeded(self, address: str) -> None:
        """The password was right: forget what went wrong before."""
        with self._lock:
            self._seen.pop(address, None)


def same_token(given: str, wanted: str) -> bool:
    """Compare in constant time; an empty token fits nothing."""
    return bool(wanted) and compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """User and password of an ``Authorization: Basic`` header."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None


class PasswordCheck:
    """Checks a password behind the throttle."""

    WRONG = -1.0

    def __init__(self, throttle: LoginThrottle, verify: Callable[[str, str], bool]) -> None:
        self._throttle = throttle
        self._verify = verify

    def __call__(self, request: Request, name: str, password: str) -> float:
        """0 when right, :attr:`WRONG` when wrong, otherwise the seconds to wait before one is looked at again."""
        address = request.client.host if request.client else ""
        wait = self._throttle.attempt(address)
        if wait > 0:
            return wait
        if not self._verify(name, password):
            return self.WRONG
        self._throttle.succeeded(address)
        return 0.0
