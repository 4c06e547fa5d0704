"""A correction sticks: through re-capture, an index filled again, in facets and alerts, until it is taken back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from alerts.tables import Fact, table
from classify.corrections import CORRECTED, Corrections
from ingest.analysis import Analysis
from ingest.clock import ManualClock
from ingest.errors import Unavailable, UserError
from ingest.log.base import Outgoing, Topics
from ingest.mention import Append, Author, Mention
from search.query import parse_query
from shengwen import cli
from shengwen.accounting import count
from shengwen.commands.doctor import examine
from shengwen.correcting import Correcting
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.settings import load_settings
from shengwen.stages import ALERT, CLASSIFY, INDEX, STAGES, build_stage
from tests.factories import CAPTURED, a_classified, a_mention

LEAK, WARM, LATE = "产品质量/漏水渗水", "使用体验/采暖效果", "安装服务/延误"
WORDS = "接头老漏水，把地板滴花了"
ID = "jd:review:1"
KEY = "a" * 24


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def rooms(home: Home, clock: ManualClock) -> Iterator[Rooms]:
    """Three mentions, collected, classified and indexed."""
    clock.advance(3600)
    with Rooms(home, clock=clock) as opened:
        collect(opened, review("1", WORDS), review("2", "屋里很暖和"), review("3", "师傅来晚了"))
        work(opened)
        yield opened


def review(native_id: str, text: str, hours: float = 0, **fields: object) -> Mention:
    known: dict[str, object] = {"author": Author(key=KEY if native_id == "1" else "b" * 24), "created_at": CAPTURED}
    captured = CAPTURED + timedelta(hours=hours)
    return a_mention(native_id=native_id, text=text, captured_at=captured, **(known | fields))


def collect(rooms: Rooms, *mentions: Mention) -> None:
    rooms.log.produce(Topics.COLLECTED, [Outgoing(m.id, m.to_json()) for m in mentions])


def work(rooms: Rooms, *names: str) -> None:
    for name in names or tuple(STAGES):
        build_stage(name, rooms).drain()


def correcting(rooms: Rooms) -> Correcting:
    tags = [tag.name for tag in rooms.taxonomy.tags]
    return Correcting(rooms.index, rooms.log, rooms.corrections, rooms.clock, tags)


def correct(rooms: Rooms, sentiment: str = "positive", tags: Sequence[tuple[str, str]] = ((WARM, "positive"),)) -> None:
    correcting(rooms).correct(ID, sentiment, tags, by="lin")


def analysis(rooms: Rooms, mention_id: str = ID) -> Analysis:
    hit = rooms.index.get(mention_id)
    assert hit is not None
    return hit.mention.analysis


def said(one: Analysis) -> tuple[str, list[tuple[str, str]]]:
    return one.sentiment.label, [(tag.tag, tag.sentiment) for tag in one.tags]


RIGHT = ("positive", [(WARM, "positive")])


def found(rooms: Rooms, query: str) -> set[str]:
    return {mention.id for mention in rooms.index.scan(parse_query(query, now=rooms.clock.now()))}


def fact(rooms: Rooms, mention_id: str = ID) -> tuple[str, bool]:
    facts = table(Fact)
    with rooms.engine.connect() as connection:
        row = connection.execute(select(facts).where(facts.c.mention_id == mention_id)).one()
    return row.sentiment, row.any_negative


def test_a_correction_counts_at_once_in_filters_and_facets_and_soon_in_the_alerts(rooms: Rooms, home: Home) -> None:
    assert said(analysis(rooms)) == ("negative", [(LEAK, "negative")])
    before = count(rooms)
    correct(rooms)
    assert said(analysis(rooms)) == RIGHT
    assert analysis(rooms).model.endswith(CORRECTED)
    assert ID in found(rooms, f"sentiment:positive tag:{WARM}")
    assert ID not in found(rooms, "sentiment:negative") | found(rooms, f"tag:{LEAK}")
    summary = rooms.index.summary(parse_query("地板", now=rooms.clock.now()))
    assert (summary.facets["sentiment"], summary.facets["tag"]) == ({"positive": 1}, {WARM: 1})
    assert count(rooms).adds_up, "also while the log's record is on its way"
    work(rooms)
    assert said(analysis(rooms)) == RIGHT
    assert fact(rooms) == ("positive", False)
    assert count(rooms) == before
    assert examine(home)["ok"]


def test_a_correction_stands_when_the_review_is_read_again(rooms: Rooms) -> None:
    correct(rooms)
    collect(rooms, review("1", WORDS, hours=5, likes=77))
    work(rooms)
    hit = rooms.index.get(ID)
    assert hit is not None
    assert (hit.mention.likes, hit.copies) == (77, 2)
    assert said(hit.mention.analysis) == RIGHT
    assert fact(rooms) == ("positive", False)
    assert count(rooms).adds_up


def test_what_was_classified_before_and_arrives_after_is_corrected_too(rooms: Rooms) -> None:
    collect(rooms, review("1", WORDS, hours=5, likes=77))
    work(rooms, CLASSIFY)
    correct(rooms)
    work(rooms)
    hit = rooms.index.get(ID)
    assert hit is not None
    assert hit.mention.likes == 77
    assert said(hit.mention.analysis) == RIGHT
    assert fact(rooms) == ("positive", False)
    assert count(rooms).adds_up


def test_alerts_that_are_ahead_of_the_index_follow_the_correction(rooms: Rooms) -> None:
    collect(rooms, review("1", WORDS, hours=5, likes=77))
    work(rooms, CLASSIFY, ALERT)
    correct(rooms)
    work(rooms)
    assert fact(rooms) == ("positive", False)


def test_an_edit_or_an_append_is_judged_anew_and_undoing_then_changes_nothing(rooms: Rooms) -> None:
    correct(rooms)
    collect(rooms, review("1", WORDS, hours=5, appends=(Append(text="修好又漏，要求退货"),)))
    work(rooms)
    judged = analysis(rooms)
    assert judged.sentiment.label == "negative"
    assert not judged.model.endswith(CORRECTED)
    held = rooms.index.get(ID)
    assert held is not None
    assert correcting(rooms).of([held.mention]) == {}
    assert [one.text for one in rooms.corrections.all()] == [WORDS], "it stays as an example"
    correcting(rooms).undo(ID)
    work(rooms)
    assert analysis(rooms) == judged
    assert count(rooms).adds_up


@pytest.mark.parametrize("again", [(), ("neutral", "undo"), ("neutral",)])
def test_an_index_that_is_filled_again_ends_with_what_was_said_last(
    rooms: Rooms, home: Home, again: tuple[str, ...]
) -> None:
    correct(rooms)
    for step in again:
        correcting(rooms).undo(ID) if step == "undo" else correct(rooms, step)
    work(rooms)
    before, counted = (analysis(rooms), fact(rooms)), count(rooms)
    rooms.close()
    for file in home.path.glob("index.db*"):
        file.unlink()
    with Rooms(home, clock=rooms.clock) as opened:
        work(opened)
        assert (analysis(opened), fact(opened)) == before
        assert count(opened) == counted
    assert examine(home)["ok"]


def test_a_stage_that_reads_everything_again_ends_with_the_correction(rooms: Rooms) -> None:
    correct(rooms)
    work(rooms)
    before = count(rooms)
    for name in (CLASSIFY, INDEX, ALERT):
        with rooms.log.consumer(STAGES[name], name) as consumer:
            consumer.poll(1, 0.0)
            for partition in consumer.assigned:
                consumer.seek(partition, 0)
                consumer.commit({partition: 0})
    work(rooms)
    assert said(analysis(rooms)) == RIGHT
    assert fact(rooms) == ("positive", False)
    assert (count(rooms).adds_up, count(rooms).documents) == (True, before.documents)


def test_undoing_brings_back_what_the_classifier_said(rooms: Rooms) -> None:
    before = analysis(rooms)
    correct(rooms)
    correct(rooms, "neutral", [(LATE, "negative")])
    assert said(analysis(rooms)) == ("neutral", [(LATE, "negative")])
    correcting(rooms).undo(ID)
    assert analysis(rooms) == before
    work(rooms)
    assert analysis(rooms) == before
    assert fact(rooms) == ("negative", True)
    assert rooms.corrections.all() == []
    correcting(rooms).undo(ID)
    assert rooms.log.lag(Topics.CLASSIFIED, INDEX) == 0, "nothing to undo, nothing to tell"
    assert count(rooms).adds_up


def test_what_agrees_with_the_classifier_is_no_correction(rooms: Rooms) -> None:
    desk = correcting(rooms)
    desk.correct(ID, "negative", [(LEAK, "negative")], by="lin")
    assert rooms.corrections.all() == []
    desk.correct(ID, "negative", [(LEAK, "negative"), (LATE, "neutral")], by="lin")
    (made,) = rooms.corrections.all()
    assert (made.sentiment, [tag.tag for tag in made.tags or ()]) == (None, [LEAK, LATE])
    assert made.tags is not None
    assert [tag.span is None for tag in made.tags] == [False, True], "a tag that stays keeps its words"
    desk.correct(ID, "neutral", [(LEAK, "negative")], by="lin")
    (made,) = rooms.corrections.all()
    assert (made.sentiment, made.tags) == ("neutral", None)
    assert said(analysis(rooms)) == ("neutral", [(LEAK, "negative")])
    desk.correct(ID, "negative", [(LEAK, "negative")], by="lin")
    assert rooms.corrections.all() == []
    assert said(analysis(rooms)) == ("negative", [(LEAK, "negative")])


@pytest.mark.parametrize(
    ("mention_id", "sentiment", "tags", "seen", "told"),
    [
        ("jd:review:none", "positive", [], "", "没有这条提及"),
        (ID, "great", [], "", "情感只能是"),
        (ID, "positive", [("产品质量/没有", "negative")], "", "标签体系里没有“产品质量/没有”"),
        (ID, "positive", [(WARM, "loved")], "", "情感只能是"),
        (ID, "positive", [(WARM, "positive")] * 21, "", "最多 20 个标签"),
        (ID, "positive", [], "0" * 16, "新的版本"),
    ],
)
def test_what_cannot_be_stored_is_refused_and_changes_nothing(
    rooms: Rooms, mention_id: str, sentiment: str, tags: list[tuple[str, str]], seen: str, told: str
) -> None:
    before = analysis(rooms)
    with pytest.raises(UserError, match=told):
        correcting(rooms).correct(mention_id, sentiment, tags, by="lin", seen=seen)
    assert (analysis(rooms), rooms.corrections.all()) == (before, [])
    assert rooms.log.lag(Topics.CLASSIFIED, INDEX) == 0


def test_a_mention_erased_while_it_is_corrected_leaves_no_correction(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Corrections.put

    def put_late(self: Corrections, *given: object, **named: object) -> object:
        made = put(self, *given, **named)  # type: ignore[arg-type]
        rooms.index.delete_by_author(KEY)
        return made

    monkeypatch.setattr(Corrections, "put", put_late)
    with pytest.raises(UserError, match="已经被删除"):
        correct(rooms)
    assert rooms.corrections.all() == []


def test_what_was_stored_when_the_process_died_is_told_at_the_next_start(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise Unavailable("the log")

    with monkeypatch.context() as patch:
        patch.setattr(rooms.log, "produce", dies)
        with pytest.raises(Unavailable):
            correct(rooms)
    assert said(analysis(rooms)) != RIGHT
    work(rooms)
    assert said(analysis(rooms)) == RIGHT
    assert fact(rooms) == ("positive", False)
    assert count(rooms).adds_up
    assert correcting(rooms).retell() == 0


def test_forgetting_an_author_takes_the_corrections_along(rooms: Rooms, home: Home) -> None:
    correct(rooms)
    correcting(rooms).correct("jd:review:2", "neutral", [], by="lin")
    work(rooms)
    assert cli.run(["--home", str(home.path), "forget", KEY, "--yes"]) == 0
    assert [one.mention_id for one in rooms.corrections.all()] == ["jd:review:2"]
    work(rooms)
    assert rooms.index.get(ID) is None
    assert count(rooms).adds_up


def test_retention_takes_the_corrections_along(rooms: Rooms, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    correct(rooms)
    home.settings.write_text("[schedule]\nretention_days = { jd = 1 }\n", "utf-8")
    assert load_settings(home).schedule.retention_days == {"jd": 1}
    assert cli.run(["--home", str(home.path), "retain"]) == 0
    assert "jd：删除 3 条，人工纠正 1 条" in capsys.readouterr().out
    assert rooms.corrections.all() == []


def test_a_correction_of_what_the_index_lost_is_no_mention(rooms: Rooms) -> None:
    stray = a_classified(native_id="99", captured_at=CAPTURED)
    before = count(rooms)
    rooms.log.produce(Topics.CLASSIFIED, [Outgoing(stray.id, stray.to_json(), {"correction": "2026-01-05"})])
    work(rooms)
    assert rooms.index.get(stray.id) is None
    assert count(rooms) == before
