"""What reviews of both shops share: attribute words, masked nicknames, seller replies, derived ids."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from typing import Final

from crawlers.reading import Reader
from crawlers.text import clean
from ingest.default_reviews import is_default_review
from ingest.mention import Product

_NOBODY: Final = frozenset({"", "匿名", "匿名用户", "匿名买家", "匿名会员", "***", "*"})


def spec_of(pairs: Iterable[tuple[str, str]]) -> str | None:
    """``颜色:雅白；规格:K20``: attributes that hold something, each once, in order; None without any."""
    parts: dict[str, None] = {}
    for name, value in pairs:
        name, value = clean(name), clean(value)
        if value:
            parts[f"{name}:{value}" if name else value] = None
    return "；".join(parts) or None


def spec_of_text(text: str) -> str | None:
    """The same from the platforms' own ``name:value;name:value``."""
    parts = [part.partition(":") for part in re.split("[;；]", clean(text))]
    return spec_of((name, value) if colon else ("", name) for name, colon, value in parts)


def product_of(product_id: str | None, sku: str | None, name: str, spec: str | None) -> Product | None:
    """The product, or None when nothing of it is known."""
    known = (product_id, sku, clean(name) or None, spec)
    return Product(id=known[0], sku=known[1], name=known[2], spec=known[3]) if any(known) else None


def nickname(text: str) -> str | None:
    """A masked nickname as an author's key, or None when it names nobody."""
    cleaned = clean(text)
    return None if cleaned in _NOBODY else cleaned


def joined_replies(texts: Iterable[str]) -> str | None:
    """The seller's answers to one review, one a line; None when there is none."""
    replies = dict.fromkeys(clean(text) for text in texts)
    return "\n".join(text for text in replies if text and not is_default_review(text)) or None


MAX_TAGS: Final = 200


def tags_of(records: Iterable[Reader], name: str, *counts: str) -> dict[str, int]:
    """How many reviews a shop files under words of its own: "不热" → 12. Those without a count are left out."""
    found: dict[str, int] = {}
    for record in islice(records, MAX_TAGS):
        words, count = clean(record.text(name))[:40], record.number(*counts)
        if words and count is not None:
            found.setdefault(words, count)
    return found


def derived_id(*parts: str) -> str:
    """An id for what the platform shows without one: the same words in the same place give the same id."""
    return sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:20]
