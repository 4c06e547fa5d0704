"""Rows of a file: csv, tsv, txt, jsonl, xlsx, each also gzipped (but xlsx), in bounded memory.

A row that cannot be read is still a row: it comes out as :class:`BadRow` and becomes a dead letter.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from io import TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Literal, cast
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile, ZipInfo

from ingest.errors import UserError

MAX_UNPACKED = 512 * 1024 * 1024
"""Bytes that the parts of an xlsx may unpack to; a workbook of a million rows has fewer."""
MAX_HELD = 32 * 1024 * 1024
MAX_LINE = 16 * 1024 * 1024
"""Longest line read, in characters; what is longer is a bad row, and is skipped without being held."""
_SNIFF = 65_536
_JSON_PEEK = 200
_PEEK_LINES = 500
MAX_ROW_LINES = 200
"""A CSV row over more lines than this has lost a quotation mark; nobody's review has as many lines."""
csv.field_size_limit(MAX_LINE)


HEADING_ROWS = 10
"""So many first rows are searched for the heading."""
MAX_TITLES = 2
MAX_TITLE = 60
"""Over a single column: so many lines, and so long ones, are a title and not texts of the list."""


@dataclass(frozen=True, slots=True)
class Row:
    """``number`` counts data rows from 1. ``cells``: by column, values as the file has them (str, number, dict)."""

    number: int
    cells: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BadRow:
    number: int
    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True)
class Table:
    """``columns``: the heading, or ``["text"]`` for a list of texts without one. ``unread``: a workbook's other
    sheets, by name, that hold something."""

    columns: Sequence[str]
    rows: Iterator[Row | BadRow]
    unread: Sequence[str] = ()


@contextmanager
def open_table(path: Path, text_headings: frozenset[str], sheet: str | None = None) -> Iterator[Table]:
    """Open a file by its ending. ``text_headings``: lower-case names that make one of the first lines the heading;
    what stands above it is a title. ``sheet``: of a workbook, by name; the first if not said.

    Raises UserError for an ending or a content that cannot be a table.
    """
    kind = "".join(path.suffixes[-2:]).lower() if path.suffix.lower() == ".gz" else path.suffix.lower()
    try:
        if kind == ".xlsx":
            with _open_xlsx(path, text_headings, sheet) as table:
                yield table
        elif kind.removesuffix(".gz") in (".jsonl", ".ndjson"):
            with _open_text(path) as file:
                yield _json_table(_json_rows(file))
        elif kind.removesuffix(".gz") in (".csv", ".tsv", ".txt"):
            with _open_text(path) as file:
                yield _delimited(file, kind.removesuffix(".gz"), text_headings)
        else:
            raise UserError(f"{path.name}：不支持这种文件，请用 csv、tsv、txt、jsonl、xlsx（可加 .gz）或 har")
    except FileNotFoundError as error:
        raise UserError(f"找不到文件 {path}") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} 是文件夹，请指定文件") from error
    except PermissionError as error:
        raise UserError(f"没有读取 {path} 的权限") from error
    except ParseError as error:
        raise UserError(f"{path.name}：xlsx 文件内容已损坏（{error}）") from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UserError(f"{path.name}：压缩文件不完整或已损坏（{error}）") from error


@contextmanager
def _open_text(path: Path) -> Iterator[IO[str]]:
    with path.open("rb") as plain:
        zipped = path.suffix.lower() == ".gz"
        source = cast(IO[bytes], gzip.GzipFile(fileobj=plain)) if zipped else plain
        head = source.read(_SNIFF)
        source.seek(0)
        with TextIOWrapper(source, encoding=_encoding(head), errors="replace", newline="") as file:
            yield file


def _encoding(head: bytes) -> str:
    """By its mark, else UTF-16 by its nulls, else UTF-8 where it reads as that, else GB18030 (Chinese exports)."""
    for mark, name in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if head.startswith(mark):
            return name
    nulls = head.count(0)
    if nulls >= 4 and nulls * 50 >= len(head):  # UTF-16 without a mark: its line ends and digits have a null each
        low = head[1::2].count(0)
        if low * 50 >= nulls * 49 or low * 50 <= nulls:
            return "utf-16-le" if low * 2 > nulls else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # not final: a cut character at the end is no error
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8"


def _lines(file: IO[str]) -> Iterator[str | None]:
    """Lines with their ends; None for one that was too long."""
    while line := file.readline(MAX_LINE):
        if len(line) >= MAX_LINE and not line.endswith("\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith("\n"):
                pass
            yield None
        else:
            yield line


def _json_table(rows: Iterator[Row | BadRow]) -> Table:
    """Columns are the keys seen in the first rows; later rows may have others, which nobody mapped."""
    first = list(islice(rows, _JSON_PEEK))
    columns = dict.fromkeys(name for row in first if isinstance(row, Row) for name in row.cells)
    return Table(list(columns) or ["text"], chain(first, rows))


def _json_rows(file: IO[str]) -> Iterator[Row | BadRow]:
    for number, line in enumerate(_lines(file), 1):
        if line is None:
            yield BadRow(number, f"一行超过 {MAX_LINE} 个字符", b"")
            continue
        if not line.strip():
            yield Row(number, {"text": ""})
            continue
        try:
            value = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            where = f"（第 {error.colno} 个字符处）" if isinstance(error, json.JSONDecodeError) else ""
            yield BadRow(number, f"不是 JSON{where}", line.encode("utf-8", "replace"))
            continue
        if isinstance(value, str):
            yield Row(number, {"text": value})
        elif isinstance(value, dict):
            yield Row(number, value)
        else:
            yield BadRow(number, "既不是对象，也不是文字", line.encode("utf-8", "replace"))


def _no_constant(name: str) -> Any:
    raise ValueError(f"JSON 里没有 {name}")


def _delimited(file: IO[str], ending: str, text_headings: frozenset[str]) -> Table:
    head = [line or "" for line in islice(_lines(file), HEADING_ROWS)]
    if not head:
        return Table(["text"], iter(()))
    file.seek(0)
    marks = ["" if ending == ".txt" else _delimiter(line, ending) for line in head]
    cut = [
        next(csv.reader([line.strip("\r\n")], delimiter=mark or ","), [])
        for line, mark in zip(head, marks, strict=True)
    ]
    known = heading_at(cut, text_headings)
    at = known or 0
    delimiter, heading = marks[at], cut[at]
    if known is None and (ending == ".txt" or len(heading) <= 1 or not delimiter):
        # A list of texts: every line is one, whatever commas it holds.
        return Table(["text"], _text_rows(file))
    for _ in islice(_lines(file), at + 1 if ending == ".txt" else at):
        pass
    if ending == ".txt":
        return Table(["text"], _text_rows(file))
    columns = [cell.strip() or f"列{i}" for i, cell in enumerate(heading, 1)]
    return Table(columns, _csv_rows(file, delimiter or ",", columns))


def heading_at(rows: Sequence[Sequence[Any]], text_headings: frozenset[str]) -> int | None:
    """Which of the first rows is the heading; None where none has a known name.

    Above a heading stand titles and notes, in fewer cells than it has itself; so a row of data that happens to hold
    such a word is none.
    """
    filled = [[str(cell).strip().lower() for cell in row if cell is not None and str(cell).strip()] for row in rows]
    for number, cells in enumerate(filled[:HEADING_ROWS]):
        found = sum(cell in text_headings for cell in cells)
        if number == 0 and found:
            return 0
        widest = max((len(above) for above in filled[:number]), default=0)
        if len(cells) == 1:
            title = (
                number <= MAX_TITLES
                and widest <= 1
                and all(len("".join(above)) <= MAX_TITLE for above in filled[:number])
            )
            if found and title:
                return number
        elif widest < len(cells) and (found >= 2 or 2 * found >= len(cells)):
            return number
    return None


def _delimiter(first: str, ending: str) -> str:
    if ending == ".tsv":
        return "\t"
    counts = {mark: first.count(mark) for mark in (",", "\t", ";", "|")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ""


def _text_rows(file: IO[str]) -> Iterator[Row | BadRow]:
    for number, line in enumerate(_lines(file), 1):
        if line is None:
            yield BadRow(number, f"一行超过 {MAX_LINE} 个字符", b"")
        else:
            yield Row(number, {"text": line.strip("\r\n")})


def _csv_rows(file: IO[str], delimiter: str, columns: Sequence[str]) -> Iterator[Row | BadRow]:
    lines = _Tape(_lines(file))
    # Tab exports rarely quote: there a stray quotation mark must not swallow the rows behind it.
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" and not lines.quotes_pair_up() else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
    next(reader, None)
    number = 0
    while True:
        lines.taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield BadRow(number, f"不是 CSV：{error}", lines.keep_first() if lines.overrun else lines.raw())
            continue
        if lines.too_long:
            number += 1
            lines.too_long = False
            yield BadRow(number, f"一行超过 {MAX_LINE} 个字符", lines.raw())
            continue
        if not cells and len(columns) > 1:
            continue  # an empty line between rows is layout, not a row
        number += 1
        if len(cells) > len(columns):
            yield BadRow(number, f"表头 {len(columns)} 列，这一行有 {len(cells)} 格", lines.raw())
        else:
            yield Row(number, dict(zip(columns, cells, strict=False)))


class _Tape:
    """The lines that a CSV reader takes, kept until the row is done, so that a broken row keeps its bytes."""

    def __init__(self, lines: Iterator[str | None]) -> None:
        self._head = list(islice(lines, _PEEK_LINES))
        self._lines: Iterator[str | None] = chain(self._head, lines)
        self.taken: list[str] = []
        self.too_long = False

    def quotes_pair_up(self) -> bool:
        """Whether each of the first lines has its quotation marks in pairs, or the marks span lines in pairs."""
        return sum((line or "").count('"') for line in self._head) % 2 == 0

    def raw(self) -> bytes:
        return "".join(self.taken).encode("utf-8", "replace")

    @property
    def overrun(self) -> bool:
        """An opening quotation mark without its end has taken more lines than a row has."""
        return len(self.taken) > MAX_ROW_LINES

    def keep_first(self) -> bytes:
        """The first line's bytes; the lines behind it are read again as rows of their own."""
        first, *rest = self.taken
        self._lines = chain(rest, self._lines)
        self.taken = [first]
        return self.raw()

    def __iter__(self) -> _Tape:
        return self

    def __next__(self) -> str:
        if self.overrun:
            raise csv.Error("引号没有闭合")
        line = next(self._lines)
        self.too_long = self.too_long or line is None
        line = "\n" if line is None else line
        self.taken.append(line)
        return line


@contextmanager
def _open_xlsx(path: Path, text_headings: frozenset[str], sheet: str | None) -> Iterator[Table]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        with ZipFile(path) as parts:
            unpacked = sum(part.file_size for part in parts.infolist())
            bomb = any(_swells(part) for part in parts.infolist())
        if bomb or unpacked > MAX_UNPACKED:
            raise UserError(
                f"{path.name}：解压后有 {unpacked >> 20} MB，太大或不正常（上限 {MAX_UNPACKED >> 20} MB）；"
                "请把它分成几个文件，或另存为 csv 再导入"
            )
        book = load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, InvalidFileException, KeyError, ValueError, TypeError, ParseError) as error:
        raise UserError(f"{path.name}：不是有效的 xlsx 文件（{error}）") from error
    try:
        if not book.worksheets:
            raise UserError(f"{path.name}：里面没有工作表")
        names = [one.title for one in book.worksheets]
        if sheet is not None and sheet not in names:
            raise UserError(f"{path.name}：没有工作表“{sheet}”，现有的是 {'、'.join(names)}")
        read = book.worksheets[names.index(sheet) if sheet is not None else 0]
        unread = [one.title for one in book.worksheets if one is not read and _holds_something(one)]
        read.reset_dimensions()  # streaming exporters write a dimension of one cell
        lines = read.iter_rows(values_only=True)
        head = list(islice(lines, HEADING_ROWS))
        at = heading_at(head, text_headings)
        if at is None:  # the first that is not empty
            at = next((number for number, row in enumerate(head) if any(cell is not None for cell in row)), 0)
        heading = head[at] if head else ()
        columns = [str(cell).strip() if cell is not None else f"列{i}" for i, cell in enumerate(heading, 1)]
        yield Table(columns or ["text"], _sheet_rows(chain(head[at + 1 :], lines), columns), unread)
    finally:
        book.close()


def _swells(part: ZipInfo) -> bool:
    """A part that is held as a whole (texts, styles; sheets are streamed) and unpacks as no text does."""
    streamed = part.filename.startswith("xl/worksheets/")
    return not streamed and part.file_size > MAX_HELD and part.file_size > 100 * part.compress_size


def _holds_something(sheet: Any) -> bool:
    sheet.reset_dimensions()
    return any(cell is not None for row in islice(sheet.iter_rows(values_only=True), HEADING_ROWS) for cell in row)


def _sheet_rows(lines: Iterator[tuple[Any, ...]], columns: Sequence[str]) -> Iterator[Row | BadRow]:
    number = 0
    for cells in lines:
        if all(cell is None for cell in cells):
            continue
        number += 1
        yield Row(number, {name: _plain(cell) for name, cell in zip(columns, cells, strict=False) if cell is not None})


def _plain(cell: Any) -> Any:
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return int(cell)  # Excel keeps every number as a float; within 2^53 nothing was lost
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return cell
