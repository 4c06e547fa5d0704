"""An import: a file's rows into the log, with a place to go on from.

The place is stored by the log together with the records (one transaction on the embedded log), so Ctrl-C and kill -9
lose no row and stream none twice. The same file under the same name is the same job: once finished, it is not
streamed again.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson

from ingest.clock import Clock
from ingest.coverage import Coverage, write_coverage
from ingest.dead_letters import letter_for_payload
from ingest.draft import Draft
from ingest.errors import Poison, ShengwenError, UserError
from ingest.headers import stamped
from ingest.imports.mapping import SAMPLED, TEXT_HEADINGS, UNUSED, guess_mapping
from ingest.imports.rows import draft_from_row
from ingest.imports.tables import BadRow, Row, Table, open_table
from ingest.log.base import EventLog, Outgoing, Topics
from ingest.mention import Kind, Matched, Mention, Raw
from ingest.privacy import Privacy

PARSER = "import/1"
BATCH = 500


@dataclass(slots=True)
class ImportState:
    """How far a job is, as stored. ``rows`` read, of them ``collected`` (in the log) and ``dead`` (parked).

    ``finished``: all rows are in the log; ``settled``: and were seen searchable.
    ``left_out``: by field, values that could not be read and were left empty in mentions that were collected.
    ``before``: the index's counts of this source when the job began, to tell what this job added.
    """

    rows: int = 0
    collected: int = 0
    dead: int = 0
    finished: bool = False
    settled: bool = False
    before: dict[str, int] | None = None
    left_out: dict[str, int] = field(default_factory=dict)


class ImportJob:
    """One file under one source name. ``columns`` and ``mapping`` are known once :meth:`run` has opened the file."""

    def __init__(
        self,
        path: Path,
        *,
        source: str,
        log: EventLog,
        privacy: Privacy,
        clock: Clock,
        kind: Kind = "review",
        wanted: Mapping[str, str] | None = None,
        match: Callable[[Draft], Matched] | None = None,
        sheet: str | None = None,
        written: datetime | None = None,
    ) -> None:
        self._path = path
        self.source = source
        self._kind = kind
        self._log = log
        self._privacy = privacy
        self._clock = clock
        self._wanted = dict(wanted or {})
        self._match = match
        self._digest = file_digest(path)
        self._sheet = sheet
        self._since = min(written or _modified(path), clock.now())
        asked = [part for part in (sheet, written and written.isoformat()) if part]
        identity = orjson.dumps([self._digest, source, kind, sorted(self._wanted.items()), *asked])
        self.name = f"import:{sha256(identity).hexdigest()[:32]}"
        self.mapping: Mapping[str, str] = {}
        self.unread: Sequence[str] = ()
        self._left_out: Counter[str] = Counter()
        self._reading: tuple[datetime, ImportState] | None = None
        """When this run began to read, and what the earlier ones had done."""

    def state(self) -> ImportState:
        """Where an earlier run of this job stopped, or a new state."""
        stored = self._log.checkpoint(self.name)
        return ImportState(**orjson.loads(stored)) if stored else ImportState()

    def run(
        self, stop: threading.Event, progress: Callable[[ImportState], None], before: Mapping[str, int]
    ) -> ImportState:
        """Stream what is left; returns at the end or when ``stop`` is set (then ``finished`` is false).

        ``progress`` is called after each batch. Raises UserError for a file that is no table.
        """
        state = self.state()
        if state.finished:
            return state
        self._reading = self._clock.now(), replace(state)
        if state.before is None:
            state.before = dict(before)
            self._save([], state)
        self._left_out = Counter(state.left_out)
        with open_table(self._path, headings(self._wanted), self._sheet) as table:
            self.unread = table.unread
            samples, rows = peeked(table)
            self.mapping = guess_mapping(table.columns, self._wanted, samples, self._kind)
            good: list[Outgoing] = []
            bad: list[Outgoing] = []
            read = 0
            for row in rows:
                read += 1
                if read <= state.rows:
                    continue
                outcome = self._convert(row)
                if isinstance(outcome, Mention):
                    good.append(Outgoing(outcome.id, outcome.to_json(), stamped()))
                else:
                    bad.append(outcome)
                if len(good) + len(bad) >= BATCH:
                    self._flush(good, bad, read, state)
                    progress(state)
                    if stop.is_set():
                        return state
            self._flush(good, bad, read, state)
        state.finished = True
        self._save([], state)
        progress(state)
        return state

    def tell(self, state: ImportState, duplicate: int = 0) -> None:
        """Coverage of what this run read, once: the source's last arrival. A run that is killed tells nothing.

        ``duplicate``: how many of the records were known, as the index says; a run that did not wait for it counts all
        that it streamed as new.
        """
        if self._reading is None:
            return
        (began, earlier), self._reading = self._reading, None
        good, dead = state.collected - earlier.collected, state.dead - earlier.dead
        duplicate = max(0, min(duplicate, good))
        told = Coverage(
            source=self.source,
            query=f"file:{self._digest[:12]}",
            planned=good + dead if state.finished else None,
            got=good + dead,
            new=good - duplicate,
            duplicate=duplicate,
            dead=dead,
            status="complete" if state.finished else "partial",
            reason="" if state.finished else "中断了；再次导入同一文件会从这里接着做",
            started_at=began,
            finished_at=self._clock.now(),
        )
        write_coverage(self._log, [told])

    def settle(self, state: ImportState) -> None:
        """Note that all of it is searchable: from now on the file is one that was imported before."""
        state.settled = True
        self._save([], state)

    def _flush(self, good: list[Outgoing], bad: list[Outgoing], read: int, state: ImportState) -> None:
        # Letters first: their ids follow from the row, so a crash in between parks the same letters again.
        if bad:
            self._log.produce(Topics.DEAD_LETTERS, bad)
        state.rows = read
        state.left_out = {name: count for name, count in sorted(self._left_out.items()) if count}
        state.collected += len(good)
        state.dead += len(bad)
        self._save(good, state)
        good.clear()
        bad.clear()

    def _save(self, records: list[Outgoing], state: ImportState) -> None:
        value = orjson.dumps(asdict(state)).decode()
        self._log.produce(Topics.COLLECTED, records, checkpoint=(self.name, value))

    def _convert(self, row: Row | BadRow) -> Mention | Outgoing:
        if isinstance(row, BadRow):
            return self._park(row.number, row.raw, Poison(row.reason, field="row"))
        try:
            left_out: Counter[str] = Counter()
            mention = mention_from_row(
                row.cells,
                self.mapping,
                self.source,
                self._kind,
                self._privacy,
                self._clock,
                self._match,
                since=self._since,
                left_out=left_out,
            )
        except Poison as error:
            return self._park(row.number, _plain(row.cells), error)
        self._left_out += left_out
        return mention

    def _park(self, number: int, raw: bytes, error: ShengwenError) -> Outgoing:
        context = {
            "row": f"{self.name.removeprefix('import:')[:12]}.{number}",
            "kind": self._kind,
            "since": self._since.isoformat(),
            "mapping": orjson.dumps(dict(self.mapping)).decode(),
        }
        return letter_for_payload(self.source, self._privacy.lock(raw), raw, error, self._clock, context)


def peeked(table: Table) -> tuple[list[Mapping[str, Any]], Iterator[Row | BadRow]]:
    """The cells of the first rows, and all rows."""
    first = list(islice(table.rows, SAMPLED))
    return [row.cells for row in first if isinstance(row, Row)], chain(first, table.rows)


def mention_from_row(
    cells: Mapping[str, Any],
    mapping: Mapping[str, str],
    source: str,
    kind: Kind,
    privacy: Privacy,
    clock: Clock,
    match: Callable[[Draft], Matched] | None = None,
    *,
    since: datetime | None = None,
    left_out: Counter[str] | None = None,
) -> Mention:
    """A row's mention, masked and validated. Raises Poison naming the field. The rest as :func:`draft_from_row`."""
    now = clock.now()
    draft = draft_from_row(
        cells, mapping, source=source, kind=kind, without_date=now, since=since or now, left_out=left_out
    )
    matched = match(draft) if match else None
    return privacy.seal(draft, Raw(captured_at=now, parser=PARSER), matched)


def _plain(cells: Mapping[str, Any]) -> bytes:
    # The standard library's JSON also writes lone surrogates and integers beyond 64 bits, by escaping.
    return json.dumps(cells, default=str).encode()


def headings(wanted: Mapping[str, str]) -> frozenset[str]:
    """What makes a row the heading: the names that are known, and those that the user named."""
    return TEXT_HEADINGS | {column.strip().lower() for column in wanted.values() if column != UNUSED}


def _modified(path: Path) -> datetime:
    """When the export was made, as far as the file tells: "3天前" in it is counted from there. Raises UserError."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise UserError(f"无法读取文件 {path}：{error.strerror}") from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises UserError."""
    try:
        hasher = sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                hasher.update(chunk)
    except OSError as error:
        raise UserError(f"无法读取文件 {path}：{error.strerror}") from error
    return hasher.hexdigest()
