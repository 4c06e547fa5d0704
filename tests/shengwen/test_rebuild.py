"""The index is a projection of the log: moved away, it is filled again, and who was forgotten stays forgotten."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from alerts.tables import Fact, table
from ingest.analysis import ClassifiedMention
from ingest.errors import Poison
from ingest.log.base import Outgoing, Topics
from ingest.mention import Author, Mention
from search.query import parse_query
from shengwen import cli
from shengwen.accounting import count
from shengwen.commands.doctor import examine
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import CLASSIFY, INDEX, STAGES, build_stage
from tests.factories import a_mention

KEY, OTHER = "a" * 24, "b" * 24


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def filled(home: Home) -> Home:
    """Mentions of two authors, one of them twice in the same words, an empty one, one that cannot be read."""
    with Rooms(home) as rooms:
        collect(rooms, by(KEY, rooms, "1", text="接头漏水"), by(OTHER, rooms, "2", text="暖气很热"))
        collect(rooms, by(OTHER, rooms, "2", text="暖气很热"), by(OTHER, rooms, "3", text="", empty_text=True))
        rooms.log.produce(Topics.COLLECTED, [Outgoing("jd:review:4", b"{")])
        work(rooms)
    return home


def by(key: str, rooms: Rooms, native_id: str, **fields: Any) -> Mention:
    captured = rooms.clock.now() - timedelta(minutes=1)
    return a_mention(native_id=native_id, author=Author(key=key), captured_at=captured, **fields)


def collect(rooms: Rooms, *mentions: Mention) -> None:
    rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in mentions])


def work(rooms: Rooms) -> None:
    for name in STAGES:
        build_stage(name, rooms).drain()


def lose_the_index(home: Home) -> None:
    for file in home.path.glob("index.db*"):
        file.unlink()


def everything(rooms: Rooms) -> dict[str, int]:
    """Ids of all that is found, with their copies."""
    hits = rooms.index.search(parse_query("", now=rooms.clock.now()), limit=100).hits
    return {hit.mention.id: hit.copies for hit in hits}


def test_an_index_that_was_moved_away_is_filled_again(filled: Home) -> None:
    with Rooms(filled) as rooms:
        before, counted = everything(rooms), count(rooms)
    assert before == {"jd:review:1": 1, "jd:review:2": 2}
    lose_the_index(filled)
    assert not examine(filled)["ok"], "until then the doctor misses what is gone"
    with Rooms(filled) as rooms:
        work(rooms)
        assert (everything(rooms), count(rooms)) == (before, counted)
    assert examine(filled)["ok"]


def test_an_index_that_is_there_is_left_alone(filled: Home) -> None:
    with Rooms(filled) as rooms:
        done = rooms.log.committed(Topics.CLASSIFIED, INDEX)
        assert build_stage(INDEX, rooms).drain() == 0
        assert rooms.log.committed(Topics.CLASSIFIED, INDEX) == done


def test_who_was_forgotten_is_not_brought_back(filled: Home) -> None:
    assert cli.run(["--home", str(filled.path), "forget", KEY, "--yes"]) == 0
    lose_the_index(filled)
    with Rooms(filled) as rooms:
        work(rooms)
        assert set(everything(rooms)) == {"jd:review:2"}
        assert count(rooms).adds_up
        collect(rooms, by(KEY, rooms, "5", text="又买了一组").model_copy(update={"collected_at": rooms.clock.now()}))
        work(rooms)
        assert set(everything(rooms)) == {"jd:review:2", "jd:review:5"}, "what is written afterwards is new"


def test_what_was_on_its_way_when_its_author_was_forgotten_is_not_found(filled: Home) -> None:
    with Rooms(filled) as rooms:
        collect(rooms, by(KEY, rooms, "6", text="还没入库，漏水，投诉"))
        build_stage(CLASSIFY, rooms).drain()
    assert cli.run(["--home", str(filled.path), "forget", KEY, "--yes"]) == 0
    with Rooms(filled) as rooms:
        work(rooms)
        assert set(everything(rooms)) == {"jd:review:2"}
        assert count(rooms).adds_up
        with rooms.engine.connect() as connection:
            assert "jd:review:6" not in set(connection.scalars(select(table(Fact).c.mention_id)))


def test_what_was_parked_and_replayed_is_counted_once(filled: Home) -> None:
    def unreadable(_: bytes) -> ClassifiedMention:
        raise Poison("of a broken deploy")

    with Rooms(filled) as rooms:
        collect(rooms, by(OTHER, rooms, "8", text="师傅来晚了"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shengwen.stages.classified_from_json", unreadable)
            work(rooms)
        assert cli.run(["--home", str(filled.path), "dead-letters", "replay", "--all"]) == 0
        work(rooms)
        before, counted = everything(rooms), count(rooms)
    assert before["jd:review:8"] == 1
    lose_the_index(filled)
    with Rooms(filled) as rooms:
        work(rooms)
        assert (everything(rooms), count(rooms)) == (before, counted)
    assert examine(filled)["ok"]


def test_a_letter_that_was_given_up_stays_so(filled: Home) -> None:
    with Rooms(filled) as rooms:
        rooms.log.produce(Topics.CLASSIFIED, [Outgoing("jd:review:7", b"{")])
        work(rooms)
    assert cli.run(["--home", str(filled.path), "dead-letters", "replay", "--all", "--drop"]) == 0
    lose_the_index(filled)
    with Rooms(filled) as rooms:
        work(rooms)
        assert rooms.letters.open() == []
