"""Switches: each documented refusal comes as it is documented, and the login pages let people in."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import httpx
import orjson
import pytest

from shengwen.demo.cast import K20, PLATFORMS, TARGETS, Platform
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import LOGIN_COOKIES, LOGIN_PATHS, real_url
from tests.shengwen.demo_kit import Visitor, plain_client, serving

PAGES: dict[Platform, str] = {
    "jd": f"/jd/item/{K20.jd_skus[0]}.html",
    "tmall": f"/tmall/detail/item.htm?id={K20.tmall_item}",
    "xiaohongshu": "/xhs/search_result?keyword=x",
    "douyin": "/douyin/search/x",
    "zhihu": f"/zhihu/question/{TARGETS.zhihu_questions[0]}",
}


@pytest.fixture(scope="module")
def server() -> Iterator[DemoServer]:
    with serving() as (demo, _):
        yield demo


@pytest.fixture
def demo(server: DemoServer) -> Iterator[DemoServer]:
    yield server
    for platform in PLATFORMS:
        server.switches.set(platform)


@pytest.fixture
def visitor(demo: DemoServer) -> Iterator[Visitor]:
    with plain_client() as client:
        yield Visitor(demo, client)


def ask(visitor: Visitor, platform: Platform) -> httpx.Response:
    """One ordinary data call of the platform."""
    client, bases, root = visitor.client, visitor.bases, visitor.demo.base_url
    if platform == "jd":
        url = f"{bases['jd']['club.jd.com']}/comment/productPageComments.action"
        asked: dict[str, str | int] = {"callback": "cb", "productId": K20.jd_skus[0], "page": 0}
        return client.get(url, params=asked, headers={"referer": f"{root}{PAGES['jd']}"})
    if platform == "tmall":
        item = TARGETS.tmall_items[0]
        query = f"itemId={item.item_id}&sellerId={item.seller_id}&currentPage=1&callback=jsonp9"
        return client.get(f"{bases['tmall']['rate.tmall.com']}/list_detail_rate.htm?{query}")
    if platform == "xiaohongshu":
        url = f"{bases['xiaohongshu']['edith.xiaohongshu.com']}/api/sns/web/v1/search/notes"
        return client.post(url, json={"keyword": "岚炉", "page": 1}, headers={"x-s": visitor.token(url)})
    if platform == "douyin":
        url = f"{bases['douyin']['www.douyin.com']}/aweme/v1/web/general/search/single/"
        return client.get(url, params={"keyword": "岚炉", "a_bogus": visitor.token(url)})
    return client.get(f"{bases['zhihu']['www.zhihu.com']}/api/v4/questions/{TARGETS.zhihu_questions[0]}/feeds")


def body(response: httpx.Response) -> object:
    text = response.content.decode("gb18030" if "GBK" in response.headers.get("content-type", "") else "utf-8")
    inner = text[text.index("(") + 1 : text.rindex(")")] if text.endswith((")", ");")) else text
    return orjson.loads(inner)


def set_by_http(demo: DemoServer, platform: Platform, client: httpx.Client, **setting: object) -> None:
    response = client.post(f"{demo.base_url}/_switch/{platform}", json=setting)
    assert response.status_code == 200, response.text


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_switch_can_be_set_and_no_answer_is_a_server_fault(
    demo: DemoServer, visitor: Visitor, platform: Platform
) -> None:
    visitor.seed = visitor.open(demo.base_url + PAGES[platform]) and visitor.seed
    good = ask(visitor, platform)
    listed = visitor.client.get(f"{demo.base_url}/_switch").json()[platform]["answers"]
    assert {signal for signals in listed.values() for signal in signals} >= {
        "login_required",
        "verification",
        "blocked",
    }
    changed = 0
    for name in listed:
        set_by_http(demo, platform, visitor.client, answer=name)
        refused, page = ask(visitor, platform), visitor.client.get(demo.base_url + PAGES[platform])
        assert refused.status_code != 500, name
        assert page.status_code != 500, name
        differs = (refused.status_code, refused.content) != (good.status_code, good.content)
        changed += differs or page.status_code != 200 or name in ("login_ssr", "blocked_antispider")
    # Some answers belong to other calls of the platform (a note's, a page's).
    assert changed >= len(listed) - 5
    set_by_http(demo, platform, visitor.client, answer=None)
    assert ask(visitor, platform).status_code == 200


def test_an_unknown_switch_is_refused(demo: DemoServer, visitor: Visitor) -> None:
    assert visitor.client.post(f"{demo.base_url}/_switch/jd", json={"answer": "nonsense"}).status_code == 400
    assert visitor.client.post(f"{demo.base_url}/_switch/weibo", json={"answer": None}).status_code == 404
    with pytest.raises(KeyError):
        demo.switches.set("jd", answer="nonsense")


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_required_login_is_asked_for_and_given(demo: DemoServer, visitor: Visitor, platform: Platform) -> None:
    visitor.open(demo.base_url + PAGES[platform])
    demo.switches.set(platform, login=True)
    page = visitor.client.get(demo.base_url + PAGES[platform])
    assert page.status_code == 302
    assert page.headers["location"].startswith(LOGIN_PATHS[platform])
    form = visitor.client.get(demo.base_url + page.headers["location"])
    assert "不要填真实的账号和密码" in form.text
    refused = ask(visitor, platform)
    assert b"\xe5\xb2\x9a\xe7\x82\x89" not in refused.content
    done = visitor.client.post(
        demo.base_url + LOGIN_PATHS[platform], data={"account": "a", "password": "b", "redirect": PAGES[platform]}
    )
    assert (done.status_code, done.headers["location"]) == (303, PAGES[platform])
    assert LOGIN_COOKIES[platform] in visitor.client.cookies
    assert visitor.client.get(demo.base_url + PAGES[platform]).status_code == 200
    assert ask(visitor, platform).content != refused.content


@pytest.mark.parametrize(
    "back", ["https://evil.invalid/", "//evil.invalid", "/\\evil.invalid", "javascript:alert(1)", ""]
)
def test_a_login_never_leads_elsewhere(demo: DemoServer, visitor: Visitor, back: str) -> None:
    done = visitor.client.post(demo.base_url + LOGIN_PATHS["jd"], data={"redirect": back})
    assert done.headers["location"] == "/"


def test_jd_refusals_look_as_documented(demo: DemoServer, visitor: Visitor) -> None:
    def answer(name: str) -> httpx.Response:
        demo.switches.set("jd", answer=name)
        return ask(visitor, "jd")

    assert real_url(demo.base_url, demo.base_url + answer("login_redirect").headers["location"]).startswith(
        "https://passport.jd.com/new/login.aspx"
    )
    assert body(answer("login_result")) == {"success": False, "resultCode": -100, "message": "用户未登录"}
    header = answer("verification_header")
    assert header.content == b""
    assert "disposal" in orjson.loads(base64.urlsafe_b64decode(header.headers["x-rp-content"]))
    assert (answer("blocked_403").status_code, answer("blocked_403").content) == (403, b"")
    assert body(answer("blocked_empty_object")) == {}
    assert body(answer("blocked_empty_string")) == ""
    missing = body(answer("comments_missing"))
    assert isinstance(missing, dict)
    assert "comments" not in missing
    demo.switches.set("jd", answer="gone_product")
    page = visitor.client.get(demo.base_url + PAGES["jd"])
    assert "from=pc_item" in page.headers["location"]


def test_tmall_refusals_look_as_documented(demo: DemoServer, visitor: Visitor) -> None:
    def answer(name: str) -> httpx.Response:
        demo.switches.set("tmall", answer=name)
        return ask(visitor, "tmall")

    assert answer("login_jsonp").text.startswith('jsonp9({"rgv587_flag":"sm","url":"https://login.taobao.com/')
    assert "sec.taobao.com/query.htm" in answer("verification_flag").text
    assert "RGV587_ERROR::SM::哎哟喂,被挤爆啦" in answer("verification_rgv587").text
    page = answer("verification_page").text
    assert "_____tmd_____/punish" in page
    assert "滑块验证" in page
    validate = body(answer("verification_validate"))
    assert isinstance(validate, dict)
    assert "punish" in validate["data"]["url"]


def test_xiaohongshu_captcha_looks_like_success_except_for_its_status(demo: DemoServer, visitor: Visitor) -> None:
    demo.switches.set("xiaohongshu", answer="verification_461")
    refused = ask(visitor, "xiaohongshu")
    assert refused.status_code == 461
    assert refused.json() == {"code": 0, "success": True, "msg": "成功", "data": {}}
    assert refused.headers["verifytype"]
    assert refused.headers["verifyuuid"]


def test_douyin_block_looks_like_an_empty_result(demo: DemoServer, visitor: Visitor) -> None:
    visitor.open(demo.base_url + PAGES["douyin"])
    demo.switches.set("douyin", answer="verification_nil")
    refused = ask(visitor, "douyin").json()
    assert (refused["status_code"], refused["data"]) == (0, [])
    assert refused["search_nil_info"]["search_nil_type"] == "verify_check"
    demo.switches.set("douyin", answer="blocked_empty")
    assert (ask(visitor, "douyin").status_code, ask(visitor, "douyin").content) == (200, b"")


def test_zhihu_marks_stand_inside_the_page(demo: DemoServer, visitor: Visitor) -> None:
    question = TARGETS.zhihu_questions[0]
    for name, mark in (("login_ssr", "needForceLogin"), ("blocked_antispider", "antiSpider")):
        demo.switches.set("zhihu", answer=name)
        assert visitor.zhihu_state(f"/question/{question}")["question"]["answers"][question][mark] is True
    demo.switches.set("zhihu", answer="verification_40352")
    error = ask(visitor, "zhihu")
    assert (error.status_code, error.json()["error"]["code"]) == (403, 40352)


def test_faults_spoil_a_good_answer(demo: DemoServer, visitor: Visitor) -> None:
    good = ask(visitor, "jd").content
    demo.switches.set("jd", answer="half_body")
    assert ask(visitor, "jd").content == good[: len(good) // 2]
    demo.switches.set("jd", answer="wrong_charset")
    wrong = ask(visitor, "jd")
    assert "GBK" in wrong.headers["content-type"]
    assert wrong.content.decode("utf-8") == good.decode("gb18030")
    demo.switches.set("jd", answer="html_instead")
    assert ask(visitor, "jd").headers["content-type"].startswith("text/html")
    demo.switches.set("jd", answer="server_error")
    assert ask(visitor, "jd").status_code == 503
