"""What the fake receivers share: a bounded list of what came, a sliding rate limit, and switches for their answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from ingest.clock import Clock

KEEP: Final = 300
"""Messages or tickets kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message that a group would show. ``text`` is as sent, ``mentions`` who is called by name or number."""

    number: int
    channel: str
    at: datetime
    kind: str
    title: str
    text: str
    colour: str = ""
    mentions: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """(words, address) of a card's buttons."""

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "channel": self.channel,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "title": self.title,
            "text": self.text,
            "colour": self.colour,
            "mentions": list(self.mentions),
            "links": [{"text": text, "url": url} for text, url in self.links],
        }


@dataclass(slots=True)
class Wall:
    """What all groups received, newest last. Thread-safe, bounded."""

    clock: Clock
    _messages: deque[Message] = field(default_factory=lambda: deque(maxlen=KEEP))
    _count: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, channel: str, kind: str, title: str, text: str, **more: Any) -> Message:
        with self._lock:
            self._count += 1
            message = Message(self._count, channel, self.clock.now(), kind, title, text, **more)
            self._messages.append(message)
            return message

    def messages(self, channel: str | None = None) -> list[Message]:
        with self._lock:
            return [message for message in self._messages if channel in (None, message.channel)]


class Rate:
    """At most ``limit`` in any ``seconds``; a refused try does not count."""

    def __init__(self, monotonic: Callable[[], float], limit: int, seconds: float) -> None:
        self._monotonic, self._limit, self._seconds = monotonic, limit, seconds
        self._taken: deque[float] = deque()
        self._lock = threading.Lock()

    def allows(self) -> bool:
        now = self._monotonic()
        with self._lock:
            while self._taken and now - self._taken[0] >= self._seconds:
                self._taken.popleft()
            if len(self._taken) >= self._limit:
                return False
            self._taken.append(now)
            return True


def text_of(value: object) -> str:
    """A string from outside, or an empty one."""
    return value if isinstance(value, str) else ""


def part(value: object, name: str) -> dict[str, Any]:
    """An object inside an object from outside, or an empty one."""
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def listed(value: object) -> list[Any]:
    """A list from outside, or an empty one."""
    return value if isinstance(value, list) else []
