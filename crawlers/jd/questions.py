"""JD product questions. Mostly without a time; answers shown beside a question have no id either.

Such an answer gets an id derived from its words, and as a preview it is a stub: the full list may tell it with an id.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from crawlers.endpoint import Answer, Harvest
from crawlers.payload import Page
from crawlers.reading import LOST_DIGITS, Reader
from crawlers.shop import derived_id, nickname, product_of
from crawlers.text import clean
from crawlers.values import Moment
from ingest.draft import Draft
from ingest.errors import PayloadError

QUESTIONS: Final = "jd.getQuestionAnswerList"
ANSWERS: Final = "jd.getAnswerListById"


def question_list(answer: Answer) -> Page:
    """``getQuestionAnswerList.action``: 1-based pages until ``questionList`` is empty; each with its first answers."""
    harvest = Harvest()
    records = list(answer.root.each("questionList"))
    add_questions(harvest, records, answer, answer.param("productId", "sku"))
    page = answer.page_number("page", default=1)
    more = {"page": str(page + 1)} if records and page is not None else None
    harvest.expect_in(answer.root["questionList"], "content")
    return harvest.page(QUESTIONS, more=more, total=answer.root.number("totalItem"))


def answer_list(answer: Answer) -> Page:
    """``getAnswerListById.action``: the answers of one question, 1-based pages until empty."""
    harvest = Harvest()
    records = list(answer.root.each("answers"))
    harvest.add_all(records, partial(_answer, answer.param("questionId"), None, answer, False))
    page = answer.page_number("page", default=1)
    more = {"page": str(page + 1)} if records and page is not None else None
    harvest.expect_in(answer.root["answers"], "content")
    return harvest.page(ANSWERS, more=more, total=answer.root.number("totalItem"))


def add_questions(harvest: Harvest, records: Iterable[Reader], answer: Answer, sku: str | None) -> None:
    """Questions and the answers shown with them, into the harvest."""
    for record in records:
        question = harvest.add(record, lambda one: _question(one, sku, answer))
        if question is None:
            continue
        harvest.add_all(record.each("answerList"), partial(_answer, str(question.native_id), sku, answer, True))


def _question(record: Reader, sku: str | None, answer: Answer) -> Draft:
    created = _time(record, answer)
    product = record.id_or_none("productId") or sku
    replies = record.count("answerCount", "answerCountText")
    return Draft(
        source="jd",
        kind="question",
        native_id=record.id("id", "questionId"),
        created_at=created.at if created else None,
        created_precision=created.precision if created else "day",
        text=clean(record.text("content")),
        url=item_url(product),
        product=product_of(product, product, "", None),
        author_id=nickname(record.text("nickName", "nickname")),
        replies=replies.value,
        approximate=replies.approximate,
    )


def _answer(question_id: str | None, sku: str | None, answer: Answer, preview: bool, record: Reader) -> Draft:
    text = clean(record.text("content"))
    parent = record.id_or_none("questionId") or question_id
    own_id = native_id = record.id_or_none("id", "answerId")
    if native_id is None:
        if isinstance(record.first("id", "answerId").value, float):
            raise PayloadError(LOST_DIGITS, field=record.first("id", "answerId").path)
        if parent is None or not text:
            raise PayloadError("没有编号，也没有可以推出编号的问题和文字", field=f"{record.path}.id")
        native_id = f"{parent}-{derived_id(text)}"
    created = _time(record, answer)
    product = record.id_or_none("productId") or sku
    return Draft(
        source="jd",
        kind="answer",
        native_id=native_id,
        created_at=created.at if created else None,
        created_precision=created.precision if created else "day",
        text=text,
        parent_native=f"question:{parent}" if parent else None,
        url=item_url(product),
        product=product_of(product, product, "", None),
        author_id=nickname(record.text("nickName", "nickname")),
        partial=preview and own_id is None,
    )


def _time(record: Reader, answer: Answer) -> Moment | None:
    return record.moment_or_none(answer.captured_at, "created", "createTime", "creationTime")


def item_url(sku: str | None) -> str | None:
    """The product's page."""
    return f"https://item.jd.com/{sku}.html" if sku and sku.isdigit() else None
