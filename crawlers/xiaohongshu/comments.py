"""Xiaohongshu comments: web answers, the page's state (camelCase), and the app's form with its own units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final

from crawlers.endpoint import Answer, Harvest
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean_note
from crawlers.values import image, province
from ingest.draft import Draft
from ingest.mention import Media

_Build = Callable[[Answer, str | None, str | None, Reader], Draft]
"""Answer, note id, root comment id, record."""

COMMENTS: Final = "xiaohongshu.comment.page"
REPLIES: Final = "xiaohongshu.comment.sub.page"
APP_COMMENTS: Final = "xiaohongshu.app.comments"


def note_url(note_id: str | None) -> str | None:
    """The note's page, without its token."""
    return f"https://www.xiaohongshu.com/explore/{note_id}" if note_id and note_id.isalnum() else None


def data_of(root: Reader) -> Reader:
    return root["data"] if root["data"].has("comments") else root


def holds_comments(root: Reader) -> bool:
    data = data_of(root)
    return data.is_list("comments") or (data.has("comments", "has_more") and data["comments"].value is None)


def holds_app_comments(root: Reader) -> bool:
    first = data_of(root).at("comments.0")
    return first.has("time") and not first.has("create_time")


def comment_page(answer: Answer) -> Page:
    """``comment/page``: roots with their first replies. ``data.user_id`` is the viewer's account and is not read."""
    return _page(answer, COMMENTS)


def reply_page(answer: Answer) -> Page:
    """``comment/sub/page``: a short page is not the end, only ``has_more`` is."""
    return _page(answer, REPLIES)


def _page(answer: Answer, name: str) -> Page:
    data = data_of(answer.root)
    harvest = Harvest()
    add_comments(harvest, data.each("comments"), answer, answer.param("note_id"))
    harvest.expect_in(data["comments"], "content")
    return harvest.page(name, more=_next(harvest, data, answer))


def app_comment_page(answer: Answer) -> Page:
    """The app's form: ``time`` in seconds, integer likes, a cursor that is JSON text."""
    data = data_of(answer.root)
    harvest = Harvest()
    for record in data.each("comments"):
        _add_with_replies(harvest, record, _app_comment, answer, answer.param("note_id"))
    harvest.expect_in(data["comments"], "content")
    return harvest.page(APP_COMMENTS, more=_next(harvest, data, answer), total=data.number("comment_count"))


def _next(harvest: Harvest, data: Reader, answer: Answer) -> dict[str, str] | None:
    harvest.expect(data, "has_more", "hasMore")
    return next_cursor(harvest, data, answer, "comments")


def next_cursor(harvest: Harvest, data: Reader, answer: Answer, records: str) -> dict[str, str] | None:
    """The next page of a list that is paged by cursor; a promise of more without a new cursor is noted."""
    cursor, promised = data.text("cursor"), data.flag("has_more", "hasMore")
    more = {"cursor": cursor} if promised and cursor and cursor != answer.param("cursor") else None
    harvest.expect_next(promised and data[records].value, more, data["cursor"].path)
    return more


def add_comments(harvest: Harvest, records: Iterable[Reader], answer: Answer, note_id: str | None) -> None:
    """Web or page comments and the replies shown with them, into the harvest."""
    for record in records:
        _add_with_replies(harvest, record, _comment, answer, note_id)


def _add_with_replies(harvest: Harvest, record: Reader, build: _Build, answer: Answer, note_id: str | None) -> None:
    root = harvest.add(record, partial(build, answer, note_id, answer.param("root_comment_id")))
    if isinstance(record.value, dict):
        root_id = str(root.native_id) if root else record.id_or_none("id")
        note = record.id_or_none("note_id", "noteId") or note_id
        harvest.add_all(record.each("sub_comments", "subComments"), partial(build, answer, note, root_id))


def _parent(record: Reader, native_id: str, note_id: str | None, root_id: str | None) -> str | None:
    target = record.id_or_none("target_comment.id", "targetComment.id") or root_id
    if target and target != native_id:
        return f"comment:{target}"
    return f"post:{note_id}" if note_id else None


def _by_poster(record: Reader) -> bool:
    return any(tag.value == "is_author" for tag in record.each("show_tags", "showTags"))


def _comment(answer: Answer, note_id: str | None, root_id: str | None, record: Reader) -> Draft:
    native_id = record.id("id")
    created = record.moment(answer.captured_at, "create_time", "createTime")
    note = record.id_or_none("note_id", "noteId") or note_id
    likes = record.count("like_count", "likeCount")
    replies = record.count("sub_comment_count", "subCommentCount")
    media: list[Media] = []
    for picture in record.each("pictures"):
        media += image(picture.first("url_default", "urlDefault", "url").value) or image(
            picture.at("info_list.0.url").value
        )
    return Draft(
        source="xiaohongshu",
        kind="comment",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean_note(record.text("content")),
        parent_native=_parent(record, native_id, note, root_id),
        url=note_url(note),
        author_id=record.id_or_none("user_info.user_id", "userInfo.userId"),
        by_poster=_by_poster(record),
        region=province(record.first("ip_location", "ipLocation").value),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        media=media,
    )


def _app_comment(answer: Answer, note_id: str | None, root_id: str | None, record: Reader) -> Draft:
    native_id = record.id("id")
    created = record.moment(answer.captured_at, "time")
    note = record.id_or_none("note_id") or note_id
    likes, replies = record.count("like_count"), record.count("sub_comment_count")
    media: list[Media] = []
    for picture in record.each("pictures", "images_list"):
        media += image(picture.first("url", "url_default").value)
    return Draft(
        source="xiaohongshu",
        kind="comment",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean_note(record.text("content")),
        parent_native=_parent(record, native_id, note, root_id),
        url=note_url(note),
        author_id=record.id_or_none("user.userid", "user.user_id"),
        by_poster=_by_poster(record),
        region=province(record["ip_location"].value),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        media=media,
    )
