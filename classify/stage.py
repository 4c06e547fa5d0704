"""The classifying step of the stream: mentions in, classified mentions out. Pure: it reads and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from classify.base import Classifier, Utterance
from ingest.analysis import Analysis, ClassifiedMention, classified
from ingest.errors import ContractError
from ingest.mention import Mention


def utterance_of(mention: Mention) -> Utterance:
    """What of a mention is classified. A review that its author appended to is no default review any more."""
    text = mention.full_text
    return Utterance(
        text=text,
        rating=mention.rating,
        default_review=mention.empty_text and not text,
        likes=mention.likes,
    )


def strayed(analysis: Analysis) -> Analysis:
    """The analysis of a text that turns out to speak of something else: its tone stays, it says nothing of ours."""
    flags = analysis.flags if "off_topic" in analysis.flags else (*analysis.flags, "off_topic")
    return analysis.model_copy(
        update={"flags": flags, "tags": (), "intent": "other", "severity": 0.0, "severity_reason": ""}
    )


def classify_batch(classifier: Classifier, mentions: Sequence[Mention]) -> list[ClassifiedMention]:
    """Classify mentions, in order; what only speaks of the brand's namesake is off topic, whatever else it says.

    Raises ContractError when the classifier answers for another number of texts.
    """
    analyses = classifier.analyse([utterance_of(mention) for mention in mentions])
    if len(analyses) != len(mentions):
        raise ContractError(f"{classifier.name} answered {len(analyses)} of {len(mentions)} mentions")
    return [
        classified(mention, strayed(analysis) if mention.matched.about == "excluded" else analysis)
        for mention, analysis in zip(mentions, analyses, strict=True)
    ]
