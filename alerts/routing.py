"""Which department owns a ticket: by the tag's own department, its group's, or the intent's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

INTENT_DEPARTMENTS: Mapping[str, str] = {
    "suggestion": "企划部",
    "question": "客服部",
    "praise": "人力资源部",
}
GROUP_DEPARTMENTS: Mapping[str, str] = {
    "产品质量": "研发部",
    "安装服务": "售后部",
    "物流问题": "物流部",
    "客服售后": "客服部",
    "运营价格": "市场部",
    "使用体验": "研发部",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """A tag with its sentiment and the classifier's confidence, as a fact keeps it."""

    tag: str
    sentiment: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Routing:
    """The routing table. ``tags`` (``组/标签``) go before ``groups`` (``组``); ``default`` takes what nothing names."""

    intents: Mapping[str, str] = field(default_factory=lambda: dict(INTENT_DEPARTMENTS))
    groups: Mapping[str, str] = field(default_factory=lambda: dict(GROUP_DEPARTMENTS))
    tags: Mapping[str, str] = field(default_factory=dict)
    default: str = "客服部"

    def department(self, intent: str, opinions: Sequence[Opinion]) -> str:
        """The owner. A complaint goes to the department of its most certain negative tag."""
        if intent in self.intents:
            return self.intents[intent]
        blamed = [o for o in opinions if o.sentiment == "negative"]
        for opinion in sorted(blamed, key=lambda o: -o.confidence):
            found = self.of_tag(opinion.tag)
            if found is not None:
                return found
        return self.default

    def of_tag(self, tag: str) -> str | None:
        """The department of one tag, null when neither it nor its group has one."""
        return self.tags.get(tag) or self.groups.get(tag.split("/", 1)[0])
