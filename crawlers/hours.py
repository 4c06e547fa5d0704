"""Quiet hours: spans of the Beijing day in which a platform is left in peace, such as ``23:30-07:00``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ingest.clock import BEIJING

DAY: Final = 24 * 60
_SPAN: Final = re.compile(r"([01]?\d|2[0-3])[:：]([0-5]\d)\s*[-–~至]\s*([01]?\d|2[0-3]|24)[:：]([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Span:
    """Minutes of the Beijing day, [start, end); over midnight where the end is not behind the start."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a minute of the day (0-1439) lies in it."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def span(text: str) -> Span:
    """Read ``23:30-07:00``. Raises ValueError (Chinese)."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError("时段应写成 23:30-07:00 的样子（北京时间）")
    start = int(found[1]) * 60 + int(found[2])
    end = int(found[3]) * 60 + int(found[4])
    if end > DAY or (start == end % DAY and end != DAY):
        raise ValueError("时段的开始和结束不能相同，结束最晚写 24:00")
    return Span(start, end % DAY)


def quiet_spans(texts: Iterable[str]) -> tuple[Span, ...]:
    """Read all of them. Raises ValueError (Chinese), also where they leave no minute of the day."""
    spans = tuple(span(text) for text in texts)
    if spans and all(any(one.holds(minute) for one in spans) for minute in range(DAY)):
        raise ValueError("安静时段盖住了整天，就永远不会采集了；不想采集请写 enabled = false")
    return spans


def quiet_until(spans: Iterable[Span], at: datetime) -> datetime | None:
    """When the quiet hours end that ``at`` lies in (spans that touch count as one), UTC; None outside of them."""
    spans = tuple(spans)
    local = at.astimezone(BEIJING)
    minute = local.hour * 60 + local.minute
    if not any(one.holds(minute) for one in spans):
        return None
    begun = at.replace(second=0, microsecond=0)
    for passed in range(1, DAY):
        if not any(one.holds((minute + passed) % DAY) for one in spans):
            return begun + timedelta(minutes=passed)
    return None  # the whole day, which settings refuse


__all__ = ["Span", "quiet_spans", "quiet_until", "span"]
