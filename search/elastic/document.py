"""What is stored under one mention's id: its accounting, and while it is there the mention with all that is searched.

The two live in one document, so they change atomically, without a transaction:

* ``state`` is what the writer must know to count every delivery once: the revision, the copies, how often each outcome
  came, the highest origin counted by topic and partition (deliveries of one mention come in rising order, as the key of
  its records is its id), the replayed letters counted;
* an empty mention, and an erased one, leave a stub: a state without a mention, ``live`` false, under a hash of the id.
  So sums over all documents stay exact, and a redelivery of an erased mention is known for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

import orjson

from ingest.analysis import ClassifiedMention, SentimentLabel, classified_from_json
from ingest.clock import BEIJING
from ingest.errors import Permanent, Poison, ShengwenError
from search.elastic import tokens
from search.elastic.mapping import MAX_KEYWORD_BYTES, TALLIES
from search.memory import epoch_ms, product_label, tag_keys
from search.normalise import fold

SENTIMENTS: Final[tuple[SentimentLabel, ...]] = ("negative", "neutral", "positive")


def key_of(mention_id: str) -> str:
    """The document's id: a hash, as ids may be longer than the server allows, and erased ones must not be kept."""
    return blake2b(mention_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(slots=True)
class State:
    """One document. ``version`` counts its writes, ``writer`` is a mark of the last one; see the writer."""

    source: str
    version: int = 0
    writer: str = ""
    live: bool = False
    erased: bool = False
    number: int = 0
    hash: str = ""
    copies: int = 0
    tallies: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    replays: list[str] = field(default_factory=list)
    mention: ClassifiedMention | None = None
    json: str | None = None
    """The mention as it is stored; parsed when it is needed."""

    def held(self) -> ClassifiedMention:
        """The stored mention. Raises Permanent when the document is damaged."""
        if self.mention is None:
            self.mention = parsed(self.json or "")
        return self.mention

    def hold(self, mention: ClassifiedMention) -> None:
        self.mention, self.json = mention, None

    def erase(self) -> None:
        """Leave the stub of an erased mention."""
        self.live, self.erased, self.number, self.hash, self.copies = False, True, 0, "", 0
        self.mention = self.json = None
        self.tallies["erased"] = self.tallies.get("erased", 0) + 1


def parsed(text: str) -> ClassifiedMention:
    """A stored mention. Raises Permanent (Chinese) for what cannot be read."""
    try:
        return classified_from_json(text.encode())
    except (ShengwenError, UnicodeError) as error:
        raise Permanent(
            f"检索库里有读不出来的内容（{error}）。请运行 shengwen reindex --from-log 由事件日志重建"
        ) from error


def state_from(source: Mapping[str, Any], version: int) -> State:
    """Read a document's ``_source``."""
    said = source["state"]
    return State(
        source=said["source"],
        version=version,
        writer=said["writer"],
        live="mention" in source,
        erased=said["erased"],
        number=said["number"],
        hash=said["hash"],
        copies=said["copies"],
        tallies=dict(said["tallies"]),
        seen=dict(said["seen"]),
        replays=list(said["replays"]),
        json=source.get("mention"),
    )


def body(state: State) -> bytes:
    """The document, as JSON. Raises Poison for a mention that no server could store."""
    tallies = {name: state.tallies.get(name, 0) for name in TALLIES}
    document: dict[str, Any] = {
        "live": state.live,
        "source": state.source,
        **tallies,
        "state": {
            "source": state.source,
            "writer": state.writer,
            "erased": state.erased,
            "number": state.number,
            "hash": state.hash,
            "copies": state.copies,
            "tallies": {name: n for name, n in tallies.items() if n},
            "seen": state.seen,
            "replays": state.replays,
        },
    }
    try:
        if state.live:
            mention = state.held()
            document |= _derived(mention)
            document["mention"] = state.json or mention.to_json().decode()
        return orjson.dumps(document)
    except (TypeError, ValueError) as error:  # a lone surrogate, in a record that was never validated
        raise Poison("文字无法写成 UTF-8") from error


def _derived(mention: ClassifiedMention) -> dict[str, Any]:
    analysis, product = mention.analysis, mention.product
    appends = [append.text for append in mention.appends]
    title_grams, title_chars = tokens.fields([mention.title or ""])
    text_grams, text_chars = tokens.fields([mention.text, *appends])
    product_grams, product_chars = tokens.fields([product.name or ""] if product else ())
    label = product_label(product)
    tag_names = list(dict.fromkeys(opinion.tag for opinion in analysis.tags))
    matched = list(dict.fromkeys(mention.matched.all_words))
    keywords: dict[str, list[str]] = {
        "id": [mention.id],
        "kind": [mention.kind],
        "sentiment": [analysis.sentiment.label],
        "intent": [analysis.intent],
        "region": [] if mention.region is None else [mention.region],
        "author": [] if mention.author.key is None else [mention.author.key],
        "group": [] if mention.group is None else [mention.group],
        "likeness": [] if mention.likeness is None else [mention.likeness],
        "flag": list(dict.fromkeys(analysis.flags)),
        "about": [mention.matched.about],
        "matched": matched,
        "matched_key": list(dict.fromkeys(map(fold, matched))),
        "tag": tag_names,
        "tag_key": list(dict.fromkeys(key for tag in tag_names for key in tag_keys(tag))),
        "product": [] if label is None else [label],
        "product_key": [key for key in (product.id, product.sku) if key is not None] if product else [],
    }
    for name, values in keywords.items():
        for value in values:
            if len(value) > MAX_KEYWORD_BYTES // 4 and len(value.encode("utf-8", "replace")) > MAX_KEYWORD_BYTES:
                raise Poison(f"超过能查找的 {MAX_KEYWORD_BYTES} 字节", field=name)
    return {
        **keywords,
        "product_grams": product_grams,
        "product_chars": product_chars,
        "has": [
            part
            for part, there in (
                ("media", mention.media), ("append", mention.appends), ("reply", mention.seller_reply)
            )
            if there
        ],
        "rating": mention.rating,
        "likes": mention.likes,
        "replies": mention.replies,
        "shares": mention.shares,
        "views": mention.views,
        "severity": analysis.severity,
        "created": epoch_ms(mention.created_at),
        "day_sentiment": mention.created_at.astimezone(BEIJING).toordinal() * len(SENTIMENTS)
        + SENTIMENTS.index(analysis.sentiment.label),
        "grams": title_grams + text_grams,
        "chars": title_chars + text_chars,
        "title_grams": title_grams,
        "title_chars": title_chars,
    }  # fmt: skip


__all__ = ["SENTIMENTS", "State", "body", "key_of", "parsed", "state_from"]
