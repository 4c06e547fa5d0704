"""Douyin: a keyword's videos, newest first, and everything said below them, as the web page loads it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from crawlers.payload import Payload
from crawlers.posts import PostsSpider
from ingest.draft import Draft

HOST: Final = "www.douyin.com"


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
    newest = (re.compile(r"^\s*最新(发布)?\s*$"),)

    def search_url(self, keyword: str) -> str:
        return self.here.url(HOST, f"/search/{quote(keyword, safe='')}?type=general")

    def post_url(self, hit: Draft) -> str:
        return self.here.url(HOST, f"/video/{hit.native_id}")

    def sorted_by_time(self, payload: Payload) -> bool:
        return payload.param("sort_type") == "2"
