"""The session that a person logged in by hand: Playwright's storage state, used by browsers and plain requests alike.

The file holds secrets: it is readable by its owner only, and nothing of it is ever logged.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from crawlers.config import PlatformSettings
from ingest.errors import ConfigError

if TYPE_CHECKING:
    from scrapy.http.request import VerboseCookie


def storage_state(settings: PlatformSettings) -> dict[str, Any] | None:
    """The saved session, or None when none is configured or nobody has logged in yet.

    Raises ConfigError for a file that is not a storage state.
    """
    if settings.storage_state is None:
        return None
    path = Path(settings.storage_state)
    try:
        state = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"登录状态文件 {path.name} 无法读取；请重新运行 shengwen login") from error
    if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
        raise ConfigError(f"登录状态文件 {path.name} 内容不对；请重新运行 shengwen login")
    return state


def cookies_for(settings: PlatformSettings) -> list[VerboseCookie]:
    """The session's cookies in Scrapy's form, without those that have expired or belong to other hosts."""
    state = storage_state(settings)
    if state is None:
        return []
    hosts = {urlsplit(base).hostname or "" for base in settings.bases.values()}
    now = time.time()
    found: list[VerboseCookie] = []
    for cookie in state["cookies"]:
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


def save_state(path: Path, state: object) -> None:
    """Keep a session that the platform refreshed; whole or not at all, for the owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(orjson.dumps(state))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _covers(domain: str, host: str) -> bool:
    plain = domain.lstrip(".")
    return host == plain or (domain.startswith(".") and host.endswith("." + plain))
