"""The text bank: loads the lines of ``bank_*.toml``, deals them like cards, fills their slots.

All words are invented for the demo. Slots (``{room}``, ``{city}``, ``{yuan}`` …) are filled so that they fit the person
who speaks; phone numbers, addresses and order numbers are visibly fictitious, and are there so that masking shows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any, Final, Generic, TypeVar

from shengwen.demo.cast import BRAND, COMPETITOR
from shengwen.demo.people import Person

ROOMS: Final = ("客厅", "主卧", "次卧", "儿童房", "书房", "餐厅", "老人房", "北屋", "小卧室")
WHO: Final = ("我妈", "老公", "媳妇", "我爸", "婆婆", "爱人", "岳父", "奶奶", "我姐", "室友")
SURNAMES: Final = ("王", "李", "张", "刘", "陈", "杨", "赵", "孙", "周", "郭", "马", "于", "董")
CLERKS: Final = ("小暖", "阿岚", "七七", "小禾", "朵朵", "木木")
PHONES: Final = ("13800000000", "139 0000 0000", "15000000001", "186-0000-0000", "13800001111", "17700000000")
ADDRESSES: Final = (
    "幸福路88号阳光小区3栋2单元501室",
    "虚构大道1号暖阳花园9号楼1204室",
    "示例街12号春晓苑5号楼3单元602",
    "样板路66号和谐家园2栋1101室",
)
ENDINGS: Final = ("！", "～", "……", "哈哈", "😂", "，真的", "，唉", "👍", "，实话")


@cache
def bank(name: str) -> dict[str, Any]:
    """The parsed ``bank_{name}.toml``; texts that hold one line an item are split by :func:`lines`."""
    data = files("shengwen.demo").joinpath(f"bank_{name}.toml").read_bytes().decode("utf-8")
    return tomllib.loads(data)


def lines(text: str) -> tuple[str, ...]:
    """The non-empty lines of a block."""
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def topic_of(line: str) -> tuple[str, str]:
    """A line's topic and words: ``topic:: words``; the topic is empty where none is marked."""
    topic, mark, words = line.partition("::")
    return (topic.strip(), words.strip()) if mark else ("", line)


T = TypeVar("T")


class Deck(Generic[T]):
    """Deals items in random order, each once before any comes again; never the same twice running."""

    def __init__(self, cards: Sequence[T], rng: Random) -> None:
        if not cards:
            raise ValueError("an empty deck")
        self._cards, self._rng = tuple(cards), rng
        self._pile: list[T] = []
        self._last: T | None = None

    def deal(self) -> T:
        if not self._pile:
            self._pile = list(self._cards)
            self._rng.shuffle(self._pile)
            if len(self._pile) > 1 and self._pile[-1] == self._last:
                self._pile.reverse()
        self._last = self._pile.pop()
        return self._last


@dataclass(slots=True)
class Slots:
    """Fills slots for one speaker; a slot used twice in one text has one value."""

    rng: Random
    person: Person
    model: str = "K20-3"

    def fill(self, template: str) -> str:
        return template.format_map(_Values(self))


class _Values(dict[str, str]):
    def __init__(self, slots: Slots) -> None:
        super().__init__(city=slots.person.city, m=slots.model, brand=BRAND, rival=COMPETITOR)
        self._rng = slots.rng

    def __missing__(self, name: str) -> str:
        self[name] = _SLOTS[name](self._rng)
        return self[name]


_SLOTS: Final[dict[str, Callable[[Random], str]]] = {
    "room": lambda r: r.choice(ROOMS),
    "who": lambda r: r.choice(WHO),
    "surname": lambda r: r.choice(SURNAMES),
    "nick": lambda r: r.choice(CLERKS),
    "phone": lambda r: r.choice(PHONES),
    "addr": lambda r: r.choice(ADDRESSES),
    "order": lambda r: f"3000{r.randrange(10**8):08d}",
    "t": lambda r: str(r.randint(21, 26)),
    "tlow": lambda r: str(r.randint(13, 17)),
    "sq": lambda r: str(r.choice((68, 76, 83, 89, 95, 104, 110, 118, 126, 140))),
    "sq2": lambda r: str(r.randint(3, 7)),
    "days": lambda r: str(r.randint(3, 19)),
    "n": lambda r: r.choice("三四五六七"),
    "yuan": lambda r: str(r.randint(8, 48) * 10),
    "yuan2": lambda r: str(r.choice((25, 30, 35, 40, 45))),
    "floor": lambda r: r.choice("四五六七"),
    "kg": lambda r: str(r.randint(38, 75)),
    "mpa": lambda r: r.choice(("1.0", "1.2", "1.5", "1.6")),
    "year": lambda r: r.choice(("六", "八", "十", "十二", "十五")),
    "gas": lambda r: str(r.randint(180, 320)),
}
