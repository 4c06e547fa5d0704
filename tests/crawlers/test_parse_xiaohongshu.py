"""Xiaohongshu: every answer as one would want it read, its oddities, and every way in which it says stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.crawlers.payloads import changed, read
from tests.crawlers.payloads.xiaohongshu import (
    COMMENT_ID,
    NOTE_ID,
    XHS_APP_COMMENTS,
    XHS_APP_SEARCH,
    XHS_COMMENTS,
    XHS_COMMENTS_URL,
    XHS_FEED,
    XHS_NO_NOTE,
    XHS_SEARCH,
    XHS_SEARCH_URL,
    XHS_STATE,
    xhs_page,
)

SUCCESS_WITHOUT_DATA = '{"code":0,"success":true,"msg":"成功","data":{}}'


def test_search_hits_are_stubs_dated_by_their_id() -> None:
    page = read("xiaohongshu", XHS_SEARCH, XHS_SEARCH_URL, request_body=b'{"keyword":"x","page":2,"page_size":20}')
    assert (page.endpoint, page.signal, page.next) == ("xiaohongshu.search.notes", "ok", {"page": "3"})
    titled, untitled = page.mentions
    assert (titled.kind, titled.native_id, titled.title, titled.text) == ("post", NOTE_ID, "暖屹暖气片避雷", "")
    assert titled.created_at == datetime(2024, 6, 12, 9, 51, 20, tzinfo=UTC)
    assert (titled.partial, titled.lead) == (True, {"xsec_token": "ABtoken="})
    assert (titled.likes, titled.replies, titled.approximate) == (15000, 23, True)
    assert titled.url == f"https://www.xiaohongshu.com/explore/{NOTE_ID}"
    assert (untitled.title, untitled.kind, untitled.approximate) == (None, "post", False)


def test_search_ends_when_there_is_no_more() -> None:
    body = changed(XHS_SEARCH, "data.has_more", False)
    assert read("xiaohongshu", body, XHS_SEARCH_URL, request_body=b'{"page":2}').next is None
    assert read("xiaohongshu", changed(body, "data.items", [])).signal == "empty"
    assert read("xiaohongshu", changed(body, "data.items", None)).signal == "empty"
    assert read("xiaohongshu", changed(body, "data.items", ...), XHS_SEARCH_URL).signal == "unknown"


def test_a_page_of_suggestions_in_the_middle_of_a_search_goes_on() -> None:
    body = changed(XHS_SEARCH, "data.items", [XHS_SEARCH["data"]["items"][1]])
    page = read("xiaohongshu", body, XHS_SEARCH_URL, request_body=b'{"page":2}')
    assert (page.signal, page.mentions, page.next) == ("ok", (), {"page": "3"})


def test_a_stub_whose_id_holds_no_time_is_a_problem() -> None:
    page = read("xiaohongshu", changed(XHS_SEARCH, "data.items.0.id", "zz"))
    assert [p.path for p in page.problems] == ["data.items[0].id"]
    assert len(page.mentions) == 1


def test_a_note_is_read_in_full() -> None:
    page = read("xiaohongshu", XHS_FEED, "https://edith.xiaohongshu.com/api/sns/web/v1/feed")
    assert (page.endpoint, page.signal, page.next) == ("xiaohongshu.feed", "ok", None)
    (note,) = page.mentions
    assert (note.kind, note.native_id, note.partial, note.lead) == ("post", NOTE_ID, False, {})
    assert (note.title, note.text) == ("暖气片漏水", "昨晚泡了地板[哭惹] #暖气片 #装修避雷")
    assert (note.created_at, note.created_precision) == (datetime(2024, 6, 12, 9, 51, 20, tzinfo=UTC), "second")
    assert (note.author_id, note.region) == ("5f00aa", "广东")
    assert (note.likes, note.replies, note.shares, note.views, note.approximate) == (3703, 11000, 7, None, True)
    assert [(m.type, m.url) for m in note.media] == [
        ("image", "https://sns-webpic-qc.xhscdn.com/1.jpg"),
        ("image", "https://sns-webpic-qc.xhscdn.com/2.jpg"),
        ("video", "https://sns-video.xhscdn.com/v.mp4"),
    ]
    assert "token" not in (note.url or "")


def test_a_feed_without_a_note_is_not_an_empty_search() -> None:
    page = read("xiaohongshu", changed(XHS_FEED, "data.items", []), "https://edith.xiaohongshu.com/api/sns/web/v1/feed")
    assert (page.endpoint, page.signal) == ("xiaohongshu.feed", "unknown")


def test_the_state_of_a_note_page_is_the_same_note() -> None:
    page = read("xiaohongshu", xhs_page(XHS_STATE), f"https://www.xiaohongshu.com/explore/{NOTE_ID}?xsec_token=T")
    assert (page.endpoint, page.signal) == ("xiaohongshu.note.page", "ok")
    note, comment = page.mentions
    assert (note.native_id, note.title, note.text) == (NOTE_ID, "暖气片漏水", "昨晚/泡了地板")
    assert (note.likes, note.replies, note.region, note.author_id) == (15000, 23, "广东", "5f00aa")
    assert note.media[0].url == "https://sns-webpic-qc.xhscdn.com/1.jpg"
    assert (comment.native_id, comment.parent_native) == (COMMENT_ID, f"post:{NOTE_ID}")
    assert comment.text == "没暖气的undefined冬天"
    assert "viewer" not in repr(page)


def test_a_page_without_its_note_says_gone_and_a_page_without_the_map_is_a_wall() -> None:
    assert read("xiaohongshu", xhs_page(XHS_NO_NOTE)).signal == "gone"
    assert read("xiaohongshu", xhs_page('{"user":{"loggedIn":false},"note":{}}')).signal == "login_required"
    assert read("xiaohongshu", xhs_page('{"note":{"noteDetailMap":{}}}')).signal == "unknown"
    refused = '{"note":{"noteDetailMap":{},"serverRequestInfo":{"state":"fail","errorCode":-510001,"errMsg":"x"}}}'
    assert read("xiaohongshu", xhs_page(refused)).signal == "gone"


def test_comments_and_their_previews_hang_under_note_and_comment() -> None:
    page = read("xiaohongshu", XHS_COMMENTS, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor=""))
    assert (page.endpoint, page.signal) == ("xiaohongshu.comment.page", "ok")
    assert page.next == {"cursor": "66972000000000001f00bb01"}
    root, reply, picture = page.mentions
    assert (root.kind, root.native_id, root.parent_native) == ("comment", COMMENT_ID, f"post:{NOTE_ID}")
    assert (root.text, root.likes, root.replies, root.region) == ("同款也漏[偷笑]", 17, 8, "江西")
    assert root.created_at == datetime(2024, 7, 17, 1, 13, 48, tzinfo=UTC)
    assert (reply.parent_native, reply.author_id, reply.region) == (f"comment:{COMMENT_ID}", "5f00aa", None)
    assert (picture.text, picture.empty_text, picture.media[0].type) == ("", False, "image")
    assert "viewer" not in repr(page)


def test_a_short_page_of_replies_is_not_the_end() -> None:
    replies = XHS_COMMENTS["data"]["comments"][0]["sub_comments"]
    body = changed(XHS_COMMENTS, "data.comments", replies)
    url = f"https://edith.xiaohongshu.com/api/sns/web/v2/comment/sub/page?note_id={NOTE_ID}&root_comment_id={COMMENT_ID}&num=10&cursor=c"
    page = read("xiaohongshu", body, url)
    assert (page.endpoint, page.next) == ("xiaohongshu.comment.sub.page", {"cursor": "66972000000000001f00bb01"})
    assert page.mentions[0].parent_native == f"comment:{COMMENT_ID}"
    untargeted = changed(body, "data.comments.0.target_comment", ...)
    assert read("xiaohongshu", untargeted, url).mentions[0].parent_native == f"comment:{COMMENT_ID}"


@pytest.mark.parametrize(
    ("has_more", "cursor", "asked", "following"),
    [
        (True, "c2", "c1", {"cursor": "c2"}),
        (True, "c1", "c1", None),  # would turn in a circle
        (True, "", "c1", None),
        (False, "c2", "c1", None),
    ],
)
def test_paging_stops_at_the_end_and_where_it_would_loop(
    has_more: bool, cursor: str, asked: str, following: dict[str, str] | None
) -> None:
    body = changed(changed(XHS_COMMENTS, "data.has_more", has_more), "data.cursor", cursor)
    assert read("xiaohongshu", body, XHS_COMMENTS_URL.format(note=NOTE_ID, cursor=asked)).next == following


@pytest.mark.parametrize("comments", [[], None])
def test_no_comments_are_empty(comments: Any) -> None:
    body = changed(changed(XHS_COMMENTS, "data.comments", comments), "data.has_more", False)
    assert read("xiaohongshu", body).signal == "empty"


@pytest.mark.parametrize(
    ("path", "value", "broke"),
    [
        ("data.comments.0.id", ..., "data.comments[0].id"),
        ("data.comments.0.create_time", "soon", "data.comments[0].create_time"),
        ("data.comments.0.create_time", 99, "data.comments[0].create_time"),
        ("data.comments.0.sub_comments.0.create_time", ..., "data.comments[0].sub_comments[0].create_time"),
    ],
)
def test_a_broken_comment_is_named_and_its_neighbours_stay(path: str, value: Any, broke: str) -> None:
    page = read("xiaohongshu", changed(XHS_COMMENTS, path, value))
    assert (len(page.mentions), [p.path for p in page.problems]) == (2, [broke])


def test_the_apps_comments_are_read_with_their_own_units() -> None:
    page = read("xiaohongshu", XHS_APP_COMMENTS)
    assert (page.endpoint, page.signal, page.total) == ("xiaohongshu.app.comments", "ok", 31)
    assert page.next == {"cursor": '{"cursor":"abc","index":2,"pageArea":"UNFOLDED"}'}
    root, reply = page.mentions
    assert (root.created_at, root.likes, root.author_id, root.region) == (
        datetime(2024, 7, 17, 1, 13, 48, tzinfo=UTC),
        5,
        "60ff01",
        "山东",
    )
    assert (reply.parent_native, reply.url) == (
        f"comment:{COMMENT_ID}",
        f"https://www.xiaohongshu.com/explore/{NOTE_ID}",
    )
    assert "viewer" not in repr(page)


def test_the_apps_search_is_read_with_its_own_units() -> None:
    page = read("xiaohongshu", XHS_APP_SEARCH)
    (note,) = page.mentions
    assert (page.endpoint, page.next, note.native_id, note.partial) == ("xiaohongshu.app.search", None, NOTE_ID, False)
    assert (note.title, note.text, note.likes, note.replies) == ("暖屹散热器测评", "升温快 #暖气片", 45, 3)
    assert note.created_at == datetime(2024, 6, 12, 9, 51, 20, tzinfo=UTC)


def test_lists_of_notes_are_stubs_too() -> None:
    record = {
        "note_id": NOTE_ID, "display_title": "开箱", "type": "normal", "xsec_token": "T", "user": {"user_id": "5f00aa"},
        "interact_info": {"liked_count": "9"},
    }  # fmt: skip
    body = {"code": 0, "success": True, "data": {"notes": [record], "cursor": "n2", "has_more": True}}
    page = read("xiaohongshu", body, "https://edith.xiaohongshu.com/api/sns/web/v1/user_posted?num=30&cursor=")
    assert (page.endpoint, page.next) == ("xiaohongshu.user.posted", {"cursor": "n2"})
    assert (page.mentions[0].partial, page.mentions[0].lead, page.mentions[0].likes) == (True, {"xsec_token": "T"}, 9)
    state = f'{{"user":{{"notes":[[{{"id":"{NOTE_ID}","xsecToken":"T","noteCard":{{"displayTitle":"开箱"}}}}],[]]}}}}'
    page = read("xiaohongshu", xhs_page(state))
    assert (page.endpoint, page.mentions[0].title, page.mentions[0].lead) == (
        "xiaohongshu.list.page",
        "开箱",
        {"xsec_token": "T"},
    )


def _refused(code: Any, msg: str) -> dict[str, Any]:
    return {"code": code, "success": False, "msg": msg, "data": {}}


@pytest.mark.parametrize(
    ("code", "signal"),
    [
        (-100, "login_required"),
        (-101, "login_required"),
        (-104, "login_required"),
        (300011, "blocked"),
        (300012, "blocked"),
        (300013, "throttled"),
        (300015, "verification"),
        (-510000, "gone"),
        (-510001, "gone"),
        (-1, "unknown"),
    ],
)
def test_every_documented_code_is_told_apart_as_number_and_as_text(code: int, signal: str) -> None:
    for form in (code, str(code)):
        page = read("xiaohongshu", _refused(form, "笔记状态异常"), XHS_SEARCH_URL)
        assert (page.signal, page.mentions) == (signal, ())
    wrapped = read("xiaohongshu", {"code": 200, "data": _refused(code, "x")})
    assert wrapped.signal == signal


@pytest.mark.parametrize(
    ("rest", "signal"),
    [
        ({"status": 461}, "verification"),
        ({"status": 471}, "verification"),
        ({"headers": {"verifytype": "301", "verifyuuid": "u"}}, "verification"),
        ({"status": 401}, "blocked"),
        ({"status": 403}, "blocked"),
        ({"status": 406}, "blocked"),
        ({"status": 429}, "throttled"),
        ({"final_url": "https://www.xiaohongshu.com/login?redirectPath=x"}, "login_required"),
        ({"status": 302, "headers": {"location": "/website-login/captcha?verifyUuid=1"}}, "verification"),
        ({}, "unknown"),
    ],
)
def test_status_comes_before_a_body_that_says_success(rest: dict[str, Any], signal: str) -> None:
    for body in (SUCCESS_WITHOUT_DATA, _refused(-1, "forbidden")):
        page = read("xiaohongshu", body, XHS_SEARCH_URL, **rest)
        assert (page.signal, page.mentions) == (signal, ())


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        (b"", "unknown"),
        (b"create invoker failed", "unknown"),
        (_refused(-1, "create invoker failed"), "unknown"),
        ("<html><head><title>安全验证</title></head></html>", "verification"),
        ("<html><head><title>小红书登录</title></head></html>", "login_required"),
        (b"<html></html>", "unknown"),
        (SUCCESS_WITHOUT_DATA, "unknown"),
    ],
)
def test_anything_else_is_unknown_and_never_empty(body: Any, signal: str) -> None:
    assert read("xiaohongshu", body).signal == signal
