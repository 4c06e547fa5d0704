"""Tmall and Taobao: every answer as one would want it read, its oddities, and every way in which it says stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from tests.crawlers.payloads import changed, jsonp, read
from tests.crawlers.payloads.tmall import MTOP_DETAIL, MTOP_NEW_PC, TMALL_OLD, TMALL_OLD_URL


def mtop_url(api: str, data: str) -> str:
    return f"https://h5api.m.tmall.com/h5/{api}/6.0/?type=jsonp&callback=mtopjsonp2&data={quote(data)}"


def test_an_old_rating_is_read_in_full_from_gbk_jsonp() -> None:
    page = read("tmall", jsonp(TMALL_OLD, callback="jsonp928"), TMALL_OLD_URL.format(page=1))
    assert (page.endpoint, page.signal, page.total) == ("tmall.list_detail_rate", "ok", 1493)
    assert page.next == {"currentPage": "2"}
    rating = page.mentions[0]
    assert (rating.source, rating.kind, rating.native_id) == ("tmall", "review", "1053378826253")
    assert rating.text == "包装好，就是安装收了两百"
    assert (rating.rating, rating.rating_scale, rating.likes) == (None, None, None)
    assert rating.created_at == datetime(2025, 7, 29, 15, 57, 40, tzinfo=UTC)
    assert rating.product is not None
    assert (rating.product.id, rating.product.spec) == ("6100200300", "颜色分类:黑色；规格:K20/10柱")
    assert rating.url == "https://detail.tmall.com/item.htm?id=6100200300"
    assert (rating.author_id, rating.seller_reply) == ("l***0", "亲，很抱歉给您带来不便")
    assert [(a.text, a.created_at) for a in rating.appends] == [
        ("漏水，师傅推诿", datetime(2025, 8, 10, 4, 0, tzinfo=UTC))
    ]
    assert [m.url for m in rating.media] == ["https://img.alicdn.com/a.jpg"]


def test_empty_strings_where_objects_belong_are_nothing() -> None:
    default, plain = read("tmall", TMALL_OLD).mentions[1:]
    assert (default.text, default.empty_text, default.appends, default.media) == ("", True, [], [])
    assert default.seller_reply is None
    assert plain.created_at == datetime(2025, 7, 29, 15, 57, 40, tzinfo=UTC)
    assert (plain.appends, plain.product, plain.author_id) == ([], None, None)


def test_an_append_without_a_time_is_so_many_days_after_the_rating() -> None:
    body = changed(TMALL_OLD, "rateDetail.rateList.0.appendComment.commentTime", "")
    assert read("tmall", body).mentions[0].appends[0].created_at == datetime(2025, 8, 10, 15, 57, 40, tzinfo=UTC)
    unknown = changed(body, "rateDetail.rateList.0.appendComment.days", ...)
    assert read("tmall", unknown).mentions[0].appends[0].created_at is None


def test_the_root_object_may_come_without_its_braces() -> None:
    body = b'"rateDetail":{"rateCount":{"total":0},"rateList":[],"paginator":{"items":0,"page":1,"lastPage":1}}'
    assert (read("tmall", body).endpoint, read("tmall", body).signal) == ("tmall.list_detail_rate", "empty")


@pytest.mark.parametrize(
    ("asked", "page", "last", "rows", "signal", "following"),
    [
        (74, 74, 75, True, "ok", {"currentPage": "75"}),
        (75, 75, 75, True, "ok", None),
        (80, 75, 75, False, "empty", None),  # pulled back past the end
        (80, 75, 75, True, "ok", None),  # the last page once more
        (80, 60, 75, True, "ok", None),
        (3, 3, 75, False, "unknown", None),
    ],
)
def test_the_end_is_where_the_paginator_is_pulled_back(
    asked: int, page: int, last: int, rows: bool, signal: str, following: dict[str, str] | None
) -> None:
    body = changed(TMALL_OLD, "rateDetail.paginator", {"items": 1493, "page": page, "lastPage": last})
    body = body if rows else changed(body, "rateDetail.rateList", [])
    result = read("tmall", body, TMALL_OLD_URL.format(page=asked))
    assert (result.signal, result.next) == (signal, following)


@pytest.mark.parametrize("missing", [None, ..., "", {}])
def test_a_list_that_is_missing_is_unknown(missing: Any) -> None:
    assert read("tmall", changed(TMALL_OLD, "rateDetail.rateList", missing)).signal == "unknown"


@pytest.mark.parametrize(
    ("path", "value", "broke"),
    [
        ("id", ..., "rateDetail.rateList[0].id"),
        ("id", 1.053378826253e12, "rateDetail.rateList[0].id"),
        ("rateDate", "不详", "rateDetail.rateList[0].rateDate"),
    ],
)
def test_a_broken_rating_is_named_and_its_neighbours_stay(path: str, value: Any, broke: str) -> None:
    page = read("tmall", changed(TMALL_OLD, f"rateDetail.rateList.0.{path}", value))
    assert (len(page.mentions), [p.path for p in page.problems]) == (2, [broke])


def test_an_mtop_rating_is_read_in_full() -> None:
    url = mtop_url("mtop.taobao.rate.detaillist.get", '{"auctionNumId":"6100200300","pageNo":2,"pageSize":20}')
    page = read("tmall", jsonp(MTOP_DETAIL, callback="mtopjsonp2", encoding="utf-8"), url)
    assert (page.endpoint, page.signal, page.total) == ("tmall.rate.detaillist.get", "ok", 812)
    assert page.next == {"pageNo": "3"}
    bad, default = page.mentions
    assert (bad.native_id, bad.rating, bad.rating_scale) == ("1217454492091", 1, "3")
    assert (bad.created_at, bad.created_precision) == (datetime(2025, 5, 2, 16, 0, tzinfo=UTC), "day")
    assert bad.product is not None
    assert (bad.product.id, bad.product.name, bad.product.spec) == (
        "6100200300",
        "暖屹钢制散热器 K20",
        "颜色分类:雅白；柱数:10柱",
    )
    assert (bad.likes, bad.approximate, bad.author_id) == (12000, True, "t**4")
    assert (bad.appends[0].text, bad.appends[0].created_at) == ("退了", datetime(2025, 5, 11, 16, 0, tzinfo=UTC))
    assert bad.seller_reply == "亲，请私信\n已退款"
    assert [(m.type, m.url) for m in bad.media] == [
        ("image", "https://img.alicdn.com/p1.jpg"),
        ("video", "https://cloud.video.taobao.com/v.mp4"),
    ]
    assert (default.native_id, default.rating, default.empty_text, default.appends) == ("1217454492092", 5, True, [])


@pytest.mark.parametrize(
    ("stated", "rating", "scale"),
    [("1", 5, "3"), ("0", 3, "3"), ("-1", 1, "3"), (-1, 1, "3"), ("", None, None), ("2", None, None)],
)
def test_good_middle_and_bad_are_five_three_and_one(stated: Any, rating: int | None, scale: str | None) -> None:
    review = read("tmall", changed(MTOP_DETAIL, "data.rateList.0.rateType", stated)).mentions[0]
    assert (review.rating, review.rating_scale) == (rating, scale)


def test_the_older_mtop_list_ends_at_its_total_page() -> None:
    body = changed(changed(MTOP_DETAIL, "data.hasNext", ...), "api", "mtop.wdetail.getitemrates")
    body["data"]["totalPage"] = "2"
    for number, following in (("1", {"pageNo": "2"}), ("2", None)):
        page = read("tmall", body, mtop_url("mtop.wdetail.getitemrates", f'{{"pageNo":"{number}"}}'))
        assert (page.endpoint, page.next) == ("tmall.wdetail.getitemrates", following)


def test_relative_dates_are_counted_from_the_capture_and_say_how_vague_they_are() -> None:
    url = mtop_url("mtop.alibaba.review.list.for.new.pc.detail", '{"itemId":"6100200300","pageNum":1}')
    page = read("tmall", MTOP_NEW_PC, url)
    assert (page.endpoint, page.signal, page.next) == ("tmall.review.list.for.new.pc.detail", "ok", {"pageNum": "2"})
    review = page.mentions[0]
    assert (review.created_at, review.created_precision) == (datetime(2025, 11, 4, 16, 0, tzinfo=UTC), "month")
    assert (review.likes, review.replies, review.views, review.rating) == (3, 1, 129, None)
    assert review.product is not None
    assert (review.product.id, review.product.spec) == ("6100200300", "颜色分类:雅白；规格:K20")
    assert (review.appends[0].text, review.appends[0].created_at) == ("换了阀好了", review.created_at)
    assert (review.seller_reply, review.media[0].url) == ("感谢", "https://img.alicdn.com/r.jpg")


@pytest.mark.parametrize(("number", "signal"), [(1, "unknown"), (9, "empty")])
def test_a_missing_module_is_the_end_only_after_the_first_page(number: int, signal: str) -> None:
    url = mtop_url("mtop.alibaba.review.list.for.new.pc.detail", f'{{"itemId":"1","pageNum":{number}}}')
    assert read("tmall", changed(MTOP_NEW_PC, "data", {}), url).signal == signal


def test_questions_under_an_item_are_read_as_far_as_they_are_known() -> None:
    stubs = {
        "api": "mtop.taobao.social.feed.aggregate",
        "ret": ["SUCCESS::ok"],
        "data": {"list": [[{"id": "88", "title": "费电吗"}]]},
    }
    page = read("tmall", stubs, mtop_url("mtop.taobao.social.feed.aggregate", '{"pageNum":1}'))
    assert (page.signal, page.mentions[0].kind, page.mentions[0].partial) == ("ok", "question", True)
    detail = {
        "ret": ["SUCCESS::ok"],
        "data": {
            "id": 88, "title": "费电吗", "refId": "6100200300", "refTitle": "暖屹 K20",
            "interact": {"likeCount": "2", "viewCount": "1万"},
            "list": {"totalCount": "2", "list": [{"id": "881", "title": "不费"}, {"title": "水暖"}, {"title": ""}]},
        },
    }  # fmt: skip
    page = read("tmall", detail)
    question, first, second = page.mentions
    assert (question.text, question.likes, question.views, question.approximate) == ("费电吗", 2, 10000, True)
    assert (question.created_at, question.created_precision, question.partial) == (None, "day", False)
    assert (first.native_id, first.parent_native, first.kind) == ("881", "question:88", "answer")
    assert str(second.native_id).startswith("88-")
    assert [p.path for p in page.problems] == ["data.list.list[2].id"]


def test_the_open_platform_gives_buyers_reviews_without_order_numbers() -> None:
    rows = [
        {"tid": 123456789012345678, "oid": 123456789012345679, "role": "buyer", "nick": "买家甲", "result": "bad",
         "created": "2025-12-01 10:00:00", "item_title": "暖屹 K20", "num_iid": 6100200300, "content": "掉漆",
         "reply": "给您补发"},
        {"tid": 1, "oid": 2, "role": "seller", "result": "good", "created": "2025-12-01 10:00:00", "content": "好买家"},
    ]  # fmt: skip
    body = {"traderates_get_response": {"trade_rates": {"trade_rate": rows}, "total_results": 41}}
    posted = b"method=taobao.traderates.get&page_no=1&page_size=40"
    page = read("tmall", body, "https://eco.taobao.com/router/rest", request_body=posted)
    assert (page.signal, page.total, page.next) == ("ok", 41, {"page_no": "2"})
    (review,) = page.mentions
    assert (review.rating, review.rating_scale, review.text, review.seller_reply) == (1, "3", "掉漆", "给您补发")
    assert "123456789012345679" not in repr(review)

    info = {
        "user_nick": "甲", "content": "掉漆", "comment_time": "2025-12-01 10:00:00", "append_content": "补了",
        "append_time": "2025-12-09 10:00:00",
    }  # fmt: skip
    feed = {"tmall_traderate_feeds_get_response": {"tmall_rate_info": info}}
    posted = b"method=tmall.traderate.feeds.get&child_trade_id=123456789012345679"
    other = read("tmall", feed, "https://eco.taobao.com/router/rest", request_body=posted).mentions[0]
    assert other.native_id == review.native_id
    assert other.appends[0].text == "补了"
    broken = read("tmall", feed)
    assert (broken.signal, broken.problems[0].path) == ("unknown", "request.child_trade_id")


def test_an_empty_window_of_the_open_platform_is_empty() -> None:
    body = {"traderates_get_response": {"total_results": 0}}
    assert read("tmall", body).signal == "empty"
    assert read("tmall", {"traderates_get_response": {"request_id": "x"}}).signal == "unknown"


def _ret(text: str, **data: Any) -> dict[str, Any]:
    return {"api": "mtop.taobao.rate.detaillist.get", "ret": [text], "data": data, "v": "6.0"}


LOGIN, VERIFY = "login_required", "verification"


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        (_ret("FAIL_SYS_SESSION_EXPIRED::Session过期"), LOGIN),
        (_ret("ERR_SID_INVALID::session失效"), LOGIN),
        (_ret("NOT_LOGIN::未登录"), LOGIN),
        (
            _ret(
                "FAIL_SYS_USER_VALIDATE::哎哟喂,被挤爆啦",
                url="https://h5api.m.tmall.com/_____tmd_____/punish?x5secdata=1",
            ),
            VERIFY,
        ),
        (_ret("RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试"), VERIFY),
        (_ret("FAIL_SYS_TRAFFIC_LIMIT::请求被限流"), "throttled"),
        (_ret("SM::哎哟喂,被挤爆啦"), "throttled"),
        (_ret("FAIL_SYS_ILLEGAL_ACCESS::非法请求"), "blocked"),
        (_ret("FAIL_BIZ::action=denycdc_forbidden"), "blocked"),
        (_ret("FAIL_SYS_TOKEN_EXOIRED::令牌过期"), "unknown"),
        (_ret("FAIL_SYS_TOKEN_EMPTY::令牌为空"), "unknown"),
        (b'mtopjsonp3({"ret":["FAIL_SYS_SESSION_EXPIRED::x"],"data":{}})', LOGIN),
        (b'jsonp928({"rgv587_flag":"sm","url":"https://sec.taobao.com/query.htm?action=QueryAction"})', VERIFY),
        (b'jsonp928({"rgv587_flag":"sm","url":"https://login.taobao.com/member/login.jhtml?x"})', LOGIN),
        (b'{"url":"https://login.m.taobao.com/login.htm"}', LOGIN),
        (b"<html><script src='//bixi.alicdn.com/punish/x.js'></script>", VERIFY),
        ("<html><title>滑块验证</title></html>", VERIFY),
        (b'<html><script>var a={"action":"captcha"}</script>', VERIFY),
        (b"<html>https://x/_____tmd_____/punish?</html>", VERIFY),
        (b"<html><script>location='https://login.taobao.com/member/login.jhtml?r'</script>", LOGIN),
        (b"<html>hello</html>", "unknown"),
        (b"", "unknown"),
        (b"{}", "unknown"),
        (_ret("SUCCESS::ok"), "unknown"),
        ({"error_response": {"code": 7, "msg": "App Call Limited"}}, "throttled"),
        ({"error_response": {"code": 27, "msg": "Invalid Session"}}, LOGIN),
        ({"error_response": {"code": 15, "msg": "Remote service error"}}, "unknown"),
    ],
)
def test_every_documented_refusal_is_told_apart(body: Any, signal: str) -> None:
    page = read("tmall", body)
    assert (page.signal, page.mentions, page.next) == (signal, (), None)
    assert page.reason


@pytest.mark.parametrize(
    ("rest", "signal"),
    [
        ({"final_url": "https://login.taobao.com/member/login.jhtml?redirectURL=x"}, LOGIN),
        ({"status": 302, "headers": {"location": "https://login.m.taobao.com/login.htm"}}, LOGIN),
        ({"final_url": "https://rate.tmall.com//list_detail_rate.htm/_____tmd_____/punish?x5secdata=a"}, VERIFY),
        ({"status": 403}, "blocked"),
        ({"status": 429}, "throttled"),
    ],
)
def test_redirects_and_status_tell_without_a_body(rest: dict[str, Any], signal: str) -> None:
    assert read("tmall", b"", TMALL_OLD_URL.format(page=1), **rest).signal == signal
