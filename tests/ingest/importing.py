"""Importing one file, and what came of it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from ingest.clock import ManualClock
from ingest.imports.job import ImportJob, ImportState
from ingest.imports.mapping import TEXT_HEADINGS
from ingest.imports.tables import BadRow, Row, open_table
from ingest.log.base import Topics
from ingest.log.sqlite import SqliteLog
from ingest.mention import Mention, mention_from_json
from ingest.privacy import Privacy

SECRET = b"a secret for tests only, 32 bytes"


def table_of(path: Path) -> tuple[list[str], list[Row | BadRow]]:
    with open_table(path, TEXT_HEADINGS) as table:
        return list(table.columns), list(table.rows)


def run(path: Path, log: SqliteLog, **options: Any) -> ImportState:
    job = ImportJob(path, source="import:test", log=log, privacy=Privacy(SECRET), clock=ManualClock(), **options)
    return job.run(threading.Event(), lambda state: None, {})


def collected(log: SqliteLog) -> list[Mention]:
    return [mention_from_json(record.value) for record in log.read(Topics.COLLECTED, 0, 0, 10_000)]
