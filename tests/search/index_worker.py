"""What the processes do that tests start, kill and watch. Arguments are JSON; a broken promise is a non-zero exit."""

from __future__ import annotations

import resource
import time
from pathlib import Path

from ingest.clock import SystemClock
from ingest.errors import Retryable
from search.base import Delivery
from search.query import Everything, Word
from search.sqlite import SqliteIndex
from tests.search.random_mentions import random_mentions

TOPIC = "mentions.collected"


def deliveries(seed: int, count: int) -> list[Delivery]:
    """A log: random mentions, a third of them again."""
    mentions = random_mentions(seed, count)
    return [Delivery(mention, (TOPIC, 0, place)) for place, mention in enumerate([*mentions, *mentions[: count // 3]])]


def consume(path: str, committed: str, seed: int, count: int, batch: int) -> None:
    """Apply the log from the committed offset on, committing after each batch, in another file, as a stage does."""
    log = deliveries(seed, count)
    offset_file = Path(committed)
    with SqliteIndex(Path(path), SystemClock()) as index:
        offset = int(offset_file.read_text()) if offset_file.exists() else 0
        while offset < len(log):
            index.apply(log[offset : offset + batch])
            offset = min(offset + batch, len(log))
            written = offset_file.with_suffix(".new")
            written.write_text(str(offset))
            written.replace(offset_file)


def watch(path: str, until: int) -> None:
    """Read until ``until`` deliveries were counted; every moment seen must be whole."""
    seen = 0
    with SqliteIndex(Path(path), SystemClock()) as index:
        while True:
            counts = index.counts()
            assert counts["documents"] == counts["indexed"] - counts["erased"]
            summary = index.summary(Everything(), top=1_000)
            assert summary.total >= max(seen, counts["documents"])
            seen = summary.total
            assert sum(summary.facets["sentiment"].values()) == seen
            assert sum(sum(day.values()) for day in summary.by_day.values()) == seen
            page = index.search(Word("暖气"), limit=5)
            assert all("暖气" in hit.mention.full_text for hit in page.hits)
            assert len(page.hits) == min(5, page.total)
            if sum(counts[name] for name in ("indexed", "revised", "duplicate", "empty")) >= until:
                return


def fill_up(path: str, limit: int) -> None:
    """Apply until the file may grow no more, then be allowed more and go on."""
    log = deliveries(1, 3_000)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SqliteIndex(Path(path), SystemClock()) as index:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        done = 0
        try:
            while done < len(log):
                index.apply(log[done : done + 100])
                done += 100
        except Retryable:
            assert 0 < done < len(log)
        else:
            raise AssertionError("the file never grew too large")
        before = index.counts()
        assert before["indexed"] + before["empty"] + before["duplicate"] == done
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        while done < len(log):
            index.apply(log[done : done + 100])
            done += 100
        assert index.verify() == []


def apply_and_linger(path: str, seed: int, count: int, told: str) -> None:
    """Apply everything, say so, and wait to be killed: the write-ahead log stays behind."""
    index = SqliteIndex(Path(path), SystemClock())
    log = deliveries(seed, count)
    for start in range(0, len(log), 50):
        index.apply(log[start : start + 50])
    Path(told).touch()
    time.sleep(60)
