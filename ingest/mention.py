"""The record: one ``Mention`` of the brand, as it is streamed, indexed and judged.

Field names are the contract between rooms and are what users see in JSON; they are described in DESIGN.md's table
and here. Instants are timezone-aware UTC. All text is already cleaned and masked: see :mod:`ingest.privacy`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from ingest.complaints import first_complaint
from ingest.errors import Poison

MAX_TEXT = 200_000
"""Longest text kept, in characters; a longer one is a dead letter (nothing a person writes is longer)."""

FUTURE_TOLERANCE = timedelta(hours=26)
"""How far ``created_at`` may lie after the capture: clocks differ, and a date without a time is a whole day."""

Kind = Literal["review", "question", "answer", "post", "video", "article", "comment", "survey", "call"]
Precision = Literal["second", "minute", "hour", "day", "month"]
RatingScale = Literal["5", "3"]
About = Literal["own", "rival", "excluded", "none"]

_SOURCE = re.compile(r"(jd|tmall|xiaohongshu|douyin|zhihu|import:[\w\-.]{1,64})")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def _utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("时间没有时区")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("时间超出了日历") from None


def _source(value: str) -> str:
    if not _SOURCE.fullmatch(value):
        raise ValueError("不认识的来源；导入的写作 import:名字")
    return value


def storable(text: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD: no store and no UTF-8 can hold them."""
    return _UNSTORABLE.sub("�", text)


def _clean(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _no_float(value: Any) -> Any:
    # A 19-digit id that went through a float has already lost digits: refuse instead of storing a wrong id.
    if isinstance(value, float):
        raise ValueError("编号成了小数，已经丢了位数")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _clean(value)


Instant = Annotated[datetime, AfterValidator(_utc)]
Source = Annotated[str, AfterValidator(_source)]
NativeId = Annotated[str, BeforeValidator(_no_float)]
Text = Annotated[str, BeforeValidator(_clean), Field(max_length=MAX_TEXT)]
Word = Annotated[str, BeforeValidator(_clean)]
MAX_COUNT = 2**63 - 1
"""The largest number that JSON for machines, SQLite and Elasticsearch can all hold."""
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)] | None


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Product(Frozen):
    """What is talked about. ``id`` groups SKUs of one product, ``sku`` is the variant bought, ``spec`` its words."""

    id: NativeId | None = None
    sku: NativeId | None = None
    name: Text | None = None
    spec: Text | None = None


class Author(Frozen):
    """Who wrote. ``key`` is the installation's HMAC of the platform's id: no nickname, no platform id.

    ``by_poster``: a comment by the one whose post, video or answer it is under, where the platform marks it.
    """

    key: Word | None = None
    is_seller: bool = False
    is_brand: bool = False
    by_poster: bool = False


class Append(Frozen):
    """A 追评. ``created_at`` is null where the platform only says "N days later" and the base is unknown."""

    text: Text
    created_at: Instant | None = None


class Media(Frozen):
    type: Literal["image", "video"]
    url: Text


class Matched(Frozen):
    """Why it was collected: what it carries of the brand file, and the query that found it.

    ``names``, ``products``, ``competitors``: the words found, as configured, in that order; ``words`` is all of them in
    a row. ``excluded``: words that mark a namesake. ``about``: ``own`` brand; ``rival`` only; ``excluded`` when it only
    speaks of a namesake; ``none`` when nothing tells. Records from before these fields have ``words`` and ``query``
    alone, and read as about ``none``. See :mod:`ingest.relevance`.
    """

    words: tuple[Word, ...] = ()
    names: tuple[Word, ...] = ()
    products: tuple[Word, ...] = ()
    competitors: tuple[Word, ...] = ()
    excluded: tuple[Word, ...] = ()
    about: About = "none"
    query: Word | None = None

    @property
    def elsewhere(self) -> bool:
        """Only about a rival or a namesake: searched like anything else, but nobody is woken by it."""
        return self.about in ("rival", "excluded")

    @property
    def all_words(self) -> tuple[str, ...]:
        """What a search for matched words finds it by."""
        return (*self.words, *self.excluded)


class Revision(Frozen):
    """``hash`` of the content; ``number`` orders revisions of one mention: capture time, ms since the epoch.

    Capture time needs no memory, so any two ways in (spider, HAR, export) agree on which is newer.
    """

    hash: Word
    number: int = Field(ge=0, le=MAX_COUNT)


class Raw(Frozen):
    """Where it was read. ``sha256`` is of the payload's bytes; ``parser`` is name/version."""

    url: Text | None = None
    captured_at: Instant
    sha256: Word | None = None
    parser: Word


class Mention(Frozen):
    """One thing somebody said, from one place. Build it with :func:`make_mention`.

    ``edited_at``: its last edit, ``purchased_at``: when what it is about was bought; where the platform says so.
    ``rating_original``: what was answered where stars were made of it, as ``NPS 3/10``.
    """

    id: Word = Field(max_length=300)
    source: Source
    kind: Kind
    parent_id: Word | None = None
    title: Text | None = None
    text: Text = ""
    empty_text: bool = False
    rating: int | None = Field(default=None, ge=1, le=5)
    rating_scale: RatingScale | None = None
    rating_original: Word | None = Field(default=None, max_length=40)
    created_at: Instant
    created_precision: Precision = "second"
    edited_at: Instant | None = None
    purchased_at: Instant | None = None
    collected_at: Instant
    url: Text | None = None
    product: Product | None = None
    author: Author = Author()
    region: Word | None = None
    likes: Count = None
    replies: Count = None
    shares: Count = None
    views: Count = None
    approximate: bool = False
    appends: tuple[Append, ...] = ()
    seller_reply: Text | None = None
    media: tuple[Media, ...] = ()
    matched: Matched = Matched()
    revision: Revision
    raw: Raw

    @model_validator(mode="after")
    def _id_fits(self) -> Self:
        prefix = f"{self.source}:{self.kind}:"
        if not self.id.startswith(prefix) or len(self.id) == len(prefix):
            raise ValueError(f"id: 应为 {prefix} 加平台的编号")
        if self.empty_text and self.text:
            raise ValueError("empty_text: 说没有文字，却有文字")
        if self.created_at - self.collected_at > FUTURE_TOLERANCE:
            raise ValueError("created_at: 比收到它的时间还晚")
        return self

    @property
    def has_content(self) -> bool:
        """False when there is nothing to index: no words, no rating, no picture."""
        return bool(self.text or self.title or self.appends or self.media or self.rating)

    @property
    def full_text(self) -> str:
        """Title, text and appends, one a line: what is classified and what a query searches."""
        parts = [self.title or "", self.text, *(append.text for append in self.appends)]
        return "\n".join(part for part in parts if part)

    def to_json(self) -> bytes:
        """UTF-8 JSON, one line."""
        return orjson.dumps(self.model_dump(mode="json"))


CONTENT_FIELDS = ("title", "text", "empty_text", "rating", "product", "appends", "seller_reply", "media")
"""What makes a new revision. Counts (likes, replies) move all the time and are no edit."""


def content_hash(fields: dict[str, Any]) -> str:
    """16 hex digits over :data:`CONTENT_FIELDS`; media by number only, as their URLs are signed anew each time."""
    kept = {name: fields.get(name) for name in CONTENT_FIELDS if name != "media"}
    if fields.get("rating_original"):  # left out where there is none: hashes of what is stored stay
        kept["rating_original"] = fields["rating_original"]
    kept["media"] = len(fields.get("media") or ())
    plain = orjson.dumps(kept, default=lambda o: o.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return sha256(plain).hexdigest()[:16]


def millis(instant: datetime) -> int:
    """Milliseconds since the epoch."""
    return int(instant.timestamp() * 1000)


def make_mention(
    *, native_id: object, source: str, kind: str, raw: Raw, excerpt: bool = False, **fields: Any
) -> Mention:
    """Build a valid mention: the id, the revision and ``collected_at`` follow from the rest.

    An ``excerpt``'s revision is numbered in units of 1000 s instead of 1 ms: newer than an older excerpt's, and older
    than any full text's, whenever that was read.
    Raises Poison naming the field that does not fit.
    """
    if not isinstance(native_id, str | int) or isinstance(native_id, bool) or native_id == "":
        raise Poison("没有编号，或编号成了小数、已经丢了位数", field="id")
    try:
        mention = Mention(
            id=f"{source}:{kind}:{native_id}",
            source=source,
            kind=kind,
            collected_at=raw.captured_at,
            revision=Revision(hash="", number=max(0, millis(raw.captured_at)) // (1_000_000 if excerpt else 1)),
            raw=raw,
            **{name: _clean(value) for name, value in fields.items()},
        )
    except ValidationError as error:
        raise poison_from(error) from None
    # Hashed as validated: however a way in wrote "no appends", equal contents have equal hashes.
    revision = Revision(hash=content_hash(dict(mention)), number=mention.revision.number)
    return mention.model_copy(update={"revision": revision})


def poison_from(error: ValidationError) -> Poison:
    """The first complaint of pydantic as our error: names the field, never shows the value (it may be personal).

    Raise it ``from None``: a logged trace would show pydantic's own words, value and all.
    """
    where, said = first_complaint(error)
    if not where:  # a check across fields says itself which one is wrong
        where, colon, rest = said.partition(": ")
        where, said = (where, rest) if colon else ("record", said)
    return Poison(said, field=storable(where[:100]))


def mention_from_json(data: bytes) -> Mention:
    """Read a record from the wire. Raises Poison naming the field."""
    try:
        return Mention.model_validate_json(data)
    except ValidationError as error:
        raise poison_from(error) from None
