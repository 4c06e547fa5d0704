"""The replica: read to its ends it shows what the story holds, in the platforms' shapes."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest

from ingest.clock import ManualClock
from shengwen.demo.cast import INVENTED, K20, MODELS, TARGETS
from shengwen.demo.items import Item
from shengwen.demo.phrases import bank, lines
from shengwen.demo.replica.jd_records import old_comment
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import PREFIXES, platform_bases, real_url
from tests.shengwen.demo_kit import START, Visitor, plain_client, serving

ITEM, SELLER = TARGETS.tmall_items[0].item_id, TARGETS.tmall_items[0].seller_id


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[DemoServer, ManualClock]]:
    with serving(turned=True) as both:
        yield both


@pytest.fixture
def demo(served: tuple[DemoServer, ManualClock]) -> DemoServer:
    return served[0]


@pytest.fixture
def visitor(demo: DemoServer) -> Iterator[Visitor]:
    with plain_client() as client:
        yield Visitor(demo, client)


def truth(demo: DemoServer, platform: str, *kinds: str) -> list[Item]:
    shown = demo.story.visible(demo.clock.now())
    return [item for item in shown if item.platform == platform and item.kind in kinds]


def ids(items: list[Item]) -> list[str]:
    return sorted(item.native_id for item in items)


def each_once(found: list[str]) -> list[str]:
    assert len(found) == len(set(found))
    return sorted(found)


def test_jd_old_pages_read_to_the_end_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    assert each_once(visitor.jd_reviews()) == ids(truth(demo, "jd", "review"))


def test_jd_new_list_and_questions_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    assert each_once(visitor.jd_new_reviews()) == ids(truth(demo, "jd", "review"))
    asked, told = visitor.jd_questions()
    assert each_once(asked) == ids(truth(demo, "jd", "question"))
    assert each_once(told) == ids(truth(demo, "jd", "answer"))


def test_tmall_old_pages_read_to_the_end_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    assert each_once(visitor.tmall_reviews()) == ids(truth(demo, "tmall", "review"))


@pytest.mark.parametrize(
    ("api", "item_key", "page_key"),
    [
        ("mtop.taobao.rate.detaillist.get/6.0", "auctionNumId", "pageNo"),
        ("mtop.alibaba.review.list.for.new.pc.detail/1.0", "itemId", "pageNum"),
    ],
)
def test_tmall_mtop_pages_read_to_the_end_are_the_truth(
    visitor: Visitor, demo: DemoServer, api: str, item_key: str, page_key: str
) -> None:
    assert each_once(visitor.mtop_reviews(api, item_key, page_key)) == ids(truth(demo, "tmall", "review"))


def test_xiaohongshu_search_notes_and_comments_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    notes = visitor.xhs_notes()
    assert sorted(notes) == ids(truth(demo, "xiaohongshu", "post"))
    comments = [comment for note, token in notes.items() for comment in visitor.xhs_comments(note, token)]
    assert each_once(comments) == ids(truth(demo, "xiaohongshu", "comment"))


def test_douyin_search_videos_and_comments_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    videos = set(visitor.douyin_videos())
    assert sorted(videos) == ids(truth(demo, "douyin", "video"))
    comments = [comment for video in videos for comment in visitor.douyin_comments(video)]
    assert each_once(comments) == ids(truth(demo, "douyin", "comment"))


def test_zhihu_questions_answers_articles_and_comments_are_the_truth(visitor: Visitor, demo: DemoServer) -> None:
    answers = [answer for question in TARGETS.zhihu_questions for answer in visitor.zhihu_answers(question)]
    assert each_once(answers) == ids(truth(demo, "zhihu", "answer"))
    comments = [comment for answer in answers for comment in visitor.zhihu_comments("answers", answer)]
    comments += [comment for one in TARGETS.zhihu_articles for comment in visitor.zhihu_comments("articles", one)]
    assert each_once(comments) == ids(truth(demo, "zhihu", "comment"))
    for article in TARGETS.zhihu_articles:
        state = visitor.zhihu_state(f"/p/{article}", "zhuanlan.zhihu.com")
        assert state["entities"]["articles"][article]["content"].startswith("<p>")


def test_truth_endpoint_lists_what_is_visible(visitor: Visitor, demo: DemoServer) -> None:
    told = visitor.client.get(f"{demo.base_url}/_truth").json()["platforms"]
    assert sorted(told["xiaohongshu"]["post"]) == ids(truth(demo, "xiaohongshu", "post"))
    assert sorted(told["jd"]["review"]) == ids(truth(demo, "jd", "review"))


def test_time_brings_new_reviews(visitor: Visitor, served: tuple[DemoServer, ManualClock]) -> None:
    clock = served[1]
    before = set(visitor.jd_reviews())
    here = clock.now()
    clock.advance(timedelta(days=3).total_seconds())
    after = set(visitor.jd_reviews())
    clock.jump(here)
    assert before < after


# -- paging at the edges ----------------------------------------------------------------------------------------------


def test_jd_page_beyond_the_end_is_the_last_page_again(visitor: Visitor) -> None:
    pages = visitor.jd_old(K20.jd_skus[0])["maxPage"]
    last, beyond = (visitor.jd_old(K20.jd_skus[0], page=page)["comments"] for page in (pages - 1, pages + 40))
    assert [one["id"] for one in last] == [one["id"] for one in beyond]


def test_jd_filters_by_score_append_and_sku(visitor: Visitor) -> None:
    bad = visitor.jd_old(K20.jd_skus[0], score=1)["comments"]
    assert all(one["score"] == 1 for one in bad)
    appended = visitor.jd_old(K20.jd_skus[0], score=5)["comments"]
    assert appended
    assert all(one["afterUserComment"]["hAfterUserComment"]["content"] and one["afterDays"] > 0 for one in appended)
    merged = {one["referenceId"] for one in visitor.jd_old(K20.jd_skus[0])["comments"]}
    assert merged == set(K20.jd_skus)


def test_jd_newest_first_and_a_recommended_order(visitor: Visitor) -> None:
    newest = [one["creationTime"] for one in visitor.jd_old(K20.jd_skus[0])["comments"]]
    assert newest == sorted(newest, reverse=True)
    recommended = [one["creationTime"] for one in visitor.jd_old(K20.jd_skus[0], sortType=5)["comments"]]
    assert recommended != newest


def test_jd_answers_gbk_jsonp_and_plain_json_without_a_callback(visitor: Visitor) -> None:
    visitor.jd_old(K20.jd_skus[0])
    response = visitor.taken[-1].response
    assert "charset=GBK" in response.headers["content-type"]
    assert response.content.startswith(b"fetchJSON_comment98vv1({")
    with pytest.raises(UnicodeDecodeError):
        response.content.decode("utf-8")
    assert visitor.jd_old(K20.jd_skus[0], callback="")["comments"]
    assert visitor.jd_old(K20.jd_skus[0], callback="alert(1)//")["comments"]
    assert not visitor.taken[-1].response.content.startswith(b"alert")


def test_jd_without_referer_gets_the_empty_object(visitor: Visitor) -> None:
    url = f"{visitor.bases['jd']['club.jd.com']}/comment/productPageComments.action"
    assert visitor.call("jd", "GET", url, params={"productId": K20.jd_skus[0]}) == {}


def test_jd_default_reviews_and_seller_replies_have_their_shapes(demo: DemoServer) -> None:
    reviews = truth(demo, "jd", "review")
    silent = next(item for item in reviews if item.mood == "default")
    assert old_comment(silent)["content"] in lines(bank("reviews")["short"]["default"])
    replied = old_comment(next(item for item in reviews if item.seller_reply))
    assert replied["replyCount2"] == 1
    assert replied["replies"][0]["userClient"] == 102
    assert "images" not in old_comment(next(item for item in reviews if not item.pictures))


def test_jd_first_screen_counts_are_text_and_base64(visitor: Visitor) -> None:
    data = visitor.jd_first_screen(K20.jd_skus[0])
    assert int(data["allCnt"]) > 20
    assert base64.b64decode(data["defaultGoodCountText"]).decode().endswith("个用户默认评价了该商品")
    assert len(data["commentInfoList"]) == 5
    assert isinstance(data["commentInfoList"][0]["commentScore"], str)
    assert data["questionList"][0]["answerCountText"].endswith("个回答")


def test_tmall_page_beyond_the_end_is_empty_and_pulled_back(visitor: Visitor) -> None:
    detail = visitor.tmall_old(ITEM, SELLER, currentPage=99)["rateDetail"]
    assert detail["rateList"] == []
    assert detail["paginator"]["page"] == detail["paginator"]["lastPage"] < 99


def test_tmall_refuses_unsigned_mtop_and_asks_for_the_token_round(visitor: Visitor) -> None:
    api = "mtop.taobao.rate.detaillist.get/6.0"
    visitor.seed = "00000000.0000000000000000"
    assert visitor.mtop(api, {"auctionNumId": ITEM})["ret"][0].startswith("FAIL_SYS_ILLEGAL_ACCESS")
    visitor.open(f"{visitor.bases['tmall']['detail.tmall.com']}/item.htm?id={ITEM}")
    assert visitor.mtop(api, {"auctionNumId": ITEM})["ret"][0].startswith("FAIL_SYS_TOKEN_EMPTY")
    assert visitor.mtop(api, {"auctionNumId": ITEM})["ret"] == ["SUCCESS::调用成功"]


def test_xiaohongshu_pages_are_short_before_the_end(visitor: Visitor, demo: DemoServer) -> None:
    notes = visitor.xhs_notes()
    for note, token in notes.items():
        visitor.xhs_comments(note, token)
    subs = [one.data["data"] for one in visitor.taken if "/sub/page" in str(one.response.url)]
    assert any(len(page["comments"]) == 5 and page["has_more"] for page in subs)
    pages = [one.data["data"] for one in visitor.taken if "v2/comment/page" in str(one.response.url)]
    roots = [root for page in pages for root in page["comments"]]
    assert any("ip_location" not in root for root in roots)
    assert any("ip_location" in root for root in roots)
    assert all(isinstance(root["like_count"], str) for root in roots)


def test_xiaohongshu_and_douyin_and_new_jd_refuse_what_no_page_signed(visitor: Visitor) -> None:
    bases = visitor.bases
    edith = f"{bases['xiaohongshu']['edith.xiaohongshu.com']}/api/sns/web"
    searched = visitor.client.post(f"{edith}/v1/search/notes", json={"keyword": "岚炉", "page": 1})
    assert (searched.status_code, searched.json()["success"]) == (406, False)
    douyin = visitor.client.get(f"{bases['douyin']['www.douyin.com']}/aweme/v1/web/comment/list/?aweme_id=1")
    assert (douyin.status_code, douyin.content) == (200, b"")
    jd = visitor.client.post(f"{bases['jd']['api.m.jd.com']}/client.action", data={"functionId": "getCommentListPage"})
    assert (jd.status_code, jd.content) == (403, b"")
    zhihu = visitor.client.get(f"{bases['zhihu']['www.zhihu.com']}/api/v4/search_v3?q=岚炉")
    assert (zhihu.status_code, zhihu.json()["error"]["code"]) == (400, 10003)


def test_a_token_is_good_for_its_own_path_and_not_for_ever(
    visitor: Visitor, served: tuple[DemoServer, ManualClock]
) -> None:
    clock = served[1]
    visitor.xhs_notes()
    edith = f"{visitor.bases['xiaohongshu']['edith.xiaohongshu.com']}/api/sns/web"
    stolen = visitor.token(f"{edith}/v1/feed")
    body = {"keyword": "岚炉", "page": 1}
    assert visitor.client.post(f"{edith}/v1/search/notes", json=body, headers={"x-s": stolen}).status_code == 406
    own, here = visitor.token(f"{edith}/v1/search/notes"), clock.now()
    assert visitor.client.post(f"{edith}/v1/search/notes", json=body, headers={"x-s": own}).status_code == 200
    clock.jump(here + timedelta(hours=7))
    late = visitor.client.post(f"{edith}/v1/search/notes", json=body, headers={"x-s": own})
    clock.jump(here)
    assert late.status_code == 406


def test_a_note_needs_its_token(visitor: Visitor) -> None:
    note, token = next(iter(visitor.xhs_notes().items()))
    page = f"{visitor.bases['xiaohongshu']['www.xiaohongshu.com']}/explore/{note}"
    assert '"undefined"' in visitor.client.get(page).text
    good = visitor.client.get(page, params={"xsec_token": token}).text
    found = re.search(r"window\.__INITIAL_STATE__=(\{.*?\})</script>", good, re.DOTALL)
    assert found
    assert "undefined" in found[1]
    state = json.loads(found[1].replace("undefined", "null"))
    assert state["note"]["noteDetailMap"][note]["note"]["noteId"] == note
    assert visitor.xhs("POST", "v1/feed", json={"source_note_id": note, "xsec_token": "AB"})["code"] == -510000
    opened = visitor.xhs("POST", "v1/feed", json={"source_note_id": note, "xsec_token": token})["data"]
    assert opened["items"][0]["note_card"]["time"] == int(note[:8], 16) * 1000


def test_xiaohongshu_search_has_cards_to_skip_and_notes_without_a_title(visitor: Visitor) -> None:
    visitor.xhs_notes()
    items = [item for one in visitor.taken for item in one.data["data"]["items"]]
    assert {item["model_type"] for item in items} == {"note", "rec_query"}
    assert any("display_title" not in item["note_card"] for item in items if item["model_type"] == "note")


def test_douyin_says_null_when_a_video_has_no_comments(visitor: Visitor) -> None:
    visitor.douyin_videos()
    assert visitor.douyin("comment/list/", aweme_id="1", cursor=0)["comments"] is None
    assert visitor.douyin("aweme/detail/", aweme_id="1")["aweme_detail"] is None


def test_zhihu_page_shows_three_answers_and_where_to_go_on(visitor: Visitor, demo: DemoServer) -> None:
    question = TARGETS.zhihu_questions[0]
    state = visitor.zhihu_state(f"/question/{question}")
    answers = state["question"]["answers"][question]
    assert len(answers["ids"]) == 3
    assert not answers["isDrained"]
    following = visitor.client.get(answers["next"]).json()
    told = [i.native_id for i in truth(demo, "zhihu", "answer") if i.parent_id == question]
    assert {card["target"]["id"] for card in following["data"]} < set(told)
    assert visitor.client.get(f"{demo.base_url}/zhihu/question/{question}/answer/{told[0]}").status_code == 403


def test_zhihu_last_comment_page_leads_to_itself(visitor: Visitor) -> None:
    for answer in visitor.zhihu_answers(TARGETS.zhihu_questions[0]):
        visitor.zhihu_comments("answers", answer)
    pages = [one.data for one in visitor.taken if "root_comment" in str(one.response.url) and "data" in one.data]
    last = pages[-1]
    assert last["paging"]["is_end"]
    again = visitor.client.get(last["paging"]["next"]).json()
    assert [one["id"] for one in again["data"]] == [one["id"] for one in last["data"]]


def test_zhihu_open_api_wants_a_bearer_and_gives_ten(visitor: Visitor) -> None:
    url = f"{visitor.bases['zhihu']['developer.zhihu.com']}/api/v1/content/zhihu_search"
    assert visitor.client.get(url, params={"Query": "岚炉"}).json()["Code"] == 20001
    headers = {"authorization": "Bearer demo", "x-request-timestamp": "1"}
    data = visitor.client.get(url, params={"Query": "岚炉", "Count": 50}, headers=headers).json()["Data"]
    assert 0 < len(data["Items"]) <= 10
    assert data["HasMore"] is False
    assert "utm_source" in data["Items"][0]["Url"]


# -- pages and hostile input ------------------------------------------------------------------------------------------

PAGES = [
    "/",
    f"/jd/item/{K20.jd_skus[0]}.html",
    f"/tmall/detail/item.htm?id={ITEM}",
    "/xhs/search_result?keyword=%E5%B2%9A%E7%82%89",
    "/douyin/search/%E5%B2%9A%E7%82%89",
    f"/zhihu/question/{TARGETS.zhihu_questions[0]}",
    f"/zhihu/zhuanlan/p/{TARGETS.zhihu_articles[0]}",
    "/zhihu/search?q=x",
    "/bots",
    "/desk",
    "/jd/passport/new/login.aspx",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_says_that_it_is_invented(visitor: Visitor, demo: DemoServer, path: str) -> None:
    assert INVENTED in visitor.client.get(demo.base_url + path).text


def test_robots_allow_everything_at_the_root_and_below_every_prefix(visitor: Visitor, demo: DemoServer) -> None:
    for prefix in ("", *(prefix for hosts in PREFIXES.values() for prefix in hosts.values())):
        assert "Allow: /" in visitor.client.get(f"{demo.base_url}{prefix}/robots.txt").text


HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize(
    "path", ["/xhs/search_result?keyword={}", "/douyin/search/{}", "/zhihu/search?q={}", "/xhs/login?redirect={}"]
)
def test_what_comes_from_outside_is_only_text(visitor: Visitor, demo: DemoServer, path: str) -> None:
    text = visitor.client.get(demo.base_url + path.format(quote(HOSTILE, safe=""))).text
    assert "<script>alert(1)" not in text
    assert "<img src=x" not in text


@pytest.mark.parametrize(
    "query",
    [
        "page=-1",
        "page=abc",
        "page=99999999999999999999",
        "page=%F0%9D%9F%97",
        "score=%00",
        "sortType=１",
        "productId=%FF%FE",
        "productId=",
    ],
)
def test_odd_parameters_are_no_server_error(visitor: Visitor, demo: DemoServer, query: str) -> None:
    url = f"{demo.base_url}/jd/club/comment/productPageComments.action?{query}"
    response = visitor.client.get(url, headers={"referer": f"{demo.base_url}/jd/item/1.html"})
    assert response.status_code == 200


def test_odd_bodies_are_no_server_error(visitor: Visitor, demo: DemoServer) -> None:
    visitor.xhs_notes()
    for body in (b"", b"[]", b"{", b'{"page": {}}', b'{"keyword": {}, "page": "x"}', b"\xff" * 70_000):
        url = f"{visitor.bases['xiaohongshu']['edith.xiaohongshu.com']}/api/sns/web/v1/search/notes"
        response = visitor.client.post(url, content=body, headers={"x-s": visitor.token(url)})
        assert response.status_code == 200
        assert response.json()["data"]["items"] == []


def test_unknown_products_and_notes_are_gone(visitor: Visitor, demo: DemoServer) -> None:
    away = visitor.client.get(f"{demo.base_url}/jd/item/1.html")
    assert away.headers["location"].endswith("/?from=pc_item")
    assert visitor.client.get(f"{demo.base_url}/zhihu/question/1").status_code == 404
    assert visitor.client.get(f"{demo.base_url}/tmall/detail/item.htm?id=1").status_code == 404


# -- where things are -------------------------------------------------------------------------------------------------


def test_every_base_leads_back_to_its_real_host() -> None:
    root = "http://127.0.0.1:9"
    for hosts in platform_bases(root + "/").values():
        for host, base in hosts.items():
            assert real_url(root, f"{base}/some/path?x=1") == f"https://{host}/some/path?x=1"
            assert real_url(root, base) == f"https://{host}/"
    assert real_url(root, "https://example.invalid/jd/item") == "https://example.invalid/jd/item"
    assert real_url(root, root + "/bots") == root + "/bots"


def test_models_and_targets_agree() -> None:
    assert {item.item_id for item in TARGETS.tmall_items} == {model.tmall_item for model in MODELS}
    assert START.tzinfo is not None
