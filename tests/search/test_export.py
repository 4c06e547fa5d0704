from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from ingest.analysis import ClassifiedMention, classified_from_json
from ingest.errors import UserError
from ingest.mention import Append, Matched, Product
from search import export as exporting
from search.export import COLUMNS, MAX_XLSX_CELL, export
from tests.factories import a_classified

SAID = a_classified(
    "negative",
    native_id="7",
    text="=1+1",
    title="第一行\n第二行",
    likes=3,
    severity=6.5,
    product=Product(id="00123456789012345678", name="K20"),
    appends=[Append(text="@好"), Append(text="又")],
    tags=("产品质量/不热", "安装服务/延误"),
    matched=Matched(words=("岚炉", "炽源"), names=("岚炉",), competitors=("炽源",), excluded=("岚炉镇",), about="own"),
)


def read_csv(path: Path) -> list[dict[str, str]]:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def read_xlsx(path: Path) -> list[dict[str, object]]:
    book = load_workbook(path, read_only=True)
    try:
        headings, *rows = book.active.iter_rows()
        names = [str(cell.value) for cell in headings]
        for row in rows:
            assert all(cell.data_type in ("s", "n") for cell in row), "a text became something else"
        return [dict(zip(names, (cell.value for cell in row), strict=True)) for row in rows]
    finally:
        book.close()


def test_csv_opens_in_a_spreadsheet_and_runs_nothing(tmp_path: Path) -> None:
    assert export(iter([SAID, a_classified(text="好")]), tmp_path / "x.csv") == 2
    first, _ = read_csv(tmp_path / "x.csv")
    assert tuple(first) == COLUMNS
    assert first["来源"] == "京东"
    assert first["内容"] == "'=1+1"
    assert first["追评"] == "'@好\n又"
    assert first["标题"] == "第一行\n第二行"
    assert first["情感"] == "负面"
    assert first["标签"] == "产品质量/不热；安装服务/延误"
    assert (first["谈的是"], first["匹配词"]) == ("本品牌", "岚炉；炽源；岚炉镇")
    assert first["发布时间"] == "2026-01-05 07:00:00"
    assert (first["点赞"], first["回复数"], first["严重度"]) == ("3", "", "6.5")


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"])
def test_a_cell_that_a_spreadsheet_could_run_is_neutralised(tmp_path: Path, first: str) -> None:
    evil = f'{first}HYPERLINK("http://evil.example","x")'
    said = a_classified(
        text=evil,
        title=evil,
        seller_reply=evil,
        appends=[Append(text=evil)],
        product=Product(id=evil, sku=evil, name=evil, spec=evil),
        matched=Matched(words=(evil,), query=evil),
    )
    assert export(iter([said]), tmp_path / "x.csv") == 1
    (row,) = read_csv(tmp_path / "x.csv")
    changed = [heading for heading, cell in row.items() if cell.endswith(evil) and cell != evil]
    assert {"内容", "标题", "商家回复", "追评", "产品", "产品编号", "SKU", "规格", "匹配词"} == set(changed)
    assert all(row[heading] == f"'{evil}" for heading in changed)
    assert not [cell for cell in row.values() if cell[:1] in "=+-@\t\r＝＋－＠" and cell]
    assert export(iter([said]), tmp_path / "x.xlsx") == 1
    assert read_xlsx(tmp_path / "x.xlsx")[0]["SKU"] is not None  # a text there, whatever it begins with


def test_xlsx_keeps_texts_as_texts_and_numbers_as_numbers(tmp_path: Path) -> None:
    long = a_classified(text="长" * 40_000 + "\x01")
    assert export(iter([SAID, long]), tmp_path / "x.xlsx") == 2
    first, second = read_xlsx(tmp_path / "x.xlsx")
    assert tuple(first) == COLUMNS
    assert first["内容"] == "=1+1"
    assert first["产品编号"] == "00123456789012345678"
    assert (first["点赞"], first["严重度"]) == (3, 6.5)
    assert len(str(second["内容"])) == MAX_XLSX_CELL


def test_json_lines_are_the_records_themselves(tmp_path: Path) -> None:
    assert export(iter([SAID]), tmp_path / "x.JSONL") == 1
    assert [classified_from_json(line) for line in (tmp_path / "x.JSONL").read_bytes().splitlines()] == [SAID]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl"])
def test_no_results_are_a_file_too(tmp_path: Path, suffix: str) -> None:
    assert export(iter([]), tmp_path / f"x{suffix}") == 0
    assert (tmp_path / f"x{suffix}").exists()


@pytest.mark.parametrize("name", ["x.xls", "x", "x.csv.gz", ".csv"])
def test_another_format_is_a_user_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="导出"):
        export(iter([SAID]), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="文件夹"):
        export(iter([SAID]), tmp_path / "nowhere" / "x.csv")


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".jsonl"])
def test_an_export_that_breaks_off_leaves_the_older_file(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    older = tmp_path / f"x{suffix}"
    older.write_text("旧")

    def breaks() -> Iterator[ClassifiedMention]:
        yield SAID
        raise UserError("断了")

    with pytest.raises(UserError, match="断了"):
        export(breaks(), older)
    assert older.read_text() == "旧"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["temporary", older.name]
    assert not list((tmp_path / "temporary").iterdir())


def test_more_rows_than_a_sheet_holds_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MAX_XLSX_ROWS", 2)
    assert export(iter([SAID] * 2), tmp_path / "x.xlsx") == 2
    with pytest.raises(UserError, match="csv"):
        export(iter([SAID] * 3), tmp_path / "y.xlsx")
    assert not (tmp_path / "y.xlsx").exists()


TEXTS = st.text(max_size=60)
REGIONS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS, REGIONS), min_size=1, max_size=20))
def test_any_text_survives_every_format(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    said = [a_classified(text=text, title=title, region=region) for text, title, region in texts]
    for suffix in (".csv", ".xlsx", ".jsonl"):
        assert export(iter(said), folder / f"x{suffix}") == len(said)
    for mention, row in zip(said, read_csv(folder / "x.csv"), strict=True):
        for cell in row.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
        assert row["内容"].removeprefix("'") == mention.text.removeprefix("'")
    assert len(read_xlsx(folder / "x.xlsx")) == len(said)
    lines = (folder / "x.jsonl").read_bytes().split(b"\n")
    assert [classified_from_json(line) for line in lines[:-1]] == said
