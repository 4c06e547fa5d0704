"""Mentions that other systems push: the same record, the same privacy, the same log as what is collected.

Promise: what is answered as accepted or duplicate is in the log, durably. Pushed again (a time-out, a 503), the same
mention is known by the client's id, or by its words, time and author, and is answered as duplicate.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sqlalchemy import Engine

from crawlers.ledger import Ledger, Seen
from ingest.clock import Clock
from ingest.coverage import Coverage, write_coverage
from ingest.default_reviews import is_default_review
from ingest.draft import Draft
from ingest.errors import Poison, Retryable
from ingest.headers import stamped
from ingest.imports.ratings import Stars, stars, stars_of_csat, stars_of_nps
from ingest.imports.rows import content_id
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import MAX_COUNT, MAX_TEXT, Append, Kind, Matched, Mention, Precision, Product, Raw, poison_from
from ingest.privacy import Privacy
from ingest.times import read_instant
from shengwen.tokens import Pusher

logger = logging.getLogger(__name__)

PARSER: Final = "push/1"
LEDGER: Final = "push"
"""The platform under which the ledger remembers what was pushed."""
MAX_ITEMS: Final = 1000
MAX_PUSHED_TEXT: Final = 50_000


EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""What is said to be older has another number in its field: days, a year, a serial of Excel."""


def _an_id(value: Any) -> Any:
    if isinstance(value, float):
        raise ValueError("带小数的编号已经丢了位数，请作为文本发送")
    if isinstance(value, str) and (_CONTROL.search(value) or not value.strip()):
        raise ValueError("编号里不能有换行、制表符等控制字符，也不能全是空格")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _a_time(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise ValueError("应为文字或整数")
    return value


_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")


Id = Annotated[str, BeforeValidator(_an_id), Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=1000)]
Long = Annotated[str, Field(max_length=MAX_PUSHED_TEXT)]
Number = Annotated[int, Field(ge=0, le=MAX_COUNT, strict=True)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PushedProduct(_Plain):
    """What is talked about."""

    id: Id | None = None
    sku: Id | None = None
    name: Words | None = None
    spec: Words | None = None


class PushedMention(_Plain):
    """One thing a customer said, as a program sends it.

    ``id``: the sender's own, unique in the token's source; left out, words, time and author stand for it.
    ``created_at``: ISO 8601 (without a zone: Beijing time) or epoch seconds or milliseconds; left out: now, exact to
    the day. ``author``: the sender's customer number or phone; only its keyed hash is kept. One of ``rating`` (1-5),
    ``nps`` (0-10) and ``csat`` (1-5) may be given.
    """

    id: Id | None = None
    kind: Kind | None = None
    text: Long = ""
    title: Words | None = None
    rating: Annotated[int, Field(ge=1, le=5, strict=True)] | None = None
    nps: Annotated[int, Field(ge=0, le=10, strict=True)] | None = None
    csat: Annotated[int, Field(ge=1, le=5, strict=True)] | None = None
    created_at: Annotated[str | int | None, BeforeValidator(_a_time)] = None
    author: Id | None = None
    region: Words | None = None
    url: Words | None = None
    product: PushedProduct | None = None
    likes: Number | None = None
    replies: Number | None = None
    appends: Annotated[list[Long], Field(max_length=20)] = []
    seller_reply: Long | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item. ``id`` is the mention's; ``path`` and ``reason`` say why it was rejected."""

    status: Literal["accepted", "duplicate", "rejected"]
    id: str | None = None
    path: str | None = None
    reason: str | None = None

    def to_dict(self, index: int) -> dict[str, object]:
        known = {"id": self.id, "path": self.path, "reason": self.reason}
        return {"index": index, "status": self.status} | {name: value for name, value in known.items() if value}


class Pushing:
    """Takes batches. Thread-safe; raises Retryable when log or state database cannot be reached: nothing is lost then,
    the sender still has the batch."""

    def __init__(
        self,
        log: EventLog,
        engine: Engine,
        privacy: Privacy,
        clock: Clock,
        match: Callable[[Draft], Matched] | None = None,
    ) -> None:
        self._log = log
        self._ledger = Ledger(engine, LEDGER, clock)
        self._privacy = privacy
        self._clock = clock
        self._match = match

    def take(self, items: Sequence[object], pusher: Pusher) -> list[Outcome]:
        """One batch; outcomes in the items' order. On return what was accepted is durable."""
        began = self._clock.now()
        read = [self._read(item, pusher) for item in items]
        mentions = [one for one in read if isinstance(one, Mention)]
        known = self._ledger.known(mention.id for mention in mentions)
        latest = {item_id: entry.content for item_id, entry in known.items()}
        outcomes: list[Outcome] = []
        fresh: list[Mention] = []
        for one in read:
            if isinstance(one, Outcome):
                outcomes.append(one)
            elif latest.get(one.id) == one.revision.hash:
                outcomes.append(Outcome("duplicate", one.id))
            else:
                latest[one.id] = one.revision.hash
                fresh.append(one)
                outcomes.append(Outcome("accepted", one.id))
        if fresh:
            self._log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json(), stamped()) for m in fresh])
            # Behind the log: a crash in between makes the sender's second try a second record, which the index counts
            # as a duplicate; the other way round it would be lost.
            self._ledger.record([Seen(mention.id, mention.revision.hash) for mention in fresh], self._ledger.run)
        self._tell(outcomes, pusher, began)
        return outcomes

    def _tell(self, outcomes: Sequence[Outcome], pusher: Pusher, began: datetime) -> None:
        """Coverage of one batch: the source's last arrival. What was rejected is the sender's to send again."""
        count = Counter(outcome.status for outcome in outcomes)
        rejected = count["rejected"]
        told = Coverage(
            source=pusher.source,
            query=f"push:{pusher.name}",
            planned=len(outcomes),
            got=count["accepted"] + count["duplicate"],
            new=count["accepted"],
            duplicate=count["duplicate"],
            status="partial" if rejected else "complete",
            reason=f"{rejected} 条没有收下" if rejected else "",
            started_at=began,
            finished_at=self._clock.now(),
        )
        try:
            write_coverage(self._log, [told])
        except Retryable as error:  # the mentions are durable: the batch must not be sent again for this
            logger.warning("%s: coverage of a pushed batch could not be written: %s", pusher.source, error)

    def _read(self, item: object, pusher: Pusher) -> Mention | Outcome:
        try:
            pushed = PushedMention.model_validate(item)
        except ValidationError as error:
            poison = poison_from(error)
            return _rejected(poison)
        try:
            return self._seal(pushed, pusher)
        except Poison as error:
            return _rejected(error)

    def _seal(self, pushed: PushedMention, pusher: Pusher) -> Mention:
        now = self._clock.now()
        text = pushed.text.strip()
        default = is_default_review(text)
        answered = _stars(pushed)
        if not (text or pushed.title or answered.rating or pushed.appends):
            raise Poison("没有内容：text、title、appends、评分至少要有一样", field="text")
        written = "" if pushed.created_at is None else str(pushed.created_at)
        draft = Draft(
            source=pusher.source,
            kind=pushed.kind or pusher.kind,
            native_id=pushed.id or content_id(text, pushed.title, written + (answered.original or ""), pushed.author),
            created_at=now,
            created_precision="day",
            text="" if default else text,
            title=pushed.title,
            empty_text=default or not text,
            rating=answered.rating,
            rating_scale=answered.scale,
            rating_original=answered.original,
            url=_web(pushed.url),
            product=Product(**pushed.product.model_dump()) if pushed.product else None,
            author_id=pushed.author,
            region=pushed.region,
            likes=pushed.likes,
            replies=pushed.replies,
            appends=[Append(text=words) for words in pushed.appends if words.strip()],
            seller_reply=pushed.seller_reply,
        )
        if pushed.created_at is not None:
            try:
                draft.created_at, draft.created_precision = _said_at(pushed.created_at)
            except ValueError as error:
                raise Poison(str(error), field="created_at") from None
        matched = self._match(draft) if self._match else None
        return self._privacy.seal(draft, Raw(captured_at=now, parser=PARSER), matched)


def _said_at(value: str | int) -> tuple[datetime, Precision]:
    """Raises ValueError (Chinese): unlike a file, a program has no days of Excel, and its clock can be set right."""
    try:
        at, precision = read_instant(value)
    except ValueError:
        raise ValueError("读不懂的时间：请写成 2026-03-04T14:05:00+08:00，或 1970 年以来的秒数、毫秒数") from None
    number = isinstance(value, int) or re.fullmatch(r"\s*\d+(?:\.\d+)?\s*", value)
    if at < EARLIEST or (number and float(value) < EARLIEST.timestamp()):
        raise ValueError("不合理的时间：数字应是 1970 年以来的秒数或毫秒数，日期应在 1990 年以后")
    return at, precision


def _stars(pushed: PushedMention) -> Stars:
    given = [name for name in ("rating", "nps", "csat") if getattr(pushed, name) is not None]
    if len(given) > 1:
        raise Poison("rating、nps、csat 只能给一个", field=given[1])
    if pushed.nps is not None:
        return stars_of_nps(pushed.nps)
    return stars_of_csat(pushed.csat) if pushed.csat is not None else stars(pushed.rating)


def _web(url: str | None) -> str | None:
    if url and not url.startswith(("https://", "http://")):
        raise Poison("链接要以 https:// 或 http:// 开头", field="url")
    return url or None


def _rejected(error: Poison) -> Outcome:
    reason = str(error).removeprefix(f"{error.field}: ")
    return Outcome("rejected", path=error.field or "record", reason=reason)


assert MAX_PUSHED_TEXT <= MAX_TEXT
