"""Douyin: every answer as one would want it read, its oddities, and every way in which it says stop."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.crawlers.payloads import changed, read
from tests.crawlers.payloads.douyin import (
    AWEME_ID,
    DOUYIN_AWEME,
    DOUYIN_COMMENTS,
    DOUYIN_COMMENTS_URL,
    DOUYIN_SEARCH,
    DOUYIN_SEARCH_URL,
)

DETAIL_URL = f"https://www.douyin.com/aweme/v1/web/aweme/detail/?aweme_id={AWEME_ID}"
REPLY_URL = f"https://www.douyin.com/aweme/v1/web/comment/list/reply/?item_id={AWEME_ID}&comment_id=7603286382429717300&cursor=0"


def test_search_gives_videos_and_picture_posts_and_skips_other_cards() -> None:
    page = read("douyin", DOUYIN_SEARCH, DOUYIN_SEARCH_URL.format(offset=0))
    assert (page.endpoint, page.signal) == ("douyin.search", "ok")
    assert page.next == {"offset": "20", "search_id": "20260105090000ABCDEF"}
    video, pictures = page.mentions
    assert (video.kind, video.native_id, video.text) == ("video", AWEME_ID, "暖气片安装翻车现场 #暖气片 [呲牙]")
    assert video.created_at == datetime(2025, 12, 17, 10, 18, 26, tzinfo=UTC)
    assert (video.likes, video.replies, video.shares, video.views) == (2816, 1046, 2298, None)
    assert (video.author_id, video.verified, video.partial) == ("MS4wLjABAAAA", "暖屹散热器官方账号", False)
    assert video.url == f"https://www.douyin.com/video/{AWEME_ID}"
    assert [(m.type, m.url) for m in video.media] == [("video", "https://v26-web.douyinvod.com/x.mp4")]
    assert (pictures.url, pictures.views) == ("https://www.douyin.com/note/7603286382429717283", 900)
    assert (pictures.author_id, pictures.verified) == ("99", "")
    assert [(m.type, m.url) for m in pictures.media] == [("image", "https://p3.douyinpic.com/1.jpeg")]


@pytest.mark.parametrize(
    ("has_more", "cursor", "following"),
    [(1, 20, {"offset": "20", "search_id": "20260105090000ABCDEF"}), (0, 20, None), (1, 0, None), (1, None, None)],
)
def test_search_goes_on_at_the_cursor(has_more: int, cursor: Any, following: Any) -> None:
    body = changed(changed(DOUYIN_SEARCH, "has_more", has_more), "cursor", cursor)
    assert read("douyin", body, DOUYIN_SEARCH_URL.format(offset=0)).next == following


def test_the_video_tab_the_wrapped_app_form_and_the_stream_are_the_same_search() -> None:
    tab = {"status_code": 0, "data": [DOUYIN_AWEME], "has_more": 0, "cursor": 10}
    wrapped = {"code": 200, "router": "/x", "data": DOUYIN_SEARCH}
    business = {"code": 200, "data": {"business_data": [{"type": 1, "data": {"type": 1, "aweme_info": DOUYIN_AWEME}}]}}
    for body in (tab, wrapped, business):
        page = read("douyin", body)
        assert (page.endpoint, page.signal, page.mentions[0].native_id) == ("douyin.search", "ok", AWEME_ID)
    first = json.dumps(
        {"status_code": 0, "data": [{"type": 1, "aweme_info": DOUYIN_AWEME}], "has_more": 1, "cursor": 1}
    )
    second = json.dumps(changed(DOUYIN_SEARCH, "data", DOUYIN_SEARCH["data"][2:]))
    stream = f"{len(first):x}\r\n{first}\r\n{len(second):x}\r\n{second}\r\n0\r\n\r\n"
    page = read("douyin", stream, DOUYIN_SEARCH_URL.replace("single", "stream").format(offset=0))
    assert [m.native_id for m in page.mentions] == [AWEME_ID, "7603286382429717283"]
    assert page.next is not None
    assert page.next["offset"] == "20"
    cut = read("douyin", stream[: len(first) + 40])
    assert [m.native_id for m in cut.mentions] == [AWEME_ID]


def test_a_verification_in_one_piece_of_a_stream_stops() -> None:
    stream = json.dumps({"status_code": 0, "data": [], "search_nil_info": {"search_nil_type": "verify_check"}})
    assert read("douyin", stream + "\n" + json.dumps({"status_code": 0, "data": []})).signal == "verification"


def test_an_honest_empty_search_is_empty() -> None:
    for nil in ({}, {"search_nil_info": {"search_nil_type": "hit_shark"}}):
        body = {"status_code": 0, "data": [], "has_more": 0, "cursor": 0, **nil}
        assert read("douyin", body, DOUYIN_SEARCH_URL.format(offset=0)).signal == "empty"
    assert read("douyin", {"status_code": 0, "data": None}, DOUYIN_SEARCH_URL.format(offset=0)).signal == "unknown"


@pytest.mark.parametrize(
    ("path", "value", "broke"),
    [
        ("data.0.aweme_info.aweme_id", 7.603286382429717e18, "data[0].aweme_info.aweme_id"),
        ("data.0.aweme_info.create_time", ..., "data[0].aweme_info.create_time"),
        ("data.0.aweme_info", ..., "data[0].aweme_info"),
        ("data.0", None, "data[0]"),
    ],
)
def test_a_broken_video_is_named_and_its_neighbour_stays(path: str, value: Any, broke: str) -> None:
    page = read("douyin", changed(DOUYIN_SEARCH, path, value))
    assert ([m.native_id for m in page.mentions], [p.path for p in page.problems]) == (["7603286382429717283"], [broke])


def test_ids_given_as_numbers_keep_all_their_digits() -> None:
    body = changed(DOUYIN_SEARCH, "data.0.aweme_info.aweme_id", int(AWEME_ID))
    assert read("douyin", body).mentions[0].native_id == AWEME_ID


def test_a_video_is_read_by_its_detail_and_gone_when_null() -> None:
    page = read("douyin", {"status_code": 0, "aweme_detail": DOUYIN_AWEME}, DETAIL_URL)
    assert (page.endpoint, page.signal, page.mentions[0].native_id) == ("douyin.aweme.detail", "ok", AWEME_ID)
    gone = read("douyin", {"status_code": 0, "aweme_detail": None, "filter_detail": {}}, DETAIL_URL)
    assert (gone.signal, gone.mentions) == ("gone", ())
    assert read("douyin", {"status_code": 0}, DETAIL_URL).signal == "unknown"


def render_data(state: Any) -> str:
    return (
        "<html><head><title>抖音</title></head><body>"
        f'<script id="RENDER_DATA" type="application/json">{quote(json.dumps(state))}</script></body></html>'
    )


def test_a_videos_page_holds_the_video_among_recommended_ones() -> None:
    detail = {
        "awemeId": AWEME_ID, "desc": "翻车现场", "createTime": 1765966706,
        "authorInfo": {"uid": "98", "secUid": "MS4w", "nickname": "老李"},
        "stats": {"diggCount": 5, "commentCount": 6, "shareCount": 7, "playCount": 0},
        "video": {"playAddr": [{"src": "//v26-web.douyinvod.com/x.mp4"}]},
    }  # fmt: skip
    state = {
        "_location": "/video/1",
        "app": {"odin": {"user_id": "viewer"}},
        "41": {"recommend": [{"awemeId": "1", "desc": "别的"}], "aweme": {"detail": detail}},
    }
    page = read("douyin", render_data(state), f"https://www.douyin.com/video/{AWEME_ID}")
    (video,) = page.mentions
    assert (page.endpoint, video.native_id, video.likes, video.author_id) == ("douyin.video.page", AWEME_ID, 5, "MS4w")
    assert video.media[0].url == "https://v26-web.douyinvod.com/x.mp4"
    gone = read("douyin", render_data({"app": {}, "41": {"aweme": {"detail": None}}}))
    assert gone.signal == "gone"
    assert read("douyin", render_data({"app": {}})).signal == "unknown"


def test_comments_and_previewed_replies_are_mentions() -> None:
    page = read("douyin", DOUYIN_COMMENTS, DOUYIN_COMMENTS_URL.format(cursor=0))
    assert (page.endpoint, page.signal, page.total, page.next) == ("douyin.comment.list", "ok", 1046, {"cursor": "20"})
    root, reply = page.mentions
    assert (root.kind, root.native_id, root.parent_native) == ("comment", "7603286382429717300", f"video:{AWEME_ID}")
    assert (root.text, root.region, root.likes, root.replies) == ("我家也是，客服推来推去", "河南", 42, 3)
    assert (root.author_id, root.created_at) == ("MS4wB", datetime(2026, 1, 1, 14, 34, 24, tzinfo=UTC))
    assert (reply.parent_native, reply.text, reply.region) == ("comment:7603286382429717300", "", None)
    assert reply.media[0].url.startswith("https://p3-sign.douyinpic.com/")


def test_a_reply_to_a_reply_hangs_under_the_reply() -> None:
    body = changed(DOUYIN_COMMENTS, "comments", DOUYIN_COMMENTS["comments"][0]["reply_comment"])
    body["comments"][0]["reply_to_reply_id"] = "7603286382429717299"
    page = read("douyin", body, REPLY_URL)
    assert page.endpoint == "douyin.comment.list.reply"
    assert page.mentions[0].parent_native == "comment:7603286382429717299"


@pytest.mark.parametrize(
    ("url", "body", "signal"),
    [
        (DOUYIN_COMMENTS_URL.format(cursor=0), {"comments": None, "total": 0}, "empty"),
        (DOUYIN_COMMENTS_URL.format(cursor=0), {"comments": [], "total": 0}, "empty"),
        (DOUYIN_COMMENTS_URL.format(cursor=40), {"comments": None, "total": 44}, "empty"),
        (DOUYIN_COMMENTS_URL.format(cursor=0), {"comments": None, "total": 44}, "unknown"),
        (None, {"comments": None}, "empty"),
        (DOUYIN_COMMENTS_URL.format(cursor=0), {"total": 0}, "unknown"),
        (REPLY_URL, {"comments": None, "total": 3}, "gone"),
        (REPLY_URL, {"comments": None, "total": 0}, "empty"),
    ],
)
def test_null_comments_mean_what_the_total_says(url: str | None, body: dict[str, Any], signal: str) -> None:
    page = read("douyin", {"status_code": 0, "has_more": 0, "cursor": 0} | body, url)
    assert (page.signal, page.next) == (signal, None)


def test_the_open_platform_is_read_as_far_as_it_is_known() -> None:
    rows = [
        {
            "comment_id": "@9VwB/x+1==",
            "comment_user_id": "u-1",
            "content": "漏水",
            "create_time": 1767278064,
            "digg_count": 1,
        },
        {"comment_id": "@9VwB/x+2==", "comment_user_id": "u-2", "content": "同"},
        {"comment_user_id": "u-3", "content": "没有编号"},
    ]
    body = {
        "data": {"error_code": 0, "description": "", "cursor": 20, "has_more": True, "list": rows},
        "extra": {"error_code": 0},
    }
    url = "https://open.douyin.com/item/comment/list/?open_id=o&item_id=%409Vw%2Fi%3D%3D&cursor=0&count=20"
    page = read("douyin", body, url)
    assert (page.endpoint, page.next) == ("douyin.open.item.comment.list", {"cursor": "20"})
    first, second = page.mentions
    assert (first.native_id, first.parent_native, first.author_id) == ("@9VwB/x+1==", "video:@9Vw/i==", "u-1")
    assert (second.created_at, second.created_precision) == (None, "day")
    assert [p.path for p in page.problems] == ["data.list[2].comment_id"]


def _open(code: int, text: str) -> dict[str, Any]:
    return {"data": {"error_code": code, "description": text}, "extra": {"error_code": code}}


LOGIN, VERIFY, BLOCK = "login_required", "verification", "blocked"


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        (b"", BLOCK),
        (b"blocked", BLOCK),
        (b'"blocked"', BLOCK),
        (b"Uifid Not Found", BLOCK),
        ({"status_code": 8, "status_msg": "用户未登录"}, LOGIN),
        ({"status_code": 2483, "status_msg": "请先登录", "comments": None}, LOGIN),
        ({"status_code": "8"}, LOGIN),
        ({"code": 200, "data": {"status_code": 8}}, LOGIN),
        ({"status_code": 0, "data": [], "search_nil_info": {"search_nil_type": "verify_check"}}, VERIFY),
        ({"status_code": 0, "data": [], "search_nil_info": {"search_nil_type": "x", "result_status": 5}}, VERIFY),
        ({"status_code": 0, "data": [], "search_nil_info": {"verify_type": 1}}, VERIFY),
        ({"status_code": 0, "data": [], "log_pb": {"stab_extra": {"NilInfoContext": '{"t":"verify_check"}'}}}, VERIFY),
        (
            {
                "code": 200,
                "data": {"status_code": 0, "data": [], "search_nil_info": {"search_nil_type": "verify_check"}},
            },
            VERIFY,
        ),
        (b"<html><script>var __ac_nonce='1'</script></html>", VERIFY),
        (b"<html><script>window._$jsvmprt=1</script></html>", VERIFY),
        ("<html><head><title>验证码中间页</title></head></html>", VERIFY),
        (b"<html></html>", "unknown"),
        ({"status_code": 5, "comments": None}, "unknown"),
        ({}, "unknown"),
        (_open(2190008, "access_token过期,请刷新或重新授权"), LOGIN),
        (_open(2100009, "调用频率超限"), "throttled"),
        (_open(2100004, "系统繁忙"), "unknown"),
    ],
)
def test_every_documented_refusal_is_told_apart(body: Any, signal: str) -> None:
    page = read("douyin", body)
    assert (page.signal, page.mentions, page.next) == (signal, (), None)
    assert page.reason


@pytest.mark.parametrize(
    ("rest", "signal"),
    [
        ({"headers": {"x-vc-bdturing-parameters": "eyJzdWJ0eXBlIjoic2xpZGUifQ=="}}, VERIFY),
        ({"headers": {"x-tt-verify-passport-decision": "x"}}, VERIFY),
        ({"status": 403}, BLOCK),
        ({"status": 429}, "throttled"),
        ({"final_url": "https://sso.douyin.com/login"}, LOGIN),
    ],
)
def test_headers_and_status_stop_a_body_that_says_success(rest: dict[str, Any], signal: str) -> None:
    assert read("douyin", DOUYIN_SEARCH, DOUYIN_SEARCH_URL.format(offset=0), **rest).signal == signal
