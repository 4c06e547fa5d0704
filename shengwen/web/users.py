"""Who may look: one user with a generated password, and the sessions that a login opens.

Passwords are kept as argon2id hashes. Of a session only the hash of its id is kept, so the database alone opens no
page. Everything is in the state database: a password that is reset ends every session in every process.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, ForeignKey, String, Text, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ingest.clock import Clock
from ingest.errors import UserError
from ingest.mention import storable
from ingest.state import Base, UtcDateTime

ADMIN = "admin"
MIN_PASSWORD = 10
MAX_PASSWORD = 200
_ALPHABET = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that reads as something else
_GROUPS, _GROUP = 4, 5
_TOUCH = timedelta(minutes=5)

# 19 MiB, two passes: OWASP's least for argon2id, so that a login costs a small machine some 50 ms.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_one_at_a_time = threading.Lock()


class User(Base):
    """A person who may log in."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    password: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WebSession(Base):
    """A login. ``id_hash`` is SHA-256 of the id that the cookie carries; ``csrf`` goes into every form."""

    __tablename__ = "web_sessions"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user: Mapped[str] = mapped_column(ForeignKey("users.name", ondelete="CASCADE"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


@dataclass(frozen=True, slots=True)
class Login:
    """A live session as the pages know it."""

    user: str
    csrf: str


def _generate() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _hash(password: str) -> str:
    with _one_at_a_time:
        return _hasher.hash(password)


def ensure_admin(engine: Engine, clock: Clock) -> str | None:
    """Create the user if there is none; the generated password, this one time, else None.

    Two processes may call it at once: one of them gets the password.
    """
    with engine.begin() as connection:
        if connection.execute(select(User.name).where(User.name == ADMIN)).first():
            return None
    password = _generate()
    now = clock.now()
    try:
        with Session(engine) as session, session.begin():
            session.add(User(name=ADMIN, password=_hash(password), created_at=now, changed_at=now))
    except IntegrityError:
        return None
    return password


def reset_password(engine: Engine, clock: Clock, name: str = ADMIN) -> str:
    """Give the user a new generated password, returned once, and end all of their sessions."""
    password = _generate()
    _set_password(engine, clock, name, password)
    return password


def change_password(engine: Engine, clock: Clock, name: str, old: str, new: str) -> None:
    """Change it and end all sessions. Raises UserError when ``old`` is wrong or ``new`` is too short or too long."""
    if not verify_password(engine, name, old):
        raise UserError("当前密码不对")
    if not MIN_PASSWORD <= len(new) <= MAX_PASSWORD:
        raise UserError(f"新密码要有 {MIN_PASSWORD} 到 {MAX_PASSWORD} 个字符")
    _set_password(engine, clock, name, new)


def _set_password(engine: Engine, clock: Clock, name: str, password: str) -> None:
    hashed, now = _hash(password), clock.now()
    with Session(engine) as session, session.begin():
        user = session.get(User, name)
        if user is None:
            session.add(User(name=name, password=hashed, created_at=now, changed_at=now))
        else:
            user.password, user.changed_at = hashed, now
        session.execute(delete(WebSession).where(WebSession.user == name))


@cache
def _nobody() -> str:
    """Verified against when there is no such user, so that both answers take as long."""
    return _hasher.hash(secrets.token_urlsafe(16))


def verify_password(engine: Engine, name: str, password: str) -> bool:
    """Whether it is this user's. One at a time: many at once would take the machine's memory."""
    with engine.begin() as connection:
        stored = connection.execute(select(User.password).where(User.name == storable(name))).scalar()
    with _one_at_a_time:
        try:
            right = _hasher.verify(stored or _nobody(), password[: MAX_PASSWORD + 1])
        except (VerificationError, InvalidHashError):
            return False
    return right and stored is not None


def _digest(session_id: str) -> str:
    return sha256(session_id.encode("utf-8", "replace")).hexdigest()


class Sessions:
    """Opens, finds and ends sessions."""

    def __init__(self, engine: Engine, clock: Clock, *, idle: timedelta, longest: timedelta) -> None:
        self._engine = engine
        self._clock = clock
        self._idle = idle
        self._longest = longest

    def open(self, user: str) -> str:
        """A new session's id, for the cookie. Expired ones of everybody are swept away."""
        session_id, now = secrets.token_urlsafe(32), self._clock.now()
        with Session(self._engine) as session, session.begin():
            session.execute(
                delete(WebSession).where(
                    (WebSession.seen_at < now - self._idle) | (WebSession.created_at < now - self._longest)
                )
            )
            session.add(
                WebSession(
                    id_hash=_digest(session_id),
                    user=user,
                    csrf=secrets.token_urlsafe(32),
                    created_at=now,
                    seen_at=now,
                )
            )
        return session_id

    def find(self, session_id: str, *, used: bool = True) -> Login | None:
        """The session if it is alive. ``used`` false (a page polling by itself) does not keep it alive."""
        digest, now = _digest(session_id), self._clock.now()
        with Session(self._engine) as session, session.begin():
            row = session.get(WebSession, digest)
            if row is None or row.seen_at < now - self._idle or row.created_at < now - self._longest:
                return None
            if used and row.seen_at < now - _TOUCH:
                session.execute(update(WebSession).where(WebSession.id_hash == digest).values(seen_at=now))
            return Login(user=row.user, csrf=row.csrf)

    def end(self, session_id: str) -> None:
        """Log out."""
        with Session(self._engine) as session, session.begin():
            session.execute(delete(WebSession).where(WebSession.id_hash == _digest(session_id)))
