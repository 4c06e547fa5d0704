"""How alike two texts are: what does not count in a comparison, digests, and a MinHash of the rest.

Not a SimHash: two changed words move a short review's 64 bits too far to be looked up. The share of common bigrams
(Jaccard) is what stays, MinHash estimates it from numbers that can be stored, and bands of those numbers are keys to
look up: ``tests/bench/bench_copies.py`` measures both.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.mention import Mention

MIN_LENGTH: Final = 12
"""Texts with fewer letters have no fingerprint: different people do write "质量很好，推荐购买" by themselves."""
MIN_GRAMS: Final = 9
"""With fewer different bigrams ("很好很好很好很好很好很好很好") a text is compared by its digests alone."""
MAX_LENGTH: Final = 2_000
"""Letters that the signature is made of; digests are of the whole text."""
THRESHOLD: Final = 0.65
"""From this share of common bigrams on, texts are near-copies."""

NUMBERS: Final = 96
_BANDS: Final = 10
_ROWS: Final = 3
_NOISE = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is kept of a text to find its copies. Integers are signed, of 64 bits.

    ``digest``: of the text without white space, punctuation, case and width; ``skeleton``: without digits, too.
    ``signature``: the MinHash, 96 numbers of 16 bits; ``bands``: texts that share one may be near. Both follow from
    the skeleton's text alone; both are empty for a text with too few different bigrams.
    """

    digest: int
    skeleton: int
    signature: bytes = b""
    bands: tuple[int, ...] = ()


def letters(text: str) -> str:
    """The text without white space, punctuation and digits, in one case and width."""
    return _DIGITS.sub("", _plain(text))


def fingerprint(text: str) -> Fingerprint | None:
    """None for a text with fewer than :data:`MIN_LENGTH` letters. Always the same for the same text."""
    plain = _plain(text)
    bare = _DIGITS.sub("", plain)
    if len(bare) < MIN_LENGTH:
        return None
    digest, skeleton = _digest(plain), _digest(bare)
    mins = _mins(bare[:MAX_LENGTH])
    if mins is None:
        return Fingerprint(digest, skeleton)
    import numpy as np

    kept = ((mins * np.uint64(_SPREAD)) >> np.uint64(48)).astype("<u2").tobytes()
    return Fingerprint(digest, skeleton, kept, _band_keys(mins))


def fingerprint_of(mention: Mention) -> Fingerprint | None:
    """Of title and text: a 追评 is the author's own. (What a platform filled in is no text: ``empty_text``.)"""
    return fingerprint(f"{mention.title or ''}\n{mention.text}")


def similarities(one: bytes, others: Sequence[bytes]) -> list[float]:
    """The estimated shares of common bigrams of one signature with others, 0 where one is empty; off by 0.05 or so."""
    import numpy as np

    compared = [other for other in others if other and one]
    if not compared:
        return [0.0] * len(others)
    table = np.frombuffer(b"".join(compared), "<u2").reshape(len(compared), NUMBERS)
    shares = iter((table == np.frombuffer(one, "<u2")).mean(axis=1).tolist())
    return [next(shares) if other else 0.0 for other in others]


def _plain(text: str) -> str:
    return _NOISE.sub("", unicodedata.normalize("NFKC", text).lower())


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "big", signed=True)


_SPREAD: Final = 0x9E37_79B9_7F4A_7C15


@cache
def _factors() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Of the hash functions. Written down by a hash: what is stored must mean the same for ever."""
    import numpy as np

    drawn = blake2b(b"shengwen likeness 1", digest_size=32).digest()
    raw = b"".join(blake2b(drawn + bytes([n]), digest_size=16).digest() for n in range(NUMBERS))
    numbers = np.frombuffer(raw, "<u8").reshape(NUMBERS, 2).astype(np.uint64)
    return numbers[:, 0] | np.uint64(1), numbers[:, 1]


def _mins(bare: str) -> NDArray[np.uint64] | None:
    import numpy as np

    points = np.frombuffer(bare.encode("utf-32-le", "replace"), "<u4").astype(np.uint64)
    grams = np.unique((points[:-1] << np.uint64(32)) | points[1:])
    if len(grams) < MIN_GRAMS:
        return None
    # Neighbouring code points must not give neighbouring hashes: murmur's finaliser first.
    grams ^= grams >> np.uint64(33)
    grams *= np.uint64(0xFF51_AFD7_ED55_8CCD)
    grams ^= grams >> np.uint64(33)
    factors, shifts = _factors()
    mins: NDArray[np.uint64] = (grams[:, None] * factors + shifts).min(axis=0)
    return mins


def _band_keys(mins: NDArray[np.uint64]) -> tuple[int, ...]:
    import numpy as np

    rows = mins[: _BANDS * _ROWS].reshape(_BANDS, _ROWS)
    keys = np.arange(1, _BANDS + 1, dtype=np.uint64)
    for column in range(_ROWS):
        keys = (keys ^ rows[:, column]) * np.uint64(_SPREAD)
        keys ^= keys >> np.uint64(32)
    return tuple(keys.view(np.int64).tolist())
