"""What exports and programs write as a rating, as stars: of five, of three words, of ten, NPS 0-10, CSAT 1-5.

What lies between two stars becomes the nearer one, the upper of two equally near; ``original`` keeps what was written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ingest.errors import Poison
from ingest.mention import RatingScale


class Stars(NamedTuple):
    """``rating`` 1 to 5; ``original`` is what was answered, where that is no star: ``NPS 3/10``."""

    rating: int | None = None
    scale: RatingScale | None = None
    original: str | None = None


NOTHING = frozenset(
    {"-", "--", "—", "——", "/", "\\", "无", "暂无", "空", "n/a", "na", "nan", "null", "none", "#n/a", "未评分"}
)
"""What exports write where there is nothing, lower case."""

_WORDS: Mapping[str, tuple[int, RatingScale]] = {
    "好评": (5, "3"), "中评": (3, "3"), "差评": (1, "3"), "good": (5, "3"), "neutral": (3, "3"), "bad": (1, "3"),
    "一星": (1, "5"), "二星": (2, "5"), "三星": (3, "5"), "四星": (4, "5"), "五星": (5, "5"),
}  # fmt: skip
_SATISFIED: Mapping[str, int] = {
    "非常满意": 5, "很满意": 5, "十分满意": 5, "满意": 4, "比较满意": 4, "一般": 3, "中立": 3, "尚可": 3, "基本满意": 3,
    "不满意": 2, "不太满意": 2, "较不满意": 2, "非常不满意": 1, "很不满意": 1, "十分不满意": 1,
}  # fmt: skip
_RATING = re.compile(r"([1-5](?:\.\d{1,3})?)\s*(?:分|颗?星|stars?)?(?:\s*[/／]\s*5\s*分?)?", re.IGNORECASE)
_OF_TEN = re.compile(r"(10(?:\.0+)?|\d(?:\.\d{1,3})?)\s*分?(\s*[/／]\s*10\s*分?)?")
_DRAWN = re.compile("[★⭐🌟✭☆✩✰\ufe0f\\s]+")
_FILLED = re.compile("[★⭐🌟✭]")
_NPS = re.compile(r"(10|[0-9])(?:\.0+)?\s*分?(?:\s*[/／]\s*10)?")
_CSAT = re.compile(r"([1-5])(?:\.0+)?\s*分?(?:\s*[/／]\s*5)?")


def stars(value: Any) -> Stars:
    """A rating of five, drawn stars, 好评/中评/差评, or what says that it is of ten ("8/10"). Raises Poison."""
    if value is None:
        return Stars()
    text = str(value).strip().lower()
    if text in _WORDS:
        return Stars(*_WORDS[text])
    if _DRAWN.fullmatch(text) and 1 <= (drawn := len(_FILLED.findall(text))) <= 5:
        return Stars(drawn, "5")
    if (of_ten := _OF_TEN.fullmatch(text)) and of_ten[2]:
        return stars_of_ten(text)
    match = _RATING.fullmatch(text)
    if not match or float(match[1]) > 5:
        raise Poison("评分不是 1 到 5，也不是好评、中评、差评", field="rating")
    number = float(match[1])
    return Stars(int(number + 0.5), "5", None if number.is_integer() else f"{number:g}/5")


def stars_of_ten(value: Any) -> Stars:
    """A rating from 0 to 10: two points a star, and never less than one star. Raises Poison."""
    if value is None:
        return Stars()
    match = _OF_TEN.fullmatch(str(value).strip())
    if not match:
        raise Poison("评分不是 0 到 10", field="rating10")
    number = float(match[1])
    return Stars(max(1, int(number / 2 + 0.5)), "5", f"{number:g}/10")


def stars_of_nps(value: Any) -> Stars:
    """Would recommend, 0 to 10. Detractors (0-6) become 1 or 2 stars, passives 3, promoters 4 or 5. Raises Poison."""
    if value is None:
        return Stars()
    match = _NPS.fullmatch(str(value).strip())
    if not match:
        raise Poison("NPS 不是 0 到 10", field="nps")
    answer = int(match[1])
    rating = 1 if answer <= 3 else 2 if answer <= 6 else 3 if answer <= 8 else answer - 5
    return Stars(rating, "5", f"NPS {answer}/10")


def stars_of_csat(value: Any) -> Stars:
    """Satisfaction, 1 to 5, as a number or in words. Raises Poison."""
    if value is None:
        return Stars()
    text = str(value).strip()
    rating = _SATISFIED.get(text)
    if rating is None:
        match = _CSAT.fullmatch(text)
        if not match:
            raise Poison("CSAT 不是 1 到 5", field="csat")
        rating = int(match[1])
    return Stars(rating, "5", f"CSAT {rating}/5")
