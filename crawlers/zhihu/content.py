"""Zhihu questions, answers, articles, videos: one mapper for the API (snake_case) and a page's state (camelCase)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from crawlers.endpoint import Answer
from crawlers.reading import LOST_DIGITS, Reader
from crawlers.text import clean_html
from crawlers.values import Moment, https_url, province
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import Media

MAX_IMAGES: Final = 100

_IMAGE_TAG: Final = re.compile(r"<img\b[^<>]{0,4000}>", re.IGNORECASE)
_IMAGE_LINK: Final = re.compile(r'<a\s[^<>]{0,500}?class="[^"<>]{0,100}comment_(?:img|gif)[^<>]{0,2000}>')
_SOURCE: Final = re.compile(r'\b(data-original|data-actualsrc|src|href)="([^"<>]{1,2000})"')
_TIMES: Final = ("created_time", "createdTime", "created", "published_at", "publishedAt", "created_at", "createdAt")


def question_url(question_id: str) -> str:
    return f"https://www.zhihu.com/question/{question_id}"


def answer_url(answer_id: str, question_id: str | None) -> str:
    if question_id is None:
        return f"https://www.zhihu.com/answer/{answer_id}"
    return f"{question_url(question_id)}/answer/{answer_id}"


def article_url(article_id: str) -> str:
    return f"https://zhuanlan.zhihu.com/p/{article_id}"


def zvideo_url(video_id: str) -> str:
    return f"https://www.zhihu.com/zvideo/{video_id}"


def answer_draft(record: Reader, answer: Answer) -> Draft:
    """An answer; its title is its question's."""
    native_id = record.id("id")
    question = record.id_or_none("question.id")
    title = clean_html(record.text("question.title", "question.name", "title"))
    draft = _content(record, answer, "answer", native_id, title)
    draft.parent_native = f"question:{question}" if question else None
    draft.url = answer_url(native_id, question)
    return draft


def article_draft(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("id")
    draft = _content(record, answer, "article", native_id, clean_html(record.text("title")))
    draft.url = article_url(native_id)
    return draft


def question_draft(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("id")
    draft = _content(record, answer, "question", native_id, clean_html(record.text("title", "name")))
    draft.url = question_url(native_id)
    draft.replies = record.number("answer_count", "answerCount")
    draft.views = record.number("visit_count", "visitCount")
    return draft


def zvideo_draft(record: Reader, answer: Answer) -> Draft:
    native_id = record.id("id", "zvideo_id")
    draft = _content(record, answer, "video", native_id, clean_html(record.text("title", "name")))
    draft.url = zvideo_url(native_id)
    draft.views = record.number("play_count", "playCount")
    return draft


BUILDERS: Final = {
    "answer": answer_draft,
    "article": article_draft,
    "question": question_draft,
    "zvideo": zvideo_draft,
}
"""By the platform's word for the kind."""


def _content(record: Reader, answer: Answer, kind: str, native_id: str, title: str) -> Draft:
    created: Moment = record.moment(answer.captured_at, *_TIMES)
    edited = record.moment_or_none(answer.captured_at, "updated_time", "updatedTime", "updated")
    markup = record.text("content", "detail", "description")
    likes, replies = record.count("voteup_count", "voteupCount"), record.count("comment_count", "commentCount")
    return Draft(
        source="zhihu",
        kind=kind,  # type: ignore[arg-type]
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        edited_at=edited.at if edited else None,
        title=title or None,
        text=clean_html(markup or record.text("excerpt")),
        excerpt=record.flag("content_need_truncated", "contentNeedTruncated")
        or (not markup and bool(record.text("excerpt"))),
        author_id=author_id(record["author"]),
        verified=organisation(record["author"]),
        region=province(record.first("ip_info", "ipInfo").value),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        media=pictures(markup),
    )


def author_id(author: Reader) -> str | None:
    """The platform's id of an author; None for the anonymous (id "0")."""
    if author.flag("is_anonymous", "isAnonymous"):
        return None
    if isinstance(author["id"].value, float):
        raise PayloadError(LOST_DIGITS, field=author["id"].path)
    return author.id_or_none("id", "member.id") or author.id_or_none("url_token", "urlToken", "member.url_token")


def organisation(author: Reader) -> str:
    """What an account is verified as, if it is an organisation's: its name and its badge; "" for a person's."""
    if author.first("is_org", "isOrg", "member.is_org").value is not True:
        return ""
    return f"{author.text('name', 'member.name')[:200]}\n{author.text('badge_v2.title', 'badgeV2.title')[:200]}".strip()


def pictures(markup: str) -> list[Media]:
    """The pictures inside HTML, each once, in their largest published form."""
    found: dict[str, None] = {}
    for pattern in (_IMAGE_TAG, _IMAGE_LINK):
        for tag in pattern.finditer(markup):
            sources = dict(reversed(_SOURCE.findall(tag[0])))
            names = ("data-original", "data-actualsrc", "src", "href")
            url = next((u for name in names if (u := https_url(sources.get(name, "").replace("&amp;", "&")))), None)
            if url is not None and len(found) < MAX_IMAGES:
                found[url] = None
    return [Media(type="image", url=url) for url in found]


PAGING: Final = ("offset", "cursor", "limit", "order", "order_by", "session_id")


def unfinished(root: Reader) -> bool:
    """Whether a list says that it is not at its end."""
    return root["paging"].has("is_end") and not root["paging"].flag("is_end")


def next_params(answer: Answer) -> dict[str, str]:
    """The paging parameters in ``paging.next``; none at the end, and none when it leads to where we are.

    Only these are taken: an address inside an answer is never followed as such.
    """
    paging = answer.root["paging"]
    if paging.flag("is_end", "isEnd"):
        return {}
    try:
        params = dict(parse_qsl(urlsplit(paging.text("next")[:4000]).query, max_num_fields=100))
    except ValueError:
        return {}
    moved = any(params.get(name) and params.get(name) != answer.param(name) for name in ("offset", "cursor"))
    return {name: params[name] for name in PAGING if params.get(name)} if moved else {}
