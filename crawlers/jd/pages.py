"""JD as somebody who has logged in sees it: a product's page in the browser, its new list of reviews, its questions."""

from __future__ import annotations

import re

from crawlers.config import Target
from crawlers.jd.questions import ANSWERS, QUESTIONS
from crawlers.jd.reviews import FIRST_SCREEN, NEW_LIST
from crawlers.shop_pages import ShopPageSpider, filters_of_reviews


class JdPageSpider(ShopPageSpider):
    platform = "jd"
    listens = re.compile(
        r"^api\.m\.jd\.com/.*#(getLegoWareDetailComment|getCommentListPage)$"
        r"|^question\.jd\.com/question/(getQuestionAnswerList|getAnswerListById)\.action"
    )
    items = re.compile(r"^item\.(m\.)?jd\.com/")
    places = re.compile(r"^(item\.(m\.)?jd\.com/|www\.jd\.com/?$)")  # the front page is where what is gone leads
    first_screen = FIRST_SCREEN
    review_lists = frozenset({NEW_LIST})
    question_list = QUESTIONS
    answer_list = ANSWERS
    page_fields = ("pageNum",)
    open_reviews = (
        re.compile(r"^\s*(查看)?全部评价"),
        re.compile(r"^\s*商品评价"),
        re.compile(r"^\s*(累计|买家)评价"),
    )
    newest = re.compile(r"^\s*(最新|按?时间(排序)?)\s*$")
    filters = filters_of_reviews("(有图|晒图|图/视频|有图/视频|图片)")
    open_questions = (re.compile(r"^\s*(查看)?(全部)?(商品)?问答"), re.compile(r"^\s*(查看)?(全部)?(大家问|问大家)"))
    open_answers = re.compile(r"(查看|展开)?(全部|更多)\s*\d*\s*[个条]?\s*回答")

    def product(self, target: Target) -> tuple[str, str]:
        sku = target.need("sku")
        return sku, self.here.url("item.jd.com", f"/{sku}.html")
