"""The log that the settings name."""

from __future__ import annotations

from pathlib import Path

from ingest.clock import Clock
from ingest.log.base import EventLog
from ingest.log.kafka_config import LogSettings


def open_log(settings: LogSettings, path: Path, clock: Clock | None = None) -> EventLog:
    """The embedded log at ``path``, or Kafka. Raises what they raise when they are opened."""
    if settings.backend == "kafka":
        from ingest.log.kafka import KafkaLog

        return KafkaLog(settings.kafka, clock=clock)
    from ingest.log.sqlite import SqliteLog

    return SqliteLog(path, clock=clock)


__all__ = ["open_log"]
