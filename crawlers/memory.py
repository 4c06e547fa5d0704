"""What a run may take of the machine's memory: the spider with the browser that it started.

Scrapy's own extension looks at it every few seconds and tells once when it is too much; the run then ends as it does on
SIGTERM: what was read is in the log, coverage is partial and says why, the next run goes on in a new process.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.extensions.memusage import MemoryUsage

LOOK_EVERY: Final = 5.0
_PROC: Final = Path("/proc")


def memory_settings(limit_mb: int) -> dict[str, Any]:
    """Scrapy's settings for a run that may take ``limit_mb`` MiB. Its own limit would close the spider unasked."""
    return {
        "MEMUSAGE_ENABLED": True,
        "MEMUSAGE_LIMIT_MB": 0,
        "MEMUSAGE_WARNING_MB": limit_mb,
        "MEMUSAGE_CHECK_INTERVAL_SECONDS": LOOK_EVERY,
    }


class FamilyMemory(MemoryUsage):
    """Ends a run whose processes together hold more than ``MEMUSAGE_WARNING_MB``."""

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        crawler.signals.connect(self._outgrown, signal=signals.memusage_warning_reached)

    def get_virtual_size(self) -> int:
        """Bytes of this process and of all that it started, what they share counted once where the kernel tells.

        Where there is no ``/proc``: the most that this process ever had.
        """
        return sum(map(_held, _family())) if _PROC.joinpath("self/statm").exists() else super().get_virtual_size()

    def _outgrown(self) -> None:
        limit = self.warning // 2**20
        reason = f"这次采集连同浏览器占用的内存超过了 {limit} MB（crawl.memory_mb），先停在这里，下一次接着采"
        self.crawler.spider.end_early(reason)  # type: ignore[union-attr]  # it is there before the engine starts


def _family() -> Iterator[int]:
    """This process and its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            except OSError:  # it has just ended
                continue
            children[parent].append(int(entry.name))
    waiting = [os.getpid()]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children[pid]


def _held(pid: int) -> int:
    """Bytes of memory that a process holds: its share of what it shares, or all of it where that may not be read."""
    place = _PROC / str(pid)
    with suppress(OSError):  # a sandboxed process does not show it, one that has ended neither
        shares = [line for line in place.joinpath("smaps_rollup").read_text().splitlines() if line.startswith("Pss:")]
        if shares:
            return int(shares[0].split()[1]) * 1024
    with suppress(OSError):
        return int(place.joinpath("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
