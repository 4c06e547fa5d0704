"""Dead letters: what can never pass, parked with its original bytes, listed and replayed by a person.

The topic ``dead_letters`` is the store. A letter's key is its id (``stage:topic:partition:offset``); a later record
with the same key and the header ``resolved`` closes it, so the topic can be compacted. Effects of a crash between
parking and committing are absorbed: the same letter twice is one letter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from ingest.clock import Clock
from ingest.errors import ShengwenError, UserError
from ingest.log.base import EventLog, Outgoing, Record, Topics
from ingest.mention import storable

COLLECT = "collect"
"""The stage before the log: a payload or an imported row that gave no valid mention."""
DROPPED = "dropped"
MAX_ERROR = 500
_PAGE = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One parked record. ``payload`` is the original bytes, sealed (see :meth:`Privacy.lock`) when ``sealed``.

    ``origin`` is where the record stood (empty topic for stage ``collect``); ``headers`` are that record's own.
    """

    id: str
    stage: str
    error: str
    kind: str
    attempts: int
    at: datetime
    source: str
    key: str
    origin: tuple[str, int, int]
    headers: Mapping[str, str]
    payload: bytes
    sealed: bool
    resolved: str = ""


def letter_for_record(stage: str, record: Record, error: Exception, attempts: int, clock: Clock) -> Outgoing:
    """Park a record of a topic; its bytes were masked before they were streamed."""
    head = {
        "stage": stage,
        "error": str(error)[:MAX_ERROR],
        "kind": type(error).__name__,
        "attempts": str(attempts),
        "at": clock.now().isoformat(),
        "source": _source(record.key),
        "key": record.key,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        **{f"h.{name}": value for name, value in record.headers.items()},
    }
    return _outgoing(letter_id(stage, record), record.value, head)


def letter_id(stage: str, record: Record) -> str:
    """The id of the letter that parks a record of a topic."""
    return f"{stage}:{record.position}"


def letter_for_payload(
    source: str, sealed: bytes, plain: bytes, error: ShengwenError, clock: Clock, context: Mapping[str, str]
) -> Outgoing:
    """Park what gave no mention. ``sealed`` is ``Privacy.lock(plain)``; ``context`` is what a replay needs.

    The id follows from the source, the bytes and the error: the same broken payload fetched twice is one letter.
    """
    words = [source.encode("utf-8", "replace"), plain, str(error).encode("utf-8", "replace")]
    digest = sha256(b"\0".join(words)).hexdigest()[:24]
    head = {
        "stage": COLLECT,
        "error": str(error)[:MAX_ERROR],
        "kind": type(error).__name__,
        "attempts": "1",
        "at": clock.now().isoformat(),
        "source": source,
        "sealed": "1",
        **{f"h.{name}": value for name, value in context.items()},
    }
    return _outgoing(f"{COLLECT}:{source}:{context.get('row', '')}:{digest}", sealed, head)


def _outgoing(key: str, value: bytes, head: Mapping[str, str]) -> Outgoing:
    # Errors quote what they choked on; a letter that the log refuses would stop the stage for ever.
    return Outgoing(storable(key), value, {storable(name): storable(said) for name, said in head.items()})


def _source(key: str) -> str:
    """The source that a record's key begins with: native ids may hold colons, ``import:<name>`` holds one."""
    first, _, rest = key.partition(":")
    return f"{first}:{rest.partition(':')[0]}" if first == "import" else first


def _read(record: Record) -> DeadLetter:
    head = record.headers
    at = datetime.fromisoformat(head["at"]) if "at" in head else record.timestamp
    return DeadLetter(
        id=record.key,
        stage=head.get("stage", ""),
        error=head.get("error", ""),
        kind=head.get("kind", ""),
        attempts=int(head.get("attempts", "1")),
        at=at.astimezone(UTC),
        source=head.get("source", ""),
        key=head.get("key", ""),
        origin=(head.get("topic", ""), int(head.get("partition", "0")), int(head.get("offset", "-1"))),
        headers={name[2:]: value for name, value in head.items() if name.startswith("h.")},
        payload=record.value,
        sealed="sealed" in head,
    )


@dataclass(slots=True)
class Tally:
    """How many letters of a stage wait for somebody, went back into the stream, were given up."""

    open: int = 0
    returned: int = 0
    dropped: int = 0


class DeadLetters:
    """Reads and closes the letters of a log."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock

    def _records(self) -> Iterator[Record]:
        for partition, end in self._log.end_offsets(Topics.DEAD_LETTERS).items():
            offset = 0
            while offset < end:
                batch = self._log.read(Topics.DEAD_LETTERS, partition, offset, _PAGE)
                if not batch:
                    break
                yield from batch
                offset = batch[-1].offset + 1

    def _changes(self) -> Iterator[Record]:
        """The topic without letters of a place in a topic that were closed before: the place was read again. (A broken
        payload that is fetched again after its letter was closed is news.)"""
        closed: set[str] = set()
        for record in self._records():
            if "resolved" in record.headers:
                closed.add(record.key)
            elif record.key in closed and record.headers.get("topic"):
                continue
            yield record

    def open(self) -> list[DeadLetter]:
        """Letters that nobody has closed, oldest first, without doubles."""
        letters: dict[str, DeadLetter] = {}
        for record in self._changes():
            if "resolved" in record.headers:
                letters.pop(record.key, None)
            elif record.key not in letters:
                letters[record.key] = _read(record)
        return list(letters.values())

    def tallies(self) -> defaultdict[str, Tally]:
        """By stage, what became of its letters; stages that never parked anything have empty tallies."""
        found: defaultdict[str, Tally] = defaultdict(Tally)
        opened: dict[str, str] = {}
        for record in self._changes():
            how = record.headers.get("resolved")
            if how is None:
                opened.setdefault(record.key, record.headers.get("stage", ""))
            elif (stage := opened.pop(record.key, None)) is not None:
                found[stage].dropped += how == DROPPED
                found[stage].returned += how != DROPPED
        for stage in opened.values():
            found[stage].open += 1
        return found

    def parked(self, stage: str) -> set[str]:
        """Ids of all letters that a stage ever parked, closed ones among them (see :func:`letter_id`)."""
        return {record.key for record in self._records() if record.headers.get("stage") == stage}

    def count(self, source: str | None = None) -> int:
        """Open letters, of one source or of all."""
        return sum(source in (None, letter.source) for letter in self.open())

    def get(self, letter_id: str) -> DeadLetter:
        """One open letter. Raises UserError when there is none of that id."""
        for letter in self.open():
            if letter.id == letter_id:
                return letter
        raise UserError(f"没有编号为 {letter_id} 的死信；用 shengwen dead-letters list 查看现有的")

    def replay(self, letter: DeadLetter) -> str:
        """Put a stage's record back on its topic and close the letter; the topic's name.

        Raises UserError for a letter of stage ``collect``: its payload goes through the parser again instead.
        """
        topic = letter.origin[0]
        if not topic:
            raise UserError("这条死信来自采集阶段，需要重新解析")
        headers = {**letter.headers, "replay": letter.id}
        done = f"replay:{letter.id}"
        if self._log.checkpoint(done) is None:  # set: a crash came between these two steps
            back = Outgoing(letter.key, letter.payload, headers)
            self._log.produce(topic, [back], checkpoint=(done, self._clock.now().isoformat()))
        self.close(letter, topic)
        return topic

    def close(self, letter: DeadLetter, how: str) -> None:
        """Mark as settled: ``how`` is the topic it went back to, or :data:`DROPPED`."""
        head = {"resolved": how, "at": self._clock.now().isoformat()}
        self._log.produce(Topics.DEAD_LETTERS, [Outgoing(letter.id, b"", head)])
