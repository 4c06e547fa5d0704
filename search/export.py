"""Results as a file: CSV and XLSX with Chinese headings for people, JSON lines for programs."""

from __future__ import annotations

import csv
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ingest.analysis import ClassifiedMention
from ingest.clock import BEIJING
from ingest.errors import Retryable, UserError
from search.fields import VALUE_ALIASES

Cell = str | int | float | None

MAX_XLSX_ROWS: Final = 1_048_575
"""Rows that a sheet holds beside its heading."""
MAX_XLSX_CELL: Final = 32_767
"""Characters (UTF-16 units) that a cell holds; longer text is cut, and ends in "…"."""

# What a spreadsheet may take for a formula, the full-width forms included.
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def export(results: Iterator[ClassifiedMention], to: Path) -> int:
    """Write all results to ``to`` (.csv, .xlsx or .jsonl, by its ending); how many.

    The file appears under its name only when it is complete, replacing an older one. Times are Beijing's. CSV is UTF-8
    with a byte-order mark, and cells that a spreadsheet could run as a formula begin with an apostrophe; in XLSX every
    text is a text. JSON lines are the records as they are streamed. Raises UserError for another ending, a folder
    that cannot be written to, and more rows than a sheet holds; Retryable when the disk is full.
    """
    writers: dict[str, Callable[[Iterator[ClassifiedMention], Path], int]] = {
        ".csv": _csv,
        ".xlsx": _xlsx,
        ".jsonl": _jsonl,
    }
    writer = writers.get(to.suffix.lower())
    if writer is None:
        raise UserError(f"不支持导出为“{to.suffix or to.name}”，文件名请以 {'、'.join(writers)} 结尾")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{to.stem[:40]}-", suffix=to.suffix, dir=to.parent)
    except OSError as error:
        raise UserError(f"写不进 {to.parent}：{error.strerror}。请检查文件夹是否存在、是否可写") from error
    os.close(handle)
    written = Path(name)
    try:
        count = writer(results, written)
        written.chmod(0o666 & ~_umask())
        written.replace(to)
    except OSError as error:
        raise Retryable(f"写 {to} 时出错：{error.strerror}。请检查磁盘空间") from error
    finally:
        with suppress(FileNotFoundError):
            written.unlink()
    return count


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _names(field: str) -> dict[str, str]:
    """Chinese by value: the first word listed for it."""
    names: dict[str, str] = {}
    for chinese, value in VALUE_ALIASES[field].items():
        names.setdefault(value, chinese)
    return names


_SOURCES, _KINDS, _SENTIMENTS, _INTENTS, _FLAGS, _ABOUTS, _LIKENESS = map(
    _names, ("source", "kind", "sentiment", "intent", "flag", "about", "copies")
)


def _beijing(instant: datetime) -> str:
    return instant.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


_COLUMNS: Final[dict[str, Callable[[ClassifiedMention], Cell]]] = {
    "编号": lambda m: m.id,
    "来源": lambda m: _SOURCES.get(m.source, m.source),
    "类型": lambda m: _KINDS.get(m.kind, m.kind),
    "发布时间": lambda m: _beijing(m.created_at),
    "标题": lambda m: m.title,
    "内容": lambda m: m.text,
    "追评": lambda m: "\n".join(append.text for append in m.appends),
    "商家回复": lambda m: m.seller_reply,
    "情感": lambda m: _SENTIMENTS.get(m.analysis.sentiment.label, m.analysis.sentiment.label),
    "意图": lambda m: _INTENTS.get(m.analysis.intent, m.analysis.intent),
    "标签": lambda m: "；".join(opinion.tag for opinion in m.analysis.tags),
    "标记": lambda m: "；".join(_FLAGS.get(flag, flag) for flag in m.analysis.flags),
    "谈的是": lambda m: _ABOUTS.get(m.matched.about, m.matched.about),
    "匹配词": lambda m: "；".join(m.matched.all_words),
    "相似": lambda m: _LIKENESS[m.likeness] if m.likeness else None,
    "相似组": lambda m: m.group,
    "严重度": lambda m: m.analysis.severity,
    "评分": lambda m: m.rating,
    "产品": lambda m: m.product.name if m.product else None,
    "产品编号": lambda m: m.product.id if m.product else None,
    "SKU": lambda m: m.product.sku if m.product else None,
    "规格": lambda m: m.product.spec if m.product else None,
    "地区": lambda m: m.region,
    "作者": lambda m: m.author.key,
    "点赞": lambda m: m.likes,
    "回复数": lambda m: m.replies,
    "分享": lambda m: m.shares,
    "浏览": lambda m: m.views,
    "图片视频数": lambda m: len(m.media),
    "链接": lambda m: m.url,
    "采集时间": lambda m: _beijing(m.collected_at),
}


def _row(mention: ClassifiedMention) -> list[Cell]:
    return [value(mention) for value in _COLUMNS.values()]


def _guarded(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell


def _csv(results: Iterator[ClassifiedMention], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8-sig", errors="replace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for mention in results:
            writer.writerow(
                [_guarded(cell.replace("\0", "")) if isinstance(cell, str) else cell for cell in _row(mention)]
            )
            count += 1
    return count


def _xlsx(results: Iterator[ClassifiedMention], path: Path) -> int:
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    book = Workbook(write_only=True)
    sheet = book.create_sheet("提及")
    sheet.freeze_panes = "A2"

    def cell(value: Cell, *, bold: bool = False) -> Any:
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        made = WriteOnlyCell(sheet, value=_cut(_CONTROLS.sub("\ufffd", value)))
        made.data_type = "s"  # openpyxl takes a leading "=" for a formula
        if bold:
            made.font = Font(bold=True)
        return made

    count = 0
    try:
        sheet.append([cell(heading, bold=True) for heading in _COLUMNS])
        for mention in results:
            count += 1
            if count > MAX_XLSX_ROWS:
                raise UserError(f"超过 {MAX_XLSX_ROWS} 行，一张表放不下，请改导出 .csv，或缩小查询范围")
            sheet.append([cell(value) for value in _row(mention)])
    finally:
        book.save(path)  # after an error too: only this removes the temporary file that openpyxl keeps the rows in
    return count


def _cut(text: str) -> str:
    units = text.encode("utf-16-le", "replace")
    if len(units) <= 2 * MAX_XLSX_CELL:
        return text
    return units[: 2 * (MAX_XLSX_CELL - 1)].decode("utf-16-le", "ignore") + "…"


def _jsonl(results: Iterator[ClassifiedMention], path: Path) -> int:
    count = 0
    with path.open("wb") as file:
        for mention in results:
            file.write(mention.to_json() + b"\n")
            count += 1
    return count


COLUMNS: Final = tuple(chain(_COLUMNS))
"""The headings, in order."""
