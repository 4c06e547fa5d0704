"""Invented people: nicknames, provinces, platform ids. No name, id or place here belongs to anybody."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from shengwen.demo.cast import Platform

PLACES: Final[tuple[tuple[str, str, int], ...]] = (
    ("北京", "北京", 10),
    ("天津", "天津", 6),
    ("河北", "石家庄", 6),
    ("河北", "唐山", 4),
    ("山西", "太原", 6),
    ("山东", "济南", 7),
    ("山东", "青岛", 6),
    ("河南", "郑州", 7),
    ("陕西", "西安", 7),
    ("辽宁", "沈阳", 6),
    ("辽宁", "大连", 4),
    ("黑龙江", "哈尔滨", 5),
    ("吉林", "长春", 4),
    ("内蒙古", "呼和浩特", 3),
    ("甘肃", "兰州", 3),
    ("宁夏", "银川", 2),
    ("新疆", "乌鲁木齐", 2),
    ("江苏", "南京", 4),
    ("安徽", "合肥", 3),
    ("湖北", "武汉", 4),
    ("浙江", "杭州", 3),
    ("四川", "成都", 2),
    ("湖南", "长沙", 2),
)
"""(province, city, weight)."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_HEADS: Final = _words(
    "云朵 橘子 北方的 半糖 早睡的 小满 冬日 木头 阿柚 拾光 一只 慢慢 晚风 麦田 大福 豆沙 青柠 爱喝茶的 胖胖 温吞 "
    "装修中的 山野 铁锅 雪天 加班的 二楼 话痨 迷糊 三餐 南墙"
)
_TAILS: Final = _words(
    "妈妈 同学 先生 不吃鱼 日记 家的猫 研究所 小屋 爱暖和 老张 在路上 汽水 想退休 本人 的厨房 阿姨 师兄 饭团 面包 星球 "
    "小铺 观察员 有点困 土豆 不加班 向日葵"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``uid`` in the platform's form; ``nick`` unmasked (shops show :attr:`masked`); ``province`` as in IP labels."""

    uid: str
    nick: str
    province: str
    city: str
    official: bool = False

    @property
    def masked(self) -> str:
        """As shops show it: first and last character."""
        return f"{self.nick[0]}***{self.nick[-1]}"


def native_uid(platform: Platform, rng: Random) -> str:
    """A user id in the platform's form: 24 hex on Xiaohongshu, 32 hex on Zhihu, digits elsewhere."""
    if platform == "xiaohongshu":
        return f"5f{rng.getrandbits(88):022x}"
    if platform == "zhihu":
        return f"{rng.getrandbits(128):032x}"
    return str(rng.randrange(10**11, 10**12))


class Crowd:
    """Makes people for one platform; :meth:`anyone` returns an earlier one now and then, :meth:`stranger` never."""

    def __init__(self, platform: Platform, rng: Random) -> None:
        self._platform, self._rng = platform, rng
        self._known: list[Person] = []
        self._nicks: set[str] = set()

    def stranger(self) -> Person:
        rng = self._rng
        nick = rng.choice(_HEADS) + rng.choice(_TAILS)
        while nick in self._nicks:
            nick += str(rng.randrange(10))
        self._nicks.add(nick)
        province, city, _ = rng.choices(PLACES, [weight for _, _, weight in PLACES])[0]
        person = Person(uid=native_uid(self._platform, rng), nick=nick, province=province, city=city)
        self._known.append(person)
        return person

    def anyone(self) -> Person:
        if self._known and self._rng.random() < 0.15:
            return self._rng.choice(self._known)
        return self.stranger()
