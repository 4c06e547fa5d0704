"""JD 京东: its endpoints. Facts and field names: the platform's JSONP lists, ``api.m.jd.com`` and the merchant API."""

from __future__ import annotations

import re
from typing import Final

from crawlers.decode import Decoded
from crawlers.endpoint import Endpoint, Platform, Stop
from crawlers.jd import questions, reviews, signals
from crawlers.reading import Reader

_LOGIN_WORDS: Final = re.compile(r"token|session|授权|登录|auth", re.IGNORECASE)
_LIMIT_WORDS: Final = re.compile(r"limit|frequen|频|次数|限流|上限", re.IGNORECASE)


def _inside(decoded: Decoded, root: Reader) -> Stop | None:
    if root.is_object("error_response"):
        return _merchant_error(root["error_response"])
    return signals.inside(decoded, root)


def _merchant_error(error: Reader) -> Stop:
    code = error.text("code")[:20]
    words = " ".join(error.text(name)[:200] for name in ("zh_desc", "en_desc"))
    reason = f"京东商家接口拒绝了（code {code}）"
    if _LOGIN_WORDS.search(words):
        return Stop("login_required", reason)
    return Stop("throttled" if _LIMIT_WORDS.search(words) else "unknown", reason)


JD: Final = Platform(
    name="jd",
    endpoints=(
        Endpoint(
            name=reviews.MERCHANT,
            address=re.compile(r"getVenderCommentsForJos", re.IGNORECASE),
            fits=lambda root: reviews.merchant_body(root) is not None,
            parse=reviews.merchant,
        ),
        Endpoint(
            name=reviews.FIRST_SCREEN,
            address=re.compile(r"getLegoWareDetailComment"),
            fits=lambda root: root.has("commentInfoList") or (root.has("allCnt") and root.has("questionList")),
            parse=reviews.first_screen,
        ),
        Endpoint(
            name=reviews.NEW_LIST,
            address=re.compile(r"getCommentListPage"),
            fits=lambda root: any(floor.has("mId") for floor in reviews.floors(root)),
            parse=reviews.new_list,
        ),
        Endpoint(
            name=questions.QUESTIONS,
            address=re.compile(r"getQuestionAnswerList"),
            fits=lambda root: root.is_list("questionList"),
            parse=questions.question_list,
        ),
        Endpoint(
            name=questions.ANSWERS,
            address=re.compile(r"getAnswerListById"),
            fits=lambda root: root.is_list("answers"),
            parse=questions.answer_list,
        ),
        Endpoint(
            name=reviews.SUMMARIES,
            address=re.compile(r"productCommentSummaries", re.IGNORECASE),
            fits=lambda root: root.is_list("CommentsCount"),
            parse=reviews.summaries,
        ),
        Endpoint(
            name=reviews.WARE,
            address=re.compile(r"wareBusiness"),
            fits=lambda root: root.is_object("productAttributeVO") or root.is_object("wareInfo"),
            parse=reviews.ware,
        ),
        Endpoint(
            name=reviews.OLD_LIST,
            address=re.compile(r"productPageComments|ProductPageComments|ProductPageFoldComments|/productpage/p-\d"),
            fits=lambda root: root.has("comments") or root.has("productCommentSummary") or root.has("maxPage"),
            parse=reviews.old_list,
            misfit="blocked",
        ),
    ),
    outside=signals.outside,
    inside=_inside,
    statuses={},
    nothing=signals.BLOCKED,
    page=Stop("blocked", "给的是网页而不是数据：被拦截，或没有登录"),
)
