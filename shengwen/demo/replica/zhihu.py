"""Zhihu 知乎: question pages with their state inside, the answers feed, comment_v5, articles, search, the open API.

Real host ↔ prefix: www.zhihu.com ``/zhihu`` · zhuanlan.zhihu.com ``/zhihu/zhuanlan`` · developer.zhihu.com
``/zhihu/developer``. Feeds and comments answer a plain GET; ``search_v3`` wants the page's own ``x-zse-96`` header
(400, code 10003 without it), mixes in what is no hit, and promises more until nothing comes; the open API wants
``Authorization: Bearer …``. An answer's own page is for people who are logged in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from shengwen.demo.cast import KEYWORDS
from shengwen.demo.items import Item
from shengwen.demo.replica.switches import Answer, Switches, to_login
from shengwen.demo.replica.web import Stage, answer, find, number, page, replies, says, under
from shengwen.demo.replica.zhihu_records import (
    SITE,
    answer_state,
    article_state,
    comment,
    feed_answer,
    open_item,
    question_state,
    root_comment,
    search_hit,
    zvideo_state,
)
from shengwen.demo.settings import LOGIN_COOKIES

SEARCH: Final = "/api/v4/search_v3"
SSR_ANSWERS: Final = 3
COMMENTS: Final = 20
RESOURCES: Final = {"answers": "answer", "articles": "article", "questions": "question", "zvideos": "video"}
FOUND: Final = ("answer", "article", "question", "video")
"""Kinds that the site's search finds."""
VERTICALS: Final = {"answer": "answer", "article": "article", "zvideo": "video"}
INTERVALS: Final = {"a_day": 1, "a_week": 7, "a_month": 30, "three_months": 91, "half_a_year": 182, "a_year": 365}
"""Days."""


def routes(stage: Stage, switches: Switches) -> list[Route]:
    """All of Zhihu's routes, behind its switches."""
    zhihu = _Zhihu(stage)
    switches.offer("zhihu", ANSWERS, logged_out="login_401")

    def on_page(path: str, endpoint: Any) -> Route:
        return Route(path, switches.guard("zhihu", "page", endpoint))

    def api(path: str, endpoint: Any) -> Route:
        return Route(path, switches.guard("zhihu", "api", endpoint))

    zhihu.marks = lambda: switches.get("zhihu").answer
    return [
        on_page("/zhihu/question/{question_id}", zhihu.question_page),
        on_page("/zhihu/question/{question_id}/answer/{answer_id}", zhihu.answer_page),
        on_page("/zhihu/zhuanlan/p/{article_id}", zhihu.article_page),
        on_page("/zhihu/zvideo/{video_id}", zhihu.video_page),
        on_page("/zhihu/search", zhihu.search_page),
        api("/zhihu/api/v4/questions/{question_id}/feeds", zhihu.feeds),
        api("/zhihu/api/v4/comment_v5/{resource}/{native_id}/root_comment", zhihu.root_comments),
        api("/zhihu/api/v4/comment_v5/comment/{root_id}/child_comment", zhihu.child_comments),
        api("/zhihu/api/v4/search_v3", zhihu.search),
        api("/zhihu/developer/api/v1/content/zhihu_search", zhihu.open_search),
    ]


class _Zhihu:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.marks: Any = lambda: None

    def _items(self) -> list[Item]:
        return self._stage.visible("zhihu")

    def _answers(self, question_id: str) -> list[Item]:
        """By votes, as by default."""
        told = [i for i in self._items() if i.kind == "answer" and i.parent_id == question_id]
        return sorted(told, key=lambda item: (item.likes, item.created_at), reverse=True)

    def _talk(self, native_id: str) -> int:
        return sum(item.kind == "comment" and item.parent_id == native_id for item in self._items())

    async def question_page(self, request: Request) -> Response:
        question = find(self._items(), request.path_params["question_id"], "question")
        if question is None:
            return page("gone.html", seed="", site="知乎", status=404)
        answers = self._answers(question.native_id)
        return self._question_page(request, question, answers)

    def _question_page(self, request: Request, question: Item, answers: Sequence[Item]) -> Response:
        state = self._state(request, question, answers)
        return page(
            "zhihu_question.html",
            seed=self._stage.signer.seed(),
            question=question,
            total=len(answers),
            state=_script(state),
        )

    def _state(self, request: Request, question: Item, answers: Sequence[Item]) -> dict[str, Any]:
        shown = answers[:SSR_ANSWERS]
        mark = self.marks()
        rest = len(answers) > SSR_ANSWERS
        path = f"/api/v4/questions/{question.native_id}/feeds"
        ids = [{"type": "question_feed_card", "targetType": "answer", "target": item.native_id} for item in shown]
        return {
            "initialState": {
                "captcha": {"captchaNeeded": False},
                "entities": {
                    "questions": {question.native_id: question_state(question, len(answers))},
                    "answers": {
                        item.native_id: answer_state(item, question, self._talk(item.native_id)) for item in shown
                    },
                    "articles": {},
                    "users": {},
                },
                "question": {
                    "answers": {
                        question.native_id: {
                            "ids": ids,
                            "newIds": [],
                            "isDrained": mark == "login_ssr" or not rest,
                            "totals": len(answers),
                            "next": _page_url(request, path, offset=SSR_ANSWERS, limit=5, order="default")
                            if rest
                            else "",
                            "previous": "",
                            "antiSpider": mark == "blocked_antispider",
                            "needForceLogin": mark == "login_ssr",
                            "error": False,
                            "errorPayload": None,
                            "sessionId": "",
                        }
                    }
                },
            }
        }

    async def answer_page(self, request: Request) -> Response:
        if LOGIN_COOKIES["zhihu"] not in request.cookies:
            return _error(403, 40362, "您当前请求存在异常，暂时限制本次访问。")
        question = find(self._items(), request.path_params["question_id"], "question")
        own = find(self._items(), request.path_params["answer_id"], "answer")
        if question is None or own is None or own.parent_id != question.native_id:
            return page("gone.html", seed="", site="知乎", status=404)
        others = [item for item in self._answers(question.native_id) if item is not own]
        return self._question_page(request, question, [own, *others])

    async def video_page(self, request: Request) -> Response:
        video = find(self._items(), request.path_params["video_id"], "video")
        if video is None:
            return page("gone.html", seed="", site="知乎", status=404)
        entities = {"zvideos": {video.native_id: zvideo_state(video, self._talk(video.native_id))}}
        state = {"initialState": {"captcha": {"captchaNeeded": False}, "entities": entities}}
        return page("zhihu_zvideo.html", seed=self._stage.signer.seed(), video=video, state=_script(state))

    async def article_page(self, request: Request) -> Response:
        article = find(self._items(), request.path_params["article_id"], "article")
        if article is None:
            return page("gone.html", seed="", site="知乎", status=404)
        entity = article_state(article, self._talk(article.native_id))
        entities = {"questions": {}, "answers": {}, "articles": {article.native_id: entity}, "users": {}}
        state = {"initialState": {"captcha": {"captchaNeeded": False}, "entities": entities}}
        return page("zhihu_article.html", seed=self._stage.signer.seed(), article=article, state=_script(state))

    async def feeds(self, request: Request) -> Response:
        question = find(self._items(), request.path_params["question_id"], "question")
        if question is None:
            return _error(404, 404, "资源不存在")
        answers, order = self._answers(question.native_id), request.query_params.get("order", "default")
        if order == "updated":
            answers.sort(key=lambda item: item.created_at, reverse=True)
        offset, size = number(request, "offset", 0), number(request, "limit", 5, low=1, high=20)
        shown = answers[offset : offset + size]
        path = f"/api/v4/questions/{question.native_id}/feeds"
        cards: list[dict[str, Any]] = [
            {
                "type": "question_feed_card",
                "target_type": "answer",
                "cursor": item.native_id,
                "position": offset + index,
                "target": feed_answer(item, question, self._talk(item.native_id)),
            }
            for index, item in enumerate(shown)
        ]
        if offset == 0 and cards:
            cards.insert(1, {"type": "question_ad_card", "target_type": "ad", "target": {"id": "0"}})
        following = _page_url(request, path, offset=offset + size, limit=size, order=order)
        paging = {
            "page": offset // size + 1,
            "is_end": len(answers) <= offset + size,
            "next": following,
            "need_force_login": False,
        }
        return answer(
            {
                "data": cards,
                "session": {"id": ""},
                "paging": paging,
                "ad_info": None,
                "finished_reading_filtered_count": 0,
            }
        )

    async def root_comments(self, request: Request) -> Response:
        kind = RESOURCES.get(request.path_params["resource"])
        subject = find(self._items(), request.path_params["native_id"], kind or "")
        items = self._items()
        roots = [i for i in under(items, subject.native_id) if i.kind == "comment"] if subject else []
        if subject is None or not roots:
            return _error(404, 404, "资源不存在")
        if request.query_params.get("order_by", request.query_params.get("order")) != "ts":
            roots.sort(key=lambda item: (item.likes, item.created_at), reverse=True)
        shown, paging = self._slice(request, roots)
        body = {
            "counts": {"total_counts": self._talk(subject.native_id), "collapsed_counts": 0, "reviewing_counts": 0},
            "comment_status": {"type": 0, "text": ""},
            "edit_status": {"can_reply": False, "toast": "未登录用户"},
            "paging": paging,
            "sorter": [{"type": "score", "text": "默认"}, {"type": "ts", "text": "最新"}],
            "data": [root_comment(item, subject, replies(items, item.native_id)) for item in shown],
        }
        return answer(body)

    async def child_comments(self, request: Request) -> Response:
        root = find(self._items(), request.path_params["root_id"], "comment")
        subject = find(self._items(), root.parent_id or "", "answer", "article", "question") if root else None
        if root is None or subject is None:
            return _error(404, 404, "资源不存在")
        thread = replies(self._items(), root.native_id)
        shown, paging = self._slice(request, thread)
        body = {
            "counts": {"total_counts": len(thread), "collapsed_counts": 0, "reviewing_counts": 0},
            "paging": paging,
            "root": comment(root, subject),
            "data": [comment(item, subject) for item in shown],
        }
        return answer(body)

    def _slice(self, request: Request, comments: Sequence[Item]) -> tuple[Sequence[Item], dict[str, Any]]:
        """A page by the opaque offset ``{index}_{id}_0``. The last page's ``next`` leads to itself."""
        size = number(request, "limit", 10, low=1, high=COMMENTS)
        raw = request.query_params.get("offset", "").split("_")[0]
        begin = min(int(raw), len(comments)) if raw.isascii() and raw.isdigit() and len(raw) < 9 else 0
        shown = comments[begin : begin + size]
        end = len(comments) <= begin + size
        following = begin if end else begin + size
        mark = comments[min(following, len(comments) - 1)].native_id if comments else "0"
        path = request.url.path.removeprefix("/zhihu")
        order = request.query_params.get("order_by", "score")
        paging = {
            "is_end": end,
            "is_start": begin == 0,
            "next": _page_url(request, path, order_by=order, limit=size, offset=f"{following}_{mark}_0"),
            "previous": "",
            "totals": len(comments),
        }
        return shown, paging

    async def search_page(self, request: Request) -> Response:
        keyword = (request.query_params.get("q") or KEYWORDS[0])[:80]
        state = {"initialState": {"captcha": {"captchaNeeded": False}, "entities": {}}}
        return page("zhihu_search.html", seed=self._stage.signer.seed(), keyword=keyword, state=_script(state))

    async def search(self, request: Request) -> Response:
        """What nobody asked for is mixed in, and there is always more to come, until nothing comes."""
        if not self._stage.signer.accepts(request.headers.get("x-zse-96"), request.url.path):
            return _error(400, 10003, "请求参数异常，请升级客户端后重试。")
        found = self._found(request)
        offset, size = number(request, "offset", 0), number(request, "limit", 20, low=1, high=20)
        hits: list[dict[str, Any]] = [
            search_hit(item, self._talk(item.native_id), len(self._answers(item.native_id)))
            for item in found[offset : offset + size]
        ]
        if hits:
            hits.insert(1, {"type": "knowledge_ad", "object": {"type": "answer", "id": "1", "content": "广告（演示）"}})
        if offset == 0 and hits:
            hits.insert(1, {"type": "relevant_query", "query_list": [{"query": word} for word in KEYWORDS]})
            hits.append({"type": "search_result", "object": {"type": "topic", "id": "1", "name": "暖气片"}})
        query = dict(request.query_params) | {"limit": str(size), "offset": str(offset + size)}
        return answer({"data": hits, "paging": {"is_end": False, "next": _page_url(request, SEARCH, **query)}})

    def _found(self, request: Request) -> list[Item]:
        """What the search is asked for: by votes, unless the newest are wanted first."""
        asked = request.query_params
        found = says([item for item in self._items() if item.kind in FOUND], asked.get("q", ""))
        if asked.get("vertical") in VERTICALS:
            found = [item for item in found if item.kind == VERTICALS[asked["vertical"]]]
        if asked.get("time_interval") in INTERVALS:
            since = self._stage.clock.now() - timedelta(days=INTERVALS[asked["time_interval"]])
            found = [item for item in found if item.created_at >= since]
        if asked.get("sort") != "created_time":
            found.sort(key=lambda item: (item.likes, item.created_at), reverse=True)
        return found

    async def open_search(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "")
        if not bearer.startswith("Bearer ") or not request.headers.get("x-request-timestamp", "").isdigit():
            return answer({"Code": 20001, "Message": "authentication failed", "Data": None})
        query = request.query_params.get("Query", "")
        if not query:
            return answer({"Code": 10001, "Message": "Query is required", "Data": None})
        size = number(request, "Count", 10, low=1, high=10)
        found = says([i for i in self._items() if i.kind in ("answer", "article")], query)[:size]
        items = [open_item(item, rank, self._talk(item.native_id)) for rank, item in enumerate(found)]
        data = {"HasMore": False, "SearchHashId": "demo", "Items": items}
        return answer({"Code": 0, "Message": "success", "Data": data})


def _page_url(request: Request, path: str, **query: object) -> str:
    """An absolute address on the replica, as paging hands out."""
    return f"{str(request.base_url).rstrip('/')}/zhihu{path}?{urlencode(query)}"


def _script(state: dict[str, Any]) -> Markup:
    # Strict JSON inside a script element: HTML-significant characters as \\u escapes, nothing can close the element.
    text = orjson.dumps(state).decode()
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704


def _error(status: int, code: int, message: str, **more: Any) -> Response:
    return answer({"error": {"code": code, "message": message, "name": "demo"} | more}, status=status)


def _refuse(status: int, code: int, message: str, **more: Any) -> Any:
    return lambda _: _error(status, code, message, **more)


_UNHUMAN: Final = f"{SITE}/account/unhuman?type=S6E3V1&need_login=true"
_ABNORMAL: Final = "系统监测到您的网络环境存在异常，为保证您的正常访问，请点击下方验证按钮进行验证。"


def _safety_page(_: Request) -> Response:
    return Response("<!doctype html><title>安全验证 - 知乎</title><p>安全验证（演示）</p>", media_type="text/html")


ANSWERS: Final[dict[str, Answer]] = {
    "login_redirect": Answer(("login_required",), lambda request: to_login(request, "zhihu"), ("page", "api")),
    "login_401": Answer(("login_required",), _refuse(401, 100, "请先登录", need_login=True)),
    "login_ssr": Answer(("login_required", "ok"), None),
    "verification_40352": Answer(
        ("verification",), _refuse(403, 40352, _ABNORMAL, need_login=True, redirect=_UNHUMAN), ("page", "api")
    ),
    "verification_redirect": Answer(
        ("verification",), lambda _: RedirectResponse("/zhihu/account/unhuman?type=S6E3V1", 302), ("page", "api")
    ),
    "verification_page": Answer(("verification",), _safety_page, ("page", "api")),
    "blocked_40362": Answer(
        ("blocked", "verification"),
        _refuse(403, 40362, "您当前请求存在异常，暂时限制本次访问。如有疑问请反馈。"),
        ("page", "api"),
    ),
    "blocked_10003": Answer(("blocked", "unknown"), _refuse(403, 10003, "请求参数异常，请升级客户端后重试。")),
    "blocked_403": Answer(("blocked",), lambda _: Response(b"", 403), ("page", "api")),
    "blocked_antispider": Answer(("blocked",), None),
    "throttled_429": Answer(("throttled",), lambda _: Response(b"", 429), ("page", "api")),
    "gone_404": Answer(("gone",), _refuse(404, 404, "资源不存在"), ("page", "api")),
}
"""Zhihu's documented refusals. ``login_ssr`` and ``blocked_antispider`` are marks inside an otherwise usual page."""
