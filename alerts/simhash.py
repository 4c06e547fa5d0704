"""Near-duplicates: a 64-bit fingerprint of a text that differs in few bits when the texts differ in few characters."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIN_LENGTH = 12
"""Shorter texts have no fingerprint: different people do write "漏水了，差评" by themselves."""

MAX_LENGTH = 600
MAX_DISTANCE = 10
_NOISE = re.compile(r"[\W\d_]+")
_MASK = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def _bits(gram: str) -> int:
    return int.from_bytes(blake2b(gram.encode("utf-8", "replace"), digest_size=8).digest(), "big")


def simhash(text: str) -> int | None:
    """The fingerprint as a signed 64-bit number, or None for a text too short to have one.

    Digits, punctuation and white space do not matter. Reads at most :data:`MAX_LENGTH` characters.
    """
    import numpy as np

    plain = _NOISE.sub("", unicodedata.normalize("NFKC", text[: MAX_LENGTH * 2]).lower())[:MAX_LENGTH]
    if len(plain) < MIN_LENGTH:
        return None
    grams = np.array([_bits(plain[i : i + 2]) for i in range(len(plain) - 1)], dtype=">u8")
    ones = np.unpackbits(grams.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=0, dtype=np.int32)
    packed = np.packbits(ones * 2 > len(grams)).tobytes()
    return int.from_bytes(packed, "big", signed=True)


def _ones(codes: NDArray[np.uint64]) -> NDArray[np.uint8]:
    import numpy as np

    count = codes - ((codes >> np.uint64(1)) & np.uint64(0x5555555555555555))
    count = (count & np.uint64(0x3333333333333333)) + ((count >> np.uint64(2)) & np.uint64(0x3333333333333333))
    count = (count + (count >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    ones: NDArray[np.uint8] = ((count * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.uint8)
    return ones


def cluster(fingerprints: list[int | None]) -> list[int]:
    """For each fingerprint the index of the first near-duplicate before it (or its own): groups by link, O(n²/64)."""
    import numpy as np

    leaders = list(range(len(fingerprints)))
    places = [i for i, value in enumerate(fingerprints) if value is not None]
    codes: NDArray[np.uint64] = np.array([(fingerprints[i] or 0) & _MASK for i in places], dtype=np.uint64)
    for row in range(1, len(places)):
        near = np.flatnonzero(_ones(codes[:row] ^ codes[row]) <= MAX_DISTANCE)
        if near.size:
            leaders[places[row]] = leaders[places[int(near[0])]]
    return leaders
