"""What the encoder is trained on: texts with whatever labels each source has for each task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from classify.clauses import split
from classify.corpora import Corpus, held_back, joining, read_corpora, read_topics, read_unlabelled
from classify.labelled import INTENTS, MARKS, Labelled, real, tag_names
from classify.scorer import LABELS
from classify.taxonomy import load_taxonomy
from ingest.fold import fold

LEFT_OUT = ("酒店",)
"""A shop category that training sees last of all: until then it judges as text from elsewhere (see the model card)."""

UNKNOWN = -1


@dataclass(slots=True)
class Example:
    """One folded text and its labels; ``UNKNOWN`` or null where the source does not say.

    ``polar``: the source knows only good and bad, so the neutral logit is left alone. ``clauses`` are [start, end);
    ``clause_tags`` holds the tag numbers of each; ``clause_sentiment`` and ``clause_danger`` a label for each.
    """

    text: str
    source: str
    sentiment: int = UNKNOWN
    polar: bool = False
    intent: int = UNKNOWN
    marks: tuple[int, ...] | None = None
    topic: int = UNKNOWN
    clauses: list[tuple[int, int]] = field(default_factory=list)
    clause_tags: list[frozenset[int]] | None = None
    clause_sentiment: list[int] | None = None
    clause_danger: list[int] | None = None
    weight: float = 1.0


def public_examples(data: Path, *, everything: bool = False) -> list[Example]:
    """Other people's sentiment sets without what is held back, and, but for ``everything``, what is left out."""
    found = []
    for corpus in read_corpora(data):
        if corpus.name not in _SHARE:
            continue
        for text, label, group in zip(corpus.texts, corpus.labels, corpus.groups, strict=True):
            if held_back(text) or (group in LEFT_OUT and not everything) or not _chosen(text, _SHARE[corpus.name]):
                continue
            found.append(_example(corpus, text, label))
    found += [Example(fold(text), "topics", topic=topic) for text, topic in read_topics(data) if not held_back(text)]
    return [example for example in found if example.text.strip()]


def joining_examples(data: Path) -> list[Example]:
    """Public texts that nothing was trained on, to fit how encoder and n-grams are joined."""
    return [
        with_clauses(_example(corpus, text, label))
        for corpus in read_corpora(data)
        if corpus.name in _SHARE
        for text, label in zip(corpus.texts, corpus.labels, strict=True)
        if joining(text) and fold(text).strip()
    ]


def unlabelled_examples(data: Path, most: int) -> list[Example]:
    """Water-heater reviews for the teacher to label: unlike each other, at most ``most``, chosen by hash."""
    unlike: dict[str, str] = {}
    judging = {_letters(each.text) for each in real(data) if each.kept_back}
    for text in read_unlabelled(data):
        folded = fold(text)
        if len(folded) >= 4 and not held_back(text) and _letters(text) not in judging:
            unlike.setdefault(_letters(text)[:14], folded)
    chosen = sorted(unlike.values(), key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return [with_clauses(Example(text, "unlabelled")) for text in chosen[:most]]


def _letters(text: str) -> str:
    """A text without its punctuation: many reviews stand in the set twice, pointed differently."""
    return "".join(char for char in fold(text) if char.isalnum())


def own_examples(labelled: Iterable[Labelled], weight: float) -> list[Example]:
    """Texts labelled for this project, invented or real, with all their labels."""
    numbers = {name: number for number, name in enumerate(tag_names())}
    return [_own(each, numbers, weight) for each in labelled]


def taxonomy_examples() -> list[Example]:
    """The example sentences of the shipped taxonomy, each with its tag on the whole of it."""
    found = []
    numbers = {name: number for number, name in enumerate(tag_names())}
    for tag in load_taxonomy().tags:
        for label in LABELS:
            for sentence in getattr(tag.examples, label):
                example = with_clauses(Example(fold(sentence), "taxonomy", LABELS.index(label)))
                if len(example.clauses) == 1:
                    example.clause_tags = [frozenset({numbers[tag.name]})]
                    example.clause_sentiment = [LABELS.index(label)]
                    example.clause_danger = [UNKNOWN]
                found.append(example)
    return found


def with_clauses(example: Example) -> Example:
    example.clauses = split(example.text)
    return example


_SHARE = {"shopping": 1.0, "jd_clauses": 1.0, "weibo": 0.67, "cosmetics": 1.0}


def _chosen(text: str, share: float) -> bool:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[1] < 256 * share


def _example(corpus: Corpus, text: str, label: str) -> Example:
    return Example(
        fold(text),
        corpus.name,
        LABELS.index(label),
        polar=corpus.name in ("shopping", "cosmetics") and label != "neutral",
        weight=0.5 if corpus.name == "weibo" else 1.0,
    )


def _own(each: Labelled, numbers: dict[str, int], weight: float) -> Example:
    example = with_clauses(Example(fold(each.text), each.source, weight=weight))
    example.sentiment = LABELS.index(each.sentiment)
    example.intent = INTENTS.index(each.intent)
    example.marks = tuple(int(mark in each.marks) for mark in MARKS)
    tags: list[set[int]] = [set() for _ in example.clauses]
    signs: list[set[int]] = [set() for _ in example.clauses]
    danger = [0] * len(example.clauses)
    located = False
    for tag in each.tags:
        for number, (start, end) in enumerate(example.clauses):
            shared = min(end, tag.end) - max(start, tag.start)
            if shared > 0 and (shared * 2 >= end - start or shared * 2 >= tag.end - tag.start):
                tags[number].add(numbers[tag.tag])
                signs[number].add(LABELS.index(tag.sentiment))
                if "safe" in each.marks and tag.tag == DANGER:
                    danger[number] = 1
                    located = True
    if "safe" in each.marks and not located:
        danger = [UNKNOWN] * len(danger)
    example.clause_tags = [frozenset(found) for found in tags]
    example.clause_sentiment = [next(iter(found)) if len(found) == 1 else UNKNOWN for found in signs]
    if len(example.clauses) == 1 and not signs[0]:
        example.clause_sentiment = [example.sentiment]
    example.clause_danger = danger
    return example


DANGER = "产品质量/爆裂安全"
