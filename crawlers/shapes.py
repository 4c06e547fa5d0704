"""Whether something read again has changed, where platforms show one item in several shapes.

A shop's page shows a review in other fields than the shop's old list does: without the product's name, without the
seller's answer, without stars, with a date that is exact to the month. Compared as a whole it would be "changed" each
time another list shows it, for ever. So what the ledger keeps of an item is its content's hash, and behind it marks of
what every shape tells. Read in the same shape, the hash tells. In another one it has changed when it says something
else than was known (not when it leaves something out), or when it leaves nothing out and knows more.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from ingest.mention import Mention, Precision

_MARK: Final = 7
"""Characters of one mark; all of them together fit the ledger's 64."""
_NOTHING: Final = "-" * _MARK
_EXACT: Final[dict[Precision, int]] = {"month": 0, "day": 1, "hour": 2, "minute": 3, "second": 4}


def kept(mention: Mention) -> str:
    """What the ledger keeps of an item: ``hash.marks``, at most 64 characters."""
    said = "".join(_mark(text) for text in _said(mention))
    knows = f"{int(mention.rating is not None)}{_EXACT[mention.created_precision]}"
    return f"{mention.revision.hash}.{_mark(mention.raw.parser)}{knows}{said}"


def changed(known: str, mention: Mention) -> bool:
    """Whether a mention is news to who knows ``known``, what :func:`kept` or an older version noted of it."""
    content, _, marks = known.partition(".")
    if content == mention.revision.hash:
        return False
    now = kept(mention).partition(".")[2]
    if not marks or marks[:_MARK] == now[:_MARK]:
        return True
    was_said, is_said = _split(marks), _split(now)
    if any(one != other for one, other in zip(was_said, is_said, strict=True) if other != _NOTHING):
        return True
    if any(one != _NOTHING and other == _NOTHING for one, other in zip(was_said, is_said, strict=True)):
        return False
    was, now_knows = marks[_MARK : _MARK + 2], now[_MARK : _MARK + 2]
    return now_knows != was and all(one <= other for one, other in zip(was, now_knows, strict=True))


def _said(mention: Mention) -> tuple[str, ...]:
    appends = "\n".join(append.text for append in mention.appends)
    return (f"{mention.title or ''}\n{mention.text}".strip(), appends, mention.seller_reply or "")


def _mark(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:_MARK] if text else _NOTHING


def _split(marks: str) -> list[str]:
    said = marks[_MARK + 2 :]
    return [said[at : at + _MARK] for at in range(0, len(said), _MARK)]


__all__ = ["changed", "kept"]
