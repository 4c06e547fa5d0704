"""Mentions for tests: one from a few words, or any number at random. All of it is invented."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ingest.analysis import Analysis, ClassifiedMention, Sentiment, TagOpinion, classified
from ingest.mention import Append, Author, Media, Product, Raw, make_mention

START = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)
_SCORES = {"negative": (0.1, 0.1, 0.8), "neutral": (0.2, 0.6, 0.2), "positive": (0.8, 0.1, 0.1)}


def analysis(
    *,
    sentiment: str = "negative",
    intent: str = "complaint",
    tags: Sequence[str] = (),
    flags: Sequence[str] = (),
    severity: float = 3.0,
) -> Analysis:
    positive, neutral, negative = _SCORES[sentiment]
    return Analysis(
        sentiment=Sentiment(label=sentiment, positive=positive, neutral=neutral, negative=negative),
        intent=intent,
        tags=tuple(TagOpinion(tag=tag, sentiment=sentiment, confidence=0.9) for tag in tags),
        flags=tuple(flags),
        severity=severity,
        model="test/1",
    )


def mention(
    text: str = "",
    *,
    number: object = 1,
    source: str = "jd",
    kind: str = "review",
    captured: datetime = START,
    judged: Analysis | None = None,
    **fields: Any,
) -> ClassifiedMention:
    """A classified mention; ``captured`` orders revisions."""
    fields.setdefault("created_at", START - timedelta(hours=1))
    raw = Raw(captured_at=captured, parser="test/1", url="https://example.com/p")
    made = make_mention(native_id=number, source=source, kind=kind, raw=raw, text=text, **fields)
    return classified(made, judged or analysis())


WORDS = [
    "暖气",
    "暖气片",
    "不热",
    "漏水",
    "师傅",
    "安装",
    "费用",
    "太贵",
    "客服",
    "态度",
    "物流",
    "很快",
    "包装",
    "破损",
    "焊缝",
    "质量",
    "好评",
    "效果",
    "不错",
    "家里",
    "温度",
    "冬天",
    "钢制",
    "铜铝",
    "复合",
    "阀门",
    "接口",
    "异响",
    "生锈",
    "掉漆",
    "客厅",
    "卧室",
    "老师傅",
    "上门",
    "两次",
    "退货",
    "换货",
    "发票",
    "保修",
    "推诿",
    "k20-3",
    "K20",
    "80x80",
    "满意",
    "差评",
    "担心",
    "邻居",
    "推荐",
    "供暖",
    "物业",
    "水压",
    "打压",
    "试水",
    "的",
    "了",
    "是",
    "我",
    "很",
    "就",
    "在",
    "都",
    "也",
    "还",
    "没",
    "有",
    "给",
    "说",
    "要",
    "Wi-Fi",
    "ＡＰＰ",
    "ok",
    "iPhone",
]
_ODD = [
    "，",
    "。",
    "!",
    "~",
    " ",
    "  ",
    "\n",
    "\t",
    "　",
    '"',
    "'",
    "\\",
    "-",
    "(",
    "）",
    "：",
    "/",
    "%",
    "*",
    "_",
    "#",
]
_ODD += ["😀", "👨‍👩‍👧", "🏠", "①", "㎡", "ﬁ", "é", "é", "Σ", "ς", "İ", "𠮷", "​", "‮", "\x01", "\x7f", "Ａ", "�"]
_RARE = [chr(0x4E00 + step * 7) for step in range(400)]
_REGIONS = ("山东", "河北", "北京", "黑龙江", "Hong Kong", None, None)
_TAGS = (
    "产品质量/不热",
    "产品质量/漏水渗水",
    "安装服务/师傅态度",
    "物流问题/包装",
    "运营价格/性价比",
    "表扬/表扬-产品",
    "建议/不热",
)
_FLAGS = ("advertisement", "template", "sarcasm", "safety", "unsure")
_PRODUCTS = (
    Product(id="1001", sku="5001", name="钢制暖气片 K20"),
    Product(id="1001", sku="5002", name="钢制暖气片 K20"),
    Product(id="1002", name="铜铝复合 Ｋ２０-3"),
    Product(sku="5009"),
    None,
)
_SOURCES = (("jd", "review"), ("tmall", "review"), ("xiaohongshu", "post"), ("douyin", "comment"), ("zhihu", "answer"))
_SOURCES += (("import:门店", "survey"), ("import:hotline", "call"))


def random_text(rng: random.Random, words: int) -> str:
    parts: list[str] = []
    for _ in range(words):
        dice = rng.random()
        if dice < 0.7:
            parts.append(rng.choice(WORDS))
        elif dice < 0.9:
            parts.append(rng.choice(_RARE))
        else:
            parts.append(rng.choice(_ODD))
    return "".join(parts)


def random_mention(rng: random.Random, number: int, *, captured: datetime = START) -> ClassifiedMention:
    source, kind = rng.choice(_SOURCES)
    created = START - timedelta(seconds=rng.randrange(90 * 86_400), milliseconds=rng.randrange(1000))
    maybe = rng.random

    def count() -> int | None:
        return rng.choice((None, 0, 1, rng.randrange(100), rng.randrange(100_000)))

    return mention(
        random_text(rng, rng.choice((0, 1, 2, 4, 8, 16, 30))),
        number=number,
        source=source,
        kind=kind,
        captured=captured,
        created_at=created,
        title=random_text(rng, 3) if maybe() < 0.3 else None,
        appends=[Append(text=random_text(rng, rng.choice((1, 3, 9)))) for _ in range(rng.choice((0, 0, 0, 1, 2, 3)))],
        rating=rng.choice((None, 1, 2, 3, 4, 5)),
        product=rng.choice(_PRODUCTS),
        author=Author(key=rng.choice((None, *(f"author-{n}" for n in range(9))))),
        region=rng.choice(_REGIONS),
        likes=count(),
        replies=count(),
        shares=count(),
        views=count(),
        media=[Media(type="image", url="https://example.com/i.jpg")] if maybe() < 0.2 else [],
        seller_reply="您好，感谢支持" if maybe() < 0.2 else None,
        judged=analysis(
            sentiment=rng.choice(("negative", "neutral", "positive")),
            intent=rng.choice(("complaint", "suggestion", "question", "praise", "other")),
            tags=rng.sample(_TAGS, rng.choice((0, 0, 1, 2, 3))),
            flags=rng.sample(_FLAGS, rng.choice((0, 0, 1, 2))),
            severity=rng.choice((0.0, 2.5, 7.0, 10.0, round(rng.uniform(0, 10), 2))),
        ),
    )


def random_mentions(seed: int, count: int) -> list[ClassifiedMention]:
    rng = random.Random(seed)
    return [random_mention(rng, number) for number in range(count)]
