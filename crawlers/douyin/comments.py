"""Douyin comments and replies, from the web answers and from the open platform."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from crawlers.douyin.videos import enterprise, next_cursor
from crawlers.endpoint import Answer, Harvest, Stop, claims
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean
from crawlers.values import image, province, video
from ingest.draft import Draft
from ingest.mention import Media

COMMENTS: Final = "douyin.comment.list"
REPLIES: Final = "douyin.comment.list.reply"
OPEN_COMMENTS: Final = "douyin.open.item.comment.list"

_COUNTS: Final = {"folded": "folded_comment_count"}


def comment_list(answer: Answer) -> Page:
    """``comment/list``: ``comments`` is null, not [], where there are none."""
    root, total = answer.root, answer.root.number("total")
    nothing = Stop("empty", "没有评论")
    if root["comments"].value is None and total and answer.param("cursor") == "0":
        nothing = Stop("unknown", f"第一页没有评论，总数却是 {total}")
    return _page(answer, COMMENTS, nothing)


def reply_list(answer: Answer) -> Page:
    """``comment/list/reply``: null with a total above 0 means that the replies were deleted."""
    deleted = answer.root["comments"].value is None and bool(answer.root.number("total"))
    return _page(answer, REPLIES, Stop("gone", "回复已被删除") if deleted else Stop("empty", "没有回复"))


def _page(answer: Answer, name: str, nothing: Stop) -> Page:
    root = answer.root
    harvest = Harvest()
    for record in root.each("comments"):
        draft = harvest.add(record, partial(_comment, answer, None))
        root_id = str(draft.native_id) if draft else record.id_or_none("cid")
        harvest.add_all(record.each("reply_comment"), partial(_comment, answer, root_id))
    harvest.expect(root, "has_more")
    harvest.expect_in(root["comments"], "text")
    more = next_cursor(harvest, root, answer, "comments")
    return harvest.page(name, more=more, total=root.number("total"), counts=claims(root, _COUNTS), nothing=nothing)


def _comment(answer: Answer, root_id: str | None, record: Reader) -> Draft:
    native_id = record.id("cid")
    created = record.moment(answer.captured_at, "create_time")
    aweme = record.id_or_none("aweme_id") or answer.param("aweme_id", "item_id")
    said, replied = record.id_or_none("reply_to_reply_id"), record.id_or_none("reply_id")
    likes, replies = record.count("digg_count"), record.count("reply_comment_total")
    media: list[Media] = []
    for picture in record.each("image_list"):
        media += image(picture.first("origin_url.url_list.0", "medium_url.url_list.0").value)
    for clip in record.each("video_list"):
        media += video(clip.first("play_addr.url_list.0", "video.play_addr.url_list.0").value)
    if not media:
        media = image(record.first("sticker.static_url.url_list.0", "sticker.animate_url.url_list.0").value)
    user = record["user"]
    return Draft(
        source="douyin",
        kind="comment",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean(record.text("text")),
        parent_native=_parent(native_id, (said, replied, root_id), aweme),
        url=f"https://www.douyin.com/video/{aweme}" if aweme and aweme.isdigit() else None,
        author_id=user.id_or_none("sec_uid", "uid"),
        verified=enterprise(user),
        by_poster=_by_poster(record),
        region=province(record["ip_label"].value),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        media=media,
    )


def _parent(native_id: str, comments: Iterable[str | None], video_id: str | None) -> str | None:
    """The nearest comment that this one answers, never itself; else the video."""
    nearest = next((one for one in comments if one and one != native_id), None)
    return f"comment:{nearest}" if nearest else f"video:{video_id}" if video_id else None


def _by_poster(record: Reader) -> bool:
    labels = [record, *record.each("label_list")]
    return any("作者" in label.text("label_text", "text")[:40] for label in labels)


def open_list(answer: Answer) -> Page:
    """The open platform's comments of one's own videos. Names beyond id, user and content are thinly known."""
    data = answer.root["data"]
    harvest = Harvest()
    harvest.add_all(data.each("list"), partial(_open_comment, answer))
    harvest.expect(data, "has_more")
    harvest.expect_in(data["list"], "content")
    return harvest.page(OPEN_COMMENTS, more=next_cursor(harvest, data, answer, "list"))


def _open_comment(answer: Answer, record: Reader) -> Draft:
    native_id = record.id("comment_id")
    stated = record["create_time"].value is not None
    created = record.moment(answer.captured_at, "create_time") if stated else None
    replied = answer.param("comment_id")
    item = answer.param("item_id")
    likes, replies = record.count("digg_count"), record.count("reply_comment_total")
    return Draft(
        source="douyin",
        kind="comment",
        native_id=native_id,
        created_at=created.at if created else None,
        created_precision=created.precision if created else "day",
        text=clean(record.text("content")),
        parent_native=_parent(native_id, (replied,), item),
        author_id=record.id_or_none("comment_user_id"),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
    )
