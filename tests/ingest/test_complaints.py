"""pydantic's complaints in Chinese, and never the value."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, field_validator

from ingest.complaints import first_complaint


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["a"] = "a"
    name: Annotated[str, Field(max_length=3, pattern="^[x-z{}]*$")] = ""


class Other(BaseModel):
    kind: Literal["b"] = "b"


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")
    here: int
    flag: bool = False
    some: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    part: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 1
    way: Literal["http", "browser", "both"] = "http"
    words: Annotated[str, Field(min_length=2)] = "ab"
    at: AwareDatetime = datetime.fromisoformat("2026-03-01T00:00:00+08:00")
    inner: Inner = Inner()
    either: Annotated[Inner | Other, Field(discriminator="kind")] = Inner()
    checked: str = ""

    @field_validator("checked")
    @classmethod
    def _checked(cls, value: str) -> str:
        if value:
            raise ValueError("不行：{}")
        return value


@pytest.mark.parametrize(
    ("data", "where", "said"),
    [
        ({}, "here", "没有填写"),
        ({"here": 1, "ther": 2}, "ther", "没有这一项"),
        ({"here": "x"}, "here", "应为整数"),
        ({"here": 1.5}, "here", "应为整数"),
        ({"here": 1, "flag": "maybe"}, "flag", "应为 true 或 false"),
        ({"here": 1, "some": []}, "some", "太少，至少 1 项"),
        ({"here": 1, "some": [1, 2, 3]}, "some", "太多，最多 2 项"),
        ({"here": 1, "some": 5}, "some", "应为列表"),
        ({"here": 1, "some": ["x"]}, "some.0", "应为整数"),
        ({"here": 1, "part": 0}, "part", "应大于 0"),
        ({"here": 1, "part": 2}, "part", "不能大于 1"),
        ({"here": 1, "part": float("nan")}, "part", "应为有限的数字"),
        ({"here": 1, "way": "fax"}, "way", "不是可选的值，可选：'http'、'browser'、'both'"),
        ({"here": 1, "words": "a"}, "words", "太短，至少 2 个字符"),
        ({"here": 1, "words": 5}, "words", "应为文字"),
        ({"here": 1, "at": "2026-03-01T00:00:00"}, "at", "时间没有时区"),
        ({"here": 1, "at": "昨天"}, "at", "读不懂的时间"),
        ({"here": 1, "inner": {"name": "xxxx"}}, "inner.name", "太长，最多 3 个字符"),
        ({"here": 1, "inner": {"name": "a"}}, "inner.name", "格式不对"),
        ({"here": 1, "inner": 3}, "inner", "应为键值表"),
        ({"here": 1, "either": {"kind": "c"}}, "either", "不是可选的值，可选：'a'、'b'"),
        ({"here": 1, "either": {}}, "either", "没有填写"),
        ({"here": 1, "checked": "{x}"}, "checked", "不行：{}"),
        ([], "", "应为键值表"),
    ],
)
def test_what_is_wrong_and_where(data: Any, where: str, said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Model.model_validate(data)
    assert first_complaint(raised.value) == (where, said)


@pytest.mark.parametrize("text", ["{", '{"here": 1e999}', '{"here": 1999.5}', "null", '"x"', "[999]"])
def test_broken_json_is_told_in_chinese_without_the_value(text: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Model.model_validate_json(text)
    said = first_complaint(raised.value).said
    assert re.search("[一-龥]", said)
    assert "999" not in said
