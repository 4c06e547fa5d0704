"""What label names of other people's models mean."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classify.label_names import meanings
from ingest.errors import ConfigError

SIGNS = {"negative": "-", "neutral": "0", "positive": "+"}


def signs(names: Sequence[str]) -> str:
    return "".join(SIGNS[label] for label in meanings(names))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("negative", "positive"), "-+"),
        (("Positive", "Negative"), "+-"),
        (("NEG", "NEU", "POS"), "-0+"),
        (("负面", "正面"), "-+"),
        (("积极", "消极", "中性"), "+-0"),
        (("好评", "中评", "差评"), "+0-"),
        (("正向", "负向"), "+-"),
        (("正面情感", "负面情感"), "+-"),
        (("LABEL_0", "LABEL_1"), "-+"),
        (("LABEL_0", "LABEL_1", "LABEL_2"), "-0+"),
        (("0", "1"), "-+"),
        (("1 star", "2 stars", "3 stars", "4 stars", "5 stars"), "--0++"),
        (("star 5", "star 4", "star 3", "star 2", "star 1"), "++0--"),
        (("1", "2", "3", "4", "5"), "--0++"),
        (("一星", "1星", "2星", "3星", "4星", "5星")[1:], "--0++"),
        (("１分", "２分", "３分", "４分", "５分"), "--0++"),
        (("negative (stars 1, 2 and 3)", "positive (stars 4 and 5)"), "-+"),
        (("Very Negative", "Negative", "Neutral", "Positive", "Very Positive"), "--0++"),
        (("非常负面", "负面", "中性", "正面", "非常正面"), "--0++"),
        (("very_negative", "neutral", "very-positive"), "-0+"),
        ((" 负面 ", "正面\n"), "-+"),
    ],
)
def test_usual_names_are_understood(names: tuple[str, ...], expected: str) -> None:
    assert signs(names) == expected


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("negative",),
        ("negative", "neutral"),
        ("neutral", "positive"),
        ("positive", "positive"),
        ("体育", "财经"),
        ("negative", "positive", "spam"),
        ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"),
        ("LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3", "LABEL_4"),
        ("LABEL_1", "LABEL_0"),
        ("1 star", "2 stars", "3 stars"),
        ("1", "2"),
        ("不负面", "不正面"),
        ("not negative", "not positive"),
        ("joy", "anger", "sadness"),
    ],
)
def test_what_is_not_sure_is_not_guessed(names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"classify\.labels") as told:
        meanings(names)
    assert all(name in str(told.value) for name in names)


def test_what_is_given_decides() -> None:
    names = ("LABEL_0", "LABEL_1", "LABEL_2")
    given = {"label_0": "positive", "LABEL_1 ": "neutral", "LABEL_2": "negative"}
    assert meanings(names, given) == ("positive", "neutral", "negative")  # type: ignore[arg-type]
    assert meanings(("体育", "财经"), {"体育": "positive", "财经": "negative"}) == ("positive", "negative")
    assert meanings(("x (a)", "x (b)"), {"x (a)": "positive", "x (b)": "negative"}) == ("positive", "negative")


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"a": "negative"}, "没有写明标签 “b”"),
        ({"a": "negative", "b": "positive", "c": "neutral"}, "模型没有标签 “c”；它的标签是 “a”、“b”"),
        ({"a": "positive", "b": "neutral"}, "negative 和 positive 都要有"),
    ],
)
def test_what_is_given_must_fit(given: dict[str, str], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        meanings(("a", "b"), given)  # type: ignore[arg-type]


def test_a_message_stays_readable_whatever_the_names() -> None:
    with pytest.raises(ConfigError) as told:
        meanings(["\x1b[31m" + "长" * 1000, "b\n\u202e", *(f"c{number}" for number in range(1000))])
    text = str(told.value)
    assert len(text) < 500
    assert "等 1002 个" in text
    assert not {"\x1b", "\n", "\u202e"} & set(text)


WORDS = st.sampled_from(["正面", "negative", "LABEL_0", "LABEL_1", "1 star", "2", "非常好评", "(x)", "中性", ""])


@given(st.lists(WORDS | st.text(max_size=12), max_size=6))
def test_any_names_have_a_meaning_or_are_refused(names: list[str]) -> None:
    try:
        found = meanings(names)
    except ConfigError:
        return
    assert len(found) == len(names)
    assert {"negative", "positive"} <= set(found)
