"""Correcting the classifier on the page: stored, told to the log and the index, and taken back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import cast, get_args

from classify.corrections import CORRECTED, Correction, Corrections
from ingest.analysis import Analysis, ClassifiedMention, SentimentLabel, TagOpinion, classified
from ingest.clock import Clock
from ingest.errors import UserError
from ingest.headers import stamped
from ingest.log.base import EventLog, Outgoing, Topics
from search.base import Delivery, Index
from shengwen.stages import CORRECTION

LABELS: Sequence[SentimentLabel] = get_args(SentimentLabel)
MAX_TAGS = 20
_GONE = "没有这条提及，或者它已经被删除"


class Correcting:
    """What the page does when somebody knows better. Thread-safe.

    A correction is first stored; then the log is told, for the alerts and for an index that is filled again; then the
    index, so that the next page counts it already. Should the process die in between, the correction is shown all the
    same, and :meth:`retell` tells the others at the next start.
    """

    def __init__(
        self, index: Index, log: EventLog, corrections: Corrections, clock: Clock, tags: Collection[str]
    ) -> None:
        self._index = index
        self._log = log
        self._corrections = corrections
        self._clock = clock
        self._tags = frozenset(tags)

    def of(self, mentions: Iterable[ClassifiedMention]) -> dict[str, Correction]:
        """The corrections that hold for mentions, by mention id."""
        by_id = {mention.id: mention for mention in mentions}
        return {key: one for key, one in self._corrections.get(by_id.keys()).items() if one.fits(by_id[key])}

    def correct(
        self, mention_id: str, sentiment: str, tags: Sequence[tuple[str, str]], *, by: str, seen: str = ""
    ) -> None:
        """Store what is right of a mention: its sentiment, and all its tags as (tag, sentiment).

        What agrees with the classifier is not kept; when nothing else is left, an earlier correction is taken back.
        ``seen`` is the hash of the revision that the person looked at. Raises UserError when there is a newer one, for
        a mention that is gone, for an unknown sentiment, and for a tag that neither taxonomy nor analysis has.
        """
        mention = self._find(mention_id)
        if seen and seen != mention.revision.hash:
            raise UserError("这条内容有了新的版本，请刷新页面，看过之后再纠正")
        known = self.of([mention]).get(mention_id)
        before = known.before if known else mention.analysis
        shown = known.apply(mention.analysis) if known else before
        label = _label(sentiment)
        opinions = self._opinions(tags, [*shown.tags, *before.tags])
        changed = None if label == before.sentiment.label else label
        retagged = None if _pairs(opinions) == _pairs(before.tags) else opinions
        if changed is None and retagged is None:
            self.undo(mention_id)
            return
        made = self._corrections.put(mention, sentiment=changed, tags=retagged, by=by)
        self._tell(mention_id, made.text, made.wanted)

    def undo(self, mention_id: str) -> None:
        """Take a correction back; nothing happens when there is none. Raises UserError for a mention that is gone."""
        self._find(mention_id)
        taken = self._corrections.remove(mention_id)
        if taken is not None:
            self._tell(mention_id, taken.text, taken.before)

    def retell(self) -> int:
        """Tell log and index of what was stored and not told; how many."""
        told = 0
        for one in self._corrections.all():
            hit = self._index.get(one.mention_id)
            if hit is not None and one.fits(hit.mention) and not hit.mention.analysis.model.endswith(CORRECTED):
                self._tell(one.mention_id, one.text, one.wanted)
                told += 1
        return told

    def _find(self, mention_id: str) -> ClassifiedMention:
        hit = self._index.get(mention_id)
        if hit is None:
            raise UserError(_GONE)
        return hit.mention

    def _opinions(self, tags: Sequence[tuple[str, str]], known: Sequence[TagOpinion]) -> list[TagOpinion]:
        spans = {opinion.tag: opinion.span for opinion in reversed(known)}
        if len(tags) > MAX_TAGS:
            raise UserError(f"一条提及最多 {MAX_TAGS} 个标签")
        unknown = [tag for tag, _ in tags if tag not in self._tags and tag not in spans]
        if unknown:
            raise UserError(f"标签体系里没有“{unknown[0][:80]}”")
        chosen = dict.fromkeys((tag, _label(sentiment)) for tag, sentiment in tags)
        return [TagOpinion(tag=tag, sentiment=label, confidence=1.0, span=spans.get(tag)) for tag, label in chosen]

    def _tell(self, mention_id: str, text: str, analysis: Analysis) -> None:
        """``analysis`` for whatever revision is stored by now, if it is of this text."""
        hit = self._index.get(mention_id)
        if hit is None:
            # Forgotten in this moment: what was just stored must not outlive it.
            self._corrections.remove(mention_id)
            raise UserError(_GONE)
        if hit.mention.full_text != text:
            return
        told = classified(hit.mention, analysis)
        record = Outgoing(mention_id, told.to_json(), stamped({CORRECTION: self._clock.now().isoformat()}))
        self._log.produce(Topics.CLASSIFIED, [record])
        self._index.apply([Delivery(told, correction=True)])


def _label(sentiment: str) -> SentimentLabel:
    if sentiment not in LABELS:
        raise UserError("情感只能是负面、中性或正面")
    return cast(SentimentLabel, sentiment)


def _pairs(opinions: Iterable[TagOpinion]) -> set[tuple[str, str]]:
    return {(opinion.tag, opinion.sentiment) for opinion in opinions}
