"""The ordinary weeks: what was said on each platform before the failure, and goes on being said beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import cycle
from random import Random
from typing import Final, Literal

from shengwen.demo.cast import B40, G60, K20, MODELS, ZHIHU_ARTICLES, ZHIHU_QUESTIONS, Model, Platform
from shengwen.demo.ids import Ids
from shengwen.demo.items import Item, ItemKind, Mood, Note
from shengwen.demo.people import Crowd, Person, native_uid
from shengwen.demo.phrases import ENDINGS, Deck, Slots, bank, lines, topic_of
from shengwen.demo.reviews import Composer, Shop, Words
from shengwen.demo.rhythm import BEFORE, Rhythm

JD_REVIEWS: Final = 150
TMALL_REVIEWS: Final = 95
NOTE_COMMENTS: Final = 112
VIDEO_COMMENTS: Final = 124
ANSWERS: Final = 17
ZHIHU_COMMENTS: Final = 40
"""How many over the whole span; about four fifths of them fall before the start."""

_BUSIEST: Final = {"post": 13.0, "video": 14.0}
"""How much more the busiest post is talked about; others lie between 0.3 and 2."""
_LONG_THREAD: Final = 14
"""Replies under the busiest comment of the busiest post: more than one page of them."""


class Seen:
    """Keeps texts apart: a second copy gets another ending."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._texts: set[str] = set()

    def once(self, text: str) -> str:
        while text in self._texts:
            text += self._rng.choice(ENDINGS)
        self._texts.add(text)
        return text


class Shops:
    """JD and Tmall: reviews with 追评 and sellers' answers, two safety events, JD questions and answers."""

    def __init__(self, shop: Shop, rng: Random, rhythm: Rhythm) -> None:
        self._shop, self._rng, self._rhythm = shop, rng, rhythm
        self._ids, self._crowd, self._composer = Ids(rng), Crowd(shop, rng), Composer(shop, rng)

    def reviews(self) -> Iterator[Item]:
        number = JD_REVIEWS if self._shop == "jd" else TMALL_REVIEWS
        for _ in range(number):
            model = self._rng.choices(MODELS, (5, 3, 3))[0]
            person = self._crowd.anyone()
            yield self._review(self._rhythm.instant(), model, person, self._composer.compose(model, person))
        person = self._crowd.stranger()
        # Two to five weeks back, so that an alert about it is history when the demo begins.
        at = self._rhythm.on_day(BEFORE.days - self._rng.randint(17, 34))
        which, model = (0, G60) if self._shop == "jd" else (1, B40)
        yield self._review(at, model, person, self._composer.safety(which, model, person), safety=True)

    def _review(self, at: datetime, model: Model, person: Person, words: Words, *, safety: bool = False) -> Item:
        rng = self._rng
        append = Note(words.append, at + timedelta(days=rng.randint(2, 24), seconds=rng.randrange(40_000)))
        reply = Note(words.reply, at + timedelta(hours=rng.randint(2, 40)))
        return Item(
            platform=self._shop,
            kind="review",
            native_id=self._ids.jd_review(at) if self._shop == "jd" else self._ids.tmall_review(at),
            created_at=at,
            author=person,
            text=words.text,
            model=model,
            sku=rng.choice(model.jd_skus),
            score=words.score,
            likes=int(rng.paretovariate(1.3)) - 1 if words.mood != "default" else 0,
            append=append if words.append else None,
            seller_reply=reply if words.reply else None,
            pictures=rng.choice((0, 0, 0, 1, 2, 3)) if words.mood not in ("default",) else 0,
            mood=words.mood,
            safety=safety,
        )

    def questions(self) -> Iterator[Item]:
        """JD's 问大家-like questions, each with its answers."""
        for entry, model in zip(bank("reviews")["qa"], cycle((K20, G60, B40, K20))):
            asked = self._rhythm.instant()
            question_id = self._ids.digits(8)
            yield self._qa("question", question_id, asked, entry["q"], model, None)
            for text in entry["a"]:
                asked = self._rhythm.after(asked, timedelta(days=2))
                yield self._qa("answer", self._ids.digits(9), asked, text, model, question_id)

    def _qa(self, kind: ItemKind, native: str, at: datetime, text: str, model: Model, parent: str | None) -> Item:
        return Item(
            platform="jd",
            kind=kind,
            native_id=native,
            created_at=at,
            author=self._crowd.anyone(),
            text=text,
            model=model,
            sku=model.jd_skus[0],
            parent_id=parent,
            parent_kind="question" if parent else None,
            mood="question" if kind == "question" else "chat",
        )


class Threads:
    """Posts with comments and replies: Xiaohongshu notes (``post``) and Douyin videos (``video``)."""

    def __init__(self, kind: Literal["post", "video"], rng: Random) -> None:
        self._platform: Platform = "xiaohongshu" if kind == "post" else "douyin"
        self._kind: Literal["post", "video"] = kind
        self._rng = rng
        self._ids, self._seen = Ids(rng), Seen(rng)
        self._busiest: Item | None = None
        self.crowd = Crowd(self._platform, rng)

    def _native_id(self, at: datetime) -> str:
        return self._ids.xiaohongshu(at) if self._kind == "post" else self._ids.douyin(at)

    def tell(self, rhythm: Rhythm) -> Iterator[Item]:
        """The ordinary weeks."""
        rng = self._rng
        words = bank("social")
        posts = self._posts(words["notes" if self._kind == "post" else "videos"], rhythm)
        yield from posts
        talk = words["note_comments" if self._kind == "post" else "video_comments"]
        says, answers = Deck(lines(talk["lines"]), rng), Deck(lines(talk["replies"]), rng)
        busiest = self._busiest = posts[0]
        weights = [_BUSIEST[self._kind] if post is busiest else rng.uniform(0.3, 2.0) for post in posts]
        total = NOTE_COMMENTS if self._kind == "post" else VIDEO_COMMENTS
        roots = [self._comment(post, says, rhythm) for post in rng.choices(posts, weights, k=int(total * 0.66))]
        yield from roots
        loudest = min((root for root in roots if root.parent_id == busiest.native_id), key=lambda root: root.created_at)
        threads = [loudest] * _LONG_THREAD + rng.choices(roots, k=total - len(roots) - _LONG_THREAD)
        by_id = {post.native_id: post for post in posts}
        for root in threads:
            yield self._reply(by_id[root.parent_id or ""], root, answers, rhythm)

    def _posts(self, entries: list[dict[str, str]], rhythm: Rhythm) -> list[Item]:
        posts = []
        for number, entry in enumerate(self._rng.sample(entries, len(entries))):
            author = self.crowd.stranger()
            if "官方" in entry["desc"]:
                uid = native_uid(self._platform, self._rng)
                author = Person(uid=uid, nick="岚炉暖通", province="天津", city="天津", official=True)
            # The first is weeks old, so that it has gathered the longest threads by the time the demo begins; the
            # brand's own is there before the failure, as people will complain under it.
            at = rhythm.on_day(4) if number == 0 else rhythm.on_day(33) if author.official else rhythm.instant()
            likes = int(8 * self._rng.paretovariate(0.7))
            posts.append(self.post(entry, at, author, Slots(self._rng, author), likes=likes))
        return posts

    def post(
        self, entry: dict[str, str], at: datetime, author: Person, slots: Slots, *, likes: int, turn: bool = False
    ) -> Item:
        """A note or video out of the bank."""
        return Item(
            platform=self._platform,
            kind=self._kind,
            native_id=self._native_id(at),
            created_at=at,
            author=author,
            text=slots.fill(entry["desc"]),
            title=slots.fill(entry.get("title", "")),
            likes=likes,
            pictures=self._rng.randint(1, 6) if self._kind == "post" else 0,
            mood="blame" if turn else "chat",
            turn=turn,
        )

    def _comment(self, post: Item, says: Deck[str], rhythm: Rhythm) -> Item:
        author = self.crowd.anyone()
        text = self._seen.once(Slots(self._rng, author).fill(says.deal()))
        mean = timedelta(days=16 if post is self._busiest else 3)
        at = rhythm.after(post.created_at, mean)
        likes = int(self._rng.paretovariate(0.9)) - 1
        return self.hang(at, author, text, post, likes=likes, mood="question" if text[-1] in "？吗?" else "chat")

    def _reply(self, post: Item, root: Item, answers: Deck[str], rhythm: Rhythm) -> Item:
        author = post.author if self._rng.random() < 0.25 else self.crowd.anyone()
        text = self._seen.once(answers.deal())
        at = rhythm.after(root.created_at, timedelta(hours=30))
        return self.hang(at, author, text, post, root=root)

    def hang(
        self,
        at: datetime,
        author: Person,
        text: str,
        post: Item,
        *,
        root: Item | None = None,
        likes: int = 0,
        mood: Mood = "chat",
        turn: bool = False,
    ) -> Item:
        """A comment under a post, or a reply under a root comment."""
        return Item(
            platform=self._platform,
            kind="comment",
            native_id=self._native_id(at),
            created_at=at,
            author=author,
            text=text,
            parent_id=post.native_id,
            parent_kind=self._kind,
            root_id=root.native_id if root else None,
            reply_to=root.native_id if root else None,
            likes=likes,
            mood=mood,
            turn=turn,
        )


def _apart(decks: Iterable[Deck[str]]) -> list[str]:
    """A line of each deck, no two about one topic (``topic:: words``), so that an answer does not contradict itself."""
    told: dict[str, str] = {}
    for deck in decks:
        for _ in range(8):
            topic, words = topic_of(deck.deal())
            if (topic or words) not in told:
                told[topic or words] = words
                break
    return list(told.values())


_STYLES: Final = (("good", "bad"), ("good", "neutral"), ("neutral", "bad"), ("good", "good"), ("bad", "neutral"))
"""Which paragraphs the answers of each question are made of."""


class Essays:
    """Zhihu: questions, long answers in HTML, articles, comments with replies."""

    def __init__(self, rng: Random, rhythm: Rhythm) -> None:
        self._rng, self._rhythm = rng, rhythm
        self._ids, self._crowd, self._seen = Ids(rng), Crowd("zhihu", rng), Seen(rng)
        self._words = bank("zhihu")

    def tell(self) -> Iterator[Item]:
        questions = [self._question(number) for number in range(len(ZHIHU_QUESTIONS))]
        yield from questions
        answers = list(self._answers(questions))
        yield from answers
        articles = [self._article(number) for number in range(len(ZHIHU_ARTICLES))]
        yield from articles
        yield from self._comments([*answers, *articles])

    def _item(self, kind: ItemKind, native_id: str, at: datetime, author: Person, text: str, **more: object) -> Item:
        fields: dict[str, object] = {
            "platform": "zhihu",
            "kind": kind,
            "native_id": native_id,
            "created_at": at,
            "author": author,
            "text": text,
        }
        return Item(**(fields | more))  # type: ignore[arg-type]

    def _question(self, number: int) -> Item:
        entry, author = self._words["questions"][number], self._crowd.stranger()
        text = Slots(self._rng, author).fill(entry["detail"])
        at = self._rhythm.on_day(1 + number)
        title = entry["title"]
        return self._item("question", ZHIHU_QUESTIONS[number], at, author, text, title=title, mood="question")

    def _answers(self, questions: list[Item]) -> Iterator[Item]:
        rng = self._rng
        decks = {name: Deck(lines(text), rng) for name, text in self._words["answers"].items()}
        # The first question gets the most: more answers than its page shows at once.
        order = [0, 0, 0, 0, 0, 0, 0, *rng.choices(range(5), (1, 4, 3, 2, 3), k=ANSWERS - 7)]
        for number in order:
            question, author = questions[number], self._crowd.stranger()
            slots = Slots(rng, author)
            names = ["first", *rng.choices(_STYLES[number], k=rng.choice((2, 3, 3, 4))), "last"]
            paragraphs = [slots.fill(paragraph) for paragraph in _apart(decks[name] for name in names)]
            yield self._item(
                "answer",
                self._ids.digits(10),
                self._rhythm.after(question.created_at, timedelta(days=16)),
                author,
                "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs),
                title=question.title,
                parent_id=question.native_id,
                parent_kind="question",
                likes=int(3 * rng.paretovariate(0.8)),
                mood="mixed",
            )

    def _article(self, number: int) -> Item:
        entry = self._words["articles"][number]
        text = "".join(f"<p>{paragraph}</p>" for paragraph in entry["paragraphs"])
        at = self._rhythm.on_day(9 + 17 * number)
        title, likes = entry["title"], 120 + 77 * number
        native = ZHIHU_ARTICLES[number]
        return self._item("article", native, at, self._crowd.stranger(), text, title=title, likes=likes, mood="mixed")

    def _comments(self, posts: list[Item]) -> Iterator[Item]:
        rng = self._rng
        says = Deck(lines(self._words["comments"]["lines"]), rng)
        answers = Deck(lines(self._words["comments"]["replies"]), rng)
        first = min(posts, key=lambda post: post.created_at)
        weights = [9.0 if post is first else rng.uniform(0.5, 2) for post in posts]
        roots: list[Item] = []
        for post in rng.choices(posts, weights, k=int(ZHIHU_COMMENTS * 0.7)):
            roots.append(self._comment(post, says, self._rhythm.after(post.created_at, timedelta(days=4)), None))
        yield from roots
        by_id = {post.native_id: post for post in posts}
        busy = next(root for root in roots if root.parent_id == first.native_id)
        for root in [busy] * 4 + rng.choices(roots, k=ZHIHU_COMMENTS - len(roots) - 4):
            at = self._rhythm.after(root.created_at, timedelta(hours=30))
            yield self._comment(by_id[root.parent_id or ""], answers, at, root)

    def _comment(self, post: Item, says: Deck[str], at: datetime, root: Item | None) -> Item:
        author = post.author if root and self._rng.random() < 0.4 else self._crowd.anyone()
        text = self._seen.once(Slots(self._rng, author).fill(says.deal()))
        return self._item(
            "comment",
            self._ids.digits(11),
            at,
            author,
            f"<p>{text}</p>",
            parent_id=post.native_id,
            parent_kind=post.kind,
            root_id=root.native_id if root else None,
            reply_to=root.native_id if root else None,
            likes=int(self._rng.paretovariate(1.1)) - 1,
        )
