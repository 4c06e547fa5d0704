"""The record: what it accepts from the wire, how it goes there and back, what makes a revision."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.errors import Poison
from ingest.mention import (
    CONTENT_FIELDS,
    MAX_TEXT,
    Append,
    Author,
    Matched,
    Media,
    Mention,
    Product,
    content_hash,
    mention_from_json,
    millis,
    storable,
)
from tests.factories import CAPTURED, a_mention, a_raw

FULL: dict[str, Any] = {
    "native_id": "66aa",
    "source": "xiaohongshu",
    "kind": "comment",
    "parent_id": "xiaohongshu:post:1",
    "title": "标题",
    "text": "漏水了",
    "rating": 1,
    "rating_scale": "3",
    "created_precision": "minute",
    "url": "https://www.example.com/1",
    "product": Product(id="1", sku="2", name="K20-3", spec="白"),
    "author": Author(key="ab", is_brand=True),
    "region": "浙江",
    "likes": 3,
    "replies": 0,
    "shares": 2**63 - 1,
    "views": 15000,
    "approximate": True,
    "appends": (Append(text="追评", created_at=CAPTURED), Append(text="又追")),
    "seller_reply": "抱歉",
    "media": (Media(type="image", url="https://img.example.com/1.jpg"),),
    "matched": Matched(words=("暖气片",), query="暖气片 漏水"),
}


def wire(**changes: Any) -> bytes:
    """A valid record's JSON with some of its fields changed."""
    return orjson.dumps(orjson.loads(a_mention(native_id="1").to_json()) | changes)


# -- there and back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mention", [a_mention(native_id="1"), a_mention(**FULL)], ids=["small", "full"])
def test_a_record_comes_back_from_the_wire_byte_for_byte(mention: Mention) -> None:
    line = mention.to_json()
    assert mention_from_json(line) == mention
    assert mention_from_json(line).to_json() == line
    assert b"\n" not in line
    assert set(json.loads(line)) == set(Mention.model_fields)


TEXTS = st.text(max_size=30)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2026, 1, 5), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.fixed_dictionaries(
        {"native_id": st.text(min_size=1, max_size=30) | st.integers(0, 10**20), "text": TEXTS, "created_at": INSTANTS},
        optional={
            "title": TEXTS,
            "rating": st.integers(1, 5),
            "likes": st.none() | st.integers(0, 2**63 - 1),
            "appends": st.lists(st.builds(Append, text=TEXTS, created_at=st.none() | INSTANTS), max_size=3).map(tuple),
            "product": st.builds(Product, id=st.none() | TEXTS, name=st.none() | TEXTS),
            "matched": st.builds(Matched, words=st.lists(TEXTS, max_size=3).map(tuple)),
            "region": TEXTS,
            "url": TEXTS,
        },
    )
)
def test_every_record_comes_back_byte_for_byte(fields: dict[str, Any]) -> None:
    mention = a_mention(**fields)
    line = mention.to_json()
    again = mention_from_json(line)
    assert again == mention
    assert again.to_json() == line
    assert again.revision.hash == content_hash(dict(again))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)


def poison_or_record(data: bytes) -> None:
    try:
        mention = mention_from_json(data)
    except Poison:
        return
    assert mention_from_json(mention.to_json()) == mention


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
@example(b"")
@example(b"\xff\xfe")
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'"' + b"x" * 1_000_000 + b'"')
@example(b'{"id": "\\ud800"}')
def test_any_bytes_are_a_record_or_poison(data: bytes) -> None:
    poison_or_record(data)


@given(st.dictionaries(st.sampled_from(sorted(Mention.model_fields)), JSON, min_size=1, max_size=3))
@example({"created_at": "9999-12-31T23:59:59-08:00"})
@example({"created_at": "0001-01-01T00:00:00+08:00"})
@example({"collected_at": "9999-12-31T23:59:59Z"})
@example({"likes": 10**30})
@example({"likes": 10**400})
@example({"revision": {"hash": "a", "number": 10**30}})
@example({"id": "jd:review:" + "x" * 1000})
@example({"product": {"id": 1.5}})
@example({"text": "a\x00b"})
@example({"parent_id": "a\x00b", "region": "\x00"})
def test_a_record_with_any_field_changed_is_a_record_or_poison(changes: dict[str, Any]) -> None:
    record = json.loads(a_mention(native_id="1").to_json()) | changes
    poison_or_record(json.dumps(record).encode())


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("id", {"id": "tmall:review:1"}),
        ("id", {"id": "jd:review:"}),
        ("empty_text", {"empty_text": True}),
        ("created_at", {"created_at": "2026-03-05T01:00:00Z"}),
        ("id", {"id": 1}),
        ("source", {"source": "weibo"}),
        ("source", {"source": "import:a b"}),
        ("kind", {"kind": "tweet"}),
        ("text", {"text": "x" * (MAX_TEXT + 1)}),
        ("rating", {"rating": 6}),
        ("created_at", {"created_at": "2026-01-05T01:00:00"}),
        ("created_at", {"created_at": "yesterday"}),
        ("product.id", {"product": {"id": 9.00719925474099e15}}),
        ("product.colour", {"product": {"colour": "white"}}),
        ("appends.0.text", {"appends": [{"created_at": None}]}),
        ("media.1.type", {"media": [{"type": "image", "url": "u"}, {"type": "gif", "url": "u"}]}),
        ("likes", {"likes": -1}),
        ("likes", {"likes": 2**63}),
        ("nickname", {"nickname": "暖冬"}),
        ("revision.hash", {"revision": {"number": 1}}),
        ("raw.captured_at", {"raw": {"parser": "p"}}),
    ],
)
def test_what_does_not_fit_names_its_field(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(Poison) as caught:
        mention_from_json(json.dumps(json.loads(wire()) | changes).encode())
    assert caught.value.field == field


def test_a_field_name_of_any_length_makes_no_endless_message() -> None:
    with pytest.raises(Poison) as caught:
        mention_from_json(wire(**{"x" * 100_000: 1}))
    assert len(str(caught.value)) < 300


def test_a_date_may_lie_a_day_ahead_of_its_capture_but_not_two() -> None:
    assert a_mention(created_at=CAPTURED + timedelta(hours=26)).created_at > CAPTURED
    with pytest.raises(Poison, match="created_at"):
        a_mention(created_at=CAPTURED + timedelta(hours=27))


def test_instants_of_any_zone_become_utc() -> None:
    mention = mention_from_json(wire(created_at="2026-01-05T08:30:00+08:00"))
    assert mention.created_at == datetime(2026, 1, 5, 0, 30, tzinfo=UTC)
    assert mention.created_at.utcoffset() == timedelta(0)


def test_a_record_cannot_be_changed() -> None:
    mention = a_mention()
    with pytest.raises(ValueError, match="frozen"):
        mention.text = "other"  # type: ignore[misc]
    with pytest.raises(Poison):
        a_mention(nickname="暖冬")


# -- content and revisions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"title": "别的"},
        {"text": "别的"},
        {"rating": 2},
        {"product": Product(id="1", sku="3")},
        {"appends": ()},
        {"appends": (Append(text="追评"),)},
        {"seller_reply": None},
        {"media": ()},
    ],
)
def test_other_content_is_another_revision(changes: dict[str, Any]) -> None:
    assert a_mention(**(FULL | changes)).revision.hash != a_mention(**FULL).revision.hash


@pytest.mark.parametrize(
    "changes",
    [
        {"likes": 4},
        {"views": None},
        {"media": (Media(type="image", url="https://img.example.com/1.jpg?signed=anew"),)},
        {"native_id": "77"},
        {"captured_at": CAPTURED + timedelta(days=3)},
        {"region": "上海"},
        {"matched": Matched()},
        {"appends": [{"text": "追评", "created_at": "2026-01-05T09:00:00+08:00"}, Append(text="又追")]},
        {"product": {"id": 1, "sku": "2", "name": "K20-3", "spec": "白"}},
    ],
)
def test_moving_counts_signed_addresses_and_other_ways_to_write_it_are_no_edit(changes: dict[str, Any]) -> None:
    assert a_mention(**(FULL | changes)).revision.hash == a_mention(**FULL).revision.hash


def test_nothing_said_is_nothing_said_however_it_is_written() -> None:
    assert a_mention(text="a", appends=(), media=[], title=None).revision.hash == a_mention(text="a").revision.hash


def test_a_later_capture_is_a_later_revision() -> None:
    first, second = a_mention(**FULL), a_mention(**FULL, captured_at=CAPTURED + timedelta(milliseconds=1))
    assert second.revision.number == first.revision.number + 1 == millis(CAPTURED) + 1
    assert a_mention(raw=a_raw(captured_at=datetime(1960, 1, 1, tzinfo=UTC)), created_at=CAPTURED.replace(year=1950))


def test_the_content_fields_are_fields() -> None:
    assert set(CONTENT_FIELDS) <= set(Mention.model_fields)


def test_full_text_is_title_text_and_appends_a_line_each() -> None:
    assert a_mention(**FULL).full_text == "标题\n漏水了\n追评\n又追"
    assert a_mention(text="", title=None).full_text == ""


@pytest.mark.parametrize(
    ("fields", "content"),
    [
        ({"text": "", "empty_text": True}, False),
        ({"text": ""}, False),
        ({"text": "", "rating": 5}, True),
        ({"text": "", "title": "t"}, True),
        ({"text": "", "appends": (Append(text="a"),)}, True),
        ({"text": "", "media": (Media(type="video", url="u"),)}, True),
        ({"text": "a"}, True),
    ],
)
def test_what_has_nothing_to_index(fields: dict[str, Any], content: bool) -> None:
    assert a_mention(**fields).has_content is content


@given(st.text() | st.text(st.characters(categories=["Cs", "Cc"])))
def test_storable_text_can_be_stored(text: str) -> None:
    clean = storable(text)
    assert "\0" not in clean
    assert len(clean) == len(text)
    clean.encode("utf-8")
    assert storable(clean) == clean
