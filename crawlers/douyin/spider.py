"""Douyin: a keyword's videos, newest first, and everything said below them, as the web page loads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import orjson

from crawlers.payload import Payload
from crawlers.posts import PostsSpider
from crawlers.search_parts import Axis, Option
from ingest.draft import Draft

HOST: Final = "www.douyin.com"

AXES: Final = (
    Axis(
        "parts",  # a duration is a video's; pictures have none
        (
            Option("视频时长", "1分钟以下", "filter_duration", "0-1"),
            Option("视频时长", "1-5分钟", "filter_duration", "1-5"),
            Option("视频时长", "5分钟以上", "filter_duration", "5-10000"),
            Option("内容形式", "图文", "content_type", "2"),
        ),
    ),
    Axis(
        "windows",
        (
            Option("发布时间", "半年内", "publish_time", "180"),
            Option("发布时间", "一周内", "publish_time", "7"),
            Option("发布时间", "一天内", "publish_time", "1"),
        ),
    ),
    Axis(
        "orders",
        (
            Option("排序依据", "最新发布", "sort_type", "2", newest=True),
            Option("排序依据", "最多点赞", "sort_type", "1"),
        ),
    ),
)
_FIELDS: Final = ("sort_type", "publish_time", "filter_duration", "content_type")


class DouyinSpider(PostsSpider):
    platform = "douyin"
    listens = re.compile(
        r"douyin\.com/aweme/v1/web/(general/search/(single|stream)|search/item|aweme/detail|comment/list(/reply)?)/?$"
    )
    places = re.compile(r"^www\.douyin\.com/(search|video|note)/")
    data_pages = re.compile(r"^www\.douyin\.com/(video|note)/\d+$")
    state_mark = b"RENDER_DATA"
    hit_kinds = frozenset({"video"})
    search_path = re.compile(r"/search/(single|stream|item)/?$")
    comments_path = re.compile(r"/comment/list/?$")
    replies_path = re.compile(r"/comment/list/reply/?$")
    root_param = "comment_id"
    search_pane = ""
    comments_pane = "[data-e2e=comment-list]"
    unfold = re.compile(r"^\s*展开\s*(更多|\d+\s*条)?\s*回复\s*$")
    newest = re.compile(r"^\s*最新(发布)?\s*$")
    filters = re.compile(r"^\s*已?筛选\s*$")
    axes = AXES
    search_depth = 20
    """No number is documented; a search's pages of ten end after some hundred videos. An end from here on is taken for
    a cut: where it was none, that costs pages and hides nothing."""

    def search_url(self, keyword: str) -> str:
        return self.here.url(HOST, f"/search/{quote(keyword, safe='')}?type=general")

    def post_url(self, hit: Draft) -> str:
        return self.here.url(HOST, f"/video/{hit.native_id}")

    def sorted_by_time(self, payload: Payload) -> bool:
        return self.asked(payload).get("sort_type") == "2"

    def asked(self, payload: Payload) -> Mapping[str, str]:
        found = {name: value for name in _FIELDS if (value := payload.param(name))}
        try:
            chosen = orjson.loads(payload.param("filter_selected") or "{}")
        except orjson.JSONDecodeError:
            chosen = None
        if isinstance(chosen, dict):
            found |= {name: str(chosen[name]) for name in _FIELDS if chosen.get(name)}
        return found
