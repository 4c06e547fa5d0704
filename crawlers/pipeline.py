"""From a parsed page to the log: seal, compare with the ledger, stream what is new, park what cannot be.

Promise: an item is remembered only after the log holds it durably, so a crash repeats and never loses. On a log whose
checkpoint is written in the same transaction (the embedded one) a crash does not repeat either: the checkpoint holds
the last batch, and :meth:`Pipeline.recover` copies it into the ledger before the next run reads anything.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NoReturn

import orjson
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from crawlers import shapes
from crawlers.address import stored_url
from crawlers.ledger import DEAD, GONE, Entry, Ledger, ListState, Seen
from crawlers.payload import Page, Payload
from crawlers.viewer import without_viewer
from ingest.clock import Clock
from ingest.dead_letters import letter_for_payload
from ingest.draft import Draft
from ingest.errors import DeadLetterLimit, PayloadError, Poison, Retryable
from ingest.headers import stamped
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import Mention, Precision, Raw, storable
from ingest.privacy import Privacy
from ingest.relevance import Brand

logger = logging.getLogger(__name__)

BATCH_SIZE: Final = 200
BATCH_SECONDS: Final = 5.0
"""A batch is streamed when it holds this many mentions, or this long after its first."""
MAX_HELD: Final = 32 * 1024 * 1024
"""Bytes of parked payloads that are held before they are streamed."""
DEAD_IN_ROW: Final = 100
"""So many dead letters without one good record between them: the parser is wrong, not the records."""

_INDEX: Final = re.compile(r"\[\d+\]|\.\d+(?=\.|:)")
NO_BRAND: Final = Brand()


@dataclass(slots=True)
class Taken:
    """What became of one page. ``ids`` are its readable items in order, stubs included.

    ``fresh``: never streamed before; ``new``: streamed, for the first time or as a new revision; ``duplicate``: known
    and unchanged; ``unsettled``: not known at the list's last finished pass, or changed since.
    """

    ids: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    duplicate: list[str] = field(default_factory=list)
    dead: int = 0


def mention_id(draft: Draft) -> str:
    """The id that the draft's mention will have."""
    return f"{draft.source}:{draft.kind}:{storable(str(draft.native_id))}"


class Pipeline:
    """One run's way into the log. Not thread-safe; blocks while it writes."""

    def __init__(
        self,
        log: EventLog,
        ledger: Ledger,
        privacy: Privacy,
        clock: Clock,
        *,
        platform: str,
        brand: Brand = NO_BRAND,
        batch_size: int = BATCH_SIZE,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        self._log = log
        self._ledger = ledger
        self._privacy = privacy
        self._clock = clock
        self._platform = platform
        self._brand = brand
        self._size = batch_size
        self._seconds = batch_seconds
        self._batch: dict[str, Mention] = {}
        self._letters: list[Outgoing] = []
        self._dead: dict[str, None] = {}
        self._held = 0
        self._again: dict[str, None] = {}
        self._since: float | None = None
        self._dead_in_row = 0

    @property
    def _checkpoint(self) -> str:
        return f"crawl:{self._platform}"

    def recover(self) -> int:
        """Remember the last batch that the log holds, in case the last run died before the ledger did; its size."""
        value = self._log.checkpoint(self._checkpoint)
        if value is None:
            return 0
        last = orjson.loads(value)
        self._ledger.record([Seen(item_id, digest) for item_id, digest in last["items"]], int(last["run"]))
        return len(last["items"])

    def take(self, page: Page, payload: Payload, *, query: str, parser: str, since: ListState) -> Taken:
        """Stream what is new on the page; ``since`` is the list's state that "unsettled" is measured against.

        An item without a time is dated by its capture: to the day in a list that was read to its end before, since
        there it is new; to the month, so that it is no news, where anything may be old.

        Stubs (``draft.partial``), and excerpts of what is known, are only looked up.
        Raises DeadLetterLimit when nothing can be read any more.
        """
        raw = Raw(url=stored_url(payload.url), captured_at=payload.captured_at, sha256=payload.sha256, parser=parser)
        context = {"url": raw.url or "", "endpoint": page.endpoint, "captured_at": raw.captured_at.isoformat()}
        taken = Taken()
        dead: dict[str, Poison] = {}
        for problem in page.problems:
            self._broken(PayloadError(problem.reason, field=problem.path), problem.raw, dead, taken)
        taken.dead += page.more_problems
        self._dead_in_row += page.more_problems
        if self._dead_in_row >= DEAD_IN_ROW:
            self._give_up(dead, payload, context)
        drafts = {mention_id(draft): draft for draft in page.mentions}
        known = self._ledger.known(drafts)
        for item_id, draft in drafts.items():
            entry = self._pending(item_id) or known.get(item_id)
            if draft.partial or (draft.excerpt and entry is not None):
                self._note(taken, item_id, entry, since, changed=False)
                if not draft.partial:
                    taken.duplicate.append(item_id)
                    self._again[item_id] = None
                continue
            try:
                undated: Precision = "day" if entry is None and since.settled_run else "month"
                matched, own = self._brand.match(draft, query), self._brand.owns(draft)
                mention = self._privacy.seal(draft, raw, matched, own=own, undated=undated)
            except Poison as error:
                self._broken(error, item_id.encode("utf-8", "replace"), dead, taken)
                if self._dead_in_row >= DEAD_IN_ROW:
                    self._give_up(dead, payload, context)
                continue
            self._dead_in_row = 0
            changed = entry is None or shapes.changed(entry.hash, mention)
            self._note(taken, item_id, entry, since, changed=changed)
            if changed:
                taken.new.append(item_id)
                self._batch[mention.id] = mention
            else:
                taken.duplicate.append(item_id)
                self._again[mention.id] = None
        self._park(dead, payload, context)
        self._maybe_flush()
        return taken

    def gone(self, item_id: str) -> None:
        """The platform removed this item: it is not looked for again unless its list changes."""
        if not self._ledger.known([item_id]):
            self._ledger.record([Seen(item_id, GONE)], self._ledger.run)

    def flush(self) -> None:
        """Make everything taken so far durable, then remember it. Raises Retryable when the log stays unreachable."""
        letters, batch, again = list(self._letters), list(self._batch.values()), list(self._again)
        if letters:
            self._produce(Topics.DEAD_LETTERS, letters, None)
        if batch:
            items = [(mention.id, shapes.kept(mention)) for mention in batch]
            value = orjson.dumps({"run": self._ledger.run, "items": items}).decode()
            records = [Outgoing(mention.id, mention.to_json(), stamped()) for mention in batch]
            self._produce(Topics.COLLECTED, records, (self._checkpoint, value))
        if letters or batch or again:
            seen = [Seen(mention.id, shapes.kept(mention)) for mention in batch]
            seen += [Seen(key, DEAD) for key in self._dead]
            self._ledger.record(seen, self._ledger.run, again=again)
        self._letters.clear()
        self._dead.clear()
        self._held = 0
        self._batch.clear()
        self._again.clear()
        self._since = None

    def _maybe_flush(self) -> None:
        if not (self._batch or self._letters):
            return
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        full = len(self._batch) + len(self._letters) >= self._size or self._held >= MAX_HELD
        if full or now - self._since >= self._seconds:
            self.flush()

    def _produce(self, topic: str, records: Sequence[Outgoing], checkpoint: tuple[str, str] | None) -> None:
        for attempt in Retrying(
            retry=retry_if_exception_type(Retryable),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            stop=stop_after_attempt(5),
            reraise=True,
        ):
            with attempt:
                self._log.produce(topic, records, checkpoint=checkpoint)

    def _pending(self, item_id: str) -> Entry | None:
        mention = self._batch.get(item_id)
        return None if mention is None else Entry(shapes.kept(mention), self._ledger.run)

    def _note(self, taken: Taken, item_id: str, entry: Entry | None, since: ListState, *, changed: bool) -> None:
        taken.ids.append(item_id)
        if entry is None:
            taken.fresh.append(item_id)
        if entry is None or changed or entry.run > since.settled_run:
            taken.unsettled.append(item_id)

    def _broken(self, error: Poison, record: bytes, dead: dict[str, Poison], taken: Taken) -> None:
        """Note a record that cannot be read; the same ``record`` with the same complaint has one key."""
        taken.dead += 1
        self._dead_in_row += 1
        digest = sha256(b"\0".join([record, type(error).__name__.encode(), _where(error)])).hexdigest()[:32]
        dead.setdefault(f"dead:{self._platform}:{digest}", error)

    def _park(self, dead: Mapping[str, Poison], payload: Payload, context: Mapping[str, str]) -> None:
        """Park the page's payload once (a replay parses all of it), if it holds a broken record that is news."""
        known = self._ledger.known(dead) if dead else {}
        fresh = {key: error for key, error in dead.items() if key not in self._dead and key not in known}
        if not fresh:
            return
        error = next(iter(fresh.values()))
        logger.warning("%s: parked %s: %s records, first: %s", self._platform, context["endpoint"], len(fresh), error)
        sealed = self._privacy.lock(without_viewer(self._platform, payload))
        self._letters.append(
            letter_for_payload(
                self._platform, sealed, payload.body, error, self._clock, {**context, "broken": str(len(fresh))}
            )
        )
        self._held += len(sealed)
        self._dead.update(dict.fromkeys(fresh))

    def _give_up(self, dead: Mapping[str, Poison], payload: Payload, context: Mapping[str, str]) -> NoReturn:
        self._park(dead, payload, context)
        self.flush()
        raise DeadLetterLimit(f"{self._platform}：连续 {self._dead_in_row} 条记录读不出来")


def _where(error: Poison) -> bytes:
    # A record's place in its page changes with every newer record; what broke in it does not.
    return _INDEX.sub("[]", str(error)).encode("utf-8", "replace")


__all__ = ["Pipeline", "Taken", "mention_id", "stored_url"]
