"""Fingerprints: what makes no difference, what makes little, what is too short to be compared."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.likeness import NUMBERS, THRESHOLD, Fingerprint, fingerprint, fingerprint_of, letters, similarities
from ingest.mention import Append
from tests.factories import a_mention

TEXT = "客厅装了三组钢制暖气片，师傅上午九点到，一个小时就装完，试水没有渗漏，屋里暖和多了"

DIGEST = 3631231794115141247
SIGNATURE = "7913e435aaab0527"
BAND = 3345265848964429013


def printed(text: str) -> Fingerprint:
    found = fingerprint(text)
    assert found is not None
    return found


@pytest.mark.parametrize("same", [f"  {TEXT}！！！", TEXT.replace("，", "\n"), f"《{TEXT}》😀"])
def test_punctuation_and_white_space_make_no_difference(same: str) -> None:
    assert printed(same) == printed(TEXT)


def test_width_and_case_make_no_difference() -> None:
    assert printed("型号ＡＢ－Ｋ２０的暖气片装好了非常满意") == printed("型号ab-k20的暖气片，装好了，非常满意")


def test_digits_are_told_apart_only_by_the_digest() -> None:
    one = printed("订单尾号3471的暖气片收到了包装完好没有磕碰")
    other = printed("订单尾号90的暖气片收到了，包装完好，没有磕碰")
    assert one.digest != other.digest
    assert (one.skeleton, one.signature, one.bands) == (other.skeleton, other.signature, other.bands)


@pytest.mark.parametrize(
    "text", ["", "质量很好", "质量很好，推荐购买！！！", "1234567890123456", "。" * 40, "十一个字就是不够啊啊"]
)
def test_a_short_text_has_none(text: str) -> None:
    assert fingerprint(text) is None


def test_a_text_that_says_one_thing_over_and_over_is_compared_whole() -> None:
    found = printed("很好" * 12)
    assert found.signature == b""
    assert found.bands == ()
    assert found.digest == printed("很好，" * 12).digest


def test_similarity_is_about_the_share_of_common_bigrams() -> None:
    rng = random.Random(8)
    for _ in range(60):
        words = [chr(0x4E00 + rng.randrange(2_000)) for _ in range(80)]
        changed = list(words)
        for place in rng.sample(range(80), rng.randrange(0, 30)):
            changed[place] = chr(0x7000 + rng.randrange(500))
        one, other = "".join(words), "".join(changed)
        grams = [{text[i : i + 2] for i in range(79)} for text in (one, other)]
        share = len(grams[0] & grams[1]) / len(grams[0] | grams[1])
        estimate = similarities(printed(one).signature, [printed(other).signature])[0]
        assert abs(estimate - share) < 0.22  # more than four standard deviations of 96 draws


def test_near_texts_share_a_band_and_others_hardly_ever_do() -> None:
    near = printed(TEXT.replace("九点", "十点").replace("一个小时", "两个小时"))
    assert similarities(printed(TEXT).signature, [near.signature])[0] >= THRESHOLD
    assert set(printed(TEXT).bands) & set(near.bands)
    other = printed("客服一直不回复，退款拖了半个月还没有到账，以后不会再来这家店买东西了")
    assert similarities(printed(TEXT).signature, [other.signature, b""]) == [pytest.approx(0, abs=0.1), 0.0]
    assert not set(printed(TEXT).bands) & set(other.bands)


def test_a_fingerprint_is_the_same_in_every_version() -> None:
    """What is stored would be worthless otherwise; a change needs another migration."""
    found = printed(TEXT)
    assert (found.digest, found.skeleton) == (DIGEST, DIGEST)
    assert len(found.signature) == 2 * NUMBERS
    assert found.signature[:8].hex() == SIGNATURE
    assert found.bands[0] == BAND


def test_title_and_text_count_and_appends_do_not() -> None:
    plain = a_mention(text=TEXT)
    assert fingerprint_of(plain) == fingerprint_of(a_mention(text=TEXT, appends=[Append(text="用了一个月，开始漏水")]))
    assert fingerprint_of(a_mention(title="装好的第一天", text=TEXT)) != fingerprint_of(plain)
    assert fingerprint_of(a_mention(text="", empty_text=True, rating=5)) is None


@given(st.text(max_size=300))
def test_any_text_has_one_or_none_and_always_the_same(text: str) -> None:
    found = fingerprint(text)
    assert found == fingerprint(text)
    assert (found is None) == (len(letters(text)) < 12)
