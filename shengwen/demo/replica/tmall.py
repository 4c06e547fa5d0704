"""Tmall 天猫: the item page, the old JSONP list (GBK), and the newer page-signed mtop lists.

Real host ↔ prefix: detail.tmall.com ``/tmall/detail`` · rate.tmall.com ``/tmall/rate`` ·
h5api.m.tmall.com ``/tmall/h5api`` · login.taobao.com ``/tmall/login``. An mtop call without the page's sign is refused
with FAIL_SYS_ILLEGAL_ACCESS; the page's first one gets FAIL_SYS_TOKEN_EMPTY and a cookie, and the page asks again.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from shengwen.demo.cast import TMALL_SELLER, TMALL_SHOP, Model, model_of_item
from shengwen.demo.items import Item
from shengwen.demo.replica.switches import Answer, Switches, to_login
from shengwen.demo.replica.web import (
    Stage,
    as_object,
    beijing,
    bounded,
    find,
    jsonp,
    millis,
    number,
    page,
    picture,
    under,
)

PAGE: Final = 20
MAX_PAGES: Final = 99
DETAIL_LIST: Final = "mtop.taobao.rate.detaillist.get"
NEW_PC: Final = "mtop.alibaba.review.list.for.new.pc.detail"
ASKED: Final = "mtop.taobao.social.feed.aggregate"
TOLD: Final = "mtop.taobao.social.ugc.post.detail"
TOKEN_COOKIE: Final = "_m_h5_tk"  # noqa: S105 - a cookie's name


def routes(stage: Stage, switches: Switches) -> list[Route]:
    """All of Tmall's routes, behind its switches."""
    tmall = _Tmall(stage)
    switches.offer("tmall", ANSWERS, logged_out="login_jsonp")

    def api(path: str, endpoint: Any) -> Route:
        return Route(path, switches.guard("tmall", "api", endpoint))

    return [
        Route("/tmall/detail/item.htm", switches.guard("tmall", "page", tmall.item_page)),
        api("/tmall/rate/list_detail_rate.htm", tmall.old_list),
        api(f"/tmall/h5api/h5/{DETAIL_LIST}/6.0/", tmall.detail_list),
        api(f"/tmall/h5api/h5/{NEW_PC}/1.0/", tmall.new_pc),
        api(f"/tmall/h5api/h5/{ASKED}/1.0/", tmall.asked),
        api(f"/tmall/h5api/h5/{TOLD}/1.0/", tmall.told),
    ]


class _Tmall:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def _reviews(self, item_id: str) -> list[Item]:
        model = model_of_item(item_id)
        return [item for item in self._stage.visible("tmall") if model is not None and item.model is model]

    async def item_page(self, request: Request) -> Response:
        item_id = request.query_params.get("id", "")
        model = model_of_item(item_id)
        if model is None:
            return page("gone.html", seed="", site="天猫", status=404)
        return page(
            "tmall_item.html",
            seed=self._stage.signer.seed(),
            model=model,
            item_id=item_id,
            seller=TMALL_SELLER,
            shop=TMALL_SHOP,
        )

    async def old_list(self, request: Request) -> Response:
        item_id = request.query_params.get("itemId", "")
        reviews = self._reviews(item_id) if request.query_params.get("sellerId") == TMALL_SELLER else []
        chosen = reviews
        if request.query_params.get("append") == "1":
            chosen = [item for item in chosen if item.append]
        if request.query_params.get("picture") == "1":
            chosen = [item for item in chosen if item.pictures]
        if request.query_params.get("order") != "1":
            chosen = sorted(chosen, key=lambda item: (item.likes, item.created_at), reverse=True)
        last = min(MAX_PAGES, max(1, -(-len(chosen) // PAGE)))
        asked = number(request, "currentPage", 1, low=1)
        shown = chosen[(asked - 1) * PAGE : asked * PAGE] if asked <= last else []
        body = {
            "rateDetail": {
                "rateCount": {
                    "total": len(reviews),
                    "shop": 0,
                    "picNum": sum(item.pictures > 0 for item in reviews),
                    "used": 0,
                },
                "rateDanceInfo": {"currentMilles": millis(self._stage.clock.now()), "intervalMilles": 0},
                "rateList": [old_rate(item) for item in shown],
                # Past the end the list is empty and the page number is pulled back.
                "paginator": {"items": len(chosen), "page": min(asked, last), "lastPage": last},
                "searchinfo": "",
                "from": "search",
                "tags": [],
            }
        }
        return jsonp(request, body, charset="GBK", closing="")

    async def detail_list(self, request: Request) -> Response:
        refused = self._unsigned(request, DETAIL_LIST)
        if refused:
            return refused
        data = as_object(request.query_params.get("data", ""))
        reviews = self._reviews(str(data.get("auctionNumId", "")))
        wanted = str(data.get("rateType", ""))
        chosen = [item for item in reviews if not wanted or rate_type(item) == wanted]
        if data.get("pick") == "append":  # how the page asks for these two is invented
            chosen = [item for item in chosen if item.append]
        if data.get("pick") == "picture":
            chosen = [item for item in chosen if item.pictures]
        if data.get("orderType") != "feedbackdate":
            chosen = sorted(chosen, key=lambda item: (item.likes, item.created_at), reverse=True)
        listed = len(chosen)
        chosen = chosen[: MAX_PAGES * PAGE]
        size, index = bounded(data.get("pageSize"), PAGE, low=1, high=PAGE), bounded(data.get("pageNo"), 1, low=1)
        shown = chosen[(index - 1) * size : index * size]
        module = {
            "rateList": [detail_rate(item) for item in shown],
            "hasNext": "true" if len(chosen) > index * size else "false",
            "total": str(listed),
            "feedAllCount": str(len(reviews)),
            "imprItemVOS": [{"title": "暖和", "count": str(sum("暖和" in item.text for item in reviews))}],
        }
        return jsonp(request, _envelope(DETAIL_LIST, "6.0", module), closing="")

    async def new_pc(self, request: Request) -> Response:
        refused = self._unsigned(request, NEW_PC)
        if refused:
            return refused
        data = as_object(request.query_params.get("data", ""))
        reviews, index = self._reviews(str(data.get("itemId", ""))), bounded(data.get("pageNum"), 1, low=1)
        shown = reviews[(index - 1) * PAGE : index * PAGE]
        now = self._stage.clock.now()
        module = {
            "reviewVOList": [new_pc_review(item, now) for item in shown],
            "hasNext": "true" if len(reviews) > index * PAGE else "false",
        }
        return jsonp(request, _envelope(NEW_PC, "1.0", {"module": module} if shown else {}), closing="")

    def _questions(self, item_id: str) -> list[Item]:
        """问大家: the story's questions about the same model, which it tells for another shop."""
        model = model_of_item(item_id)
        asked = [item for item in self._stage.visible("jd") if item.kind == "question"]
        return [item for item in asked if model is not None and item.model is model]

    async def asked(self, request: Request) -> Response:
        refused = self._unsigned(request, ASKED)
        if refused:
            return refused
        data = as_object(request.query_params.get("data", ""))
        params, index = as_object(str(data.get("params", ""))), bounded(data.get("pageNum"), 1, low=1)
        shown = self._questions(str(params.get("refId", "")))[(index - 1) * 10 : index * 10]
        cards = [[{"id": item.native_id, "title": item.text}] for item in shown]
        return jsonp(request, _envelope(ASKED, "1.0", {"list": cards}), closing="")

    async def told(self, request: Request) -> Response:
        refused = self._unsigned(request, TOLD)
        if refused:
            return refused
        wanted = str(as_object(request.query_params.get("data", "")).get("id", ""))
        shown = self._stage.visible("jd")
        question = find(shown, wanted, "question")
        if question is None or question.model is None:
            return jsonp(request, _failed(TOLD, "FAIL_BIZ_NOT_FOUND::内容不存在"), closing="")
        answers = under(shown, wanted)
        told = {
            "id": wanted,
            "title": question.text,
            "refId": question.model.tmall_item,
            "refTitle": question.model.title,
            "interact": {"likeCount": str(question.likes), "viewCount": str(37 + question.likes)},
            "list": {"list": [{"id": a.native_id, "title": a.text} for a in answers], "totalCount": str(len(answers))},
        }
        return jsonp(request, _envelope(TOLD, "1.0", told), closing="")

    def _unsigned(self, request: Request, api: str) -> Response | None:
        if not self._stage.signer.accepts(request.query_params.get("sign"), request.url.path):
            return jsonp(request, _failed(api, "FAIL_SYS_ILLEGAL_ACCESS::非法请求"), closing="")
        if TOKEN_COOKIE not in request.cookies:
            first = jsonp(request, _failed(api, "FAIL_SYS_TOKEN_EMPTY::令牌为空"), closing="")
            first.set_cookie(TOKEN_COOKIE, "demo", path="/tmall", samesite="lax")
            return first
        return None


def _envelope(api: str, version: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"api": api, "v": version, "ret": ["SUCCESS::调用成功"], "data": data}


def _failed(api: str, ret: str, **data: Any) -> dict[str, Any]:
    return {"api": api, "v": "1.0", "ret": [ret], "data": data}


def rate_type(item: Item) -> str:
    """1 good, 0 middle, -1 bad."""
    return "1" if (item.score or 0) > 3 else "0" if item.score == 3 else "-1"


def _sku(item: Item) -> str:
    return ";".join(f"{name}:{value}" for name, value in _sku_map(item).items())


def _sku_map(item: Item) -> dict[str, str]:
    model: Model | None = item.model
    if model is None or item.sku not in model.jd_skus:
        return {}
    colour, size = model.specs[model.jd_skus.index(item.sku)]
    return {"颜色分类": colour, "规格": size}


def _java_date(at: datetime) -> dict[str, Any]:
    # The old list writes java.util.Date out field by field; only .time is worth reading.
    return {"date": at.day, "hours": at.hour, "month": at.month - 1, "year": at.year - 1900, "time": millis(at)}


def old_rate(item: Item) -> dict[str, Any]:
    """One entry of ``rateDetail.rateList``."""
    pictures: list[str] | str = [picture(item, n) for n in range(item.pictures)] or ""
    append: dict[str, Any] | str | None = None
    if item.append:
        append = {
            "commentId": int(item.native_id) + 3,
            "commentTime": beijing(item.append.at),
            "content": escape(item.append.text, quote=False),
            "days": item.append_days(),
            "pics": [],
        }
    elif item.likes % 2:
        append = ""
    return {
        "id": int(item.native_id),
        "rateContent": escape(item.text, quote=False).replace("暖和", "<b></b>暖和"),
        "rateDate": beijing(item.created_at),
        "gmtCreateTime": _java_date(item.created_at) | {"timezoneOffset": -480},
        "tradeEndTime": _java_date(item.created_at) if item.pictures else "",
        "auctionSku": _sku(item),
        "displayUserNick": item.author.masked,
        "anony": True,
        "appendComment": append,
        "reply": item.seller_reply.text if item.seller_reply else "",
        "pics": pictures,
        "picsSmall": pictures,
        "sellerId": int(TMALL_SELLER),
        "fromMall": True,
        "aliMallSeller": False,
        "cmsSource": "天猫",
        "userVipLevel": 0,
        "tamllSweetLevel": 2,
        "goldUser": False,
        "useful": bool(item.likes),
        "displayRateSum": 0,
        "serviceRateContent": "",
        "structuredRateList": [],
        "position": "",
        "buyCount": 0,
    }


def detail_rate(item: Item) -> dict[str, Any]:
    """One entry of mtop's ``data.rateList``; every scalar is a string."""
    made: dict[str, Any] = {
        "id": item.native_id,
        "auctionNumId": item.model.tmall_item if item.model else "",
        "auctionTitle": item.model.title if item.model else "",
        "feedback": item.text,
        "feedbackDate": beijing(item.created_at, "%Y-%m-%d"),
        "rateType": rate_type(item),
        "userStar": "7",
        "userNick": item.author.masked,
        "reduceUserNick": item.author.masked,
        "annoy": "1",
        "skuValueStr": _sku(item),
        "skuMap": _sku_map(item),
        "feedPicPathList": [picture(item, n) for n in range(item.pictures)],
        "reply": item.seller_reply.text if item.seller_reply else "",
        "interactInfo": {"likeCount": str(item.likes), "commentCount": "0"},
    }
    if item.append:
        made["appendedFeed"] = {
            "appendedFeedback": item.append.text,
            "intervalDay": str(item.append_days()),
            "createTime": beijing(item.append.at, "%Y-%m-%d"),
            "appendFeedPicPathList": [],
        }
    return made


def new_pc_review(item: Item, now: datetime) -> dict[str, Any]:
    """One entry of ``module.reviewVOList``: the date is relative."""
    made: dict[str, Any] = {
        "id": item.native_id,
        "reviewWordContent": "此用户没有填写评价。" if item.mood == "default" else item.text,
        "reviewDate": ago(now, item.created_at),
        "skuText": _sku_map(item),
        "userNick": item.author.masked,
        "headPicUrl": "",
        "interactionVO": {
            "likeCount": str(item.likes),
            "commentCount": "0",
            "readCount": str(37 + item.likes * 11),
            "reviewId": item.native_id,
        },
        "reviewPicPathList": [picture(item, n) for n in range(item.pictures)],
        "videoVOList": [],
        "allowInteract": "true",
    }
    if item.seller_reply:
        made["reply"] = item.seller_reply.text
    if item.append:
        made["reviewAppendVO"] = {
            "appendedWordContent": item.append.text,
            "intervalDay": str(item.append_days()),
            "reviewPicPathList": [],
            "videoVOList": [],
        }
    return made


def ago(now: datetime, at: datetime) -> str:
    """As the new page says it: 刚刚, N小时前, N天前, N个月前."""
    days = (now - at).days
    if days >= 30:
        return f"{days // 30}个月前"
    if days >= 1:
        return f"{days}天前"
    hours = int((now - at).total_seconds() // 3600)
    return f"{hours}小时前" if hours else "刚刚"


def _ret(text: str, **data: str) -> Any:
    return lambda request: jsonp(request, _failed("mtop", text, **data), closing="")


def _flag(url: str) -> Any:
    return lambda request: jsonp(request, {"rgv587_flag": "sm", "url": url}, closing="")


_PUNISH: Final = "https://h5api.m.tmall.com/_____tmd_____/punish?x5secdata=demo"


def _punish_page(_: Request) -> Response:
    script = orjson.dumps({"action": "captcha", "url": "/_____tmd_____/punish?x5secdata=demo"}).decode()
    text = (
        f"<!doctype html><title>验证</title><p>请完成滑块验证（演示）</p><script>window._config_ = {script};</script>"
    )
    return Response(text, media_type="text/html")


def _no_rates(request: Request) -> Response:
    body = {
        "rateDetail": {"rateCount": {"total": 0}, "rateList": [], "paginator": {"items": 0, "page": 1, "lastPage": 1}}
    }
    if request.url.path.endswith(".htm"):
        return jsonp(request, body, charset="GBK", closing="")
    return jsonp(request, _envelope(DETAIL_LIST, "6.0", {"rateList": [], "hasNext": "false", "total": "0"}), closing="")


_EMPTY_ON: Final = ("list_detail_rate.htm", "6.0")
ANSWERS: Final[dict[str, Answer]] = {
    "login_redirect": Answer(("login_required",), lambda request: to_login(request, "tmall"), ("page", "api")),
    "login_session_expired": Answer(("login_required",), _ret("FAIL_SYS_SESSION_EXPIRED::Session过期")),
    "login_sid": Answer(("login_required",), _ret("ERR_SID_INVALID::会话无效")),
    "login_not": Answer(("login_required",), _ret("NOT_LOGIN::用户未登录")),
    "login_jsonp": Answer(("login_required",), _flag("https://login.taobao.com/member/login.jhtml?from=sm")),
    "verification_validate": Answer(("verification",), _ret("FAIL_SYS_USER_VALIDATE::亲，请验证", url=_PUNISH)),
    "verification_rgv587": Answer(("verification",), _ret("RGV587_ERROR::SM::哎哟喂,被挤爆啦,请稍后重试")),
    "verification_flag": Answer(("verification",), _flag("https://sec.taobao.com/query.htm?action=QueryAction")),
    "verification_page": Answer(("verification",), _punish_page, ("page", "api")),
    "verification_redirect": Answer(
        ("verification",), lambda _: RedirectResponse("/tmall/h5api/_____tmd_____/punish?x5secdata=demo", 302)
    ),
    "throttled_traffic": Answer(("throttled",), _ret("FAIL_SYS_TRAFFIC_LIMIT::系统限流")),
    "blocked_access": Answer(("blocked",), _ret("FAIL_SYS_ILLEGAL_ACCESS::非法请求")),
    "blocked_denied": Answer(("blocked",), _ret("FAIL_BIZ::action=denycdc_forbidden")),
    "token_round": Answer(("unknown",), _ret("FAIL_SYS_TOKEN_EXOIRED::令牌过期")),
    "no_comments": Answer(("empty",), _no_rates, only=_EMPTY_ON),
}
"""Tmall's documented refusals: mtop ``ret`` codes, the risk object inside the old callback, punish and login pages."""
