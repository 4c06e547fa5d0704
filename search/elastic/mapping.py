"""Names, mapping and settings of the indices; the mapping's version.

One physical index a source, ``PREFIX-SOURCE-vVERSION-NUMBER``, behind a write alias ``PREFIX-SOURCE``, all of them
behind one read alias ``PREFIX-all``. There is no rollover: a revision must find its older self. Nothing writes to a
physical index by its name but ``shengwen reindex``.

``_source`` keeps two fields, ``mention`` (the record's JSON, as a string) and ``state`` (the accounting); everything
that is searched, sorted or counted is derived from them (:mod:`search.elastic.document`), so a new mapping is filled
from the old index alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from ingest.errors import ConfigError
from search.elastic.config import ElasticSettings
from search.elastic.tokens import GAP

MAPPING_VERSION: Final = 2
"""Of the derived fields and the mapping. Raise it when either changes: ``shengwen reindex`` then fills new indices."""
MAX_KEYWORD_BYTES: Final = 32_766
"""Lucene's limit for one value of a keyword field, in UTF-8."""

_PLATFORMS: Final = ("jd", "tmall", "xiaohongshu", "douyin", "zhihu")
_KEYWORD: Final = {"type": "keyword"}
_LONG: Final = {"type": "long"}
_TALLY: Final = {"type": "long", "index": False}
_UNPARSED: Final = {"type": "object", "enabled": False}
_TOKENS: Final = {
    "type": "text",
    "analyzer": "whitespace",
    "norms": False,
    "index_options": "positions",
    "position_increment_gap": GAP,
}
TALLIES: Final = ("indexed", "revised", "duplicate", "empty", "erased")

_PROPERTIES: Final[dict[str, Any]] = {
    "mention": _UNPARSED,
    "state": _UNPARSED,
    "live": {"type": "boolean"},
    "source": _KEYWORD,
    **dict.fromkeys(TALLIES, _TALLY),
    "id": _KEYWORD,
    "kind": _KEYWORD,
    "sentiment": _KEYWORD,
    "intent": _KEYWORD,
    "region": _KEYWORD,
    "author": _KEYWORD,
    "group": _KEYWORD,
    "likeness": _KEYWORD,
    "flag": _KEYWORD,
    "tag": _KEYWORD,
    "about": _KEYWORD,
    "matched": _KEYWORD,
    "matched_key": _KEYWORD,  # folded
    "tag_key": _KEYWORD,  # folded: the tag, its group, its bare name
    "product": _KEYWORD,  # the label
    "product_key": _KEYWORD,  # id and SKU
    "product_grams": _TOKENS,
    "product_chars": _TOKENS,
    "has": _KEYWORD,
    "rating": _LONG,
    "likes": _LONG,
    "replies": _LONG,
    "shares": _LONG,
    "views": _LONG,
    "severity": {"type": "double"},
    "created": {"type": "date", "format": "epoch_millis"},
    "day_sentiment": {"type": "integer", "index": False},  # Beijing's calendar day and the sentiment, as one number
    "grams": _TOKENS,  # title, text, appends
    "chars": _TOKENS,
    "title_grams": _TOKENS,
    "title_chars": _TOKENS,
}


@dataclass(frozen=True, slots=True)
class Names:
    """What everything of one installation is called on the server."""

    prefix: str

    @property
    def everything(self) -> str:
        """The read alias."""
        return f"{self.prefix}-all"

    @property
    def template(self) -> str:
        return f"{self.prefix}-mentions"

    @property
    def physical(self) -> str:
        """A pattern of all physical indices. The prefix has no hyphen, so no other installation's are among them."""
        return f"{self.prefix}-*-v*-*"

    def alias(self, source: str) -> str:
        """The write alias of a source."""
        return f"{self.prefix}-{slug(source)}"

    def index(self, source: str, number: int = 1) -> str:
        return f"{self.alias(source)}-v{MAPPING_VERSION}-{number:06d}"

    def source_of(self, mention_id: str) -> str:
        """The source that a mention's id begins with; anything for what is no id."""
        head, _, rest = mention_id.partition(":")
        return f"import:{rest.partition(':')[0]}" if head == "import" else head


def slug(source: str) -> str:
    """A source as part of an index name: lower case ASCII, different for different sources."""
    if source in _PLATFORMS:
        return source
    kind, _, name = source.partition(":")
    readable = re.sub("[^a-z0-9]+", "_", name.lower()).strip("_")[:40]
    digest = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return "-".join(filter(None, ("import" if kind == "import" else "other", readable, digest)))


def mappings(source: str | None = None) -> dict[str, Any]:
    """The mapping of a source's index; of the template without one."""
    meta: dict[str, Any] = {"service": "shengwen", "mapping_version": MAPPING_VERSION}
    return {
        "dynamic": "strict",
        "_meta": meta | ({"source": source} if source is not None else {}),
        "_source": {"includes": ["mention", "state"]},
        "properties": _PROPERTIES,
    }


def index_settings(settings: ElasticSettings) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        # Every batch is refreshed by whoever wrote it; this is for what a killed writer left behind.
        "index.refresh_interval": "5s",
        # Erased text must leave the disk, however few the deletions in a segment are.
        "index.merge.policy.expunge_deletes_allowed": 0,
    }
    if settings.replicas is None:
        chosen["index.auto_expand_replicas"] = "0-1"
    else:
        chosen["index.number_of_replicas"] = settings.replicas
    return chosen


def template(names: Names, settings: ElasticSettings) -> dict[str, Any]:
    """The index template: what every new index of this installation is like."""
    return {
        "index_patterns": [f"{names.prefix}-*-v{MAPPING_VERSION}-*"],
        "version": MAPPING_VERSION,
        "priority": 200,
        "template": {
            "settings": index_settings(settings),
            "mappings": mappings(),
        },
        "_meta": {"service": "shengwen", "mapping_version": MAPPING_VERSION},
    }


def check_version(found: Mapping[str, Any], what: str) -> None:
    """Raise ConfigError when ``_meta`` of an index or template is not ours, or of another version."""
    meta = found.get("_meta") or {}
    version = meta.get("mapping_version")
    if meta.get("service") != "shengwen" or not isinstance(version, int):
        raise ConfigError(f"Elasticsearch 上的 {what} 不是声闻建的。请换一个 index.elasticsearch.prefix")
    if version > MAPPING_VERSION:
        raise ConfigError(
            f"检索库 {what} 的格式版本是 {version}，比这个程序的 {MAPPING_VERSION} 新。请升级程序，或换一个 prefix"
        )
    if version < MAPPING_VERSION:
        raise ConfigError(
            f"检索库 {what} 的格式版本是 {version}，这个程序要的是 {MAPPING_VERSION}。请运行 shengwen reindex"
        )
