"""The audit: one line for each request that went to a platform, so that it can be shown what was asked, when and why.

JSON lines in ``<platform>-<day>.jsonl`` of one folder, a file a platform and day (Beijing). A line is one append of a
whole line, so ``kill -9`` loses at most the last one; what a full disk cut off is ended by the next line and skipped
by readers. There is no body, cookie or token in it: addresses keep the parameters that say what was read, and
of a body its length and SHA-256.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import orjson

from crawlers.ledger import Ledger
from crawlers.payload import Payload
from crawlers.pipeline import stored_url
from ingest.clock import BEIJING, Clock

Why = Literal["robots_allowed", "permission", "robots_txt", "official_api"]
"""Why it was asked: robots.txt allows it · the operator's recorded reason · to read robots.txt · the API's keys."""

UNREAD: Final = "unread"
"""In place of a signal: the answer came when nobody waited for it any more, and says nothing of itself."""

_NAME: Final = re.compile(r"([a-z]+)-(\d{4}-\d\d-\d\d)\.jsonl")


class Audit:
    """One run's lines. Raises OSError when a line cannot be written: what cannot be told is not asked."""

    def __init__(
        self, folder: Path, platform: str, ledger: Ledger, clock: Clock, *, why: Why, reason: str = "", days: int
    ) -> None:
        self._folder = folder
        self._platform = platform
        self._ledger = ledger
        self._clock = clock
        self._why = why
        self._reason = reason
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _forget(folder, platform, _day(clock.now()) - timedelta(days=days))

    def reasoned(self, why: Why) -> Audit:
        """The same audit, for requests that are made for another reason."""
        other = copy(self)
        other._why, other._reason = why, ""
        return other

    def answered(self, payload: Payload, signal: str) -> None:
        """A request that was answered; ``signal`` is the parser's."""
        followed = payload.final_url if not 300 <= payload.status < 400 else None  # the hops before have lines as well
        self._write(
            payload.method,
            followed or payload.url,
            payload.captured_at,
            status=payload.status,
            bytes=len(payload.body),
            sha256=payload.sha256,
            signal=signal,
        )

    def other(self, method: str, url: str, status: int, size: int | None, *, why: Why | None = None) -> None:
        """A request that no parser reads: robots.txt, a redirect that the browser followed."""
        self._write(method, url, self._clock.now(), why=why, status=status, bytes=size)

    def failed(self, method: str, url: str, error: str, *, why: Why | None = None) -> None:
        """A request without a whole answer; ``error`` is the kind, without words that may hold an address."""
        self._write(method, url, self._clock.now(), why=why, error=error)

    def _write(self, method: str, url: str | None, at: datetime, *, why: Why | None = None, **more: Any) -> None:
        line: dict[str, Any] = {
            "at": at.isoformat(),
            "platform": self._platform,
            "run": self._ledger.run,
            "method": method,
            "url": stored_url(url),
            "why": why or self._why,
        }
        if line["why"] == "permission":
            line["reason"] = self._reason
        _append(self._folder / f"{self._platform}-{_day(at)}.jsonl", orjson.dumps(line | more))


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One line as it is read back; ``fields`` are those of the file, ``raw`` its bytes without the line's end."""

    at: datetime
    platform: str
    fields: Mapping[str, Any]
    raw: bytes


def read_audit(folder: Path, platforms: Sequence[str], since: datetime) -> Iterator[AuditLine]:
    """The lines of these platforms since then, day by day, each platform's in order. Broken lines are left out."""
    first = _day(since)
    days = [(day, platform, path) for path, platform, day in _files(folder) if platform in platforms and day >= first]
    for _, platform, path in sorted(days):
        with path.open("rb") as file:
            for raw in file:
                line = _line(raw.strip(), platform)
                if line is not None and line.at >= since:
                    yield line


def _line(raw: bytes, platform: str) -> AuditLine | None:
    try:
        fields = orjson.loads(raw)
        return AuditLine(datetime.fromisoformat(fields["at"]), platform, fields, raw)
    except (ValueError, TypeError, KeyError):
        return None


def _append(path: Path, line: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        whole = (b"\n" if torn else b"") + line + b"\n"
        if os.write(handle, whole) != len(whole):
            raise OSError(f"{path.name}: the disk took only a part of a line")
    finally:
        os.close(handle)


def _files(folder: Path) -> Iterator[tuple[Path, str, date]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _NAME.fullmatch(path.name)
        if found is not None:
            yield path, found[1], date.fromisoformat(found[2])


def _forget(folder: Path, platform: str, oldest: date) -> None:
    for path, owner, day in list(_files(folder)):
        if owner == platform and day < oldest:
            path.unlink(missing_ok=True)


def _day(at: datetime) -> date:
    return at.astimezone(BEIJING).date()
