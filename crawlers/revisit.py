"""Looking again at what is known, less and less often: edits, 追评 and new comments come soon or hardly ever.

A ladder of hours, such as 1, 6, 24, 72, 168, 720, says both how deep a list is read again and when a post is opened
again:

* every ``ladder[k]`` hours a newest-first list is read down to items of the age ``ladder[k + 1]``, although all of them
  are known; the rest is read again by the full pass only (``full_pass_hours``);
* a post is opened again when it has reached each of these ages, although its count of comments did not change.

Each list has its own phase, so that not all of them are due in the same hour. Nothing is stored for it: whether a step
is due follows from when the list was last read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Final

HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)


def reading_depth(ladder: Sequence[float], key: str, last: datetime | None, now: datetime) -> timedelta:
    """Down to which age the list ``key``, last read at ``last``, is read again now; 0: only to what is known."""
    if last is None or last >= now:
        return timedelta(0)
    due = [upto for every, upto in pairwise(ladder) if _step(key, last, every) != _step(key, now, every)]
    return max(due, default=0) * HOUR


def _step(key: str, at: datetime, every: float) -> int:
    """Which of the list's steps of ``every`` hours an instant lies in."""
    length = every * HOUR
    phase = int.from_bytes(sha256(key.encode("utf-8", "replace")).digest()[:6], "big") / 2**48
    return (at - _EPOCH + phase * length) // length


def look_due(ladder: Sequence[float], born: datetime | None, last: datetime, now: datetime) -> bool:
    """Whether something born then has reached an age on the ladder since it was last looked at.

    Where its birth is not known it is looked at again after the longest step.
    """
    if not ladder:
        return False
    if born is None:
        return now - last >= ladder[-1] * HOUR
    return any(last < born + age * HOUR <= now for age in ladder)


__all__ = ["look_due", "reading_depth"]
