from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update

from alerts.config import AlertSettings
from alerts.facts import FactStore, fact_of, parts_of
from alerts.scopes import ScopeKey, contributions
from alerts.simhash import cluster, simhash
from alerts.tables import Bucket, Fact, Scope, table
from ingest.analysis import classified
from tests.alerts.conftest import Room
from tests.alerts.helpers import NOW, _words, database, mention

WORDS = "接口滴水，擦了又滴"


def cells(room: Any) -> dict[tuple[str, int], tuple[int, int]]:
    buckets, scopes = table(Bucket), table(Scope)
    with room.db.connect() as connection:
        return {
            (row.key, row.bucket): (row.total, row.negative)
            for row in connection.execute(
                select(scopes.c.key, buckets.c.bucket, buckets.c.total, buckets.c.negative).join(
                    scopes, scopes.c.id == buckets.c.scope_id
                )
            )
            if row.total
        }


def totals(room: Any) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for (key, _), (total, negative) in cells(room).items():
        was = found.get(key, (0, 0))
        found[key] = (was[0] + total, was[1] + negative)
    return found


def test_a_mention_counts_once_in_each_of_its_scopes(room: Room) -> None:
    room.absorb(
        mention(tags=(("产品质量/异响", "negative"), ("运营价格/性价比", "positive"), ("产品质量/异响", "positive")))
    )
    found = totals(room)
    assert found[ScopeKey("all").key] == (1, 1)
    assert found[ScopeKey("source", source="jd").key] == (1, 1)
    assert found[ScopeKey("product", product="K20").key] == (1, 1)
    assert found[ScopeKey("tag", tag="产品质量/异响").key] == (1, 1)
    assert found[ScopeKey("tag", tag="运营价格/性价比").key] == (1, 0)
    assert found[ScopeKey("source×tag", source="jd", tag="产品质量/异响").key] == (1, 1)
    assert found[ScopeKey("product×tag", product="K20", tag="产品质量/异响").key] == (1, 1)
    assert len(found) == 9


def test_a_mixed_review_is_negative_only_where_it_blames(room: Room) -> None:
    room.absorb(
        mention(
            sentiment="positive",
            intent="praise",
            tags=(("运营价格/安装费用", "negative"), ("使用体验/采暖效果", "positive")),
        )
    )
    found = totals(room)
    assert found[ScopeKey("all").key] == (1, 0)
    assert found[ScopeKey("tag", tag="运营价格/安装费用").key] == (1, 1)


def test_the_bucket_is_of_the_event_not_of_the_capture(room: Room) -> None:
    room.absorb(mention(at=NOW - timedelta(hours=7, minutes=1), collected=NOW))
    ((_, bucket), _), *_ = cells(room).items()
    assert bucket == int((NOW - timedelta(hours=7, minutes=1)).timestamp() // 900)


def test_a_revision_takes_the_old_counts_back(room: Room) -> None:
    room.absorb(mention("x", captured=NOW, at=NOW - timedelta(hours=1)))
    better = mention(
        "x", captured=NOW + timedelta(hours=1), at=NOW - timedelta(hours=1), sentiment="positive", product="B7", tags=()
    )
    room.absorb(better)
    assert totals(room) == {
        ScopeKey("all").key: (1, 0),
        ScopeKey("source", source="jd").key: (1, 0),
        ScopeKey("product", product="B7").key: (1, 0),
    }


def test_an_older_revision_changes_nothing(room: Room) -> None:
    new = mention("x", captured=NOW + timedelta(hours=1), sentiment="positive", tags=())
    room.absorb(new)
    before = cells(room)
    room.absorb(mention("x", captured=NOW))
    assert cells(room) == before


def test_a_correction_moves_the_counts_and_twice_is_once(room: Room) -> None:
    first, newer = (mention("x", captured=NOW + timedelta(hours=n), at=NOW, text=WORDS) for n in range(2))
    room.absorb(first, newer)
    kept = fact(room, first.id)
    right = mention("x", text=WORDS, sentiment="positive", tags=(("使用体验/采暖效果", "positive"),))
    corrected = classified(first, right.analysis)
    for _ in range(2):
        assert room.facts.correct([classified(first, newer.analysis), corrected]) == 1
        assert totals(room)[ScopeKey("all").key] == (1, 0)
        assert totals(room)[ScopeKey("tag", tag="使用体验/采暖效果").key] == (1, 0)
        assert ScopeKey("tag", tag="产品质量/漏水渗水").key not in totals(room)
    after = fact(room, first.id)
    assert (after["revision"], after["origin"]) == (newer.revision.number, kept["origin"])
    assert after["sentiment"] == "positive"
    room.facts.correct([newer])
    assert totals(room)[ScopeKey("tag", tag="产品质量/漏水渗水").key] == (1, 1), "taken back"


def test_a_correction_of_other_words_or_of_nothing_known_changes_nothing(room: Room) -> None:
    room.absorb(mention("x", captured=NOW + timedelta(hours=1), text="后来又修好了"))
    before = cells(room)
    assert room.facts.correct([mention("x", text=WORDS, sentiment="positive"), mention("y", sentiment="positive")]) == 0
    assert room.facts.correct([]) == 0
    assert cells(room) == before


def fact(room: Room, mention_id: str) -> dict[str, Any]:
    facts = table(Fact)
    with room.db.connect() as connection:
        return dict(connection.execute(select(facts).where(facts.c.mention_id == mention_id)).mappings().one())


def test_a_shop_speaking_of_itself_counts_nowhere(room: Room) -> None:
    own = mention()
    own = own.model_copy(update={"author": own.author.model_copy(update={"is_seller": True})})
    room.absorb(own)
    assert cells(room) == {}


def test_texts_are_kept_only_where_they_may_be_needed(room: Room) -> None:
    room.absorb(mention("good", sentiment="positive", intent="other", tags=()), mention("bad"))
    facts = table(Fact)
    with room.db.connect() as connection:
        kept = dict(connection.execute(select(facts.c.mention_id, facts.c.excerpt)).all())
    assert kept["jd:review:good"] == ""
    assert kept["jd:review:bad"] != ""


def test_a_batch_that_fails_leaves_no_trace(room: Room) -> None:
    import pytest

    bad = mention().model_copy(update={"created_at": "never"})
    with pytest.raises(TypeError):
        room.absorb(mention("first"), bad)
    assert cells(room) == {}
    room.absorb(mention("first"))
    assert totals(room)[ScopeKey("all").key] == (1, 1)


def test_old_facts_go_and_aggregates_stay(room: Room) -> None:
    room.absorb(mention(at=NOW - timedelta(days=400), collected=NOW), mention())
    before = cells(room)
    assert room.facts.retain(NOW - timedelta(days=365)) == 1
    assert cells(room) == before


versions = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.sampled_from(["negative", "positive"]), st.integers(0, 2)),
    min_size=1,
    max_size=25,
)


@settings(max_examples=15, deadline=None)
@given(versions, st.randoms(use_true_random=False), st.integers(1, 9))
def test_any_order_and_repetition_gives_the_counts_of_the_newest_revisions(
    tmp_path_factory: Any, stream: list[tuple[int, int, str, int]], rng: Any, size: int
) -> None:
    newest: dict[str, Any] = {}
    chosen: dict[tuple[int, int], Any] = {}
    for native, version, sentiment, product in stream:
        key = (native, version)
        if key not in chosen:
            chosen[key] = mention(
                f"m{native}",
                at=NOW - timedelta(minutes=40 * native),
                captured=NOW + timedelta(minutes=version),
                sentiment=sentiment,
                product=f"P{product}",
                tags=(("产品质量/异响", sentiment),),
                text=f"{native} {version}",
            )
    deliveries = [m for m in chosen.values() for _ in range(rng.randint(1, 3))]
    for m in chosen.values():
        if m.id not in newest or m.revision.number > newest[m.id].revision.number:
            newest[m.id] = m
    rng.shuffle(deliveries)
    folder: Path = tmp_path_factory.mktemp("facts")
    db = database(folder)
    store = FactStore(db, AlertSettings())
    for start in range(0, len(deliveries), size):
        store.absorb([(m, None) for m in deliveries[start : start + size]])
    wanted: Counter[tuple[str, int]] = Counter()
    bad: Counter[tuple[str, int]] = Counter()
    for m in newest.values():
        fact = fact_of(m, None, AlertSettings())
        for part in parts_of(fact):
            wanted[part.scope.key, fact["bucket"]] += 1
            bad[part.scope.key, fact["bucket"]] += part.negative

    class Holder:
        pass

    holder = Holder()
    holder.db = db  # type: ignore[attr-defined]
    try:
        assert cells(holder) == {cell: (count, bad[cell]) for cell, count in wanted.items()}
    finally:
        db.dispose()


def test_contributions_name_no_scope_twice() -> None:
    parts = list(contributions("jd", "K20", [("a/b", "positive"), ("a/b", "negative")], negative=False, genuine=True))
    assert len({part.scope for part in parts}) == len(parts)


def test_copies_are_near_and_other_texts_are_far() -> None:
    text = "这款暖气片装了三天就开始漏水，打电话给客服说要等一周才能上门，太失望了"
    # Of fixed numbers: those that mention() counts depend on which tests ran before.
    others = [f"第{_words(n)}次用就出问题，{_words(n * 7 + 3)}，太失望了" for n in range(1, 201)]
    codes = [
        simhash(text),
        simhash(text + "！！"),
        simhash(text.replace("三", "3") + "123"),
        *(simhash(o) for o in others),
    ]
    leaders = cluster(codes)
    assert leaders[:3] == [0, 0, 0]
    assert leaders[3:] == list(range(3, 203))
    assert simhash("漏水了，差评") is None
    assert simhash("\ud800" * 40 + "漏水" * 20) is not None


def _rough(of: Any, *, precision: str, at: Any, captured: Any, text: str | None = None) -> Any:
    """A newer revision, read where the time is shown roughly or not at all."""
    made = mention(of.id.rpartition(":")[2], at=at, captured=captured, text=text or of.text, author=of.author.key)
    return made.model_copy(update={"created_precision": precision})


def _fact(room: Any) -> Any:
    with room.db.connect() as connection:
        return connection.execute(select(table(Fact))).one()


def test_a_precise_time_is_kept_and_a_rough_one_replaced_in_any_order(room: Room) -> None:
    precise = mention("1", at=NOW - timedelta(days=3), text=WORDS)
    rough = _rough(precise, precision="day", at=NOW, captured=NOW, text=WORDS + "，真的")
    room.absorb(precise)
    before = cells(room)
    room.absorb(rough)
    assert (cells(room), _fact(room).created_at) == (before, precise.created_at)
    assert _fact(room).revision == rough.revision.number
    room.facts.absorb([(rough, None), (precise, None)])
    assert cells(room) == before

    other = mention("2", at=NOW - timedelta(days=3), text=WORDS, product="K9")
    coarse = _rough(other, precision="month", at=NOW, captured=NOW).model_copy(update={"product": other.product})
    room.absorb(coarse)
    room.absorb(other)  # the older revision knows it better
    with room.db.connect() as connection:
        facts = {row.mention_id: row for row in connection.execute(select(table(Fact)))}
    assert facts[other.id].created_at == facts[other.id].spoken_at == other.created_at
    assert facts[other.id].bucket == facts[precise.id].bucket
    assert facts[other.id].revision == coarse.revision.number
    assert all(cell[1] >= 0 for cell in cells(room).values())
    assert {bucket for _, bucket in cells(room)} == {facts[precise.id].bucket}


def test_the_same_undated_words_read_again_stay_where_they_were_counted(room: Room) -> None:
    first = mention("1", at=NOW - timedelta(days=3), captured=NOW - timedelta(days=3), text=WORDS)
    first = first.model_copy(update={"created_precision": "day"})
    room.absorb(first)
    before = cells(room)
    room.absorb(_rough(first, precision="day", at=NOW, captured=NOW))
    assert (cells(room), _fact(room).bucket) == (before, fact_of(first, None, AlertSettings())["bucket"])


def test_a_fact_of_an_older_version_takes_the_newer_time(room: Room) -> None:
    first = mention("1", at=NOW - timedelta(days=3), text=WORDS)
    room.absorb(first)
    with room.db.begin() as connection:
        connection.execute(update(table(Fact)).values(content=first.revision.hash))
    newer = mention("1", at=NOW - timedelta(days=2), captured=NOW, text=WORDS)
    assert room.facts.correct([first]) == 1
    room.absorb(newer)
    assert _fact(room).created_at == newer.created_at
