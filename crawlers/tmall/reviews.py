"""Tmall and Taobao reviews: the old JSONP list and three mtop lists. None has stars; some say good, middle, bad."""

from __future__ import annotations

from typing import Final

from crawlers.endpoint import Answer, Harvest, Stop, claims
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.shop import joined_replies, nickname, product_of, spec_of, spec_of_text, tags_of
from crawlers.text import append_text, review_text
from crawlers.values import Moment, days_after, image, video
from ingest.draft import Draft
from ingest.mention import Append, Media

OLD_LIST: Final = "tmall.list_detail_rate"
DETAIL_LIST: Final = "tmall.rate.detaillist.get"
ITEM_RATES: Final = "tmall.wdetail.getitemrates"
NEW_PC: Final = "tmall.review.list.for.new.pc.detail"
FEED_RATES: Final = "tmall.feedRateList"
TAG_CLOUDS: Final = "tmall.listTagClouds"

_OLD_COUNTS: Final = {"picture": "picNum"}
_MTOP_COUNTS: Final = {
    "good": "feedGoodCount",
    "middle": "feedNormalCount",
    "bad": "feedBadCount",
    "append": "feedAppendCount",
    "picture": "feedPicCount",
    "video": "feedVideoCount",
    "folded": "foldCount",
}

_MTOP_RATINGS: Final = {"1": 5, "0": 3, "-1": 1}


def item_url(item_id: str | None) -> str | None:
    return f"https://detail.tmall.com/item.htm?id={item_id}" if item_id and item_id.isdigit() else None


def old_list(answer: Answer) -> Page:
    """``list_detail_rate.htm``: 1-based pages; beyond the end ``rateList`` is [] and the page is pulled back."""
    root = answer.root["rateDetail"]
    if not root.is_list("rateList"):
        return Page(endpoint=OLD_LIST, signal="unknown", reason="缺少 rateDetail.rateList")
    harvest = Harvest()
    harvest.add_all(root.each("rateList"), lambda record: _old_review(record, answer))
    harvest.expect_in(root["rateList"], "rateContent")
    harvest.expect(root["paginator"], "lastPage")
    page, last = root.number("paginator.page"), root.number("paginator.lastPage")
    total = root.number("rateCount.total", "paginator.items")
    asked = answer.page_number("currentPage")
    clamped = asked is not None and page is not None and asked > page
    more = None
    if root["rateList"].value and page is not None and last is not None and page < last:
        # Past the end the number is pulled back to the last page; pulled back further, it is not to be believed.
        at = max(page, asked or 0)
        more = {"currentPage": str(at + 1)} if at < last else None
    nothing = Stop("empty", "没有评价，或已过最后一页")
    at_end = page is None or last is None or page >= last or clamped or root.number("paginator.items") == 0
    if not at_end:
        nothing = Stop("unknown", f"共 {last} 页，第 {page} 页没有评价")
    return harvest.page(
        OLD_LIST, more=more, total=total, counts=claims(root["rateCount"], _OLD_COUNTS), nothing=nothing
    )


def _old_review(record: Reader, answer: Answer) -> Draft:
    captured_at = answer.captured_at
    native_id = record.id("id")
    created = record.moment(captured_at, "rateDate", "gmtCreateTime.time", "gmtCreateTime")
    text, empty = review_text(record.text("rateContent"))
    item = record.id_or_none("auctionNumId", "aucNumId", "itemId") or answer.param("itemId")
    append = record["appendComment"]
    bought = record.moment_or_none(captured_at, "tradeEndTime.time")
    media = [m for one in record.each("pics", "picsSmall") for m in image(one.value)]
    media += [m for one in append.each("pics") for m in image(one.value)]
    return Draft(
        source="tmall",
        kind="review",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        url=item_url(item),
        product=product_of(item, None, record.text("auctionTitle"), spec_of_text(record.text("auctionSku"))),
        purchased_at=bought.at if bought else None,
        author_id=nickname(record.text("displayUserNick")),
        appends=_append(append, created, answer, ("content",), ("commentTime",), "days"),
        seller_reply=joined_replies([record.text("reply"), append.text("reply")]),
        media=media,
    )


def _append(
    append: Reader, base: Moment, answer: Answer, texts: tuple[str, ...], times: tuple[str, ...], days: str
) -> list[Append]:
    """The 追评, at its stated time or so many days after the review; ``days`` 0 is the same day."""
    written = append_text(append.text(*texts))
    if not written:
        return []
    stated = append.moment_or_none(answer.captured_at, *times)
    return [Append(text=written, created_at=stated.at if stated else days_after(base, append[days].value))]


def detail_list(answer: Answer) -> Page:
    """``mtop.taobao.rate.detaillist.get`` 6.0 and the older ``mtop.wdetail.getitemrates``: all scalars are text."""
    data = answer.root["data"]
    older = "getitemrates" in answer.root.text("api").lower() or data.has("totalPage")
    name = ITEM_RATES if older else DETAIL_LIST
    if not data.is_list("rateList"):
        return Page(endpoint=name, signal="unknown", reason="缺少 data.rateList")
    harvest = Harvest()
    harvest.add_all(data.each("rateList"), lambda record: _mtop_review(record, answer))
    harvest.expect_in(data["rateList"], "feedback")
    harvest.expect(data, "hasNext", "totalPage")
    page_name = "pageNo" if answer.param("pageNo") or not answer.param("pageNum", "currentPage") else "pageNum"
    page_name = "currentPage" if answer.param("currentPage") else page_name
    page = answer.page_number(page_name)
    last = data.number("totalPage")
    goes_on = data.flag("hasNext") if data.has("hasNext") else last is not None and page is not None and page < last
    more = {page_name: str(page + 1)} if data["rateList"].value and goes_on and page is not None else None
    unsaid = goes_on or (last is not None and page is None and not data.has("hasNext"))
    harvest.expect_next(unsaid and data["rateList"].value and answer.asked, more, f"request.{page_name}")
    total = data.number("total", "feedAllCount")
    tags = tags_of(data.each("imprItemVOS"), "title", "count", "fuzzyCount")
    return harvest.page(name, more=more, total=total, counts=claims(data, _MTOP_COUNTS), tags=tags)


def _mtop_review(record: Reader, answer: Answer) -> Draft:
    captured_at = answer.captured_at
    native_id = record.id("id", "feedId")
    created = record.moment(captured_at, "feedbackDate", "createTime", "createTimeInterval")
    text, empty = review_text(record.text("feedback"))
    item = record.id_or_none("auctionNumId") or answer.param("auctionNumId", "itemId", "itemNumId")
    rating = _MTOP_RATINGS.get(record.text("rateType"))
    likes, replies = record.count("interactInfo.likeCount"), record.count("interactInfo.commentCount")
    append = record["appendedFeed"]
    media: list[Media] = []
    for one in record.each("feedPicPathList", "feedPicList"):
        media += image(one.value if isinstance(one.value, str) else one["thumbnail"].value)
    media += [m for one in append.each("appendFeedPicPathList") for m in image(one.value)]
    clip = video(record.at("video.cloudVideoUrl").value)
    if not media and not clip:
        for one in record.each("rateResourceList"):
            clip += video(one.first("cloudVideoUrl", "videoUrl").value)
            media += image(one.first("image", "thumbnail", "url", "picUrl").value)
    media += clip
    return Draft(
        source="tmall",
        kind="review",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=rating,
        rating_scale="3" if rating else None,
        url=item_url(item),
        product=product_of(
            item, record.id_or_none("skuId"), record.text("auctionTitle"), _spec(record, "skuMap", "skuValueStr")
        ),
        author_id=nickname(record.text("userNick", "reduceUserNick")),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        appends=_append(append, created, answer, ("appendedFeedback",), ("createTime",), "intervalDay"),
        seller_reply=joined_replies([record.text("reply"), append.text("reply")]),
        media=media,
    )


def new_pc(answer: Answer) -> Page:
    """``mtop.alibaba.review.list.for.new.pc.detail``: dates are relative, so months at worst."""
    module = answer.root.at("data.module")
    asked = answer.page_number("pageNum")
    if not module.is_list("reviewVOList"):
        if module.value is None and asked is not None and asked > 1:
            return Page(endpoint=NEW_PC, signal="empty", reason="已过最后一页")
        return Page(endpoint=NEW_PC, signal="unknown", reason="缺少 data.module.reviewVOList")
    harvest = Harvest()
    harvest.add_all(module.each("reviewVOList"), lambda record: _new_pc_review(record, answer))
    harvest.expect_in(module["reviewVOList"], "reviewWordContent")
    harvest.expect(module, "hasNext")
    goes_on = module.flag("hasNext") and bool(module["reviewVOList"].value)
    more = {"pageNum": str(asked + 1)} if goes_on and asked is not None else None
    harvest.expect_next(goes_on and answer.asked, more, "request.pageNum")
    return harvest.page(NEW_PC, more=more)


def _new_pc_review(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("id")
    created = record.moment(answer.captured_at, "reviewDate")
    text, empty = review_text(record.text("reviewWordContent"))
    item = answer.param("itemId")
    interaction = record["interactionVO"]
    likes, replies, views = (interaction.count(name) for name in ("likeCount", "commentCount", "readCount"))
    append = record["reviewAppendVO"]
    media = [m for part in (record, append) for one in part.each("reviewPicPathList") for m in image(one.value)]
    for part in (record, append):
        for one in part.each("videoVOList"):
            media += video(one.first("cloudVideoUrl", "videoUrl", "url").value)
    return Draft(
        source="tmall",
        kind="review",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        url=item_url(item),
        product=product_of(item, None, "", _spec(record, "skuText", "skuValueStr")),
        author_id=nickname(record.text("userNick")),
        likes=likes.value,
        replies=replies.value,
        views=views.value,
        approximate=likes.approximate or replies.approximate or views.approximate,
        appends=_append(append, created, answer, ("appendedWordContent",), ("createTime",), "intervalDay"),
        seller_reply=joined_replies([record.text("reply"), append.text("reply")]),
        media=media,
    )


def feed_rates(answer: Answer) -> Page:
    """``feedRateList.htm`` of Taobao's own shops (C2C). Only its root is well known; the names below are tolerant."""
    root = answer.root
    if not root.is_list("comments"):
        return Page(endpoint=FEED_RATES, signal="unknown", reason="缺少 comments，或为 null")
    harvest = Harvest()
    harvest.add_all(root.each("comments"), lambda record: _feed_rate(record, answer))
    harvest.expect(root, "maxPage")
    harvest.expect_in(root["comments"], "content")
    page, last = root.number("currentPageNum"), root.number("maxPage")
    page = page if page is not None else answer.page_number("currentPageNum")
    goes_on = root["comments"].value and page is not None and last is not None and page < last
    more = {"currentPageNum": str(page + 1)} if goes_on and page is not None else None
    return harvest.page(FEED_RATES, more=more, total=root.number("total"))


def _feed_rate(record: Reader, answer: Answer) -> Draft:
    created = record.moment(answer.captured_at, "date", "rateDate")
    text, empty = review_text(record.text("content"))
    item = record.id_or_none("auction.aucNumId", "auctionNumId") or answer.param("auctionNumId")
    rating = _MTOP_RATINGS.get(record.text("rate"))
    append, reply = record["append"], record["reply"]
    media: list[Media] = []
    for part in (record, append):
        for one in part.each("photos"):
            media += image(one.value if isinstance(one.value, str) else one.first("url", "thumbnail").value)
    media += video(record.first("video.cloudVideoUrl", "video.url").value)
    return Draft(
        source="tmall",
        kind="review",
        native_id=record.id("rateId", "id"),
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=rating,
        rating_scale="3" if rating else None,
        url=item_url(item),
        product=product_of(item, None, record.text("auction.title"), spec_of_text(record.text("auction.sku"))),
        author_id=nickname(record.text("user.nick", "userNick")),
        appends=_append(append, created, answer, ("content",), ("date",), "dayAfterConfirm"),
        seller_reply=joined_replies([record.text("reply"), reply.text("content"), append.text("reply.content")]),
        media=media,
    )


def tag_clouds(answer: Answer) -> Page:
    """``listTagClouds.htm``: how many reviews there are, by words; no review."""
    total = answer.root.number("tags.rateSum")
    if total is None:
        return Page(endpoint=TAG_CLOUDS, signal="unknown", reason="缺少 tags.rateSum")
    tags = tags_of(answer.root.each("tags.tagClouds"), "tag", "count")
    return Page(endpoint=TAG_CLOUDS, signal="ok", total=total, tags=tags)


def _spec(record: Reader, mapped: str, written: str) -> str | None:
    values = record[mapped].value
    if isinstance(values, dict):
        return spec_of((name, value) for name, value in values.items() if isinstance(value, str))
    return spec_of_text(record.text(mapped, written) or record.text(written))
