"""The Taobao open platform's answers (TOP): reviews of a seller's own trades.

A review has no id there, only an order line (``oid``). Order numbers are personal, so the id is derived from it: both
calls give the same one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import orjson

from crawlers.endpoint import Answer, Harvest, Stop
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.shop import derived_id, joined_replies, nickname, product_of, tags_of
from crawlers.text import append_text, review_text
from crawlers.tmall.reviews import item_url
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import Append

TRADE_RATES: Final = "tmall.traderates.get"
RATE_FEED: Final = "tmall.traderate.feeds.get"
ITEM_TAGS: Final = "tmall.traderate.itemtags.get"

_RATINGS: Final = {"good": 5, "neutral": 3, "bad": 1}
_LOGIN_WORDS: Final = re.compile(r"session|授权|auth", re.IGNORECASE)
_LIMIT_WORDS: Final = re.compile(r"limit|frequen|流控|频率|次数", re.IGNORECASE)


def trade_rates(answer: Answer) -> Page:
    """``taobao.traderates.get``: what buyers wrote; a seller's ratings of buyers are left out."""
    root = answer.root["traderates_get_response"]
    records = list(root.each("trade_rates.trade_rate"))
    harvest = Harvest()
    harvest.add_all(records, lambda record: _trade_rate(record, answer))
    harvest.expect(root, "has_next", "total_results")
    page, size = answer.page_number("page_no", default=1), answer.page_number("page_size", default=40) or 40
    total = root.number("total_results")
    goes_on = (
        root.flag("has_next")
        if root.has("has_next")
        else page is not None and total is not None and page * size < total
    )
    more = {"page_no": str(page + 1)} if records and goes_on and page is not None else None
    nothing = Stop("empty", "这段时间没有评价")
    if not root.is_object("trade_rates") and total != 0 and not root.has("has_next"):
        nothing = Stop("unknown", "缺少 trade_rates")
    return harvest.page(TRADE_RATES, more=more, total=total, nothing=nothing)


def _trade_rate(record: Reader, answer: Answer) -> Draft | None:
    if record.text("role") == "seller":
        return None
    created = record.moment(answer.captured_at, "created")
    text, empty = review_text(record.text("content"))
    rating = _RATINGS.get(record.text("result"))
    item = record.id_or_none("num_iid")
    return Draft(
        source="tmall",
        kind="review",
        native_id=_line_id(record.id("oid", "tid")),
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        rating=rating,
        rating_scale="3" if rating else None,
        url=item_url(item),
        product=product_of(item, None, record.text("item_title"), None),
        author_id=nickname(record.text("nick")),
        seller_reply=joined_replies([record.text("reply")]),
    )


def order_lines(body: bytes) -> dict[object, str]:
    """The order lines in an answer of :func:`trade_rates`, by their reviews' native ids; personal, never stored."""
    root = Reader(orjson.loads(body), "")
    found: dict[object, str] = {}
    for record in root["traderates_get_response"].each("trade_rates.trade_rate"):
        with suppress(PayloadError):  # a record without an id gave no review either
            line = record.id("oid", "tid")
            found[_line_id(line)] = line
    return found


def rate_feed(answer: Answer) -> Page:
    """``tmall.traderate.feeds.get``: one order line's review; the line is in the request."""
    harvest = Harvest()
    harvest.add(answer.root.at("tmall_traderate_feeds_get_response.tmall_rate_info"), lambda one: _feed(one, answer))
    return harvest.page(RATE_FEED)


def _feed(record: Reader, answer: Answer) -> Draft:
    line = answer.param("child_trade_id")
    if line is None:
        raise PayloadError("请求里没有 child_trade_id", field="request.child_trade_id")
    created = record.moment(answer.captured_at, "comment_time")
    text, empty = review_text(record.text("content"))
    appended = append_text(record.text("append_content"))
    at = record.moment_or_none(answer.captured_at, "append_time")
    return Draft(
        source="tmall",
        kind="review",
        native_id=_line_id(line),
        created_at=created.at,
        created_precision=created.precision,
        text=text,
        empty_text=empty,
        author_id=nickname(record.text("user_nick")),
        appends=[Append(text=appended, created_at=at.at if at else None)] if appended else [],
    )


def item_tags(answer: Answer) -> Page:
    """``tmall.traderate.itemtags.get``: what an item's reviews talk about, counted by the platform; no review."""
    tags = answer.root.at("tmall_traderate_itemtags_get_response.tags")
    found = tags_of(tags.each("tmall_rate_tag", "tmall_rate_tag_detail"), "tag_name", "count")
    return Page(endpoint=ITEM_TAGS, signal="empty", reason="只有商品的标签计数，没有评价", tags=found)


def _line_id(order_line: str) -> str:
    return f"line-{derived_id(order_line)}"


def refusal(error: Reader) -> Stop:
    """What an ``error_response`` means: 7 is the call limit, 27 a session that ended."""
    code, words = error.text("code")[:20], " ".join(error.text(name)[:200] for name in ("sub_code", "msg", "sub_msg"))
    reason = f"淘宝开放平台拒绝了（code {code}）"
    if code == "7" or _LIMIT_WORDS.search(words):
        return Stop("throttled", reason)
    if code in ("26", "27", "53") or _LOGIN_WORDS.search(words):
        return Stop("login_required", reason)
    return Stop("unknown", reason)
