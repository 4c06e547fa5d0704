"""HAR files: what anybody's browser saved becomes the payloads that the parsers read."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from crawlers.parse import walled
from crawlers.payload import Payload
from ingest.clock import BEIJING
from ingest.errors import UserError

MAX_BYTES: Final = 1 << 30
HOSTS: Final = {
    "jd.com": "jd",
    "tmall.com": "tmall",
    "taobao.com": "tmall",
    "xiaohongshu.com": "xiaohongshu",
    "rednote.com": "xiaohongshu",
    "douyin.com": "douyin",
    "zhihu.com": "zhihu",
}
"""Registered domain -> platform."""


def platform_of(url: str) -> str | None:
    """The platform that an address belongs to, or None."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return None
    return HOSTS.get(".".join(host.rsplit(".", 2)[-2:]))


def har_payloads(path: Path, now: datetime) -> Iterator[tuple[str, Payload]]:
    """(platform, payload) of each answer of a known platform that has a body or is a wall, in the file's order.

    ``now`` bounds when an answer was captured: the capture numbers revisions, and one from a clock that is ahead would
    make every later one older. A time without a zone is Beijing's.
    Raises UserError for a file that is no HAR; a single broken entry is passed over, as browsers write such.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"{path.name} 超过 1 GB，请分成几个文件")
        log = json.loads(path.read_bytes())["log"]
        entries = log["entries"]
    except OSError as error:
        raise UserError(f"无法读取 {path}：{error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path.name} 不是有效的 HAR 文件（缺少 log.entries，或 JSON 不完整）") from error
    if not isinstance(entries, list):
        raise UserError(f"{path.name} 不是有效的 HAR 文件（log.entries 不是列表）")
    for entry in entries:
        found = _payload(entry, now)
        if found is not None:
            yield found


def _payload(entry: Any, now: datetime) -> tuple[str, Payload] | None:
    try:
        request, response = entry["request"], entry["response"]
        url = str(request["url"])
        platform = platform_of(url)
        content = response["content"]
        text = content.get("text")
        if platform is None or request.get("method") in ("OPTIONS", "HEAD"):
            return None
        saved = isinstance(text, str)
        text = text if saved else ""
        encoded = content.get("encoding") == "base64"
        body = base64.b64decode(text, validate=True) if encoded else text.encode("utf-8", "replace")
        headers = {str(h["name"]).lower(): str(h["value"]) for h in response.get("headers", ())}
        if not encoded:
            headers["content-type"] = f"{str(content.get('mimeType', '')).split(';')[0]}; charset=utf-8"
        posted = (request.get("postData") or {}).get("text") or ""
        payload = Payload(
            url=url,
            status=int(response["status"]),
            headers=headers,
            body=body,
            captured_at=min(_started(entry), now),
            final_url=str(response.get("redirectURL") or "") or None,
            request_body=str(posted).encode("utf-8", "replace"),
        )
        return (platform, payload) if saved or _told_without_body(platform, payload, content) else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, binascii.Error):
        return None


def _started(entry: Any) -> datetime:
    started = datetime.fromisoformat(str(entry["startedDateTime"]))
    return (started if started.tzinfo else started.replace(tzinfo=BEIJING)).astimezone(UTC)


def _told_without_body(platform: str, payload: Payload, content: Any) -> bool:
    """Browsers save no text for an empty answer, and none for one that they held no longer: only the first says what
    it is by its body, both may by status and headers."""
    size = content.get("size")
    return walled(platform, payload) or (payload.status == 200 and isinstance(size, int) and size <= 0)
