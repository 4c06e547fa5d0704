"""Texts labelled for this project: invented ones in ``examples/*.txt``, real ones by hash in ``examples/real.tsv``.

A line of an example file is ``<sentiment><intent> [!mark …]<TAB>text``, where ``{stretch|tag±0 …}`` in the text shows
on what words a tag rests. Real texts are other people's, so only their hash and labels are kept; tags name a clause.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from classify.clauses import split
from classify.corpora import read_unlabelled
from classify.taxonomy import load_taxonomy
from ingest.analysis import Intent, SentimentLabel
from ingest.errors import UserError
from ingest.fold import fold

INTENTS: tuple[Intent, ...] = ("complaint", "suggestion", "question", "praise", "other")
MARKS = ("ad", "tpl", "off", "irony", "safe", "fear")
"""Advertisement, template, off topic, irony, danger that is meant, danger that is not."""

_SIGNS: dict[str, SentimentLabel] = {"-": "negative", "0": "neutral", "+": "positive"}
_INTENTS: dict[str, Intent] = {intent[0]: intent for intent in INTENTS} | {"q": "question"}
_STRETCH = re.compile(r"\{([^{}|]+)\|([^{}|]+)\}")
_TAG = re.compile(r"(\D+?)([-0+])")
_PLACED = re.compile(r"(\d+)(\D+?)([-0+])")


@dataclass(frozen=True, slots=True)
class LabelledTag:
    """A tag's full name, its sentiment and the stretch [start, end) it rests on."""

    tag: str
    sentiment: SentimentLabel
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Labelled:
    """One text with everything a careful reader says of it. ``source`` names its file."""

    text: str
    source: str
    sentiment: SentimentLabel
    intent: Intent
    marks: frozenset[str]
    tags: tuple[LabelledTag, ...]

    @property
    def kept_back(self) -> bool:
        """Never trained on: one real text in five, by its hash, and the files that only test."""
        return self.source.startswith("test") or (self.source == "real" and self._digest[2] % 5 == 0)

    @property
    def tuning(self) -> bool:
        """Not trained on by the encoder, but used to join and calibrate what it says: one of the rest in nine."""
        return not self.kept_back and self._digest[3] % 9 == 0

    @property
    def _digest(self) -> bytes:
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).digest()


@cache
def tag_names() -> tuple[str, ...]:
    """The tags of the shipped taxonomy, in its order: what the encoder's tag head was trained for."""
    return tuple(tag.name for tag in load_taxonomy().tags)


@cache
def _codes() -> dict[str, str]:
    text = files("classify").joinpath("examples", "codes.tsv").read_text("utf-8")
    return dict(line.split("\t") for line in text.splitlines())


def invented() -> list[Labelled]:
    """Every example that was written for this project. Raises UserError naming a line that does not fit."""
    folder = files("classify").joinpath("examples")
    named = sorted((file for file in folder.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name)
    return [each for file in named for each in read_file(file)]


def read_file(file: Traversable | Path) -> Iterator[Labelled]:
    """The examples of one file."""
    for number, line in enumerate(file.read_text("utf-8").splitlines(), 1):
        if line and not line.startswith("#"):
            try:
                yield _parse(line, file.name.removesuffix(".txt"))
            except (ValueError, KeyError) as error:
                raise UserError(f"{file.name} 第 {number} 行不合格式：{error}") from error


def real(data: Path) -> list[Labelled]:
    """The real water-heater reviews that carry labels, their text taken from ``data``."""
    rows = files("classify").joinpath("examples", "real.tsv").read_text("utf-8").splitlines()
    labels = dict(row.split("\t", 1) for row in rows if not row.startswith("#"))
    found = []
    for text in dict.fromkeys(read_unlabelled(data, labelled=True)):
        label = labels.get(key_of(text))
        if label is not None:
            found.append(_placed(text, label))
    return found


def key_of(text: str) -> str:
    """What a real text is known by in our files."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _parse(line: str, source: str) -> Labelled:
    label, marked = line.split("\t")
    text = ""
    tags = []
    at = 0
    for stretch in _STRETCH.finditer(marked):
        text += marked[at : stretch.start()]
        start = len(text)
        text += stretch[1]
        for code in stretch[2].split():
            found = _TAG.fullmatch(code)
            if found is None:
                raise ValueError(f"标签“{code}”不认识")
            tags.append(LabelledTag(_codes()[found[1]], _SIGNS[found[2]], start, len(text)))
        at = stretch.end()
    text += marked[at:]
    head, *marks = label.split()
    return Labelled(text, source, _SIGNS[head[0]], _INTENTS[head[1]], _marks(marks), tuple(tags))


def _placed(text: str, label: str) -> Labelled:
    head, *rest = label.split()
    clauses = split(fold(text))
    tags = []
    for entry in rest:
        found = _PLACED.fullmatch(entry)
        if found is not None and clauses:
            start, end = clauses[min(int(found[1]), len(clauses)) - 1]
            tags.append(LabelledTag(_codes()[found[2]], _SIGNS[found[3]], start, end))
    marks = _marks([entry for entry in rest if entry.startswith("!")])
    return Labelled(text, "real", _SIGNS[head[0]], _INTENTS[head[1]], marks, tuple(tags))


def _marks(entries: list[str]) -> frozenset[str]:
    marks = frozenset(entry[1:] for entry in entries)
    if not marks <= set(MARKS):
        raise ValueError(f"标记 {sorted(marks - set(MARKS))} 不认识")
    return marks
