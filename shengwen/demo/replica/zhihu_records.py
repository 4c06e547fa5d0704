"""Zhihu's records: questions, answers, articles and comments, in the page state, the API's and the open API's shape."""

from __future__ import annotations

from html import escape
from typing import Any, Final

from shengwen.demo.cast import KEYWORDS
from shengwen.demo.items import Item
from shengwen.demo.people import Person
from shengwen.demo.replica.web import seconds

CHILDREN: Final = 2
"""Replies shown inside their root."""
WHOLE: Final = 300
"""Characters of an answer that a search shows."""
SITE: Final = "https://www.zhihu.com"


def question_state(question: Item, answers: int) -> dict[str, Any]:
    """``entities.questions[id]``."""
    return {
        "type": "question",
        "id": question.native_id,
        "title": question.title,
        "detail": f"<p>{escape(question.text)}</p>" if question.text else "",
        "created": seconds(question.created_at),
        "updatedTime": seconds(question.created_at),
        "answerCount": answers,
        "visitCount": 900 + 37 * answers,
        "followerCount": 12 + answers,
        "commentCount": 0,
        "voteupCount": question.likes,
        "topics": [{"id": "1", "name": "暖气片"}],
        "author": _author_state(question.author),
    }


def answer_state(item: Item, question: Item, talk: int) -> dict[str, Any]:
    """``entities.answers[id]``; ``talk`` is how many comments it has."""
    return {
        "type": "answer",
        "id": item.native_id,
        "content": item.text,
        "excerpt": item.plain[:80],
        "createdTime": seconds(item.created_at),
        "updatedTime": seconds(item.created_at),
        "voteupCount": item.likes,
        "commentCount": talk,
        "thanksCount": item.likes // 5,
        "favlistsCount": item.likes // 4,
        "author": _author_state(item.author),
        "question": {"id": question.native_id, "title": question.title},
        "isCollapsed": False,
        "contentNeedTruncated": False,
    }


def article_state(article: Item, talk: int) -> dict[str, Any]:
    """``entities.articles[id]``."""
    return {
        "type": "article",
        "id": article.native_id,
        "title": article.title,
        "content": article.text,
        "excerpt": article.plain[:80],
        "created": seconds(article.created_at),
        "updated": seconds(article.created_at),
        "voteupCount": article.likes,
        "commentCount": talk,
        "author": _author_state(article.author),
    }


def feed_answer(item: Item, question: Item, talk: int) -> dict[str, Any]:
    """``target`` of one card of the answers feed."""
    return {
        "type": "answer",
        "id": item.native_id,
        "content": item.text,
        "excerpt": item.plain[:80],
        "content_need_truncated": False,
        "created_time": seconds(item.created_at),
        "updated_time": seconds(item.created_at),
        "voteup_count": item.likes,
        "comment_count": talk,
        "thanks_count": item.likes // 5,
        "favlists_count": item.likes // 4,
        "author": author(item.author),
        "question": {
            "id": question.native_id,
            "type": "question",
            "title": question.title,
            "created": seconds(question.created_at),
            "updated_time": seconds(question.created_at),
        },
        "is_collapsed": False,
        "collapse_reason": "",
        "force_login_when_click_read_more": False,
    }


def root_comment(root: Item, subject: Item, thread: list[Item]) -> dict[str, Any]:
    """A root of comment_v5 with its first replies."""
    following = f"{CHILDREN}_{thread[CHILDREN].native_id}_0" if len(thread) > CHILDREN else None
    return comment(root, subject) | {
        "child_comment_count": len(thread),
        "child_comments": [comment(item, subject) for item in thread[:CHILDREN]],
        "child_comment_next_offset": following,
    }


def comment(item: Item, subject: Item) -> dict[str, Any]:
    """One comment of comment_v5; a root points to itself."""
    by_author = item.author.uid == subject.author.uid
    made: dict[str, Any] = {
        "id": item.native_id,
        "type": "comment",
        "resource_type": subject.kind,
        "content": item.text,
        "created_time": seconds(item.created_at),
        "like_count": item.likes,
        "dislike_count": 0,
        "reply_comment_id": item.reply_to or "0",
        "reply_root_comment_id": item.root_id or item.native_id,
        "child_comment_count": 0,
        "child_comments": [],
        "child_comment_next_offset": None,
        "author": author(item.author) | {"is_anonymous": False},
        "comment_tag": [{"type": "ip_info", "text": item.author.province}],
        "author_tag": [{"type": "content_author", "text": "作者"}] if by_author else [],
        "is_author": by_author,
        "is_delete": False,
        "collapsed": False,
        "reviewing": False,
        "hot": False,
        "top": False,
        "is_author_top": False,
    }
    if item.root_id:
        made["reply_to_author"] = {"name": "知乎用户", "id": "0"}
    return made


def zvideo_state(video: Item, talk: int) -> dict[str, Any]:
    """``entities.zvideos[id]``."""
    return {
        "type": "zvideo",
        "id": video.native_id,
        "title": video.title,
        "description": video.text,
        "publishedAt": seconds(video.created_at),
        "playCount": 40 + 11 * video.likes,
        "voteupCount": video.likes,
        "commentCount": talk,
        "author": _author_state(video.author),
    }


def search_hit(item: Item, talk: int, answers: int) -> dict[str, Any]:
    """One result of search_v3, with the keyword marked up; ``answers`` to it, when it is a question.

    Articles and questions come without their text, a long answer with the beginning of it.
    """
    seen: dict[str, Any] = {
        "id": item.native_id,
        "type": "zvideo" if item.kind == "video" else item.kind,
        "excerpt": item.plain[:80].replace(KEYWORDS[0], f"<em>{KEYWORDS[0]}</em>"),
        "created_time": seconds(item.created_at),
        "updated_time": seconds(item.created_at),
        "voteup_count": item.likes,
        "comment_count": talk,
        "author": author(item.author),
        "url": f"https://api.zhihu.com/{item.kind}s/{item.native_id}",
    }
    if item.kind == "answer":
        cut = len(item.text) > WHOLE
        seen |= {"content": item.text[:WHOLE] if cut else item.text, "content_need_truncated": cut}
        seen["question"] = {"id": item.parent_id, "type": "question", "name": item.title}
    else:
        seen["title"] = item.title.replace(KEYWORDS[0], f"<em>{KEYWORDS[0]}</em>")
    if item.kind == "question":
        seen |= {"answer_count": answers, "visit_count": 900 + 37 * answers, "comment_count": talk}
    if item.kind == "video":
        seen |= {"description": item.text, "play_count": 40 + 11 * item.likes}
    highlight = {"title": item.title, "description": seen["excerpt"]}
    kind = "zvideo" if item.kind == "video" else "search_result"
    return {"type": kind, "id": item.native_id, "object": seen, "highlight": highlight}


def open_item(item: Item, rank: int, talk: int) -> dict[str, Any]:
    """One of the open API's ``Data.Items``; the time is that of the last edit."""
    url = f"https://zhuanlan.zhihu.com/p/{item.native_id}"
    if item.kind == "answer":
        url = f"{SITE}/question/{item.parent_id}/answer/{item.native_id}"
    return {
        "Title": f"{item.title} - 知乎",
        "ContentType": "Answer" if item.kind == "answer" else "Article",
        "ContentID": item.native_id,
        "ContentText": item.plain[:300],
        "Url": f"{url}?utm_medium=openapi_platform&utm_source=demo",
        "VoteUpCount": item.likes,
        "CommentCount": talk,
        "AuthorName": item.author.nick,
        "AuthorAvatar": "",
        "AuthorBadge": "",
        "AuthorBadgeText": "",
        "EditTime": seconds(item.created_at),
        "AuthorityLevel": "2",
        "RankingScore": round(0.9 - rank * 0.05, 3),
    }


def author(person: Person) -> dict[str, Any]:
    """``author`` of the API."""
    return {
        "id": person.uid,
        "url_token": f"demo-{person.uid[:8]}",
        "name": person.nick,
        "headline": "",
        "is_org": False,
        "gender": -1,
        "follower_count": 3,
        "badge_v2": {"title": "", "merged_badges": []},
        "avatar_url": "",
    }


def _author_state(person: Person) -> dict[str, Any]:
    return {"id": person.uid, "name": person.nick, "urlToken": f"demo-{person.uid[:8]}", "headline": ""}
