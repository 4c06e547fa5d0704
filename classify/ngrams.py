"""Character n-grams of a whole batch at once: hashed with numpy, summed with numpy, no loop over characters.

A text's features are its 1-, 2- and 3-grams, each hashed into ``2**BITS`` buckets. Training and inference call the same
functions, so they cannot drift apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BITS = 20
ORDERS = (1, 2, 3)

_END = 0x10FFFF
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
_SEEDS = (0x27D4EB2F165667C5, 0x85EBCA77C2B2AE63, 0xD6E8FEB86659FD93)
_FINISH = np.uint64(0xFF51AFD7ED558CCD)


@dataclass(frozen=True, slots=True)
class Grams:
    """The n-grams of a batch, by the position they start at.

    ``buckets[k][i]`` is the bucket of the n-gram of order ``ORDERS[k]`` that starts at ``i`` in the joined texts and
    ``inside[k][i]`` is false where it would run over the end of its text. Text ``t`` owns positions
    ``starts[t] : starts[t + 1]``, the last of which is its end mark.
    """

    buckets: tuple[NDArray[np.uint32], ...]
    inside: tuple[NDArray[np.bool_], ...]
    starts: NDArray[np.int64]


def grams(folded: Sequence[str]) -> Grams:
    """Hash the n-grams of folded texts. Digits count as one digit, so a price is any price."""
    mark = chr(_END)
    joined = "".join([part for text in folded for part in (text, mark)])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    codes = np.where((codes >= 0x30) & (codes <= 0x39), np.uint32(0x30), codes)
    starts = np.zeros(len(folded) + 1, dtype=np.int64)
    np.cumsum([len(text) + 1 for text in folded], out=starts[1:])
    wide = codes.astype(np.uint64)
    ended = codes == _END
    mixed = np.zeros(len(codes), dtype=np.uint64)
    open_ = np.ones(len(codes), dtype=bool)
    buckets: list[NDArray[np.uint32]] = []
    inside: list[NDArray[np.bool_]] = []
    for shift in range(max(ORDERS)):
        # The n-gram of order shift+1 is the one of order shift with the next character mixed in.
        keep = len(codes) - shift
        if keep > 0:
            mixed[:keep] += wide[shift:] * np.uint64(_MULTIPLIERS[shift])
            open_[:keep] &= ~ended[shift:]
        open_[max(keep, 0) :] = False
        hashed = (mixed + np.uint64(_SEEDS[shift])) * _FINISH
        hashed ^= hashed >> np.uint64(31)
        hashed *= _FINISH
        buckets.append((hashed >> np.uint64(64 - BITS)).astype(np.uint32))
        inside.append(open_.copy())
    return Grams(tuple(buckets), tuple(inside), starts)
