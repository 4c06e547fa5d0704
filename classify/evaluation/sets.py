"""The texts that judge: none of them was trained on by what ships.

Invented texts are ours: the example files whose names begin with ``test``, and an older list that was read while the
linear model's rules were written. Real ones are read from a folder of other people's data, which never ships.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from classify.corpora import Corpus, held_back, joining, read_corpora, read_examples, read_water_heaters
from classify.evaluation.tables import Name
from classify.labelled import Labelled, invented, read_file, real
from ingest.analysis import Flag, Intent, SentimentLabel
from ingest.fold import fold

LEFT_OUT = "酒店"
"""The shop category that ``classify.training.material`` shows the encoder last."""

LENGTHS = ((0, 10), (11, 30), (31, 80), (81, 1_000_000))
"""Bands of text length in characters, both ends inside."""

MARKED: dict[str, Flag] = {
    "safe": "safety",
    "ad": "advertisement",
    "tpl": "template",
    "off": "off_topic",
    "irony": "sarcasm",
}
"""Marks of labelled texts and the flags of an analysis that say the same."""

_JUDGES = "test"
"""What the names of example files that judge begin with."""

WATER_HEATERS = "water_heaters"
HOTELS = "hotels"

_NAMES = {
    "shopping": Name("网购评论", "shop reviews"),
    "jd_clauses": Name("京东笔记本分句", "JD laptop clauses"),
    "weibo": Name("微博", "Weibo posts"),
    "cars": Name("汽车论坛", "car forum"),
    "cosmetics": Name("美妆评论", "cosmetics reviews"),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A text and what a careful reader says of it; null is what its source does not say.

    ``tags`` are (tag, sentiment). ``kind`` is the kind of hard text it stands for, or empty.
    """

    text: str
    sentiment: SentimentLabel
    intent: Intent | None = None
    marks: frozenset[str] | None = None
    tags: frozenset[tuple[str, SentimentLabel]] | None = None
    kind: str = ""


@dataclass(frozen=True, slots=True)
class JudgedSet:
    """Texts of one source. ``invented``: written for this project, so it says what is covered, not what to expect."""

    key: str
    name: Name
    about: Name
    invented: bool
    texts: tuple[Judged, ...]

    def at_most(self, most: int | None) -> JudgedSet:
        """The same set with at most so many texts, chosen by hash."""
        if most is None or len(self.texts) <= most:
            return self
        chosen = sorted(self.texts, key=lambda each: _digest(each.text))[:most]
        return JudgedSet(self.key, self.name, self.about, self.invented, tuple(chosen))


def own_sets() -> list[JudgedSet]:
    """The invented sets, without what also stands among the training examples (a platform's default review, say).

    Raises UserError naming a line that does not fit.
    """
    trained = {fold(each.text) for each in invented() if not each.source.startswith(_JUDGES)}
    folder = files("classify").joinpath("examples")
    named = sorted((file for file in folder.iterdir() if _judges(file.name)), key=lambda file: file.name)
    hard = tuple(each for file in named for each in _kinds(file) if fold(each.text) not in trained)
    older = tuple(_older(example) for example in read_examples("hard") if fold(example["text"]) not in trained)
    return [
        JudgedSet(
            "hard",
            Name("自拟难句", "invented hard texts"),
            Name("为评测而写，从不用于训练", "written to judge, by kinds of difficulty; never trained on"),
            True,
            hard,
        ),
        JudgedSet(
            "older",
            Name("自拟旧难句", "older invented texts"),
            Name("写规则时读过，只说明覆盖", "read while the rules were written: says what is covered, no more"),
            True,
            older,
        ),
    ]


def real_sets(data: Path) -> list[JudgedSet]:
    """The real sets that are found under ``data``. Raises UserError when there is none."""
    corpora = read_corpora(data)
    labelled = real(data)
    trained = {_letters(each.text) for each in labelled if not each.kept_back}
    older = read_water_heaters(data)
    found = [
        JudgedSet(
            "real",
            Name("热水器评论", "water-heater reviews"),
            Name("我们逐条标注、训练时留下的五分之一", "read and labelled for this project, the one in five kept back"),
            False,
            tuple(_judged(each) for each in labelled if each.kept_back),
        ),
        JudgedSet(
            WATER_HEATERS,
            Name("热水器评论（旧标注）", "water-heater reviews, older labels"),
            Name(
                "较早标注的 420 条，偏难，去掉与训练文本只差标点的",
                "420 labelled earlier, leaning to hard texts, less those that differ from a trained one in punctuation",
            ),
            False,
            plain(older.where([_letters(text) not in trained for text in older.texts])),
        ),
    ]
    for corpus in corpora:
        corpus = corpus.where([held_back(text) and not joining(text) for text in corpus.texts])
        about = Name("公开数据里按哈希留下的四十分之一", "the one text in forty that nothing was fitted on, by hash")
        name = _NAMES.get(corpus.name, Name(corpus.name, corpus.name))
        found.append(JudgedSet(corpus.name, name, about, False, plain(corpus)))
        hotels = plain(corpus.where([group == LEFT_OUT for group in corpus.groups]))
        about = Name("其中的酒店评论", "those of the shop reviews that speak of hotels")
        found.append(JudgedSet(HOTELS, Name("酒店评论", "hotel reviews"), about, False, hotels))
    return [each for each in found if each.texts]


def _judges(name: str) -> bool:
    return name.startswith(_JUDGES) and name.endswith(".txt")


def _kinds(file: Traversable) -> Iterator[Judged]:
    """The texts of one example file, each with the kind that the last comment line above it names."""
    kinds = []
    kind = ""
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("#"):
            kind = line.lstrip("# ").strip()
        elif line:
            kinds.append(kind)
    for each, of_kind in zip(read_file(file), kinds, strict=True):
        yield _judged(each, of_kind)


def _judged(each: Labelled, kind: str = "") -> Judged:
    tags = frozenset((tag.tag, tag.sentiment) for tag in each.tags)
    return Judged(each.text, each.sentiment, each.intent, each.marks, tags, kind)


def _older(example: dict[str, object]) -> Judged:
    marks = {flag: mark for mark, flag in MARKED.items()}
    flags, tags = example["flags"], example.get("tags")
    assert isinstance(flags, list)
    assert tags is None or isinstance(tags, dict)
    return Judged(
        str(example["text"]),
        example["sentiment"],  # type: ignore[arg-type]
        example["intent"],  # type: ignore[arg-type]
        frozenset(marks[flag] for flag in flags if flag in marks),
        None if tags is None else frozenset(tags.items()),
    )


def plain(corpus: Corpus) -> tuple[Judged, ...]:
    """The texts of a corpus, of which only the sentiment is known."""
    return tuple(
        Judged(text, label)  # type: ignore[arg-type]
        for text, label in zip(corpus.texts, corpus.labels, strict=True)
    )


def _letters(text: str) -> str:
    """The same review stands in some files more than once, with other punctuation."""
    return "".join(char for char in fold(text) if char.isalnum())


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
