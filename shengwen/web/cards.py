"""A mention as a page shows it: words found marked, words that carry an opinion underlined, long texts cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from markupsafe import Markup, escape

from classify.corrections import Correction
from ingest.analysis import ClassifiedMention, classified
from search.ast import Is
from search.base import Hit
from shengwen.web.present import clean, tag_name
from shengwen.web.querytext import added

CARD_TEXT = 320
"""Characters of a text that a card shows; the mention's own page shows all."""
_LEAD = 80
_MAX_MARKS = 200


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters [start, end) of one field. ``kind``: ``hit``, or the sentiment of an opinion (``label`` its tag)."""

    start: int
    end: int
    kind: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A title, text or append, ready for the page."""

    html: Markup
    cut: bool = False
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """A mention with everything a template needs beside the mention itself."""

    mention: ClassifiedMention
    copies: int
    title: Passage | None
    text: Passage
    appends: Sequence[Passage]
    ticket: str | None
    correction: Correction | None = None
    alike: int = 0
    """How many more results are of its group, where a search merges."""
    alike_query: str = ""
    """The query that shows them."""

    @property
    def cut(self) -> bool:
        """Whether something is left out that the mention's own page shows."""
        return self.text.cut or any(append.cut for append in self.appends)


def make_card(
    hit: Hit,
    *,
    ticket: str | None = None,
    limit: int | None = CARD_TEXT,
    correction: Correction | None = None,
    query: str = "",
) -> Card:
    """A hit as a card, as corrected; ``limit`` null shows the whole text. ``query`` is the one that found it."""
    mention = hit.mention
    if correction is not None:  # the index follows; until it has, the card is right already
        mention = classified(mention, correction.apply(mention.analysis))
    marks = {name: [Mark(a, b, "hit") for a, b in spans] for name, spans in hit.highlights.items()}
    for name, mark in _opinions(mention):
        marks.setdefault(name, []).append(mark)
    title = mention.title
    return Card(
        mention=mention,
        copies=hit.copies,
        title=passage(title, marks.get("title", ()), limit=limit) if title else None,
        text=passage(mention.text, marks.get("text", ()), limit=limit),
        appends=[
            passage(append.text, marks.get(f"appends.{number}", ()), limit=limit, created_at=append.created_at)
            for number, append in enumerate(mention.appends)
        ],
        ticket=ticket,
        correction=correction,
        alike=hit.group_size - 1,
        alike_query=_alike_query(hit, query),
    )


def _alike_query(hit: Hit, query: str) -> str:
    """What shows the rest of its group: of the results, where they are merged."""
    if hit.mention.group is None:
        return ""
    return added(query if hit.group_size > 1 else "", str(Is("group", hit.mention.group)))


def make_cards(
    hits: Iterable[Hit], tickets: Mapping[str, str], corrections: Mapping[str, Correction], query: str = ""
) -> list[Card]:
    """Cards of a page of results; ``tickets`` and ``corrections`` are by mention id."""
    return [
        make_card(hit, ticket=tickets.get(hit.mention.id), correction=corrections.get(hit.mention.id), query=query)
        for hit in hits
    ]


def _opinions(mention: ClassifiedMention) -> Iterable[tuple[str, Mark]]:
    """The spans of tags, from characters of ``full_text`` to characters of the field they lie in."""
    fields = [("title", mention.title or ""), ("text", mention.text)]
    fields += [(f"appends.{number}", append.text) for number, append in enumerate(mention.appends)]
    base = 0
    for name, text in fields:
        if not text:
            continue
        for opinion in mention.analysis.tags:
            if opinion.span is None:
                continue
            start, end = max(opinion.span[0] - base, 0), min(opinion.span[1] - base, len(text))
            if start < end:
                yield name, Mark(start, end, opinion.sentiment, tag_name(opinion.tag))
        base += len(text) + 1


def passage(
    text: str, marks: Sequence[Mark], *, limit: int | None = None, created_at: datetime | None = None
) -> Passage:
    """``text`` escaped, with ``marks`` as elements; cut to ``limit`` characters around the first word found."""
    start, end = 0, len(text)
    if limit is not None and end > limit:
        hits = [mark.start for mark in marks if mark.kind == "hit"]
        first = min(hits, default=0)
        start = max(0, min(first - _LEAD, len(text) - limit)) if first > limit - _LEAD else 0
        end = start + limit
    html = _marked(text, marks, start, end)
    if start > 0:
        html = Markup("…") + html
    if end < len(text):
        html += Markup("…")
    return Passage(html, cut=start > 0 or end < len(text), created_at=created_at)


def _marked(text: str, marks: Sequence[Mark], start: int, end: int) -> Markup:
    inside = [m for m in marks if m.start < end and m.end > start][:_MAX_MARKS]
    cuts = sorted({start, end, *(min(max(edge, start), end) for m in inside for edge in (m.start, m.end))})
    out: list[Markup] = []
    for left, right in pairwise(cuts):
        piece = escape(clean(text[left:right]))
        over = [m for m in inside if m.start <= left and m.end >= right]
        opinions = [m for m in over if m.kind != "hit"]
        if opinions:
            labels = "、".join(dict.fromkeys(m.label for m in opinions))
            kinds = {m.kind for m in opinions}
            kind = next(kind for kind in ("negative", "positive", "neutral") if kind in kinds)
            piece = Markup('<span class="op op-{}" title="{}">{}</span>').format(kind, labels, piece)
        if len(over) > len(opinions):
            piece = Markup("<mark>{}</mark>").format(piece)
        out.append(piece)
    return Markup("").join(out)
