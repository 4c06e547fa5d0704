"""The failure: within about a minute K20-3 owners on three platforms report leaking valves and joints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Final

from shengwen.demo.cast import K20
from shengwen.demo.history import Threads
from shengwen.demo.ids import Ids
from shengwen.demo.items import Item
from shengwen.demo.people import Crowd
from shengwen.demo.phrases import Slots, bank, lines

LENGTH: Final = timedelta(seconds=60)
"""From the first report to the last."""
BEAT: Final = timedelta(seconds=4)
"""Reports come in handfuls, one handful a beat."""


def failure(seed: int, at: datetime, history: Sequence[Item]) -> tuple[Item, ...]:
    """All reports in order of time, each by another person. ``history`` is what was told by then; some reports hang
    under its posts. The same seed, instant and history give the same reports.
    """
    at = at.replace(microsecond=0)
    told = [*_jd(seed, at), *_posts(seed, at, "post", history), *_posts(seed, at, "video", history)]
    return tuple(sorted(told, key=lambda item: (item.created_at, item.native_id)))


def _moments(number: int, at: datetime, rng: Random) -> Iterator[datetime]:
    beats = LENGTH // BEAT
    for index in range(number):
        yield at + BEAT * (index * beats // number) + timedelta(seconds=rng.randrange(4))


def _jd(seed: int, at: datetime) -> Iterator[Item]:
    rng = Random(f"{seed}:turn:jd")  # noqa: S311 - a story, not a secret
    ids, crowd = Ids(rng), Crowd("jd", rng)
    texts = list(lines(bank("turn")["jd"]["lines"]))
    rng.shuffle(texts)
    for text, moment in zip(texts, _moments(len(texts), at, rng), strict=True):
        person = crowd.stranger()
        yield Item(
            platform="jd",
            kind="review",
            native_id=ids.jd_review(moment),
            created_at=moment,
            author=person,
            text=Slots(rng, person, K20.code).fill(text),
            model=K20,
            sku=rng.choice(K20.jd_skus),
            score=1,
            likes=rng.randrange(4),
            pictures=rng.choice((0, 1, 2)),
            mood="blame",
            turn=True,
        )


def _posts(seed: int, at: datetime, kind: str, history: Sequence[Item]) -> Iterator[Item]:
    rng = Random(f"{seed}:turn:{kind}")  # noqa: S311 - a story, not a secret
    words = bank("turn")["xiaohongshu" if kind == "post" else "douyin"]
    entries: list[dict[str, str]] = words["notes" if kind == "post" else "videos"]
    talk = list(lines(words["comments"]))
    rng.shuffle(talk)
    if kind == "post":
        talk += lines(bank("turn")["calm"]["comments"])
    threads = Threads("post" if kind == "post" else "video", rng)
    under = _stage(kind, history)
    # A post opens, comments follow, the other posts come in between.
    order: list[int | str] = [0, *talk]
    for number in range(1, len(entries)):
        order.insert(number * len(order) // len(entries), number)
    for entry, moment in zip(order, _moments(len(order), at, rng), strict=True):
        author = threads.crowd.stranger()
        slots = Slots(rng, author, K20.code)
        if isinstance(entry, int):
            post = threads.post(entries[entry], moment, author, slots, likes=rng.randrange(5, 60), turn=True)
            under.append(post)
            yield post
        else:
            post = rng.choice(under)
            moment = max(moment, post.created_at + timedelta(seconds=1))
            calm = entry in lines(bank("turn")["calm"]["comments"])
            yield threads.hang(
                moment,
                author,
                slots.fill(entry),
                post,
                likes=rng.randrange(9),
                turn=True,
                mood="chat" if calm else "blame",
            )


def _stage(kind: str, history: Sequence[Item]) -> list[Item]:
    """The older post that people comment under: the brand's own video; on Xiaohongshu only the new notes."""
    return [item for item in history if item.kind == kind == "video" and item.author.official][:1]
