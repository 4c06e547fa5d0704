"""``shengwen import --dry-run``: what a file's columns would be taken for, and whether its rows can be read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import orjson

from ingest.clock import SystemClock
from ingest.errors import Poison, UserError
from ingest.imports.job import headings, peeked
from ingest.imports.mapping import Guess, guess_columns, guess_mapping
from ingest.imports.rows import draft_from_row
from ingest.imports.tables import BadRow, open_table
from ingest.masks import mask
from ingest.mention import Kind
from shengwen.messages import shown_name

TRIED: Final = 1000
"""Rows that are read for the preview."""
SHOWN_ERRORS: Final = 5


def preview(
    files: Sequence[Path], kind: Kind, wanted: Mapping[str, str], as_json: bool, sheet: str | None = None
) -> None:
    """Show all files; writes nothing, and needs no home. Raises UserError for a file that is no table."""
    looked = [_look(file, kind, wanted, sheet) for file in files]
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(looked) + b"\n")
        sys.stdout.buffer.flush()
        return
    for one in looked:
        _show(one)


def _look(file: Path, kind: Kind, wanted: Mapping[str, str], sheet: str | None) -> dict[str, Any]:
    if file.suffix.lower() == ".har":
        raise UserError(f"{file.name}：HAR 文件没有列，不需要 --dry-run；用 shengwen parse 看它里面有什么")
    with open_table(file, headings(wanted), sheet) as table:
        samples, rows = peeked(table)
        guesses = guess_columns(table.columns, wanted, samples, kind)
        problem, read, errors = "", 0, []
        left_out: Counter[str] = Counter()
        now = SystemClock().now()
        try:
            mapping = guess_mapping(table.columns, wanted, samples, kind)
        except UserError as error:
            problem = str(error)
        else:
            for row in islice(rows, TRIED):
                read += 1
                try:
                    if isinstance(row, BadRow):
                        raise Poison(row.reason, field="row")
                    one: Counter[str] = Counter()
                    draft_from_row(
                        row.cells, mapping, source="import:x", kind=kind, without_date=now, since=now, left_out=one
                    )
                    left_out += one
                except Poison as error:
                    errors.append({"row": row.number, "error": str(error)})
    return {
        "file": shown_name(file),
        "kind": kind,
        "columns": [_plain(guess) for guess in guesses],
        "rows_tried": read,
        "rows_bad": len(errors),
        "left_out": dict(left_out),
        "unread_sheets": list(table.unread),
        "errors": errors[:SHOWN_ERRORS],
        "problem": problem,
    }


def _plain(guess: Guess) -> dict[str, Any]:
    samples = [mask(sample) for sample in guess.samples]
    return {"column": guess.column, "field": guess.field, "confidence": guess.confidence, "samples": samples}


def _show(one: Mapping[str, Any]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=escape(f"{one['file']}（{one['kind']}，没有导入）"), title_justify="left")
    for heading in ("列", "字段", "把握", "样例"):
        table.add_column(heading, overflow="fold")
    for column in one["columns"]:
        field = column["field"] or "（不用）"
        if column["confidence"] == "低":
            field = f"（不用；像是 {field}）"
        shown = " ｜ ".join(column["samples"])
        table.add_row(*(escape(cell) for cell in (column["column"], field, column["confidence"], shown)))
    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(table)
    if one["problem"]:
        click.echo(f"还不能导入：{one['problem']}")
        return
    click.echo(f"试读 {one['rows_tried']} 行，读不懂 {one['rows_bad']} 行（导入时进死信）")
    for error in one["errors"]:
        click.echo(f"  第 {error['row']} 行：{error['error']}")
    for line in told_beside(one["left_out"], {c["field"]: c["column"] for c in one["columns"]}, one["unread_sheets"]):
        click.echo(line)
    click.echo("列不对就加 --map 列名=字段；对了就去掉 --dry-run 再运行。")


def told_beside(left_out: Mapping[str, int], mapping: Mapping[str, str], unread: Sequence[str]) -> list[str]:
    """What an import does not take besides dead letters, single values and other sheets: lines that say what to do."""
    lines = []
    if left_out:
        shown = "、".join(f"{mapping.get(field, field)} {count} 个" for field, count in sorted(left_out.items()))
        lines.append(
            f"有些值读不懂，已留空，文字照常导入：{shown}。十分制的评分请用 --map 列名=rating10，用错的列请用 --map 改"
        )
    if unread:
        lines.append(f"只读了一张工作表，没有读：{'、'.join(unread)}；要读就加 --sheet 表名 再导一次")
    return lines


__all__ = ["preview", "told_beside"]
