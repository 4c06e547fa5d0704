"""Tolerant readers of platform values: what the parsers read besides texts. Counts, instants and provinces are read in
``ingest``, as files and pushes bring them, too."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta

from ingest.counts import Count, read_count
from ingest.mention import Media
from ingest.moments import Moment, from_epoch, read_moment
from ingest.regions import province


def read_share(value: object) -> float | None:
    """A share between 0 and 1 from 0.98, 98 or "95%"; None for anything else."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,4})?)\s*(%?)", unicodedata.normalize("NFKC", value[:20]).strip())
        if match is None:
            return None
        value = float(match[1])
        if match[2]:
            return round(value / 100, 6) if value <= 100 else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    share = value / 100 if value > 1 else float(value)
    return round(share, 6) if 0 <= share <= 1 else None


def days_after(base: Moment, days: object) -> datetime | None:
    """The instant ``days`` whole days after ``base``; None where the number of days is not stated."""
    count = read_count(days).value
    return None if count is None or count > 20_000 else base.at + timedelta(days=count)


def id_time(native_id: str) -> Moment:
    """The creation time in the first 8 hex digits of a Xiaohongshu id.

    Day precision: a note drafted earlier than it was published keeps the id of its draft (seen up to 26 h apart).
    Raises ValueError when the id is not of that form.
    """
    if not re.fullmatch(r"[0-9a-f]{24}", native_id):
        raise ValueError("不是 24 位十六进制数")
    return Moment(from_epoch(int(native_id[:8], 16)), "day")


def https_url(value: object) -> str | None:
    """A web address with its scheme ("//img…" gets one); None for anything that is not a plausible http(s) address."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    if text.startswith("//"):
        text = "https:" + text
    elif text.startswith("http://"):
        text = "https://" + text.removeprefix("http://")
    return (
        text
        if re.fullmatch(r"https://[\w-][\w.-]*[\w](?::\d{1,5})?(?:[/?#][^\s<>\"\\^`{|}]*)?", text, re.ASCII)
        and len(text) <= 2000
        else None
    )


def image(value: object) -> list[Media]:
    """A picture, or nothing when ``value`` is no address."""
    url = https_url(value)
    return [] if url is None else [Media(type="image", url=url)]


def video(value: object) -> list[Media]:
    """A video, or nothing when ``value`` is no address."""
    url = https_url(value)
    return [] if url is None else [Media(type="video", url=url)]


__all__ = [
    "Count", "Moment", "days_after", "https_url", "id_time", "image", "province", "read_count", "read_moment", "video",
]  # fmt: skip
