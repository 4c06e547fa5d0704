"""Who and what the story is about: an invented brand, its products, and where the replica shows them.

Everything here is made up. The numbers are fixed (they do not depend on the seed), so a spider can be pointed at them
before a story exists.

    岚炉 LANLU   the brand            炽源   its competitor, invented as well
    K20-3        铜铝复合 radiator, the one whose valves will leak
    G60          钢制 two-column radiator
    B40          卫浴小背篓, a bathroom radiator

Paths of one target, each under ``platform_bases(base_url)[platform][host]`` (see :mod:`shengwen.demo.settings`):

    jd           item.jd.com            /{sku}.html                       page; its script loads the reviews
                 club.jd.com            /comment/productPageComments.action?productId={sku}&score=0&sortType=6&page=0…
                 question.jd.com        /question/getQuestionAnswerList.action?page=1&productId={sku}
    tmall        detail.tmall.com       /item.htm?id={item_id}
                 rate.tmall.com         /list_detail_rate.htm?itemId={item_id}&sellerId={seller_id}&currentPage=1…
    xiaohongshu  www.xiaohongshu.com    /search_result?keyword={keyword}  → /explore/{note_id}?xsec_token=…
    douyin       www.douyin.com         /search/{keyword}?type=general    → /video/{aweme_id}
    zhihu        www.zhihu.com          /question/{question_id}; feeds and comment_v5 below /api/v4/
                 zhuanlan.zhihu.com     /p/{article_id}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Platform = Literal["jd", "tmall", "xiaohongshu", "douyin", "zhihu"]
PLATFORMS: Final[tuple[Platform, ...]] = ("jd", "tmall", "xiaohongshu", "douyin", "zhihu")

NAMES: Final[dict[Platform, str]] = {
    "jd": "京东",
    "tmall": "天猫",
    "xiaohongshu": "小红书",
    "douyin": "抖音",
    "zhihu": "知乎",
}

BRAND: Final = "岚炉"
BRAND_LATIN: Final = "LANLU"
COMPETITOR: Final = "炽源"
INVENTED: Final = "演示 · 内容均为虚构"
"""The line that every page of the demo shows."""


@dataclass(frozen=True, slots=True)
class Model:
    """One product. ``jd_skus`` share one product page's reviews, the first is the one to crawl; prices in yuan."""

    code: str
    title: str
    short: str
    jd_skus: tuple[str, ...]
    specs: tuple[tuple[str, str], ...]
    """(颜色, 高度) of each SKU of ``jd_skus``."""
    tmall_item: str
    price: int


K20: Final = Model(
    "K20-3",
    "岚炉LANLU 铜铝复合暖气片 K20-3 家用水暖壁挂散热器 集中供暖自采暖通用",
    "铜铝复合 K20-3",
    ("100090020301", "100090020302"),
    (("雪山白", "600mm 10柱"), ("雾灰", "1800mm 6柱")),
    "720000020301",
    1299,
)
G60: Final = Model(
    "G60",
    "岚炉LANLU 钢制暖气片 G60 二柱壁挂式 客厅卧室水暖散热片",
    "钢制 G60",
    ("100090060001",),
    (("珍珠白", "1500mm 8柱"),),
    "720000060001",
    899,
)
B40: Final = Model(
    "B40",
    "岚炉LANLU 卫浴小背篓 B40 毛巾架暖气片 卫生间水暖置物",
    "卫浴小背篓 B40",
    ("100090040001",),
    (("云母灰", "800×450mm"),),
    "720000040001",
    469,
)
MODELS: Final[tuple[Model, ...]] = (K20, G60, B40)

TMALL_SELLER: Final = "2200000020300"
JD_SHOP: Final = "岚炉京东自营旗舰店"
TMALL_SHOP: Final = "岚炉旗舰店"
KEYWORDS: Final[tuple[str, ...]] = (BRAND, COMPETITOR)
ZHIHU_QUESTIONS: Final[tuple[str, ...]] = ("600000001", "600000002", "600000003", "600000004", "600000005")
ZHIHU_ARTICLES: Final[tuple[str, ...]] = ("700000001", "700000002")


@dataclass(frozen=True, slots=True)
class TmallItem:
    item_id: str
    seller_id: str


@dataclass(frozen=True, slots=True)
class Targets:
    """What to crawl so that everything in the story is reached."""

    jd_skus: tuple[str, ...]
    tmall_items: tuple[TmallItem, ...]
    keywords: tuple[str, ...]
    """For Xiaohongshu and Douyin: each post and video contains at least one of them."""
    zhihu_questions: tuple[str, ...]
    zhihu_articles: tuple[str, ...]


TARGETS: Final = Targets(
    jd_skus=tuple(model.jd_skus[0] for model in MODELS),
    tmall_items=tuple(TmallItem(model.tmall_item, TMALL_SELLER) for model in MODELS),
    keywords=KEYWORDS,
    zhihu_questions=ZHIHU_QUESTIONS,
    zhihu_articles=ZHIHU_ARTICLES,
)


def model_of_sku(sku: str) -> Model | None:
    """The product that a JD SKU belongs to."""
    return next((model for model in MODELS if sku in model.jd_skus), None)


def model_of_item(item_id: str) -> Model | None:
    """The product that a Tmall item id names."""
    return next((model for model in MODELS if model.tmall_item == item_id), None)
