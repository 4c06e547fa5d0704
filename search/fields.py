"""Names and values that a query's fields may take, with the Chinese words a user may type for them."""

from __future__ import annotations

from typing import Final, get_args

from ingest.analysis import Flag, Intent, Likeness, SentimentLabel
from ingest.mention import About, Kind
from search.ast import KeywordField, NumberField, Part

KEYWORD_FIELDS: Final[tuple[str, ...]] = get_args(KeywordField)
NUMBER_FIELDS: Final[tuple[str, ...]] = get_args(NumberField)
ALL_FIELDS: Final = (*KEYWORD_FIELDS, *NUMBER_FIELDS, "since", "until", "has")

FIELD_ALIASES: Final = {
    "来源": "source", "平台": "source", "渠道": "source",
    "类型": "kind", "情感": "sentiment", "情绪": "sentiment", "意图": "intent",
    "标签": "tag", "标记": "flag", "产品": "product", "型号": "product",
    "地区": "region", "省份": "region", "作者": "author", "编号": "id",
    "关于": "about", "谈的是": "about", "匹配": "matched", "匹配词": "matched", "命中": "matched",
    "相似组": "group", "相似": "copies", "重复": "copies",
    "评分": "rating", "星级": "rating", "点赞": "likes", "回复数": "replies", "评论数": "replies",
    "分享": "shares", "转发": "shares", "浏览": "views", "阅读": "views",
    "严重度": "severity", "严重": "severity", "自": "since", "从": "since", "至": "until", "到": "until",
    "含": "has", "带": "has",
}  # fmt: skip

VALUES: Final[dict[str, tuple[str, ...]]] = {
    "source": ("jd", "tmall", "xiaohongshu", "douyin", "zhihu", "import"),
    "kind": get_args(Kind),
    "sentiment": get_args(SentimentLabel),
    "intent": get_args(Intent),
    "flag": get_args(Flag),
    "about": get_args(About),
    "copies": ("yes", "no", *get_args(Likeness)),
    "has": get_args(Part),
}
"""Fields with a closed list of values (``source`` also takes ``import:<name>``)."""

VALUE_ALIASES: Final[dict[str, dict[str, str]]] = {
    "source": {
        "京东": "jd", "天猫": "tmall", "小红书": "xiaohongshu", "抖音": "douyin", "知乎": "zhihu", "导入": "import",
    },
    "kind": {
        "评价": "review", "提问": "question", "问题": "question", "回答": "answer", "笔记": "post", "帖子": "post",
        "视频": "video", "文章": "article", "评论": "comment", "问卷": "survey", "电话": "call", "通话": "call",
    },
    "sentiment": {
        "负面": "negative", "消极": "negative", "中性": "neutral", "正面": "positive", "积极": "positive",
    },
    "intent": {
        "投诉": "complaint", "建议": "suggestion", "咨询": "question", "表扬": "praise", "其他": "other",
    },
    "flag": {
        "空": "empty", "默认评价": "default_review", "默认好评": "default_review", "广告": "advertisement",
        "模板": "template", "跑题": "off_topic", "无关": "off_topic", "反讽": "sarcasm", "安全": "safety",
        "存疑": "unsure", "拿不准": "unsure",
    },
    "about": {
        "本品牌": "own", "自己": "own", "我们": "own", "竞品": "rival", "对手": "rival", "竞争对手": "rival",
        "同名": "excluded", "排除": "excluded", "未提及": "none", "不明": "none",
    },
    "copies": {
        "是": "yes", "有": "yes", "否": "no", "不是": "no", "照抄": "exact", "原样": "exact", "近似": "near",
        "套用": "template", "模板": "template",
    },
    "has": {
        "图": "media", "图片": "media", "视频": "media", "图文": "media", "追评": "append", "追加": "append",
        "回复": "reply", "商家回复": "reply",
    },
}  # fmt: skip
