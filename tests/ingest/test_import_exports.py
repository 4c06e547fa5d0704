"""Exports as people have them: rounded ids, titles above the heading, more sheets, times as people write them."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook

from ingest.clock import ManualClock
from ingest.dead_letters import DeadLetters
from ingest.errors import UserError
from ingest.imports.job import ImportJob
from ingest.log.sqlite import SqliteLog
from ingest.privacy import Privacy
from ingest.times import read_instant
from tests.ingest.importing import SECRET, collected, run, table_of

# -- exports as people have them -------------------------------------------------------------------------------------


def write_csv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "lost", [["1.23457E+18"] * 2, ['="1.2E+18"', "2"], [f"73012345678901{n}0000" for n in range(3)]]
)
def test_ids_that_excel_rounded_refuse_the_file_and_say_what_to_do(
    tmp_path: Path, log: SqliteLog, lost: list[str]
) -> None:
    file = write_csv(tmp_path / "a.csv", "评价ID,评价内容", *(f"{one},第{n}条" for n, one in enumerate(lost)))
    with pytest.raises(UserError, match="设为“文本”"):
        run(file, log)
    state = run(file, log, wanted={"id": "-"})
    assert (state.collected, state.dead) == (len(lost), 0)
    assert len({mention.id for mention in collected(log)}) == len(lost), "told apart by their words"


def test_ids_rounded_in_a_workbook_are_found_as_well(tmp_path: Path, log: SqliteLog) -> None:
    book = Workbook()
    assert book.active is not None
    for row in (["评价ID", "评价内容"], [1.23457e18, "漏水"], [1.23458e18, "不热"]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(UserError, match="末几位已经丢了"):
        run(tmp_path / "a.xlsx", log)


def test_a_rounded_id_further_down_is_a_dead_letter(tmp_path: Path, log: SqliteLog) -> None:
    rows = [f"{n},第{n}条" for n in range(60)]
    state = run(write_csv(tmp_path / "a.csv", "评价ID,评价内容", *rows, "1.23457E+18,漏水"), log)
    assert (state.collected, state.dead) == (60, 1)
    assert "重新导出" in DeadLetters(log, ManualClock()).open()[0].error


def test_what_keeps_digits_in_excel_is_taken_off(tmp_path: Path, log: SqliteLog) -> None:
    file = write_csv(
        tmp_path / "a.csv",
        "评价ID,商品编号,评价内容",
        '="7301234567890123456","=""100012043978""",漏水',
        "'7301234567890123457,'0012,不热",
    )
    run(file, log)
    first, second = collected(log)
    assert [m.id.rpartition(":")[2] for m in (first, second)] == ["7301234567890123456", "7301234567890123457"]
    assert [m.product and m.product.id for m in (first, second)] == ["100012043978", "0012"]


@pytest.mark.parametrize(
    ("lines", "columns", "count"),
    [
        (["旗舰店评价导出", "评价ID,评价内容", "1,漏水"], ["评价ID", "评价内容"], 1),
        (
            ["旗舰店评价导出(2026-01-01,2026-02-01),,", "", "评价ID,评价内容,评分", "1,漏水,1"],
            ["评价ID", "评价内容", "评分"],
            1,
        ),
        (["说明：三列", "共 2 条", "评价ID\t评价内容", "1\t漏水", "2\t不热"], ["评价ID", "评价内容"], 2),
        (["旗舰店评价导出", "评价内容", "漏水", "不热"], ["评价内容"], 2),
        (["甲,乙,丙", "评价,内容,时间", "1,2,3"], ["甲", "乙", "丙"], 2),
        (["暖气片一直不热", "评价", "还行"], ["评价"], 1),
        (["暖气片一直不热" * 20, "评价", "还行"], ["text"], 3),
    ],
)
def test_a_title_above_the_heading_is_no_data(tmp_path: Path, lines: list[str], columns: list[str], count: int) -> None:
    found, rows = table_of(write_csv(tmp_path / "a.csv", *lines))
    assert (found, len(rows)) == (columns, count)


def test_a_workbook_with_a_title_and_more_sheets(tmp_path: Path, log: SqliteLog) -> None:
    book = Workbook()
    first = book.active
    assert first is not None
    first.title = "一月"
    for row in (["旗舰店评价导出"], [], ["评价ID", "评价内容", "买家说的"], ["1", "漏水", "x"]):
        first.append(row)
    second = book.create_sheet("二月")
    for row in (["评价ID", "评价内容"], ["2", "不热"]):
        second.append(row)
    book.create_sheet("空的")
    book.save(tmp_path / "a.xlsx")
    for sheet, text, unread in ((None, "漏水", ["二月"]), ("二月", "不热", ["一月"])):
        job = ImportJob(
            tmp_path / "a.xlsx",
            source="import:test",
            log=log,
            privacy=Privacy(SECRET),
            clock=ManualClock(),
            sheet=sheet,
        )
        job.run(threading.Event(), lambda state: None, {})
        assert (collected(log)[-1].text, list(job.unread)) == (text, unread)
    with pytest.raises(UserError, match="没有工作表“三月”，现有的是 一月、二月、空的"):
        run(tmp_path / "a.xlsx", log, sheet="三月")


def test_a_heading_that_nobody_knows_is_found_by_the_users_words(tmp_path: Path, log: SqliteLog) -> None:
    file = write_csv(tmp_path / "a.csv", "导出", "甲,乙", "漏水,1")
    run(file, log, wanted={"text": "甲"})
    assert [mention.text for mention in collected(log)] == ["漏水"]


def test_what_cannot_be_read_beside_the_words_costs_no_review(tmp_path: Path, log: SqliteLog) -> None:
    file = write_csv(
        tmp_path / "a.csv",
        "评价ID,评价内容,评分,点赞数,回复数,用户,链接",
        "1,甲,-,-,/,-,无",
        "2,乙,五星,共 23 条,1.5万,u1,https://a.example/1",
        "3,丙,很好,很多,10万+,u2,不是链接",
        '4,丁,4.5,"1,234",N/A,-,',
        "5,戊,★★★☆☆,3,2,-,",
    )
    state = run(file, log)
    assert (state.collected, state.dead) == (5, 0)
    assert state.left_out == {"likes": 1, "rating": 1, "url": 1}
    told = [(m.text, m.rating, m.likes, m.replies, m.approximate) for m in collected(log)]
    assert told == [
        ("甲", None, None, None, False),
        ("乙", 5, 23, 15000, True),
        ("丙", None, None, 100000, True),
        ("丁", 5, 1234, None, False),
        ("戊", 3, 3, 2, False),
    ]
    assert [m.author.key is None for m in collected(log)] == [True, False, False, True, True]


EXPORTED = datetime(2026, 3, 10, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "at", "precision"),
    [
        ("2个月前", "2026-01-09T16:00", "month"),
        ("3天前", "2026-03-06T16:00", "day"),
        ("5小时前", "2026-03-09T23:00", "hour"),
        ("昨天", "2026-03-08T16:00", "day"),
        ("昨天 下午3:05", "2026-03-09T07:05", "minute"),
        ("上午9:00", "2026-03-10T01:00", "minute"),
        ("2026/3/4 下午3:05", "2026-03-04T07:05", "minute"),
        ("2026-03-04 上午9:00:07", "2026-03-04T01:00:07", "second"),
        ("2026年3月4日 星期三 上午12:30", "2026-03-03T16:30", "minute"),
        ("2026-3-4 3:05 PM", "2026-03-04T07:05", "minute"),
        ("2026-03-04 中午12:10", "2026-03-04T04:10", "minute"),
    ],
)
def test_times_as_people_read_them(written: str, at: str, precision: str) -> None:
    assert read_instant(written, EXPORTED) == (datetime.fromisoformat(at).replace(tzinfo=UTC), precision)


@pytest.mark.parametrize("written", ["昨天吧", "2个月前左右", "下午", "2026-03-04 下午25:00", "", "前"])
def test_what_is_no_time_stays_none(written: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_instant(written, EXPORTED)


def test_relative_dates_are_counted_from_the_files_own_date(tmp_path: Path, log: SqliteLog) -> None:
    file = write_csv(tmp_path / "a.csv", "评价ID,评价内容,评价时间", "1,漏水,3天前", "2,不热,不是时间")
    saved = datetime(2025, 5, 10, 4, tzinfo=UTC).timestamp()
    os.utime(file, (saved, saved))
    run(file, log)
    run(file, log, written=datetime(2025, 5, 1, 4, tzinfo=UTC))
    assert [m.created_at.isoformat() for m in collected(log)] == [
        "2025-05-06T16:00:00+00:00",
        "2025-04-27T16:00:00+00:00",
    ]
    letters = DeadLetters(log, ManualClock()).open()
    assert {letter.headers["since"][:10] for letter in letters} == {"2025-05-10", "2025-05-01"}
