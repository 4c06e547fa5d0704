from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.normalise import fold, fold_mapped

ODD = st.text(
    st.sampled_from("aA ＡΣςİßﬁ㎡①½é́̀ \t\n\u3000\u2028x각\u1100\u1161\u11a8ｶﾞがﷺ´¨漏水𠮷😀\u200d\u0fb2\u0f80া\u09c7"),
    max_size=30,
)
TEXTS = st.one_of(st.text(max_size=60), ODD)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Ｋ２０－３", "k20-3"),
        ("８０㎡", "80m2"),
        ("（漏水）：", "(漏水):"),
        ("屋里\u3000\t\n 暖和 ", "屋里 暖和 "),
        ("ΟΔΟΣ ΣΑ", "οδοσ σα"),
        ("e\u0301", "é"),
        ("ｶﾞ", "ガ"),
        ("漏\u200b水", "漏\u200b水"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@given(TEXTS)
def test_folding_is_nfkc_and_lower_case_and_one_space_for_any_run(text: str) -> None:
    plain = unicodedata.normalize("NFKC", text).replace("Σ", "σ").lower()
    assert fold(text).split() == plain.split()
    assert "  " not in fold(text)
    assert not any(char.isspace() and char != " " for char in fold(text))


@given(TEXTS)
def test_the_map_leads_back_to_the_text_as_written(text: str) -> None:
    mapped = fold_mapped(text)
    assert mapped.text == fold(text)
    assert len(mapped.starts) == len(mapped.ends) == len(mapped.text)
    previous = 0
    for start, end in zip(mapped.starts, mapped.ends, strict=True):
        assert previous <= start < end <= len(text)
        previous = start
    if mapped.text:
        assert mapped.span(0, len(mapped.text)) == (0, len(text))


@given(TEXTS, st.data())
def test_what_a_span_covers_folds_to_what_was_found(text: str, data: st.DataObject) -> None:
    mapped = fold_mapped(text)
    if not mapped.text:
        return
    start = data.draw(st.integers(0, len(mapped.text) - 1))
    end = data.draw(st.integers(start + 1, len(mapped.text)))
    low, high = mapped.span(start, end)
    # A span may cover more than what was found (half of a ligature), never less.
    assert mapped.text[start:end].strip() in fold(text[low:high])
