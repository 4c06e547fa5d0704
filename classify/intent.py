"""What the writer wants: to complain, to suggest, to ask, to praise, or nothing of us."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from classify.opinions import Opinion
from classify.reading import Clause, Reading
from classify.words import masked
from ingest.analysis import Intent, SentimentLabel

_ASKING_END = re.compile(r"[吗么呢嘛]$")


@dataclass(frozen=True, slots=True)
class Balance:
    """How praise and blame are divided: characters of clauses on each side, and whether the blame is mild."""

    praise: int
    blame: int
    mild: bool


def balance(reading: Reading, negatives: Sequence[float], positives: Sequence[float]) -> Balance:
    """Weigh a text's clauses; ``negatives`` and ``positives`` are 0-1 for each of them."""
    praise = blame = 0
    for clause, negative, positive in zip(reading.clauses, negatives, positives, strict=True):
        length = clause.end - clause.start
        if negative >= 0.5:
            blame += length
        elif positive >= 0.5:
            praise += length
    mild = reading.has("polar.mild") and not reading.has("polar.strong")
    return Balance(praise, blame, mild)


def demands(reading: Reading) -> bool:
    """Asks for action on what went wrong: 退货, 给个说法, 投诉; not 没想过投诉."""
    return reading.has("demand.action") or escalates(reading)


def escalates(reading: Reading) -> bool:
    """Threatens to take it outside: 12315, 曝光, 律师."""
    for clause in reading.clauses:
        masks = clause.kinds.get("demand.not_escalation", ())
        for hit in clause.kinds.get("demand.escalation", ()):
            if not masked(hit, masks):
                return True
    return False


def asking(reading: Reading) -> float:
    """How much of a question it is: 0 none, 1 one among other things, 2 nothing else."""
    best = 0.0
    for clause in reading.clauses:
        if clause.has("ask.rhetorical"):
            continue
        weight = 0.0
        masks = clause.kinds.get("ask.not", ())
        if any(not masked(hit, masks) for hit in clause.kinds.get("ask.strong", ())):
            weight = 2.0
        elif clause.has("ask.cues") and (clause.question or _ends_asking(reading.folded, clause)):
            weight = 1.5
        elif clause.question:
            weight = 1.0
        best = max(best, weight)
    return best


def suggesting(reading: Reading) -> bool:
    """Says how it could be better; 建议大家别买 is no suggestion to us."""
    for clause in reading.clauses:
        masks = clause.kinds.get("suggest.not", ())
        for hit in clause.kinds.get("suggest.cues", ()):
            if not any(mask.start <= hit.start < mask.end for mask in masks):
                return True
    return False


def intent_of(
    reading: Reading,
    label: SentimentLabel,
    negative: float,
    opinions: Sequence[Opinion],
    weighed: Balance,
    danger: bool,
) -> Intent:
    """The intent of a text that is neither empty, nor advertising, nor beside the point."""
    blamed = [opinion for opinion in opinions if opinion.sentiment == "negative"]
    praised = [opinion for opinion in opinions if opinion.sentiment == "positive"]
    wronged = bool(blamed) or label == "negative"
    if danger or escalates(reading) or (wronged and demands(reading) and weighed.praise <= 2 * weighed.blame):
        return "complaint"
    heavy = label == "negative" and (negative >= 0.7 or len(blamed) >= 2) and not weighed.mild
    if suggesting(reading) and not heavy:
        return "suggestion"
    asked = asking(reading)
    if asked >= 1.5 and not heavy and not blamed and not (asked < 2 and (praised or label == "positive")):
        return "question"
    if asked >= 2 and not (blamed and negative >= 0.6):
        return "question"
    if label == "negative":
        return "complaint" if blamed or negative >= 0.45 else "other"
    if label == "positive":
        return "praise"
    if asked >= 1 and not blamed and not praised:
        return "question"
    if blamed and (not praised or weighed.blame > weighed.praise) and not _only_plain(blamed, weighed):
        return "complaint"
    if praised and weighed.praise >= weighed.blame:
        return "praise"
    return "other"


def _only_plain(blamed: Sequence[Opinion], weighed: Balance) -> bool:
    return weighed.mild and weighed.praise > 0 and len(blamed) == 1


def _ends_asking(folded: str, clause: Clause) -> bool:
    return _ASKING_END.search(folded[max(clause.start, clause.end - 1) : clause.end]) is not None
