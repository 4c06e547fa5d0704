"""What the SQLite tests run in processes of their own: writers at once, and a disk that fills up."""

from __future__ import annotations

import json
import resource
import time
from pathlib import Path

from ingest.errors import Retryable
from ingest.log.base import Outgoing, Topics
from ingest.log.sqlite import SqliteLog


def fill_a_small_disk(log_path: str, limit: int, report: str) -> None:
    """Append under a limit on the size of files until that fails, lift the limit, append once more."""
    acknowledged = 0
    errors: list[tuple[str, float | None]] = []
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with SqliteLog(Path(log_path)) as log:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        while len(errors) < 3 and acknowledged < 10_000:
            try:
                log.produce(Topics.COLLECTED, [Outgoing("k", b"%d." % acknowledged + b"x" * 20_000)])
                acknowledged += 1
            except Retryable as error:
                errors.append((str(error), error.retry_after))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        log.produce(Topics.COLLECTED, [Outgoing("k", b"%d." % acknowledged)])
        acknowledged += 1
    Path(report).write_text(json.dumps({"acknowledged": acknowledged, "errors": errors}), "utf-8")


def count_up(url: str, times: int, start_at: float) -> None:
    """Read, add one, write back, ``times`` times, each in a transaction of its own."""
    from sqlalchemy import text

    from ingest.state import make_engine

    time.sleep(max(0.0, start_at - time.time()))
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS counter (n INTEGER NOT NULL)"))
    for _ in range(times):
        with engine.begin() as connection:
            n = connection.execute(text("SELECT max(n) FROM counter")).scalar() or 0
            connection.execute(text("DELETE FROM counter"))
            connection.execute(text("INSERT INTO counter VALUES (:n)"), {"n": n + 1})
    engine.dispose()
