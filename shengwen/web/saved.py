"""Saved searches: queries that somebody gave a name, shared by all who log in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Engine, Integer, String, Text, delete, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ingest.clock import Clock
from ingest.errors import UserError
from ingest.state import Base, UtcDateTime, by_code_point, insert_into

MAX_NAME = 40
MAX_SAVED = 100


class SavedSearch(Base):
    """A named query. ``query`` is kept as typed, so that ``since:7d`` stays relative."""

    __tablename__ = "saved_searches"

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    name: Mapped[str] = mapped_column(String(MAX_NAME), unique=True)
    query: Mapped[str] = mapped_column(Text)
    sort: Mapped[str] = mapped_column(String(12))
    by: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


def saved_searches(engine: Engine) -> Sequence[SavedSearch]:
    """All, by name."""
    with Session(engine, expire_on_commit=False) as session:
        return session.scalars(select(SavedSearch).order_by(by_code_point(SavedSearch.name))).all()


def save_search(engine: Engine, clock: Clock, name: str, query: str, sort: str, by: str) -> None:
    """Save a query; one of the same name is replaced. Raises UserError for an empty or long name and for too many."""
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME:
        raise UserError(f"名称要有 1 到 {MAX_NAME} 个字")
    with Session(engine) as session, session.begin():
        known = session.scalars(select(SavedSearch).where(SavedSearch.name == name)).first()
        if known is not None:
            known.query, known.sort, known.by, known.created_at = query, sort, by, clock.now()
            return
        if (session.scalar(select(func.count()).select_from(SavedSearch)) or 0) >= MAX_SAVED:
            raise UserError(f"最多保存 {MAX_SAVED} 个查询，请先删掉一些")
        rows = insert_into(session.connection(), SavedSearch.__table__)
        newest = {column: rows.excluded[column] for column in ("query", "sort", "by", "created_at")}
        session.execute(
            rows.on_conflict_do_update(index_elements=["name"], set_=newest),
            {"name": name, "query": query, "sort": sort, "by": by, "created_at": clock.now()},
        )


def forget_search(engine: Engine, number: int) -> None:
    """Delete one; nothing happens when it is gone already."""
    with Session(engine) as session, session.begin():
        session.execute(delete(SavedSearch).where(SavedSearch.id == number))
