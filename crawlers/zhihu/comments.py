"""Zhihu comments (v5 and the older form): roots with their first replies, and the replies of one root."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from crawlers.endpoint import Answer, Harvest, Stop, claims
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean_html
from crawlers.values import province
from crawlers.zhihu.content import (
    answer_url,
    article_url,
    author_id,
    next_params,
    organisation,
    pictures,
    question_url,
    unfinished,
    zvideo_url,
)
from ingest.draft import Draft

ROOTS: Final = "zhihu.comment_v5.root"
CHILDREN: Final = "zhihu.comment_v5.child"

_SUBJECT: Final = re.compile(
    r"/(?:comment_v5/)?(answers|articles|questions|zvideos|pins)/(\d{1,25})/(?:root_)?comments?"
)
_ROOT: Final = re.compile(r"/(?:comment_v5/comment|comments)/(\d{1,25})/child_comments?")
_SUBJECTS: Final[Mapping[str, tuple[str, Callable[[str], str]]]] = {
    "answers": ("answer", lambda subject: answer_url(subject, None)),
    "articles": ("article", article_url),
    "questions": ("question", question_url),
    "zvideos": ("video", zvideo_url),
    "pins": ("post", lambda subject: f"https://www.zhihu.com/pin/{subject}"),
}


def holds_comments(root: Reader) -> bool:
    if not root.is_list("data"):
        return False
    first = root.at("data.0")
    known = first.has("reply_comment_id") or first.has("child_comments") or first.text("type") == "comment"
    return known or (not root["data"].value and root.has("counts"))


def holds_replies(root: Reader) -> bool:
    return holds_comments(root) and root.at("data.0").id_or_none("reply_comment_id") is not None


def comment_page(answer: Answer) -> Page:
    """``root_comment`` and ``child_comment``: the last page still has a ``next``, so ``is_end`` is what counts."""
    root = answer.root
    url = answer.payload.url or ""
    thread = _ROOT.search(url)
    name = CHILDREN if thread or (not url and holds_replies(root)) else ROOTS
    harvest = Harvest()
    for record in root.each("data"):
        draft = harvest.add(record, partial(_comment, answer, thread[1] if thread else None))
        root_id = str(draft.native_id) if draft else record.id_or_none("id")
        harvest.add_all(record.each("child_comments"), partial(_comment, answer, root_id))
    harvest.expect_in(root["data"], "content")
    harvest.expect(root["paging"], "is_end")
    offset = next_params(answer).get("offset")
    total = root.number("counts.total_counts", "paging.totals", "common_counts")
    nothing = Stop("empty", "没有评论")
    first = not answer.param("offset")
    if not root["data"].value and (first or not total):
        offset = None
        if unfinished(root) and total:
            nothing = Stop("unknown", f"没有给出评论，总数却是 {total}")
    more = {"offset": offset} if offset else None
    harvest.expect_next(unfinished(root) and root["data"].value, more, "paging.next")
    counts = claims(root["counts"], {"folded": "collapsed_counts"})
    return harvest.page(name, more=more, total=total, counts=counts, nothing=nothing)


def _comment(answer: Answer, root_id: str | None, record: Reader) -> Draft | None:
    if record.flag("is_delete"):
        return None
    native_id = record.id("id")
    created = record.moment(answer.captured_at, "created_time", "createdTime")
    subject = _SUBJECT.search(answer.payload.url or "")
    kind, link = _SUBJECTS[subject[1]] if subject is not None else ("", None)
    replied = record.id_or_none("reply_comment_id") or root_id or record.id_or_none("reply_root_comment_id")
    parent = f"{kind}:{subject[2]}" if subject is not None else None
    markup = record.text("content")
    likes, replies = record.count("like_count", "vote_count"), record.count("child_comment_count")
    author = record["author"]
    return Draft(
        source="zhihu",
        kind="comment",
        native_id=native_id,
        created_at=created.at,
        created_precision=created.precision,
        text=clean_html(markup),
        parent_native=f"comment:{replied}" if replied and replied != native_id else parent,
        url=link(subject[2]) if subject is not None and link is not None else None,
        author_id=author_id(author),
        verified=organisation(author),
        by_poster=_by_poster(record),
        region=_region(record),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
        media=pictures(markup),
    )


def _by_poster(record: Reader) -> bool:
    tagged = any("作者" in tag.text("text")[:40] for tag in record.each("author_tag"))
    return tagged or record.flag("is_author") or record.text("author.role") == "author"


def _region(record: Reader) -> str | None:
    for tag in record.each("comment_tag"):
        if tag.text("type") == "ip_info":
            return province(tag["text"].value)
    return province(record["address_text"].value)
