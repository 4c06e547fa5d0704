"""Reading a text: its clauses, and which words of the lexicon and the taxonomy stand in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from classify.base import Utterance
from classify.clauses import asks, split
from classify.lexicon import Lexicon, load_lexicon
from classify.modality import Denial, Modality, either_or, forbidden
from classify.words import Hit, Words
from ingest.fold import fold

MAX_READ = 200_000
"""Characters that are read; a text cannot cost more than this however long it is."""


@dataclass(slots=True)
class Clause:
    """One clause: ``[start, end)``, its words, and what the lexicon counts in it.

    ``words`` maps word numbers to their hits; ``kinds`` maps lists of the lexicon to hits. ``good`` and ``bad`` count
    polar words after denial.
    """

    start: int
    end: int
    question: bool
    words: dict[int, list[Hit]] = field(default_factory=dict)
    kinds: dict[str, list[Hit]] = field(default_factory=dict)
    good: int = 0
    bad: int = 0

    def has(self, kind: str) -> bool:
        return kind in self.kinds


@dataclass(slots=True)
class Reading:
    """A text as the rules see it. ``folded`` has the offsets of the text itself."""

    utterance: Utterance
    folded: str
    clauses: list[Clause]

    def count(self, kind: str) -> int:
        """How many words of a list of the lexicon the text holds."""
        return sum(len(clause.kinds[kind]) for clause in self.clauses if kind in clause.kinds)

    def has(self, kind: str) -> bool:
        return any(kind in clause.kinds for clause in self.clauses)


class Reader:
    """Reads texts for one vocabulary, to which the taxonomy's words have been added."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self.lexicon: Lexicon = load_lexicon(words)
        self.denial = Denial(self.lexicon)

    def read(self, utterance: Utterance) -> Reading:
        folded = fold(utterance.text[:MAX_READ])
        clauses = [Clause(start, end, asks(folded, end)) for start, end in split(folded)]
        if clauses:
            self._sort_in(self.words.scan(folded), clauses)
        for clause in clauses:
            self._weigh(folded, clause)
        return Reading(utterance, folded, clauses)

    def _sort_in(self, hits: list[Hit], clauses: list[Clause]) -> None:
        """Give every hit to the clause it starts in; one in the punctuation after a clause belongs to that clause."""
        kinds = self.lexicon.kinds
        at, last = 0, len(clauses) - 1
        clause = clauses[0]
        reach = clauses[1].start if last else MAX_READ
        for hit in hits:
            start, end, word = hit
            if end > reach or start >= reach:
                while start >= clause.end and at < last and end > clauses[at + 1].start:
                    at += 1
                    clause = clauses[at]
                reach = clauses[at + 1].start if at < last else MAX_READ
            if start < clause.start and end <= clause.start:
                continue
            words = clause.words
            if word in words:
                words[word].append(hit)
            else:
                words[word] = [hit]
            if word in kinds:
                for kind in kinds[word]:
                    clause.kinds.setdefault(kind, []).append(hit)

    def _weigh(self, folded: str, clause: Clause) -> None:
        if not clause.kinds:
            return
        for kind, sign in (("polar.positive", 1), ("polar.negative", -1)):
            for hit in clause.kinds.get(kind, ()):
                good = (sign > 0) != self.denial.denied(folded, clause.start, hit.start)
                clause.good += good
                clause.bad += not good

    def modality(self, reading: Reading, clause: Clause, hit: Hit) -> Modality:
        """Whether what a word says is meant, feared or supposed, or denied."""
        folded = reading.folded
        if either_or(folded, hit.start) or forbidden(folded, clause.start, hit.start):
            return "feared"
        if self.denial.denied(folded, clause.start, hit.start):
            return "feared" if _before(clause, "unreal.hope", hit) else "denied"
        if clause.has("unreal.near"):
            return "meant"
        if _before(clause, "unreal.feared", hit, clause.kinds.get("unreal.feared_not", ())):
            return "feared"
        if clause.has("unreal.question") and (clause.question or _asking_end(folded, clause)):
            return "feared"
        return "meant"


def _before(clause: Clause, kind: str, hit: Hit, masks: Sequence[Hit] = ()) -> bool:
    return any(
        cue.start < hit.start and not any(mask.start <= cue.start and cue.end <= mask.end for mask in masks)
        for cue in clause.kinds.get(kind, ())
    )


def _asking_end(folded: str, clause: Clause) -> bool:
    return folded[clause.end - 1] in "吗么嘛"
