"""One review in several shapes: which of them is a change, and that no two of them take turns for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations

import pytest

from crawlers.shapes import changed, kept
from ingest.draft import Draft
from ingest.mention import Append, Mention, Product, Raw
from ingest.privacy import Privacy

AT = datetime(2026, 10, 3, 4, 5, 6, tzinfo=UTC)
WHOLE = Draft(
    source="tmall",
    kind="review",
    native_id="1",
    created_at=AT,
    text="装好三天，夜里不冷了",
    rating=5,
    rating_scale="5",
    product=Product(id="7", name="电暖器", spec="颜色:白"),
    seller_reply="谢谢",
)
POOR = replace(WHOLE, created_precision="month", rating=None, rating_scale=None, product=None, seller_reply=None)
RATED = replace(WHOLE, created_precision="day", product=Product(id="7"), seller_reply=None)


def read(draft: Draft, shape: str) -> Mention:
    return Privacy(b"0" * 32).seal(draft, Raw(captured_at=AT, sha256="0" * 64, parser=shape))


def test_what_is_kept_fits_the_ledger() -> None:
    assert len(kept(read(replace(WHOLE, appends=[Append(text="追评")]), "a" * 80))) <= 64


def test_in_the_same_shape_every_difference_is_a_change() -> None:
    known = kept(read(WHOLE, "a"))
    assert not changed(known, read(WHOLE, "a"))
    assert changed(known, read(replace(WHOLE, seller_reply=None), "a"))
    assert changed(known, read(replace(WHOLE, rating=1), "a"))


def test_another_shape_that_leaves_something_out_is_no_change() -> None:
    assert not changed(kept(read(WHOLE, "a")), read(POOR, "b"))
    assert not changed(kept(read(WHOLE, "a")), read(RATED, "c"))


@pytest.mark.parametrize(
    "edit",
    [
        {"text": "装好三天，又坏了"},
        {"appends": [Append(text="用了一周又坏了")]},
        {"seller_reply": "已安排师傅上门"},
    ],
)
def test_another_shape_that_says_something_else_is_one(edit: dict[str, object]) -> None:
    assert changed(kept(read(WHOLE, "a")), read(replace(POOR, **edit), "b"))


def test_a_shape_that_knows_more_and_leaves_nothing_out_is_one() -> None:
    assert changed(kept(read(POOR, "b")), read(RATED, "c"))
    assert changed(kept(read(POOR, "b")), read(WHOLE, "a"))


@pytest.mark.parametrize("order", list(permutations([("a", WHOLE), ("b", POOR), ("c", RATED)])))
def test_shapes_that_take_turns_come_to_rest(order: list[tuple[str, Draft]]) -> None:
    known, revisions = "", 0
    for shape, draft in list(order) * 4:
        mention = read(draft, shape)
        if not known or changed(known, mention):
            known, revisions = kept(mention), revisions + 1
    assert revisions <= 3
    assert not any(changed(known, read(draft, shape)) for shape, draft in order)


def test_what_an_older_version_noted_is_compared_as_it_was() -> None:
    mention = read(WHOLE, "a")
    assert not changed(mention.revision.hash, mention)
    assert changed("0" * 16, mention)
