"""From page to log: sealed, compared, streamed once, parked once; a crash repeats nothing and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from alerts.config import AlertSettings
from alerts.facts import fact_of
from crawlers.ledger import Ledger, ListState, Seen
from crawlers.payload import Page, Payload, Problem
from crawlers.pipeline import DEAD_IN_ROW, Pipeline, Taken, stored_url
from crawlers.trip import ListPass
from ingest.analysis import classified
from ingest.clock import ManualClock
from ingest.dead_letters import DeadLetters
from ingest.draft import Draft
from ingest.errors import DeadLetterLimit
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Raw, mention_from_json
from ingest.privacy import Privacy
from ingest.relevance import Brand
from ingest.state import Base, make_engine
from tests.factories import CAPTURED, a_classified, a_draft


class Crash(BaseException):
    """Stands for SIGKILL at one exact place."""


class DyingLedger(Ledger):
    """Dies when it should remember what the log just took."""

    def record(self, items: Sequence[Seen], run: int, *, again: Sequence[str] = ()) -> None:
        if items:
            raise Crash
        super().record(items, run, again=again)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'state.db'}")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


def a_pipeline(
    log: SqliteLog,
    engine: Engine,
    privacy: Privacy,
    clock: ManualClock,
    *,
    ledger: type[Ledger] = Ledger,
    size: int = 200,
) -> Pipeline:
    books = ledger(engine, "jd", clock)
    books.begin()
    brand = Brand(name="岚炉", aliases=("lanlu",))
    return Pipeline(log, books, privacy, clock, platform="jd", brand=brand, batch_size=size)


def a_page(*drafts: Draft, problems: Sequence[Problem] = ()) -> Page:
    return Page(endpoint="jd.test", signal="ok", mentions=drafts, problems=tuple(problems))


def a_payload(body: bytes = b"{}", at: datetime = CAPTURED) -> Payload:
    return Payload(url="https://club.jd.com/x?productId=1&token=secret", body=body, captured_at=at)


def take(pipeline: Pipeline, page: Page, body: bytes = b"{}") -> list[str]:
    return pipeline.take(page, a_payload(body), query="sku=1", parser="jd.test", since=ListState()).new


def streamed(log: SqliteLog) -> list[str]:
    return [record.key for record in log.read(Topics.COLLECTED, 0, 0, 1000)]


def test_a_mention_is_streamed_masked_with_its_words_and_without_tokens(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    take(pipeline, a_page(a_draft(native_id=7, text="ＬＡＮＬＵ暖气，电话13812345678", author_id="u1")))
    pipeline.flush()
    (record,) = log.read(Topics.COLLECTED, 0, 0, 10)
    mention = mention_from_json(record.value)
    assert mention.text == "ＬＡＮＬＵ暖气，电话[电话]"
    assert (mention.matched.words, mention.matched.query) == (("lanlu",), "sku=1")
    assert mention.raw.url == "https://club.jd.com/x?productId=1"
    assert b"secret" not in record.value


def test_known_and_unchanged_is_not_streamed_again(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    first = a_draft(native_id=1, text="好")
    pipeline = a_pipeline(log, engine, privacy, clock)
    assert take(pipeline, a_page(first)) == ["jd:review:1"]
    assert take(pipeline, a_page(first)) == []  # still in the batch
    pipeline.flush()
    later = a_pipeline(log, engine, privacy, clock)
    assert take(later, a_page(a_draft(native_id=1, text="好", likes=9))) == []
    assert take(later, a_page(a_draft(native_id=1, text="追评：坏了"))) == ["jd:review:1"]
    later.flush()
    assert streamed(log) == ["jd:review:1"] * 2


def test_undated_items_are_news_only_in_a_list_that_was_read_to_its_end_before(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    """The first look at a product's questions finds those of all its years."""

    def question(number: int, text: str) -> Draft:
        return a_draft(native_id=number, kind="question", text=text, created_at=None)

    def look(*drafts: Draft) -> dict[str, tuple[str, bool]]:
        pipeline = a_pipeline(log, engine, privacy, clock)
        since = pipeline._ledger.list_state("questions:1")
        before = len(log.read(Topics.COLLECTED, 0, 0, 1000))
        pipeline.take(a_page(*drafts), a_payload(), query="sku=1", parser="jd.test", since=since)
        pipeline.flush()
        pipeline._ledger.settle("questions:1", None, full=True)
        found = {}
        for record in log.read(Topics.COLLECTED, 0, before, 1000):
            mention = mention_from_json(record.value)
            analysis = a_classified("negative", intent="complaint", severity=7.0).analysis
            fact = fact_of(classified(mention, analysis), None, AlertSettings())
            found[mention.id] = (mention.created_precision, bool(fact["pending"]))
        return found

    old, new = question(1, "买了三年，漏水"), question(2, "刚装上就漏水")
    assert look(old) == {"jd:question:1": ("month", False)}
    assert look(old, new) == {"jd:question:2": ("day", True)}
    assert look(question(1, "买了三年，漏水，补充"), new) == {"jd:question:1": ("month", False)}


def test_a_stub_is_looked_up_but_never_streamed(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    taken = pipeline.take(
        a_page(a_draft(native_id=1, partial=True)), a_payload(), query="q", parser="p", since=ListState()
    )
    pipeline.flush()
    assert (taken.ids, taken.fresh, taken.new) == (["jd:review:1"], ["jd:review:1"], [])
    assert streamed(log) == []


def test_an_excerpt_is_streamed_until_its_item_is_known_and_never_replaces_it(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    def run(draft: Draft, at: datetime) -> Taken:
        pipeline = a_pipeline(log, engine, privacy, clock)
        taken = pipeline.take(a_page(draft), a_payload(at=at), query="q", parser="p", since=ListState())
        pipeline.flush()
        return taken

    excerpt = a_draft(native_id=1, text="三天没", excerpt=True)
    later = CAPTURED + timedelta(days=30)
    assert run(excerpt, CAPTURED).new == ["jd:review:1"]
    assert run(a_draft(native_id=1, text="三天没修，一直漏"), CAPTURED).new == ["jd:review:1"]
    again = run(excerpt, later)
    assert (again.new, again.duplicate) == ([], ["jd:review:1"])
    first, full = (mention_from_json(record.value) for record in log.read(Topics.COLLECTED, 0, 0, 10))
    # Where nothing is remembered (an import, a replay) the numbers tell: any full text is newer than any excerpt.
    late = privacy.seal(excerpt, Raw(captured_at=later, parser="p"))
    assert first.revision.number < late.revision.number < full.revision.number


@pytest.mark.parametrize(
    ("verified", "own"),
    [("岚炉暖通有限公司官方账号", True), ("某某日报社", False), ("炽源散热器官方账号", False), ("", False)],
)
def test_only_an_account_verified_by_the_brands_name_is_the_brands_own(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock, verified: str, own: bool
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    take(pipeline, a_page(a_draft(native_id=1, text="岚炉漏水三天没人管", verified=verified)))
    pipeline.flush()
    (record,) = log.read(Topics.COLLECTED, 0, 0, 10)
    assert mention_from_json(record.value).author.is_brand == own
    assert not verified or verified.encode() not in record.value


def test_a_crash_between_log_and_ledger_repeats_nothing(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    drafts = [a_draft(native_id=n) for n in range(5)]
    dying = a_pipeline(log, engine, privacy, clock, ledger=DyingLedger)
    take(dying, a_page(*drafts))
    with pytest.raises(Crash):
        dying.flush()
    assert len(streamed(log)) == 5
    again = a_pipeline(log, engine, privacy, clock)
    assert again.recover() == 5
    assert take(again, a_page(*drafts)) == []
    again.flush()
    assert len(streamed(log)) == 5


def test_what_a_dead_run_streamed_is_not_settled_for_the_next(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    first = a_pipeline(log, engine, privacy, clock)
    take(first, a_page(a_draft(native_id=1)))
    first.flush()
    dying = a_pipeline(log, engine, privacy, clock, ledger=DyingLedger)
    take(dying, a_page(a_draft(native_id=2)))
    with pytest.raises(Crash):
        dying.flush()
    again = a_pipeline(log, engine, privacy, clock)
    again.recover()
    page = a_page(a_draft(native_id=2), a_draft(native_id=1))
    taken = again.take(page, a_payload(), query="q", parser="p", since=ListState(settled_run=1))
    # Number 2 came after the list was last read to its end; the text of both is another than in the first run.
    assert "jd:review:2" in taken.unsettled


def test_a_broken_record_is_parked_once_wherever_it_stands(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    raw = '{"id": 1, "电话": "13812345678"}'.encode()
    take(pipeline, a_page(a_draft(), problems=[Problem("comments[3].creationTime", "no time", raw)]), b"page one")
    pipeline.flush()
    later = a_pipeline(log, engine, privacy, clock)
    take(later, a_page(a_draft(), problems=[Problem("comments[9].creationTime", "no time", raw)]), b"page two")
    later.flush()
    (letter,) = DeadLetters(log, clock).open()
    assert (letter.stage, letter.source, letter.kind) == ("collect", "jd", "PayloadError")
    assert b"13812345678" not in letter.payload
    assert privacy.unlock(letter.payload) == b"page one"
    assert letter.headers["url"] == "https://club.jd.com/x?productId=1"
    assert len(log.read(Topics.DEAD_LETTERS, 0, 0, 10)) == 1


def test_a_draft_that_cannot_be_sealed_is_parked_and_its_neighbours_pass(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    taken = pipeline.take(
        a_page(a_draft(native_id=1), a_draft(native_id=2, rating=99), a_draft(native_id="\ud800")),
        a_payload(),
        query="q",
        parser="p",
        since=ListState(),
    )
    pipeline.flush()
    assert (len(taken.new), taken.dead) == (2, 1)
    assert len(streamed(log)) == 2
    assert DeadLetters(log, clock).open()[0].error.startswith("rating")


def test_a_page_is_parked_once_however_much_of_it_is_broken(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    problems = [Problem(f"comments[{n}].id", "missing", f"{n}".encode()) for n in range(40)]
    page = replace(a_page(a_draft(native_id=1), a_draft(native_id=2, rating=99), problems=problems), more_problems=9)
    taken = pipeline.take(page, a_payload(), query="q", parser="p", since=ListState())
    pipeline.flush()
    assert (len(taken.new), taken.dead) == (1, 50)
    (letter,) = DeadLetters(log, clock).open()
    assert (letter.error, letter.headers["broken"]) == ("comments[0].id: missing", "41")
    assert privacy.unlock(letter.payload) == a_payload().body
    again = a_page(problems=[*problems[:3], Problem("comments[77].id", "missing", b"new")])
    take(pipeline, again)
    pipeline.flush()
    assert len(log.read(Topics.DEAD_LETTERS, 0, 0, 10)) == 2, "a record that broke before is no news, a new one is"


def test_what_is_parked_is_not_held_without_bound(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crawlers.pipeline.MAX_HELD", 1000)
    pipeline = a_pipeline(log, engine, privacy, clock)
    page = a_page(problems=[Problem("comments[0].id", "missing", b"1")])
    pipeline.take(page, a_payload(b"x" * 2000), query="q", parser="p", since=ListState())
    assert len(log.read(Topics.DEAD_LETTERS, 0, 0, 10)) == 1, "before the batch is full"


def test_a_parser_that_reads_nothing_any_more_stops_the_run(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock)
    problems = [Problem(f"comments[{n}].id", "missing", f"{n}".encode()) for n in range(DEAD_IN_ROW)]
    with pytest.raises(DeadLetterLimit):
        take(pipeline, a_page(problems=problems))


def test_a_full_batch_is_streamed_at_once_and_a_small_one_after_some_seconds(
    log: SqliteLog, engine: Engine, privacy: Privacy, clock: ManualClock
) -> None:
    pipeline = a_pipeline(log, engine, privacy, clock, size=3)
    take(pipeline, a_page(*(a_draft() for _ in range(3))))
    assert len(streamed(log)) == 3
    take(pipeline, a_page(a_draft()))
    assert len(streamed(log)) == 3
    clock.advance(6)
    take(pipeline, a_page(a_draft()))
    assert len(streamed(log)) == 5


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (None, None),
        ("https://h/x?note_id=1&xsec_token=t&cursor=c", "https://h/x?note_id=1&cursor=c"),
        ("https://[broken/x", None),
    ],
)
def test_stored_addresses_carry_no_tokens(url: str | None, kept: str | None) -> None:
    assert stored_url(url) == kept


def test_a_pass_ends_where_the_platform_turns_in_circles() -> None:
    lane = ListPass(key="k", cap=9)
    assert lane.open("a")
    assert not lane.open("a")
    assert lane.ended == "repeat"


def test_where_a_browsers_page_asks_the_same_answer_twice_is_no_circle_and_three_times_is() -> None:
    def saw(lane: ListPass, *ids: str) -> bool:
        return lane.saw(Page(endpoint="x.list", signal="ok", next={"cursor": "1"}), Taken(ids=list(ids))) is not None

    ours, browser = ListPass(key="k", cap=9), ListPass(key="k", cap=9, repeats=3)
    assert saw(ours, "a", "b")
    assert not saw(ours, "a", "b")
    assert ours.ended == "repeat"
    for page in ("ab", "ab", "c", "ab", "ab"):
        assert saw(browser, *page)
    assert not saw(browser, "c")
    assert browser.ended == "repeat"
    assert list(browser.ids) == ["a", "b", "c"]


def test_an_end_that_is_only_a_lost_way_on_is_not_settled() -> None:
    def ended(*missing: str) -> ListPass:
        lane = ListPass(key="k", cap=9)
        lane.saw(Page(endpoint="x.list", signal="ok", missing=missing), Taken(ids=["a"]))
        return lane

    lost, renamed, whole = ended("data.cursor"), ended("data.comments[].content"), ended()
    assert [lane.ended for lane in (lost, renamed, whole)] == ["end"] * 3
    assert [lane.short for lane in (lost, renamed, whole)] == [True, False, False]
