"""A story with lists that are long enough to break in their middle, and what they hold page by page.

The replica shows it like any other story. What is true of it is worked out here, from the items alone: neither the
replica's paging nor the parsers have a say in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from crawlers.config import Platform
from ingest.clock import ManualClock
from shengwen.demo.cast import B40, G60, K20, TMALL_SELLER, ZHIHU_ARTICLES, ZHIHU_QUESTIONS, Model
from shengwen.demo.items import Item, ItemKind
from shengwen.demo.server import DemoServer
from shengwen.demo.settings import platform_bases
from shengwen.demo.story import Story
from tests.crawlers.replica import NOW

SEED: Final = 11
LONG: Final = G60
"""The product with the long lists; the two others stand before and behind it."""
QUESTION, ARTICLE = ZHIHU_QUESTIONS[0], ZHIHU_ARTICLES[0]
KEYWORD: Final = "暖房记事"
"""What finds the posts that were added, and no others."""
POSTS: Final = 5
SIZES: Final[dict[str, int]] = {"reviews": 10, "rates": 20, "questions": 10, "answers": 10, "feeds": 20, "talk": 20}
"""Items a page, as the platforms give them."""


class Crowd(Story):
    """The demo's story, and many more voices in it. The same seed tells the same."""

    def __init__(self) -> None:
        super().__init__(7, NOW - timedelta(days=20))
        rng = Random(SEED)
        told = _few(self._items)
        told += _more(told, rng, "jd", "review", 30, model=LONG, sku=LONG.jd_skus[0])
        asked = _more(told, rng, "jd", "question", 21, model=LONG, sku=LONG.jd_skus[0])
        told += asked
        told += _more(told, rng, "jd", "answer", 24, parent_id=asked[5].native_id, model=LONG, sku=LONG.jd_skus[0])
        told += _more(told, rng, "tmall", "review", 75, model=LONG)
        told += _more(told, rng, "zhihu", "answer", 50, parent_id=QUESTION, parent_kind="question")
        roots = _more(told, rng, "zhihu", "comment", 52, parent_id=ARTICLE, parent_kind="article")
        told += roots
        told += [
            replace(one, root_id=roots[-3].native_id, reply_to=roots[-3].native_id)
            for one in _more(told, rng, "zhihu", "comment", 45, parent_id=ARTICLE, parent_kind="article")
        ]
        for platform, kind in _POSTS:
            told += self._posts(told, rng, platform, kind)
        told += self._found(told, rng)
        self._items = tuple(sorted(told, key=lambda item: (item.created_at, item.native_id)))

    @staticmethod
    def _posts(told: list[Item], rng: Random, platform: Platform, kind: ItemKind) -> list[Item]:
        """Posts that one keyword finds; the newest has many comments, one of them many replies, the others two."""
        made: list[Item] = []
        posts = [
            replace(one, title=f"{KEYWORD}{n}", text=f"{KEYWORD}第{n}篇，冷不冷只有自己知道")
            for n, one in enumerate(_more(told, rng, platform, kind, POSTS))
        ]
        for n, post in enumerate(posts):
            size = COMMENTS[platform] if n == POSTS - 1 else 2
            roots = _more(told, rng, platform, "comment", size, parent_id=post.native_id, parent_kind=kind)
            made += roots
            if n == POSTS - 1:
                made += [
                    replace(one, root_id=roots[-1].native_id, reply_to=roots[-1].native_id)
                    for one in _more(told, rng, platform, "comment", 12, parent_id=post.native_id, parent_kind=kind)
                ]
        return posts + made

    @staticmethod
    def _found(told: list[Item], rng: Random) -> list[Item]:
        """What the keyword finds on Zhihu, of all kinds: answers to a question that has others, too; some too long for
        a search to show. Below half of them something was said, below one of them much."""
        hits: list[Item] = []
        asked = next(item for item in told if item.native_id == ZHIHU_QUESTIONS[4])
        for kind, size in HITS.items():
            pattern: ItemKind = "article" if kind == "video" else kind
            fields: dict[str, Any] = {"title": f"{KEYWORD}之外"}
            if kind == "answer":
                fields = {"title": asked.title, "parent_id": asked.native_id, "parent_kind": "question"}
            for n, one in enumerate(_more(told, rng, "zhihu", pattern, size, **fields)):
                text = f"{KEYWORD}第{n}篇。" + "夜里醒来，听见水在管子里走。" * (40 if n % 5 == 4 else 1)
                hits.append(replace(one, kind=kind, text=f"<p>{text}</p>" if kind in ("answer", "article") else text))
        talk: list[Item] = []
        for n, hit in enumerate(hits[::2]):
            fields = {"parent_id": hit.native_id, "parent_kind": hit.kind}
            roots = _more(told, rng, "zhihu", "comment", 25 if n == 1 else 1, **fields)
            talk += roots
            for one in _more(told, rng, "zhihu", "comment", 24 if n == 1 else n % 2, **fields):
                talk.append(replace(one, root_id=roots[-1].native_id, reply_to=roots[-1].native_id))
        return hits + talk


HITS: Final[dict[ItemKind, int]] = {"answer": 26, "article": 9, "question": 4, "video": 5}
"""What the keyword finds on Zhihu: three pages."""

_POSTS: Final[tuple[tuple[Platform, ItemKind], ...]] = (("xiaohongshu", "post"), ("douyin", "video"))
COMMENTS: Final[dict[Platform, int]] = {"xiaohongshu": 25, "douyin": 45}
"""Root comments of the newest post: three pages."""


def _few(items: Sequence[Item]) -> list[Item]:
    """The newest of the ordinary story: enough to stand before and behind the long lists."""
    kept: list[Item] = []
    seen: Counter[str] = Counter()
    below: Counter[str] = Counter()
    for item in reversed(items):
        if item.kind in ("review", "question") and item.platform in ("jd", "tmall"):
            name = f"{item.platform} {item.kind} {item.model.code if item.model else ''}"
            seen[name] += 1
            if seen[name] > (12 if item.kind == "review" else 2):
                continue
        if item.platform == "zhihu" and item.kind in ("answer", "comment"):
            below[str(item.parent_id)] += 1
            if below[str(item.parent_id)] > 4:
                continue
        kept.append(item)
    there = {item.native_id for item in kept}
    return [i for i in kept if all(on is None or on in there for on in (i.parent_id, i.root_id, i.reply_to))]


def _more(told: list[Item], rng: Random, platform: Platform, kind: ItemKind, size: int, **fields: Any) -> list[Item]:
    """So many items of this kind, each at an instant of its own in the last weeks, oldest first."""
    pattern = next(item for item in told if (item.platform, item.kind) == (platform, kind))
    at, made = NOW - timedelta(days=15), []
    for n in range(size):
        at += timedelta(seconds=rng.randrange(1_000, 20_000))
        plain: dict[str, Any] = {"parent_id": None, "parent_kind": None, "root_id": None, "reply_to": None}
        plain |= {"append": None, "seller_reply": None, "pictures": 0, "likes": n % 40, "mood": "chat"}
        text = f"{pattern.text[:8]}第{n}位说：{rng.choice(_SAID)}{rng.randrange(10**6)}"
        if platform == "zhihu":
            text = f"<p>{text.replace('<', '').replace('>', '')}</p>"
        native_id = _native_id(platform, kind, at, rng)
        made.append(replace(pattern, native_id=native_id, created_at=at, text=text, **plain | fields))
    return made


_SAID: Final = ("屋里暖和", "半夜有水声", "师傅很快", "漆面有划痕", "客服一直没回", "比旧的省气")


def _native_id(platform: Platform, kind: str, at: datetime, rng: Random) -> str:
    seconds = int(at.timestamp())
    if platform == "xiaohongshu":
        return f"{seconds:08x}{rng.getrandbits(64):016x}"
    if platform == "douyin":
        return str(seconds << 32 | rng.getrandbits(32))
    if platform == "zhihu":
        return str(rng.randrange(10**10, 10**11) if kind == "comment" else rng.randrange(10**9, 10**10))
    if kind == "review":
        return str(seconds * (10 if platform == "jd" else 1000) + rng.randrange(10))
    return str(rng.randrange(10**8, 10**9))


class World:
    """The running replica of the crowd, and its truth."""

    def __init__(self, demo: DemoServer) -> None:
        self.demo = demo
        self._items = list(reversed(demo.story.visible(NOW)))  # newest first

    @property
    def address(self) -> tuple[str, int]:
        return self.demo.host, self.demo.port

    def of(self, platform: Platform) -> list[Item]:
        """What the platform shows, newest first."""
        return [item for item in self._items if item.platform == platform]

    def truth(self, platform: Platform) -> set[str]:
        """All that the targets of :meth:`settings` lead to."""
        if platform in COMMENTS:
            return {mention_id(item) for post in self.posts(platform) for item in (post, *self.below(post))}
        if platform == "zhihu":
            wanted = (*ZHIHU_QUESTIONS[:3], *ZHIHU_ARTICLES[:2])
            return set().union(*(self.of_zhihu_target(native_id) for native_id in wanted))
        return {mention_id(item) for item in self.of(platform)}

    def settings(self, platform: Platform, base_url: str, **more: Any) -> dict[str, Any]:
        """A spider's settings: the long lists in the middle of the targets."""
        models = (K20, LONG, B40)
        questions = [{"question_id": number} for number in ZHIHU_QUESTIONS]
        articles = [{"article_id": number} for number in ZHIHU_ARTICLES]
        targets: dict[Platform, list[dict[str, str]]] = {
            "jd": [{"sku": model.jd_skus[0]} for model in models],
            "tmall": [{"item_id": model.tmall_item, "seller_id": TMALL_SELLER} for model in models],
            "zhihu": [questions[1], questions[0], articles[0], questions[2], articles[1]],
            "xiaohongshu": [{"keyword": KEYWORD}],
            "douyin": [{"keyword": KEYWORD}],
        }
        bases = platform_bases(base_url)[platform]
        return {"bases": bases, "targets": targets[platform], "requests_per_hour": 100_000, "pages_per_run": 900} | more

    # -- lists, newest first ------------------------------------------------------------------------------------

    def reviews(self, platform: Platform, model: Model = LONG) -> list[Item]:
        return [item for item in self.of(platform) if item.kind == "review" and item.model is model]

    def questions(self, model: Model = LONG) -> list[Item]:
        return [item for item in self.of("jd") if item.kind == "question" and item.model is model]

    def answers(self, parent_id: str, platform: Platform = "zhihu") -> list[Item]:
        return [item for item in self.of(platform) if item.kind == "answer" and item.parent_id == parent_id]

    def roots(self, parent_id: str, platform: Platform = "zhihu") -> list[Item]:
        below = [item for item in self.of(platform) if item.kind == "comment" and item.parent_id == parent_id]
        return [item for item in below if item.root_id is None]

    def replies(self, root: Item) -> list[Item]:
        """Oldest first, as platforms list them."""
        told = [item for item in self.of(root.platform) if item.root_id == root.native_id]
        return sorted(told, key=lambda item: (item.created_at, item.native_id))

    def posts(self, platform: Platform) -> list[Item]:
        return [item for item in self.of(platform) if item.kind in ("post", "video") and KEYWORD in item.text]

    def hits(self) -> list[Item]:
        """What the keyword finds on Zhihu."""
        return [item for item in self.of("zhihu") if item.kind in HITS and KEYWORD in item.text]

    def talk(self, item: Item) -> list[Item]:
        """Comments below a hit, and replies to them."""
        return [one for one in self.below(item) if one.kind == "comment"]

    def below(self, item: Item) -> list[Item]:
        """Everything said below a post, an answer, an article or a question."""
        return [one for one in self.of(item.platform) if one.parent_id == item.native_id]

    def of_zhihu_target(self, native_id: str) -> set[str]:
        """A question or an article with all below it."""
        item = next(one for one in self.of("zhihu") if one.native_id == native_id)
        told = [item, *self.below(item)]
        told += [one for answer in told if answer.kind == "answer" for one in self.below(answer)]
        return ids(told)


def mention_id(item: Item) -> str:
    return f"{item.platform}:{item.kind}:{item.native_id}"


def ids(items: list[Item]) -> set[str]:
    return {mention_id(item) for item in items}


def cut(items: list[Item], size: int) -> list[list[Item]]:
    """Into pages."""
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


@contextmanager
def running_world() -> Iterator[World]:
    """The crowd's replica, serving."""
    with DemoServer(Crowd(), ManualClock(NOW)) as demo:
        yield World(demo)
