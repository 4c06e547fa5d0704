"""What only a page's own script can make: the replica's invented stand-in for the platforms' request signatures.

A page carries a seed; its script (``/_static/demo.js``) hashes seed, time and path into a token and sends it with every
call. The server knows its own seeds again. The scheme is ours and has nothing to do with any platform's.
"""

from __future__ import annotations

import hmac
import re
import secrets
from hashlib import sha256
from typing import Final

from ingest.clock import Clock

SEED_LIFE: Final = 6 * 3600
"""Seconds that a page may stay open before its calls are refused."""
_TOKEN: Final = re.compile(r"([0-9a-f]{8}\.[0-9a-f]{16})\.([0-9]{10,16})\.([0-9a-f]{8})")


def fnv1a(text: str) -> str:
    """32-bit FNV-1a over UTF-8, 8 hex digits; demo.js has the same."""
    value = 0x811C9DC5
    for byte in text.encode():
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return f"{value:08x}"


class Signer:
    """Issues seeds and checks tokens; also makes the opaque per-item tokens (``xsec_token``)."""

    def __init__(self, clock: Clock, key: bytes | None = None) -> None:
        self._clock = clock
        self._key = key or secrets.token_bytes(32)

    def _mark(self, text: str) -> str:
        return hmac.new(self._key, text.encode(), sha256).hexdigest()

    def seed(self) -> str:
        """A new seed for one page."""
        issued = f"{int(self._clock.now().timestamp()):08x}"
        return f"{issued}.{self._mark(issued)[:16]}"

    def accepts(self, token: str | None, path: str) -> bool:
        """True for a token that a page's script made for this path with a seed that is not too old."""
        found = _TOKEN.fullmatch(token or "")
        if not found:
            return False
        seed, stamp, digest = found.groups()
        issued, mark = seed.split(".")
        age = self._clock.now().timestamp() - int(issued, 16)
        return (
            hmac.compare_digest(mark, self._mark(issued)[:16])
            and -60 <= age <= SEED_LIFE
            and digest == fnv1a(f"{seed}|{stamp}|{path}")
        )

    def item_token(self, native_id: str) -> str:
        """The token that a list gives out for opening one item's page."""
        return "AB" + self._mark(f"item:{native_id}")[:40] + "="
