"""``shengwen spikes``: score a series."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from ingest.errors import UserError
from shengwen.messages import Group


@click.group("spikes", cls=Group)
def spikes() -> None:
    """给时间序列的异常打分。"""


@spikes.command("score", examples=["shengwen spikes score 每小时负面.csv > 打分.csv"])
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def score(file: Path) -> None:
    """读 timestamp,value 两列的 CSV，输出 timestamp,value,score；score 在 0 与 1 之间，只用到当时为止的数据。"""
    from alerts.series import score_series

    rows = _read(file)
    scores = score_series([at for at, _, _ in rows], [value for _, value, _ in rows])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["timestamp", "value", "score"])
    for (_, _, (written, number)), one in zip(rows, scores, strict=True):
        writer.writerow([written, number, f"{one:.6f}"])


def _read(file: Path) -> list[tuple[datetime, float, tuple[str, str]]]:
    rows: list[tuple[datetime, float, tuple[str, str]]] = []
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as source:
        reader = csv.DictReader(source)
        try:
            heading = set(reader.fieldnames or ())
        except csv.Error:
            heading = set()
        if not {"timestamp", "value"} <= heading:
            raise UserError(f"{file.name} 的第一行应有 timestamp 和 value 两列")
        for row in _rows(reader, file):
            written, number = row["timestamp"] or "", row["value"] or ""
            try:
                at, value = datetime.fromisoformat(written), float(number)
            except ValueError:
                raise UserError(
                    f"{file.name} 第 {reader.line_num} 行：时间或数值读不懂（{written},{number}）"
                ) from None
            if not math.isfinite(value):
                raise UserError(f"{file.name} 第 {reader.line_num} 行：{number} 不是有限的数")
            if rows and (at.tzinfo is None) != (rows[0][0].tzinfo is None):
                raise UserError(f"{file.name} 第 {reader.line_num} 行：时区写法与前面不一致")
            if rows and at < rows[-1][0]:
                raise UserError(f"{file.name} 第 {reader.line_num} 行：时间比上一行早，请先按时间排序")
            rows.append((at, value, (written, number)))
    return rows


def _rows(reader: csv.DictReader[str], file: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:
        raise UserError(f"{file.name} 第 {reader.line_num} 行不是有效的 CSV（{error}）") from error
