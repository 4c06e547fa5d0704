"""Tmall 天猫 and Taobao 淘宝: their endpoints."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Endpoint, Platform, Stop
from crawlers.reading import Reader
from crawlers.tmall import openapi, questions, reviews, signals


def _inside(decoded: Decoded, root: Reader) -> Stop | None:
    if root.is_object("error_response"):
        return openapi.refusal(root["error_response"])
    return signals.inside(decoded, root)


def _api(root: Reader, name: str) -> bool:
    return name in root.text("api").lower() and root.is_object("data")


TMALL: Final = Platform(
    name="tmall",
    endpoints=(
        Endpoint(
            name=reviews.OLD_LIST,
            address=re.compile(r"list_detail_rate\.htm"),
            fits=lambda root: root.is_object("rateDetail"),
            parse=reviews.old_list,
        ),
        Endpoint(
            name=reviews.FEED_RATES,
            address=re.compile(r"feedRateList\.htm"),
            fits=lambda root: root.is_list("comments") and (root.has("maxPage") or root.at("comments.0").has("rateId")),
            accepts=lambda root: root.has("comments"),
            parse=reviews.feed_rates,
        ),
        Endpoint(
            name=reviews.TAG_CLOUDS,
            address=re.compile(r"listTagClouds\.htm"),
            fits=lambda root: root.is_list("tags.tagClouds"),
            accepts=lambda root: root.is_object("tags"),
            parse=reviews.tag_clouds,
        ),
        Endpoint(
            name=reviews.NEW_PC,
            address=re.compile(r"review\.list\.for\.new\.pc\.detail", re.IGNORECASE),
            fits=lambda root: root.is_object("data.module") or _api(root, "review.list.for.new.pc.detail"),
            parse=reviews.new_pc,
        ),
        Endpoint(
            name=reviews.DETAIL_LIST,
            address=re.compile(r"rate\.detaillist\.get|wdetail\.getitemrates", re.IGNORECASE),
            fits=lambda root: root.is_list("data.rateList") or _api(root, "detaillist") or _api(root, "getitemrates"),
            parse=reviews.detail_list,
        ),
        Endpoint(
            name=questions.DETAIL,
            address=re.compile(r"social\.ugc\.post\.detail"),
            fits=lambda root: root.is_list("data.list.list") and root.at("data").has("title"),
            parse=questions.question_detail,
        ),
        Endpoint(
            name=questions.QUESTIONS,
            address=re.compile(r"social\.feed\.aggregate"),
            fits=lambda root: root.is_list("data.list") and root.has("ret"),
            parse=questions.question_list,
        ),
        Endpoint(
            name=openapi.TRADE_RATES,
            address=re.compile(r"traderates\.get"),
            fits=lambda root: root.is_object("traderates_get_response"),
            parse=openapi.trade_rates,
        ),
        Endpoint(
            name=openapi.RATE_FEED,
            address=re.compile(r"traderate\.feeds\.get"),
            fits=lambda root: root.is_object("tmall_traderate_feeds_get_response.tmall_rate_info"),
            parse=openapi.rate_feed,
        ),
        Endpoint(
            name=openapi.ITEM_TAGS,
            address=re.compile(r"traderate\.itemtags\.get"),
            fits=lambda root: root.is_object("tmall_traderate_itemtags_get_response"),
            parse=openapi.item_tags,
        ),
    ),
    outside=signals.outside,
    inside=_inside,
)
