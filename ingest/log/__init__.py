"""The event log: one contract (base), one backend a file."""

from ingest.log.base import Consumer, EventLog, Record, Topics

__all__ = ["Consumer", "EventLog", "Record", "Topics"]
