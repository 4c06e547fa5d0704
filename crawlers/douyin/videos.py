"""Douyin videos and 图文: search (web, app form, stream), the detail answer, and the video's page."""

from __future__ import annotations

import re
from collections import deque
from itertools import islice
from typing import Final

from crawlers.endpoint import Answer, Harvest, Stop
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean
from crawlers.values import https_url, image, province, video
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import Media

SEARCH: Final = "douyin.search"
DETAIL: Final = "douyin.aweme.detail"
VIDEO_PAGE: Final = "douyin.video.page"
OPEN_VIDEOS: Final = "douyin.open.video.search"

MAX_NODES: Final = 50_000
"""Objects of a page's state that are looked at while searching for the video."""

_CARD_PATHS: Final = (
    "aweme_info",
    "data.aweme_info",
    "aweme_mix_info.mix_items.0",
    "data.aweme_mix_info.mix_items.0",
    "aweme_mix_info.mix_items.0.aweme_info",
)


def merge(pieces: list[object]) -> object:
    """One search answer out of a stream's pieces: the cards joined, the last word on everything else."""
    merged: dict[str, object] = {}
    cards: list[object] = []
    for piece in pieces:
        if not isinstance(piece, dict):
            continue
        status, nil = merged.get("status_code"), merged.get("search_nil_info")
        merged.update(piece)
        if status not in (None, 0, "0"):
            merged["status_code"] = status  # a refusal in one piece is a refusal
        if nil and not piece.get("search_nil_info"):
            merged["search_nil_info"] = nil
        if isinstance(piece.get("data"), list):
            cards += piece["data"]
            merged["data"] = cards
    return merged


def cards_of(root: Reader) -> Reader | None:
    """The list of cards, under whichever name this form gives it."""
    for name in ("data", "business_data", "aweme_list"):
        if root.is_list(name) and (root.has("status_code") or name != "data" or _any_aweme(root[name])):
            return root[name]
    return None


def _any_aweme(cards: Reader) -> bool:
    return any(_aweme_of(card) is not None for card in cards.items())


def _aweme_of(card: Reader) -> Reader | None:
    for path in _CARD_PATHS:
        found = card.at(path)
        if isinstance(found.value, dict) and "aweme_id" in found.value:
            return found
    return card if card.has("aweme_id") else None


def search(answer: Answer) -> Page:
    """Search: cards with a video; the next ``offset`` is the answer's ``cursor``."""
    root = answer.root
    cards = cards_of(root)
    if cards is None:
        return Page(endpoint=SEARCH, signal="unknown", reason="没有结果列表")
    harvest = Harvest()
    for card in cards.items():
        aweme = _aweme_of(card)
        if aweme is not None:
            harvest.add(aweme, lambda record: _aweme(record, answer))
        elif not isinstance(card.value, dict) or card.text("type") == "1":
            harvest.add(card, _without_video)
    harvest.expect(root, "has_more")
    more = _next(harvest, root, answer, "offset", cards)
    if more is not None:
        search_id = root.text("extra.logid", "log_pb.impr_id")
        if re.fullmatch(r"\w{1,80}", search_id, re.ASCII):
            more["search_id"] = search_id
    return harvest.page(SEARCH, more=more)


def next_cursor(harvest: Harvest, data: Reader, answer: Answer, records: str) -> dict[str, str] | None:
    """The next page of a list that is paged by ``cursor``; a promise of more without a new one is noted."""
    return _next(harvest, data, answer, "cursor", data[records])


def _next(harvest: Harvest, data: Reader, answer: Answer, name: str, records: Reader) -> dict[str, str] | None:
    cursor, promised = data.number("cursor"), data.flag("has_more")
    more = {name: str(cursor)} if promised and cursor is not None and str(cursor) != answer.param(name) else None
    harvest.expect_next(promised and records.value, more, data["cursor"].path)
    return more


def _without_video(card: Reader) -> Draft:
    raise PayloadError("视频卡片里没有视频", field=f"{card.path}.aweme_info")


def detail(answer: Answer) -> Page:
    """``aweme/detail``: one video; null when it was removed."""
    harvest = Harvest()
    found = answer.root["aweme_detail"]
    if found.value is not None:
        harvest.add(found, lambda record: _aweme(record, answer))
    return harvest.page(DETAIL, nothing=Stop("gone", "aweme_detail 为 null：视频已被移除"))


def video_page(answer: Answer) -> Page:
    """The state in a video's page; names are camelCase there."""
    in_path = re.search(r"/(?:video|note)/(\d{5,25})", answer.payload.url or "")
    found = _find_video(answer.root, in_path[1] if in_path else None)
    if found is None:
        removed = any(part.at("aweme").has("detail") for part in answer.root.values())
        stop = Stop("gone", "页面里没有视频") if removed else Stop("unknown", "页面内嵌的数据里没有视频")
        return Page(endpoint=VIDEO_PAGE, signal=stop.signal, reason=stop.reason)
    harvest = Harvest()
    harvest.add(found, lambda record: _aweme(record, answer))
    return harvest.page(VIDEO_PAGE)


def open_videos(answer: Answer) -> Page:
    """The open platform's videos, found by keyword. Its names are thinly known."""
    data = answer.root["data"]
    harvest = Harvest()
    harvest.add_all(data.each("list"), lambda record: _open_video(record, answer))
    harvest.expect(data, "has_more")
    return harvest.page(OPEN_VIDEOS, more=next_cursor(harvest, data, answer, "list"))


def _open_video(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("item_id")
    created = record.moment(answer.captured_at, "create_time")
    numbers = record["statistics"]
    likes, replies = numbers.count("digg_count"), numbers.count("comment_count")
    shares, views = numbers.count("share_count"), numbers.count("play_count")
    return Draft(
        source="douyin",
        kind="video",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean(record.text("title", "desc")),
        url=https_url(record["share_url"].value),
        author_id=record.id_or_none("open_id"),
        likes=likes.value,
        replies=replies.value,
        shares=shares.value,
        views=views.value or None,
        approximate=any(count.approximate for count in (likes, replies, shares, views)),
    )


def _find_video(root: Reader, wanted: str | None) -> Reader | None:
    """The video nearest to the root, or the one that the address names (pages hold recommended ones as well)."""
    queue = deque([root])
    for _ in range(MAX_NODES):
        if not queue:
            return None
        node = queue.popleft()
        if isinstance(node.value, dict):
            identity = node.first("awemeId", "aweme_id").value
            if identity and "desc" in node.value and (wanted is None or str(identity) == wanted):
                return node
            queue.extend(child for child in node.values() if isinstance(child.value, dict | list))
        elif isinstance(node.value, list):
            queue.extend(islice(node.items(), 200))
    return None


def _aweme(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("aweme_id", "awemeId")
    created = record.moment(answer.captured_at, "create_time", "createTime")
    author, numbers = record.first("author", "authorInfo"), record.first("statistics", "stats")
    likes, replies = numbers.count("digg_count", "diggCount"), numbers.count("comment_count", "commentCount")
    shares, views = numbers.count("share_count", "shareCount"), numbers.count("play_count", "playCount")
    pictures = [picture for one in record.each("images") for picture in _picture(one)]
    still = bool(pictures) or record.text("aweme_type", "awemeType") == "68"
    return Draft(
        source="douyin",
        kind="video",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean(record.text("desc")),
        url=f"https://www.douyin.com/{'note' if still else 'video'}/{native_id}" if native_id.isdigit() else None,
        author_id=author.id_or_none("sec_uid", "secUid", "uid"),
        verified=enterprise(author),
        region=province(record.first("ip_attribution", "ipAttribution").value),
        likes=likes.value,
        replies=replies.value,
        shares=shares.value,
        views=views.value or None,  # 0 means hidden
        approximate=any(count.approximate for count in (likes, replies, shares, views)),
        media=pictures if still else _video(record["video"]),
    )


def enterprise(user: Reader) -> str:
    """What an account is verified as, if it is a company's; "" for any other. Its nickname is not verified."""
    return user.text("enterprise_verify_reason", "enterpriseVerifyReason")[:400].strip()


def _picture(picture: Reader) -> list[Media]:
    return image(picture.first("url_list.0", "urlList.0").value)


def _video(found: Reader) -> list[Media]:
    return video(found.first("play_addr.url_list.0", "playAddr.0.src", "playApi").value)
