"""The texts that training and evaluation read: other people's sets from a folder, and our own invented examples.

Other people's text is never part of this repository; only weights and our labels (by hash of the text) are.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from classify.scorer import LABELS
from classify.taxonomy import Taxonomy
from ingest.errors import UserError

_EMOTIONS = {"angry": "negative", "sad": "negative", "fear": "negative", "happy": "positive", "neural": "neutral"}
_CARS = {"-1": "negative", "0": "neutral", "1": "positive"}
_COSMETICS = {"正面": "positive", "负面": "negative", "中性": "neutral"}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Labelled texts of one source. ``groups`` are categories inside it (a shop's departments), or empty strings."""

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]

    def where(self, keep: list[bool]) -> Corpus:
        kept = [i for i, wanted in enumerate(keep) if wanted]
        return Corpus(
            self.name,
            tuple(self.texts[i] for i in kept),
            tuple(self.labels[i] for i in kept),
            tuple(self.groups[i] for i in kept),
        )


def held_back(text: str) -> bool:
    """One text in twenty, by its hash: never trained on, so that evaluation may judge by it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[0] % 20 == 0


def joining(text: str) -> bool:
    """Half of what is held back: neither the encoder nor the n-grams saw it, so how they are joined is fitted on it.

    The other half judges.
    """
    return held_back(text) and hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[9] % 2 == 0


def read_corpora(data: Path) -> list[Corpus]:
    """The labelled sets under ``data``. Raises UserError when none is there."""
    found = [
        _corpus("shopping", _rows(data, "sentiment/shopping.tsv.gz"), lambda row: (row[0], row[1], row[2])),
        _corpus("jd_clauses", _rows(data, "sentiment/jd_clauses.tsv.gz"), lambda row: (row[0], row[1], "")),
        _corpus("weibo", _rows(data, "sentiment/weibo_emotion.tsv.gz"), lambda r: (r[0], _EMOTIONS.get(r[1], ""), "")),
        _corpus("cars", _rows(data, "topic/car_opinions.tsv.gz"), lambda row: (row[0], _CARS.get(row[2], ""), row[1])),
        _cosmetics(_rows(data, "topic/cosmetics_aspects.tsv.gz")),
    ]
    kept = [corpus for corpus in found if corpus.texts]
    if not kept:
        raise UserError(f"{data} 里没有找到训练数据（例如 sentiment/shopping.tsv.gz），请检查 --data 指向的文件夹")
    return kept


def read_topics(data: Path) -> list[tuple[str, int]]:
    """Laptop clauses with the number of their topic, in the order of the topics' names."""
    rows = list(_rows(data, "topic/jd_clauses.tsv.gz"))
    topics = sorted({row[1] for row in rows})
    return [(row[0], topics.index(row[1])) for row in rows]


def read_topic_texts(data: Path, name: str) -> list[tuple[str, str, str]]:
    """(text, topic, sentiment) of ``cars`` or ``cosmetics``; a text with several topics has a row for each."""
    file, signs = {"cars": ("car_opinions", _CARS), "cosmetics": ("cosmetics_aspects", _COSMETICS)}[name]
    rows = _rows(data, f"topic/{file}.tsv.gz")
    return [(row[0].strip(), row[1], signs[row[2]]) for row in rows if row[2] in signs]


def read_unlabelled(data: Path, *, labelled: bool = False) -> list[str]:
    """Water-heater reviews, the nearest real text to what ships; without those in the older label file unless asked."""
    labels = {} if labelled else water_heater_labels()
    return [row[0] for row in _rows(data, "unlabelled/water_heater_jd.tsv.gz") if _key(row[0]) not in labels]


def read_water_heaters(data: Path) -> Corpus:
    """The water-heater reviews that were read and labelled for this project, overall sentiment, 420 of them."""
    labels = water_heater_labels()
    rows = [
        (row[0], labels[_key(row[0])])
        for row in _rows(data, "unlabelled/water_heater_jd.tsv.gz")
        if _key(row[0]) in labels
    ]
    unique = dict(rows)
    return Corpus("water_heaters", tuple(unique), tuple(unique.values()), ("",) * len(unique))


def water_heater_labels() -> dict[str, str]:
    text = files("classify").joinpath("examples", "water_heater_labels.tsv").read_text("utf-8")
    return dict(line.split("\t") for line in text.splitlines()[1:])


def read_examples(name: str) -> list[dict[str, Any]]:
    """Our own invented sentences: ``training`` or ``hard``; each has text, sentiment, intent, flags, perhaps tags."""
    text = files("classify").joinpath("examples", f"{name}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def own_corpus(taxonomy: Taxonomy) -> Corpus:
    """The taxonomy's example sentences and ``examples/training.jsonl``."""
    pairs = {sentence: label for tag in taxonomy.tags for label in LABELS for sentence in getattr(tag.examples, label)}
    pairs |= {example["text"]: example["sentiment"] for example in read_examples("training")}
    return Corpus("own", tuple(pairs), tuple(pairs.values()), ("",) * len(pairs))


def _rows(data: Path, name: str) -> Iterator[list[str]]:
    path = data / name
    if not path.exists():
        return
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter="\t")
        next(rows, None)
        yield from (row for row in rows if row and row[0].strip())


def _corpus(name: str, rows: Iterator[list[str]], pick: Any) -> Corpus:
    picked = [pick(row) for row in rows]
    kept = [entry for entry in picked if entry[1] in LABELS]
    return Corpus(name, tuple(e[0] for e in kept), tuple(e[1] for e in kept), tuple(e[2] for e in kept))


def _cosmetics(rows: Iterator[list[str]]) -> Corpus:
    """Reviews whose aspects all have one polarity; the set labels aspects, not reviews."""
    polarities: dict[str, set[str]] = {}
    for row in rows:
        polarities.setdefault(row[0], set()).add(_COSMETICS.get(row[2], ""))
    pairs = {text: next(iter(found)) for text, found in polarities.items() if len(found) == 1}
    return Corpus("cosmetics", tuple(pairs), tuple(pairs.values()), ("",) * len(pairs))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:20]
