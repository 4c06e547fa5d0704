"""What the story is made of: one :class:`Item` a mention, with everything any of the replica's payloads shows of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import unescape
from typing import Literal

from shengwen.demo.cast import Model, Platform
from shengwen.demo.people import Person

ItemKind = Literal["review", "question", "answer", "post", "video", "article", "comment"]
"""The kinds of :data:`ingest.mention.Kind` that occur here."""
Mood = Literal["praise", "mixed", "blame", "question", "suggestion", "chat", "default"]
"""What the writer meant; ``mixed`` is praise with one mild complaint, ``default`` a review without words."""

_CODES = re.compile(r"\[话题\]#|\[[\u4e00-\u9fffA-Za-z]{1,4}R?\]")
_TAGS = re.compile(r"<[^>]+>")


@dataclass(frozen=True, slots=True)
class Note:
    """A text with its instant: a 追评 or a seller's answer."""

    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing somebody said. ``text`` is as the platform stores it: emoji codes, hashtags, HTML and all.

    ``parent_id`` is the native id of the post, video, answer, article or question it hangs under; ``root_id`` the root
    comment of a reply, ``reply_to`` the comment it answers. ``score`` is 1-5 for a review. Instants are UTC.
    """

    platform: Platform
    kind: ItemKind
    native_id: str
    created_at: datetime
    author: Person
    text: str
    title: str = ""
    parent_id: str | None = None
    parent_kind: ItemKind | None = None
    root_id: str | None = None
    reply_to: str | None = None
    model: Model | None = None
    sku: str | None = None
    score: int | None = None
    likes: int = 0
    append: Note | None = None
    seller_reply: Note | None = None
    pictures: int = 0
    mood: Mood = "chat"
    safety: bool = False
    turn: bool = False

    @property
    def plain(self) -> str:
        """The text without platform codes and HTML, for a person and for comparing loosely."""
        return unescape(_TAGS.sub("", _CODES.sub("", self.text))).strip()

    def as_of(self, now: datetime) -> Item:
        """The item as it looked at ``now``: without a 追评 or an answer that came later."""
        append = self.append if self.append and self.append.at <= now else None
        reply = self.seller_reply if self.seller_reply and self.seller_reply.at <= now else None
        if append is self.append and reply is self.seller_reply:
            return self
        return replace(self, append=append, seller_reply=reply)

    def append_days(self) -> int:
        """Whole days between review and 追评; 0 without one."""
        return (self.append.at - self.created_at) // timedelta(days=1) if self.append else 0
