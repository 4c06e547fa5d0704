"""Privacy: names become keyed hashes, personal data in texts is masked, before anything is stored or streamed.

《个人信息保护法》: nicknames and platform ids never leave the process; phone, ID, order and card numbers, addresses,
plates, mail and chat ids in texts are replaced by a word in brackets. Masking is idempotent. Of a place the province is
kept, of an address on the web what names no person and opens no door.
"""

from __future__ import annotations

import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from contextlib import suppress
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from ingest.addresses import public_url
from ingest.draft import Draft
from ingest.errors import ConfigError, Poison
from ingest.masks import mask
from ingest.mention import (
    MAX_TEXT,
    Append,
    Author,
    Matched,
    Mention,
    Precision,
    Product,
    Raw,
    make_mention,
    poison_from,
)
from ingest.regions import province

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

SECRET_BYTES = 32


class Privacy:
    """Seals drafts with the installation's secret. Thread-safe.

    Losing the secret makes author keys start anew and sealed dead letters unreadable; it lives in the home folder.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < SECRET_BYTES:
            raise ConfigError(f"密钥太短：至少需要 {SECRET_BYTES} 字节")
        self._secret = secret

    def __repr__(self) -> str:
        return "Privacy(secret=…)"

    def author_key(self, source: str, author_id: str) -> str:
        """24 hex digits; the same person on the same source always gets the same key."""
        text = f"author\x00{source}\x00{author_id}".encode("utf-8", "surrogatepass")
        return hmac.new(self._secret, text, sha256).hexdigest()[:24]

    def seal(
        self,
        draft: Draft,
        raw: Raw,
        matched: Matched | None = None,
        *,
        own: bool = False,
        undated: Precision = "month",
    ) -> Mention:
        """Mask, hash and validate; ``own``: the brand itself speaks. Raises Poison naming the field.

        A region that is no province of China, and an address that cannot be kept, are left out.

        Where the platform shows no time, ``created_at`` is the capture, precise to ``undated``: to the month, so that
        it is no news, unless whoever captured it knows that it was not there before.
        """
        try:
            return self._seal(draft, raw, matched or Matched(), own, undated)
        except ValidationError as error:  # of a part: an author, an append that grew when it was masked
            raise poison_from(error) from None

    def _seal(self, draft: Draft, raw: Raw, matched: Matched, own: bool, undated: Precision) -> Mention:
        for name in ("text", "title", "seller_reply", "region", "url"):
            value = getattr(draft, name)
            if not isinstance(value, str) and (value is not None or name == "text"):
                raise Poison("不是文字", field=name)
            if value and len(value) > MAX_TEXT:
                raise Poison(f"超过 {MAX_TEXT} 个字符", field=name)
        dated = draft.created_at is not None
        return make_mention(
            native_id=draft.native_id,
            source=draft.source,
            kind=draft.kind,
            raw=raw,
            excerpt=draft.excerpt,
            parent_id=f"{draft.source}:{draft.parent_native}" if draft.parent_native else None,
            title=mask(draft.title) if draft.title else None,
            text=mask(draft.text),
            empty_text=draft.empty_text,
            rating=draft.rating,
            rating_scale=draft.rating_scale,
            rating_original=draft.rating_original,
            created_at=draft.created_at if dated else raw.captured_at,
            created_precision=draft.created_precision if dated else undated,
            edited_at=draft.edited_at,
            purchased_at=draft.purchased_at,
            url=public_url(draft.url),
            product=_product(draft.product),
            author=Author(
                key=self.author_key(draft.source, draft.author_id) if draft.author_id else None,
                is_seller=draft.is_seller,
                is_brand=draft.is_brand or own,
                by_poster=draft.by_poster,
            ),
            region=province(draft.region),
            likes=draft.likes,
            replies=draft.replies,
            shares=draft.shares,
            views=draft.views,
            approximate=draft.approximate,
            appends=tuple(Append(text=mask(a.text), created_at=a.created_at) for a in draft.appends),
            seller_reply=mask(draft.seller_reply) if draft.seller_reply else None,
            media=tuple(draft.media),
            matched=matched,
        )

    @cached_property
    def _box(self) -> Fernet:
        return box_for(self._secret, "dead letters")

    def lock(self, payload: bytes) -> bytes:
        """Encrypt a payload that was not masked yet, so that it can be parked and replayed without lying open."""
        return self._box.encrypt(payload)

    def unlock(self, token: bytes) -> bytes:
        """Undo :meth:`lock`. Raises Poison when the secret is another one or the bytes were changed."""
        from cryptography.fernet import InvalidToken

        try:
            return self._box.decrypt(token)
        except InvalidToken as error:
            raise Poison("用别的密钥封存的，或已损坏", field="payload") from error


def _product(product: Product | None) -> Product | None:
    """Exports put addresses and phones into a product's words, too (custom prints, delivery notes)."""
    if product is None or not (product.name or product.spec):
        return product
    words = {name: mask(value) for name in ("name", "spec") if (value := getattr(product, name))}
    return product.model_copy(update=words)


def box_for(secret: bytes, purpose: str) -> Fernet:
    """Authenticated encryption under a key of its own for each purpose, derived from the installation's secret.

    What one purpose's box closed, another's does not open.
    """
    from cryptography.fernet import Fernet

    return Fernet(urlsafe_b64encode(hmac.new(secret, purpose.encode(), sha256).digest()))


def load_secret(path: Path, *, make: bool = True) -> bytes:
    """Read the installation's secret; made once, readable by its owner only, where ``make`` allows it.

    Raises ConfigError when it is unreadable, or missing and not to be made: two processes that each made their own
    would know the same person by two keys.
    """
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                with suppress(FileExistsError):
                    os.link(draft, path)  # the first of two that start at once wins
            finally:
                draft.unlink()
        secret = path.read_bytes()
    except OSError as error:
        hint = "" if make else "；它不会自动生成，所有进程要用同一个（shengwen init 可以生成）"
        raise ConfigError(f"无法读取密钥文件 {path.name}：{error.strerror}{hint}") from error
    if len(secret) < SECRET_BYTES:
        raise ConfigError(f"密钥文件 {path.name} 不完整；请从备份恢复它")
    return secret


__all__ = ["SECRET_BYTES", "Privacy", "box_for", "load_secret", "mask"]
