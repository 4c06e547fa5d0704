"""Every answer that means "stop now" or "this is gone", by platform; many of them look like success.

What the spiders make of them, and that not one further request goes out, is tested against the replica in
``test_spiders_http.py`` and ``test_spiders_browser.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson
import pytest

from crawlers.config import PLATFORMS, Platform
from crawlers.parse import parse
from crawlers.payload import STOP_SIGNALS, Payload, Signal

AT: Final = datetime(2026, 11, 1, 4, tzinfo=UTC)
JD: Final = "https://club.jd.com/comment/productPageComments.action?productId=1&page=0"
TMALL: Final = "https://rate.tmall.com/list_detail_rate.htm?itemId=1&sellerId=2&currentPage=1"
MTOP: Final = "https://h5api.m.tmall.com/h5/mtop.taobao.rate.detaillist.get/6.0/?data=%7B%7D"
XHS: Final = "https://edith.xiaohongshu.com/api/sns/web/v2/comment/page?note_id=64b000000000000001000001&cursor="
NOTE: Final = "https://www.xiaohongshu.com/explore/64b000000000000001000001"
DOUYIN: Final = "https://www.douyin.com/aweme/v1/web/comment/list/?aweme_id=7300000000000000001&cursor=0"
SEARCH: Final = "https://www.douyin.com/aweme/v1/web/general/search/single/?keyword=x&offset=0"
DETAIL: Final = "https://www.douyin.com/aweme/v1/web/aweme/detail/?aweme_id=7300000000000000001"
REPLIES: Final = (
    "https://www.douyin.com/aweme/v1/web/comment/list/reply/?item_id=7300000000000000001&comment_id=1&cursor=0"
)
ZHIHU: Final = "https://www.zhihu.com/api/v4/questions/1/feeds?limit=5&offset=0"
QUESTION: Final = "https://www.zhihu.com/question/1"

WALLED: Final = {
    "question": {"answers": {"1": {"ids": [], "isDrained": True, "needForceLogin": True}}},
    "entities": {"questions": {}, "answers": {}},
}
"""A question's page that shows nothing without a login."""


@dataclass(frozen=True)
class Case:
    signal: Signal
    url: str
    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    final: str | None = None
    """Where a browser that follows redirects ended."""

    def payload(self) -> Payload:
        kind = "text/html" if self.body.lstrip().startswith(b"<") else "application/json"
        headers = {"content-type": kind, **self.headers}
        return Payload(
            url=self.url,
            status=self.status,
            headers=headers,
            body=self.body,
            captured_at=AT,
            final_url=self.final or self.url,
        )


def said(signal: Signal, url: str, body: object, status: int = 200, **headers: str) -> Case:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Case(signal, url, orjson.dumps(body), status, names)


def led(signal: Signal, url: str, where: str) -> dict[str, Case]:
    """A redirect, as plain requests see it and as a browser does that followed it."""
    page = b"<!doctype html><html><head><title>x</title></head><body><form></form></body></html>"
    return {
        f"redirect to {where}": Case(signal, url, b"", 302, {"location": where}),
        f"browser led to {where}": Case(signal, url, page, 200, {}, where),
    }


def state(value: object) -> bytes:
    """Zhihu's page with its state in it."""
    data = orjson.dumps({"initialState": value}).decode()
    return f'<html><title>知乎</title><script id="js-initialData" type="text/json">{data}</script></html>'.encode()


NOTHING = {"success": True, "code": 0, "data": {}}
"""What a captcha answer's body looks like: success."""

CASES: dict[Platform, dict[str, Case]] = {
    "jd": {
        **led("login_required", JD, "https://passport.jd.com/new/login.aspx?ReturnUrl=x"),
        "code 3": said("login_required", JD, {"code": 3}),
        'code "3"': said("login_required", JD, {"code": "3", "echo": "not login"}),
        "resultCode -100": said("login_required", JD, {"success": False, "resultCode": -100, "message": "用户未登录"}),
        "pin is null": said("login_required", JD, {"code": "1", "msg": "pin is null"}),
        "x-rp-content": said("verification", JD, {"comments": []}, x_rp_content="x"),
        "disposal": said("verification", JD, {"disposal": {"evContent": "x"}}),
        "code 605": said("verification", JD, {"code": 605}),
        **led("verification", JD, "https://cfe.m.jd.com/privatedomain/risk_handler/03101900/?x=1"),
        "403, empty": Case("blocked", JD, b"", 403),
        "code 601": said("blocked", JD, {"code": 601, "echo": "x"}),
        "{}": Case("blocked", JD, b"{}"),
        "empty": Case("blocked", JD, b""),
    },
    "tmall": {
        "session expired": said("login_required", MTOP, {"ret": ["FAIL_SYS_SESSION_EXPIRED::x"], "data": {}}),
        "sid": said("login_required", MTOP, {"ret": ["ERR_SID_INVALID::x"], "data": {}}),
        "not login": said("login_required", MTOP, {"ret": ["NOT_LOGIN::x"], "data": {}}),
        **led("login_required", TMALL, "https://login.taobao.com/member/login.jhtml?x=1"),
        **led("login_required", TMALL, "https://login.m.taobao.com/login.htm?x=1"),
        "validate": said("verification", MTOP, {"ret": ["FAIL_SYS_USER_VALIDATE::x"], "data": {"url": "https://x/y"}}),
        "RGV587": said("verification", MTOP, {"ret": ["RGV587_ERROR::SM::哎哟喂,被挤爆啦"], "data": {}}),
        "rgv587_flag": Case(
            "verification", TMALL, b'jsonp1({"rgv587_flag":"sm","url":"https://sec.taobao.com/q.htm"})'
        ),
        **led("verification", TMALL, "https://rate.tmall.com/_____tmd_____/punish?x5secdata=x"),
        "x5secdata": Case("verification", TMALL, b"<html><script>var x5secdata='x'</script></html>"),
        "slider": Case("verification", TMALL, "<html><title>滑块验证</title></html>".encode()),
        "traffic limit": said("throttled", MTOP, {"ret": ["FAIL_SYS_TRAFFIC_LIMIT::x"], "data": {}}),
        "illegal access": said("blocked", MTOP, {"ret": ["FAIL_SYS_ILLEGAL_ACCESS::x"], "data": {}}),
        "overcrowded": said("throttled", MTOP, {"ret": ["FAIL_BIZ::被挤爆"], "data": {}}),
        "overcrowded page": Case("throttled", TMALL, "<html>哎哟喂，被挤爆啦</html>".encode()),
    },
    "xiaohongshu": {
        "-100": said("login_required", XHS, {"code": -100, "success": False, "msg": "x"}),
        "-101": said("login_required", XHS, {"code": -101, "success": False, "msg": "x"}),
        "-104": said("login_required", XHS, {"code": -104, "success": False, "msg": "x"}),
        **led("login_required", NOTE, "https://www.xiaohongshu.com/login?redirectPath=x"),
        "461 that looks like success": said("verification", XHS, NOTHING, 461),
        "471 that looks like success": said("verification", XHS, NOTHING, 471),
        "Verifytype": said("verification", XHS, NOTHING, verifytype="102"),
        "Verifyuuid": said("verification", XHS, NOTHING, verifyuuid="x"),
        "300015": said("verification", XHS, {"code": 300015, "success": False, "msg": "x"}),
        "300012": said("blocked", XHS, {"code": 300012, "success": False, "msg": "x"}),
        "300011": said("blocked", XHS, {"code": 300011, "success": False, "msg": "x"}),
        "300013": said("throttled", XHS, {"code": 300013, "success": False, "msg": "x"}),
        "401": Case("blocked", XHS, b"", 401),
        "403": Case("blocked", XHS, b"", 403),
        "406": said("blocked", XHS, {"code": -1, "success": False}, 406),
        "429": Case("throttled", XHS, b"", 429),
        "-510000": said("gone", XHS, {"code": -510000, "success": False, "msg": "x"}),
        "-510001": said("gone", XHS, {"code": -510001, "success": False, "msg": "x"}),
    },
    "douyin": {
        "8": said("login_required", DOUYIN, {"status_code": 8, "status_msg": "x"}),
        "2483": said("login_required", DOUYIN, {"status_code": 2483}),
        "verify_check that looks like no results": said(
            "verification",
            SEARCH,
            {"status_code": 0, "data": [], "search_nil_info": {"search_nil_type": "verify_check"}},
        ),
        "bdturing header": said("verification", DOUYIN, {"status_code": 0}, x_vc_bdturing_parameters="x"),
        "__ac_nonce": Case("verification", DETAIL, b"<html><script>document.cookie='__ac_nonce=1'</script></html>"),
        "200 and empty": Case("blocked", DOUYIN, b""),
        "blocked": Case("blocked", DOUYIN, b"blocked"),
        "403": Case("blocked", DOUYIN, b"", 403),
        "429": Case("throttled", DOUYIN, b"", 429),
        "no such video": said("gone", DETAIL, {"status_code": 0, "aweme_detail": None}),
        "replies gone": said("gone", REPLIES, {"status_code": 0, "comments": None, "total": 3, "has_more": 0}),
    },
    "zhihu": {
        "need_login": said("login_required", ZHIHU, {"error": {"need_login": True, "code": 100, "message": "x"}}),
        "401": Case("login_required", ZHIHU, b"", 401),
        **led("login_required", QUESTION, "https://www.zhihu.com/signin?next=x"),
        "needForceLogin": Case("login_required", QUESTION, state(WALLED)),
        "40352": said("verification", ZHIHU, {"error": {"code": 40352, "redirect": "/account/unhuman"}}, 403),
        **led("verification", QUESTION, "https://www.zhihu.com/account/unhuman?type=x"),
        "40362": said("blocked", ZHIHU, {"error": {"code": 40362, "message": "x"}}, 403),
        "title": Case("verification", QUESTION, "<html><title>安全验证 - 知乎</title></html>".encode()),
        "403": Case("blocked", ZHIHU, b"", 403),
        "429": Case("throttled", ZHIHU, b"", 429),
        "404": said("gone", ZHIHU, {"error": {"code": 404, "message": "x"}}, 404),
    },
}
ALL = [(platform, name) for platform in PLATFORMS for name in CASES[platform]]


@pytest.mark.parametrize(("platform", "name"), ALL, ids=[f"{platform}: {name}" for platform, name in ALL])
def test_it_is_read_as_what_it_is(platform: Platform, name: str) -> None:
    case = CASES[platform][name]
    page = parse(platform, case.payload())
    assert page.signal == case.signal, page.reason
    assert page.mentions == ()
    assert page.reason


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("body", [b"<html><body>hello</body></html>", b'{"hello": 1}', b"[]", b"null", b'""', b" "])
def test_an_answer_of_another_kind_is_never_zero_results(platform: Platform, body: bytes) -> None:
    url = {"jd": JD, "tmall": TMALL, "xiaohongshu": XHS, "douyin": DOUYIN, "zhihu": ZHIHU}[platform]
    assert parse(platform, Case("unknown", url, body).payload()).signal in STOP_SIGNALS
