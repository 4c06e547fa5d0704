"""What is counted: scopes, and which of them a mention belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KINDS = ("all", "source", "product", "tag", "source×tag", "product×tag")

_SOURCES = {"jd": "京东", "tmall": "天猫", "xiaohongshu": "小红书", "douyin": "抖音", "zhihu": "知乎"}


def source_name(source: str) -> str:
    """A source as users call it."""
    return _SOURCES.get(source) or (f"导入·{source[7:]}" if source.startswith("import:") else source)


@dataclass(frozen=True, slots=True, order=True)
class ScopeKey:
    """A scope. ``kind`` is one of :data:`KINDS` and says which of the three are set."""

    kind: str
    source: str | None = None
    product: str | None = None
    tag: str | None = None

    @property
    def key(self) -> str:
        """Unique and stable; U+001F separates, as product names may hold anything else."""
        return "\x1f".join((self.kind, self.source or "", self.product or "", self.tag or ""))

    @property
    def specificity(self) -> int:
        """0 for everything, 1 for one dimension, 2 for a pair."""
        return sum(part is not None for part in (self.source, self.product, self.tag))

    def label(self, product_name: str | None = None) -> str:
        """As a person says it: ``K20 漏水渗水``, ``小红书 不热``, ``全部来源``."""
        parts = []
        if self.source is not None:
            parts.append(source_name(self.source))
        if self.product is not None:
            parts.append(product_name or self.product)
        if self.tag is not None:
            parts.append(self.tag.split("/", 1)[-1])
        return " ".join(parts) or "全部来源"

    def as_dict(self) -> dict[str, str]:
        """``{"kind", "source", "product", "tag"}``, only what is set."""
        values = {"kind": self.kind, "source": self.source, "product": self.product, "tag": self.tag}
        return {name: value for name, value in values.items() if value is not None}


EVERYTHING = ScopeKey("all")


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one mention adds to one scope."""

    scope: ScopeKey
    negative: bool


def contributions(
    source: str, product: str | None, tags: list[tuple[str, str]], *, negative: bool, genuine: bool
) -> Iterator[Contribution]:
    """The scopes a mention counts in, each once. ``tags`` are (tag, sentiment); a tag counts by its own sentiment.

    A mention that is not genuine counts nowhere.
    """
    if not genuine:
        return
    yield Contribution(EVERYTHING, negative)
    yield Contribution(ScopeKey("source", source=source), negative)
    if product is not None:
        yield Contribution(ScopeKey("product", product=product), negative)
    blamed: dict[str, bool] = {}
    for tag, sentiment in tags:
        blamed[tag] = blamed.get(tag, False) or sentiment == "negative"
    for tag, bad in blamed.items():
        yield Contribution(ScopeKey("tag", tag=tag), bad)
        yield Contribution(ScopeKey("source×tag", source=source, tag=tag), bad)
        if product is not None:
            yield Contribution(ScopeKey("product×tag", product=product, tag=tag), bad)
