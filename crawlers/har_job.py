"""Importing a HAR file: the same parsers, the same privacy, the same log as a live crawl."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

import orjson

from crawlers.fill import FillTally
from crawlers.har import har_payloads
from crawlers.parse import concerns, parse
from crawlers.payload import STOP_SIGNALS, Page, Payload
from crawlers.pipeline import stored_url
from crawlers.viewer import without_viewer
from ingest.clock import Clock
from ingest.coverage import Coverage, write_coverage
from ingest.dead_letters import letter_for_payload
from ingest.draft import Draft
from ingest.errors import Poison
from ingest.headers import stamped
from ingest.imports.job import ImportState, file_digest
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import Mention, Raw
from ingest.privacy import Privacy
from ingest.relevance import Brand


@dataclass(slots=True)
class _Seen:
    """What one run read of one platform."""

    platform: str
    started: datetime
    pages: int = 0
    good: int = 0
    dead: int = 0
    walls: Counter[str] = field(default_factory=Counter)
    fill: FillTally = field(default_factory=FillTally)

    def look(self, page: Page) -> None:
        self.pages += 1
        self.fill.add(page)
        if page.signal in STOP_SIGNALS:
            self.walls[page.signal] += 1

    def coverage(self, query: str, clock: Clock) -> Coverage:
        return Coverage(
            source=f"import:har-{self.platform}",
            query=query,
            got=self.good + self.dead,
            new=self.good,
            dead=self.dead,
            pages=self.pages,
            status="partial" if self.walls else "complete",
            reason="；".join(f"{count} 条答复是 {signal}" for signal, count in sorted(self.walls.items())),
            started_at=self.started,
            finished_at=clock.now(),
            fill=self.fill.fills(),
        )


class HarJob:
    """One HAR file; resumes after the last entry whose mentions are in the log (``ImportState.rows`` counts entries).

    Stubs (search hits without a text) are left out: as a newer revision they would blank the full item.
    What the pages loaded besides (scripts, beacons, unrelated data) is passed over and counts nowhere.
    ``signals`` counts what the answers were, by the parser's signal. What each run read is told as coverage of the
    source ``import:har-PLATFORM``, with its fill rates; a run that is killed tells nothing of what it read.
    """

    source = ""
    mapping: Mapping[str, str] = {}

    def __init__(self, path: Path, *, log: EventLog, privacy: Privacy, clock: Clock, brand: Brand) -> None:
        self._path = path
        self._log = log
        self._privacy = privacy
        self._clock = clock
        self._brand = brand
        self.name = f"har:{file_digest(path)[:32]}"
        self.signals: Counter[str] = Counter()
        self._seen: dict[str, _Seen] = {}

    def state(self) -> ImportState:
        """Where an earlier run stopped, or a new state."""
        stored = self._log.checkpoint(self.name)
        return ImportState(**orjson.loads(stored)) if stored else ImportState()

    def run(
        self, stop: threading.Event, progress: Callable[[ImportState], None], before: Mapping[str, int]
    ) -> ImportState:
        """Stream what is left. Raises UserError for a file that is no HAR."""
        state = self.state()
        if state.finished:
            return state
        if state.before is None:
            state.before = dict(before)
        for number, (platform, payload) in enumerate(har_payloads(self._path, self._clock.now()), 1):
            if number <= state.rows:
                continue
            good, bad = self._read(platform, payload)
            if bad:
                self._log.produce(Topics.DEAD_LETTERS, bad)
            state.rows = number
            state.collected += len(good)
            state.dead += len(bad)
            self._save(good, state)
            progress(state)
            if stop.is_set():
                self._tell()
                return state
        self._tell()
        state.finished = True
        self._save([], state)
        return state

    def _tell(self) -> None:
        """Coverage of what this run read, by platform."""
        digest = self.name.partition(":")[2][:12]
        write_coverage(self._log, [seen.coverage(f"har:{digest}", self._clock) for seen in self._seen.values()])
        self._seen.clear()

    def settle(self, state: ImportState) -> None:
        """Note that all of it is searchable: from now on the file is one that was imported before."""
        state.settled = True
        self._save([], state)

    def _save(self, records: list[Outgoing], state: ImportState) -> None:
        value = orjson.dumps(asdict(state)).decode()
        self._log.produce(Topics.COLLECTED, records, checkpoint=(self.name, value))

    def _read(self, platform: str, payload: Payload) -> tuple[list[Outgoing], list[Outgoing]]:
        page = parse(platform, payload)
        if not concerns(platform, payload, page):
            return [], []
        self.signals[page.signal] += 1
        seen = self._seen.setdefault(platform, _Seen(platform, self._clock.now()))
        seen.look(page)
        good: list[Outgoing] = []
        broken = [Poison(p.reason, field=p.path) for p in page.problems[:1]]
        dead = page.broken
        for draft in page.mentions:
            if draft.partial:
                continue
            try:
                mention = self._seal(draft, payload, page.endpoint)
            except Poison as error:
                broken.append(error)
                dead += 1
            else:
                good.append(Outgoing(mention.id, mention.to_json(), stamped()))
        seen.good += len(good)
        seen.dead += dead
        # Once, whatever broke in it: a replay reads the whole answer again.
        return good, [self._park(platform, payload, broken[0])] if broken else []

    def _seal(self, draft: Draft, payload: Payload, endpoint: str) -> Mention:
        raw = Raw(captured_at=payload.captured_at, sha256=payload.sha256, parser=f"{endpoint}/har")
        return self._privacy.seal(draft, raw, self._brand.match(draft), own=self._brand.owns(draft))

    def _park(self, platform: str, payload: Payload, error: Poison) -> Outgoing:
        raw = payload.body
        context = {
            "captured_at": payload.captured_at.isoformat(),
            "url": stored_url(payload.url) or "",
            "row": sha256(payload.body).hexdigest()[:12],
        }
        return letter_for_payload(
            platform, self._privacy.lock(without_viewer(platform, payload)), raw, error, self._clock, context
        )
