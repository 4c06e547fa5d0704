"""Which column means what: guessed from its name, shown to the user, overridden by ``--map 字段=列名``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ingest.errors import UserError

NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (
        "text", "评价内容", "评论内容", "评价", "评论", "内容", "正文", "初评", "初次评价", "首次评价", "评价详情", "反馈内容",
        "文本", "留言", "content", "comment", "comments", "review", "review_text", "body", "feedback",
    ),
    "id": ("id", "评价id", "评论id", "评价编号", "评论编号", "编号", "review_id", "comment_id", "reviewid", "commentid"),
    "title": ("title", "标题", "主题"),
    "rating": ("rating", "评分", "星级", "评价星级", "打分", "分数", "评价等级", "好中差评", "score", "stars", "star"),
    "created_at": (
        "created_at", "评价时间", "评论时间", "创建时间", "发布时间", "时间", "日期", "评价日期", "created", "createdat",
        "creationtime", "time", "date", "datetime", "timestamp",
    ),
    "product.id": ("product_id", "商品id", "商品编号", "产品编号", "product.id"),
    "product.sku": ("sku", "sku_id", "skuid", "商品sku", "product.sku"),
    "product.name": ("product", "product_name", "商品名称", "商品", "商品标题", "产品名称", "产品", "product.name"),
    "product.spec": ("spec", "规格", "型号", "颜色分类", "规格型号", "商品规格", "product.spec"),
    "author": ("author", "author_id", "user", "user_id", "userid", "用户", "用户id", "用户名", "用户昵称", "昵称", "买家", "nickname"),
    "region": ("region", "province", "省份", "地区", "省", "ip属地"),
    "likes": ("likes", "点赞", "点赞数", "有用数", "赞", "like_count"),
    "replies": ("replies", "回复数", "评论数", "reply_count"),
    "append": ("append", "追评", "追评内容", "追加评价", "追加评论"),
    "seller_reply": ("seller_reply", "商家回复", "卖家回复", "掌柜解释", "回复", "reply"),
    "url": ("url", "链接", "评价链接", "link"),
}  # fmt: skip
"""Our field -> column names, best first, lower case. The heading that fits best wins; a column serves one field."""

TEXT_HEADINGS = frozenset(name for names in NAMES.values() for name in names)


def guess_mapping(columns: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Field -> column. ``wanted`` overrides the guess.

    Raises UserError when no column holds the text, or an override names what is not there.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(column.strip().lower(), column)
    mapping: dict[str, str] = {}
    for field, column in wanted.items():
        if field not in NAMES:
            raise UserError(f"--map：没有字段“{field}”，可用的是 {'、'.join(NAMES)}")
        if column.strip().lower() not in by_name:
            raise UserError(f"--map：文件里没有列“{column}”，现有的是 {'、'.join(columns)}")
        mapping[field] = by_name[column.strip().lower()]
    for field, names in NAMES.items():
        if field in mapping:
            continue
        for name in names:
            if name in by_name and by_name[name] not in mapping.values():
                mapping[field] = by_name[name]
                break
    if "text" not in mapping:
        shown = "、".join(columns[:20])
        raise UserError(f"认不出哪一列是评价内容，现有的列是 {shown}；请用 --map text=列名 指定")
    return mapping
