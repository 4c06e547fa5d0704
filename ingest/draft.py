"""A draft: what a parser or an import read, before privacy and validation.

Drafts never leave the process: they still hold the platform's author id and unmasked text.
:meth:`ingest.privacy.Privacy.seal` turns one into a :class:`ingest.mention.Mention`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ingest.mention import Append, Kind, Media, Precision, Product, RatingScale


@dataclass(slots=True, kw_only=True)
class Draft:
    """Fields as in :class:`ingest.mention.Mention`, plus what privacy takes away.

    ``text`` is cleaned (entities, tags, emoji codes resolved) but not masked. ``author_id`` is the platform's stable
    id, or the masked nickname where the platform shows nothing better; only its HMAC is kept.
    ``parent_native`` is ``kind:native id`` of the parent on the same source.
    ``partial`` marks a stub from a list (a search hit) that a later page tells in full; spiders follow it and do not
    stream it, as it would look like a newer, emptier revision.
    ``excerpt`` marks a text that the platform cut, where a full one may be known or come later: it is streamed while
    nothing is known of its item, as a revision that every full one, older ones too, is newer than.
    """

    source: str
    kind: Kind
    native_id: object
    created_at: datetime | None
    created_precision: Precision = "second"
    edited_at: datetime | None = None
    purchased_at: datetime | None = None
    text: str = ""
    title: str | None = None
    empty_text: bool = False
    rating: int | None = None
    rating_scale: RatingScale | None = None
    rating_original: str | None = None
    parent_native: str | None = None
    url: str | None = None
    product: Product | None = None
    author_id: str | None = None
    is_seller: bool = False
    is_brand: bool = False
    verified: str = ""
    """What the platform has verified the account as, a company's or an organisation's name; never stored: see
    :meth:`ingest.relevance.Brand.owns`."""
    by_poster: bool = False
    region: str | None = None
    likes: int | None = None
    replies: int | None = None
    shares: int | None = None
    views: int | None = None
    approximate: bool = False
    appends: list[Append] = field(default_factory=list)
    seller_reply: str | None = None
    media: list[Media] = field(default_factory=list)
    partial: bool = False
    excerpt: bool = False
    lead: dict[str, str] = field(default_factory=dict)
    """What a spider needs to open this item's own page (tokens, cursors); never stored, never streamed."""
