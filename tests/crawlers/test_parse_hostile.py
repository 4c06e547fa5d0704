"""Whatever comes from outside: always a Page, never a fault of ours, in bounded time; drafts that can be sealed."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawlers.decode import MAX_BODY, MAX_DEPTH
from crawlers.endpoint import MAX_PROBLEMS, MAX_RECORDS
from crawlers.parse import PLATFORMS, parse
from crawlers.payload import Page
from ingest.errors import Poison, UserError
from ingest.mention import Raw, make_mention
from tests.crawlers.payloads import CAPTURED, payload, read
from tests.crawlers.payloads.douyin import DOUYIN_AWEME, DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL, DOUYIN_SEARCH
from tests.crawlers.payloads.jd import JD_LEGO, JD_OLD, JD_OLD_URL
from tests.crawlers.payloads.tmall import MTOP_DETAIL, MTOP_NEW_PC, TMALL_OLD, TMALL_OLD_URL
from tests.crawlers.payloads.xiaohongshu import (
    NOTE_ID,
    XHS_APP_COMMENTS,
    XHS_APP_SEARCH,
    XHS_COMMENTS,
    XHS_COMMENTS_URL,
    XHS_FEED,
    XHS_SEARCH,
)
from tests.crawlers.payloads.zhihu import (
    ZHIHU_COMMENTS,
    ZHIHU_COMMENTS_URL,
    ZHIHU_FEEDS,
    ZHIHU_FEEDS_URL,
    ZHIHU_OFFICIAL,
    ZHIHU_SEARCH,
    ZHIHU_STATE,
)

EXAMPLES: Mapping[str, tuple[Any, ...]] = {
    "jd": (JD_OLD, JD_LEGO),
    "tmall": (TMALL_OLD, MTOP_DETAIL, MTOP_NEW_PC),
    "xiaohongshu": (XHS_SEARCH, XHS_FEED, XHS_COMMENTS, XHS_APP_COMMENTS, XHS_APP_SEARCH),
    "douyin": (DOUYIN_SEARCH, DOUYIN_COMMENTS, {"status_code": 0, "aweme_detail": DOUYIN_AWEME}),
    "zhihu": (ZHIHU_FEEDS, ZHIHU_COMMENTS, ZHIHU_STATE, ZHIHU_SEARCH, ZHIHU_OFFICIAL),
}
"""One good answer of every kind that is read by its shape alone."""

URLS: Mapping[str, tuple[str | None, ...]] = {
    "jd": (None, JD_OLD_URL.format(page=0), "https://api.m.jd.com/?functionId=getCommentListPage"),
    "tmall": (None, TMALL_OLD_URL.format(page=1), "https://h5api.m.tmall.com/h5/mtop.taobao.rate.detaillist.get/6.0/"),
    "xiaohongshu": (None, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor="")),
    "douyin": (None, DOUYIN_COMMENTS_URL.format(cursor=0), "https://www.douyin.com/aweme/v1/web/aweme/detail/?a=1"),
    "zhihu": (None, ZHIHU_COMMENTS_URL.format(offset=""), ZHIHU_FEEDS_URL, "http://[::bad"),
}

every_platform = pytest.mark.parametrize("platform", PLATFORMS)


def sound(page: Page) -> None:
    """What a page always promises."""
    assert (page.signal == "ok") or page.reason
    assert not page.mentions or page.signal in ("ok", "login_required")
    for draft in page.mentions:
        assert isinstance(draft.native_id, str)
        assert draft.native_id
        assert draft.created_at is None or draft.created_at.utcoffset() is not None
        assert not (draft.empty_text and draft.text)
        assert draft.parent_native != f"{draft.kind}:{draft.native_id}"
    for problem in page.problems:
        assert problem.path
        assert problem.reason
        json.loads(problem.raw)
    if page.next is not None:
        assert page.next
        assert all(isinstance(value, str) and value for value in page.next.values())


def test_a_platform_that_is_not_known_is_a_user_error() -> None:
    assert PLATFORMS == ("jd", "tmall", "xiaohongshu", "douyin", "zhihu")
    with pytest.raises(UserError, match="jd、tmall、xiaohongshu、douyin、zhihu"):
        parse("weibo", payload(b"{}"))


@every_platform
def test_examples_are_sound_and_can_be_sealed(platform: str) -> None:
    for example in EXAMPLES[platform]:
        page = read(platform, example)
        assert page.signal == "ok"
        assert page.mentions
        sound(page)
        for draft in page.mentions:
            mention = make_mention(
                native_id=draft.native_id,
                source=draft.source,
                kind=draft.kind,
                raw=Raw(url=None, captured_at=CAPTURED, parser="test/1"),
                created_at=draft.created_at or CAPTURED,
                text=draft.text,
                title=draft.title,
                product=draft.product,
                appends=tuple(draft.appends),
                media=tuple(draft.media),
                likes=draft.likes,
            )
            assert mention.id == f"{platform}:{draft.kind}:{draft.native_id}"


@every_platform
def test_a_pages_next_parameters_and_records_do_not_depend_on_when_it_is_read(platform: str) -> None:
    for example in EXAMPLES[platform]:
        assert read(platform, example) == read(platform, json.dumps(example).encode())


@every_platform
def test_wrappers_of_third_parties_are_taken_off(platform: str) -> None:
    for example in EXAMPLES[platform]:
        plain = read(platform, example)
        for wrapped in (
            {"code": 200, "data": example},
            {"code": 200, "data": {"code": 0, "data": example}},
            {"data": json.dumps(example)},
        ):
            page = read(platform, wrapped)
            assert [m.native_id for m in page.mentions] == [m.native_id for m in plain.mentions]


@every_platform
@given(
    body=st.binary(max_size=300),
    status=st.sampled_from([200, 200, 200, 302, 400, 404, 461, 503]),
    pick=st.integers(0, 9),
)
def test_any_bytes_give_a_page(platform: str, body: bytes, status: int, pick: int) -> None:
    urls = URLS[platform]
    page = read(platform, body, urls[pick % len(urls)], status=status, request_body=body[:50])
    sound(page)
    assert page.mentions == ()


KEYS = """
data comments items id content ret rateDetail rateList note_card comment status_code aweme_detail code success paging
is_end next error Data Items list result floors mId initialState entities answers note noteDetailMap create_time
user_info
"""
keys = st.sampled_from(KEYS.split())
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
any_json: st.SearchStrategy[Any] = st.recursive(
    scalars | st.sampled_from(["0", "SUCCESS::"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5),
    max_leaves=25,
)


@every_platform
@settings(max_examples=60)
@given(value=any_json, pick=st.integers(0, 9))
def test_any_json_gives_a_page(platform: str, value: Any, pick: int) -> None:
    urls = URLS[platform]
    sound(read(platform, json.dumps(value), urls[pick % len(urls)]))


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside."""
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from places(inner, (*way, key))


REPLACEMENTS: tuple[Any, ...] = (
    None, "", 0, -1, 1.5, 7.6e18, True, [], {}, [None], [[]], [1], {"id": {}}, "undefined", "1e9", "x" * 300,
    "\ud83d", "\x00\u202e", 10**40, -(10**40), 1e308, "<b>" * 50, {"data": {}}, "9999-99-99", "http://[",
    ["//a.b/c"], "2个月前",
)  # fmt: skip


@every_platform
def test_every_field_may_be_anything_at_all(platform: str) -> None:
    """Each place of each example takes a third of the replacements, the same ones in every run."""
    chance = random.Random(5)
    for example in EXAMPLES[platform]:
        ways = list(places(example))
        for way in ways:
            for replacement in chance.sample(REPLACEMENTS, 9):
                mutant = copy.deepcopy(example)
                node = mutant
                for key in way[:-1]:
                    node = node[key]
                node[way[-1]] = replacement
                sound(read(platform, mutant))


@every_platform
@settings(max_examples=60)
@given(data=st.data())
def test_cut_and_garbled_bytes_of_real_answers_give_a_page(platform: str, data: st.DataObject) -> None:
    example = data.draw(st.sampled_from(EXAMPLES[platform]))
    body = bytearray(json.dumps(example, ensure_ascii=False).encode(data.draw(st.sampled_from(["utf-8", "gb18030"]))))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=6)):
        body[place] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(body)))
    sound(read(platform, bytes(body[: end or None])))


@every_platform
def test_too_large_and_too_deep_are_unknown(platform: str) -> None:
    large = read(platform, b"[" + b" " * MAX_BODY)
    assert (large.signal, large.mentions) == ("unknown", ())
    assert "字节" in large.reason
    deep = read(platform, '{"data":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))
    assert (deep.signal, deep.mentions) == ("unknown", ())
    assert "嵌套超过" in deep.reason


@every_platform
def test_a_long_page_is_read_in_good_time(platform: str) -> None:
    example: Any = copy.deepcopy(EXAMPLES[platform][0])
    way = next(way for way in places(example) if _is_list_of_records(at(example, way)))
    rows = at(example, way)
    rows *= 5_000 // len(rows)
    started = time.process_time()
    page = read(platform, example)
    assert page.signal == "ok"
    # Some ten microseconds a field; a quadratic step would need minutes. Generous for a busy machine.
    assert time.process_time() - started < 15


def test_a_page_of_broken_records_tells_some_and_counts_the_rest() -> None:
    count = MAX_RECORDS + 5000
    good = JD_OLD["comments"][0]
    answer = {**JD_OLD, "comments": [good, *[{"id": None}] * count]}
    page = read("jd", answer, url=JD_OLD_URL.format(page=0))
    assert (page.signal, len(page.mentions), len(page.problems)) == ("ok", 1, MAX_PROBLEMS)
    assert page.broken == count


def _is_list_of_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def at(value: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        value = value[key]
    return value


def test_ids_twice_in_one_page_are_one_mention() -> None:
    rows = JD_OLD["comments"] * 2
    assert len(read("jd", {"comments": rows, "maxPage": 1}).mentions) == 2


def test_a_sealed_draft_with_a_wrong_field_is_poison_and_no_crash() -> None:
    draft = read("jd", {"comments": [JD_OLD["comments"][0] | {"content": "字" * 300_000}], "maxPage": 1}).mentions[0]
    with pytest.raises(Poison):
        make_mention(
            native_id=draft.native_id,
            source="jd",
            kind="review",
            raw=Raw(captured_at=CAPTURED, parser="test/1"),
            created_at=draft.created_at,
            text=draft.text,
        )
