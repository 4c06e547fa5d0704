"""pydantic's complaints in Chinese: what is wrong with a setting, a pushed item or a record, and where.

They never show the value: it may be a secret or personal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

_SAID: Final[Mapping[str, str]] = (
    {
        "missing": "没有填写",
        "extra_forbidden": "没有这一项",
        "bool_parsing": "应为 true 或 false",
        "bool_type": "应为 true 或 false",
        "int_parsing": "应为整数",
        "int_type": "应为整数",
        "int_from_float": "应为整数",
        "int_parsing_size": "数太大",
        "float_parsing": "应为数字",
        "float_type": "应为数字",
        "finite_number": "应为有限的数字",
        "string_type": "应为文字",
        "string_unicode": "不是有效的文字",
        "string_pattern_mismatch": "格式不对",
        "literal_error": "不是可选的值，可选：{expected}",
        "union_tag_invalid": "不是可选的值，可选：{expected_tags}",
        "union_tag_not_found": "没有填写",
        "greater_than": "应大于 {gt}",
        "greater_than_equal": "不能小于 {ge}",
        "less_than": "应小于 {lt}",
        "less_than_equal": "不能大于 {le}",
        "string_too_long": "太长，最多 {max_length} 个字符",
        "string_too_short": "太短，至少 {min_length} 个字符",
        "too_long": "太多，最多 {max_length} 项",
        "too_short": "太少，至少 {min_length} 项",
        "json_invalid": "不是有效的 JSON",
        "timezone_aware": "时间没有时区",
        "datetime_type": "应为时间",
        "datetime_parsing": "读不懂的时间",
        "datetime_from_date_parsing": "读不懂的时间",
        "url_parsing": "不是有效的网址",
        "url_type": "不是有效的网址",
    }
    | dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "应为键值表"
    )
    | (dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "应为列表"))
)
_OTHER: Final = "类型或取值不对"
_OURS: Final = "Value error, "


class Complaint(NamedTuple):
    """``where``: dotted, empty for the whole; ``said``: Chinese."""

    where: str
    said: str


def first_complaint(error: ValidationError) -> Complaint:
    """The first of pydantic's complaints."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "value_error":
        return Complaint(where, first["msg"].removeprefix(_OURS))
    return Complaint(where, _SAID.get(first["type"], _OTHER).format(**_shown(first.get("ctx") or {})))


def _shown(context: Mapping[str, Any]) -> dict[str, str]:
    """The bounds of a complaint as a person writes them; pydantic lists choices in English (``'a', 'b' or 'c'``)."""
    return {
        name: f"{value:g}" if isinstance(value, float) else str(value).replace(" or ", "、").replace(", ", "、")
        for name, value in context.items()
    }
