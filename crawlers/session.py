"""The session that a person logged in by hand: Playwright's storage state, used by browsers and plain requests alike.

At rest it is encrypted under a key of its own for each platform, derived from the installation's secret, and readable
by its owner only. Nothing of it is ever logged; no message or ``repr`` holds a cookie.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import orjson

from crawlers.config import Platform
from ingest.errors import ConfigError
from ingest.privacy import box_for

if TYPE_CHECKING:
    from scrapy.http.request import VerboseCookie

FORMAT: Final = "shengwen-session-1"


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in browser's state. ``logged_in_at``: when a person did so, UTC; null for one of unknown age."""

    state: Mapping[str, Any] = field(repr=False)
    logged_in_at: datetime | None = None


class SessionFile:
    """One platform's session at rest. ``secret`` is the installation's."""

    def __init__(self, path: Path, platform: Platform, secret: bytes) -> None:
        self.path = path
        self._platform = platform
        self._secret = secret

    def __repr__(self) -> str:
        return f"SessionFile({self.path.name!r})"

    def load(self) -> Session | None:
        """The saved session, or None when nobody has logged in yet.

        A plain storage state, as older versions kept it, is taken and replaced by its encrypted form. Raises
        ConfigError for a file that is damaged, of another platform, or closed with another secret.
        """
        try:
            kept = orjson.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"登录状态文件 {self.path.name} 无法读取：{error.strerror}") from None
        except ValueError:
            raise self._useless("内容不完整") from None  # the cause would hold the text, and with it cookies
        if isinstance(kept, dict) and kept.get("format") == FORMAT:
            return self._opened(kept.get("sealed"))
        session = Session(self._state(kept))
        try:
            self.save(session)
        except OSError as error:
            raise ConfigError(f"登录状态文件 {self.path.name} 无法改为加密保存：{error.strerror}") from None
        return session

    def save(self, session: Session) -> None:
        """Keep a session; whole or not at all. Raises OSError."""
        at = session.logged_in_at
        inner = {
            "platform": self._platform,
            "logged_in_at": at.isoformat() if at is not None else None,
            "state": session.state,
        }
        sealed = self._box().encrypt(orjson.dumps(inner)).decode("ascii")
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps({"format": FORMAT, "sealed": sealed}))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)

    def refresh(self, was: Session, state: Mapping[str, Any]) -> bool:
        """Keep what the platform made of ``was``; False when a person has logged in anew meanwhile, which stays."""
        now = self.load()
        if now is not None and now.logged_in_at != was.logged_in_at:
            return False
        self.save(Session(state, was.logged_in_at))
        return True

    def _opened(self, sealed: object) -> Session:
        from cryptography.fernet import InvalidToken

        try:
            inner = orjson.loads(self._box().decrypt(str(sealed).encode("utf-8", "replace")))
        except InvalidToken:
            raise self._useless("密钥换过，或者文件损坏、属于别的平台") from None
        at = inner["logged_in_at"]
        return Session(self._state(inner["state"]), datetime.fromisoformat(at) if at is not None else None)

    def _state(self, state: object) -> Mapping[str, Any]:
        if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
            raise self._useless("里面没有登录状态")
        return state

    def _box(self) -> Any:
        return box_for(self._secret, f"browser session of {self._platform}")

    def _useless(self, why: str) -> ConfigError:
        return ConfigError(f"登录状态文件 {self.path.name} 不能用（{why}）；请重新运行 shengwen login {self._platform}")


def cookies_of(session: Session, bases: Iterable[str]) -> list[VerboseCookie]:
    """The session's cookies in Scrapy's form, without those that have expired or belong to other hosts.

    ``bases``: the URLs that stand for the platform's hosts; none means its real hosts, which are not told apart.
    """
    hosts = {urlsplit(base).hostname or "" for base in bases}
    now = time.time()
    found: list[VerboseCookie] = []
    for cookie in session.state["cookies"]:
        domain = str(cookie.get("domain", ""))
        expires = cookie.get("expires", -1)
        if isinstance(expires, int | float) and 0 < expires < now:
            continue
        if hosts and not any(_covers(domain, host) for host in hosts):
            continue
        found.append(
            {
                "name": str(cookie.get("name", "")),
                "value": str(cookie.get("value", "")),
                "domain": domain,
                "path": str(cookie.get("path", "/")),
                "secure": bool(cookie.get("secure", False)),
            }
        )
    return found


def _covers(domain: str, host: str) -> bool:
    plain = domain.lstrip(".")
    return host == plain or (domain.startswith(".") and host.endswith("." + plain))
