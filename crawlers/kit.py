"""Everything a spider works with."""

from __future__ import annotations

from dataclasses import dataclass

from crawlers.audit import Audit
from crawlers.book import PlatformBook
from crawlers.config import CrawlSettings
from crawlers.ledger import Ledger
from crawlers.pipeline import Pipeline
from crawlers.session import SessionFile
from ingest.clock import Clock
from ingest.log.base import EventLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """One run's settings, log, memory and way into the log. ``session``: where a person's login is kept, if it is."""

    settings: CrawlSettings
    log: EventLog
    ledger: Ledger
    book: PlatformBook
    pipeline: Pipeline
    clock: Clock
    audit: Audit
    session: SessionFile | None = None
