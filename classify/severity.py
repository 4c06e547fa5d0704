"""How bad it is, 0-10, and why, in Chinese: every part of the sum is one reason."""

from __future__ import annotations

from collections.abc import Sequence

from classify.intent import escalates
from classify.opinions import Opinion
from classify.reading import Reading
from classify.safety import Danger
from ingest.analysis import Intent

_DANGER_FLOOR = 8.5
_MOST_REASONS = 6


def severity(
    reading: Reading, negative: float, intent: Intent, opinions: Sequence[Opinion], dangers: Sequence[Danger]
) -> tuple[float, str]:
    """(0-10, reasons). Only blame weighs: a text without any scores 0 with an empty reason."""
    blamed = sorted(
        (opinion for opinion in opinions if opinion.sentiment == "negative"),
        key=lambda opinion: (-opinion.tag.severity, opinion.tag.name),
    )
    meant = list(dict.fromkeys(danger.word for danger in dangers if danger.modality == "meant"))
    feared = list(dict.fromkeys(danger.word for danger in dangers if danger.modality == "feared"))
    if not blamed and not meant and not feared and negative < 0.5:
        return 0.0, ""
    score = 0.0
    reasons: list[str] = []
    if meant:
        reasons.append(f"安全词“{'、'.join(meant[:3])}”确有其事")
    elif feared:
        score += 1
        reasons.append(f"担心“{'、'.join(feared[:3])}”，尚未发生")
    if blamed:
        score += 0.65 * blamed[0].tag.severity + min(0.5 * (len(blamed) - 1), 1.5)
        reasons.append(f"负面标签 {'、'.join(opinion.tag.name for opinion in blamed[:3])}")
    if negative >= 0.5:
        score += 2 * negative
        reasons.append(f"负面概率 {negative:.0%}")
    if score or meant:
        score = _add_weight(reading, score, reasons)
    if intent != "complaint":
        score *= 0.5
        reasons.append("不以投诉为主，减半")
    if meant:
        score = max(score, _DANGER_FLOOR + min(0.5 * (len(meant) - 1), 1.0))
    return round(min(max(score, 0.0), 10.0), 1), "；".join(reasons[:_MOST_REASONS])


def _add_weight(reading: Reading, score: float, reasons: list[str]) -> float:
    if escalates(reading):
        score += 2.5
        reasons.append("扬言向外投诉或曝光")
    elif reading.has("demand.action"):
        score += 1
        reasons.append("要求处理")
    if reading.has("polar.again"):
        score += 0.7
        reasons.append("反复发生")
    if reading.has("polar.strong"):
        score += 0.5
        reasons.append("言辞激烈")
    elif reading.has("polar.mild"):
        score -= 1
        reasons.append("语气缓和")
    likes = reading.utterance.likes or 0
    if likes >= 100:
        score += 1 if likes >= 1000 else 0.5
        reasons.append(f"{likes} 人点赞")
    return score
