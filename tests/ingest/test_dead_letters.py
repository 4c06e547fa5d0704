"""Dead letters: parked once whatever happens, counted, closed, and sent back without loss or doubles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.clock import ManualClock
from ingest.dead_letters import (
    COLLECT,
    DROPPED,
    DeadLetter,
    DeadLetters,
    Tally,
    letter_for_payload,
    letter_for_record,
)
from ingest.errors import PayloadError, Poison, Retryable, UserError
from ingest.log.base import Outgoing, Record, Topics
from ingest.log.sqlite import SqliteLog
from ingest.privacy import Privacy


def a_record(log: SqliteLog, key: str = "jd:review:1", topic: str = Topics.COLLECTED) -> Record:
    log.produce(topic, [Outgoing(key, b"\x00raw", {"spider": "s"})])
    return log.read(topic, 0, log.end_offsets(topic)[0] - 1, 1)[0]


def park(
    log: SqliteLog,
    clock: ManualClock,
    key: str = "jd:review:1",
    *,
    stage: str = "classify",
    topic: str = Topics.COLLECTED,
) -> DeadLetter:
    out = letter_for_record(stage, a_record(log, key, topic), Poison("bad", field="text"), 2, clock)
    log.produce(Topics.DEAD_LETTERS, [out])
    return DeadLetters(log, clock).get(out.key)


def park_payload(log: SqliteLog, clock: ManualClock, privacy: Privacy, plain: bytes, row: str = "") -> str:
    error = PayloadError("not a number", field="comments[3].score")
    context = {"url": "https://www.example.com/", "row": row}
    out = letter_for_payload("import:客服", privacy.lock(plain), plain, error, clock, context)
    log.produce(Topics.DEAD_LETTERS, [out])
    return out.key


def test_a_parked_record_is_listed_with_all_that_is_known(log: SqliteLog, clock: ManualClock) -> None:
    letter = park(log, clock)
    assert letter == DeadLetter(
        id=f"classify:{Topics.COLLECTED}:0:0",
        stage="classify",
        error="text: bad",
        kind="Poison",
        attempts=2,
        at=clock.now(),
        source="jd",
        key="jd:review:1",
        origin=(Topics.COLLECTED, 0, 0),
        headers={"spider": "s"},
        payload=b"\x00raw",
        sealed=False,
    )


@pytest.mark.parametrize(
    ("key", "source"),
    [
        ("jd:review:1", "jd"),
        ("zhihu:answer:a:b:c", "zhihu"),
        ("import:客服-1.x:call:7", "import:客服-1.x"),
        ("import:客服:call:a:b", "import:客服"),
        ("xiaohongshu", "xiaohongshu"),
        ("", ""),
    ],
)
def test_the_source_is_read_from_the_key(log: SqliteLog, clock: ManualClock, key: str, source: str) -> None:
    assert park(log, clock, key).source == source
    assert DeadLetters(log, clock).count(source) == 1
    assert DeadLetters(log, clock).count("tmall") == 0


def test_a_payload_is_parked_sealed_with_what_a_replay_needs(
    log: SqliteLog, clock: ManualClock, privacy: Privacy
) -> None:
    plain = "电话13812345678".encode()
    letter = DeadLetters(log, clock).get(park_payload(log, clock, privacy, plain, row="12"))
    assert (letter.stage, letter.source, letter.sealed, letter.origin[0]) == (COLLECT, "import:客服", True, "")
    assert (letter.error, letter.kind) == ("comments[3].score: not a number", "PayloadError")
    assert letter.headers == {"url": "https://www.example.com/", "row": "12"}
    assert plain not in letter.payload
    assert privacy.unlock(letter.payload) == plain


def test_the_same_broken_payload_is_one_letter_and_another_is_another(
    log: SqliteLog, clock: ManualClock, privacy: Privacy
) -> None:
    first = park_payload(log, clock, privacy, b"a", row="1")
    clock.advance(60)
    assert park_payload(log, clock, privacy, b"a", row="1") == first
    assert (
        len({first, park_payload(log, clock, privacy, b"b", row="1"), park_payload(log, clock, privacy, b"a", row="2")})
        == 3
    )
    assert len(DeadLetters(log, clock).open()) == 3


@pytest.mark.parametrize("odd", ["\ud800", "a\0b", "🔥", "x" * 10_000])
def test_any_words_can_be_parked(log: SqliteLog, clock: ManualClock, privacy: Privacy, odd: str) -> None:
    out = letter_for_payload(
        f"import:{odd[:20]}", privacy.lock(b"p"), b"p", Poison(odd), clock, {"row": odd, odd[:9]: odd}
    )
    log.produce(Topics.DEAD_LETTERS, [out])
    (letter,) = DeadLetters(log, clock).open()
    assert privacy.unlock(letter.payload) == b"p"


def test_a_crash_between_parking_and_committing_leaves_one_letter(log: SqliteLog, clock: ManualClock) -> None:
    out = letter_for_record("classify", a_record(log), Poison("bad"), 1, clock)
    log.produce(Topics.DEAD_LETTERS, [out])
    clock.advance(30)
    again = letter_for_record("classify", log.read(Topics.COLLECTED, 0, 0, 1)[0], Poison("bad"), 1, clock)
    log.produce(Topics.DEAD_LETTERS, [again])
    letters = DeadLetters(log, clock)
    assert (len(letters.open()), letters.tallies()) == (1, {"classify": Tally(open=1)})


def test_letters_come_oldest_first_and_many_of_them(log: SqliteLog, clock: ManualClock) -> None:
    records = [Outgoing(f"jd:review:{n}", b"v") for n in range(1200)]
    log.produce(Topics.COLLECTED, records)
    read = log.read(Topics.COLLECTED, 0, 0, 1200)
    log.produce(Topics.DEAD_LETTERS, [letter_for_record("s", record, Poison("bad"), 1, clock) for record in read])
    assert [letter.origin[2] for letter in DeadLetters(log, clock).open()] == list(range(1200))


def test_a_closed_letter_is_gone_from_the_list(log: SqliteLog, clock: ManualClock) -> None:
    letters = DeadLetters(log, clock)
    one, two = park(log, clock), park(log, clock)
    letters.close(one, "dropped")
    assert [letter.id for letter in letters.open()] == [two.id]
    with pytest.raises(UserError, match=one.id):
        letters.get(one.id)
    letters.close(one, "dropped")
    assert letters.tallies() == {"classify": Tally(open=1, dropped=1)}


def test_tallies_tell_stages_and_fates_apart(log: SqliteLog, clock: ManualClock, privacy: Privacy) -> None:
    letters = DeadLetters(log, clock)
    assert letters.tallies() == {}
    assert letters.tallies()["classify"] == Tally()
    park_payload(log, clock, privacy, b"a")
    repaired = letters.get(park_payload(log, clock, privacy, b"b"))
    dropped, returned = park(log, clock), park(log, clock)
    later = park(log, clock, topic=Topics.CLASSIFIED, stage="index")
    park(log, clock)
    letters.close(repaired, Topics.COLLECTED)
    letters.close(dropped, DROPPED)
    assert letters.replay(returned) == Topics.COLLECTED
    assert letters.replay(later) == Topics.CLASSIFIED
    assert letters.tallies() == {
        COLLECT: Tally(open=1, returned=1),
        "classify": Tally(open=1, returned=1, dropped=1),
        "index": Tally(returned=1),
    }


def test_a_replayed_record_is_what_it_was_and_says_where_it_comes_from(log: SqliteLog, clock: ManualClock) -> None:
    letter = park(log, clock)
    letters = DeadLetters(log, clock)
    assert letters.replay(letter) == Topics.COLLECTED
    (back,) = log.read(Topics.COLLECTED, 0, 1, 10)
    assert (back.key, back.value) == ("jd:review:1", b"\x00raw")
    assert dict(back.headers) == {"spider": "s", "replay": letter.id}
    assert letters.open() == []


def test_a_replayed_record_that_fails_again_is_a_letter_of_its_own(log: SqliteLog, clock: ManualClock) -> None:
    first = park(log, clock)
    letters = DeadLetters(log, clock)
    letters.replay(first)
    back = log.read(Topics.COLLECTED, 0, 1, 1)[0]
    log.produce(Topics.DEAD_LETTERS, [letter_for_record("classify", back, Poison("bad"), 1, clock)])
    (second,) = letters.open()
    assert second.id != first.id
    letters.replay(second)
    assert dict(log.read(Topics.COLLECTED, 0, 2, 1)[0].headers) == {"spider": "s", "replay": second.id}


def test_a_payload_is_not_put_on_a_topic_but_parsed_anew(log: SqliteLog, clock: ManualClock, privacy: Privacy) -> None:
    letters = DeadLetters(log, clock)
    letter = letters.get(park_payload(log, clock, privacy, b"a"))
    with pytest.raises(UserError, match="重新解析"):
        letters.replay(letter)
    assert letters.open() == [letter]


class CutLog(SqliteLog):
    """Dies at the ``fatal``-th append from now on, before or after writing it."""

    fatal = 0
    after = False

    def produce(self, topic: str, records: Sequence[Outgoing], *, checkpoint: tuple[str, str] | None = None) -> None:
        self.fatal -= 1
        if self.fatal == 0 and not self.after:
            raise Retryable("gone")
        super().produce(topic, records, checkpoint=checkpoint)
        if self.fatal == 0:
            raise Retryable("gone, though it was written")


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_a_replay_that_is_cut_off_anywhere_and_repeated_sends_once(
    tmp_path: Path, clock: ManualClock, step: int, after: bool
) -> None:
    with CutLog(tmp_path / "log.db", clock=clock) as log:
        letter = park(log, clock)
        letters = DeadLetters(log, clock)
        log.fatal, log.after = step, after
        with pytest.raises(Retryable):
            letters.replay(letter)
        for found in letters.open():
            letters.replay(found)
        assert letters.open() == []
        assert log.end_offsets(Topics.COLLECTED) == {0: 2}, "the record and its one return"
        assert letters.tallies()["classify"].returned == 1
