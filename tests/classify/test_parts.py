"""Folding, hashing, clauses, words and denial, each by itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classify.clauses import split
from classify.lexicon import load_lexicon
from classify.modality import Denial
from classify.ngrams import BITS, ORDERS, grams
from classify.scorer import Scores, load_weights
from classify.words import Words, parse_pattern
from ingest.fold import fold


@given(st.text(max_size=100))
def test_folding_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_folding_unites_spellings() -> None:
    assert fold("暖氣Ｋ２０，漏　水\n") == "暖气k20,漏 水 "


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_ngrams_of_a_batch_are_those_of_each_text(texts: list[str]) -> None:
    folded = [fold(text) for text in texts]
    together = grams(folded)
    for number, text in enumerate(folded):
        alone = grams([text])
        place = slice(together.starts[number], together.starts[number + 1])
        for order in range(len(ORDERS)):
            inside = alone.inside[order]
            assert inside.sum() == max(len(text) - order, 0)
            assert (together.inside[order][place] == inside).all()
            assert (together.buckets[order][place][inside] == alone.buckets[order][inside]).all()


def test_ngrams_spread_over_the_table() -> None:
    texts = [chr(a) + chr(b) for a in range(0x4E00, 0x4E80) for b in range(0x5000, 0x5080)]
    found = grams(texts)
    used = np.unique(found.buckets[1][found.inside[1]])
    assert len(used) > 0.97 * len(texts) * (1 - len(texts) / 2 ** (BITS + 1))


def test_a_stretch_scores_as_a_text_of_its_own() -> None:
    weights = load_weights()
    text = "质量不错，可惜漏水"
    inside = Scores(weights, ["前面的话", text, "后面的话"])
    base = int(inside.starts[1])
    part = inside.logits(np.array([base + 5]), np.array([base + 9]))
    alone = Scores(weights, [text[5:9]]).logits(np.array([0]), np.array([4]))
    assert [float(p[0]) for p in part] == [float(a[0]) for a in alone]


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("好看，但是漏水。差评！", ["好看", "但是漏水", "差评"]),
        ("热是热但费气", ["热是热", "但费气"]),
        ("东西不错就是贵", ["东西不错", "就是贵"]),
        ("质量就是好", ["质量就是好"]),
        ("不但好看而且热", ["不但好看而且热"]),
        ("高1.8米...可以", ["高1.8米", "可以"]),
        ("，，", []),
        ("", []),
    ],
)
def test_clauses(text: str, clauses: list[str]) -> None:
    folded = fold(text)
    assert [folded[start:end] for start, end in split(folded)] == clauses


def test_every_occurrence_of_every_word_is_found() -> None:
    words = Words()
    numbers = {word: words.add(word) for word in ("漏", "漏水", "水", "漏水了", "ok")}
    found = {(hit.start, hit.end, hit.word) for hit in words.scan("又漏水了ok漏")}
    assert found == {
        (1, 2, numbers["漏"]),
        (1, 3, numbers["漏水"]),
        (1, 4, numbers["漏水了"]),
        (2, 3, numbers["水"]),
        (4, 6, numbers["ok"]),
        (6, 7, numbers["漏"]),
    }


@given(st.lists(st.text("甲乙丙", min_size=1, max_size=3), max_size=6), st.text("甲乙丙丁", max_size=30))
def test_scanning_finds_what_a_plain_search_finds(entries: list[str], text: str) -> None:
    words = Words()
    numbers = {word: words.add(word) for word in entries}
    expected = {
        (start, start + len(word), number)
        for word, number in numbers.items()
        for start in range(len(text))
        if text.startswith(word, start)
    }
    assert {tuple(hit) for hit in words.scan(text)} == expected


def test_a_blank_side_of_a_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="blank"):
        parse_pattern("安装~贵| ", Words())


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("不漏水", True),
        ("没有任何漏水", True),
        ("从来没出现过漏水", True),
        ("防漏水", True),
        ("漏水", False),
        ("不知道为什么漏水", False),
        ("不过漏水", False),
        ("没几天漏水", False),
        ("差不多漏水", False),
        ("不错漏水", False),
    ],
)
def test_denial(text: str, denied: bool) -> None:
    denial = Denial(load_lexicon(Words()))
    assert denial.denied(text, 0, text.index("漏水")) is denied
