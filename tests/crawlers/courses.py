"""The lists of JD, Tmall and Zhihu that are broken in their middle: how each is paged, and what it leads to.

``pages[n]`` is what reading page n gives, ``below[n]`` what is found later because page n named it; ``before`` and
``after`` are read whatever becomes of the list, unless the platform is stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crawlers.config import Platform
from shengwen.demo.cast import B40, K20, ZHIHU_ARTICLES, ZHIHU_QUESTIONS, Model
from shengwen.demo.items import Item
from tests.crawlers.crowd import ARTICLE, LONG, QUESTION, SIZES, World, cut, ids, mention_id
from tests.crawlers.trouble import Asked

SSR = 3
"""Answers in a Zhihu question's page."""
PREVIEW = 2
"""Replies shown with a Zhihu comment, answers shown with a JD question."""


@dataclass(frozen=True, slots=True)
class Course:
    """One list. ``records`` finds a page's records in its JSON, ``index`` the page's number from 0; ``promise`` makes
    the answer say that there is another page, ``loop`` that the next one is the first; ``claim`` how many there are."""

    name: str
    platform: Platform
    path: str
    params: Mapping[str, str]
    index: Callable[[Mapping[str, str]], int]
    records: Callable[[Any], list[Any]]
    promise: Callable[[Any, Mapping[str, str]], None]
    claim: Callable[[Any, Any], None]
    loop: Callable[[Any], None] | None
    numbered: bool
    """Pages are asked for by number: one that is broken does not hide the next."""
    optional: tuple[str, ...]
    """Fields of a record that may be null."""
    before: frozenset[str]
    pages: tuple[frozenset[str], ...]
    below: tuple[frozenset[str], ...]
    after: frozenset[str]
    listed: tuple[tuple[Item, ...], ...]
    """The records themselves, in their order."""
    hanging: Callable[[Item], set[str]] = lambda item: {mention_id(item)}
    """What is lost with one of them."""
    rechecked: bool = True
    """A full pass reads it again; one that hangs below an item is, only when the item's count changes."""
    native_id: str = "id"

    def has(self, asked: Asked) -> bool:
        """Whether this is one of the list's pages."""
        return asked.path.endswith(self.path) and all(asked.params.get(n) == v for n, v in self.params.items())

    def lost(self, page: int, *numbers: int) -> set[str]:
        """What these records of a page are, and what hangs on them."""
        return set().union(*(self.hanging(self.listed[page][n]) for n in numbers))

    @property
    def truth(self) -> set[str]:
        return set(self.before.union(*self.pages, *self.below, self.after))

    def reached(self, *, upto: int, beyond: int | None = None, stopped: bool = False) -> set[str]:
        """What is read when the list is read up to (without) a page, and again from another one on."""
        read = [n for n in range(len(self.pages)) if n < upto or (beyond is not None and n >= beyond)]
        found = self.before.union(*(self.pages[n] for n in read))
        return set(found if stopped else found.union(*(self.below[n] for n in read), self.after))


def courses(world: World) -> dict[str, Course]:
    """All of them, by name."""
    made = (
        _jd_reviews(world),
        _jd_questions(world),
        _jd_answers(world),
        _tmall_reviews(world),
        _zhihu_answers(world),
        _zhihu_comments(world),
        _zhihu_replies(world),
    )
    return {course.name: course for course in made}


def _pages(lists: list[list[Item]]) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(ids(page)) for page in lists)


def _listed(lists: list[list[Item]]) -> tuple[tuple[Item, ...], ...]:
    return tuple(tuple(page) for page in lists)


_NOTHING: frozenset[str] = frozenset()


# -- JD -------------------------------------------------------------------------------------------------------------

_JD_OPTIONAL = ("guid", "score", "referenceName", "nickname", "usefulVoteCount", "replyCount", "productColor",
                "productSize", "images", "videos", "afterUserComment", "days", "userProvince", "created", "answerCount",
                "nickName")  # fmt: skip


def _of_model(world: World, model: Model) -> frozenset[str]:
    return frozenset(ids([item for item in world.of("jd") if item.model is model]))


def _asked_and_told(world: World) -> list[Item]:
    questions = world.questions()
    return questions + [one for question in questions for one in world.answers(question.native_id, "jd")]


def _jd_reviews(world: World) -> Course:
    def claim(data: Any, value: Any) -> None:
        data["productCommentSummary"]["commentCount"] = data["productCommentSummary"]["commentCountStr"] = value

    return Course(
        name="jd reviews",
        platform="jd",
        path="/productPageComments.action",
        params={"productId": LONG.jd_skus[0]},
        index=lambda params: int(params["page"]),
        records=lambda data: data["comments"],
        promise=lambda data, params: data.update(maxPage=100),
        claim=claim,
        loop=None,
        numbered=True,
        optional=_JD_OPTIONAL,
        before=_of_model(world, K20),
        pages=_pages(cut(world.reviews("jd"), SIZES["reviews"])),
        below=(_NOTHING,) * 99,
        listed=_listed(cut(world.reviews("jd"), SIZES["reviews"])),
        after=frozenset(ids(_asked_and_told(world))) | _of_model(world, B40),
    )


def _jd_questions(world: World) -> Course:
    def told(question: Item) -> list[Item]:
        return [question, *world.answers(question.native_id, "jd")]

    pages = cut(world.questions(), SIZES["questions"])
    return Course(
        name="jd questions",
        platform="jd",
        path="/getQuestionAnswerList.action",
        params={"productId": LONG.jd_skus[0]},
        index=lambda params: int(params["page"]) - 1,
        records=lambda data: data["questionList"],
        promise=lambda data, params: None,
        claim=lambda data, value: data.update(totalItem=value),
        loop=None,
        numbered=True,
        optional=_JD_OPTIONAL,
        before=_of_model(world, K20) | ids(world.reviews("jd")),
        pages=_pages([[one for question in page for one in told(question)] for page in pages]),
        below=(_NOTHING,) * 99,
        listed=_listed(pages),
        hanging=lambda question: ids(told(question)),
        after=_of_model(world, B40),
    )


def _jd_answers(world: World) -> Course:
    pages = cut(world.questions(), SIZES["questions"])
    much = max(world.questions(), key=lambda one: len(world.answers(one.native_id, "jd")))
    page = next(n for n, questions in enumerate(pages) if much in questions)

    def shown(page: list[Item]) -> set[str]:
        return ids(page + [one for q in page for one in world.answers(q.native_id, "jd")[:PREVIEW]])

    answers = world.answers(much.native_id, "jd")
    return Course(
        name="jd answers",
        platform="jd",
        path="/getAnswerListById.action",
        params={"questionId": much.native_id},
        index=lambda params: int(params["page"]) - 1,
        records=lambda data: data["answers"],
        promise=lambda data, params: None,
        claim=lambda data, value: data.update(totalItem=value),
        loop=None,
        numbered=True,
        optional=_JD_OPTIONAL,
        before=_of_model(world, K20) | ids(world.reviews("jd")).union(*(shown(one) for one in pages[: page + 1])),
        pages=_pages(cut(answers, SIZES["answers"])),
        below=(_NOTHING,) * 99,
        listed=_listed(cut(answers, SIZES["answers"])),
        rechecked=False,
        after=_of_model(world, B40) | frozenset().union(*(shown(one) for one in pages[page + 1 :])),
    )


# -- Tmall ----------------------------------------------------------------------------------------------------------


def _tmall_reviews(world: World) -> Course:
    def promise(data: Any, params: Mapping[str, str]) -> None:
        data["rateDetail"]["paginator"] |= {"page": int(params["currentPage"]), "lastPage": 99}

    def claim(data: Any, value: Any) -> None:
        data["rateDetail"]["rateCount"]["total"] = data["rateDetail"]["paginator"]["items"] = value

    def of(model: Model) -> frozenset[str]:
        return frozenset(ids(world.reviews("tmall", model)))

    return Course(
        name="tmall reviews",
        platform="tmall",
        path="/list_detail_rate.htm",
        params={"itemId": LONG.tmall_item},
        index=lambda params: int(params["currentPage"]) - 1,
        records=lambda data: data["rateDetail"]["rateList"],
        promise=promise,
        claim=claim,
        loop=lambda data: data["rateDetail"]["paginator"].update(page=1),
        numbered=True,
        optional=("auctionSku", "displayUserNick", "appendComment", "reply", "pics", "picsSmall", "gmtCreateTime",
                  "tradeEndTime", "useful"),
        before=of(K20),
        pages=_pages(cut(world.reviews("tmall"), SIZES["rates"])),
        below=(_NOTHING,) * 99,
        listed=_listed(cut(world.reviews("tmall"), SIZES["rates"])),
        after=of(B40),
    )  # fmt: skip


# -- Zhihu ----------------------------------------------------------------------------------------------------------

_OFFSET = re.compile(r"([?&]offset=)[^&]*")
_ZHIHU_OPTIONAL = ("author", "comment_tag", "author_tag", "like_count", "excerpt", "cursor", "position", "thanks_count",
                   "reply_to_author", "url")  # fmt: skip


def _number(params: Mapping[str, str]) -> int:
    return int(params.get("offset", "").split("_")[0] or 0) // SIZES["talk"]


def _promise(data: Any, params: Mapping[str, str]) -> None:
    data["paging"]["is_end"] = False


def _back(offset: str) -> Callable[[Any], None]:
    def loop(data: Any) -> None:
        data["paging"] |= {"is_end": False, "next": _OFFSET.sub(rf"\g<1>{offset}", data["paging"]["next"])}

    return loop


def _zhihu_answers(world: World) -> Course:
    told = world.answers(QUESTION)
    first = sorted(told, key=lambda item: (item.likes, item.created_at), reverse=True)[:SSR]
    pages = cut(told, SIZES["feeds"])
    question = next(item for item in world.of("zhihu") if item.native_id == QUESTION)
    others = [ZHIHU_ARTICLES[0], ZHIHU_QUESTIONS[2], ZHIHU_ARTICLES[1]]
    talk = [one for item in (question, *first) for one in world.below(item) if one.kind == "comment"]
    return Course(
        name="zhihu answers",
        platform="zhihu",
        path=f"/questions/{QUESTION}/feeds",
        params={},
        index=_number,
        records=lambda data: data["data"],
        promise=_promise,
        claim=lambda data, value: data["paging"].update(totals=value),
        loop=_back("0"),
        numbered=False,
        optional=_ZHIHU_OPTIONAL,
        before=frozenset(world.of_zhihu_target(ZHIHU_QUESTIONS[1])) | ids([question, *first]),
        pages=_pages([[one for one in page if one not in first] for page in pages]),
        below=_pages([[one for answer in page for one in world.below(answer)] for page in pages]),
        listed=_listed(pages),
        hanging=lambda answer: set() if answer in first else ids([answer, *world.below(answer)]),
        after=frozenset(ids(talk)).union(*(world.of_zhihu_target(one) for one in others)),
    )


def _zhihu_comments(world: World) -> Course:
    pages = cut(world.roots(ARTICLE), SIZES["talk"])
    told = [[one for root in page for one in (root, *world.replies(root))] for page in pages]
    return _zhihu_talk(world, "zhihu comments", f"/articles/{ARTICLE}/root_comment", told, pages, _NOTHING, _NOTHING)


def _zhihu_replies(world: World) -> Course:
    roots = world.roots(ARTICLE)
    much = max(roots, key=lambda root: len(world.replies(root)))
    first, *rest = cut(roots, SIZES["talk"])
    assert much in first
    shown = ids(first + [one for root in first for one in world.replies(root)[:PREVIEW]])
    later = ids([one for page in rest for root in page for one in (root, *world.replies(root))])
    path = f"/comment/{much.native_id}/child_comment"
    pages = cut(world.replies(much), SIZES["talk"])
    return _zhihu_talk(world, "zhihu replies", path, pages, pages, frozenset(shown), frozenset(later))


def _zhihu_talk(
    world: World,
    name: str,
    path: str,
    pages: list[list[Item]],
    listed: list[list[Item]],
    before: frozenset[str],
    after: frozenset[str],
) -> Course:
    """A list of comments below the long article."""
    article = next(item for item in world.of("zhihu") if item.native_id == ARTICLE)
    earlier = [ZHIHU_QUESTIONS[1], ZHIHU_QUESTIONS[0]]
    later = [ZHIHU_QUESTIONS[2], ZHIHU_ARTICLES[1]]
    return Course(
        name=name,
        platform="zhihu",
        path=path,
        params={},
        index=_number,
        records=lambda data: data["data"],
        promise=_promise,
        claim=lambda data, value: data["counts"].update(total_counts=value),
        loop=_back("0_0_0"),
        numbered=False,
        optional=_ZHIHU_OPTIONAL,
        before=before.union(ids([article]), *(world.of_zhihu_target(one) for one in earlier)),
        pages=_pages(pages),
        below=(_NOTHING,) * 99,
        listed=_listed(listed),
        rechecked=False,
        after=after.union(*(world.of_zhihu_target(one) for one in later)),
    )
