"""Native ids in each platform's form, each once. On Xiaohongshu the first eight hex digits are the creation time."""

from __future__ import annotations

from datetime import datetime
from random import Random


class Ids:
    """Draws ids from one random stream and never gives one twice."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._given: set[str] = set()

    def _once(self, draw: str) -> str | None:
        if draw in self._given:
            return None
        self._given.add(draw)
        return draw

    def jd_review(self, at: datetime) -> str:
        """11 digits that grow with time."""
        while True:
            fresh = self._once(str(int(at.timestamp()) * 10 + self._rng.randrange(10)))
            if fresh:
                return fresh

    def tmall_review(self, at: datetime) -> str:
        """13 digits that grow with time."""
        while True:
            fresh = self._once(str(int(at.timestamp()) * 1000 + self._rng.randrange(1000)))
            if fresh:
                return fresh

    def digits(self, length: int) -> str:
        """A number of so many digits (JD questions 8, Zhihu answers 10, Zhihu comments 11)."""
        while True:
            fresh = self._once(str(self._rng.randrange(10 ** (length - 1), 10**length)))
            if fresh:
                return fresh

    def xiaohongshu(self, at: datetime) -> str:
        """24 hex digits."""
        while True:
            fresh = self._once(f"{int(at.timestamp()):08x}{self._rng.getrandbits(64):016x}")
            if fresh:
                return fresh

    def douyin(self, at: datetime) -> str:
        """19 digits: the seconds stand in the upper half."""
        while True:
            fresh = self._once(str(int(at.timestamp()) << 32 | self._rng.getrandbits(32)))
            if fresh:
                return fresh
