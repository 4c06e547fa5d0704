"""Xiaohongshu 小红书: search page, note page, and the page-signed calls that they make.

Real host ↔ prefix: www.xiaohongshu.com ``/xhs`` · edith.xiaohongshu.com ``/xhs/edith``. Calls want the page's own
``X-s`` and ``X-t`` headers and are refused with HTTP 406 without them. A note's page and its calls want the
``xsec_token`` that the search gave.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import orjson
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shengwen.demo.cast import KEYWORDS
from shengwen.demo.items import Item
from shengwen.demo.people import Person
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
        keyword = request.query_params.get("keyword") or KEYWORDS[0]
        return page("xhs_search.html", seed=self._stage.signer.seed(), keyword=keyword[:80])

    async def note_page(self, request: Request) -> Response:
        note = find(self._items(), request.path_params["note_id"], "post")
        token = request.query_params.get("xsec_token", "")
        if note is None or token != self._stage.signer.item_token(note.native_id):
            return page("xhs_note.html", seed="", note=None, state=_state(None, 0))
        counts = len(under(self._items(), note.native_id, roots=False))
        return page(
            "xhs_note.html",
            seed=self._stage.signer.seed(),
            note=note,
            title=note.title or note.plain[:20],
            token=token,
            state=_state(note, counts),
        )

    async def search(self, request: Request) -> Response:
        body = await posted_json(request)
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
        return _good({"items": items, "has_more": len(notes) > index * size})

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
            "user": _user(note.author) | {"nick_name": note.author.nick},
            "interact_info": {
                "liked": False,
                "liked_count": short_count(note.likes),
                "collected": False,
                "collected_count": short_count(note.likes // 2),
                "comment_count": str(len(under(visible, note.native_id, roots=False))),
                "shared_count": str(note.likes // 9),
            },
            "cover": {"width": 480, "height": 640, "url_default": picture(note, 0), "url_pre": picture(note, 0)},
            "image_list": [_image(note, n) for n in range(note.pictures)],
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
        item = {"id": note.native_id, "model_type": "note", "note_card": _note_card(note, total)}
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
        items = self._items()
        rest = after(under(items, note.native_id), query.get("cursor", ""))
        shown = rest[:COMMENT_PAGE]
        data = {
            "comments": [_root(root, note, replies(items, root.native_id)) for root in shown],
            "cursor": shown[-1].native_id if shown else "",
            "has_more": len(rest) > COMMENT_PAGE,
            "time": millis(self._stage.clock.now()),
            "user_id": _VIEWER,
            "xsec_token": query.get("xsec_token", ""),
        }
        return _good(data)

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
            "comments": [_reply(item, note) for item in shown],
            "cursor": shown[-1].native_id if shown else "",
            "has_more": len(rest) > size,
            "time": millis(self._stage.clock.now()),
            "user_id": _VIEWER,
            "xsec_token": query.get("xsec_token", ""),
        }
        return _good(data)


_VIEWER: Final = "5f0000000000000000000000"
"""The invented account that looks at the pages."""
_TOPIC: Final = re.compile(r"#([^#\[\s]+)\[话题\]#")


def note_type(note: Item) -> str:
    """What is not shown in pictures is a video."""
    return "normal" if note.pictures else "video"


def short_count(number: int) -> str:
    """As the site shows it: "1.5万" from ten thousand on."""
    return str(number) if number < 10_000 else f"{number / 10_000:.1f}万"


def _user(person: Person) -> dict[str, Any]:
    return {"user_id": person.uid, "nickname": person.nick, "avatar": ""}


def _image(note: Item, n: int) -> dict[str, Any]:
    url = picture(note, n)
    return {
        "width": 480,
        "height": 640,
        "url_default": url,
        "url_pre": url,
        "live_photo": False,
        "info_list": [{"image_scene": "WB_DFT", "url": url}],
    }


def _tags(note: Item) -> list[dict[str, str]]:
    names = _TOPIC.findall(note.text)
    return [{"id": f"{index:024x}", "name": name, "type": "topic"} for index, name in enumerate(names)]


def _note_card(note: Item, comments: int) -> dict[str, Any]:
    card: dict[str, Any] = {
        "note_id": note.native_id,
        "type": note_type(note),
        "title": note.title,
        "desc": note.text,
        "time": millis(note.created_at),
        "last_update_time": millis(note.created_at),
        "user": _user(note.author),
        "interact_info": {
            "liked": False,
            "liked_count": short_count(note.likes),
            "collected": False,
            "collected_count": short_count(note.likes // 2),
            "comment_count": str(comments),
            "share_count": str(note.likes // 9),
            "followed": False,
            "relation": "none",
        },
        "image_list": [_image(note, n) for n in range(note.pictures)],
        "tag_list": _tags(note),
        "at_user_list": [],
        "share_info": {"un_share": False},
    }
    if note.likes % 7:
        card["ip_location"] = note.author.province
    return card


def _comment(item: Item, note: Item) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": item.native_id,
        "note_id": note.native_id,
        "content": item.text,
        "create_time": millis(item.created_at),
        "like_count": str(item.likes),
        "liked": False,
        "status": 0,
        "user_info": {"user_id": item.author.uid, "nickname": item.author.nick, "image": ""},
        "show_tags": ["is_author"] if item.author.uid == note.author.uid else [],
        "at_users": [],
        "pictures": [],
    }
    # The province is missing on some of the real comments, too.
    if int(item.native_id[-1], 16) % 4:
        made["ip_location"] = item.author.province
    return made


def _reply(item: Item, note: Item) -> dict[str, Any]:
    return _comment(item, note) | {
        "target_comment": {"id": item.reply_to, "user_info": {"user_id": "", "nickname": ""}}
    }


def _root(root: Item, note: Item, thread: list[Item]) -> dict[str, Any]:
    return _comment(root, note) | {
        "sub_comment_count": str(len(thread)),
        "sub_comments": [_reply(item, note) for item in thread[:1]],
        "sub_comment_cursor": thread[0].native_id if thread else "",
        "sub_comment_has_more": len(thread) > 1,
    }


def _state(note: Item | None, comments: int) -> Markup:
    """``window.__INITIAL_STATE__`` as the site writes it: JSON with bare ``undefined`` and escaped slashes."""
    if note is None:
        detail: dict[str, Any] = {
            "undefined": {"comments": {"list": [], "cursor": "", "hasMore": True}, "currentTime": 0, "note": {}}
        }
    else:
        card = _note_card(note, comments)
        shown = {
            "noteId": note.native_id,
            "type": card["type"],
            "title": note.title,
            "desc": note.text,
            "time": card["time"],
            "lastUpdateTime": card["last_update_time"],
            "ipLocation": note.author.province,
            "user": {"userId": note.author.uid, "nickname": note.author.nick, "avatar": ""},
            "interactInfo": {
                "likedCount": card["interact_info"]["liked_count"],
                "collectedCount": card["interact_info"]["collected_count"],
                "commentCount": str(comments),
                "shareCount": card["interact_info"]["share_count"],
            },
            "tagList": card["tag_list"],
            "imageList": [{"urlDefault": picture(note, n), "width": 480, "height": 640} for n in range(note.pictures)],
        }
        blank = {"list": [], "cursor": "", "hasMore": True, "loading": False, "firstRequestFinish": False}
        detail = {note.native_id: {"comments": blank, "currentTime": card["time"], "note": shown}}
    state = {
        "global": {"appSettings": "@undefined@"},
        "user": {"loggedIn": False, "userInfo": {"userId": _VIEWER}, "activeTab": "@undefined@"},
        "note": {
            "noteDetailMap": detail,
            "serverRequestInfo": {"state": "success", "errorCode": 0, "errMsg": ""},
            "volume": "@undefined@",
        },
    }
    text = orjson.dumps(state).decode().replace('"@undefined@"', "undefined")
    return Markup(text.replace("/", "\\u002F").replace("<", "\\u003C"))  # noqa: S704 - no tag can be closed or opened


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
    return _good({"comments": [], "cursor": "", "has_more": False, "time": 0, "user_id": _VIEWER, "xsec_token": ""})


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
}
"""Xiaohongshu's documented refusals; 461 and 471 come with a body that looks like success."""
