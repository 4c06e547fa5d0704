"""JD: every answer as one would want it read, its oddities, and every way in which it says stop."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.crawlers.payloads import changed, jsonp, read
from tests.crawlers.payloads.jd import JD_LEGO, JD_OLD, JD_OLD_URL, JD_REVIEW


def test_an_old_review_is_read_in_full_from_gbk_jsonp() -> None:
    page = read("jd", jsonp(JD_OLD), JD_OLD_URL.format(page=0))
    assert (page.endpoint, page.signal, page.total) == ("jd.productPageComments", "ok", 140000)
    review = page.mentions[0]
    assert (review.source, review.kind, review.native_id) == ("jd", "review", "10681890470123456")
    assert review.text == "装上当晚就热了…就是阀门那里\n有点渗水"
    assert (review.rating, review.rating_scale, review.empty_text) == (3, "5", False)
    assert review.created_at == datetime(2025, 11, 7, 16, 44, 24, tzinfo=UTC)
    assert review.created_precision == "second"
    assert review.url == "https://item.jd.com/100099002.html"
    assert review.product is not None
    assert review.product.model_dump() == {
        "id": "100099002",
        "sku": "100099002",
        "name": "暖屹 K20 钢制散热器",
        "spec": "颜色:雅白；规格:K20；柱数:10柱",
    }
    assert review.author_id == "山***彡"
    assert (review.likes, review.replies, review.region) == (12, 4, None)
    assert [(a.text, a.created_at) for a in review.appends] == [
        ("师傅换了垫片，不漏了", datetime(2025, 12, 1, 0, 0, tzinfo=UTC))
    ]
    assert review.seller_reply == "您好，已为您安排师傅上门"
    assert [(m.type, m.url) for m in review.media] == [
        ("image", "https://img30.360buyimg.com/n0/s128x96_jfs/t1/leak.jpg"),
        ("image", "https://img30.360buyimg.com/after.jpg"),
        ("video", "https://vod.300hu.com/leak.mp4"),
    ]


def test_a_default_review_keeps_its_rating_and_loses_its_text() -> None:
    review = read("jd", JD_OLD).mentions[1]
    assert (review.text, review.empty_text, review.rating, review.author_id) == ("", True, 5, None)
    assert (review.appends, review.seller_reply, review.media) == ([], None, [])


@pytest.mark.parametrize(
    ("created", "days", "after", "expected"),
    [
        ("", 7, 30, datetime(2025, 12, 1, 12, 0, tzinfo=UTC)),  # purchase + 30 days
        (None, 7, 0, None),
        ("2025-12-02 08:00:00", 7, 30, datetime(2025, 12, 2, 0, 0, tzinfo=UTC)),
    ],
)
def test_the_time_of_an_append_is_stated_or_counted_from_the_purchase(
    created: str | None, days: int, after: int, expected: datetime | None
) -> None:
    record = changed(changed(JD_REVIEW, "afterUserComment.created", created), "afterDays", after)
    page = read("jd", {"comments": [record | {"days": days}], "maxPage": 1})
    assert page.mentions[0].appends[0].created_at == expected


def test_without_a_purchase_time_the_append_is_counted_from_the_review() -> None:
    record = changed(changed(JD_REVIEW, "afterUserComment.created", ""), "referenceTime", ...)
    page = read("jd", {"comments": [record], "maxPage": 1})
    assert page.mentions[0].appends[0].created_at == datetime(2025, 11, 30, 16, 44, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "last", "following"),
    [
        (0, 66, {"page": "1"}),
        (64, 66, {"page": "65"}),
        (65, 66, None),
        (70, 66, None),
        (98, 200, {"page": "99"}),
        (99, 200, None),
    ],
)
def test_the_next_page_is_counted_up_to_max_page_and_never_beyond_a_hundred(
    asked: int, last: int, following: dict[str, str] | None
) -> None:
    page = read("jd", changed(JD_OLD, "maxPage", last), JD_OLD_URL.format(page=asked))
    assert page.signal == "ok"
    assert page.next == following


def test_without_an_address_there_is_no_next_page() -> None:
    assert read("jd", JD_OLD).next is None


def test_the_list_behind_the_gateway_is_the_same_list() -> None:
    url = (
        "https://api.m.jd.com/?appid=item-v3&functionId=pc_club_productPageComments&client=pc"
        "&body=%7B%22productId%22%3A100099001%2C%22page%22%3A3%2C%22pageSize%22%3A10%7D"
    )
    page = read("jd", JD_OLD, url)
    assert (page.endpoint, page.signal, page.next) == ("jd.productPageComments", "ok", {"page": "4"})


@pytest.mark.parametrize(("asked", "last", "signal"), [(66, 66, "empty"), (0, 0, "empty"), (3, 66, "unknown")])
def test_no_reviews_are_the_end_only_where_the_end_is(asked: int, last: int, signal: str) -> None:
    body = changed(changed(JD_OLD, "comments", []), "maxPage", last)
    assert read("jd", jsonp(body), JD_OLD_URL.format(page=asked)).signal == signal


@pytest.mark.parametrize("comments", [None, ...])
def test_comments_null_or_missing_is_a_block_and_not_an_empty_list(comments: Any) -> None:
    page = read("jd", changed(JD_OLD, "comments", comments), JD_OLD_URL.format(page=0))
    assert (page.signal, page.mentions) == ("blocked", ())


@pytest.mark.parametrize(
    ("path", "value", "broke"),
    [
        ("comments.0.id", ..., "comments[0].id"),
        ("comments.0.id", 1.0681890470123456e16, "comments[0].id"),
        ("comments.0.id", "1.068e16", "comments[0].id"),
        ("comments.0.id", None, "comments[0].id"),
        ("comments.0.id", {"$oid": "1"}, "comments[0].id"),
        ("comments.0.creationTime", "昨日清晨", "comments[0].creationTime"),
        ("comments.0.creationTime", ..., "comments[0].creationTime"),
        ("comments.0.creationTime", "2025-13-45 00:00:00", "comments[0].creationTime"),
        ("comments.0", "not a review", "comments[0]"),
        ("comments.0", None, "comments[0]"),
    ],
)
def test_a_broken_record_is_named_and_its_neighbour_stays(path: str, value: Any, broke: str) -> None:
    page = read("jd", changed(JD_OLD, path, value), JD_OLD_URL.format(page=0))
    assert page.signal == "ok"
    assert [m.native_id for m in page.mentions] == ["10681890470123457"]
    assert [p.path for p in page.problems] == [broke]
    assert page.problems[0].reason
    assert page.problems[0].raw


def test_a_page_of_nothing_but_broken_records_is_unknown() -> None:
    body = {"comments": [{"id": 1}, {"id": 2}], "maxPage": 9}
    page = read("jd", body, JD_OLD_URL.format(page=0))
    assert page.signal == "unknown"
    assert [p.path for p in page.problems] == ["comments[0].creationTime", "comments[1].creationTime"]


def test_odd_side_data_never_costs_a_review() -> None:
    odd = dict(JD_REVIEW) | {
        "score": 9, "images": {"0": "x"}, "replies": "", "usefulVoteCount": "2000+",
        "productSales": "无", "nickname": None, "userProvince": "广东省深圳市", "afterUserComment": [],
        "videos": [None, {"remark": "javascript:alert(1)"}],
    }  # fmt: skip
    review = read("jd", {"comments": [odd], "maxPage": 1}).mentions[0]
    assert (review.rating, review.rating_scale, review.region) == (None, None, "广东")
    assert (review.likes, review.approximate, review.author_id, review.media[1:]) == (2000, True, None, [])


def test_the_first_screen_gives_reviews_and_questions_without_a_time() -> None:
    page = read(
        "jd",
        JD_LEGO,
        "https://api.m.jd.com/?functionId=getLegoWareDetailComment&body=%7B%22sku%22%3A%22100099002%22%7D",
    )
    assert (page.endpoint, page.signal, page.total, page.next) == ("jd.getLegoWareDetailComment", "ok", 2606, None)
    review, default, question, first, second = page.mentions
    assert (review.native_id, review.rating, review.text) == ("16115292165", 5, "屋里二十三度，满意")
    assert review.product is not None
    assert (review.product.sku, review.product.spec) == ("100099002", "颜色:雅白；型号:K20")
    assert [(m.type, m.url) for m in review.media] == [
        ("image", "https://img.jd.com/l.jpg"),
        ("video", "https://vod.jd.com/v.mp4"),
    ]
    assert (default.empty_text, default.created_precision, default.appends[0].text) == (True, "day", "焊缝生锈了")
    assert default.product is not None
    assert default.product.spec == "颜色:深空灰；型号:K30"
    assert (question.kind, question.native_id, question.created_at, question.replies) == (
        "question",
        "57628904",
        None,
        2,
    )
    assert (first.kind, first.parent_native, first.created_at) == ("answer", "question:57628904", None)
    assert first.native_id != second.native_id
    assert (question.partial, first.partial, second.partial) == (False, True, True)
    assert str(first.native_id).startswith("57628904-")


def test_an_answer_without_an_id_gets_the_same_derived_id_every_time() -> None:
    once = read("jd", JD_LEGO).mentions[3].native_id
    body = {"answers": [{"content": "我家装了五组", "productId": "100099002"}]}
    again = read("jd", body, "https://question.jd.com/question/getAnswerListById.action?page=1&questionId=57628904")
    assert again.mentions[0].native_id == once
    assert not again.mentions[0].partial
    assert (again.endpoint, again.next) == ("jd.getAnswerListById", {"page": "2"})


def test_questions_page_until_the_list_is_empty() -> None:
    url = "https://question.jd.com/question/getQuestionAnswerList.action?page=2&productId=100099002"
    body = {
        "questionList": [{"id": 57628905, "content": "保修几年？", "answerList": [], "answerCount": 1}],
        "totalItem": 11,
    }
    page = read("jd", jsonp(body, callback="jQuery123_4"), url)
    assert (page.signal, page.total, page.next) == ("ok", 11, {"page": "3"})
    assert page.mentions[0].url == "https://item.jd.com/100099002.html"
    done = read("jd", {"questionList": [], "totalItem": 11}, url)
    assert (done.signal, done.next) == ("empty", None)


def test_the_new_list_is_in_one_floor_of_several() -> None:
    floors = [
        {"mId": "commentlist-header", "data": [{"tags": []}]},
        {"mId": "commentlist-list", "data": [{"commentInfo": JD_LEGO["commentInfoList"][0]}, {"banner": {}}]},
    ]
    url = "https://api.m.jd.com/client.action"
    posted = b"functionId=getCommentListPage&body=%7B%22pageNum%22%3A%222%22%2C%22spuId%22%3A%221%22%7D"
    page = read("jd", {"code": "0", "result": {"floors": floors}}, url, request_body=posted)
    assert (page.endpoint, page.signal, page.next) == ("jd.getCommentListPage", "ok", {"pageNum": "3"})
    assert len(page.mentions) == 1
    assert read("jd", {"code": "0", "floors": floors}).signal == "ok"
    end = changed(floors, "1.data", [])
    assert read("jd", {"code": "0", "result": {"floors": end}}, url, request_body=posted).signal == "empty"
    assert read("jd", {"code": "0", "result": {"floors": floors[:1]}}).signal == "unknown"


@pytest.mark.parametrize("created", ["2025-11-08 00:44:24", 1762533864000, "1762533864"])
def test_the_merchant_api_is_read_without_personal_fields(created: Any) -> None:
    comment = {
        "commentId": 77001, "skuid": 100099002, "skuName": "暖屹 K20", "content": "阀门松", "creationTime": created,
        "score": 2, "usefulCount": 1, "replyCount": 0, "nickName": "j***8", "pin": "real-pin", "open_id_buyer": "oid",
        "orderId": 9988,
        "replies": [{"content": "已联系"}], "images": [{"imgUrl": "//img.jd.com/1.jpg"}], "videos": None,
    }  # fmt: skip
    body = {
        "jingdong_pop_PopCommentJsfService_getVenderCommentsForJos_responce": {
            "code": "0",
            "result": {"comments": [comment], "totalItem": 51},
        }
    }
    posted = (
        b"method=jingdong.pop.PopCommentJsfService.getVenderCommentsForJos"
        b"&360buy_param_json=%7B%22page%22%3A1%2C%22pageSize%22%3A1%7D"
    )
    page = read("jd", body, "https://api.jd.com/routerjson", request_body=posted)
    assert (page.signal, page.total, page.next) == ("ok", 51, {"page": "2"})
    review = page.mentions[0]
    assert review.created_at == datetime(2025, 11, 7, 16, 44, 24, tzinfo=UTC)
    assert (review.native_id, review.rating, review.seller_reply) == ("77001", 2, "已联系")
    assert "real-pin" not in repr(review)
    assert "9988" not in repr(review)


def _error(code: str, text: str) -> dict[str, Any]:
    return {"error_response": {"code": code, "zh_desc": text, "en_desc": ""}}


LOGIN, VERIFY, BLOCK = "login_required", "verification", "blocked"


@pytest.mark.parametrize(
    ("body", "signal"),
    [
        (b"", BLOCK),
        (b"  \n", BLOCK),
        (b'""', BLOCK),
        (b"{}", BLOCK),
        (b"fetchJSON_comment98({});", BLOCK),
        (b"fetchJSON_comment98();", BLOCK),
        (b"<html><body>busy</body></html>", BLOCK),
        (b'{"code":"3","echo":"need login"}', LOGIN),
        (b'{"code":3}', LOGIN),
        (b'{"success":false}', LOGIN),
        ('{"resultCode":-100,"resultMsg":"用户未登录"}', LOGIN),
        (b'{"msg":"pin is null","url":"https://passport.jd.com/new/login.aspx"}', LOGIN),
        (b'{"code":"0","disposal":{"evContent":"x"}}', VERIFY),
        (b'{"code":605}', VERIFY),
        (b'fetchJSON_comment98({"code":605});', VERIFY),
        (b'{"code":601,"echo":"bad request"}', BLOCK),
        (b'{"code":"2","echo":"refused"}', BLOCK),
        (b"<script>location.href='https://passport.jd.com/new/login.aspx'</script>", LOGIN),
        (b"<script>location.href='https://cfe.m.jd.com/privatedomain/risk_handler/03101900/'</script>", VERIFY),
        (b'{"unheard":"of"}', "unknown"),
        (b"[1,2,3]", "unknown"),
        (b'{"comments":[', "unknown"),
        (_error("19", "无效access_token"), LOGIN),
        (_error("7", "调用次数超过上限"), "throttled"),
        (_error("67", "参数错误"), "unknown"),
    ],
)
def test_every_documented_refusal_is_told_apart(body: Any, signal: str) -> None:
    page = read("jd", body)
    assert (page.signal, page.mentions, page.next) == (signal, (), None)
    assert page.reason


@pytest.mark.parametrize(
    ("rest", "signal"),
    [
        ({"status": 403}, BLOCK),
        ({"status": 403, "headers": {"x-rp-content": "eyJjb2RlIjo2MDV9"}}, VERIFY),
        ({"headers": {"x-rp-content": "eyJjb2RlIjo2MDV9"}}, VERIFY),
        ({"status": 302, "headers": {"location": "https://passport.jd.com/new/login.aspx?ReturnUrl=x"}}, LOGIN),
        ({"final_url": "https://passport.jd.com/new/login.aspx"}, LOGIN),
        ({"final_url": "https://cfe.m.jd.com/privatedomain/risk_handler/03101900/?x=1"}, VERIFY),
        ({"final_url": "https://www.jd.com/?from=pc_item&reason=403"}, "gone"),
        ({"url": "https://passport.jd.com/new/login.aspx?ReturnUrl=x"}, LOGIN),
        ({"url": "https://passport.jd.com/new/helloService.ashx"}, BLOCK),
        ({"status": 429}, "throttled"),
        ({"status": 500}, "unknown"),
    ],
)
def test_status_headers_and_redirects_come_before_an_empty_body(rest: dict[str, Any], signal: str) -> None:
    assert read("jd", b"", **({"url": JD_OLD_URL.format(page=0)} | rest)).signal == signal


def test_a_verification_header_stops_even_a_good_looking_answer() -> None:
    assert read("jd", jsonp(JD_OLD), headers={"x-rp-content": "e30"}).signal == "verification"


def test_what_customers_write_is_no_signal() -> None:
    body = changed(JD_OLD, "comments.0.content", "显示用户未登录 passport.jd.com pin is null 滑块验证")
    assert read("jd", body).signal == "ok"
