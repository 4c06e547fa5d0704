"""Tokens of programs that push mentions: made, listed and revoked by a person, kept only as hashes.

A token opens nothing but ``POST /api/v1/mentions``, and writes to one source only.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from sqlalchemy import Engine, String, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ingest.clock import Clock
from ingest.errors import UserError
from ingest.mention import Kind
from ingest.state import Base, UtcDateTime, state_errors

PREFIX: Final = "swt"
MAX_NAME: Final = 80
MAX_TOKENS: Final = 200
"""Living ones; more is a mistake in a script."""
SOURCE_NAME: Final = re.compile(r"[\w\-.]{1,64}")
_TOKEN: Final = re.compile(rf"{PREFIX}_([0-9a-f]{{12}})_[A-Za-z0-9_\-]{{43}}")
_TOUCH: Final = timedelta(minutes=5)


class ApiToken(Base):
    """One token. ``digest`` is SHA-256 of the whole token, which holds 256 random bits: a slow hash adds nothing."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_NAME))
    digest: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


@dataclass(frozen=True, slots=True)
class Pusher:
    """Who pushes: a living token's id and name, the source it writes to, and what its mentions are by default."""

    id: str
    name: str
    source: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """A token as it is listed. Instants are UTC; ``used_at`` is exact to five minutes."""

    id: str
    name: str
    source: str
    kind: str
    created_at: datetime
    used_at: datetime | None
    revoked_at: datetime | None


class Tokens:
    """All tokens. Thread-safe; raises what the state database raises, as our errors."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def create(self, name: str, source: str, kind: Kind = "review") -> str:
        """A new token, returned this once. Raises UserError (Chinese)."""
        name = name.strip()
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise UserError(f"名字要有 1 到 {MAX_NAME} 个字")
        if not SOURCE_NAME.fullmatch(source):
            raise UserError("来源的名字只能用文字、数字、- _ .，不超过 64 个字")
        identity = secrets.token_hex(6)
        token = f"{PREFIX}_{identity}_{secrets.token_urlsafe(32)}"
        with state_errors(), Session(self._engine) as session, session.begin():
            living = select(func.count()).select_from(ApiToken).where(ApiToken.revoked_at.is_(None))
            if (session.scalar(living) or 0) >= MAX_TOKENS:
                raise UserError(f"最多 {MAX_TOKENS} 个有效令牌，请先用 shengwen tokens revoke 停用一些")
            session.add(
                ApiToken(
                    id=identity,
                    name=name,
                    digest=_digest(token),
                    source=f"import:{source}",
                    kind=kind,
                    created_at=self._clock.now(),
                )
            )
        return token

    def all(self) -> Sequence[TokenInfo]:
        """Every token that was ever made, newest first."""
        with state_errors(), Session(self._engine) as session:
            rows = session.scalars(select(ApiToken).order_by(ApiToken.created_at.desc(), ApiToken.id))
            return [
                TokenInfo(row.id, row.name, row.source, row.kind, row.created_at, row.used_at, row.revoked_at)
                for row in rows
            ]

    def revoke(self, identity: str) -> None:
        """From now on it opens nothing. Raises UserError when there is none, or it is revoked already."""
        with state_errors(), Session(self._engine) as session, session.begin():
            row = session.get(ApiToken, identity)
            if row is None:
                raise UserError(f"没有编号为 {identity[:40]} 的令牌；用 shengwen tokens list 查看")
            if row.revoked_at is not None:
                raise UserError(f"令牌 {identity} 已经停用")
            row.revoked_at = self._clock.now()

    def find(self, token: str) -> Pusher | None:
        """Whose token this is, if it lives."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        now = self._clock.now()
        with state_errors(), Session(self._engine) as session, session.begin():
            row = session.get(ApiToken, match[1])
            if row is None or not compare_digest(row.digest, _digest(token)) or row.revoked_at is not None:
                return None
            if row.used_at is None or now - row.used_at >= _TOUCH:
                session.execute(update(ApiToken).where(ApiToken.id == row.id).values(used_at=now))
            return Pusher(row.id, row.name, row.source, row.kind)  # type: ignore[arg-type]  # stored by create()


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
