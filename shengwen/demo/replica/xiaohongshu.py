"""Xiaohongshu 小红书: search page, note page, and the page-signed calls that they make.

Real host ↔ prefix: www.xiaohongshu.com ``/xhs`` · edith.xiaohongshu.com ``/xhs/edith``. Calls want the page's own
``X-s`` and ``X-t`` headers and are refused with HTTP 406 without them. A note's page and its calls want the
``xsec_token`` that the search gave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shengwen.demo.cast import KEYWORDS
from shengwen.demo.items import Item
from shengwen.demo.replica.switches import Answer, Build, Switches, to_login
from shengwen.demo.replica.web import (
    Stage,
    after,
    answer,
    beijing,
    bounded,
    find,
    millis,
    page,
    picture,
    posted_json,
    replies,
    says,
    under,
)
from shengwen.demo.replica.xhs_records import (
    VIEWER,
    image,
    note_card,
    note_state,
    note_type,
    reply,
    root_comment,
    search_state,
    short_count,
    user,
)

SEARCH_PAGE: Final = 20
SEARCH_PAGES: Final = 11
"""A search ends here, however many notes there are, as on the real site."""
COMMENT_PAGE: Final = 10
SHORT_PAGE: Final = 5
"""The first page of replies is this short although more follow, as on the real site."""
API: Final = "/xhs/edith/api/sns/web"
WINDOWS: Final = {"一天内": 1, "一周内": 7, "半年内": 183}
NOTE_TYPES: Final = {"视频笔记": "video", "普通笔记": "normal"}


def routes(stage: Stage, switches: Switches) -> list[Route]:
    """All of Xiaohongshu's routes, behind its switches."""
    xhs = _Xiaohongshu(stage)
    switches.offer("xiaohongshu", ANSWERS, logged_out="login_101")
    xhs.marks = lambda: switches.get("xiaohongshu").answer

    def on_page(path: str, endpoint: Any) -> Route:
        return Route(path, switches.guard("xiaohongshu", "page", endpoint))

    def api(path: str, endpoint: Any, method: str) -> Route:
        return Route(path, switches.guard("xiaohongshu", "api", xhs.signed(endpoint)), methods=[method])

    return [
        on_page("/xhs/search_result", xhs.search_page),
        on_page("/xhs/explore/{note_id}", xhs.note_page),
        on_page("/xhs/explore", xhs.front_page),
        api(f"{API}/v1/search/notes", xhs.search, "POST"),
        api(f"{API}/v2/search/notes", xhs.search, "POST"),
        api(f"{API}/v1/feed", xhs.feed, "POST"),
        api(f"{API}/v2/comment/page", xhs.comments, "GET"),
        api(f"{API}/v2/comment/sub/page", xhs.sub_comments, "GET"),
    ]


class _Xiaohongshu:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.marks: Any = lambda: None

    def signed(self, endpoint: Any) -> Any:
        """The endpoint, refused to whoever is not the page's own script."""

        async def checked(request: Request) -> Response:
            if not self._stage.signer.accepts(request.headers.get("x-s"), request.url.path):
                return answer({"code": -1, "success": False, "msg": "create invoker failed"}, status=406)
            result: Response = await endpoint(request)
            return result

        return checked

    def _items(self) -> list[Item]:
        return self._stage.visible("xiaohongshu")

    async def front_page(self, request: Request) -> Response:
        return await self.search_page(request)

    async def search_page(self, request: Request) -> Response:
        keyword = (request.query_params.get("keyword") or KEYWORDS[0])[:80]
        mark = self.marks()
        state, first = None, None
        if mark in RENDERED:
            first = self._found({"keyword": keyword})
            state = search_state(first)
        return page(
            "xhs_search.html",
            seed=self._stage.signer.seed(),
            keyword=keyword,
            state=state,
            first=first if mark == "rendered" else None,
        )

    async def note_page(self, request: Request) -> Response:
        note = find(self._items(), request.path_params["note_id"], "post")
        token = request.query_params.get("xsec_token", "")
        if note is None or token != self._stage.signer.item_token(note.native_id):
            return page("xhs_note.html", seed="", note=None, state=note_state(None, 0), first=None)
        counts = len(under(self._items(), note.native_id, roots=False))
        mark = self.marks()
        said = self._comments(note, "") if mark in RENDERED else None
        first = {"note": note_card(note, counts), "comments": said} if mark == "rendered" else None
        return page(
            "xhs_note.html",
            seed=self._stage.signer.seed(),
            note=note,
            title=note.title or note.plain[:20],
            token=token,
            state=note_state(note, counts, said),
            first=first,
        )

    async def search(self, request: Request) -> Response:
        return _good(self._found(await posted_json(request)))

    def _found(self, body: dict[str, Any]) -> dict[str, Any]:
        visible = self._items()
        notes = says([item for item in visible if item.kind == "post"], str(body.get("keyword", "")))
        notes = self._filtered(notes, body, visible)[: SEARCH_PAGES * SEARCH_PAGE]
        index = bounded(body.get("page"), 1, low=1)
        size = bounded(body.get("page_size"), SEARCH_PAGE, low=1, high=SEARCH_PAGE)
        shown = notes[(index - 1) * size : index * size]
        items: list[dict[str, Any]] = [self._search_item(note, visible) for note in shown]
        if index == 1 and items:
            queries = [{"id": f"{word}安装", "search_word": f"{word}安装"} for word in KEYWORDS]
            related = {
                "id": "related#0",
                "model_type": "rec_query",
                "rec_query": {"title": "相关搜索", "queries": queries},
            }
            items.insert(min(4, len(items)), related)
        return {"items": items, "has_more": len(notes) > index * size}

    def _filtered(self, notes: list[Item], body: dict[str, Any], visible: list[Item]) -> list[Item]:
        """As the page's filters ask; newest first unless they sort otherwise."""
        tags = {str(one["type"]): str(one["tags"][0]) for one in body.get("filters") or []}
        days = WINDOWS.get(tags.get("filter_note_time", ""))
        if days is not None:
            now = self._stage.clock.now()
            notes = [note for note in notes if now - note.created_at <= timedelta(days=days)]
        wanted = NOTE_TYPES.get(tags.get("filter_note_type", ""))
        if wanted is not None:
            notes = [note for note in notes if note_type(note) == wanted]
        order: dict[str, Callable[[Item], int]] = {
            "popularity_descending": lambda note: note.likes,
            "collect_descending": lambda note: note.likes // 2,
            "comment_descending": lambda note: len(under(visible, note.native_id, roots=False)),
        }
        sort = tags.get("sort_type", str(body.get("sort")))
        if sort in order:
            notes.sort(key=order[sort], reverse=True)
        return notes

    def _search_item(self, note: Item, visible: list[Item]) -> dict[str, Any]:
        card: dict[str, Any] = {
            "type": note_type(note),
            "user": user(note.author) | {"nick_name": note.author.nick},
            "interact_info": {
                "liked": False,
                "liked_count": short_count(note.likes),
                "collected": False,
                "collected_count": short_count(note.likes // 2),
                "comment_count": str(len(under(visible, note.native_id, roots=False))),
                "shared_count": str(note.likes // 9),
            },
            "cover": {"width": 480, "height": 640, "url_default": picture(note, 0), "url_pre": picture(note, 0)},
            "image_list": [image(note, n) for n in range(note.pictures)],
            "corner_tag_info": [{"type": "publish_time", "text": beijing(note.created_at, "%Y-%m-%d")}],
        }
        if note.title:
            card["display_title"] = note.title
        token = self._stage.signer.item_token(note.native_id)
        return {"id": note.native_id, "model_type": "note", "note_card": card, "xsec_token": token}

    async def feed(self, request: Request) -> Response:
        body = await posted_json(request)
        note = self._opened(str(body.get("source_note_id", "")), str(body.get("xsec_token", "")))
        if note is None:
            return GONE(request)
        total = len(under(self._items(), note.native_id, roots=False))
        item = {"id": note.native_id, "model_type": "note", "note_card": note_card(note, total)}
        now = millis(self._stage.clock.now())
        return _good({"items": [item], "current_time": now, "cursor_score": ""})

    def _opened(self, note_id: str, token: str) -> Item | None:
        note = find(self._items(), note_id, "post")
        return note if note is not None and token == self._stage.signer.item_token(note_id) else None

    async def comments(self, request: Request) -> Response:
        query = request.query_params
        note = self._opened(query.get("note_id", ""), query.get("xsec_token", ""))
        if note is None:
            return GONE(request)
        data = self._comments(note, query.get("cursor", "")) | {
            "time": millis(self._stage.clock.now()),
            "user_id": VIEWER,
            "xsec_token": query.get("xsec_token", ""),
        }
        return _good(data)

    def _comments(self, note: Item, cursor: str) -> dict[str, Any]:
        items = self._items()
        rest = after(under(items, note.native_id), cursor)
        shown = rest[:COMMENT_PAGE]
        return {
            "comments": [root_comment(root, note, replies(items, root.native_id)) for root in shown],
            "cursor": shown[-1].native_id if shown else "",
            "has_more": len(rest) > COMMENT_PAGE,
        }

    async def sub_comments(self, request: Request) -> Response:
        query = request.query_params
        note = self._opened(query.get("note_id", ""), query.get("xsec_token", ""))
        if note is None:
            return GONE(request)
        thread = replies(self._items(), query.get("root_comment_id", ""))
        cursor = query.get("cursor", "")
        rest = after(thread, cursor)
        size = bounded(query.get("num"), COMMENT_PAGE, low=1, high=COMMENT_PAGE)
        # A short page with has_more still true, right after the preview that came with the root.
        if len(rest) > SHORT_PAGE and thread and cursor in ("", thread[0].native_id):
            size = min(size, SHORT_PAGE)
        shown = rest[:size]
        data = {
            "comments": [reply(item, note) for item in shown],
            "cursor": shown[-1].native_id if shown else "",
            "has_more": len(rest) > size,
            "time": millis(self._stage.clock.now()),
            "user_id": VIEWER,
            "xsec_token": query.get("xsec_token", ""),
        }
        return _good(data)


def _good(data: dict[str, Any]) -> Response:
    return answer({"code": 0, "success": True, "msg": "成功", "data": data})


def _bad(code: int | str, msg: str, status: int = 200) -> Build:
    return lambda _: answer({"code": code, "success": False, "msg": msg, "data": {}}, status=status)


def _captcha(status: int) -> Build:
    headers = {"Verifytype": "102", "Verifyuuid": "00000000-demo"}
    body = {"code": 0, "success": True, "msg": "成功", "data": {}}
    return lambda _: answer(body, status=status, headers=headers)


def _no_state(_: Request) -> Response:
    return Response("<!doctype html><title>小红书</title><p>请先验证（演示）</p>", media_type="text/html")


def _nothing(request: Request) -> Response:
    if request.url.path.endswith("notes"):
        return _good({"items": [], "has_more": False})
    return _good({"comments": [], "cursor": "", "has_more": False, "time": 0, "user_id": VIEWER, "xsec_token": ""})


GONE: Final = _bad(-510000, "笔记不存在")
_NOTE_CALLS: Final = ("/v1/feed", "/comment/page", "/sub/page")
ANSWERS: Final[dict[str, Answer]] = {
    "login_redirect": Answer(("login_required",), lambda request: to_login(request, "xiaohongshu"), ("page", "api")),
    "login_100": Answer(("login_required",), _bad(-100, "登录已过期")),
    "login_101": Answer(("login_required",), _bad("-101", "无登录信息，或登录信息为空")),
    "login_104": Answer(("login_required", "blocked"), _bad(-104, "您当前登录的账号没有权限访问")),
    "verification_461": Answer(("verification",), _captcha(461)),
    "verification_471": Answer(("verification",), _captcha(471)),
    "verification_300015": Answer(("verification",), _bad(300015, "请完成验证")),
    "verification_page": Answer(("verification", "login_required", "unknown"), _no_state, ("page",)),
    "throttled_300013": Answer(("throttled",), _bad(300013, "访问频次异常，请勿频繁操作")),
    "throttled_429": Answer(("throttled",), lambda _: Response(b"", 429)),
    "blocked_300012": Answer(("blocked",), _bad(300012, "网络连接异常，请检查网络设置或重启试试")),
    "blocked_300011": Answer(("blocked",), _bad(300011, "检测到账号异常，请稍后重启试试")),
    "refused_401": Answer(("login_required", "blocked"), lambda _: Response(b"", 401)),
    "refused_403": Answer(("blocked", "throttled"), lambda _: Response(b"", 403)),
    "refused_406": Answer(("blocked", "throttled", "unknown"), _bad(-1, "create invoker failed", 406)),
    "gone_510000": Answer(("gone",), GONE, only=_NOTE_CALLS),
    "gone_510001": Answer(("gone",), _bad(-510001, "笔记状态异常，请稍后查看"), only=_NOTE_CALLS),
    "no_comments": Answer(("empty",), _nothing, only=("/search/notes", "/comment/page", "/sub/page")),
    "rendered": Answer(("ok", "empty"), None, ("page",)),
    "rendered_twice": Answer(("ok", "empty"), None, ("page",)),
}
"""Xiaohongshu's documented refusals; 461 and 471 come with a body that looks like success. And :data:`RENDERED`."""
RENDERED: Final = ("rendered", "rendered_twice")
"""No refusals: a page's state holds its first screen, which the page does not ask for, or asks for all the same."""
