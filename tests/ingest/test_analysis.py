"""The classified mention: joined without loss, read from the wire with typed complaints."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.analysis import Analysis, ClassifiedMention, TagOpinion, classified, classified_from_json
from ingest.errors import Poison
from ingest.mention import mention_from_json
from tests.factories import a_classified, a_mention, an_analysis

TAGGED = an_analysis(
    "negative",
    intent="complaint",
    tags=(TagOpinion(tag="产品质量/漏水渗水", sentiment="negative", confidence=0.93, span=(0, 2)), "表扬/表扬-产品"),
    flags=("safety", "unsure"),
    severity=8.5,
    severity_reason="漏水且要求退货",
)


def test_joining_keeps_both_halves() -> None:
    mention = a_mention(text="漏水了", likes=3)
    joined = classified(mention, TAGGED)
    assert joined.analysis == TAGGED
    assert {name: getattr(joined, name) for name in type(mention).model_fields} == dict(mention)
    assert joined.full_text == mention.full_text


def test_classifying_again_replaces_the_analysis() -> None:
    once = classified(a_mention(), an_analysis("neutral"))
    again = classified(once, TAGGED)
    assert again.analysis == TAGGED
    assert classified_from_json(again.to_json()) == again


def test_a_classified_mention_comes_back_byte_for_byte() -> None:
    joined = classified(a_mention(text="漏水了"), TAGGED)
    line = joined.to_json()
    assert classified_from_json(line) == joined
    assert classified_from_json(line).to_json() == line
    assert json.loads(line)["analysis"] == json.loads(TAGGED.to_json())
    assert Analysis.model_validate_json(TAGGED.to_json()) == TAGGED


def test_a_mention_without_analysis_is_no_classified_mention_and_the_other_way_round() -> None:
    with pytest.raises(Poison, match="analysis"):
        classified_from_json(a_mention().to_json())
    with pytest.raises(Poison, match="analysis"):
        mention_from_json(a_classified().to_json())


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("analysis.sentiment.label", {"sentiment": {"label": "angry", "positive": 0, "neutral": 0, "negative": 1}}),
        (
            "analysis.sentiment.positive",
            {"sentiment": {"label": "neutral", "positive": 2, "neutral": 0, "negative": 0}},
        ),
        ("analysis.intent", {"intent": "rage"}),
        ("analysis.flags.0", {"flags": ["funny"]}),
        ("analysis.severity", {"severity": 11}),
        ("analysis.severity", {"severity": float("nan")}),
        ("analysis.tags.0.confidence", {"tags": [{"tag": "a/b", "sentiment": "neutral", "confidence": -1}]}),
        ("analysis.tags.0.span", {"tags": [{"tag": "a/b", "sentiment": "neutral", "confidence": 1, "span": [1]}]}),
        ("analysis.mood", {"mood": "x"}),
    ],
)
def test_what_does_not_fit_names_its_field(field: str, changes: dict[str, Any]) -> None:
    record = json.loads(a_classified().to_json())
    record["analysis"] |= changes
    with pytest.raises(Poison) as caught:
        classified_from_json(json.dumps(record).encode())
    assert str(caught.value).startswith(field)


NUMBERS = st.integers() | st.floats()


@given(st.binary(max_size=100), NUMBERS, st.lists(NUMBERS, max_size=3), st.text(max_size=10))
@example(b"{}", 10**400, [2**70, 2**80], "\x00")
@example(b"{}", 5, [2**70, 2**80], "\x00")
def test_any_analysis_is_read_or_poison(data: bytes, number: float, span: list[float], tag: str) -> None:
    record = json.loads(a_classified(native_id="1").to_json())
    record["analysis"] |= {
        "severity": number,
        "model": tag,
        "tags": [{"tag": tag, "sentiment": "neutral", "confidence": 0.5, "span": span or None}],
    }
    for line in (data, json.dumps(record).encode()):
        try:
            read = classified_from_json(line)
        except Poison:
            continue
        assert isinstance(read, ClassifiedMention)
        assert classified_from_json(read.to_json()) == read
