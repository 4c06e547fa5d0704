"""Zhihu 知乎: its endpoints."""

from __future__ import annotations

import re
from typing import Final

from crawlers.endpoint import Endpoint, Platform
from crawlers.reading import Reader
from crawlers.zhihu import comments, lists, signals
from crawlers.zhihu.content import BUILDERS


def _is_list(root: Reader) -> bool:
    return root.is_list("data")


def _is_comment_list(root: Reader) -> bool:
    return root.is_list("data") and (root.is_object("paging") or root.has("counts"))


def _holds_search(root: Reader) -> bool:
    return any(item.is_object("object") for item in root.each("data"))


ZHIHU: Final = Platform(
    name="zhihu",
    endpoints=(
        Endpoint(
            name=comments.CHILDREN,
            address=re.compile(r"/(?:comment_v5/comment|comments)/\d+/child_comment"),
            fits=comments.holds_replies,
            accepts=_is_comment_list,
            parse=comments.comment_page,
        ),
        Endpoint(
            name=comments.ROOTS,
            address=re.compile(r"/(?:answers|articles|questions|zvideos|pins)/\d+/(?:root_comments?|comments)"),
            fits=comments.holds_comments,
            accepts=_is_comment_list,
            parse=comments.comment_page,
        ),
        Endpoint(
            name=lists.FEEDS,
            address=re.compile(r"/api/v4/questions/\d+/(?:feeds|answers)"),
            fits=lambda root: bool(lists.answers_of(root)) and root.is_object("data.0"),
            accepts=_is_list,
            parse=lists.question_feeds,
        ),
        Endpoint(
            name=lists.SEARCH,
            address=re.compile(r"/api/v4/search_v3"),
            fits=_holds_search,
            accepts=_is_list,
            parse=lists.search,
        ),
        Endpoint(
            name=lists.HOT,
            address=re.compile(r"developer\.zhihu\.com/.*hot_list"),
            fits=lambda root: False,
            accepts=lambda root: root.has("Code") and root.is_list("Data.Items"),
            parse=lists.hot_list,
        ),
        Endpoint(
            name=lists.OFFICIAL,
            address=re.compile(r"developer\.zhihu\.com/"),
            fits=lambda root: root.has("Code") and root.is_list("Data.Items"),
            accepts=lambda root: (
                root.has("Code") and (root.is_list("Data.Items") or root.at("Data").has("EmptyReason"))
            ),
            parse=lists.official_search,
        ),
        Endpoint(
            name=lists.PAGE,
            address=re.compile(r"zhihu\.com/(?:question/\d|p/\d|zvideo/\d)"),
            fits=lambda root: root.is_object("initialState.entities"),
            parse=lists.ssr_page,
        ),
        Endpoint(
            name=lists.ITEM,
            address=re.compile(r"/api(?:/v4)?/(?:answers|articles|questions|zvideos)/\d+#"),
            fits=lambda root: root.text("type") in BUILDERS and root.has("id"),
            parse=lists.item,
        ),
        Endpoint(
            name=lists.LIST,
            address=None,
            fits=lambda root: root.is_list("data") and root.is_object("paging"),
            parse=lists.other_list,
        ),
    ),
    outside=signals.outside,
    inside=signals.inside,
    statuses=signals.STATUSES,
)
