"""Xiaohongshu: a keyword's notes, newest first, and everything said below them, as the web page loads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import orjson

from crawlers.payload import Payload
from crawlers.posts import PostsSpider
from crawlers.search_parts import Axis, Option
from ingest.draft import Draft

HOST: Final = "www.xiaohongshu.com"

_SORT: Final = ("排序依据", "sort_type")
AXES: Final = (
    Axis(
        "parts",
        (
            Option("笔记类型", "图文", "filter_note_type", "普通笔记"),
            Option("笔记类型", "视频", "filter_note_type", "视频笔记"),
        ),
    ),
    Axis(
        "windows",
        tuple(Option("发布时间", words, "filter_note_time", words) for words in ("半年内", "一周内", "一天内")),
    ),
    Axis(
        "orders",
        (
            Option(_SORT[0], "最新", _SORT[1], "time_descending", newest=True),
            Option(_SORT[0], "最多点赞", _SORT[1], "popularity_descending"),
            Option(_SORT[0], "最多评论", _SORT[1], "comment_descending"),
            Option(_SORT[0], "最多收藏", _SORT[1], "collect_descending"),
        ),
    ),
)
_NOTE_TYPES: Final = {"1": "视频笔记", "2": "普通笔记"}


class XiaohongshuSpider(PostsSpider):
    platform = "xiaohongshu"
    listens = re.compile(r"xiaohongshu\.com/api/sns/web/v\d/(search/notes|feed|comment/page|comment/sub/page)$")
    places = re.compile(r"^www\.xiaohongshu\.com/(search_result|explore)(/|$)")
    data_pages = re.compile(r"^www\.xiaohongshu\.com/explore/[0-9a-f]{24}$")
    state_mark = b"window.__INITIAL_STATE__"
    hit_kinds = frozenset({"post"})
    search_path = re.compile(r"/search/notes$")
    comments_path = re.compile(r"/comment/page$")
    replies_path = re.compile(r"/comment/sub/page$")
    root_param = "root_comment_id"
    search_pane = ""
    comments_pane = ".note-scroller"
    unfold = re.compile(r"^\s*展开\s*(更多|\d+\s*条)?\s*回复\s*$")
    newest = re.compile(r"^\s*最新\s*$")
    filters = re.compile(r"^\s*已?筛选\s*$")
    axes = AXES
    search_depth = 11
    """The web page was seen to end every search after some 220 notes, twenty a page, however many there are."""

    def search_url(self, keyword: str) -> str:
        return self.here.url(
            HOST, f"/search_result?{urlencode({'keyword': keyword, 'source': 'web_search_result_notes'})}"
        )

    def post_url(self, hit: Draft) -> str:
        token = hit.lead.get("xsec_token")
        query = f"?{urlencode({'xsec_token': token, 'xsec_source': 'pc_search'})}" if token else ""
        return self.here.url(HOST, f"/explore/{hit.native_id}{query}")

    def sorted_by_time(self, payload: Payload) -> bool:
        return b'"time_descending"' in payload.request_body

    def asked(self, payload: Payload) -> Mapping[str, str]:
        try:
            body = orjson.loads(payload.request_body)
        except orjson.JSONDecodeError:
            return {}
        if not isinstance(body, dict):
            return {}
        # Older pages ask by these two alone.
        found = {
            "sort_type": str(body.get("sort")),
            "filter_note_type": _NOTE_TYPES.get(str(body.get("note_type")), ""),
        }
        chosen = body.get("filters")
        for one in chosen if isinstance(chosen, list) else []:
            if isinstance(one, dict) and isinstance(one.get("tags"), list) and one["tags"]:
                found[str(one.get("type"))] = str(one["tags"][0])
        return found
