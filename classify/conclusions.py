"""What every classifier of ours says alike: the silence of an empty text, rounded shares, tags, what stars add."""

from __future__ import annotations

from collections.abc import Sequence

from classify.opinions import Opinion
from classify.scorer import LABELS
from classify.taxonomy import Taxonomy
from ingest.analysis import Analysis, Flag, Intent, Sentiment, SentimentLabel, TagOpinion

MOST_TAGS = 40

RATING = {1: -0.9, 2: -0.7, 3: 0.0, 4: 0.15, 5: 0.35}
"""What stars add to the log-odds of positive against negative: a nudge, which text of any clarity outweighs."""


def silent(flag: Flag, model: str) -> Analysis:
    """The answer for a text that says nothing; ``flag`` says why."""
    nothing = Sentiment(label="neutral", positive=0.0, neutral=1.0, negative=0.0)
    return Analysis(sentiment=nothing, intent="other", flags=(flag,), severity=0.0, model=model)


def sentiment_of(negative: float, neutral: float, positive: float) -> Sentiment:
    """Shares rounded to four digits that still sum to 1, and the largest as the label."""
    negative, positive = round(negative, 4), round(positive, 4)
    neutral = max(round(1 - negative - positive, 4), 0.0)
    shares = dict(zip(LABELS, (negative, neutral, positive), strict=True))
    label = max(LABELS, key=lambda name: shares[name])
    return Sentiment(label=label, positive=positive, neutral=neutral, negative=negative)


def tags_of(
    opinions: Sequence[Opinion], intent: Intent, label: SentimentLabel, taxonomy: Taxonomy
) -> tuple[TagOpinion, ...]:
    """The opinions as they are told, and the taxonomy's tags for suggestions and praise of nothing named."""
    tags = [
        TagOpinion(
            tag=opinion.tag.name,
            sentiment=opinion.sentiment,
            confidence=min(opinion.confidence, 1.0),
            span=(opinion.start, opinion.end),
        )
        for opinion in opinions[:MOST_TAGS]
    ]
    if intent == "suggestion":
        tags += _suggestion(opinions, taxonomy)
    if intent == "praise" and label == "positive" and not opinions and taxonomy.defaults.praise is not None:
        tags.append(TagOpinion(tag=taxonomy.defaults.praise, sentiment="positive", confidence=0.5, span=None))
    return tuple(tags)


def _suggestion(opinions: Sequence[Opinion], taxonomy: Taxonomy) -> list[TagOpinion]:
    """The suggestion tag of what is talked about, when no words of the text name one themselves."""
    targets = [group.suggestion for group in taxonomy.groups if group.suggestion is not None]
    if any(opinion.tag.name in targets for opinion in opinions):
        return []
    named = [taxonomy.group_of(opinion.tag.name).suggestion for opinion in opinions]
    chosen = next((name for name in named if name is not None), targets[0] if targets else None)
    if chosen is None:
        return []
    return [TagOpinion(tag=chosen, sentiment="neutral", confidence=0.5, span=None)]
