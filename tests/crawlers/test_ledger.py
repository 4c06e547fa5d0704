"""What spiders know across runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine

from crawlers.book import PlatformBook
from crawlers.ledger import Ledger, ListState, Seen
from ingest.clock import ManualClock
from ingest.errors import Permanent, Unavailable
from ingest.state import make_engine


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    made = make_engine(state_url)
    yield made
    made.dispose()


@pytest.fixture
def ledger(engine: Engine, clock: ManualClock) -> Ledger:
    return Ledger(engine, "jd", clock)


@pytest.fixture
def book(engine: Engine, clock: ManualClock) -> PlatformBook:
    return PlatformBook(engine, clock)


def test_an_item_carries_the_run_of_its_newest_revision(ledger: Ledger) -> None:
    ledger.begin()
    ledger.record([Seen("a", "1"), Seen("b", "1")], ledger.run)
    ledger.begin()
    ledger.record([Seen("a", "2"), Seen("b", "1")], ledger.run)
    known = ledger.known(["a", "b", "c"])
    assert {item: (entry.hash, entry.run) for item, entry in known.items()} == {"a": ("2", 2), "b": ("1", 1)}


def test_many_items_are_looked_up_at_once(ledger: Ledger) -> None:
    ids = [f"jd:review:{n}" for n in range(1500)]
    ledger.begin()
    ledger.record([Seen(item, "x") for item in ids], ledger.run)
    assert set(ledger.known([*ids, "jd:review:other"])) == set(ids)


def test_a_list_is_settled_up_to_a_run(ledger: Ledger, clock: ManualClock) -> None:
    assert ledger.list_state("sku=1") == ListState()
    ledger.begin()
    ledger.settle("sku=1", 30, full=True)
    first = ledger.list_state("sku=1")
    assert (first.settled_run, first.total, first.full_at) == (1, 30, clock.now())
    clock.advance(60)
    ledger.begin()
    ledger.settle("sku=1", 31, full=False)
    second = ledger.list_state("sku=1")
    assert (second.settled_run, second.total, second.full_at) == (2, 31, first.full_at)


def test_a_stop_is_recorded_once_and_anew_after_it_was_resumed(
    book: PlatformBook, ledger: Ledger, clock: ManualClock
) -> None:
    ledger.begin()
    assert book.stop("jd", "login_required", "passport")
    assert not book.stop("jd", "blocked", "later")
    ledger.finish("stopped", "ok", "")
    status = book.status("jd")
    assert (status.needs_person, status.signal, status.reason) == (True, "login_required", "passport")
    assert book.resume("jd")
    assert not book.resume("jd")
    assert not book.status("jd").needs_person
    assert book.stop("jd", "verification", "again")
    assert book.status("jd").signal == "verification"


def test_the_hours_budget_holds_across_runs_and_starts_anew(engine: Engine, clock: ManualClock) -> None:
    for number in range(3):
        assert Ledger(engine, "jd", clock).budgets.spend(3), number
    assert not Ledger(engine, "jd", clock).budgets.spend(3)
    assert Ledger(engine, "tmall", clock).budgets.spend(3)
    clock.advance(3601)
    assert Ledger(engine, "jd", clock).budgets.spend(3)
    clock.jump(clock.now() - timedelta(days=2))  # a clock set back must not freeze the budget
    assert Ledger(engine, "jd", clock).budgets.spend(1)


def test_items_not_seen_for_long_are_forgotten(ledger: Ledger, clock: ManualClock) -> None:
    ledger.begin()
    ledger.record([Seen("old", "1"), Seen("kept", "1")], ledger.run)
    clock.advance(86_400 * 10)
    ledger.record([], ledger.run, again=["kept"])
    assert ledger.forget(clock.now() - timedelta(days=5)) == 1
    assert set(ledger.known(["old", "kept"])) == {"kept"}


def test_a_state_database_without_tables_is_a_permanent_error_of_ours(tmp_path: Path, clock: ManualClock) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    try:
        with pytest.raises((Unavailable, Permanent)):
            Ledger(engine, "jd", clock).begin()
    finally:
        engine.dispose()


def test_an_unknown_platform_has_no_standing(book: PlatformBook) -> None:
    assert book.status("zhihu").run == 0
    assert book.all() == []


def test_an_apis_quota_is_a_days_and_holds_across_runs(engine: Engine) -> None:
    clock = ManualClock()
    for _ in range(2):
        assert Ledger(engine, "jd", clock).budgets.spend_today("2026-03-04", 3)
    assert Ledger(engine, "tmall", clock).budgets.spend_today("2026-03-04", 1)
    ledger = Ledger(engine, "jd", clock)
    assert [ledger.budgets.spend_today("2026-03-04", 3) for _ in range(2)] == [True, False]
    assert ledger.budgets.spend_today("2026-03-05", 3)


def test_a_list_is_settled_through_the_moment_that_was_read(engine: Engine) -> None:
    clock = ManualClock()
    ledger = Ledger(engine, "jd", clock)
    ledger.begin()
    through = clock.now() - timedelta(days=3)
    ledger.settle("jos", None, full=False, through=through)
    assert (ledger.list_state("jos").settled_at, ledger.list_state("jos").full_at) == (through, None)
    ledger.settle("jos", None, full=True, through=clock.now())
    assert ledger.list_state("jos").full_at == ledger.list_state("jos").settled_at == clock.now()


def test_a_login_is_as_old_as_its_day_and_lost_when_it_was_used_and_one_is_asked_for(
    book: PlatformBook, ledger: Ledger, clock: ManualClock
) -> None:
    made = clock.now()
    book.logged_in("jd", made)
    clock.advance(100)
    book.stop("jd", "verification", "", logged_in=True)
    assert book.status("jd").login_lost_at is None
    book.resume("jd")
    book.stop("jd", "login_required", "", logged_in=False)  # an API's keys, say
    assert book.status("jd").login_lost_at is None
    book.resume("jd")
    book.stop("jd", "login_required", "", logged_in=True)
    lost = clock.now()
    clock.advance(100)
    book.resume("jd")
    book.stop("jd", "login_required", "", logged_in=True)
    book.logged_in("jd", made)  # a run tells of the same login again
    book.logged_in("jd", None)
    assert (book.status("jd").login_at, book.status("jd").login_lost_at) == (made, lost)
    book.logged_in("jd", clock.now())
    assert (book.status("jd").login_at, book.status("jd").login_lost_at) == (clock.now(), None)


def test_a_complete_run_shows_that_a_login_is_good_after_all(book: PlatformBook, ledger: Ledger) -> None:
    book.stop("jd", "login_required", "", logged_in=True)
    book.resume("jd")
    ledger.begin()
    ledger.finish("partial", "ok", "")
    assert book.status("jd").login_lost_at is not None
    ledger.finish("complete", "ok", "")
    assert book.status("jd").login_lost_at is None
