"""JD reviews: the old JSONP list (also behind api.m.jd.com), the two newer answers, and the merchant API."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

from crawlers.endpoint import Answer, Harvest, Stop, claims
from crawlers.jd.questions import add_questions, item_url
from crawlers.jd.signals import BLOCKED
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.shop import joined_replies, nickname, product_of, spec_of, spec_of_text, tags_of
from crawlers.text import append_text, review_text
from crawlers.values import Moment, days_after, image, province, read_count, read_share, video
from ingest.draft import Draft
from ingest.mention import Append, Media, RatingScale

MAX_PAGES: Final = 100
"""The old list never gives a page beyond this, whatever maxPage says."""

OLD_LIST: Final = "jd.productPageComments"
FIRST_SCREEN: Final = "jd.getLegoWareDetailComment"
NEW_LIST: Final = "jd.getCommentListPage"
MERCHANT: Final = "jd.getVenderCommentsForJos"
SUMMARIES: Final = "jd.productCommentSummaries"
WARE: Final = "jd.pc_detailpage_wareBusiness"

_OLD_COUNTS: Final = {
    "good": "goodCount",
    "middle": "generalCount",
    "bad": "poorCount",
    "append": "afterCount",
    "picture": "showCount",
    "video": "videoCount",
    "default_good": "defaultGoodCount",
}
_NEW_COUNTS: Final = {"good": "goodCnt", "middle": "normalCnt", "bad": "badCnt", "picture": "pictureCnt"}
_IN_PATH: Final = re.compile(r"/productpage/p-(\d{1,24})-s-\d-t-\d-p-(\d{1,6})\.html")
_WORDS: Final = {"好评": 5, "中评": 3, "差评": 1}


def old_list(answer: Answer) -> Page:
    """``productPageComments.action`` and its siblings: 0-based pages, clamped at the end."""
    root = answer.root
    comments = root["comments"].value
    if not isinstance(comments, list):
        return Page(endpoint=OLD_LIST, signal="blocked", reason=BLOCKED.reason)
    harvest = Harvest()
    harvest.add_all(root.each("comments"), lambda record: _old_review(record, answer))
    if "Fold" not in (answer.payload.url or ""):  # nothing is known of how the list of folded reviews goes on
        harvest.expect(root, "maxPage")
    harvest.expect_in(root["comments"], "content")
    summary = root["productCommentSummary"]
    total = summary.number("commentCount", "commentCountStr")
    last = root.number("maxPage")
    page = _old_page(answer)
    more = None
    if comments and page is not None:
        pages = min(MAX_PAGES if last is None else last, MAX_PAGES)
        # Without maxPage a short page is taken for the last one.
        if page + 1 < pages and (last is not None or len(comments) >= 10):
            more = {"page": str(page + 1)}
    nothing = Stop("empty", "没有评价，或已过最后一页")
    if not comments and page is not None and last is not None and page < last and total != 0:
        nothing = Stop("unknown", f"第 {page} 页没有评价，maxPage 却是 {last}")
    return harvest.page(
        OLD_LIST,
        more=more,
        total=total,
        counts=claims(summary, _OLD_COUNTS),
        stats=_stats(summary),
        tags=tags_of(root.each("hotCommentTagStatistics"), "name", "count"),
        nothing=nothing,
    )


def _stats(where: Reader) -> dict[str, float | bool]:
    """What the platform makes of all reviews; keys begin with a capital where only counts are asked for."""

    def held(name: str) -> object:
        return where.first(name, name[0].upper() + name[1:]).value

    found: dict[str, float | bool | None] = {"good_rate": read_share(held("goodRate"))}
    if found["good_rate"] is None:
        found["good_rate"] = read_share(held("goodRateShow"))
    average = held("averageScore")
    if isinstance(average, int | float) and not isinstance(average, bool) and 0 <= average <= 5:
        found["average_score"] = average
    found |= {f"score_{stars}": read_count(held(f"score{stars}Count")).value for stars in range(1, 6)}
    default = held("isAllDefaultGoodComment")
    found["all_default_good"] = default if isinstance(default, bool) else None
    return {name: value for name, value in found.items() if value is not None}


def summaries(answer: Answer) -> Page:
    """``productCommentSummaries.action``: counts only, of one or several SKUs; those of the first are told."""
    first = answer.root.at("CommentsCount.0")
    total = first.number("CommentCount", "commentCount", "CommentCountStr")
    if total is None:
        return Page(endpoint=SUMMARIES, signal="unknown", reason="缺少 CommentsCount[0].CommentCount")
    names = {claim: key[0].upper() + key[1:] for claim, key in _OLD_COUNTS.items()}
    counts = claims(first, names) or claims(first, _OLD_COUNTS)
    return Page(endpoint=SUMMARIES, signal="ok", total=total, counts=counts, stats=_stats(first))


def ware(answer: Answer) -> Page:
    """``pc_detailpage_wareBusiness``: the product itself. Nobody says anything there."""
    return Page(endpoint=WARE, signal="empty", reason="只有商品详情，没有评价")


def _old_page(answer: Answer) -> int | None:
    in_path = _IN_PATH.search(answer.payload.url or "")
    return int(in_path[2]) if in_path else answer.page_number("page", default=0)


def _old_sku(answer: Answer) -> str | None:
    """The SKU that the list was asked for."""
    in_path = _IN_PATH.search(answer.payload.url or "")
    return in_path[1] if in_path else answer.param("productId")


def _old_review(record: Reader, answer: Answer) -> Draft:
    captured_at = answer.captured_at
    native_id = record.id("id")
    created = record.moment(captured_at, "creationTime")
    text, empty = review_text(record.text("content", "showOrderComment.content"))
    # The list mixes the reviews of all SKUs of a product, so the one asked for is only second best.
    sku = record.id_or_none("referenceId") or _old_sku(answer)
    likes, replies = record.count("usefulVoteCount"), record.count("replyCount")
    score = record.number("score")
    appends = _append_of(
        record.text("afterUserComment.hAfterUserComment.content", "afterUserComment.content"),
        record.moment_or_none(captured_at, "afterUserComment.created", "afterUserComment.hAfterUserComment.created"),
        _days_base(record, created, captured_at),
        record["afterDays"],
    )
    bought = record.moment_or_none(captured_at, "referenceTime")
    media = [m for name in ("images", "afterImages") for one in record.each(name) for m in image(one["imgUrl"].value)]
    for one in record.each("videos"):
        media += video(one.first("remark", "videoUrl").value)
    return Draft(
        source="jd",
        kind="review",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=score if score in (1, 2, 3, 4, 5) else None,
        rating_scale="5" if score in (1, 2, 3, 4, 5) else None,
        url=item_url(sku),
        product=product_of(sku, sku, record.text("referenceName"), _old_spec(record)),
        author_id=nickname(record.text("nickname")),
        purchased_at=bought.at if bought else None,
        region=province(record["userProvince"].value),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        appends=appends,
        seller_reply=joined_replies(reply.text("content") for reply in record.each("replies")),
        media=media,
    )


def _days_base(record: Reader, created: Moment, captured_at: datetime) -> Moment | None:
    """What ``afterDays`` counts from: the purchase, or the review less the days it came after the purchase."""
    bought = record.moment_or_none(captured_at, "referenceTime")
    if bought is not None:
        return bought
    days = record.number("days")
    return None if days is None or days > 5_000 else Moment(created.at - timedelta(days=days), "day")


def _append_of(text: str, stated: Moment | None, base: Moment | None, days: Reader) -> list[Append]:
    written = append_text(text)
    if not written:
        return []
    at = stated.at if stated else days_after(base, days.value) if base and days.value else None
    return [Append(text=written, created_at=at)]


def _old_spec(record: Reader) -> str | None:
    pairs = [("颜色", record.text("productColor")), ("规格", record.text("productSize"))]
    for sale in record.each("productSales"):
        pairs.append((sale.text("saleName"), sale.text("saleValue")))
    return spec_of(pairs)


def first_screen(answer: Answer) -> Page:
    """``getLegoWareDetailComment``: a few reviews and a few questions, all numbers as text; there is no next page."""
    root = answer.root
    total = root.count("allCnt", "allCntStr").value
    harvest = Harvest()
    harvest.add_all(root.each("commentInfoList"), lambda record: _new_review(record, answer.captured_at))
    add_questions(harvest, root.each("questionList"), answer, root.text("skuId", "sku") or answer.param("sku"))
    harvest.expect(root, "commentInfoList")
    harvest.expect_in(root["commentInfoList"], "commentData", "tagCommentContent")
    counts = claims(root, _NEW_COUNTS)
    defaults = _default_good(root.text("defaultGoodCountText"))
    if defaults is not None:
        counts["default_good"] = defaults
    nothing = Stop("empty", "没有评价，也没有问答")
    if not root.is_list("commentInfoList") and total != 0:
        nothing = Stop("unknown", "缺少 commentInfoList")
    tags = tags_of(root.each("semanticTagList", "tagStatisticsinfoList"), "name", "count")
    return harvest.page(FIRST_SCREEN, total=total, counts=counts, stats=_stats(root), tags=tags, nothing=nothing)


def _default_good(text: str) -> int | None:
    """The number in base64 of "1000+个用户默认评价了该商品"; None where it is something else."""
    try:
        words = b64decode(text[:400], validate=True).decode()
    except ValueError:
        return None
    number = re.match(r"[\d.]{1,12}\s{0,3}[万千]?\+?", words, re.ASCII)
    return read_count(number[0]).value if number else None


def new_list(answer: Answer) -> Page:
    """``getCommentListPage``: reviews are in the floor ``commentlist-list``; the end is a page without new ids."""
    floor = _list_floor(answer.root)
    if floor is None:
        return Page(endpoint=NEW_LIST, signal="unknown", reason="没有 commentlist-list 这一层")
    harvest = Harvest()
    cards = [card["commentInfo"] for card in floor.each("data") if card.has("commentInfo")]
    if not cards and floor.at("data.0").value is not None:
        reason = f"缺少 {floor.path}.data[0].commentInfo"
        return Page(endpoint=NEW_LIST, signal="unknown", reason=reason)
    harvest.expect(floor, "data")
    harvest.expect_in(Reader([card.value for card in cards], f"{floor.path}.data[].commentInfo"), "commentData")
    harvest.add_all(cards, lambda record: _new_review(record, answer.captured_at))
    page = answer.page_number("pageNum")
    more = {"pageNum": str(page + 1)} if cards and page is not None else None
    return harvest.page(NEW_LIST, more=more)


def floors(root: Reader) -> Iterator[Reader]:
    return root.each("result.floors", "floors")


def _list_floor(root: Reader) -> Reader | None:
    return next((floor for floor in floors(root) if floor.text("mId") == "commentlist-list"), None)


def _new_review(record: Reader, captured_at: datetime) -> Draft:
    native_id = record.id("commentId")
    created = record.moment(captured_at, "commentDate")
    text, empty = review_text(record.text("commentData", "tagCommentContent"))
    likes, replies = record.count("praiseCnt"), record.count("replyCnt")
    score, scale = _new_rating(record)
    sku = record.id_or_none("productId")
    media: list[Media] = []
    for picture in record.each("pictureInfoList"):
        address = picture.first("largePicURL", "picURL").value
        media += (
            video(picture.first("videoUrl", "largePicURL", "picURL").value) if _is_video(picture) else image(address)
        )
    return Draft(
        source="jd",
        kind="review",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=score,
        rating_scale=scale,
        url=item_url(sku),
        product=product_of(sku, sku, "", _new_spec(record)),
        author_id=nickname(record.text("userNickName")),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        appends=_append_of(
            record.text("afterComment.content", "afterComment.commentData"),
            record.moment_or_none(captured_at, "afterComment.created", "afterComment.commentDate"),
            created,
            record.at("afterComment.afterDays"),
        ),
        media=media,
    )


def _new_rating(record: Reader) -> tuple[int | None, RatingScale | None]:
    """Stars; where there are none, what the words say."""
    score = record.number("commentScore")
    if score in (1, 2, 3, 4, 5):
        return score, "5"
    worded = _WORDS.get(record.text("commentScoreText").strip())
    return worded, "3" if worded else None


def _is_video(picture: Reader) -> bool:
    return picture.text("mediaType") == "2"


def _new_spec(record: Reader) -> str | None:
    pairs = [
        (name, value if isinstance(value, str) else "")
        for attribute in record.each("wareAttribute")
        if isinstance(attribute.value, Mapping)
        for name, value in attribute.value.items()
    ]
    return spec_of(pairs) or spec_of_text(record.text("productSpecifications"))


def merchant(answer: Answer) -> Page:
    """The merchant API's reviews. Buyer pins, open ids and order numbers are not read."""
    body = merchant_body(answer.root)
    if body is None:
        return Page(endpoint=MERCHANT, signal="unknown", reason="商家接口的答复里没有评价")
    harvest = Harvest()
    harvest.add_all(body.each("comments"), lambda record: _merchant_review(record, answer.captured_at))
    page, size = answer.page_number("page", default=1), answer.page_number("pageSize")
    given = len(list(body.each("comments")))
    more = {"page": str(page + 1)} if page is not None and size and given >= size else None
    return harvest.page(MERCHANT, more=more, total=body.number("totalItem", "total", "totalCount"))


def merchant_body(root: Reader) -> Reader | None:
    """The object that holds ``comments`` in ``jingdong_…_responce`` (the platform's spelling), or in a member of it."""
    if not isinstance(root.value, dict):
        return None
    for key in root.value:
        if not re.fullmatch(r"jingdong_\w{1,100}_respon[cs]e", str(key)):
            continue
        envelope = root[key]
        for body in (envelope, *envelope.values()):
            if body.is_list("comments"):
                return body
    return None


def _merchant_review(record: Reader, captured_at: datetime) -> Draft:
    created = record.moment(captured_at, "creationTime")
    text, empty = review_text(record.text("content"))
    score = record.number("score")
    sku = record.id_or_none("skuid", "skuId")
    likes, replies = record.count("usefulCount"), record.count("replyCount")
    media = [m for one in record.each("images") for m in image(one["imgUrl"].value)]
    for one in record.each("videos"):
        media += video(one.first("remark", "videoUrl", "mainUrl").value)
    # Where the seller has not answered, whatever was replied, others did.
    answers = record.each("replies") if record["isVenderReply"].value is not False else ()
    return Draft(
        source="jd",
        kind="review",
        native_id=record.id("commentId"),
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=score if score in (1, 2, 3, 4, 5) else None,
        rating_scale="5" if score in (1, 2, 3, 4, 5) else None,
        url=item_url(sku),
        product=product_of(sku, sku, record.text("skuName"), None),
        author_id=nickname(record.text("nickName")),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        seller_reply=joined_replies(reply.text("content") for reply in answers),
        media=media,
    )
