"""Groups of copies: told once and for all, by any number of workers; edits, forgetting, pruning."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from ingest.clock import ManualClock
from ingest.copies import REMEMBERED, Copies, Told
from ingest.copy_tables import CopyGroup, CopyKey, CopyMember, table
from ingest.likeness import THRESHOLD, fingerprint, similarities
from ingest.mention import Author, Mention
from ingest.state import make_engine
from shengwen.database import migrate
from tests.factories import CAPTURED, a_classified, a_mention

LEAK = "客厅装了三组钢制暖气片，用到第二个月接口开始漏水，地板泡坏了一大片，客服让我等通知"
PRAISE = "师傅上门很准时，量尺寸打孔都很仔细，装完还把地面收拾干净了，家里暖和了不少"
PAY = "订单{}的暖气片收到了，包装完好没有磕碰，好评返现已经到账，谢谢商家"


@pytest.fixture
def engine(state_url: str) -> Iterator[Engine]:
    made = make_engine(state_url)
    yield made
    made.dispose()


@pytest.fixture
def copies(engine: Engine, clock: ManualClock) -> Copies:
    return Copies(engine, clock)


def said(number: int, text: str, *, hours: int = 0, **fields: object) -> Mention:
    return a_mention(
        native_id=number,
        text=text,
        created_at=CAPTURED - timedelta(hours=2),
        captured_at=CAPTURED + timedelta(hours=hours),
        **fields,
    )


def told(copies: Copies, *mentions: Mention) -> list[tuple[str, str | None] | None]:
    return [(one.group, one.likeness) if one else None for one in copies.tell(mentions)]


def rows(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            of.__tablename__: connection.execute(select(func.count()).select_from(table(of))).scalar_one()
            for of in (CopyGroup, CopyMember, CopyKey)
        }


def test_copies_are_told_their_first_and_how_alike_they_are(copies: Copies) -> None:
    assert told(
        copies,
        said(1, LEAK),
        said(2, PRAISE),
        said(3, f" {LEAK}！！"),
        said(4, LEAK.replace("第二个月", "第三个月").replace("一大片", "一片")),
        said(5, PAY.format(3471)),
        said(6, PAY.format(9)),
    ) == [
        ("jd:review:1", None),
        ("jd:review:2", None),
        ("jd:review:1", "exact"),
        ("jd:review:1", "near"),
        ("jd:review:5", None),
        ("jd:review:5", "template"),
    ]
    assert copies.counts() == (2, 5)


def test_across_batches_platforms_and_processes_it_is_the_same_group(
    copies: Copies, engine: Engine, clock: ManualClock
) -> None:
    assert told(copies, said(1, LEAK)) == [("jd:review:1", None)]
    repost = a_mention(native_id="n1", source="xiaohongshu", kind="post", title="避雷", text=LEAK)
    assert told(Copies(engine, clock), repost) == [("jd:review:1", "near")]


def test_short_and_default_texts_are_never_grouped(copies: Copies, engine: Engine) -> None:
    assert told(copies, said(1, "质量很好"), said(2, "质量很好"), said(3, "")) == [None, None, None]
    default = a_classified(native_id=4, text=PRAISE, flags=("default_review",))
    other = a_classified(native_id=5, text=PRAISE)
    grouped = copies.grouped([default, other, default])
    assert [one.group for one in grouped] == [None, "jd:review:5", None]
    assert rows(engine)["copy_members"] == 1


def test_told_again_is_told_the_same_and_writes_nothing(copies: Copies, engine: Engine) -> None:
    batch = [said(1, LEAK), said(2, LEAK), said(3, PRAISE)]
    first = told(copies, *batch)
    before = rows(engine)
    assert told(copies, *reversed(batch)) == first[::-1]
    assert told(copies, *batch, *batch) == first * 2
    assert rows(engine) == before


def test_an_edit_is_judged_anew(copies: Copies, engine: Engine) -> None:
    told(copies, said(1, LEAK), said(2, LEAK))
    assert told(copies, said(2, PRAISE, hours=1)) == [("jd:review:2", None)]
    assert told(copies, said(3, PRAISE)) == [("jd:review:2", "exact")]
    # The old revision, delivered late, changes nothing.
    assert told(copies, said(2, LEAK)) == [("jd:review:2", None)]
    assert told(copies, said(2, "退了", hours=2), said(2, "退了", hours=2)) == [None, None]
    assert told(copies, said(4, PRAISE)) == [("jd:review:2", "exact")]


def test_a_small_edit_stays_in_the_group_and_a_founder_stays_the_founder(copies: Copies) -> None:
    told(copies, said(1, LEAK), said(2, LEAK))
    assert told(copies, said(1, LEAK + "，唉", hours=1), said(2, LEAK + "，唉", hours=1)) == [
        ("jd:review:1", None),
        ("jd:review:1", "near"),
    ]
    assert told(copies, said(3, LEAK)) == [("jd:review:1", "exact")]


def test_a_founder_that_says_something_else_leaves_its_name_to_the_others(copies: Copies) -> None:
    told(copies, said(1, LEAK), said(2, LEAK))
    moved = told(copies, said(1, PRAISE, hours=1))[0]
    assert moved is not None
    assert moved[0].startswith("jd:review:1#")
    assert moved[1] is None
    assert told(copies, said(2, LEAK), said(3, LEAK), said(4, PRAISE)) == [
        ("jd:review:1", "exact"),
        ("jd:review:1", "exact"),
        (moved[0], "exact"),
    ]
    # Back again, it is one of those who say what it said first.
    assert told(copies, said(1, LEAK, hours=2)) == [("jd:review:1", "exact")]


def test_there_and_back_within_one_batch(copies: Copies) -> None:
    told(copies, said(1, LEAK), said(2, LEAK))
    assert told(copies, said(2, PRAISE, hours=1), said(2, LEAK, hours=2)) == [
        ("jd:review:2", None),
        ("jd:review:1", "exact"),
    ]
    assert copies.counts() == (1, 2)


def test_nothing_of_a_forgotten_author_stays(copies: Copies, engine: Engine) -> None:
    told(copies, said(1, LEAK, author=Author(key="a")), said(2, PRAISE, author=Author(key="a")))
    assert copies.erase("a") == 2
    assert rows(engine) == {"copy_groups": 0, "copy_members": 0, "copy_keys": 0}
    assert copies.erase("a") == 0
    assert told(copies, said(3, LEAK)) == [("jd:review:3", None)]


def test_a_group_outlives_its_forgotten_founder_without_his_text(copies: Copies, engine: Engine) -> None:
    near = LEAK.replace("第二个月", "第三个月")
    told(copies, said(1, LEAK, author=Author(key="a")), said(2, near, author=Author(key="b")))
    copies.erase("a")
    with engine.connect() as connection:
        group = connection.execute(select(table(CopyGroup))).mappings().one()
    assert [group[name] for name in ("digest", "skeleton", "signature", "bands", "author")] == [None] * 5
    assert rows(engine) == {"copy_groups": 1, "copy_members": 1, "copy_keys": 1}
    # Who is still in it is found by his own words; the forgotten ones are like new.
    assert told(copies, said(2, near, author=Author(key="b")), said(3, near)) == [
        ("jd:review:1", "near"),
        ("jd:review:1", "near"),
    ]
    assert told(copies, said(1, LEAK, hours=1)) != [("jd:review:1", "exact")]


def test_words_that_others_wrote_too_are_not_only_the_forgotten_authors(copies: Copies) -> None:
    told(copies, said(1, LEAK, author=Author(key="a")), said(2, LEAK, author=Author(key="b")))
    copies.erase("a")
    assert told(copies, said(3, LEAK), said(4, LEAK + "，唉")) == [("jd:review:1", "exact"), ("jd:review:1", "near")]


def test_what_was_not_seen_for_long_is_pruned(copies: Copies, engine: Engine, clock: ManualClock) -> None:
    told(copies, said(1, LEAK), said(2, PRAISE))
    clock.advance(REMEMBERED.total_seconds() - 3600)
    told(copies, said(1, LEAK))  # collected again: remembered on
    clock.advance(7200)
    assert copies.prune() == 1
    assert told(copies, said(3, LEAK), said(4, PRAISE)) == [("jd:review:1", "exact"), ("jd:review:4", None)]
    clock.advance(REMEMBERED.total_seconds() + 1)
    assert copies.prune() == 3
    assert rows(engine) == {"copy_groups": 0, "copy_members": 0, "copy_keys": 0}


def test_more_is_pruned_than_fits_one_transaction(copies: Copies, engine: Engine, clock: ManualClock) -> None:
    texts = [f"{LEAK[:10]}{chr(0x4E00 + n)}{chr(0x5E00 + n)}{PRAISE[n % 9 :]}" for n in range(1_100)]
    copies.tell([said(n, text) for n, text in enumerate(texts)])
    clock.advance(REMEMBERED.total_seconds() + 1)
    assert copies.prune() == 1_100
    assert rows(engine) == {"copy_groups": 0, "copy_members": 0, "copy_keys": 0}


WORDS = (
    "暖气片",
    "漏水",
    "师傅",
    "上门",
    "安装",
    "客服",
    "不理人",
    "地板",
    "泡坏",
    "退款",
    "很慢",
    "暖和",
    "满意",
    "包装",
    "破损",
)


def texts(seed: int, number: int) -> list[str]:
    """Few originals, many copies: whole, with other digits, with a few words changed."""
    rng = random.Random(seed)
    originals = ["".join(rng.choice(WORDS) for _ in range(14)) for _ in range(5)]
    made = []
    for _ in range(number):
        words = rng.choice(originals)
        kind = rng.randrange(4)
        if kind == 1:
            words += str(rng.randrange(100))
        elif kind > 1:
            for _ in range(kind):
                at = rng.randrange(len(words))
                words = words[:at] + rng.choice(WORDS) + words[at + rng.randrange(4) :]
        made.append(words)
    return made


def check(mentions: Sequence[Mention], answers: Sequence[Sequence[Told | None]]) -> None:
    """What holds whatever the order: every asking got one answer; one founder a group, of its name; the same letters
    are one group; each member is like the founder."""
    by_id = {mention.id: mention for mention in mentions}
    seen: dict[str, set[Told | None]] = defaultdict(set)
    for one in answers:
        for mention, answer in zip(mentions, one, strict=True):
            seen[mention.id].add(answer)
    assert all(len(found) == 1 for found in seen.values())
    groups = {mention_id: found.pop() for mention_id, found in seen.items()}
    of_skeleton: dict[int, set[str]] = defaultdict(set)
    for mention_id, answer in groups.items():
        found = fingerprint(by_id[mention_id].text)
        assert answer is not None
        assert found is not None
        assert (answer.likeness is None) == (answer.group == mention_id)
        first = groups[answer.group]
        assert first is not None
        assert first.likeness is None
        founding = fingerprint(by_id[answer.group].text)
        assert founding is not None
        if answer.likeness in ("exact", "template"):
            assert founding.skeleton == found.skeleton
            assert (founding.digest == found.digest) == (answer.likeness == "exact")
        elif answer.likeness == "near":
            assert similarities(found.signature, [founding.signature])[0] >= THRESHOLD
        of_skeleton[found.skeleton].add(answer.group)
    assert all(len(names) == 1 for names in of_skeleton.values())


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), batch=st.sampled_from((1, 7, 40)), data=st.data())
def test_any_order_any_batches_any_repetition(seed: int, batch: int, data: st.DataObject) -> None:
    mentions = [said(number, text) for number, text in enumerate(texts(seed, 40))]
    with TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'state.db'}")
        try:
            migrate(engine)
            answers: list[dict[str, Told | None]] = []
            for _ in range(3):
                order = data.draw(st.permutations(mentions))
                got: dict[str, Told | None] = {}
                for start in range(0, len(order), batch):
                    some = order[start : start + batch]
                    got |= dict(zip([m.id for m in some], Copies(engine, ManualClock()).tell(some), strict=True))
                answers.append(got)
        finally:
            engine.dispose()
    check(mentions, [[one[mention.id] for mention in mentions] for one in answers])


def test_several_workers_that_meet_the_same_texts_agree(state_url: str, clock: ManualClock) -> None:
    mentions = [said(number, text) for number, text in enumerate(texts(7, 120))]

    def work(seed: int) -> list[Told | None]:
        engine = make_engine(state_url)
        try:
            order = random.Random(seed).sample(mentions, len(mentions))
            got: dict[str, Told | None] = {}
            for start in range(0, len(order), 20):
                some = order[start : start + 20]
                got |= dict(zip([m.id for m in some], Copies(engine, clock).tell(some), strict=True))
            return [got[mention.id] for mention in mentions]
        finally:
            engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(4)))
    check(mentions, answers)
