"""Which column means what: guessed from its name, shown to the user, overridden by ``--map 列名=字段``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ingest.errors import UserError
from ingest.imports.ratings import NOTHING
from ingest.mention import Kind
from ingest.times import read_instant

NAMES: Mapping[str, tuple[str, ...]] = {
    "text": (
        "text", "评价内容", "评论内容", "评价", "评论", "内容", "正文", "初评", "初次评价", "首次评价", "评价详情", "反馈内容",
        "文本", "留言", "content", "comment", "comments", "review", "review_text", "body", "feedback",
    ),
    "id": ("id", "评价id", "评论id", "评价编号", "评论编号", "编号", "review_id", "comment_id", "reviewid", "commentid"),
    "title": ("title", "标题", "主题"),
    "rating": ("rating", "评分", "星级", "评价星级", "打分", "分数", "评价等级", "好中差评", "score", "stars", "star"),
    "rating10": ("rating10", "十分制评分"),
    "nps": ("nps",),
    "csat": ("csat",),
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

KIND_NAMES: Mapping[Kind, Mapping[str, tuple[str, ...]]] = {
    "survey": {
        "nps": (
            "nps", "nps得分", "nps评分", "nps分数", "推荐意愿", "推荐度", "推荐分", "推荐分数", "推荐可能性", "净推荐值",
        ),
        "csat": ("csat", "满意度", "满意度评分", "满意度打分", "满意程度", "总体满意度", "整体满意度"),
        "text": (
            "开放题", "原因", "评分原因", "打分原因", "意见", "建议", "意见建议", "意见与建议", "意见和建议", "您的建议",
            "其他建议", "反馈", "备注",
        ),
        "id": ("答卷编号", "答卷id", "答题编号", "问卷编号", "提交编号", "response_id", "responseid"),
        "created_at": ("提交时间", "提交答卷时间", "填写时间", "答题时间", "结束时间", "submitted_at", "submit_time"),
        "author": ("客户编号", "会员号", "会员编号", "手机号", "手机号码", "联系电话", "openid", "用户编号"),
    },
    "call": {
        "text": (
            "通话内容", "通话记录", "通话小结", "沟通内容", "沟通记录", "来电内容", "客户诉求", "诉求内容", "工单内容",
            "问题描述", "工单描述", "记录内容", "小结", "描述", "记录", "备注", "note", "notes", "summary",
        ),
        "id": ("工单号", "工单编号", "通话编号", "通话id", "录音编号", "流水号", "来电编号", "call_id", "callid", "ticket_id"),
        "title": ("工单标题", "来电主题", "subject"),
        "created_at": (
            "来电时间", "通话时间", "呼入时间", "呼叫时间", "接听时间", "受理时间", "通话开始时间", "开始时间", "call_time",
            "start_time",
        ),
        "author": (
            "来电号码", "主叫号码", "主叫", "客户号码", "客户电话", "客户手机", "手机号", "手机号码", "联系电话", "电话",
            "caller", "phone", "客户编号",
        ),
        "csat": ("满意度", "满意度评价", "来电评价", "csat"),
        "region": ("归属地", "号码归属地"),
    },
}  # fmt: skip
"""What exports of a kind call their columns; tried before :data:`NAMES`. An agent's name or number is not taken in."""

PARTS: Mapping[Kind, Sequence[tuple[str, str]]] = {
    "survey": (
        *(("nps", part) for part in ("可能推荐", "愿意推荐", "推荐意愿", "nps")),
        *(("csat", part) for part in ("满意度", "满意程度", "是否满意", "csat")),
        *(("text", part) for part in ("原因", "建议", "意见", "想对我们说", "哪些地方")),
        *(("created_at", part) for part in ("提交时间", "填写时间", "答题时间")),
    ),
    "call": (
        *(("text", part) for part in ("通话内容", "诉求", "问题描述", "小结", "备注")),
        *(("created_at", part) for part in ("来电时间", "通话时间", "受理时间", "呼入时间")),
        *(("author", part) for part in ("来电号码", "主叫", "客户电话", "手机号")),
    ),
}
"""Whole questions stand over a survey's columns: a part of one tells as well."""

DEFAULT_SOURCES: Mapping[Kind, str] = {"survey": "问卷", "call": "热线"}
"""What a file of a kind is called where nobody says."""

FIELDS = tuple(NAMES)
TEXT_HEADINGS = frozenset(name for table in (NAMES, *KIND_NAMES.values()) for names in table.values() for name in names)

UNUSED = "-"
"""As a column in ``--map``: no column is this field."""

Confidence = Literal["指定", "高", "中", "低", ""]
"""指定: said by ``--map`` · 高: the heading is known · 中: a part of it is, or the values decide between two scales · 低:
only the values look like it, so it is shown and not used · "": not used."""
SAMPLED = 50
_LONG_TEXT = 8


@dataclass(frozen=True, slots=True)
class Guess:
    """One column: the field it is taken for ("" for none), how surely, and up to three of its values."""

    column: str
    field: str
    confidence: Confidence
    samples: tuple[str, ...]


def guess_columns(
    columns: Sequence[str],
    wanted: Mapping[str, str],
    samples: Sequence[Mapping[str, Any]] = (),
    kind: Kind = "review",
) -> list[Guess]:
    """What each column is taken for. ``wanted`` (field -> column) goes before every guess; ``samples`` are first rows.

    Raises UserError when an override names what is not there.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(column.strip().lower(), column)
    taken: dict[str, tuple[str, Confidence]] = {}
    unused: set[str] = set()
    for field, column in wanted.items():
        if column == UNUSED and UNUSED not in by_name:
            unused.add(field)
            continue
        if field not in NAMES:
            raise UserError(f"--map：没有字段“{field}”，可用的是 {'、'.join(NAMES)}")
        if column.strip().lower() not in by_name:
            raise UserError(f"--map：文件里没有列“{column}”，现有的是 {'、'.join(columns)}")
        taken[field] = (by_name[column.strip().lower()], "指定")
    values = {column: [row[column] for row in samples if _said(row.get(column))] for column in columns}
    named = KIND_NAMES.get(kind, {})
    for field, names in [*named.items(), *NAMES.items()]:
        used = {column for column, _ in taken.values()}
        found = next((by_name[name] for name in names if name in by_name and by_name[name] not in used), None)
        if field not in taken and field not in unused and found is not None:
            taken[field] = (found, "高")
    for field, part in PARTS.get(kind, ()):
        used = {column for column, _ in taken.values()}
        found = next((by_name[name] for name in by_name if part in name and by_name[name] not in used), None)
        if field not in taken and field not in unused and found is not None:
            taken[field] = (found, "中")
    if kind == "survey":
        _nps_by_values(taken, values, wanted)
        _nps_by_question(columns, taken, values, unused)
    _of_ten_by_values(taken, values, wanted)
    fields = {column: (field, confidence) for field, (column, confidence) in taken.items()}
    for column, (field, confidence) in _looks_like(columns, values, taken, fields).items():
        fields[column] = (field, confidence)
    return [
        Guess(column, *fields.get(column, ("", "")), samples=tuple(_short(value) for value in values[column][:3]))
        for column in columns
    ]


def guess_mapping(
    columns: Sequence[str],
    wanted: Mapping[str, str],
    samples: Sequence[Mapping[str, Any]] = (),
    kind: Kind = "review",
) -> dict[str, str]:
    """Field -> column, of what is sure enough to be used.

    Raises UserError when no column holds the text (a survey's or a call's rating is enough), or an override names what
    is not there.
    """
    guesses = guess_columns(columns, wanted, samples, kind)
    mapping = {guess.field: guess.column for guess in guesses if guess.field and guess.confidence != "低"}
    if "text" not in mapping and not (kind == "survey" and {"nps", "csat", "rating", "rating10"} & mapping.keys()):
        shown = "、".join(columns[:20])
        likely = next((guess.column for guess in guesses if guess.field == "text"), None)
        hint = f"（像是“{likely}”：--map text={likely}）" if likely else ""
        raise UserError(f"认不出哪一列是评价内容，现有的列是 {shown}；请用 --map text=列名 指定{hint}")
    for field in ("id", "product.id", "product.sku"):
        if field in mapping:
            _check_digits(field, mapping[field], [row.get(mapping[field]) for row in samples])
    return mapping


def _check_digits(field: str, column: str, values: Sequence[Any]) -> None:
    """Excel keeps fifteen digits: ids that went through it as numbers are different reviews of the same id."""
    lost = next((value for value in values if has_lost_digits(value)), None)
    long = [
        text
        for text in (str(value).strip() for value in values)
        if text.isascii() and text.isdigit() and len(text) >= 17
    ]
    if lost is None and len(long) >= 3 and all(text.endswith("0" * (len(text) - 15)) for text in long):
        lost = long[0]
    if lost is not None:
        raise UserError(
            f"“{column}”列的编号被 Excel 当作数字存过（如 {lost}），末几位已经丢了，不同的评价会变成同一条。"
            f"请从平台重新导出，用 Excel 打开前先把这一列设为“文本”；找不回原文件时加 --map {field}={UNUSED} 不用这一列"
        )


_SCIENTIFIC = re.compile(r"\s*[=\"']*\d(?:\.\d+)?[Ee]\+\d+\"?\s*")


def has_lost_digits(value: Any) -> bool:
    """Whether an id was a floating-point number once: "1.23457E+18"."""
    return (isinstance(value, float) and abs(value) >= 1e15) or (
        isinstance(value, str) and _SCIENTIFIC.fullmatch(value) is not None
    )


def _said(value: Any) -> bool:
    return value is not None and not (isinstance(value, str) and not value.strip())


def _short(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else text[:39] + "…"


def _numbers(values: Sequence[Any]) -> list[float] | None:
    """Of a column with numbers from 0 to 10 alone (and words for nothing); else None."""
    found = []
    for value in values:
        text = str(value).strip().removesuffix("分").strip()
        if text.lower() in NOTHING:
            continue
        if not _NUMBER.fullmatch(text) or float(text) > 10:
            return None
        found.append(float(text))
    return found


def _nps_by_question(
    columns: Sequence[str],
    taken: dict[str, tuple[str, Confidence]],
    values: Mapping[str, Sequence[Any]],
    unused: Collection[str],
) -> None:
    """A question about recommending is an NPS answer when it says 0 to 10, or its answers do."""
    if "nps" in taken or "nps" in unused:
        return
    used = {column for column, _ in taken.values()}
    for column in columns:
        answers = _numbers(values[column])
        if column in used or "推荐" not in column or answers is None:
            continue
        says = _ZERO_TO_TEN.search(column) is not None
        if (says and (answers or not values[column])) or any(answer > 5 or answer == 0 for answer in answers):
            taken["nps"] = (column, "中")
            return


def _of_ten_by_values(
    taken: dict[str, tuple[str, Confidence]], values: Mapping[str, Sequence[Any]], wanted: Mapping[str, str]
) -> None:
    """A 评分 that goes to ten in more than a slip of the pen: two of its values, and a fifth, are above five."""
    if "rating" not in taken or "rating" in wanted or "rating10" in taken:
        return
    column = taken["rating"][0]
    numbers = _numbers(values[column])
    above = sum(number > 5 for number in numbers or ())
    if numbers and above >= 2 and 5 * above >= len(numbers):
        taken["rating10"] = (column, "中")
        del taken["rating"]


_NUMBER = re.compile(r"\d{1,2}(?:\.\d+)?", re.ASCII)
_ZERO_TO_TEN = re.compile(r"0\s*(?:分)?\s*[-~～–—到至]+\s*10", re.ASCII)


def _nps_by_values(
    taken: dict[str, tuple[str, Confidence]], values: Mapping[str, Sequence[Any]], wanted: Mapping[str, str]
) -> None:
    """A survey's plain 评分 that goes from 0 to 10 is an NPS answer."""
    if "rating" not in taken or "rating" in wanted or "nps" in taken:
        return
    column = taken["rating"][0]
    answers = [str(value).strip() for value in values.get(column, ())]
    if all(one.isascii() and one.isdigit() and int(one) <= 10 for one in answers) and any(
        int(one) in (0, 6, 7, 8, 9, 10) for one in answers
    ):
        taken["nps"] = (column, "中")
        del taken["rating"]


def _looks_like(
    columns: Sequence[str],
    values: Mapping[str, Sequence[Any]],
    taken: Mapping[str, object],
    used: Mapping[str, object],
) -> dict[str, tuple[str, Confidence]]:
    """Column -> field by its values alone, for the two fields without which little is known."""
    free = [column for column in columns if column not in used and values[column]]
    found: dict[str, tuple[str, Confidence]] = {}
    if "created_at" not in taken:
        dated = next((column for column in free if all(_dated(value) for value in values[column])), None)
        if dated is not None:
            found[dated] = ("created_at", "低")
            free.remove(dated)
    if "text" not in taken and free:
        lengths = {column: sum(len(str(value)) for value in values[column]) / len(values[column]) for column in free}
        longest = max(free, key=lambda column: lengths[column])
        if lengths[longest] >= _LONG_TEXT and not all(_dated(value) for value in values[longest]):
            found[longest] = ("text", "低")
    return found


def _dated(value: Any) -> bool:
    if not isinstance(value, str):
        return False  # any number would pass as a time
    try:
        read_instant(value)
    except ValueError:
        return False
    return not value.strip().replace(".", "").isdigit()
