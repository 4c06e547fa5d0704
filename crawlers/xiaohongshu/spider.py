"""Xiaohongshu: a keyword's notes, newest first, and everything said below them, as the web page loads it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from crawlers.payload import Page, Payload
from crawlers.posts import PostsSpider
from crawlers.xiaohongshu.notes import begins_comments
from ingest.draft import Draft

HOST: Final = "www.xiaohongshu.com"


class XiaohongshuSpider(PostsSpider):
    platform = "xiaohongshu"
    listens = re.compile(r"xiaohongshu\.com/api/sns/web/v\d/(search/notes|feed|comment/page|comment/sub/page)$")
    places = re.compile(r"^www\.xiaohongshu\.com/(search_result|explore)(/|$)")
    data_pages = re.compile(r"^www\.xiaohongshu\.com/explore/[0-9a-f]{24}$")
    list_pages = re.compile(r"^www\.xiaohongshu\.com/search_result$")
    state_mark = b"window.__INITIAL_STATE__"
    post_kind = "post"
    search_path = re.compile(r"/search/notes$")
    comments_path = re.compile(r"/comment/page$")
    replies_path = re.compile(r"/comment/sub/page$")
    root_param = "root_comment_id"
    search_pane = ""
    comments_pane = ".note-scroller"
    unfold = re.compile(r"^\s*展开\s*(更多|\d+\s*条)?\s*回复\s*$")
    newest = re.compile(r"^\s*最新\s*$")

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

    def begins_comments(self, page: Page) -> bool:
        return begins_comments(page)
