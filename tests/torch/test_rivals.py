"""The rivals that the evaluation compares with are what their makers published."""

from __future__ import annotations

import pytest

from classify.evaluation.contenders import Answer, Contender, Lexicon, SnowNlp


def answers_hold(who: Contender) -> list[Answer]:
    answers = who.answer(["质量很好，非常满意，喜欢", "太差了，失望，垃圾", "", "😀", "abc"])
    assert all(sum(answer.shares) == pytest.approx(1) and min(answer.shares) >= 0 for answer in answers)
    assert [answer.pole for answer in answers[:2]] == ["positive", "negative"]
    return answers


def test_snownlp_answers_good_or_bad() -> None:
    assert {answer.label for answer in answers_hold(SnowNlp())} <= {"negative", "positive"}


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")  # its files
def test_the_lexicon_counts_words_and_a_tie_is_neutral() -> None:
    assert [answer.label for answer in answers_hold(Lexicon())[2:]] == ["neutral"] * 3
