"""Tables in two languages: Chinese on the terminal, English in the document that is kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field

from classify.evaluation.metrics import Figure


@dataclass(frozen=True, slots=True)
class Name:
    """The same words in Chinese and in English."""

    zh: str
    en: str


Cell = Name | Figure | str | int | float | None


@dataclass(slots=True)
class Table:
    """``columns`` name the cells of each row; ``notes`` stand below. Null cells are what cannot be said."""

    title: Name
    columns: Sequence[Name]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    notes: list[Name] = field(default_factory=list)

    def without_empty_columns(self) -> Table:
        """The table without the columns in which nothing is said."""
        kept = [n for n in range(len(self.columns)) if any(row[n] is not None for row in self.rows)]
        rows: list[Sequence[Cell]] = [[row[n] for n in kept] for row in self.rows]
        return Table(self.title, [self.columns[n] for n in kept], rows, self.notes)


def on_terminal(table: Table) -> str:
    """Columns aligned, Han characters counted as two wide."""
    shown = [[column.zh for column in table.columns]]
    shown += [[_written(cell, chinese=True) for cell in row] for row in table.rows]
    widths = [max(_width(row[n]) for row in shown) for n in range(len(table.columns))]
    words = [any(isinstance(row[n], str | Name) for row in table.rows) for n in range(len(table.columns))]
    lines = [f"== {table.title.zh}"]
    for row in shown:
        cells = [
            cell + " " * (width - _width(cell)) if left else " " * (width - _width(cell)) + cell
            for cell, width, left in zip(row, widths, words, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    lines += [f"  {note.zh}" for note in table.notes]
    return "\n".join(lines) + "\n"


def in_markdown(table: Table) -> str:
    """A section with the table in English."""
    words = [any(isinstance(row[n], str | Name) for row in table.rows) for n in range(len(table.columns))]
    lines = [f"## {table.title.en}", ""]
    lines.append("| " + " | ".join(column.en for column in table.columns) + " |")
    lines.append("| " + " | ".join(":--" if left else "--:" for left in words) + " |")
    for row in table.rows:
        lines.append("| " + " | ".join(_written(cell, chinese=False).replace("|", "\\|") for cell in row) + " |")
    for note in table.notes:
        lines += ["", note.en]
    return "\n".join(lines) + "\n"


def _written(cell: Cell, *, chinese: bool) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, Name):
        return cell.zh if chinese else cell.en
    if isinstance(cell, Figure):
        return f"{_short(cell.value)} ({_short(cell.low)}–{_short(cell.high)})"
    if isinstance(cell, float):
        return _short(cell)
    return f"{cell:,}" if isinstance(cell, int) else cell


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0") if 0 <= value < 1 else f"{value:.3f}"


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "FW" else 1 for char in text)
