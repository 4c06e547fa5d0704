"""Typed reading: strict where a record rests on it, tolerant elsewhere, and always naming the path."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crawlers.reading import Reader
from ingest.errors import PayloadError

CAPTURED = datetime(2026, 1, 5, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("57628904", "57628904"),
        (7603286382429717282, "7603286382429717282"),
        (" 5_1 ", "5_1"),
        ("@9Vw/x+1==", "@9Vw/x+1=="),
        (0, "0"),
    ],
)
def test_ids_are_text_with_all_their_digits(value: Any, text: str) -> None:
    assert Reader({"id": value}).id("id") == text


@pytest.mark.parametrize(
    "value", [None, "", 7.6e18, 7.0, "7.6e18", "7.0", True, [], {}, "a b", "中文", "x" * 200, "\x00", -1]
)
def test_what_is_no_id_is_refused_with_its_path(value: Any) -> None:
    reader = Reader({"list": [{}, {"id": value}]})
    with pytest.raises(PayloadError) as caught:
        reader["list"][1].id("id")
    assert caught.value.field == "list[1].id"


@pytest.mark.parametrize("value", [7.6e18, 7.0, "7.6e18", "7.0"])
def test_a_float_is_blamed_for_its_lost_digits(value: Any) -> None:
    with pytest.raises(PayloadError, match="丢了位数"):
        Reader({"id": value}).id("id")


def test_optional_ids_of_other_things_are_simply_absent() -> None:
    for value in (None, "", "0", 0, 1.5, "a b", {}):
        assert Reader({"sku": value}).id_or_none("sku") is None


def test_alternatives_are_tried_in_order_and_the_first_is_blamed() -> None:
    reader = Reader({"a": "", "b": {"c": 5}})
    assert reader.id("a", "b.c") == "5"
    with pytest.raises(PayloadError) as caught:
        reader.moment(CAPTURED, "when", "then")
    assert caught.value.field == "when"


@pytest.mark.parametrize("value", [None, 5, "text", [], [1], {"0": 1}, True])
def test_everything_missing_reads_as_nothing(value: Any) -> None:
    reader = Reader(value, "x")
    assert reader["a"]["b"][3].value is None
    assert (reader.text("a"), reader.number("a.b"), reader.flag("a"), list(reader.each("a"))) == ("", None, False, [])
    assert reader.moment_or_none(CAPTURED, "a") is None
    assert not reader.has("a")


def test_lists_are_read_with_their_places() -> None:
    reader = Reader({"empty": [], "data": [{"x": 1}, None]}, "root")
    assert [item.path for item in reader.each("missing", "empty", "data")] == ["root.data[0]", "root.data[1]"]
    assert reader.at("data.0.x").value == 1
    with pytest.raises(PayloadError, match=r"root\.data\[1\]: 应为对象，却是空值"):
        reader["data"][1].record()


def test_flags_and_texts_come_in_any_type() -> None:
    for value in (True, 1, "1", "true", "True"):
        assert Reader({"f": value}).flag("f")
    for value in (False, 0, "0", "false", None, [], 2, "yes"):
        assert not Reader({"f": value}).flag("f")
    assert (Reader({"t": 5}).text("t"), Reader({"t": True}).text("t"), Reader({"t": []}).text("t")) == ("5", "", "")


def test_a_record_can_always_be_written_down() -> None:
    assert json.loads(Reader({"t": "暖"}).raw()) == {"t": "暖"}
    assert json.loads(Reader({"t": "\ud83d"}).raw()) == {"t": "\ud83d"}
