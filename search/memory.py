"""Execution in memory: the reference that defines what a query means, and what live rules run on.

A plain substring scan, one mention at a time; the indexes must agree with it on every document.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache

from ingest.analysis import ClassifiedMention
from ingest.mention import Product
from search.ast import And, Between, Everything, Has, Is, Near, Node, Not, Or, Since, Until, Word
from search.normalise import fold

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
TITLE_WEIGHT = 3
ANY = "*"
"""As the value of ``matched``: whatever it is."""

fold_word = lru_cache(maxsize=1024)(fold)
""":func:`fold` for the words of queries, which meet mention after mention."""


def epoch_ms(instant: datetime) -> int:
    """Whole milliseconds since the epoch, rounded down; exact, unlike arithmetic on floats."""
    return (instant - _EPOCH) // _MILLISECOND


def text_fields(mention: ClassifiedMention) -> Iterator[tuple[str, str]]:
    """The searched fields that are not empty, as (name, text): ``title``, ``text``, ``appends.0``, …"""
    if mention.title:
        yield "title", mention.title
    if mention.text:
        yield "text", mention.text
    for position, append in enumerate(mention.appends):
        if append.text:
            yield f"appends.{position}", append.text


def product_label(product: Product | None) -> str | None:
    """The product's name in facets: its name, else its id, else its SKU."""
    return (product.name or product.id or product.sku or None) if product else None


class Subject:
    """A mention prepared for many queries: each field is folded at most once. Not to be shared between threads."""

    def __init__(self, mention: ClassifiedMention) -> None:
        self.mention = mention

    @cached_property
    def fields(self) -> Sequence[str]:
        """The folded searched fields."""
        return [fold(text) for _, text in text_fields(self.mention)]

    @cached_property
    def title(self) -> Sequence[str]:
        return [fold(self.mention.title)] if self.mention.title else []

    @cached_property
    def tags(self) -> frozenset[str]:
        """Folded: every tag, its group and its bare name."""
        return frozenset(key for tag in self.mention.analysis.tags for key in tag_keys(tag.tag))

    @cached_property
    def matched(self) -> frozenset[str]:
        """Folded: the words of the brand file found in it."""
        return frozenset(map(fold_word, self.mention.matched.all_words))


def tag_keys(tag: str) -> Iterator[str]:
    """What a query may call ``组/标签``: all of it, the group, the bare name. Folded."""
    group, _, name = tag.partition("/")
    yield fold(tag)
    yield fold(group)
    if name:
        yield fold(name)


def matches(node: Node, mention: ClassifiedMention | Subject) -> bool:
    """Whether the query matches. Pass one Subject when many queries look at one mention."""
    subject = mention if isinstance(mention, Subject) else Subject(mention)
    return _matches(node, subject)


def _matches(node: Node, subject: Subject) -> bool:
    match node:
        case Everything():
            return True
        case And(parts):
            return all(_matches(part, subject) for part in parts)
        case Or(parts):
            return any(_matches(part, subject) for part in parts)
        case Not(part):
            return not _matches(part, subject)
        case Word() | Near():
            return _word_matches(node, subject.fields)
        case Is():
            return _is(node, subject)
        case Between():
            return in_range(node, _number(node, subject.mention))
        case Since(instant):
            return epoch_ms(subject.mention.created_at) >= epoch_ms(instant)
        case Until(instant):
            return epoch_ms(subject.mention.created_at) < epoch_ms(instant)
        case Has(part):
            mention = subject.mention
            return bool({"media": mention.media, "append": mention.appends, "reply": mention.seller_reply}[part])
    raise TypeError(f"not a query node: {node!r}")


def relevance(words: Sequence[Word | Near], mention: ClassifiedMention | Subject) -> int:
    """How well a mention answers: each word it contains counts 1, or TITLE_WEIGHT when the title contains it."""
    subject = mention if isinstance(mention, Subject) else Subject(mention)
    score = 0
    for word in words:
        if _word_matches(word, subject.fields):
            score += TITLE_WEIGHT if _word_matches(word, subject.title) else 1
    return score


def _word_matches(node: Word | Near, fields: Sequence[str]) -> bool:
    if isinstance(node, Word):
        word = fold_word(node.text)
        return any(word in field for field in fields)
    return any(True for field in fields for _ in near_pairs(node, field))


def occurrences(word: str, text: str) -> list[int]:
    """Where ``word`` starts in ``text``, overlapping ones included."""
    found: list[int] = []
    at = text.find(word)
    while at >= 0:
        found.append(at)
        at = text.find(word, at + 1)
    return found


def near_pairs(node: Near, folded: str) -> Iterator[tuple[int, int]]:
    """Starts of the two words, for each first word that has a second one near enough, in one folded field."""
    first, second = fold_word(node.first), fold_word(node.second)
    if first not in folded or second not in folded:
        return
    seconds = occurrences(second, folded)
    for start in occurrences(first, folded):
        after = bisect_left(seconds, start)
        if after < len(seconds) and seconds[after] - (start + len(first)) <= node.distance:
            yield start, seconds[after]
        elif after and start - (seconds[after - 1] + len(second)) <= node.distance:
            yield start, seconds[after - 1]


def _is(node: Is, subject: Subject) -> bool:
    mention, value = subject.mention, node.value
    match node.field:
        case "source":
            return source_is(value, mention.source)
        case "kind":
            return mention.kind == value
        case "sentiment":
            return mention.analysis.sentiment.label == value
        case "intent":
            return mention.analysis.intent == value
        case "tag":
            return fold_word(value) in subject.tags
        case "flag":
            return value in mention.analysis.flags
        case "product":
            product = mention.product
            return product is not None and product_is(node, product)
        case "region":
            return mention.region == value
        case "about":
            return mention.matched.about == value
        case "matched":
            return bool(subject.matched) if value == ANY else fold_word(value) in subject.matched
        case "author":
            return mention.author.key == value
        case "id":
            return mention.id == value
        case "group":
            return mention.group == value
        case "copies":
            return copies_is(value, mention.likeness)


def copies_is(value: str, likeness: str | None) -> bool:
    return value == "no" if likeness is None else value in ("yes", likeness)


def source_is(value: str, source: str) -> bool:
    return source == value or (value == "import" and source.startswith("import:"))


def product_is(node: Is, product: Product) -> bool:
    if node.exact:
        return product_label(product) == node.value
    named = bool(product.name) and fold_word(node.value) in fold(product.name or "")
    return named or node.value in (product.id, product.sku)


def _number(node: Between, mention: ClassifiedMention) -> float | None:
    match node.field:
        case "severity":
            return mention.analysis.severity
        case "rating":
            return mention.rating
        case "likes":
            return mention.likes
        case "replies":
            return mention.replies
        case "shares":
            return mention.shares
        case "views":
            return mention.views


def in_range(node: Between, value: float | None) -> bool:
    if value is None:
        return False
    if node.low is not None and (value < node.low or (node.low_open and value == node.low)):
        return False
    return not (node.high is not None and (value > node.high or (node.high_open and value == node.high)))
