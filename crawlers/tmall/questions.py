"""问大家, the questions under an item. Field names are thinly known: best effort, checked by shape."""

from __future__ import annotations

from typing import Final

from crawlers.endpoint import Answer, Harvest
from crawlers.payload import Page
from crawlers.reading import LOST_DIGITS, Reader
from crawlers.shop import derived_id, nickname, product_of
from crawlers.text import clean
from crawlers.tmall.reviews import item_url
from ingest.draft import Draft
from ingest.errors import PayloadError

QUESTIONS: Final = "tmall.social.feed.aggregate"
DETAIL: Final = "tmall.social.ugc.post.detail"


def question_list(answer: Answer) -> Page:
    """``mtop.taobao.social.feed.aggregate``: stubs; an item is a list whose first member holds the id."""
    harvest = Harvest()
    cards = [card[0] if isinstance(card.value, list) else card for card in answer.root.each("data.list")]
    harvest.add_all(cards, lambda record: _stub(record, answer))
    page = answer.page_number("pageNum")
    return harvest.page(QUESTIONS, more={"pageNum": str(page + 1)} if cards and page is not None else None)


def _stub(record: Reader, answer: Answer) -> Draft:
    item = record.id_or_none("refId") or answer.param("refId", "itemId")
    return _question(record, record.id("id"), item, answer, partial=True)


def question_detail(answer: Answer) -> Page:
    """``mtop.taobao.social.ugc.post.detail``: one question with its answers."""
    data = answer.root["data"]
    harvest = Harvest()
    question = harvest.add(data, lambda record: _asked(record, answer))
    if question is not None:
        harvest.add_all(data.each("list.list"), lambda record: _answered(record, question, answer))
    return harvest.page(DETAIL, total=data.number("list.totalCount"))


def _asked(record: Reader, answer: Answer) -> Draft:
    native_id = record.id_or_none("id", "postId") or answer.param("id", "postId", "questionId")
    if native_id is None:
        raise PayloadError("缺少编号", field=f"{record.path}.id")
    item = record.id_or_none("refId") or answer.param("refId")
    draft = _question(record, native_id, item, answer, partial=False)
    likes, views = record.count("interact.likeCount"), record.count("interact.viewCount")
    replies = record.count("list.totalCount")
    draft.likes, draft.views, draft.replies = likes.value, views.value, replies.value
    draft.approximate = likes.approximate or views.approximate or replies.approximate
    return draft


def _question(record: Reader, native_id: str, item: str | None, answer: Answer, *, partial: bool) -> Draft:
    created = record.moment_or_none(answer.captured_at, "gmtCreate", "createTime", "time")
    return Draft(
        source="tmall",
        kind="question",
        native_id=native_id,
        created_at=created.at if created else None,
        created_precision=created.precision if created else "day",
        text=clean(record.text("title")),
        url=item_url(item),
        product=product_of(item, None, record.text("refTitle"), None),
        author_id=nickname(record.text("userNick", "user.userNick", "user.nick")),
        partial=partial,
    )


def _answered(record: Reader, question: Draft, answer: Answer) -> Draft:
    text = clean(record.text("title", "content"))
    parent = str(question.native_id)
    native_id = record.id_or_none("id", "commentId")
    if native_id is None:
        if isinstance(record["id"].value, float):
            raise PayloadError(LOST_DIGITS, field=record["id"].path)
        if not text:
            raise PayloadError("没有编号，也没有文字", field=f"{record.path}.id")
        native_id = f"{parent}-{derived_id(text)}"
    created = record.moment_or_none(answer.captured_at, "gmtCreate", "createTime", "time")
    return Draft(
        source="tmall",
        kind="answer",
        native_id=native_id,
        created_at=created.at if created else None,
        created_precision=created.precision if created else "day",
        text=text,
        parent_native=f"question:{parent}",
        url=question.url,
        product=question.product,
        author_id=nickname(record.text("userNick", "user.userNick", "user.nick")),
    )
