"""JD 京东: the product page, the old JSONP lists (GBK), the newer api.m.jd.com answers, questions and answers.

Real host ↔ prefix: item.jd.com ``/jd/item`` · club.jd.com ``/jd/club`` · api.m.jd.com ``/jd/api`` ·
question.jd.com ``/jd/question`` · passport.jd.com ``/jd/passport``. The old lists and the questions want a Referer of
the product page; api.m.jd.com wants the page's own ``h5st`` and answers 403 with an empty body without it.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from shengwen.demo.cast import JD_SHOP, Model, model_of_sku
from shengwen.demo.items import Item
from shengwen.demo.replica.jd_records import by_score, hot_tags, new_comment, old_comment, ordered, summary
from shengwen.demo.replica.switches import Answer, Build, Switches, to_login
from shengwen.demo.replica.web import (
    Stage,
    answer,
    as_object,
    beijing,
    bounded,
    jsonp,
    number,
    page,
    posted_form,
    under,
)

PAGE: Final = 10
MAX_PAGES: Final = 100


def routes(stage: Stage, switches: Switches) -> list[Route]:
    """All of JD's routes, behind its switches."""
    jd = _Jd(stage)

    def api(path: str, endpoint: Any, *methods: str) -> Route:
        return Route(path, switches.guard("jd", "api", endpoint), methods=list(methods) or ["GET"])

    switches.offer("jd", ANSWERS, logged_out="blocked_empty_object")
    comments = "/jd/club/comment"
    return [
        Route("/jd/item/{sku}.html", switches.guard("jd", "page", jd.item_page)),
        api(f"{comments}/productPageComments.action", jd.comments),
        api(f"{comments}/skuProductPageComments.action", jd.sku_comments),
        api(f"{comments}/getProductPageFoldComments.action", jd.folded),
        api(f"{comments}/productCommentSummaries.action", jd.summaries),
        api("/jd/api/", jd.gateway, "GET", "POST"),
        api("/jd/api", jd.gateway, "GET", "POST"),
        api("/jd/api/client.action", jd.gateway, "GET", "POST"),
        api("/jd/question/question/getQuestionAnswerList.action", jd.questions),
        api("/jd/question/question/getAnswerListById.action", jd.answers),
    ]


class _Jd:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def _reviews(self, model: Model | None) -> list[Item]:
        return [i for i in self._stage.visible("jd") if i.kind == "review" and model is not None and i.model is model]

    async def item_page(self, request: Request) -> Response:
        model = model_of_sku(request.path_params["sku"])
        if model is None:
            return RedirectResponse("/jd/www/?from=pc_item", 302)
        sku = request.path_params["sku"]
        return page("jd_item.html", seed=self._stage.signer.seed(), model=model, sku=sku, shop=JD_SHOP)

    async def comments(self, request: Request) -> Response:
        return self._old_list(request, self._reviews(model_of_sku(request.query_params.get("productId", ""))))

    async def sku_comments(self, request: Request) -> Response:
        sku = request.query_params.get("productId", "")
        return self._old_list(request, [item for item in self._reviews(model_of_sku(sku)) if item.sku == sku])

    async def folded(self, request: Request) -> Response:
        return self._old_list(request, [])

    def _old_list(self, request: Request, reviews: list[Item]) -> Response:
        if "/jd/item/" not in request.headers.get("referer", "") and "item.jd.com" not in request.headers.get(
            "referer", ""
        ):
            return jsonp(request, {}, charset="GBK")
        chosen = ordered(by_score(reviews, number(request, "score", 0)), number(request, "sortType", 5))
        pages = min(MAX_PAGES, -(-len(chosen) // PAGE))
        # Beyond the end the last page comes again.
        index = min(number(request, "page", 0), max(0, pages - 1))
        shown = chosen[index * PAGE : index * PAGE + PAGE]
        body = {
            "productAttr": None,
            "productCommentSummary": summary(reviews, request.query_params.get("productId", "")),
            "hotCommentTagStatistics": hot_tags(reviews),
            "jwotestProduct": None,
            "maxPage": pages,
            "score": number(request, "score", 0),
            "soType": number(request, "sortType", 5),
            "imageListCount": sum(item.pictures for item in reviews),
            "vTagStatistics": None,
            "comments": [old_comment(item) for item in shown],
        }
        return jsonp(request, body, charset="GBK")

    async def summaries(self, request: Request) -> Response:
        wanted = request.query_params.get("referenceIds", "").split(",")[:20]
        counts = [summary(self._reviews(model_of_sku(sku)), sku) for sku in wanted if model_of_sku(sku)]
        return jsonp(request, {"CommentsCount": counts}, charset="GBK")

    async def gateway(self, request: Request) -> Response:
        """api.m.jd.com: dispatches on functionId; parameters are JSON in ``body``."""
        form = await posted_form(request) if request.method == "POST" else {}
        fields = dict(request.query_params) | form
        if not self._stage.signer.accepts(fields.get("h5st"), request.url.path.rstrip("/")):
            return Response(b"", 403)
        body = as_object(fields.get("body", ""))
        match fields.get("functionId"):
            case "getLegoWareDetailComment":
                return answer(self._first_screen(str(body.get("sku", "")), bounded(body.get("commentNum"), 5, high=30)))
            case "getCommentListPage":
                return answer(self._new_list(body))
            case _:
                return answer({"code": 601, "echo": "functionId is not supported"})

    def _first_screen(self, sku: str, wanted: int) -> dict[str, Any]:
        reviews, model = self._reviews(model_of_sku(sku)), model_of_sku(sku)
        counts = summary(reviews, sku)
        asked = [i for i in self._stage.visible("jd") if i.kind == "question" and i.model is model]
        silent = f"{counts['defaultGoodCount']}个用户默认评价了该商品"
        return {
            "code": "0",
            "allCnt": str(len(reviews)),
            "allCntStr": str(len(reviews)),
            "goodCnt": str(counts["goodCount"]),
            "normalCnt": str(counts["generalCount"]),
            "badCnt": str(counts["poorCount"]),
            "pictureCnt": str(counts["showCount"]),
            "showPicCnt": str(counts["showCount"]),
            "goodRate": f"{counts['goodRateShow']}%",
            "isAllDefaultGoodComment": False,
            "defaultGoodCountText": base64.b64encode(silent.encode()).decode(),
            "semanticTagList": [
                {"id": tag["id"], "tagId": tag["id"], "name": tag["name"], "count": str(tag["count"]), "type": "4"}
                for tag in hot_tags(reviews)
            ],
            "questionGeneralInfo": {"sum": str(len(asked)), "questionCountText": f"{len(asked)}个问题"},
            "questionList": [self._screen_question(item) for item in asked[:2]],
            "noCommentText": "商品好不好，问问买过的人吧",
            "commentInfoList": [new_comment(item) for item in ordered(reviews, 5)[:wanted]],
        }

    def _screen_question(self, item: Item) -> dict[str, Any]:
        answers = under(self._stage.visible("jd"), item.native_id)
        return {
            "id": item.native_id,
            "content": item.text,
            "answerCountText": f"{len(answers)}个回答",
            "systemId": "1",
            "answerList": [
                {"content": a.text, "nickName": a.author.masked, "userImg": "", "type": "0", "systemId": "1"}
                for a in answers[:2]
            ],
        }

    def _new_list(self, body: dict[str, Any]) -> dict[str, Any]:
        """How a list is sorted and filtered is invented: ``sort`` and ``score``, as in the old list."""
        index = bounded(body.get("pageNum"), 1, low=1)
        chosen = by_score(self._reviews(model_of_sku(str(body.get("spuId", "")))), bounded(body.get("score"), 0))
        listed = ordered(chosen, bounded(body.get("sort"), 6))[: MAX_PAGES * PAGE]
        shown = listed[(index - 1) * PAGE : index * PAGE]
        floors: list[dict[str, Any]] = [
            {"mId": "commentlist-header", "data": []},
            {"mId": "commentlist-list", "data": [{"commentInfo": new_comment(item)} for item in shown]},
        ]
        return {"code": "0", "result": {"floors": floors if index == 1 else floors[1:]}}

    async def questions(self, request: Request) -> Response:
        model = model_of_sku(request.query_params.get("productId", ""))
        asked = [
            i for i in self._stage.visible("jd") if i.kind == "question" and model is not None and i.model is model
        ]
        index = number(request, "page", 1, low=1)
        shown = asked[(index - 1) * PAGE : index * PAGE]
        body = {"questionList": [self._question(item) for item in shown], "totalItem": len(asked)}
        return jsonp(request, body)

    def _question(self, item: Item) -> dict[str, Any]:
        answers = under(self._stage.visible("jd"), item.native_id)
        return {
            "id": int(item.native_id),
            "content": item.text,
            "productId": item.sku,
            "created": beijing(item.created_at),
            "answerCount": len(answers),
            "answerList": [self._answer(one) for one in answers[:2]],
        }

    def _answer(self, item: Item) -> dict[str, Any]:
        return {
            "id": int(item.native_id),
            "content": item.text,
            "created": beijing(item.created_at),
            "nickName": item.author.masked,
            "productId": item.sku,
        }

    async def answers(self, request: Request) -> Response:
        told = under(self._stage.visible("jd"), request.query_params.get("questionId", ""))
        index = number(request, "page", 1, low=1)
        return jsonp(request, {"answers": [self._answer(one) for one in told[(index - 1) * PAGE : index * PAGE]]})


def _json(data: Any) -> Build:
    return lambda request: jsonp(request, data)


def _no_comments(request: Request) -> Response:
    if request.url.path.endswith("QuestionAnswerList.action"):
        return jsonp(request, {"questionList": [], "totalItem": 0})
    return jsonp(request, {"maxPage": 0, "comments": [], "productCommentSummary": summary([], "0")}, charset="GBK")


def _asked_by_header(_: Request) -> Response:
    said = base64.urlsafe_b64encode(orjson.dumps({"code": 605, "disposal": {"evContent": "demo"}})).decode()
    return Response(b"", 200, {"x-rp-content": said, "content-type": "application/json"})


def _risk_page(_: Request) -> Response:
    return RedirectResponse("/jd/cfe/privatedomain/risk_handler/03101900/", 302)


_CLUB: Final = ("productPageComments.action", "skuProductPageComments.action")
ANSWERS: Final[dict[str, Answer]] = {
    "login_redirect": Answer(("login_required",), lambda request: to_login(request, "jd"), ("page", "api")),
    "login_code3": Answer(("login_required",), _json({"code": "3", "echo": "not login"})),
    "login_result": Answer(("login_required",), _json({"success": False, "resultCode": -100, "message": "用户未登录"})),
    "login_pin": Answer(("login_required",), _json({"code": "1", "msg": "pin is null, https://passport.jd.com/"})),
    "verification_header": Answer(("verification",), _asked_by_header),
    "verification_disposal": Answer(("verification",), _json({"disposal": {"evContent": "demo"}, "code": 605})),
    "verification_605": Answer(("verification",), _json({"code": 605})),
    "verification_redirect": Answer(("verification",), _risk_page, ("page", "api")),
    "blocked_403": Answer(("blocked", "throttled", "login_required"), lambda _: Response(b"", 403)),
    "blocked_601": Answer(("blocked",), _json({"code": 601, "echo": "gateway refused"})),
    "blocked_empty_object": Answer(("blocked", "login_required", "unknown"), _json({})),
    "blocked_empty_string": Answer(("blocked", "unknown"), _json("")),
    "blocked_empty_body": Answer(("blocked", "unknown"), lambda _: Response(b"", 200, media_type="application/json")),
    "comments_missing": Answer(("blocked", "unknown"), _json({"maxPage": 9, "productCommentSummary": {}}), only=_CLUB),
    "no_comments": Answer(("empty",), _no_comments, only=(*_CLUB, "getQuestionAnswerList.action")),
    "gone_product": Answer(("gone",), lambda _: RedirectResponse("/jd/www/?from=pc_item", 302), ("page",)),
}
"""JD's documented refusals (field guide: login, verification, gateway refusals, blocks that look like success)."""
