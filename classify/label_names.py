"""What a foreign model's label names mean: negative, neutral or positive."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from classify.scorer import LABELS
from ingest.analysis import SentimentLabel
from ingest.errors import ConfigError

_NAMES: dict[SentimentLabel, frozenset[str]] = {
    "negative": frozenset(
        ("negative", "neg", "bad", "负面", "負面", "负向", "負向", "消极", "消極", "差评", "差評", "贬义", "貶義", "负")
    ),
    "neutral": frozenset(
        ("neutral", "neu", "中性", "中立", "中评", "中評", "客观", "客觀", "无情感", "無情感", "平淡", "一般")
    ),
    "positive": frozenset(
        ("positive", "pos", "good", "正面", "正向", "积极", "積極", "好评", "好評", "褒义", "褒義", "正")
    ),
}
_MEANINGS: dict[str, SentimentLabel] = {name: label for label, names in _NAMES.items() for name in names}
_STARS: dict[str, SentimentLabel] = dict(
    zip("12345", ("negative", "negative", "neutral", "positive", "positive"), strict=True)
)
_ORDERS: dict[int, tuple[SentimentLabel, ...]] = {2: ("negative", "positive"), 3: LABELS}
"""What LABEL_0, LABEL_1… mean by custom, by how many there are."""

_ASIDE = re.compile(r"\s*\(.*\)$")
_DEGREE = re.compile(r"^(?:(?:very|extremely|strongly|slightly|somewhat|mostly)[ _-]+|非常|极其|極其|比较|比較|很)")
_TAIL = re.compile(r"[ _-]*(?:sentiment|emotion|review|情感|情绪|情緒|评价|評價)$")
_STAR = re.compile(r"(?:stars?[ _-]?)?([1-5])(?:[ _-]?stars?|星级?|星級|分)?")
_NUMBERED = re.compile(r"(?:label[ _-]?)?(\d+)")


def meanings(names: Sequence[str], given: Mapping[str, SentimentLabel] | None = None) -> tuple[SentimentLabel, ...]:
    """The sentiment of each of a model's labels, in order. ``given`` (label name → sentiment) decides alone if it is
    not empty.

    Understood without it: the usual words in Chinese and English, with a degree or an aside ("very positive",
    "negative (stars 1 and 2)"); 1-5 stars (3 is neutral); LABEL_0, LABEL_1… with two (negative, positive) or three.
    Raises ConfigError naming the labels found: one has no meaning, or nothing would be negative or nothing positive.
    """
    found = _given(names, given) if given else _understood([_plain(name) for name in names])
    if found is None or not {"negative", "positive"} <= set(found):
        raise ConfigError(
            f"设置 classify.model：看不懂模型的标签 {_listed(names)}。请在 classify.labels 里逐个写明，例如："
            f'labels = {{ "{shown(names[0]) if names else "LABEL_0"}" = "negative", … }}，'
            "可写 negative、neutral、positive，其中 negative 和 positive 都要有"
        )
    return found


def _given(names: Sequence[str], given: Mapping[str, SentimentLabel]) -> tuple[SentimentLabel, ...]:
    table = {_plain(name, aside=True): label for name, label in given.items()}
    known = {_plain(name, aside=True) for name in names}
    if strange := [name for name in given if _plain(name, aside=True) not in known]:
        raise ConfigError(f"设置 classify.labels：模型没有标签 {_listed(strange)}；它的标签是 {_listed(names)}")
    if missing := [name for name in names if _plain(name, aside=True) not in table]:
        raise ConfigError(f"设置 classify.labels：没有写明标签 {_listed(missing)}；模型的标签是 {_listed(names)}")
    return tuple(table[_plain(name, aside=True)] for name in names)


def _understood(names: Sequence[str]) -> tuple[SentimentLabel, ...] | None:
    stars = [match[1] if (match := _STAR.fullmatch(name)) else "" for name in names]
    if sorted(stars) == list(_STARS):
        return tuple(_STARS[star] for star in stars)
    numbers = [int(match[1]) if (match := _NUMBERED.fullmatch(name)) else -1 for name in names]
    if len(names) in _ORDERS and numbers == list(range(len(names))):
        return tuple(_ORDERS[len(names)][number] for number in numbers)
    words = [_MEANINGS.get(name) or _MEANINGS.get(_TAIL.sub("", _DEGREE.sub("", name))) for name in names]
    told = tuple(word for word in words if word is not None)
    return told if len(told) == len(names) else None


def _plain(name: str, *, aside: bool = False) -> str:
    """Width, case and outer space do not matter, nor does what stands in brackets unless ``aside``."""
    folded = unicodedata.normalize("NFKC", name).casefold().strip()
    return folded if aside else _ASIDE.sub("", folded)


def shown(text: str, most: int = 40) -> str:
    """What a stranger's file says, fit for a message: not long, no control characters."""
    return "".join(char for char in text[:most] if char.isprintable()) + ("…" if len(text) > most else "")


def _listed(names: Sequence[str]) -> str:
    first = "、".join(f"“{shown(name)}”" for name in names[:10])
    return first + (f" 等 {len(names)} 个" if len(names) > 10 else "")
