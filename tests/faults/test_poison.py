"""Records that cannot pass: parked while their neighbours go on, replayed by command, and every one accounted for."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from ingest.analysis import ClassifiedMention
from ingest.dead_letters import letter_for_payload
from ingest.errors import Poison, Retryable
from ingest.log.base import Outgoing, Record, Topics
from ingest.stage import Reject, Stage, StagePolicy
from shengwen import cli
from shengwen.accounting import Counts, count
from shengwen.commands.doctor import examine
from shengwen.home import Home
from shengwen.replay import replay_letter
from shengwen.rooms import Rooms
from shengwen.stages import ALERT, CLASSIFY, COVERAGE, INDEX, STAGES, build_stage
from tests.factories import a_mention
from tests.faults.kit import doctor, idle, shengwen, up
from tests.processes import wait_until

GARBAGE = (b"{", b"\xff\xfe\x00", b"[]", b'{"id": 7}', b"null", b"")


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Rooms]:
    with Rooms(Home(tmp_path / "home")) as opened:
        yield opened


def collect(rooms: Rooms, *texts: str) -> list[str]:
    """Stream good mentions; their ids."""
    mentions = [a_mention(text=text, captured_at=rooms.clock.now() - timedelta(seconds=1)) for text in texts]
    rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in mentions])
    return [mention.id for mention in mentions]


def spoil(rooms: Rooms, topic: str) -> None:
    rooms.log.produce(topic, [Outgoing(f"jd:review:bad-{n}", raw) for n, raw in enumerate(GARBAGE)])


def work(rooms: Rooms) -> None:
    """All stages, until nothing is left."""
    while not idle(rooms):
        for name in STAGES:
            build_stage(name, rooms).drain()


def broken_deploy(rooms: Rooms, name: str) -> None:
    """A program that rejects everything works through a stage's topic."""

    def reject_all(batch: Sequence[Record], reject: Reject) -> None:
        for record in batch:
            reject(record, Poison("of a broken deploy"))

    Stage(name, rooms.log, STAGES[name], reject_all, rooms.clock).drain()


def run(rooms: Rooms, *arguments: str) -> int:
    """A command in this process; its exit code."""
    return cli.run(["--home", str(rooms.home.path), *arguments])


def numbers(counts: Counts) -> tuple[int, int, int]:
    assert counts.adds_up, counts
    return counts.collected, counts.indexed, counts.dead_letters


def test_poison_is_parked_its_neighbours_are_found_and_a_replay_keeps_the_account(tmp_path: Path, rooms: Rooms) -> None:
    home = rooms.home.path
    before = collect(rooms, *(f"接头漏水{n}" for n in range(20)))
    spoil(rooms, Topics.COLLECTED)
    after = collect(rooms, *(f"暖气很热{n}" for n in range(20)))
    with up(home, tmp_path / "out") as service:
        service.url()
        wait_until(lambda: idle(rooms), 60, "the end of the work")
        counts = doctor(home)["counts"]  # while the service runs
        assert (counts["collected"], counts["indexed"], counts["dead_letters"]) == (46, 40, 6)
        assert all(rooms.index.get(one) for one in (*before, *after))
        listed = shengwen(home, "dead-letters", "list", "--json")
        letters = [json.loads(line) for line in listed.stdout.splitlines()]
        assert {(one["stage"], one["topic"], one["offset"]) for one in letters} == {
            ("classify", Topics.COLLECTED, offset) for offset in range(20, 26)
        }
        stored = {letter.origin[2]: letter.payload for letter in rooms.letters.open()}
        assert tuple(stored[20 + n] for n in range(len(GARBAGE))) == GARBAGE, "the original bytes are kept"

        replayed = shengwen(home, "dead-letters", "replay", "--all")
        assert (replayed.returncode, replayed.stdout.strip()) == (0, "重放 6 条，仍不行 0 条")
        wait_until(lambda: rooms.letters.count() == 6 and idle(rooms), 60, "their second failure")
        again = doctor(home)["counts"]
        assert (again["collected"], again["indexed"], again["dead_letters"]) == (46, 40, 6)
        assert {letter.origin[2] for letter in rooms.letters.open()} == set(range(46, 52))

        dropped = shengwen(home, "dead-letters", "replay", "--all", "--drop")
        assert dropped.returncode == 0, dropped.stderr
        assert service.terminate() == 0, service.said


@pytest.mark.parametrize("name", [CLASSIFY, INDEX, ALERT])
def test_what_a_broken_deploy_parked_is_replayed_by_the_mended_one(rooms: Rooms, name: str) -> None:
    ids = collect(rooms, "接头漏水", "暖气很热", "师傅来晚了")
    if name != CLASSIFY:
        build_stage(CLASSIFY, rooms).drain()
    broken_deploy(rooms, name)
    work(rooms)
    assert len(rooms.letters.open()) == 3
    assert numbers(count(rooms)) == ((3, 3, 0) if name == ALERT else (3, 0, 3))
    assert examine(rooms.home)["ok"]

    assert run(rooms, "dead-letters", "replay", "--all") == 0
    assert count(rooms).adds_up, "while the replayed ones are on their way"
    work(rooms)
    assert rooms.letters.open() == []
    assert numbers(count(rooms)) == (3, 3, 0)
    hits = [rooms.index.get(one) for one in ids]
    assert [hit and hit.copies for hit in hits] == [1, 1, 1], "a replay is no second copy"


def test_poison_behind_the_index_does_not_spoil_the_account(rooms: Rooms) -> None:
    """Coverage and what only the alerts could not read was never a mention that got lost."""
    collect(rooms, "接头漏水", "暖气很热")
    spoil(rooms, Topics.COVERAGE)
    work(rooms)
    assert {letter.stage for letter in rooms.letters.open()} == {COVERAGE}
    assert numbers(count(rooms)) == (2, 2, 0)
    report = examine(rooms.home)
    assert report["ok"]
    (check,) = [one for one in report["checks"] if one["name"] == "死信"]
    assert "6 条" in check["detail"], "they are still told of"


def test_what_index_and_alerts_both_parked_comes_back_once_to_each(rooms: Rooms) -> None:
    """Both read mentions.classified with the same eyes: what a broken deploy cannot read, neither can."""
    (one,) = collect(rooms, "接头漏水，投诉")
    build_stage(CLASSIFY, rooms).drain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shengwen.stages.classified_from_json", _unreadable)
        for _ in range(3):  # parked, and twice replayed too early
            for letter in rooms.letters.open():
                replay_letter(letter, rooms)
            for name in (ALERT, INDEX):
                build_stage(name, rooms).drain()
            assert [letter.stage for letter in rooms.letters.open()] == [ALERT, INDEX], "replaying multiplies nothing"
            assert numbers(count(rooms)) == (1, 0, 1)
    for letter in rooms.letters.open():
        replay_letter(letter, rooms)
    work(rooms)
    assert rooms.letters.open() == []
    assert numbers(count(rooms)) == (1, 1, 0)
    hit = rooms.index.get(one)
    assert hit is not None
    assert hit.copies == 1


def _unreadable(_: bytes) -> ClassifiedMention:
    raise Poison("of a broken deploy")


def test_letters_that_are_given_up_are_not_missed(rooms: Rooms) -> None:
    collect(rooms, "接头漏水", "暖气很热")
    spoil(rooms, Topics.COLLECTED)
    build_stage(CLASSIFY, rooms).drain()
    broken_deploy(rooms, INDEX)
    assert numbers(count(rooms)) == (8, 0, 8)
    assert run(rooms, "dead-letters", "replay", "--all", "--drop") == 0
    assert numbers(count(rooms)) == (0, 0, 0)
    work(rooms)
    assert examine(rooms.home)["ok"]


PAYLOAD = (
    'fetchJSON_comment98({"maxPage":1,"productCommentSummary":{"commentCount":2},"comments":['
    '{"id":10681890470,"content":"接头漏水","score":1,"creationTime":"2026-01-03 08:00:00","nickname":"山***彡",'
    '"referenceId":"100090020301","referenceName":"暖气片"},'
    '{"id":10681890471,"content":"很热","score":5,"creationTime":"2026-01-03 09:00:00","nickname":"水***木",'
    '"referenceId":"100090020301","referenceName":"暖气片"}]});'
)


def test_a_payload_goes_through_the_mended_parser_and_the_account_follows(rooms: Rooms) -> None:
    body = PAYLOAD.encode("gbk")
    url = "https://club.jd.com/comment/productPageComments.action?productId=100090020301"
    context = {"url": url, "captured_at": rooms.clock.now().isoformat()}
    letter = letter_for_payload("jd", rooms.privacy.lock(body), body, Poison("parser of old"), rooms.clock, context)
    rooms.log.produce(Topics.DEAD_LETTERS, [letter])
    assert numbers(count(rooms)) == (1, 0, 1)
    assert run(rooms, "dead-letters", "replay", "--all") == 0
    work(rooms)
    assert numbers(count(rooms)) == (2, 2, 0)
    assert rooms.index.get("jd:review:10681890470") is not None


def test_a_replay_cut_between_its_two_steps_is_finished_by_the_next(rooms: Rooms) -> None:
    collect(rooms, "接头漏水")
    broken_deploy(rooms, CLASSIFY)
    (letter,) = rooms.letters.open()

    class Cut(Exception):
        pass

    def cut(*_: object) -> None:
        raise Cut

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms.letters, "close", cut)
        with pytest.raises(Cut):
            replay_letter(letter, rooms)
    replay_letter(letter, rooms)
    work(rooms)
    assert numbers(count(rooms)) == (1, 1, 0)


def test_a_stage_killed_after_parking_parks_the_same_letter_again(rooms: Rooms) -> None:
    """The crash window between the letter and the commit: at least once, one letter."""
    collect(rooms, "接头漏水")
    spoil(rooms, Topics.COLLECTED)
    stage = build_stage(CLASSIFY, rooms, StagePolicy(max_attempts=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.log.sqlite.SqliteConsumer.commit", _cut_commit)
        with pytest.raises(Retryable):
            stage.drain()
    assert rooms.log.end_offsets(Topics.DEAD_LETTERS)[0] == 6
    work(rooms)
    assert rooms.log.end_offsets(Topics.DEAD_LETTERS)[0] == 12
    assert numbers(count(rooms)) == (7, 1, 6)


def _cut_commit(*_: object) -> None:
    raise Retryable("cut off before the commit")
