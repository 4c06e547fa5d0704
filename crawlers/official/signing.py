"""Signatures as the platforms' developer documentation publishes them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import md5, sha256
from typing import Literal

SignMethod = Literal["md5", "hmac", "hmac-sha256"]


def sign(params: Mapping[str, str], secret: str, method: SignMethod = "md5") -> str:
    """The ``sign`` of a JOS or TOP request: upper-case hex over all other parameters, UTF-8.

    Names and values are joined without separators, ordered by the name's bytes; empty values and ``sign`` itself are
    left out. ``md5`` puts the secret before and behind, the others use it as the HMAC's key (``hmac``: with MD5).
    """
    pairs = sorted((name.encode(), value.encode()) for name, value in params.items() if value and name != "sign")
    joined = b"".join(name + value for name, value in pairs)
    key = secret.encode()
    if method == "md5":
        return md5(key + joined + key, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key, joined, md5 if method == "hmac" else sha256).hexdigest().upper()
