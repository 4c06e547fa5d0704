"""The whole report: every set, every contender, every table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from classify.base import Classifier
from classify.encoder import Encoder
from classify.evaluation import sections
from classify.evaluation.contenders import Answer, Contender, Fp32, OfClassifier, manifests, rivals
from classify.evaluation.sets import WATER_HEATERS, JudgedSet, own_sets, real_sets
from classify.evaluation.tables import Table, in_markdown, on_terminal
from classify.heads import Floats
from classify.linear import LinearClassifier
from classify.taxonomy import Taxonomy
from ingest.fold import fold

Say = Callable[[str], None]

LINEAR_SAW = frozenset({WATER_HEATERS})
"""What the linear model was trained on, or calibrated by, that judges here."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Who is judged, and by what. ``full`` and ``encoder``: its encoder in FP32 and INT8; ``most`` texts a set."""

    classifier: Classifier
    taxonomy: Taxonomy
    rivals: Sequence[Contender] = ()
    full: Fp32 | None = None
    encoder: Encoder | None = None
    data: Path | None = None
    most: int | None = None


def contest_of(
    classifier: Classifier,
    taxonomy: Taxonomy,
    *,
    data: Path | None = None,
    compare: bool = False,
    fp32: Path | None = None,
    most: int | None = None,
) -> Contest:
    """Judge ``classifier`` by the sets in ``data`` and our own; ``compare`` it with the rivals and the linear model.

    ``fp32`` is a folder of the encoder before it became INT8 (see :class:`Fp32`). Raises UserError when something that
    is compared with is not installed or not there.
    """
    others: list[Contender] = []
    if compare:
        others = rivals()
        if not isinstance(classifier, LinearClassifier):
            others.append(OfClassifier(LinearClassifier(taxonomy), saw=LINEAR_SAW))
    full, encoder = (None, None) if fp32 is None else (Fp32(fp32), Encoder())
    return Contest(classifier, taxonomy, others, full, encoder, data, most)


def report(contest: Contest, say: Say, progress: Say = lambda _: None) -> None:
    """The tables, in Chinese, one by one to ``say``.

    Only tags that the taxonomy shares with the shipped one are judged.
    Raises UserError as :func:`tables` does, and when an example file does not fit.
    """
    for table in tables(contest, progress):
        say(on_terminal(table))


def tables(contest: Contest, progress: Say = lambda _: None) -> Iterator[Table]:
    """Every table that has rows. Raises UserError when there is no data where ``contest.data`` points."""
    linear = isinstance(contest.classifier, LinearClassifier)
    ours = OfClassifier(contest.classifier, saw=LINEAR_SAW if linear else frozenset())
    contenders = [ours, *contest.rivals, *([contest.full] if contest.full else [])]
    sets = own_sets() if contest.data is None else [*real_sets(contest.data), *own_sets()]
    sets = [each.at_most(contest.most) for each in sets]
    answers: dict[tuple[str, str], Sequence[Answer]] = {}
    for who in contenders:
        for each in sets:
            progress(f"{who.name}：{each.name.zh}，{len(each.texts):,} 条")
            answers[each.key, who.name] = who.answer([text.text for text in each.texts])
    for table in _tables(contest, ours, contenders, sets, answers):
        if table.rows:
            yield table


def _tables(
    contest: Contest,
    ours: Contender,
    contenders: Sequence[Contender],
    sets: Sequence[JudgedSet],
    answers: sections.Answers,
) -> Iterator[Table]:
    known = sections.known_tags(contest.taxonomy)
    readers = [who for who in contenders if isinstance(who, OfClassifier)]
    yield sections.what_judges(sets)
    yield sections.sentiment(sets, contenders, answers)
    yield sections.by_length(sets, contenders, answers)
    yield sections.intents(sets, readers, answers)
    yield sections.tags(sets, readers, answers, known)
    yield sections.flags(sets, readers, answers)
    for each in sets:
        if any(text.kind for text in each.texts):
            yield sections.by_kind(each, contenders, answers, known)
    yield sections.safety_sentences(contest.classifier, contest.taxonomy)
    yield sections.each_tag(sets, ours, answers, known)
    if contest.full is not None and contest.encoder is not None:
        encode = partial(_vectors, contest.encoder)
        yield sections.agreement(sets, encode, contest.full.vectors, contest.full.head)


def _vectors(encoder: Encoder, texts: Sequence[str]) -> Floats:
    return encoder.encode([fold(text) for text in texts], [()] * len(texts)).texts


def document(found: Sequence[Table], contest: Contest, command: str, day: date) -> str:
    """The report as Markdown, in English. ``command`` is what wrote it."""
    lines = [
        "# Evaluation",
        "",
        f"Written on {day.isoformat()} by `{command}`; never edited by hand.",
        "",
        f"Judged: `{contest.classifier.name}`. Weights, by SHA-256:",
        "",
        *_weights(),
        "",
        "Numbers on sets marked *real* rest on what people wrote; what ships was trained on none of these texts, "
        "unless a row is marked †. Numbers on sets marked *invented* rest on sentences written for this project: they "
        "say what is covered, not what to expect in the field.",
    ]
    if contest.most is not None:
        lines += ["", f"At most {contest.most:,} texts of each set were taken, chosen by hash."]
    return "\n".join(lines) + "\n\n" + "\n".join(map(in_markdown, found))


def _weights() -> Iterator[str]:
    for manifest in manifests():
        listed = manifest["sha256"]
        digests = listed if isinstance(listed, dict) else {"weights": listed}
        for file, digest in digests.items():
            yield f"- `{manifest['name']}`, {file}: `{digest}`"
