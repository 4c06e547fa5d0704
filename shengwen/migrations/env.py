"""Alembic's entry: runs on the connection that :func:`shengwen.database.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from ingest.state import UtcDateTime
from shengwen.database import metadata


def plain_type(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Write our instants as the type below them: a migration must not change with our code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata(),
    render_item=plain_type,
    render_as_batch=True,  # SQLite cannot alter a table in place
)
with context.begin_transaction():
    context.run_migrations()
