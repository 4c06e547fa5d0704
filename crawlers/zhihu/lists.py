"""Zhihu's lists and single items: answers of a question, site search, the official search, and pages (SSR)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from crawlers.endpoint import Answer, Harvest, Stop
from crawlers.payload import Page
from crawlers.reading import Reader
from crawlers.text import clean, clean_html
from crawlers.zhihu.content import (
    BUILDERS,
    answer_draft,
    answer_url,
    article_draft,
    article_url,
    named_author,
    next_params,
    question_draft,
    question_url,
    zvideo_draft,
    zvideo_url,
)
from ingest.draft import Draft
from ingest.errors import PayloadError
from ingest.mention import Kind

FEEDS: Final = "zhihu.question.feeds"
SEARCH: Final = "zhihu.search_v3"
OFFICIAL: Final = "zhihu.openapi.search"
HOT: Final = "zhihu.openapi.hot_list"
ITEM: Final = "zhihu.item"
PAGE: Final = "zhihu.page"
LIST: Final = "zhihu.list"


def answers_of(root: Reader) -> list[Reader]:
    """The answers among a list's items: cards with a target, or (older) the answers themselves."""
    found = []
    for item in root.each("data"):
        target = item["target"] if item.has("target") else item
        kind = item.text("target_type") or target.text("type")
        if kind == "answer" or not isinstance(item.value, dict):
            found.append(target if isinstance(item.value, dict) else item)
    return found


def question_feeds(answer: Answer) -> Page:
    """Answers of a question. The question itself is context: the title of each answer."""
    root = answer.root
    harvest = Harvest()
    harvest.add_all(answers_of(root), lambda record: answer_draft(record, answer))
    harvest.expect(root["paging"], "is_end")
    harvest.expect_in(Reader([one.value for one in answers_of(root)], "data[].target"), "content", "excerpt")
    walled = root["paging"].flag("need_force_login")
    more = None if walled else next_params(answer) or None
    nothing = Stop("empty", "no answers")
    if walled:
        nothing = Stop("login_required", "answers only after a login")
    elif not root["data"].value and not root["paging"].flag("is_end") and more is None:
        nothing = Stop("unknown", "no answers though it is not the end")
    return harvest.page(FEEDS, more=more, nothing=nothing)


def search(answer: Answer) -> Page:
    """Site search: results without their content, or with some of it only, are stubs."""
    harvest = Harvest()
    items = list(answer.root.each("data"))
    for item in items:
        if item.text("type") not in ("search_result", "zvideo") and isinstance(item.value, dict):
            continue
        found = item["object"] if item.has("object") else item
        if not isinstance(item.value, dict) or found.text("type") in BUILDERS or not found.has("type"):
            marked = item["highlight"]
            harvest.add(found, lambda record, marked=marked: _found(record, marked, answer))  # type: ignore[misc]
    harvest.expect(answer.root["paging"], "is_end")
    # "not the end" is also said of empty results: without items there is no next page.
    offset = next_params(answer).get("offset") if items else None
    return harvest.page(SEARCH, more={"offset": offset} if offset else None)


def _found(record: Reader, marked: Reader, answer: Answer) -> Draft:
    """A hit; what it does not say itself is taken from its highlighted words."""
    draft = item_draft(record, answer)
    draft.title = draft.title or clean_html(marked.text("title")) or None
    draft.text = draft.text or clean_html(marked.text("description"))
    draft.partial = record.flag("content_need_truncated") or not record.text("content", "detail", "description")
    return draft


def item_draft(record: Reader, answer: Answer) -> Draft:
    """An answer, article, question or video, by its ``type``. Raises PayloadError for another one."""
    build = BUILDERS.get(record.text("type"))
    if build is None:
        raise PayloadError("not an answer, article, question or zvideo", field=f"{record.path}.type".lstrip("."))
    return build(record, answer)


def item(answer: Answer) -> Page:
    """One answer, article, question or video by its API."""
    harvest = Harvest()
    harvest.add(answer.root, lambda record: item_draft(record, answer))
    return harvest.page(ITEM)


def other_list(answer: Answer) -> Page:
    """A list of Zhihu's whose items are of no known kind: empty at its end, else unknown."""
    if not answer.root["data"].value and answer.root["paging"].flag("is_end"):
        return Page(endpoint=LIST, signal="empty", reason="an empty list at its end")
    return Page(endpoint=LIST, signal="unknown", reason="a list of no known kind")


def ssr_page(answer: Answer) -> Page:
    """The state in a question's or article's page. Walled pages keep what they show, with ``login_required``."""
    state = answer.root["initialState"]
    entities = state["entities"]
    harvest = Harvest()
    for name, build in (
        ("questions", question_draft),
        ("answers", answer_draft),
        ("articles", article_draft),
        ("zvideos", zvideo_draft),
    ):
        harvest.add_all(entities[name].values(), lambda record, build=build: build(record, answer))  # type: ignore[misc]
    page = harvest.page(PAGE, nothing=Stop("unknown", "a page without entities"))
    if any(shown["needForceLogin"].value is True for shown in state.at("question.answers").values()):
        reason = "the page shows no more without a login (needForceLogin)"
        return Page(
            endpoint=PAGE, signal="login_required", reason=reason, mentions=page.mentions, problems=page.problems
        )
    return page


_ADDRESSES: Final[tuple[tuple[re.Pattern[str], Kind], ...]] = (
    (re.compile(r"^www\.zhihu\.com/question/(?P<question>\d+)/answer/(?P<id>\d+)"), "answer"),
    (re.compile(r"^www\.zhihu\.com/answer/(?P<id>\d+)"), "answer"),
    (re.compile(r"^zhuanlan\.zhihu\.com/p/(?P<id>\d+)"), "article"),
    (re.compile(r"^www\.zhihu\.com/question/(?P<id>\d+)"), "question"),
    (re.compile(r"^www\.zhihu\.com/zvideo/(?P<id>\d+)"), "video"),
    (re.compile(r"^www\.zhihu\.com/pin/(?P<id>\d+)"), "post"),
)


def official_search(answer: Answer) -> Page:
    """The data open platform's search: no paging. Ids come from the address, as ``ContentID`` is not always the id.

    The few comments shown with a hit are not read: they have neither id nor time, and comment_v5 tells them in full.
    """
    harvest = Harvest()
    harvest.add_all(answer.root.each("Data.Items"), lambda record: _official(record, answer))
    harvest.expect_in(answer.root.at("Data.Items"), "ContentText", "Title")
    return harvest.page(OFFICIAL, nothing=Stop("empty", answer.root.text("Data.EmptyReason")[:200] or "no results"))


def hot_list(answer: Answer) -> Page:
    """The data open platform's list of what is hot: questions without a time, each a stub."""
    harvest = Harvest()
    harvest.add_all(answer.root.each("Data.Items"), _hot)
    return harvest.page(HOT)


def _hot(record: Reader) -> Draft | None:
    place = _from_address(record)
    if place is None:
        return None
    kind, native_id, question, url = place
    return Draft(
        source="zhihu",
        kind=kind,
        native_id=native_id,
        created_at=None,
        created_precision="day",
        title=clean(record.text("Title")).removesuffix(" - 知乎").strip() or None,
        text=clean(record.text("Summary", "ContentText")),
        parent_native=f"question:{question}" if question else None,
        url=url,
        partial=True,
    )


def _official(record: Reader, answer: Answer) -> Draft | None:
    place = _from_address(record)
    if place is None:
        return None
    kind, native_id, question, url = place
    # The last edit is all there is; the day alone claims less than it would seem to know.
    edited = record.moment(answer.captured_at, "EditTime")
    likes, replies = record.count("VoteUpCount"), record.count("CommentCount")
    return Draft(
        source="zhihu",
        kind=kind,
        native_id=native_id,
        created_at=edited.at,
        created_precision="day",
        title=clean(record.text("Title")).removesuffix(" - 知乎").strip() or None,
        text=clean(record.text("ContentText")),
        parent_native=f"question:{question}" if question else None,
        url=url,
        author_id=named_author(record.text("AuthorName")),
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
    )


def _from_address(record: Reader) -> tuple[Kind, str, str | None, str] | None:
    """Kind, id, question and web address of a hit; None for a place outside Zhihu (the global search finds some)."""
    try:
        parts = urlsplit(record.text("Url"))
        address = f"{(parts.hostname or '').lower()}{parts.path}"
    except ValueError:
        address = ""
    for pattern, kind in _ADDRESSES:
        match = pattern.match(address)
        if match is None:
            continue
        native_id, question = match["id"], match.groupdict().get("question")
        url = {
            "answer": answer_url(native_id, question),
            "article": article_url(native_id),
            "question": question_url(native_id),
            "video": zvideo_url(native_id),
        }.get(kind, f"https://www.zhihu.com/pin/{native_id}")
        return kind, native_id, question, url
    host = address.partition("/")[0]
    if host and host != "zhihu.com" and not host.endswith(".zhihu.com"):
        return None
    raise PayloadError("an address that names no answer, article, question or video", field=f"{record.path}.Url")
