"""Every endpoint that the parsers know: what is read from a good answer, whatever carries it, field by field."""

from __future__ import annotations

import copy
import json
import re
import time
from typing import Any

import pytest

from crawlers.decode import decode
from crawlers.fill import FIELDS
from crawlers.parse import _PARSERS
from tests.crawlers.golden import EXPECTED, GOLDEN, Golden, told
from tests.crawlers.payloads import changed, jsonp, read
from tests.crawlers.payloads import rest as r
from tests.crawlers.payloads.douyin import DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL, DOUYIN_SEARCH, DOUYIN_SEARCH_URL
from tests.crawlers.payloads.jd import JD_LEGO, JD_OLD
from tests.crawlers.payloads.tmall import MTOP_DETAIL, MTOP_NEW_PC, TMALL_OLD
from tests.crawlers.payloads.xiaohongshu import (
    NOTE_ID,
    XHS_APP_COMMENTS,
    XHS_COMMENTS,
    XHS_COMMENTS_URL,
    XHS_FEED,
    XHS_SEARCH,
    XHS_SEARCH_URL,
)
from tests.crawlers.payloads.zhihu import ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL, ZHIHU_FEEDS, ZHIHU_FEEDS_URL, ZHIHU_SEARCH
from tests.fuzz import parsers as fuzz

WANTED = json.loads(EXPECTED.read_text(encoding="utf-8"))

each = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
by_shape = pytest.mark.parametrize("golden", [g for g in GOLDEN if g.by_shape], ids=lambda golden: golden.name)


def value_of(golden: Golden) -> Any:
    """The JSON in an answer; a stream's pieces are one answer only together."""
    return decode(golden.payload().body).value


@each
def test_a_good_answer_is_read_in_full(golden: Golden) -> None:
    page = golden.read()
    assert page.endpoint == golden.endpoint
    assert told(page) == WANTED[golden.name]
    assert not page.problems
    assert not page.missing


def test_every_endpoint_has_a_good_answer_and_every_field_is_read_somewhere() -> None:
    known = {endpoint.name for platform in _PARSERS.values() for endpoint in platform.endpoints}
    read_by_one_mapper = {"tmall.wdetail.getitemrates"}  # of rate.detaillist.get
    assert {golden.endpoint for golden in GOLDEN} == (known - {"zhihu.list"}) | read_by_one_mapper
    filled = {name for page in WANTED.values() for name, count in page.get("fill", {}).items() if count}
    assert filled == set(FIELDS)


@by_shape
def test_without_an_address_the_answer_itself_tells_what_it_is(golden: Golden) -> None:
    page = read(golden.platform, golden.body)
    assert page.endpoint == golden.endpoint
    assert ids(page) == ids(golden.read())


@by_shape
def test_whatever_carries_an_answer_it_is_the_same(golden: Golden) -> None:
    value = value_of(golden)
    if isinstance(value, list):  # a stream
        return
    plain = ids(golden.read())
    text = json.dumps(value, ensure_ascii=False)
    for body in (
        text,
        "\ufeff" + text,
        jsonp(value, callback="mtopjsonp12", encoding="utf-8"),
        f"window.__INITIAL_STATE__ = {text};" if "state" in golden.name else f"var data = {text};",
        text.replace("null", "undefined"),
        {"code": 200, "data": value},
        {"code": 200, "router": "/x", "data": {"code": 0, "data": value}},
        {"data": text},
    ):
        assert ids(read(golden.platform, body)) == plain


@pytest.mark.parametrize("golden", [g for g in GOLDEN if b"<" in g.payload().body[:1]], ids=lambda golden: golden.name)
def test_a_pages_state_may_come_without_its_page(golden: Golden) -> None:
    assert ids(read(golden.platform, value_of(golden))) == ids(golden.read())


def test_a_bare_url_encoded_state_is_read() -> None:
    from urllib.parse import quote

    body = quote(json.dumps(r.DOUYIN_RENDER, ensure_ascii=False))
    assert [m.native_id for m in read("douyin", body).mentions] == ["7603286382429717282"]


def ids(page: Any) -> list[tuple[str, object]]:
    assert page.signal in ("ok", "empty"), page.reason
    return [(draft.kind, draft.native_id) for draft in page.mentions]


# -- a changed shape says what broke, and keeps what can be read -----------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "body", "path", "missing"),
    [
        ("jd", JD_OLD, "maxPage", "maxPage"),
        ("tmall", TMALL_OLD, "rateDetail.paginator.lastPage", "rateDetail.paginator.lastPage"),
        ("tmall", MTOP_DETAIL, "data.hasNext", "data.hasNext"),
        ("tmall", MTOP_NEW_PC, "data.module.hasNext", "data.module.hasNext"),
        ("tmall", r.TMALL_FEED_RATES, "maxPage", "maxPage"),
        ("tmall", r.TOP_RATES, "traderates_get_response.total_results", "traderates_get_response.has_next"),
        ("xiaohongshu", XHS_SEARCH, "data.has_more", "data.has_more"),
        ("xiaohongshu", XHS_COMMENTS, "data.has_more", "data.has_more"),
        ("xiaohongshu", r.XHS_PROFILE, "data.has_more", "data.has_more"),
        ("xiaohongshu", XHS_APP_COMMENTS, "data.data.has_more", "data.data.has_more"),
        ("douyin", DOUYIN_SEARCH, "has_more", "has_more"),
        ("douyin", DOUYIN_COMMENTS, "has_more", "has_more"),
        ("douyin", r.DOUYIN_OPEN_COMMENTS, "data.has_more", "data.has_more"),
        ("zhihu", ZHIHU_FEEDS, "paging.is_end", "paging.is_end"),
        ("zhihu", ZHIHU_COMMENTS, "paging.is_end", "paging.is_end"),
    ],
)
def test_a_list_that_does_not_say_how_it_goes_on_says_so(platform: str, body: Any, path: str, missing: str) -> None:
    whole, cut = read(platform, body), read(platform, changed(body, path, ...))
    assert (whole.missing, cut.missing) == ((), (missing,))
    assert ids(cut) == ids(whole)
    assert not cut.problems


LOST_WAY: tuple[tuple[str, Any, str, str, Any, str], ...] = (
    ("xiaohongshu", XHS_COMMENTS, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor=""), "data.cursor", ..., "data.cursor"),
    ("xiaohongshu", XHS_COMMENTS, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor="c"), "data.cursor", "c", "data.cursor"),
    ("xiaohongshu", XHS_APP_COMMENTS, "", "data.data.cursor", "", "data.data.cursor"),
    ("xiaohongshu", r.XHS_PROFILE, "", "data.cursor", ..., "data.cursor"),
    ("xiaohongshu", XHS_SEARCH, XHS_SEARCH_URL, "data.items.0.id", "66696f98000000001c0123ab", "request.page"),
    ("douyin", DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL.format(cursor=0), "cursor", ..., "cursor"),
    ("douyin", DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL.format(cursor=0), "cursor", 0, "cursor"),
    ("douyin", DOUYIN_SEARCH, DOUYIN_SEARCH_URL.format(offset=0), "cursor", ..., "cursor"),
    ("douyin", r.DOUYIN_OPEN_COMMENTS, "", "data.cursor", ..., "data.cursor"),
    ("douyin", changed(r.DOUYIN_OPEN_VIDEOS, "data.has_more", True), "", "data.cursor", ..., "data.cursor"),
    ("zhihu", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset=""), "paging.next", ..., "paging.next"),
    ("zhihu", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset="5_11459633608_0"), "paging.totals", 24, "paging.next"),
    ("zhihu", ZHIHU_FEEDS, ZHIHU_FEEDS_URL, "paging.next", "", "paging.next"),
    ("zhihu", ZHIHU_SEARCH, "", "paging.next", ..., "paging.next"),
    ("tmall", MTOP_DETAIL, "https://h5api.m.tmall.com/h5/mtop.taobao.rate.detaillist.get/6.0/", "data.hasNext", "true",
     "request.pageNo"),
    ("tmall", MTOP_NEW_PC, "https://h5api.m.tmall.com/h5/mtop.alibaba.review.list.for.new.pc.detail/1.0/",
     "data.module.hasNext", "true", "request.pageNum"),
)  # fmt: skip


@pytest.mark.parametrize(("platform", "body", "url", "path", "value", "missing"), LOST_WAY)
def test_a_promise_of_more_without_a_way_on_is_no_end(
    platform: str, body: Any, url: str, path: str, value: Any, missing: str
) -> None:
    page = read(platform, changed(body, path, value), url or None)
    assert page.signal == "ok"
    assert page.mentions
    assert page.next is None
    assert page.missing == (missing,)
    assert page.lost_way


def test_where_the_end_is_stated_a_lost_cursor_is_none() -> None:
    for platform, body, path, cursor in (
        ("xiaohongshu", changed(XHS_COMMENTS, "data.has_more", False), "data.cursor", XHS_COMMENTS_URL),
        ("douyin", changed(DOUYIN_COMMENTS, "has_more", 0), "cursor", DOUYIN_COMMENTS_URL),
        ("zhihu", changed(ZHIHU_COMMENTS, "paging.is_end", True), "paging.next", ZHIHU_COMMENTS_URL),
    ):
        page = read(platform, changed(body, path, ...), re.sub(r"\{\w+\}", "", cursor))
        assert (page.next, page.missing, page.lost_way) == (None, (), False)


RENAMED: tuple[tuple[str, Any, str, str, str], ...] = (
    ("jd", JD_OLD, "comments", "content", "comments[].content"),
    ("jd", JD_LEGO, "commentInfoList", "commentData", "commentInfoList[].commentData"),
    ("jd", r.JD_QUESTIONS, "questionList", "content", "questionList[].content"),
    ("tmall", TMALL_OLD, "rateDetail.rateList", "rateContent", "rateDetail.rateList[].rateContent"),
    ("tmall", MTOP_DETAIL, "data.rateList", "feedback", "data.rateList[].feedback"),
    ("tmall", MTOP_NEW_PC, "data.module.reviewVOList", "reviewWordContent",
     "data.module.reviewVOList[].reviewWordContent"),
    ("xiaohongshu", XHS_COMMENTS, "data.comments", "content", "data.comments[].content"),
    ("douyin", DOUYIN_COMMENTS, "comments", "text", "comments[].text"),
    ("zhihu", ZHIHU_COMMENTS, "data", "content", "data[].content"),
)  # fmt: skip


@pytest.mark.parametrize(("platform", "body", "where", "key", "missing"), RENAMED, ids=lambda one: str(one)[:20])
def test_a_text_that_no_record_has_any_more_is_named(
    platform: str, body: Any, where: str, key: str, missing: str
) -> None:
    mutant = copy.deepcopy(body)
    rows: Any = mutant
    for part in where.split("."):
        rows = rows[part]
    rows[:] = [copy.deepcopy(rows[0]) for _ in range(3)]
    for row in rows:
        row["renamed"] = row.pop(key)
        row.pop("tagCommentContent", None)
    page = read(platform, mutant)
    assert missing in page.missing
    rows[1][key] = "einer"
    assert missing not in read(platform, mutant).missing


def test_cards_of_another_shape_are_unknown_and_not_the_end_of_the_list() -> None:
    body = changed(r.JD_LIST_PAGE, "result.floors.1.data", [{"commentVO": {"commentId": "1"}}])
    page = read("jd", body)
    assert (page.signal, page.reason) == ("unknown", "缺少 result.floors[1].data[0].commentInfo")


# -- what only some endpoints have -----------------------------------------------------------------------------------


def test_the_platforms_other_counts_are_told() -> None:
    summary = {"goodCount": 1, "generalCount": 2, "poorCount": 3, "afterCount": 4, "showCount": 5, "videoCount": 6}
    page = read("jd", changed(JD_OLD, "productCommentSummary", summary))
    assert (page.total, dict(page.counts)) == (
        None,
        {"good": 1, "middle": 2, "bad": 3, "append": 4, "picture": 5, "video": 6},
    )
    assert read("jd", changed(JD_OLD, "productCommentSummary", {"commentCountStr": "14万+"})).total == 140_000
    for broken in ("", "!!", "5Lq6", 7, None):
        assert "default_good" not in read("jd", {**JD_LEGO, "defaultGoodCountText": broken}).counts


def test_the_shops_own_figures_and_words_are_told() -> None:
    old, first, sums = read("jd", JD_OLD), read("jd", JD_LEGO), read("jd", r.JD_SUMMARIES)
    assert (dict(old.stats), dict(old.tags)) == ({"good_rate": 0.98}, {"不热": 273})
    assert dict(first.stats) == {"good_rate": 0.95, "all_default_good": False}
    assert dict(first.tags) == {"安装快": 4}
    assert dict(sums.stats) == {"good_rate": 0.98, "average_score": 5, "score_1": 700, "score_5": 130000}
    assert dict(read("tmall", MTOP_DETAIL).tags) == {"有异响": 31, "不热": 100}
    assert dict(read("tmall", r.TMALL_TAG_CLOUDS).tags) == dict(read("tmall", r.TOP_ITEM_TAGS).tags) == {"不热": 12}
    for odd in (None, "", 7, {}, [None], [{"name": 1}], [{"count": 3}]):
        assert read("jd", changed(JD_OLD, "hotCommentTagStatistics", odd)).tags == {}


def test_purchases_and_edits_are_dated() -> None:
    bought = [read("jd", JD_OLD).mentions[0].purchased_at, read("tmall", TMALL_OLD).mentions[0].purchased_at]
    edited = [read("zhihu", ZHIHU_FEEDS).mentions[0].edited_at, read("xiaohongshu", XHS_FEED).mentions[0].edited_at]
    assert all(at is not None and at.tzinfo is not None for at in (*bought, *edited))
    assert read("jd", changed(JD_OLD, "comments.0.referenceTime", "某天")).mentions[0].purchased_at is None


def test_replies_of_others_are_no_seller_reply() -> None:
    answered, default = read("jd", r.JD_MERCHANT).mentions
    assert (answered.seller_reply, default.seller_reply) == ("已安排上门", None)
    assert "secret-pin" not in repr(answered)


def test_words_stand_in_for_stars_that_are_not_there() -> None:
    starred, worded = read("jd", r.JD_LIST_PAGE).mentions
    assert (starred.rating, starred.rating_scale) == (3, "5")
    assert (worded.rating, worded.rating_scale) == (5, "3")


def test_a_hit_is_dated_by_the_list_where_it_says_the_day_and_by_its_id_elsewhere() -> None:
    for text, at in (
        ("2025-05-29", "2025-05-28T16:00"),
        ("3天前", "2026-01-01T16:00"),
        ("2个月前", "2024-06-12T09:51"),
    ):
        tags = [{"type": "publish_time", "text": text}]
        body = changed(XHS_SEARCH, "data.items.0.note_card.corner_tag_info", tags)
        created = read("xiaohongshu", body).mentions[0].created_at
        assert created is not None
        assert created.isoformat().startswith(at)


def test_a_comment_by_the_poster_is_marked_by_tag_or_by_account() -> None:
    state = {
        "note": {
            "noteDetailMap": {
                "66696f98000000001c0123ab": {
                    "note": {"noteId": "66696f98000000001c0123ab", "time": 1718185880000, "user": {"userId": "5f00aa"}},
                    "comments": {
                        "list": [
                            {"id": "66697000000000001c0123a1", "createTime": 1718185980000, "content": "问问",
                             "userInfo": {"userId": "other"}},
                            {"id": "66697000000000001c0123a2", "createTime": 1718185980000, "content": "已解决",
                             "userInfo": {"userId": "5f00aa"}},
                        ]
                    },
                }
            }
        }
    }  # fmt: skip
    assert [m.by_poster for m in read("xiaohongshu", state).mentions] == [False, False, True]
    author = changed(DOUYIN_COMMENTS, "comments.0.label_list", [{"type": 1, "text": "作者"}])
    assert read("douyin", author).mentions[0].by_poster


def test_a_comment_is_never_its_own_parent() -> None:
    body = changed(r.DOUYIN_REPLIES, "comments.0.reply_to_reply_id", "7603286382429717305")
    assert read("douyin", body).mentions[0].parent_native == "comment:7603286382429717300"


def test_results_outside_zhihu_are_left_out_and_strange_ones_inside_are_named() -> None:
    for url, problems in (("https://example.com/a", 0), ("https://www.zhihu.com/people/x", 0), ("", 1)):
        item = {"Title": "x", "ContentText": "y", "Url": url, "EditTime": 1676000000}
        page = read("zhihu", {"Code": 0, "Data": {"Items": [item]}})
        assert (len(page.mentions), len(page.problems)) == (0, problems)


def test_a_hit_without_words_of_its_own_is_told_by_what_was_highlighted() -> None:
    hit = {
        "type": "search_result",
        "highlight": {"title": "<em>暖气片</em>不热", "description": "三天<em>没</em>修"},
        "object": {"type": "article", "id": "7", "created": 1676000000},
    }
    (draft,) = read("zhihu", {"data": [hit], "paging": {"is_end": True}}).mentions
    assert (draft.title, draft.text, draft.partial) == ("暖气片不热", "三天没修", True)


@pytest.mark.parametrize("comments", [None, "", {}])
def test_a_c2c_list_without_its_list_is_unknown(comments: Any) -> None:
    url = "https://rate.taobao.com/feedRateList.htm?currentPageNum=1"
    assert read("tmall", {"maxPage": 3, "comments": comments}, url).signal == "unknown"


# -- fuzzing ---------------------------------------------------------------------------------------------------------


def test_two_thousand_mutated_answers_give_pages() -> None:
    """A fixed part of ``python -m tests.fuzz.parsers``."""
    started = time.process_time()
    found = {number: wrong for number in range(2_000) if (wrong := fuzz.run(number, seed=20260105)[1])}
    assert found == {}
    assert time.process_time() - started < 60
