"""What a column is: told with its confidence and samples; surveys and hotline notes among them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from ingest.clock import ManualClock
from ingest.errors import Poison, UserError
from ingest.imports.mapping import guess_columns, guess_mapping
from ingest.imports.rows import draft_from_row
from ingest.imports.tables import Row
from ingest.log.sqlite import SqliteLog
from tests.ingest.importing import collected, run, table_of

# -- columns, surveys, hotline notes ---------------------------------------------------------------


def test_every_column_is_told_with_its_confidence_and_samples() -> None:
    columns = ["答卷编号", "您有多大可能把我们推荐给朋友？（0-10分）", "打分的原因是什么？", "提交时间", "渠道"]
    rows = [
        dict(zip(columns, (str(n), str(n), f"师傅迟到{n}小时", "2026-03-01 10:00", "短信"), strict=True))
        for n in range(5)
    ]
    told = {guess.column: guess for guess in guess_columns(columns, {}, rows, "survey")}
    assert [(told[c].field, told[c].confidence) for c in columns] == [
        ("id", "高"), ("nps", "中"), ("text", "中"), ("created_at", "高"), ("", ""),
    ]  # fmt: skip
    assert told["打分的原因是什么？"].samples == ("师傅迟到0小时", "师傅迟到1小时", "师傅迟到2小时")
    overridden = {g.column: g for g in guess_columns(columns, {"text": "渠道"}, rows, "survey")}
    assert (overridden["渠道"].confidence, overridden["打分的原因是什么？"].field) == ("指定", "")


def test_what_only_looks_like_the_text_is_named_and_not_used() -> None:
    rows = [{"甲": "暖气片装好以后一直不热，约了师傅也没来", "乙": "2026-03-01", "丙": "红"} for _ in range(3)]
    told = {guess.column: (guess.field, guess.confidence) for guess in guess_columns(["甲", "乙", "丙"], {}, rows)}
    assert told == {"甲": ("text", "低"), "乙": ("created_at", "低"), "丙": ("", "")}
    with pytest.raises(UserError, match="像是“甲”：--map text=甲"):
        guess_mapping(["甲", "乙", "丙"], {}, rows)
    assert guess_mapping(["甲", "乙", "丙"], {"text": "甲"}, rows) == {"text": "甲"}


def test_a_score_that_goes_to_ten_is_an_nps_answer_only_in_a_survey() -> None:
    ten = [{"评分": str(n), "原因": "随便写写"} for n in (3, 9, 10)]
    five = [{"评分": str(n), "原因": "随便写写"} for n in (1, 4, 5)]
    assert guess_mapping(["评分", "原因"], {}, ten, "survey") == {"nps": "评分", "text": "原因"}
    assert guess_mapping(["评分", "原因"], {}, five, "survey") == {"rating": "评分", "text": "原因"}
    assert guess_mapping(["评分", "内容"], {}, ten) == {"rating10": "评分", "text": "内容"}
    slip = [{"评分": str(n), "内容": "随便写写"} for n in (5, 4, 5, 3, 10, 5)]
    assert guess_mapping(["评分", "内容"], {}, slip) == {"rating": "评分", "text": "内容"}
    assert guess_mapping(["评分", "内容"], {"rating": "评分"}, ten) == {"rating": "评分", "text": "内容"}


@pytest.mark.parametrize(
    ("question", "answers", "field"),
    [
        ("您有多大可能向朋友推荐我们？(0-10)", ["3", "9", "10"], "nps"),
        ("您有多大可能向朋友推荐我们？(0-10)", [], "nps"),
        ("您有多大可能向朋友推荐我们？(0～10分)", ["4", "5", "3"], "nps"),
        ("您会向同事推荐吗", ["9", "7分", "无"], "nps"),
        ("您会向同事推荐吗", ["4", "5", "3"], ""),
        ("您会向同事推荐吗", ["会", "不会"], ""),
        ("您会推荐给谁", ["同事", "家里人"], ""),
        ("您会把我们推荐给朋友吗", [9, 10, 2], "nps"),
    ],
)
def test_a_question_about_recommending_is_told_by_its_answers(question: str, answers: list[Any], field: str) -> None:
    rows = [{question: answer, "其他建议": "师傅来得慢"} for answer in answers]
    told = {guess.column: guess.field for guess in guess_columns([question, "其他建议"], {}, rows, "survey")}
    assert told == {question: field, "其他建议": "text"}


@pytest.mark.parametrize(
    ("field", "answer", "rating", "original"),
    [
        *(("nps", str(n), rating, f"NPS {n}/10") for n, rating in enumerate([1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5])),
        ("nps", 7, 3, "NPS 7/10"),
        ("nps", "10.0", 5, "NPS 10/10"),
        ("nps", "8/10", 3, "NPS 8/10"),
        ("csat", "4", 4, "CSAT 4/5"),
        ("csat", "非常不满意", 1, "CSAT 1/5"),
        ("csat", "2分", 2, "CSAT 2/5"),
        ("rating", "4", 4, None),
        ("rating", "★★★★★", 5, None),
        ("rating", "★★☆☆☆", 2, None),
        ("rating", "⭐⭐⭐", 3, None),
        ("rating", "4.5", 5, "4.5/5"),
        ("rating", 3.2, 3, "3.2/5"),
        ("rating", "4/5", 4, None),
        ("rating", "8/10", 4, "8/10"),
        ("rating10", "10", 5, "10/10"),
        ("rating10", 9.0, 5, "9/10"),
        ("rating10", "7", 4, "7/10"),
        ("rating10", "0", 1, "0/10"),
        ("rating10", "5", 3, "5/10"),
    ],
)
def test_survey_answers_become_stars_and_stay_readable(
    field: str, answer: Any, rating: int, original: str | None
) -> None:
    cells = {"text": "x", field: answer}
    draft = draft_from_row(
        cells, {name: name for name in cells}, source="import:问卷", kind="survey", without_date=ManualClock().now()
    )
    assert (draft.rating, draft.rating_scale, draft.rating_original) == (rating, "5", original)


@pytest.mark.parametrize(
    ("field", "answer"), [("nps", "11"), ("nps", "-1"), ("nps", "高"), ("csat", "6"), ("csat", "0")]
)
def test_an_answer_off_its_scale_is_left_out_beside_words_and_a_dead_letter_alone(field: str, answer: str) -> None:
    left_out: Counter[str] = Counter()
    mapping = {"text": "t", field: "a"}
    draft = draft_from_row(
        {"t": "x", "a": answer}, mapping, source="import:问卷", kind="survey",
        without_date=ManualClock().now(), left_out=left_out,
    )  # fmt: skip
    assert (draft.text, draft.rating, dict(left_out)) == ("x", None, {field: 1})
    with pytest.raises(Poison) as caught:
        draft_from_row({"a": answer}, mapping, source="import:问卷", kind="survey", without_date=ManualClock().now())
    assert caught.value.field == field


def test_a_survey_is_imported_with_answers_that_have_no_words(tmp_path: Path, log: SqliteLog) -> None:
    file = tmp_path / "nps.csv"
    file.write_bytes(
        "答卷编号,推荐意愿,原因,提交时间,手机号\nA1,2,漏水没人管,2025-03-01 10:00,13812345678\n"
        "A2,9,,2025-03-01 11:00,13812345679\nA3,15,写错了,2025-03-01 12:00,13812345670\n".encode("gb18030")
    )
    state = run(file, log, kind="survey")
    assert (state.collected, state.dead, state.left_out) == (3, 0, {"nps": 1})
    first, second, third = collected(log)
    assert (third.text, third.rating) == ("写错了", None)
    assert (first.id, first.rating, first.rating_original, first.text) == (
        "import:test:survey:A1",
        1,
        "NPS 2/10",
        "漏水没人管",
    )
    assert (second.rating_original, second.empty_text, second.has_content) == ("NPS 9/10", True, True)
    assert first.author.key != second.author.key
    assert b"13812345678" not in first.to_json()


def test_hotline_notes_keep_the_callers_key_and_no_agent(tmp_path: Path, log: SqliteLog) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["工单号", "来电时间", "坐席", "来电号码", "通话小结", "归属地"])
    sheet.append(["W-1", 45717.4375, "王小美", 13812345678, "客户称暖气片漏水，电话13812345678，要求今天上门", "山东"])
    sheet.append(["W-2", 45717, "王小美", "138****5678", "咨询保修", None])
    book.save(tmp_path / "calls.xlsx")
    run(tmp_path / "calls.xlsx", log, kind="call")
    first, second = collected(log)
    assert (first.id, first.kind, first.region) == ("import:test:call:W-1", "call", "山东")
    assert (first.created_at.isoformat(), first.created_precision) == ("2025-03-01T02:30:00+00:00", "second")
    assert (second.created_at.isoformat(), second.created_precision) == ("2025-02-28T16:00:00+00:00", "day")
    stored = first.to_json().decode() + second.to_json().decode()
    assert "王小美" not in stored
    assert "13812345678" not in stored
    assert first.author.key


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told_by_its_nulls(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("评价ID,评价内容,评分\n1,暖气不热,2\n2,漏水,1\n".encode(encoding))
    columns, rows = table_of(file)
    assert columns == ["评价ID", "评价内容", "评分"]
    assert rows[0] == Row(1, {"评价ID": "1", "评价内容": "暖气不热", "评分": "2"})


def test_a_null_in_a_text_is_no_utf_16(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("评价内容,评分\n不热\x00\x00\x00\x00,2\n".encode() + "漏水了,1\n".encode() * 100)
    _, rows = table_of(file)
    assert rows[1] == Row(2, {"评价内容": "漏水了", "评分": "1"})


def test_formulas_are_never_run(tmp_path: Path, log: SqliteLog) -> None:
    """A workbook gives what the spreadsheet last showed; a text that looks like a formula stays a text."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["评价编号", "评价内容"])
    sheet.append(["1", '=HYPERLINK("http://evil.example","点我")'])
    book.save(tmp_path / "a.xlsx")
    (tmp_path / "a.csv").write_text('评价编号,评价内容\n2,"=1+1 是我的评价"\n', encoding="utf-8")
    run(tmp_path / "a.xlsx", log)
    run(tmp_path / "a.csv", log)
    formula, text = collected(log)
    assert (formula.text, formula.empty_text) == ("", True)
    assert text.text == "=1+1 是我的评价"
