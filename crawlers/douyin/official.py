"""The open platform's list of an account's own videos. What it says there is the brand's own."""

from __future__ import annotations

from functools import partial
from typing import Final

from crawlers.endpoint import Answer, Harvest
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean
from ingest.draft import Draft

VIDEOS: Final = "douyin.open.video.list"


def video_list(answer: Answer) -> Page:
    """Videos, newest first; ``has_more`` with the next ``cursor``."""
    data = answer.root["data"]
    harvest = Harvest()
    harvest.add_all(data.each("list"), partial(_video, answer))
    harvest.expect(data, "has_more")
    cursor, promised = data.id_or_none("cursor"), data.flag("has_more")
    more = {"cursor": cursor} if promised and cursor is not None and cursor != answer.param("cursor") else None
    harvest.expect_next(promised and data["list"].value, more, data["cursor"].path)
    return harvest.page(VIDEOS, more=more)


def is_video_list(root: Reader) -> bool:
    """Whether a body without an address is one (comments have no ``item_id`` of their own)."""
    return root.at("data.list.0").has("item_id") and root.at("data.list.0").has("create_time")


def _video(answer: Answer, record: Reader) -> Draft:
    created = record.moment(answer.captured_at, "create_time")
    figures = record["statistics"]
    likes, replies = figures.count("digg_count"), figures.count("comment_count")
    shares, views = figures.count("share_count"), figures.count("play_count")
    address = record.text("share_url")
    return Draft(
        source="douyin",
        kind="video",
        native_id=record.id("item_id"),
        created_at=created.at,
        created_precision=created.precision,
        text=clean(record.text("title")),
        url=address if address.startswith("https://") else None,
        is_brand=True,
        likes=likes.value,
        replies=replies.value,
        shares=shares.value,
        views=views.value,
        approximate=any(count.approximate for count in (likes, replies, shares, views)),
    )
