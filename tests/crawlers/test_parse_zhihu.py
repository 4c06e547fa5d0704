"""Zhihu: every answer as one would want it read, its oddities, and every way in which it says stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.crawlers.payloads import changed, read
from tests.crawlers.payloads.zhihu import (
    ZHIHU_ANSWER,
    ZHIHU_COMMENTS,
    ZHIHU_COMMENTS_URL,
    ZHIHU_FEEDS,
    ZHIHU_FEEDS_URL,
    ZHIHU_OFFICIAL,
    ZHIHU_SEARCH,
    ZHIHU_STATE,
    zhihu_page,
)

SEARCH_URL = "https://www.zhihu.com/api/v4/search_v3?t=general&q=%E6%9A%96%E6%B0%94&offset={offset}&limit=20"
CHILD_URL = "https://www.zhihu.com/api/v4/comment_v5/comment/10447279921/child_comment?order_by=ts&limit=20&offset="


def test_answers_are_read_with_their_question_as_title() -> None:
    page = read("zhihu", ZHIHU_FEEDS, ZHIHU_FEEDS_URL)
    assert (page.endpoint, page.signal) == ("zhihu.question.feeds", "ok")
    assert page.next == {"cursor": "abc", "limit": "20", "offset": "3", "order": "updated"}
    answer, anonymous = page.mentions
    assert (answer.kind, answer.native_id, answer.parent_native) == ("answer", "3190000001", "question:510000001")
    assert answer.title == "暖屹暖气片怎么样？"
    assert answer.text == "用了三年，焊缝没问题。\n就是安装费贵&慢"
    assert answer.created_at == datetime(2023, 2, 16, 9, 3, tzinfo=UTC)
    assert (answer.likes, answer.replies, answer.author_id, answer.verified) == (415, 24, "a1b2", "")
    assert answer.url == "https://www.zhihu.com/question/510000001/answer/3190000001"
    assert [m.url for m in answer.media] == ["https://pic1.zhimg.com/v2-a_r.jpg"]
    assert anonymous.author_id is None


@pytest.mark.parametrize(
    ("paging", "asked", "following"),
    [
        ({"is_end": True, "next": ZHIHU_FEEDS["paging"]["next"]}, ZHIHU_FEEDS_URL, False),
        ({"is_end": False, "next": ZHIHU_FEEDS["paging"]["next"]}, ZHIHU_FEEDS["paging"]["next"], False),
        (
            {"is_end": False, "next": "https://evil.example/api/v4/questions/1/feeds?offset=3&x=y"},
            ZHIHU_FEEDS_URL,
            True,
        ),
        ({"is_end": False, "next": "http://www.zhihu.com/api/v4/questions/1/feeds?offset=3"}, ZHIHU_FEEDS_URL, True),
        ({"is_end": False, "next": "http://[broken"}, ZHIHU_FEEDS_URL, False),
        ({"is_end": False, "next": None}, ZHIHU_FEEDS_URL, False),
    ],
)
def test_the_next_page_is_followed_only_where_it_leads_on(paging: Any, asked: str, following: bool) -> None:
    page = read("zhihu", changed(ZHIHU_FEEDS, "paging", paging), asked)
    assert page.signal == "ok"
    assert (page.next is not None) == following
    assert page.next is None or page.next["offset"] == "3"
    assert "evil" not in repr(page.next)


@pytest.mark.parametrize("is_end", [False, True])
def test_a_wall_behind_the_first_answers_stops_the_run_and_keeps_them(is_end: bool) -> None:
    paging = ZHIHU_FEEDS["paging"] | {"need_force_login": True, "is_end": is_end}
    page = read("zhihu", changed(ZHIHU_FEEDS, "paging", paging), ZHIHU_FEEDS_URL)
    assert (page.signal, page.next, len(page.mentions)) == ("login_required", None, 2)
    assert "need_force_login" in page.reason


def test_a_text_that_is_cut_says_so() -> None:
    path = "data.0.target.content_need_truncated"
    assert [m.excerpt for m in read("zhihu", changed(ZHIHU_FEEDS, path, True)).mentions] == [True, False]
    assert [m.excerpt for m in read("zhihu", changed(ZHIHU_FEEDS, path, False)).mentions] == [False, False]
    bare = changed(ZHIHU_FEEDS, "data.0.target.content", "")
    assert [(m.excerpt, m.text) for m in read("zhihu", bare).mentions] == [(True, "用了三年"), (False, "不热")]
    state = changed(ZHIHU_STATE, "initialState.entities.answers.3190000001.contentNeedTruncated", True)
    assert [m.excerpt for m in read("zhihu", zhihu_page(state)).mentions] == [False, True, False]


def test_an_empty_list_of_answers_is_judged_by_its_paging() -> None:
    for paging, signal in (
        ({"is_end": True}, "empty"),
        ({"is_end": False}, "unknown"),
        ({"is_end": False, "need_force_login": True}, "login_required"),
    ):
        body = {"data": [], "paging": paging}
        assert read("zhihu", body, ZHIHU_FEEDS_URL).signal == signal
    assert read("zhihu", {"data": [], "paging": {"is_end": True}}).signal == "empty"
    assert read("zhihu", {"paging": {"is_end": True}}, ZHIHU_FEEDS_URL).signal == "unknown"


def test_older_and_single_answers_are_the_same_record() -> None:
    older_url = "https://www.zhihu.com/api/v4/questions/510000001/answers"
    older = read("zhihu", {"data": [ZHIHU_ANSWER], "paging": {"is_end": True}}, older_url)
    single = read("zhihu", ZHIHU_ANSWER, "https://www.zhihu.com/api/v4/answers/3190000001")
    assert older.mentions == single.mentions == read("zhihu", ZHIHU_FEEDS).mentions[:1]
    article = {"id": 700000001, "type": "article", "title": "钢制", "content": "<p>看水质</p>", "created": 1676000000}
    page = read("zhihu", article, "https://zhuanlan.zhihu.com/api/articles/700000001")
    assert (page.endpoint, page.mentions[0].kind, page.mentions[0].url) == (
        "zhihu.item",
        "article",
        "https://zhuanlan.zhihu.com/p/700000001",
    )


@pytest.mark.parametrize(
    ("path", "value", "broke"),
    [
        ("data.0.target.id", 3.19e9, "data[0].target.id"),
        ("data.0.target.id", ..., "data[0].target.id"),
        ("data.0.target.created_time", "某天", "data[0].target.created_time"),
        ("data.0.target.author.id", 1.5, "data[0].target.author.id"),
        ("data.0.target", None, "data[0].target"),
        ("data.0", 7, "data[0]"),
    ],
)
def test_a_broken_answer_is_named_and_its_neighbour_stays(path: str, value: Any, broke: str) -> None:
    page = read("zhihu", changed(ZHIHU_FEEDS, path, value), ZHIHU_FEEDS_URL)
    assert ([m.native_id for m in page.mentions], [p.path for p in page.problems]) == (["3190000002"], [broke])


def test_a_page_gives_question_answers_and_articles() -> None:
    page = read("zhihu", zhihu_page(ZHIHU_STATE), "https://www.zhihu.com/question/510000001")
    assert (page.endpoint, page.signal, page.next) == ("zhihu.page", "ok", None)
    question, answer, article = page.mentions
    assert (question.kind, question.native_id, question.title) == ("question", "510000001", "暖屹暖气片怎么样？")
    assert (question.text, question.replies, question.views) == ("想装，\n求意见", 415, 90000)
    assert (answer.native_id, answer.parent_native, answer.likes) == ("3190000001", "question:510000001", 415)
    assert (article.kind, article.text, article.verified) == ("article", "先说结论\n看水质", "暖通老王")


def test_a_page_may_be_html_escaped_throughout() -> None:
    import html
    import json

    state = html.escape(json.dumps(ZHIHU_STATE, ensure_ascii=False))
    body = f"<html><script id='js-initialData' type='text/json'>{state}</script></html>"
    assert len(read("zhihu", body).mentions) == 3


def test_walls_in_a_page_stop_the_run() -> None:
    path = "initialState.question.answers.510000001"
    walled = read("zhihu", zhihu_page(changed(ZHIHU_STATE, f"{path}.needForceLogin", True)))
    assert (walled.signal, len(walled.mentions)) == ("login_required", 3)
    assert read("zhihu", zhihu_page(changed(ZHIHU_STATE, f"{path}.antiSpider", True))).signal == "blocked"
    assert read("zhihu", zhihu_page(changed(ZHIHU_STATE, "initialState.entities", {}))).signal == "unknown"
    assert read("zhihu", zhihu_page({"initialState": {}})).signal == "unknown"


def test_comments_are_read_with_province_parents_and_previews() -> None:
    page = read("zhihu", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset=""))
    assert (page.endpoint, page.signal, page.total) == ("zhihu.comment_v5.root", "ok", 24)
    assert page.next == {"offset": "5_11459633608_0"}
    root, reply = page.mentions  # the deleted one is no mention
    assert (root.kind, root.native_id, root.parent_native) == ("comment", "10447279921", "answer:3190000001")
    assert (root.text, root.region, root.likes, root.replies) == ("漏水怎么办\n急", "山东", 9, 2)
    assert (root.author_id, root.verified) == ("c3", "")
    assert [m.url for m in root.media] == ["https://pic4.zhimg.com/c.jpg"]
    assert (reply.parent_native, reply.text, reply.verified) == ("comment:10447279921", "联系客服[捂脸]", "暖屹")


def test_the_last_page_of_comments_has_a_next_that_is_not_followed() -> None:
    end = changed(ZHIHU_COMMENTS, "paging.is_end", True)
    assert read("zhihu", end, ZHIHU_COMMENTS_URL.format(offset="")).next is None
    looping = read("zhihu", ZHIHU_COMMENTS, ZHIHU_COMMENTS_URL.format(offset="5_11459633608_0"))
    assert looping.next is None


def test_replies_hang_under_their_root_or_the_replied_comment() -> None:
    reply = ZHIHU_COMMENTS["data"][0]["child_comments"][0]
    body = changed(ZHIHU_COMMENTS, "data", [reply, reply | {"id": "10447279923", "reply_comment_id": "10447279922"}])
    page = read("zhihu", body, CHILD_URL)
    assert page.endpoint == "zhihu.comment_v5.child"
    assert [m.parent_native for m in page.mentions] == ["comment:10447279921", "comment:10447279922"]


@pytest.mark.parametrize(
    ("subject", "parent", "url"),
    [
        ("articles/7", "article:7", "https://zhuanlan.zhihu.com/p/7"),
        ("questions/7", "question:7", "https://www.zhihu.com/question/7"),
        ("zvideos/7", "video:7", "https://www.zhihu.com/zvideo/7"),
        ("pins/7", "post:7", "https://www.zhihu.com/pin/7"),
    ],
)
def test_the_address_says_what_comments_are_about(subject: str, parent: str, url: str) -> None:
    page = read("zhihu", ZHIHU_COMMENTS, f"https://www.zhihu.com/api/v4/comment_v5/{subject}/root_comment?offset=")
    assert (page.mentions[0].parent_native, page.mentions[0].url) == (parent, url)


def test_older_comments_are_read_too() -> None:
    record = {
        "id": 12, "type": "comment", "content": "<p>好</p>", "created_time": 1676538180, "vote_count": 3,
        "author": {"role": "normal", "member": {"id": "m1", "name": "甲", "is_org": False}},
        "address_text": "IP 属地广东",
    }  # fmt: skip
    body = {"data": [record], "paging": {"is_end": True}, "common_counts": 1}
    page = read("zhihu", body, "https://www.zhihu.com/api/v4/answers/9/root_comments?limit=20&offset=0")
    (comment,) = page.mentions
    assert (comment.author_id, comment.region, comment.likes, comment.parent_native) == ("m1", "广东", 3, "answer:9")


@pytest.mark.parametrize(
    ("counts", "is_end", "offset", "signal", "goes_on"),
    [
        (0, True, "", "empty", False),
        (0, False, "", "empty", False),
        (24, True, "5_1_0", "empty", False),
        (24, False, "", "unknown", False),
        (24, False, "5_1_0", "ok", True),
    ],
)
def test_no_comments_are_judged_by_counts_and_paging(
    counts: int, is_end: bool, offset: str, signal: str, goes_on: bool
) -> None:
    body = changed(changed(ZHIHU_COMMENTS, "data", []), "counts.total_counts", counts)
    page = read("zhihu", changed(body, "paging.is_end", is_end), ZHIHU_COMMENTS_URL.format(offset=offset))
    assert (page.signal, page.next is not None, page.mentions) == (signal, goes_on, ())


def test_site_search_keeps_content_and_skips_the_rest() -> None:
    page = read("zhihu", ZHIHU_SEARCH, SEARCH_URL.format(offset=0))
    assert (page.endpoint, page.signal, page.next) == ("zhihu.search_v3", "ok", {"offset": "20"})
    answer, article, video = page.mentions
    assert (answer.kind, answer.title, answer.text, answer.partial) == (
        "answer",
        "暖屹暖气片怎么样？",
        "用了三年暖气片",
        False,
    )
    assert answer.url == "https://www.zhihu.com/question/510000001/answer/3190000001"
    assert (article.kind, article.title, article.text, article.partial) == ("article", "暖气片", "看水质", True)
    assert (video.kind, video.url) == ("video", "https://www.zhihu.com/zvideo/160000001")
    empty = read("zhihu", changed(ZHIHU_SEARCH, "data", []), SEARCH_URL.format(offset=20))
    assert (empty.signal, empty.next) == ("empty", None)


def test_official_search_takes_ids_from_addresses() -> None:
    page = read("zhihu", ZHIHU_OFFICIAL)
    assert (page.endpoint, page.signal, page.next) == ("zhihu.openapi.search", "ok", None)
    answer, article = page.mentions
    assert (answer.kind, answer.native_id, answer.parent_native) == ("answer", "3190000001", "question:510000001")
    assert answer.url == "https://www.zhihu.com/question/510000001/answer/3190000001"
    assert (answer.title, answer.text) == ("暖屹暖气片怎么样？", "用了三年，暖气片不漏")
    # A name is no id: the same person has another key where the platform gives the id.
    assert (answer.author_id, article.author_id, answer.likes) == (None, None, 9)
    assert (article.kind, article.native_id) == ("article", "700000001")
    # The time is the last edit's: written by then, perhaps years before; and the text is a piece of the whole.
    assert (answer.created_at, answer.created_precision) == (datetime(2023, 2, 16, 9, 3, tzinfo=UTC), "month")
    assert answer.edited_at == answer.created_at
    assert answer.excerpt
    broken = read("zhihu", changed(ZHIHU_OFFICIAL, "Data.Items.0.Url", "https://www.zhihu.com/unheard-of/x"))
    assert [p.path for p in broken.problems] == ["Data.Items[0].Url"]
    none = read("zhihu", {"Code": 0, "Data": {"HasMore": False, "EmptyReason": "no hit", "Items": []}})
    assert (none.signal, none.reason) == ("empty", "no hit")


@pytest.mark.parametrize("place", ["people/lao-li", "tardis/zm/ans/3190000001", "topic/19550000/hot"])
def test_official_hits_that_are_no_texts_are_counted_as_other(place: str) -> None:
    page = read("zhihu", changed(ZHIHU_OFFICIAL, "Data.Items.0.Url", f"https://www.zhihu.com/{place}"))
    assert ([m.kind for m in page.mentions], page.problems, dict(page.counts)) == (["article"], (), {"other": 1})


@pytest.mark.parametrize("time", [0, None, ""])
def test_an_official_hit_without_a_time_is_undated(time: Any) -> None:
    page = read("zhihu", changed(ZHIHU_OFFICIAL, "Data.Items.0.EditTime", time))
    assert ([m.created_at is None for m in page.mentions], page.problems) == ([True, False], ())
    assert page.mentions[0].edited_at is None


def _error(**fields: Any) -> dict[str, Any]:
    return {"error": fields}


LOGIN, VERIFY, BLOCK = "login_required", "verification", "blocked"
UNHUMAN = "https://www.zhihu.com/account/unhuman?type=S6E3V1&need_login=true"


@pytest.mark.parametrize(
    ("body", "status", "signal"),
    [
        (_error(code=40352, need_login=True, redirect=UNHUMAN, message="系统监测到您的网络环境存在异常"), 403, VERIFY),
        (_error(code=40352, need_login=True, redirect=UNHUMAN), 200, VERIFY),
        (_error(need_login=True, redirect=UNHUMAN), 403, VERIFY),
        (_error(code=40362, message="您当前请求存在异常，暂时限制本次访问"), 403, BLOCK),
        (_error(code=10003, message="请求参数异常，请升级客户端后重试。"), 400, BLOCK),
        (_error(code=10003, message="请求参数异常，请升级客户端后重试。"), 403, BLOCK),
        (_error(code=100, need_login=True), 401, LOGIN),
        (_error(need_login=True), 403, LOGIN),
        (_error(code=4041, message="资源不存在"), 404, "gone"),
        (_error(code=1, message="?"), 200, "unknown"),
        (b"", 401, LOGIN),
        (b"", 403, BLOCK),
        (b"", 404, "gone"),
        (b"", 429, "throttled"),
        (b"", 200, "unknown"),
        ("<html><head><title>安全验证 - 知乎</title></head></html>", 200, VERIFY),
        ("<html><a href='/signin?next=x'>登录</a></html>", 200, LOGIN),
        (b"<html></html>", 200, "unknown"),
        ({"Code": 20001, "Message": "auth"}, 200, LOGIN),
        ({"Code": 30001, "Message": "rate"}, 200, "throttled"),
        ({"Code": 10001, "Message": "bad"}, 200, "unknown"),
        ({"Code": 90001, "Message": "internal"}, 200, "unknown"),
        ({"data": [{"type": "unheard_of"}], "paging": {"is_end": True}}, 200, "unknown"),
        ({}, 200, "unknown"),
    ],
)
def test_every_documented_refusal_is_told_apart(body: Any, status: int, signal: str) -> None:
    page = read("zhihu", body, status=status)
    assert (page.signal, page.mentions, page.next) == (signal, (), None)
    assert page.reason


@pytest.mark.parametrize(
    ("final_url", "signal"),
    [(UNHUMAN, VERIFY), ("https://www.zhihu.com/signin?next=%2Fsearch", LOGIN)],
)
def test_redirects_tell(final_url: str, signal: str) -> None:
    assert read("zhihu", zhihu_page(ZHIHU_STATE), final_url=final_url).signal == signal
    assert read("zhihu", b"", status=302, headers={"location": final_url}).signal == signal


def test_the_word_captcha_in_a_healthy_state_is_no_signal() -> None:
    assert "captcha" in ZHIHU_STATE
    assert read("zhihu", zhihu_page(ZHIHU_STATE)).signal == "ok"
