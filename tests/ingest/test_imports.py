"""Files in: every row has an end, whatever it holds, and an import that dies goes on where it was."""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
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
from ingest.imports.job import ImportJob
from ingest.imports.mapping import guess_mapping
from ingest.imports.rows import draft_from_row
from ingest.imports.tables import MAX_HELD, MAX_UNPACKED, BadRow, Row
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.privacy import Privacy
from tests.ingest.importing import SECRET, collected, run, table_of


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
