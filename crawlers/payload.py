"""What a fetch hands to a parser, and what a parser hands back. Fetching and parsing never mix.

A parser is a pure function ``parse(payload: Payload) -> Page``: the same one reads a live answer, an answer captured
in a browser, a HAR entry and a test recording. It never raises on bytes from outside: what it cannot read is in
``Page.problems``, and an answer that is not what the endpoint promises is ``signal="unknown"``, never "zero results".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from ingest.draft import Draft

Signal = Literal["ok", "empty", "login_required", "verification", "throttled", "blocked", "gone", "unknown"]
"""ok: records were read · empty: the platform says there are none · gone: this item was removed (not an error) ·
unknown: not the expected shape · login_required, verification, throttled, blocked: stop now, call a person."""

STOP_SIGNALS: frozenset[Signal] = frozenset({"login_required", "verification", "throttled", "blocked", "unknown"})
"""Signals after which a spider stops its platform at once."""


@dataclass(frozen=True, kw_only=True)
class Payload:
    """One answer. ``headers`` names are lower-case; ``body`` are the bytes as they came, content-encoding undone.

    ``url`` is the request's address, null when a bare file is parsed; ``final_url`` is where redirects ended.
    ``captured_at`` is aware UTC. ``request_body`` is what was posted (page number, ids), empty for GET.
    """

    url: str | None
    method: str = "GET"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes
    captured_at: datetime
    final_url: str | None = None
    request_body: bytes = b""

    @property
    def sha256(self) -> str:
        return sha256(self.body).hexdigest()

    def param(self, name: str) -> str | None:
        """A query parameter of ``url``, or None."""
        if not self.url:
            return None
        try:
            values = parse_qs(urlsplit(self.url).query).get(name)
        except ValueError:
            return None
        return values[0] if values else None


@dataclass(frozen=True)
class Problem:
    """One record of a page that could not be read: where it stood and why; the rest of the page is kept.

    ``path`` is like ``comments[3].creationTime``; ``raw`` is that record alone, as JSON bytes.
    """

    path: str
    reason: str
    raw: bytes


@dataclass(frozen=True, kw_only=True)
class Page:
    """What one payload says.

    ``next`` holds the parameters of the next page (``{"page": "2"}``, ``{"cursor": "20"}``, ``{"url": ...}``), null at
    the end. ``total`` is what the platform claims there is, where it says, ``counts`` its other claims (``good``,
    ``middle``, ``bad``, ``append``, ``picture``, ``video``, ``default_good``, ``folded``; ``other``: hits that are no
    mention). ``stats`` are its other figures (``good_rate`` from 0 to 1, ``average_score``, ``score_1`` to ``score_5``,
    ``all_default_good``), ``tags`` how many reviews it files under words of its own. ``missing`` names what this
    endpoint promises and the answer has not (``data.has_more``, ``comments[].content``): the records stand, but the
    shape changed. ``problems`` are the first records that could not be read, ``more_problems`` counts the others.
    ``reason`` explains any signal but ok, in Chinese.
    """

    endpoint: str
    signal: Signal
    mentions: tuple[Draft, ...] = ()
    next: Mapping[str, str] | None = None
    total: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    stats: Mapping[str, float | bool] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    more_problems: int = 0
    missing: tuple[str, ...] = ()
    reason: str = ""

    @property
    def lost_way(self) -> bool:
        """Whether it is the last page only because what says how the list goes on is missing (a flag, a cursor)."""
        return self.next is None and any("[]" not in path for path in self.missing)

    @property
    def broken(self) -> int:
        """How many of its records could not be read."""
        return len(self.problems) + self.more_problems
