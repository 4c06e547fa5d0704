"""Xiaohongshu notes: search and profile stubs, note details, the note page's state, and the app's form of search.

Web answers are snake_case, the page's state is the same in camelCase; one mapper reads both. The app's form differs in
units and types and has its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crawlers.endpoint import Answer, Harvest, Stop
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean_note
from crawlers.values import Count, Moment, id_time, image, province, video
from crawlers.xiaohongshu.comments import add_comments, next_cursor, note_url
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import Media

SEARCH: Final = "xiaohongshu.search.notes"
FEED: Final = "xiaohongshu.feed"
PROFILE: Final = "xiaohongshu.user.posted"
NOTE_PAGE: Final = "xiaohongshu.note.page"
LIST_PAGE: Final = "xiaohongshu.list.page"
APP_SEARCH: Final = "xiaohongshu.app.search"


def data_with(root: Reader, key: str) -> Reader:
    """The ``data`` of the envelope, or the body itself when it is that ``data`` already."""
    return root["data"] if root["data"].has(key) else root


def holds_items(root: Reader) -> bool:
    data = data_with(root, "items")
    return data.is_list("items") or (data.has("items", "has_more") and data["items"].value is None)


def holds_full_note(root: Reader) -> bool:
    return any(item["note_card"].has("desc") for item in data_with(root, "items").each("items"))


def holds_app_notes(root: Reader) -> bool:
    return any(item.is_object("note") for item in data_with(root, "items").each("items"))


def search(answer: Answer) -> Page:
    """``search/notes``: stubs with a title at most; the token opens the note's own page and is not stored."""
    data = data_with(answer.root, "items")
    harvest = Harvest()
    harvest.add_all(_note_cards(data), lambda item: _listed(item, answer))
    return harvest.page(SEARCH, more=_next_page(harvest, data, answer))


def feed(answer: Answer) -> Page:
    """``feed``: one note in full."""
    harvest = Harvest()
    harvest.add_all(_note_cards(data_with(answer.root, "items")), lambda item: _listed(item, answer))
    return harvest.page(FEED, nothing=Stop("unknown", "说成功，却没有笔记"))


def profile(answer: Answer) -> Page:
    """A user's notes or a collection: stubs, paged by cursor."""
    data = data_with(answer.root, "notes")
    harvest = Harvest()
    harvest.add_all(data.each("notes"), lambda record: _stub(record, record, answer))
    harvest.expect(data, "has_more")
    return harvest.page(PROFILE, more=next_cursor(harvest, data, answer, "notes"))


def note_page(answer: Answer) -> Page:
    """``window.__INITIAL_STATE__`` of a note's page; a removed note stands under the key ``undefined``.

    ``next`` is where its comments go on: null when all of them are here, an empty cursor when none were asked for yet.
    """
    harvest = Harvest()
    details = answer.root.at("note.noteDetailMap")
    missing = False
    more: dict[str, str] | None = None
    for detail in details.values():
        note = detail["note"]
        if note.value in ({}, None):
            missing = missing or detail.path.endswith(".undefined")
            continue
        draft = harvest.add(note, lambda record: _note(record, record.id("noteId", "note_id"), answer))
        comments = detail["comments"]
        add_comments(harvest, comments.each("list"), answer, str(draft.native_id) if draft else None)
        begun = comments.flag("firstRequestFinish") or next(comments.each("list"), None) is not None
        if not begun or comments.flag("hasMore"):
            more = {"cursor": comments.text("cursor") if begun else ""}
        for said in harvest.drafts:
            if draft is not None and said.kind == "comment" and said.author_id and said.author_id == draft.author_id:
                said.by_poster = True
    nothing = Stop("gone", "页面里没有笔记") if missing else Stop("unknown", "noteDetailMap 是空的")
    return harvest.page(NOTE_PAGE, more=more, nothing=nothing)


def begins_comments(page: Page) -> bool:
    """Whether a note's page holds the first page of its comments, too."""
    if page.endpoint != NOTE_PAGE or page.signal != "ok":
        return False
    return page.next is None or any(draft.kind == "comment" for draft in page.mentions)


def list_page(answer: Answer) -> Page:
    """The state of a search or profile page: stubs. A profile's notes are a list of tabs, each a list.

    A search goes on unless it says that it does not.
    """
    harvest = Harvest()
    search = answer.root["search"]
    for item in answer.root.each("search.feeds"):
        harvest.add_all(_note_cards_of([item]), lambda one: _listed(one, answer))
    for tab in answer.root.each("user.notes"):
        items = list(tab.items()) if isinstance(tab.value, list) else [tab]
        harvest.add_all(_note_cards_of(items), lambda one: _listed(one, answer))
    ends = not harvest.drafts or search["feeds"].value in (None, []) or search["hasMore"].value is False
    number = search.number("searchContext.page") or 1
    return harvest.page(LIST_PAGE, more=None if ends else {"page": str(number + 1)})


def app_search(answer: Answer) -> Page:
    """The app's form of search (as third parties hand it on): seconds, integers, text included."""
    data = data_with(answer.root, "items")
    harvest = Harvest()
    notes = [item["note"] for item in data.each("items") if item.is_object("note")]
    harvest.add_all(notes, lambda record: _app_note(record, answer))
    return harvest.page(APP_SEARCH, more=_next_page(harvest, data, answer))


def _next_page(harvest: Harvest, data: Reader, answer: Answer) -> dict[str, str] | None:
    harvest.expect(data, "has_more")
    page, promised = answer.page_number("page"), data.flag("has_more")
    more = {"page": str(page + 1)} if promised and page is not None else None
    harvest.expect_next(promised and data["items"].value and answer.asked, more, "request.page")
    return more


def _note_cards(data: Reader) -> list[Reader]:
    return _note_cards_of(data.each("items"))


def _note_cards_of(items: Iterable[Reader]) -> list[Reader]:
    """Notes among the items; suggested queries and advertisements are no notes."""
    kept = []
    for item in items:
        kind = item.text("model_type", "modelType")
        if kind == "note" or (not kind and (not isinstance(item.value, dict) or _card(item).value is not None)):
            kept.append(item)
    return kept


def _card(item: Reader) -> Reader:
    return item.first("note_card", "noteCard")


def _listed(item: Reader, answer: Answer) -> Draft:
    card = _card(item).record()
    if card.first("time").value is None:
        return _stub(item, card, answer)
    # The id inside the card is the note's; the item's own is the same where both are there.
    return _note(card, card.id("note_id", "noteId") if card.first("note_id", "noteId").value else item.id("id"), answer)


def _stub(item: Reader, card: Reader, answer: Answer) -> Draft:
    native_id = item.id("id", "note_id", "noteId")
    created = _published(card, answer)
    if created is None:
        try:
            created = id_time(native_id)
        except ValueError as error:
            where = item.first("id", "note_id").path
            raise PayloadError(f"编号里没有创建时间（{error}）", field=where) from error
    draft = _base(card, native_id)
    draft.created_at, draft.created_precision = created.at, created.precision
    draft.title = clean_note(card.text("display_title", "displayTitle", "title")) or None
    draft.partial = True
    token = item.text("xsec_token", "xsecToken") or card.text("xsec_token", "xsecToken")
    draft.lead = {"xsec_token": token} if token else {}
    return draft


def _published(card: Reader, answer: Answer) -> Moment | None:
    """What newer lists say of the day of publishing, where they say it by the day."""
    for tag in card.each("corner_tag_info", "cornerTagInfo"):
        if tag.text("type") == "publish_time":
            stated = tag.moment_or_none(answer.captured_at, "text")
            return stated if stated is not None and stated.precision != "month" else None
    return None


def _note(card: Reader, native_id: str, answer: Answer) -> Draft:
    created = card.moment(answer.captured_at, "time")
    draft = _base(card, native_id)
    edited = card.moment_or_none(answer.captured_at, "last_update_time", "lastUpdateTime")
    draft.created_at, draft.created_precision = created.at, created.precision
    draft.edited_at = edited.at if edited else None
    draft.title = clean_note(card.text("title", "display_title", "displayTitle")) or None
    draft.text = clean_note(card.text("desc"))
    draft.region = province(card.first("ip_location", "ipLocation").value)
    for picture in card.each("image_list", "imageList"):
        draft.media += _picture(picture)
    for stream in card.each("video.media.stream.h264", "video.media.stream.h265", "video.media.stream.av1"):
        draft.media += video(stream.first("master_url", "masterUrl").value)
        break  # the others are the same video in other sizes
    return draft


def _base(card: Reader, native_id: str) -> Draft:
    interact = card.first("interact_info", "interactInfo")
    likes = interact.count("liked_count", "likedCount")
    replies = interact.count("comment_count", "commentCount")
    shares = interact.count("share_count", "shareCount", "shared_count", "sharedCount")
    user = card["user"]
    return Draft(
        source="xiaohongshu",
        kind="post",
        native_id=native_id,
        created_at=None,
        url=note_url(native_id),
        author_id=user.id_or_none("user_id", "userId"),
        likes=likes.value,
        replies=replies.value,
        shares=shares.value,
        approximate=_approximate(likes, replies, shares),
    )


def _app_note(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("id")
    created = record.moment(answer.captured_at, "timestamp", "time")
    edited = record.moment_or_none(answer.captured_at, "update_time")
    likes, replies = record.count("liked_count"), record.count("comments_count")
    shares = record.count("shared_count")
    draft = Draft(
        source="xiaohongshu",
        kind="post",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        edited_at=edited.at if edited else None,
        title=clean_note(record.text("title", "display_title")) or None,
        text=clean_note(record.text("desc")),
        url=note_url(native_id),
        author_id=record.id_or_none("user.userid", "user.user_id"),
        region=province(record["ip_location"].value),
        likes=likes.value,
        replies=replies.value,
        shares=shares.value,
        approximate=_approximate(likes, replies, shares),
    )
    for picture in record.each("images_list"):
        draft.media += image(picture.first("url_size_large", "url").value)
    return draft


def _approximate(*counts: Count) -> bool:
    return any(count.approximate for count in counts)


def _picture(picture: Reader) -> list[Media]:
    address = picture.first("url_default", "urlDefault", "url").value
    infos = list(picture.each("info_list", "infoList"))
    default = next((i["url"].value for i in infos if i.text("image_scene", "imageScene") == "WB_DFT"), None)
    return image(address) or image(default)
