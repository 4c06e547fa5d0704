"""Douyin 抖音: search page, video page, and the page-signed calls that they make.

Real host ↔ prefix: www.douyin.com ``/douyin``. Calls want the page's own ``a_bogus`` parameter and are answered with
HTTP 200 and an empty body without it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shengwen.demo.cast import KEYWORDS
from shengwen.demo.items import Item
from shengwen.demo.people import Person
from shengwen.demo.replica.switches import Answer, Switches, to_login
from shengwen.demo.replica.web import (
    Stage,
    answer,
    as_object,
    bounded,
    find,
    millis,
    number,
    page,
    picture,
    replies,
    says,
    seconds,
    under,
)

SEARCH_PAGE: Final = 10
SEARCH_PAGES: Final = 20
"""A search ends here, however many videos there are."""
COMMENT_PAGE: Final = 20
API: Final = "/douyin/aweme/v1/web"
_MINUTES: Final = re.compile(r"(\d{1,5})-(\d{1,5})")


def routes(stage: Stage, switches: Switches) -> list[Route]:
    """All of Douyin's routes, behind its switches."""
    douyin = _Douyin(stage)
    switches.offer("douyin", ANSWERS, logged_out="login_8")

    def on_page(path: str, endpoint: Any) -> Route:
        return Route(path, switches.guard("douyin", "page", endpoint))

    def api(path: str, endpoint: Any) -> Route:
        return Route(f"{API}/{path}", switches.guard("douyin", "api", douyin.signed(endpoint)))

    return [
        on_page("/douyin/search/{keyword}", douyin.search_page),
        on_page("/douyin/video/{aweme_id}", douyin.video_page),
        api("general/search/single/", douyin.general_search),
        api("search/item/", douyin.video_search),
        api("aweme/detail/", douyin.detail),
        api("comment/list/", douyin.comments),
        api("comment/list/reply/", douyin.comment_replies),
    ]


class _Douyin:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def signed(self, endpoint: Any) -> Any:
        """The endpoint, refused to whoever is not the page's own script."""

        async def checked(request: Request) -> Response:
            if not self._stage.signer.accepts(request.query_params.get("a_bogus"), request.url.path):
                return Response(b"", 200, media_type="application/json")
            result: Response = await endpoint(request)
            return result

        return checked

    def _items(self) -> list[Item]:
        return self._stage.visible("douyin")

    async def search_page(self, request: Request) -> Response:
        keyword = request.path_params["keyword"][:80]
        return page("douyin_search.html", seed=self._stage.signer.seed(), keyword=keyword)

    async def video_page(self, request: Request) -> Response:
        seed, aweme_id = self._stage.signer.seed(), request.path_params["aweme_id"][:30]
        return page("douyin_video.html", seed=seed, aweme_id=aweme_id)

    def _found(self, request: Request, visible: list[Item]) -> tuple[list[Item], int, int, bool]:
        videos = says([item for item in visible if item.kind == "video"], request.query_params.get("keyword", ""))
        chosen = dict(request.query_params) | as_object(request.query_params.get("filter_selected", ""))
        if str(chosen.get("sort_type")) == "1":
            videos.sort(key=lambda item: item.likes, reverse=True)
        days = bounded(chosen.get("publish_time"), 0)
        if days:
            now = self._stage.clock.now()
            videos = [item for item in videos if (now - item.created_at).total_seconds() <= days * 86_400]
        if str(chosen.get("content_type")) == "2":
            videos = []  # nobody in the story shows pictures here
        minutes = _MINUTES.fullmatch(str(chosen.get("filter_duration", "")))
        if minutes is not None:
            least, most = (60_000 * int(minute) for minute in minutes.groups())
            videos = [item for item in videos if least <= duration(item) < most]
        offset, size = number(request, "offset", 0), number(request, "count", SEARCH_PAGE, low=1, high=SEARCH_PAGE)
        del videos[SEARCH_PAGES * SEARCH_PAGE :]
        return videos[offset : offset + size], offset, offset + size, len(videos) > offset + size

    def _envelope(self, cards: list[dict[str, Any]], cursor: int, more: bool) -> Response:
        now = millis(self._stage.clock.now())
        logid = f"{now:020d}"
        body = {
            "status_code": 0,
            "data": cards,
            "has_more": int(more),
            "cursor": cursor,
            "qc": "",
            "ad_info": {},
            "polling_time": 30,
            "backtrace": "",
            "extra": {"now": now, "logid": logid, "fatal_item_ids": [], "search_request_id": ""},
            "log_pb": {"impr_id": logid, "stab_extra": {"traffic_identification": "normal"}},
        }
        return answer(body, headers={"x-tt-logid": logid})

    async def general_search(self, request: Request) -> Response:
        visible = self._items()
        shown, offset, cursor, more = self._found(request, visible)
        cards: list[dict[str, Any]] = [
            {"type": 1, "aweme_info": _aweme(item, visible), "provider_doc_id_str": ""} for item in shown
        ]
        if offset == 0 and cards:
            words = [{"word": f"{word}安装", "id": str(n)} for n, word in enumerate(KEYWORDS)]
            cards.insert(min(3, len(cards)), {"type": 6, "related_word_list": words})
        return self._envelope(cards, cursor, more)

    async def video_search(self, request: Request) -> Response:
        visible = self._items()
        shown, _, cursor, more = self._found(request, visible)
        return self._envelope([_aweme(item, visible) for item in shown], cursor, more)

    async def detail(self, request: Request) -> Response:
        video = find(self._items(), request.query_params.get("aweme_id", ""), "video")
        if video is None:
            return _gone(request)
        return answer({"status_code": 0, "aweme_detail": _aweme(video, self._items()), "log_pb": {"impr_id": "0"}})

    async def comments(self, request: Request) -> Response:
        items, aweme_id = self._items(), request.query_params.get("aweme_id", "")
        roots = under(items, aweme_id)
        video = find(items, aweme_id, "video")
        return self._thread(request, roots, video, total=len(under(items, aweme_id, roots=False)))

    async def comment_replies(self, request: Request) -> Response:
        items = self._items()
        thread = replies(items, request.query_params.get("comment_id", ""))
        video = find(items, request.query_params.get("item_id", ""), "video")
        return self._thread(request, thread, video, total=len(thread))

    def _thread(self, request: Request, comments: list[Item], video: Item | None, *, total: int) -> Response:
        cursor, size = number(request, "cursor", 0), number(request, "count", COMMENT_PAGE, low=1, high=COMMENT_PAGE)
        shown, visible = comments[cursor : cursor + size], self._items()
        body = {
            "status_code": 0,
            # null, not [], when there are none
            "comments": [_comment(item, video, visible) for item in shown] or None,
            "cursor": cursor + size,
            "has_more": int(len(comments) > cursor + size),
            "reply_style": 2,
            "total": total,
            "folded_comment_count": 0,
            "extra": {"now": millis(self._stage.clock.now()), "fatal_item_ids": None},
            "log_pb": {"impr_id": "0"},
        }
        return answer(body)


def duration(video: Item) -> int:
    """Milliseconds, from some seconds to ten minutes."""
    return 7_000 + int(video.native_id[-4:]) % 600 * 1000


def _aweme(video: Item, visible: list[Item]) -> dict[str, Any]:
    total = len(under(visible, video.native_id, roots=False))
    tags = [word[1:] for word in video.text.split() if word.startswith("#")]
    return {
        "aweme_id": video.native_id,
        "desc": video.text,
        "create_time": seconds(video.created_at),
        "author": _author(video.author),
        "statistics": {
            "digg_count": video.likes,
            "comment_count": total,
            "share_count": video.likes // 6,
            "collect_count": video.likes // 4,
            "play_count": 0,
        },
        "text_extra": [{"hashtag_name": tag, "hashtag_id": str(1000 + n), "type": 1} for n, tag in enumerate(tags)],
        "aweme_type": 0,
        "media_type": 4,
        "video": {
            "play_addr": {"url_list": [picture(video, 0)]},
            "cover": {"url_list": [picture(video, 0)]},
            "duration": duration(video),
        },
        "images": None,
        "share_url": f"https://www.iesdouyin.com/share/video/{video.native_id}/",
        "region": "CN",
        "is_top": 0,
    }


def _comment(item: Item, video: Item | None, visible: list[Item]) -> dict[str, Any]:
    by_author = video is not None and item.author.uid == video.author.uid
    made: dict[str, Any] = {
        "cid": item.native_id,
        "text": item.text,
        "aweme_id": item.parent_id,
        "create_time": seconds(item.created_at),
        "digg_count": item.likes,
        "status": 1,
        "user": _author(item.author),
        "reply_id": item.root_id or "0",
        "reply_to_reply_id": "0" if item.reply_to == item.root_id else item.reply_to or "0",
        "reply_comment": None,
        "reply_comment_total": 0 if item.root_id else len(replies(visible, item.native_id)),
        "text_extra": [],
        "image_list": None,
        "video_list": None,
        "label_text": "作者" if by_author else "",
        "label_type": 1 if by_author else -1,
        "label_list": [],
        "is_author_digged": False,
        "is_hot": False,
        "stick_position": 0,
        "is_folded": False,
        "level": 2 if item.root_id else 1,
        "content_type": 1,
    }
    if int(item.native_id) % 11:
        made["ip_label"] = item.author.province
    return made


def _author(person: Person) -> dict[str, Any]:
    made = {
        "uid": person.uid,
        "sec_uid": f"MS4wLjABAAAA{base64.urlsafe_b64encode(person.uid.encode()).decode().rstrip('=')}",
        "nickname": person.nick,
        "short_id": "0",
        "unique_id": "",
        "custom_verify": "",
        "enterprise_verify_reason": "",
        "region": "CN",
    }
    if person.official:
        made["enterprise_verify_reason"] = "岚炉暖通（虚构）有限公司官方账号"
    return made


def _plain(text: str, status: int = 200, **headers: str) -> Any:
    return lambda _: Response(text, status, headers, media_type="text/plain")


def _status(code: int, message: str) -> Any:
    return lambda _: answer({"status_code": code, "status_msg": message, "log_pb": {"impr_id": "0"}})


def _nil(kind: str, log_pb: Mapping[str, Any] = MappingProxyType({"impr_id": "0"}), **info: Any) -> Any:
    body = {
        "status_code": 0,
        "data": [],
        "has_more": 0,
        "cursor": 0,
        "search_nil_info": {"search_nil_type": kind, "search_nil_item": kind} | info,
        "extra": {"now": 0},
        "log_pb": dict(log_pb),
    }
    return lambda _: answer(body)


def _challenge(_: Request) -> Response:
    text = "<!doctype html><title>验证码中间页</title><script>var __ac_nonce='demo';</script><p>请完成验证（演示）</p>"
    return Response(text, media_type="text/html")


def _turing(_: Request) -> Response:
    said = base64.b64encode(orjson.dumps({"code": "10000", "subtype": "slide"})).decode()
    return answer({"status_code": 0}, headers={"x-vc-bdturing-parameters": said})


def _gone(request: Request) -> Response:
    if request.url.path.endswith("detail/"):
        return answer({"status_code": 0, "aweme_detail": None, "filter_detail": {"filter_reason": "status_self_see"}})
    return answer({"status_code": 0, "comments": None, "cursor": 20, "has_more": 0, "total": 0, "extra": {"now": 0}})


_NIL_CONTEXT: Final = {"impr_id": "0", "stab_extra": {"NilInfoContext": '{"search_nil_type":"verify_check"}'}}
_SEARCH: Final = ("single", "search/item")
ANSWERS: Final[dict[str, Answer]] = {
    "login_redirect": Answer(("login_required",), lambda request: to_login(request, "douyin"), ("page",)),
    "login_8": Answer(("login_required",), _status(8, "用户未登录")),
    "login_2483": Answer(("login_required",), _status(2483, "请先登录")),
    "verification_nil": Answer(("verification",), _nil("verify_check"), only=_SEARCH),
    "verification_nil_type": Answer(("verification",), _nil("", verify_type=1), only=_SEARCH),
    "verification_nil_status": Answer(("verification",), _nil("", result_status=5), only=_SEARCH),
    "verification_nil_context": Answer(("verification",), _nil("", _NIL_CONTEXT), only=_SEARCH),
    "verification_header": Answer(("verification",), _turing),
    "verification_page": Answer(("verification",), _challenge, ("page", "api")),
    "verification_account": Answer(
        ("verification",), lambda _: answer({"status_code": 0}, headers={"x-tt-verify-passport-decision": "1"})
    ),
    "blocked_empty": Answer(("blocked", "unknown"), lambda _: Response(b"", 200, media_type="application/json")),
    "blocked_text": Answer(("blocked",), _plain("blocked")),
    "blocked_uifid": Answer(("blocked", "unknown"), _plain("Uifid Not Found")),
    "throttled_403": Answer(("throttled", "blocked"), _plain("", 403)),
    "throttled_429": Answer(("throttled",), _plain("", 429)),
    "empty_search": Answer(("empty",), _nil("hit_shark"), only=_SEARCH),
    "gone": Answer(("gone", "empty"), _gone, only=("aweme/detail", "comment/list", "list/reply")),
}
"""Douyin's documented refusals; verify_check comes with status_code 0 and an empty list."""
