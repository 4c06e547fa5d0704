"""Files in: every row has an end, whatever it holds, and an import that dies goes on where it was."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from ingest.clock import ManualClock
from ingest.coverage import coverage_from_json
from ingest.dead_letters import DeadLetters
from ingest.errors import Poison, UserError
from ingest.imports.job import ImportJob, ImportState
from ingest.imports.mapping import TEXT_HEADINGS, guess_columns, guess_mapping
from ingest.imports.rows import draft_from_row
from ingest.imports.tables import MAX_HELD, MAX_UNPACKED, BadRow, Row, open_table
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Mention, mention_from_json
from ingest.privacy import Privacy
from ingest.times import read_instant

SECRET = b"a secret for tests only, 32 bytes"


def table_of(path: Path) -> tuple[list[str], list[Row | BadRow]]:
    with open_table(path, TEXT_HEADINGS) as table:
        return list(table.columns), list(table.rows)


def run(path: Path, log: SqliteLog, **options: Any) -> ImportState:
    job = ImportJob(path, source="import:test", log=log, privacy=Privacy(SECRET), clock=ManualClock(), **options)
    return job.run(threading.Event(), lambda state: None, {})


def collected(log: SqliteLog) -> list[Mention]:
    return [mention_from_json(record.value) for record in log.read(Topics.COLLECTED, 0, 0, 10_000)]


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with SqliteLog(tmp_path / "log.db") as opened:
        yield opened


def test_a_list_of_texts_without_a_heading_is_one_text_a_line(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("暖气很热，师傅也好\n漏水了, 退货\n", encoding="utf-8")
    columns, rows = table_of(file)
    assert columns == ["text"]
    assert [row.cells["text"] for row in rows if isinstance(row, Row)] == ["暖气很热，师傅也好", "漏水了, 退货"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_encodings_of_store_exports_are_told_apart(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes("评价ID,评价内容,评分\n1,暖气不热,2\n".encode(encoding))
    columns, rows = table_of(file)
    assert columns == ["评价ID", "评价内容", "评分"]
    assert rows == [Row(1, {"评价ID": "1", "评价内容": "暖气不热", "评分": "2"})]


def test_gzip_tsv_with_quotes_and_line_breaks_inside(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv.gz"
    with gzip.open(file, "wt", encoding="utf-8", newline="") as out:
        out.write('text\tscore\n"他说""漏水""\n还没人来"\t1\n')
    _, rows = table_of(file)
    assert rows == [Row(1, {"text": '他说"漏水"\n还没人来', "score": "1"})]


def test_a_cut_gzip_is_a_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    noise = "".join(random.Random(1).choices("漏水暖气片很热师傅", k=60_000))
    file.write_bytes(gzip.compress(("text\n" + noise).encode())[:-2000])
    with pytest.raises(UserError, match="压缩文件不完整"):
        table_of(file)


def test_xlsx_keeps_ids_and_dates(tmp_path: Path, log: SqliteLog) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["评价编号", "评价内容", "评价时间", "星级"])
    sheet.append([12345678901, "装好当天就漏水", "2026-01-03 09:30:00", 1])
    sheet.append([None, None, None, None])
    sheet.append([12345678902, "很暖和", "2026-01-04", 5])
    book.save(tmp_path / "a.xlsx")
    run(tmp_path / "a.xlsx", log)
    first, second = collected(log)
    assert first.id == "import:test:review:12345678901"
    assert (first.rating, first.created_at.isoformat()) == (1, "2026-01-03T01:30:00+00:00")
    assert (second.created_precision, second.rating_scale) == ("day", "5")


@pytest.mark.parametrize(
    ("part", "size"), [("xl/worksheets/sheet1.xml", MAX_UNPACKED), ("xl/sharedStrings.xml", MAX_HELD + (1 << 20))]
)
def test_a_workbook_that_unpacks_to_gigabytes_is_refused_before_it_is_opened(
    tmp_path: Path, part: str, size: int
) -> None:
    file = tmp_path / "bomb.xlsx"
    with ZipFile(file, "w", ZIP_DEFLATED) as parts:
        with parts.open(part, "w") as out:
            for _ in range(size >> 20):
                out.write(b"<si><t/></si>   " * (1 << 16))
        parts.writestr("[Content_Types].xml", "<Types/>")
    with pytest.raises(UserError, match="请把它分成几个文件"):
        table_of(file)


def test_not_an_xlsx_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"PK\x03\x04 not a book")
    with pytest.raises(UserError, match="不是有效的 xlsx"):
        table_of(tmp_path / "a.xlsx")


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    with pytest.raises(UserError, match="csv、tsv、txt、jsonl、xlsx"):
        table_of(tmp_path / "a.pdf")


def test_the_mapping_is_guessed_and_can_be_overridden() -> None:
    columns = ["买家原话", "星级", "评价时间", "商品名称"]
    with pytest.raises(UserError, match="--map text=列名"):
        guess_mapping(columns, {})
    assert guess_mapping(columns, {"text": "买家原话"}) == {
        "text": "买家原话", "rating": "星级", "created_at": "评价时间", "product.name": "商品名称",
    }  # fmt: skip
    with pytest.raises(UserError, match="没有列“没有的”"):
        guess_mapping(columns, {"text": "没有的"})


@pytest.mark.parametrize(
    ("cells", "field"),
    [
        ({"id": 1.5e18, "text": "x"}, "id"),
        ({"id": True, "text": "x"}, "id"),
        ({"text": 3.5}, "text"),
        ({"text": {"a": 1}}, "text"),
        ({"rating": "7"}, "rating"),
        ({"id": "1.23457E+18", "text": "x"}, "id"),
        ({"id": "a\nb", "text": "x"}, "id"),
        ({"text": "x", "created_at": "昨天吧"}, "created_at"),
        ({"text": "x", "created_at": "2026-13-40"}, "created_at"),
        ({"text": "x", "created_at": 1e300}, "created_at"),
    ],
)
def test_a_row_that_does_not_fit_names_the_field(cells: dict[str, Any], field: str) -> None:
    with pytest.raises(Poison) as caught:
        draft_from_row(
            cells, {name: name for name in cells}, source="import:x", kind="review", without_date=ManualClock().now()
        )
    assert caught.value.field == field


def test_every_bad_row_becomes_a_dead_letter_and_its_neighbours_go_on(tmp_path: Path, log: SqliteLog) -> None:
    lines: list[str] = [
        json.dumps({"id": "1", "text": "好用"}),
        '{"id": "2", "text": "截断的',
        json.dumps({"id": "3", "text": "日期在将来", "created_at": "2099-01-01"}),
        json.dumps({"id": 4.5, "text": "编号是小数"}),
        json.dumps({"id": "5", "text": "漏" * 300_000}),
        json.dumps({"id": "6", "text": "空字符\x00和半个代理\ud800"}),
        "[1, 2]",
        "[" * 20_000,
        json.dumps({"id": "7", "text": "多一个字段", "没见过的": [1]}),
        "",
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    state = run(file, log)
    assert (state.rows, state.collected, state.dead) == (10, 4, 6)
    assert [m.text for m in collected(log)] == ["好用", "空字符\ufffd和半个代理\ufffd", "多一个字段", ""]
    letters = DeadLetters(log, ManualClock()).open()
    assert sorted(letter.error.split(":")[0] for letter in letters) == ["created_at", "id", "row", "row", "row", "text"]
    future = next(letter for letter in letters if letter.error.startswith("created_at"))
    assert json.loads(Privacy(SECRET).unlock(future.payload))["text"] == "日期在将来"
    assert "日期在将来".encode() not in future.payload


def test_personal_data_is_masked_before_the_log(tmp_path: Path, log: SqliteLog) -> None:
    file = tmp_path / "a.csv"
    file.write_text("评价内容,用户昵称\n漏水了打13800000000,小张张\n", encoding="utf-8")
    run(file, log)
    stored = log.read(Topics.COLLECTED, 0, 0, 1)[0].value.decode()
    assert "13800000000" not in stored
    assert "小张张" not in stored
    assert collected(log)[0].author.key


def test_personal_data_beside_the_text_is_masked_in_a_file_as_well(tmp_path: Path, log: SqliteLog) -> None:
    where = "广东省深圳市南山区科技路12号3栋502室 13812345678"
    file = tmp_path / "a.csv"
    file.write_text(
        "评价ID,评价内容,地区,商品名称,规格,链接\n"
        f"1,漏水,{where},取暖器,收货地址：{where},https://s.example/r?id=7&phone=13812345678&token=SECRET\n"
        "2,不热,美国,取暖器,白色,javascript:alert(1)\n",
        encoding="utf-8",
    )
    run(file, log)
    first, second = collected(log)
    assert (first.region, first.url) == ("广东", "https://s.example/r?id=7")
    line = first.to_json().decode()
    assert not [private for private in ("深圳", "科技路", "502", "13812345678", "SECRET") if private in line]
    assert (second.text, second.region, second.url) == ("不热", None, None)


def test_texts_without_ids_are_one_mention_when_they_are_the_same(tmp_path: Path, log: SqliteLog) -> None:
    file = tmp_path / "a.txt"
    file.write_text("很好\n很好\n不好\n", encoding="utf-8")
    run(file, log)
    ids = [m.id for m in collected(log)]
    assert ids[0] == ids[1] != ids[2]


def test_a_finished_file_is_not_streamed_again(tmp_path: Path, log: SqliteLog) -> None:
    file = tmp_path / "a.txt"
    file.write_text("很好\n不好\n", encoding="utf-8")
    run(file, log)
    assert run(file, log).finished
    assert len(collected(log)) == 2


def test_a_stopped_import_goes_on_where_it_was(tmp_path: Path, log: SqliteLog) -> None:
    file = tmp_path / "a.txt"
    file.write_text("".join(f"第{i}条\n" for i in range(1800)), encoding="utf-8")
    job = ImportJob(file, source="import:test", log=log, privacy=Privacy(SECRET), clock=ManualClock())
    stop = threading.Event()
    state = job.run(stop, lambda state: stop.set(), {"indexed": 3})
    assert not state.finished
    assert 0 < state.rows < 1800
    assert run(file, log).before == {"indexed": 3}
    assert [m.text for m in collected(log)] == [f"第{i}条" for i in range(1800)]


def test_each_run_tells_once_what_it_read(tmp_path: Path, log: SqliteLog) -> None:
    """Coverage: a stopped run and the one that goes on add up to the file; what is known, its caller says."""
    file = tmp_path / "a.csv"
    texts = "".join(f"{i},第{i}条,{'2026-01-02 10:00' if i % 100 else '从前'}\n" for i in range(1, 1801))
    file.write_text(f"评价ID,评价内容,评价时间\n{texts}", encoding="utf-8")
    clock, stop = ManualClock(), threading.Event()
    finished = False
    while not finished:
        job = ImportJob(file, source="import:test", log=log, privacy=Privacy(SECRET), clock=clock)
        state = job.run(stop, lambda state: stop.set(), {})
        clock.advance(60)
        job.tell(state, duplicate=7)
        job.tell(state, duplicate=7)
        finished = state.finished
        stop.clear()
    told = [coverage_from_json(record.value) for record in log.read(Topics.COVERAGE, 0, 0, 100)]
    assert [record.status for record in told] == ["partial"] * (len(told) - 1) + ["complete"]
    assert len(told) > 1
    assert (told[0].source, told[0].planned) == ("import:test", None)
    assert all(record.got == record.new + record.duplicate + record.dead for record in told)
    assert sum(record.got for record in told) == 1800
    assert sum(record.dead for record in told) == state.dead == 18
    assert {record.duplicate for record in told} == {7}
    assert all(record.finished_at - record.started_at >= timedelta(seconds=60) for record in told)
    done = ImportJob(file, source="import:test", log=log, privacy=Privacy(SECRET), clock=clock)
    done.tell(done.run(stop, lambda state: None, {}))
    assert len(list(log.read(Topics.COVERAGE, 0, 0, 100))) == len(told)


IMPORTER = """
import sys, threading
from pathlib import Path
from ingest.clock import SystemClock
from ingest.imports.job import ImportJob
from ingest.log.sqlite import SqliteLog
from ingest.privacy import Privacy
with SqliteLog(Path(sys.argv[2])) as log:
    job = ImportJob(Path(sys.argv[1]), source="import:test", log=log, privacy=Privacy(b"x" * 32), clock=SystemClock())
    print("started", flush=True)
    job.run(threading.Event(), lambda state: None, {})
"""


def test_kill_9_loses_no_row_and_streams_none_twice(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    rows = [
        json.dumps({"id": str(i), "text": f"第{i}条评价", "created_at": "不是时间" if i % 97 == 0 else "2026-03-01"})
        for i in range(20_000)
    ]
    file.write_text("\n".join(rows), encoding="utf-8")
    chance = random.Random(7)
    command = [sys.executable, "-c", IMPORTER, str(file), str(tmp_path / "log.db")]
    kills = 0
    for _ in range(6):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0.02, 0.5))
            child.send_signal(signal.SIGKILL)
            kills += child.wait() == -signal.SIGKILL
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    assert kills > 0
    with SqliteLog(tmp_path / "log.db") as log:
        bad = {str(i) for i in range(20_000) if i % 97 == 0}
        ids = [record.key.rpartition(":")[2] for record in log.read(Topics.COLLECTED, 0, 0, 30_000)]
        assert ids == [str(i) for i in range(20_000) if str(i) not in bad]
        assert len(DeadLetters(log, ManualClock()).open()) == len(bad)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([".csv", ".tsv", ".txt", ".jsonl", ".xlsx", ".csv.gz"]))
def test_any_bytes_give_rows_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, ending: str
) -> None:
    file = tmp_path_factory.mktemp("any") / f"a{ending}"
    file.write_bytes(data)
    try:
        columns, rows = table_of(file)
        mapping = guess_mapping(columns, {})
    except UserError:
        return
    for row in rows:
        if isinstance(row, Row):
            with contextlib.suppress(Poison):  # what else comes out fails the test
                draft_from_row(row.cells, mapping, source="import:x", kind="review", without_date=ManualClock().now())


def test_a_stray_quotation_mark_takes_no_other_row_with_it(tmp_path: Path) -> None:
    file = tmp_path / "a.tsv"
    file.write_text('text\tid\n"很好\t1\n不错啊\t2\n漏水了\t3\n', encoding="utf-8")
    _, rows = table_of(file)
    assert [row.cells["id"] for row in rows if isinstance(row, Row)] == ["1", "2", "3"]
    file = tmp_path / "a.csv"
    file.write_text('id,text\n1,"没有结束\n' + "".join(f"{i},好\n" for i in range(2, 1002)), encoding="utf-8")
    _, rows = table_of(file)
    bad = [row for row in rows if isinstance(row, BadRow)]
    assert [row.raw.decode() for row in bad] == ['1,"没有结束\n']
    assert [row.cells["id"] for row in rows if isinstance(row, Row)] == [str(i) for i in range(2, 1002)]


def test_a_line_too_long_is_parked_and_not_skipped(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text("id,text\n1,好\n2," + "x" * (17 << 20) + "\n3,漏水\n", encoding="utf-8")
    _, rows = table_of(file)
    assert [type(row) for row in rows] == [Row, BadRow, Row]


def test_an_xlsx_that_lies_about_its_size_is_read_whole(tmp_path: Path) -> None:
    import zipfile

    book = Workbook()
    assert book.active is not None
    for row in (["id", "评价内容"], ["1", "好"], ["2", "漏水"]):
        book.active.append(row)
    book.save(tmp_path / "whole.xlsx")
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as old, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'<dimension ref="A1:B3"', b'<dimension ref="A1"'))
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as old, zipfile.ZipFile(tmp_path / "torn.xlsx", "w") as new:
        for name in old.namelist():
            sheet = name.endswith("sheet1.xml")
            new.writestr(name, old.read(name)[:-60] if sheet else old.read(name))
    columns, rows = table_of(tmp_path / "a.xlsx")
    assert columns == ["id", "评价内容"]
    assert len(rows) == 2
    with pytest.raises(UserError, match=r"已损坏|不是有效"):
        table_of(tmp_path / "torn.xlsx")


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
