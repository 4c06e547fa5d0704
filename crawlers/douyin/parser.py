"""Douyin 抖音: its endpoints."""

from __future__ import annotations

import re
from typing import Final

from crawlers.douyin import comments, official, signals, videos
from crawlers.endpoint import Endpoint, Platform
from crawlers.reading import Reader


def _holds_comments(root: Reader) -> bool:
    return root.is_list("comments") or (root.has("comments", "status_code") and root["comments"].value is None)


def _holds_replies(root: Reader) -> bool:
    return root.is_list("comments") and root.at("comments.0").id_or_none("reply_id") is not None


def _holds_page_state(root: Reader) -> bool:
    return root.has("app") or any(part.is_object("aweme") for part in root.values())


DOUYIN: Final = Platform(
    name="douyin",
    endpoints=(
        Endpoint(
            name=videos.DETAIL,
            address=re.compile(r"/aweme/v\d/(?:web/)?aweme/detail"),
            fits=lambda root: root.has("aweme_detail"),
            parse=videos.detail,
        ),
        Endpoint(
            name=comments.REPLIES,
            address=re.compile(r"/aweme/v\d/(?:web/)?comment/list/reply"),
            fits=_holds_replies,
            accepts=_holds_comments,
            parse=comments.reply_list,
        ),
        Endpoint(
            name=comments.COMMENTS,
            address=re.compile(r"/aweme/v\d/(?:web/)?comment/list"),
            fits=_holds_comments,
            parse=comments.comment_list,
        ),
        Endpoint(
            name=official.VIDEOS,
            address=re.compile(r"open\.douyin\.com/(?:api/douyin/v1/)?video/(?:video_)?list"),
            fits=official.is_video_list,
            accepts=lambda root: root.is_list("data.list"),
            parse=official.video_list,
        ),
        Endpoint(
            name=comments.OPEN_COMMENTS,
            address=re.compile(r"open\.douyin\.com/(?:item|video/search)/comment/"),
            fits=lambda root: root.is_list("data.list"),
            parse=comments.open_list,
        ),
        Endpoint(
            name=videos.OPEN_VIDEOS,
            address=re.compile(r"open\.douyin\.com/video/search/?(?:#|$)"),
            fits=lambda root: False,  # an account's own videos look the same
            accepts=lambda root: root.is_list("data.list"),
            parse=videos.open_videos,
        ),
        Endpoint(
            name=videos.SEARCH,
            address=re.compile(r"/aweme/v\d/(?:web/)?(?:general/)?search/"),
            fits=lambda root: videos.cards_of(root) is not None,
            parse=videos.search,
        ),
        Endpoint(
            name=videos.VIDEO_PAGE,
            address=re.compile(r"www\.douyin\.com/(?:video|note)/\d"),
            fits=_holds_page_state,
            parse=videos.video_page,
        ),
    ),
    outside=signals.outside,
    inside=signals.inside,
    nothing=signals.BLOCKED,
    merge=videos.merge,
)
