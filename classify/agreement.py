"""How well a classifier agrees with what people corrected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from classify.base import Classifier
from classify.corrections import Correction
from ingest.analysis import Analysis
from ingest.errors import ContractError

_WORST_SHOWN = 20
_EXCERPT = 40
_SENTIMENTS = {"negative": "负面", "neutral": "中性", "positive": "正面"}


@dataclass(frozen=True, slots=True)
class Agreement:
    """``sentiment`` is the share of mentions whose overall sentiment is right; ``precision`` and ``recall`` are of
    tags together with their sentiment, over all mentions, null where there is nothing to divide by."""

    sentiment: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class Wrong:
    """One correction that the classifier does not agree with."""

    correction: Correction
    said: Analysis


@dataclass(frozen=True, slots=True)
class CorrectionsReport:
    """``before`` is of the analyses that were corrected, ``now`` of the classifier that was asked.

    What a person left standing counts as right: who corrects a tag has seen the sentiment, too.
    """

    model: str
    corrections: int
    before: Agreement
    now: Agreement
    wrong: tuple[Wrong, ...]

    def lines(self) -> Iterator[str]:
        """The report for people, line by line."""
        yield f"人工纠正 {self.corrections} 条，分类器 {self.model}"
        if not self.corrections:
            return
        for name, one in (("纠正时", self.before), ("现在", self.now)):
            yield (
                f"{name}：情感一致 {one.sentiment:.1%}，标签（连同情感）查准 {_share(one.precision)}，"
                f"查全 {_share(one.recall)}"
            )
        if self.wrong:
            yield f"现在还不一致的 {len(self.wrong)} 条："
        for wrong in self.wrong[:_WORST_SHOWN]:
            text = "".join(char if char.isprintable() else " " for char in wrong.correction.text)
            text = " ".join(text.split())
            shown = text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
            yield f"  {shown}"
            yield f"    应为 {_words(wrong.correction.wanted)}；判为 {_words(wrong.said)}"
        if len(self.wrong) > _WORST_SHOWN:
            yield f"  另有 {len(self.wrong) - _WORST_SHOWN} 条"


def corrections_report(classifier: Classifier, corrections: Sequence[Correction]) -> CorrectionsReport:
    """Ask the classifier for every corrected text, as it stood. Raises ContractError when it answers for others."""
    said = classifier.analyse([correction.utterance for correction in corrections])
    if len(said) != len(corrections):
        raise ContractError(f"{classifier.name} answered {len(said)} of {len(corrections)} texts")
    wanted = [correction.wanted for correction in corrections]
    return CorrectionsReport(
        model=classifier.name,
        corrections=len(corrections),
        before=agreement(wanted, [correction.before for correction in corrections]),
        now=agreement(wanted, said),
        wrong=tuple(
            Wrong(correction, one)
            for correction, right, one in zip(corrections, wanted, said, strict=True)
            if right.sentiment.label != one.sentiment.label or _tags(right) != _tags(one)
        ),
    )


def agreement(wanted: Sequence[Analysis], said: Sequence[Analysis]) -> Agreement:
    """Compare analyses with what is right, one by one. No analyses agree perfectly."""
    if not wanted:
        return Agreement(1.0, None, None)
    right = sum(a.sentiment.label == b.sentiment.label for a, b in zip(wanted, said, strict=True))
    found = sum(len(_tags(a) & _tags(b)) for a, b in zip(wanted, said, strict=True))
    given, needed = sum(len(_tags(b)) for b in said), sum(len(_tags(a)) for a in wanted)
    return Agreement(right / len(wanted), found / given if given else None, found / needed if needed else None)


def _tags(analysis: Analysis) -> set[tuple[str, str]]:
    return {(tag.tag, tag.sentiment) for tag in analysis.tags}


def _share(value: float | None) -> str:
    return "—" if value is None else f"{value:.1%}"


def _words(analysis: Analysis) -> str:
    tags = "、".join(f"{tag}（{_SENTIMENTS[label]}）" for tag, label in sorted(_tags(analysis)))
    return f"{_SENTIMENTS[analysis.sentiment.label]}，{tags or '没有标签'}"
