"""Tmall as somebody who has logged in sees it: the product's page in the browser, its lists of reviews, 问大家."""

from __future__ import annotations

import re

from crawlers.config import Target
from crawlers.payload import Payload
from crawlers.shop_pages import ShopPageSpider, filters_of_reviews
from crawlers.tmall.questions import DETAIL, QUESTIONS
from crawlers.tmall.reviews import DETAIL_LIST, ITEM_RATES, NEW_PC


class TmallPageSpider(ShopPageSpider):
    platform = "tmall"
    listens = re.compile(
        r"^h5api\.m\.(tmall|taobao)\.com/h5/mtop\.(taobao\.rate\.detaillist\.get"
        r"|alibaba\.review\.list\.for\.new\.pc\.detail|wdetail\.getitemrates"
        r"|taobao\.social\.(feed\.aggregate|ugc\.post\.detail))/",
        re.IGNORECASE,
    )
    items = re.compile(r"^((chaoshi\.)?detail\.tmall\.(com|hk)|(detail\.m\.tmall|item\.taobao)\.com)/(hk/)?item\.htm$")
    places = items
    review_lists = frozenset({DETAIL_LIST, ITEM_RATES, NEW_PC})
    question_list = QUESTIONS
    answer_list = DETAIL
    page_fields = ("pageNo", "pageNum")
    open_reviews = (
        re.compile(r"^\s*(查看)?全部(\s*[\d.]+[万千]?\+?\s*条)?评价"),
        re.compile(r"^\s*(用户|累计|宝贝|商品)评价"),
        re.compile(r"^\s*评价"),
    )
    newest = re.compile(r"^\s*(最新|按?时间(排序)?|时间)\s*$")
    filters = filters_of_reviews("(有图|图/视频|有图/视频|图片)")
    open_questions = (re.compile(r"^\s*(查看)?(全部)?(问大家|大家问)"),)
    open_answers = re.compile(r"(查看|展开)?(全部|更多)?\s*\d*\s*[个条]\s*回答|查看(全部)?回答")

    def product(self, target: Target) -> tuple[str, str]:
        item_id = target.need("item_id")
        return item_id, self.here.url("detail.tmall.com", f"/item.htm?id={item_id}")

    def is_noise(self, payload: Payload) -> bool:
        """The first round of every page: it has no token yet, is given one, and asks again by itself."""
        return b"FAIL_SYS_TOKEN_E" in payload.body[:2000]
