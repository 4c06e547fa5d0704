"""Zhihu's lists and single items: answers of a question, site search, the official search, and pages (SSR)."""

from __future__ import annotations

import re
from dataclasses import replace
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
    next_params,
    question_draft,
    question_url,
    unfinished,
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
    if not walled:
        harvest.expect_next(unfinished(root) and root["data"].value, more, "paging.next")
    nothing = Stop("empty", "没有回答")
    if not root["data"].value and not root["paging"].flag("is_end") and more is None:
        nothing = Stop("unknown", "还没到底，却没有回答")
    page = harvest.page(FEEDS, more=more, nothing=nothing)
    return _walled(page, "不登录看不到更多回答（need_force_login）") if walled else page


def _walled(page: Page, reason: str) -> Page:
    """A page that a login wall cuts off: what it shows stands, and nothing more is asked for."""
    return replace(page, signal="login_required", reason=reason)


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
    more = {"offset": offset} if offset else None
    harvest.expect_next(unfinished(answer.root) and items, more, "paging.next")
    return harvest.page(SEARCH, more=more)


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
        raise PayloadError("不是回答、文章、问题或视频", field=f"{record.path}.type".lstrip("."))
    return build(record, answer)


def item(answer: Answer) -> Page:
    """One answer, article, question or video by its API."""
    harvest = Harvest()
    harvest.add(answer.root, lambda record: item_draft(record, answer))
    return harvest.page(ITEM)


def other_list(answer: Answer) -> Page:
    """A list of Zhihu's whose items are of no known kind: empty at its end, else unknown."""
    if not answer.root["data"].value and answer.root["paging"].flag("is_end"):
        return Page(endpoint=LIST, signal="empty", reason="列表是空的，已到底")
    return Page(endpoint=LIST, signal="unknown", reason="认不出的列表")


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
    page = harvest.page(PAGE, nothing=Stop("unknown", "页面里没有 entities"))
    if any(shown["needForceLogin"].value is True for shown in state.at("question.answers").values()):
        return _walled(page, "不登录，页面不再显示更多（needForceLogin）")
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

    What it shows is an excerpt, with the time of the last edit and the author's name only. Hits that are people, topics
    or pages made for other search engines are no mentions: they are counted as ``other``, as are those outside Zhihu.
    The few comments shown with a hit are not read: they have neither id nor time, and comment_v5 tells them in full.
    """
    harvest = Harvest()
    hits = list(answer.root.each("Data.Items"))
    harvest.add_all(hits, lambda record: _official(record, answer))
    harvest.expect_in(answer.root.at("Data.Items"), "ContentText", "Title")
    nothing = Stop("empty", answer.root.text("Data.EmptyReason")[:200] or "没有结果")
    other = sum(_is_other(_address(hit)) for hit in hits)
    return harvest.page(OFFICIAL, nothing=nothing, counts={"other": other} if other else None)


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
    # The last edit is all there is: it was written by then, perhaps years before.
    edited = record.moment_or_none(answer.captured_at, "EditTime")
    likes, replies = record.count("VoteUpCount"), record.count("CommentCount")
    return Draft(
        source="zhihu",
        kind=kind,
        native_id=native_id,
        created_at=edited.at if edited else None,
        created_precision="month" if edited else "day",
        edited_at=edited.at if edited else None,
        title=clean(record.text("Title")).removesuffix(" - 知乎").strip() or None,
        text=clean(record.text("ContentText")),
        excerpt=True,
        parent_native=f"question:{question}" if question else None,
        url=url,
        likes=likes.value,
        replies=replies.value,
        approximate=likes.approximate or replies.approximate,
    )


def _from_address(record: Reader) -> tuple[Kind, str, str | None, str] | None:
    """Kind, id, question and web address of a hit; None for one that is :func:`_is_other`."""
    address = _address(record)
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
    if _is_other(address):
        return None
    raise PayloadError("链接不是回答、文章、问题或视频的", field=f"{record.path}.Url")


_OTHER: Final = re.compile(r"www\.zhihu\.com/(?:people|org|topic|column|tardis)/")


def _address(record: Reader) -> str:
    """``host/path`` of a hit; "" where it names none."""
    try:
        parts = urlsplit(record.text("Url"))
        return f"{(parts.hostname or '').lower()}{parts.path}"
    except ValueError:
        return ""


def _is_other(address: str) -> bool:
    """A person, a topic, a page for other search engines, or a place outside Zhihu (the global search finds some)."""
    host = address.partition("/")[0]
    inside = host == "zhihu.com" or host.endswith(".zhihu.com")
    return _OTHER.match(address) is not None if inside else bool(host)
