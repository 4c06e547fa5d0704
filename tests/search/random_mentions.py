"""Mentions and queries at random, full of what breaks naive indexes. All of it is invented."""

from __future__ import annotations

import random
from datetime import timedelta

from ingest.analysis import ClassifiedMention
from ingest.mention import About, Append, Author, Matched, Media, Product
from tests.factories import CAPTURED, a_classified


def _words(text: str) -> list[str]:
    return text.split()


WORDS = _words("""
暖气 暖气片 不热 漏水 师傅 安装 费用 太贵 客服 态度 物流 很快 包装 破损 焊缝 质量 好评 效果 不错 家里 温度 冬天
钢制 铜铝 复合 阀门 接口 异响 生锈 掉漆 客厅 卧室 老师傅 上门 两次 退货 换货 发票 保修 推诿 k20-3 K20 80x80 满意
差评 担心 邻居 推荐 供暖 物业 水压 打压 试水 的 了 是 我 很 就 在 都 也 还 没 有 给 说 要 Wi-Fi ＡＰＰ ok iPhone
""")
ODD = ["，", "。", "!", "~", " ", "  ", "\n", "\t", "　", '"', "'", "\\", "-", "(", "）", "：", "/", "%", "*", "_", "#"]
ODD += [
    "😀",
    "👨‍👩‍👧",
    "🏠",
    "①",
    "㎡",
    "ﬁ",
    "é",
    "e\u0301",
    "Σ",
    "ς",
    "İ",
    "𠮷",
    "\u200b",
    "\u202e",
    "\x01",
    "\x7f",
    "Ａ",
    "\uff21",
]
ODD += ["\ufffd", "\ue000", "\u3001", "한", "\u1112\u1161\u11ab", "ｶﾞ", "A\u030a", "ẞ"]
RARE = [chr(0x4E00 + step * 7) for step in range(400)]
REGIONS = ("山东", "河北", "北京", "黑龙江", "Hong Kong", None, None)
TAGS = (
    "产品质量/不热",
    "产品质量/漏水渗水",
    "安装服务/师傅态度",
    "物流问题/包装",
    "运营价格/性价比",
    "表扬/表扬-产品",
    "建议/不热",
)
FLAGS = ("advertisement", "template", "sarcasm", "safety", "unsure")
PRODUCTS = (
    Product(id="1001", sku="5001", name="钢制暖气片 K20"),
    Product(id="1001", sku="5002", name="钢制暖气片 K20"),
    Product(id="1002", name="铜铝复合 Ｋ２０-3"),
    Product(sku="5009"),
    None,
)
BRAND_WORDS = ("岚炉", "LANLU", "Ｋ２０-3", *(f"型号{n}" for n in range(90)))
RIVALS = ("炽源", "Hot House")
ABOUTS: tuple[About, ...] = ("own", "rival", "excluded", "none")
SOURCES = (
    ("jd", "review"),
    ("tmall", "review"),
    ("xiaohongshu", "post"),
    ("douyin", "comment"),
    ("zhihu", "answer"),
    ("import:门店", "survey"),
    ("import:hotline", "call"),
)
FILTERS = _words("""
source:jd source:import source:import:门店 source:xiaohongshu,douyin kind:review kind:call sentiment:negative 情感:正面
intent:complaint intent:praise,other tag:产品质量/不热 tag:产品质量 tag:不热 tag:表扬-产品 tag:没有这个 flag:safety
flag:sarcasm,template product:1001 product:5009 product:k20 product:暖气片 product:没有 product:=1001 product:="5009"
product:=铜铝复合 region:山东 region:西藏 author:author-3 author:nobody id:jd:review:3
rating:5 rating:<=2 rating:2..4 likes:>=100 likes:0 likes:<10 replies:>1 shares:1..500 views:>5万
severity:>7 severity:2.5 severity:<=2.5 since:30d since:2025-12-01 until:2025-11-20 until:15d has:media has:append
has:reply about:own about:rival,excluded 关于:同名 matched:岚炉 matched:lanlu matched:k20-3
matched:型号77,炽源 matched:* 匹配词:岚炉镇 matched:没有
group:g3 group:nobody copies:yes copies:no 相似:照抄 copies:near,template
""")
FILTERS += ['region:"Hong Kong"', 'product:="钢制暖气片 K20"', 'matched:"hot house"', "-matched:*"]


def random_text(rng: random.Random, words: int) -> str:
    """So many words, rare characters and oddities in a row."""
    parts: list[str] = []
    for _ in range(words):
        dice = rng.random()
        parts.append(rng.choice(WORDS if dice < 0.7 else RARE if dice < 0.88 else ODD))
    return "".join(parts)


def random_mention(rng: random.Random, number: int) -> ClassifiedMention:
    """A mention with id ``number``; about one in fifty has no content."""
    source, kind = rng.choice(SOURCES)

    def count() -> int | None:
        return rng.choice((None, 0, 1, rng.randrange(100), rng.randrange(100_000)))

    made = a_classified(
        rng.choice(("negative", "neutral", "positive")),
        native_id=number,
        source=source,
        kind=kind,
        created_at=CAPTURED - timedelta(seconds=rng.randrange(90 * 86_400), milliseconds=rng.randrange(1000)),
        text=random_text(rng, rng.choice((0, 1, 2, 4, 8, 16, 30))),
        title=random_text(rng, 3) if rng.random() < 0.3 else None,
        appends=[Append(text=random_text(rng, rng.choice((1, 3, 9)))) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))],
        rating=rng.choice((None, 1, 2, 3, 4, 5)),
        product=rng.choice(PRODUCTS),
        author=Author(key=rng.choice((None, *(f"author-{n}" for n in range(9))))),
        region=rng.choice(REGIONS),
        likes=count(),
        replies=count(),
        shares=count(),
        views=count(),
        media=[Media(type="image", url="https://example.com/i.jpg")] if rng.random() < 0.2 else [],
        matched=random_matched(rng),
        seller_reply="您好，感谢支持" if rng.random() < 0.2 else None,
        intent=rng.choice(("complaint", "suggestion", "question", "praise", "other")),
        tags=tuple(rng.sample(TAGS, rng.choice((0, 0, 1, 2, 3)))),
        flags=tuple(rng.sample(FLAGS, rng.choice((0, 0, 1, 2)))),
        severity=rng.choice((0.0, 2.5, 7.0, 10.0, round(rng.uniform(0, 10), 2))),
    )
    # Groups of up to five, here and there without their founder; the rest is in none.
    if number % 10 > 4:
        return made
    likeness = (None, "exact", "near", "template", "near")[number % 10]
    return made.model_copy(update={"group": f"g{number // 10}", "likeness": likeness})


def random_matched(rng: random.Random) -> Matched:
    names = tuple(rng.sample(BRAND_WORDS, rng.choice((0, 0, 1, 2, 5))))
    rivals = tuple(rng.sample(RIVALS, rng.choice((0, 0, 0, 1))))
    excluded = ("岚炉镇",) if rng.random() < 0.1 else ()
    return Matched(
        words=(*names, *rivals), names=names, competitors=rivals, excluded=excluded, about=rng.choice(ABOUTS)
    )


def random_mentions(seed: int, count: int) -> list[ClassifiedMention]:
    rng = random.Random(seed)
    return [random_mention(rng, number) for number in range(count)]


def random_query(rng: random.Random, mentions: list[ClassifiedMention], depth: int = 0) -> str:
    """The text of a query, often with words cut out of the mentions at random places."""
    dice = rng.random()
    if depth < 3 and dice < 0.5:
        one, other = random_query(rng, mentions, depth + 1), random_query(rng, mentions, depth + 1)
        return rng.choice(
            (f"{one} {other}", f"({one} OR {other})", f"({one}) 与 {other}", f"{one} NOT ({other})", f"-({one})")
        )
    if dice < 0.65:
        return rng.choice(FILTERS)
    word = _cut(rng, mentions)
    if dice < 0.8:
        other = rng.choice(("".join(_cut(rng, mentions).split()) or "热", rng.choice(WORDS), "热", "水"))
        word = "".join(word.split()) or "暖"
        return f'"{_escaped(word)} {_escaped(other)}"~{rng.choice((0, 1, 2, 5, 20, 50))}'
    return f'"{_escaped(word)}"'


def _cut(rng: random.Random, mentions: list[ClassifiedMention]) -> str:
    """A few characters out of some mention's text; now and then across the border of two fields."""
    if rng.random() < 0.3:
        return rng.choice((*WORDS, *ODD, rng.choice(WORDS) + rng.choice(ODD)))
    said = rng.choice(mentions)
    text = said.full_text if rng.random() < 0.9 else said.full_text.replace("\n", "")
    if not text:
        return "的"
    start = rng.randrange(len(text))
    return text[start : start + rng.choice((1, 1, 2, 2, 3, 4, 7, 15))]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("＂", "\\＂")
