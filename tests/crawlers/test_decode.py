"""Bytes to JSON: encodings and labels, wrappings, bounds."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.decode import MAX_BODY, MAX_DEPTH, decode, decode_text, load_json
from ingest.errors import PayloadError

VALUE = {"a": [1, "暖气片漏水", None], "b": "括号)};与引号\"'"}
TEXT = json.dumps(VALUE, ensure_ascii=False)


@pytest.mark.parametrize(
    ("body", "label", "charset"),
    [
        (TEXT.encode("gbk"), "text/html;charset=GBK", "gb18030"),
        (TEXT.encode("gbk"), "application/json; charset=UTF-8", "gb18030"),  # labelled wrongly
        (TEXT.encode("gbk"), "", "gb18030"),
        (TEXT.encode(), "text/html;charset=GBK", "utf-8"),  # labelled wrongly the other way round
        (TEXT.encode(), "text/plain;charset=iso-8859-1", "utf-8"),
        (TEXT.encode("utf-8-sig"), "", "utf-8"),
        (TEXT.encode("utf-16"), "", "utf-16"),
    ],
)
def test_the_bytes_say_more_than_the_label(body: bytes, label: str, charset: str) -> None:
    decoded = decode(body, {"content-type": label})
    assert (decoded.value, decoded.charset, decoded.replaced) == (VALUE, charset, 0)


def test_two_byte_text_that_is_valid_both_ways_is_read_as_labelled() -> None:
    body = '{"t":"模"}'.encode("gbk")
    assert body.decode("utf-8")
    assert decode(body, {"content-type": "text/html; charset=gb2312"}).value == {"t": "模"}
    assert decode('{"t":"é"}'.encode(), {"content-type": "charset=utf-8"}).value == {"t": "é"}


def test_a_few_broken_bytes_are_replaced_and_counted() -> None:
    broken = "暖气片漏水了怎么办".encode()
    text, charset, replaced = decode_text(broken[:9] + b"\xff" + broken[9:])
    assert (text, charset, replaced) == ("暖气片\ufffd漏水了怎么办", "utf-8", 1)
    text, charset, replaced = decode_text("暖气片漏水了".encode("gbk") + b"\xff")
    assert (text[:6], charset, replaced) == ("暖气片漏水了", "gb18030", 1)


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (TEXT, "json"),
        (f"  \n{TEXT};", "json"),
        (f"\ufeff{TEXT}", "json"),
        (f"fetchJSON_comment98vv122({TEXT});", "jsonp"),
        (f"/**/jsonp928({TEXT})", "jsonp"),
        (f"/* a */ /**/ ;mtopjsonp12 ( {TEXT} ) ; \n", "jsonp"),
        (f"jQuery.cb['x'].y[0]({TEXT})".replace("['x']", ""), "jsonp"),
        (f"try{{jsonp1({TEXT});}}catch(e){{}}", "jsonp"),
        (f"typeof jsonp1 === 'function' && jsonp1({TEXT})", "jsonp"),
        (f"window.__INITIAL_STATE__ = {TEXT};(function(){{}})()", "script"),
        (f"<!DOCTYPE html><script>window.__INITIAL_STATE__={TEXT}</script>", "html"),
        (f"<html><script id='js-initialData' type='text/json'>{TEXT}</script><script>x({{}})</script>", "html"),
    ],
)
def test_wrappings_are_taken_off(body: str, form: str) -> None:
    decoded = decode(body.encode())
    assert (decoded.form, decoded.value) == (form, VALUE)


def test_undefined_is_null_only_outside_strings() -> None:
    state = '{"a":undefined,"b":"undefined","c":[undefined,"x\\"undefined"],"undefined":void 0,"d":"\\u002Fa"}'
    expected = {"a": None, "b": "undefined", "c": [None, 'x"undefined'], "undefined": None, "d": "/a"}
    assert decode(f"<script>window.__INITIAL_STATE__={state}</script>".encode()).value == expected
    assert decode(state.encode()).value == expected


def test_render_data_is_url_encoded() -> None:
    page = '<script id="RENDER_DATA" type="application/json">%7B%22a%22%3A%22%E6%9A%96%22%7D</script>'
    assert (decode(page.encode()).value, decode(page.encode()).state) == ({"a": "暖"}, "RENDER_DATA")


def test_the_last_word_about_nothing() -> None:
    for body in (b"", b" \r\n\t", b"\x00\x00", b"\xef\xbb\xbf"):
        assert decode(body).form == "empty"
    assert (decode(b"blocked").form, decode(b"blocked").value) == ("text", None)
    assert (decode(b"Error (code 5)").form, decode(b"<p>hi").form) == ("text", "html")
    assert (decode(b'""').value, decode(b"cb()").form, decode(b"cb()").value) == ("", "jsonp", None)
    assert decode(b'"rateDetail":{"a":1}').value == {"rateDetail": {"a": 1}}


@pytest.mark.parametrize(
    "stream",
    [
        '{"a":1}{"a":2}',
        '{"a":1}\n{"a":2}\n',
        '7\r\n{"a":1}\r\n7\r\n{"a":2}\r\n0\r\n',
        'data: {"a":1}\n\ndata: {"a":2}\n\n',
    ],
)
def test_streams_are_lists_of_their_pieces(stream: str) -> None:
    decoded = decode(stream.encode())
    assert (decoded.form, decoded.value) == ("stream", [{"a": 1}, {"a": 2}])
    assert decode((stream.rstrip() + '\n{"a":').encode()).value == [{"a": 1}, {"a": 2}]


def test_large_integers_keep_their_digits_and_endless_ones_are_no_integers() -> None:
    assert load_json('{"id":7603286382429717282}') == {"id": 7603286382429717282}
    value = load_json('{"id":%s,"f":1e999,"n":NaN}' % ("9" * 5000))
    assert isinstance(value, dict)
    assert isinstance(value["id"], float)
    assert json.loads(json.dumps(value)) == value


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def test_bounds_are_refusals_and_not_crashes() -> None:
    assert decode(nested(MAX_DEPTH).encode()).form == "json"
    for text in (nested(MAX_DEPTH + 1), nested(100_000), '{"a":' * 100_000, "[" * 1_000_000, f"cb({nested(200)})"):
        with pytest.raises(PayloadError, match="body: "):
            decode(text.encode())
    with pytest.raises(PayloadError, match="超过最多读的"):
        decode(b" " * (MAX_BODY + 1))
    brackets_in_text = json.dumps({"a": "[" * 1000})
    assert decode(brackets_in_text.encode()).value == {"a": "[" * 1000}


@pytest.mark.parametrize(
    "body", ['{"a":1', '{"a"', "[1,", '{"a":"' + "x" * 1000, "{a:1}", "[1 2]", "cb({)", "[}", "{]}"]
)
def test_broken_json_is_a_payload_error(body: str) -> None:
    with pytest.raises(PayloadError):
        decode(body.encode())


@pytest.mark.parametrize(
    "evil",
    [
        '"' + '\\"' * 500_000,
        "{" + '"\\"' * 300_000,
        "<script" * 200_000,
        "js-initialData" * 100_000,
        "window " * 200_000,
        "cb" + " " * 500_000 + "(",
        "/*" * 500_000,
        "a[" * 300_000 + "(",
        '{"a":"' + "\\" * 999_999,
        "7\r\n" * 300_000 + "{",
        "event:\n" * 200_000,
        ";" * 1_000_000,
        "<script id=RENDER_DATA>" + "%7B" * 200_000,
    ],
    ids=lambda text: repr(text[:10]),
)
def test_hostile_bodies_take_linear_time(evil: str) -> None:
    started = time.process_time()
    with suppress(PayloadError):
        decode(evil.encode())
    # A quadratic scan would need minutes for this; the bound is generous for a busy machine.
    assert time.process_time() - started < 5


@given(
    st.binary(max_size=400),
    st.sampled_from(["", "text/html; charset=gbk", "application/json; charset=utf-8", "charset="]),
)
def test_any_bytes_are_decoded_or_refused(body: bytes, label: str) -> None:
    try:
        decoded = decode(body, {"content-type": label})
    except PayloadError:
        return
    assert isinstance(decoded.text, str)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**25), 10**25) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(json_values.filter(lambda value: isinstance(value, dict | list)), st.sampled_from(["utf-8", "gb18030"]))
def test_any_json_survives_jsonp_in_either_encoding(value: Any, encoding: str) -> None:
    written = json.dumps(value, ensure_ascii=encoding == "gb18030")
    assert (
        decode(f"/**/callback_1({written});".encode(encoding), {"content-type": f"charset={encoding}"}).value == value
    )
