"""The format of our labelled examples, and that the files that ship keep to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from classify.labelled import INTENTS, MARKS, invented, read_file, tag_names
from ingest.errors import UserError


def written(folder: Path, *lines: str) -> Path:
    path = folder / "mine.txt"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_a_line_becomes_a_text_with_its_labels(tmp_path: Path) -> None:
    path = written(tmp_path, "# 说明", "", "-c !safe\t昨晚{热水喷了一地|安全- 漏水-}，{没人管|推诿-}")
    (found,) = read_file(path)
    assert found.text == "昨晚热水喷了一地，没人管"
    assert (found.sentiment, found.intent, found.marks) == ("negative", "complaint", {"safe"})
    assert [(tag.tag, found.text[tag.start : tag.end]) for tag in found.tags] == [
        ("产品质量/爆裂安全", "热水喷了一地"),
        ("产品质量/漏水渗水", "热水喷了一地"),
        ("客服售后/推诿", "没人管"),
    ]


@pytest.mark.parametrize(
    "line", ["-c 没有制表符", "-z\t文字", "xp\t文字", "-c !what\t文字", "-c\t{漏|没这个-}", "-c\t{漏|漏水}"]
)
def test_a_line_that_does_not_fit_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"mine\.txt 第 2 行"):
        list(read_file(written(tmp_path, "# 头", line)))


def test_what_ships_covers_every_tag_intent_and_mark() -> None:
    examples = invented()
    assert {tag.tag for each in examples for tag in each.tags} == set(tag_names())
    assert {each.intent for each in examples} == set(INTENTS)
    assert {mark for each in examples for mark in each.marks} == set(MARKS)
    assert len({each.text for each in examples}) > 3000


def test_no_text_is_both_taught_and_tested() -> None:
    examples = invented()
    tested = {each.text for each in examples if each.kept_back}
    assert tested
    assert not tested & {each.text for each in examples if not each.kept_back}
