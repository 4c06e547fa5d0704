"""``shengwen up``: the whole service in one process; spiders are its children."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from shengwen.chores import Chores
from shengwen.crawling import CrawlSchedule
from shengwen.lease import CRAWLER, Lease
from shengwen.runner import StageRunner
from shengwen.serving import Page
from shengwen.settings import check_bind
from shengwen.stages import STAGES

if TYPE_CHECKING:
    from shengwen.rooms import Rooms


class Service:
    """All parts of a home, running. Start, wait, stop."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        crawl: bool = True,
        demo_links: Sequence[tuple[str, str]] = (),
    ) -> None:
        check_bind(rooms.settings.web)
        self.rooms = rooms
        self.stop = threading.Event()
        self._crawl = crawl
        # There is one `up` on a home, so it goes on at once with the leases of the one that was killed before it.
        owner = f"{socket.gethostname()[:100]}:{rooms.home.path}"
        self._crawl_lease = Lease(rooms.engine, rooms.clock, CRAWLER, owner=owner)
        self._schedule = CrawlSchedule(rooms, held=self._crawl_lease.held)
        self._runner = StageRunner(rooms, STAGES)
        self._chores = Chores(rooms, self.stop, owner)
        self._page = Page(rooms, self._schedule, self._runner.health, demo_links)

    @property
    def url(self) -> str:
        """The page's address."""
        return self._page.url

    @property
    def password(self) -> str | None:
        """The password that was just made; None when there was one already."""
        return self._page.password

    def start(self) -> None:
        """Returns when the page answers; raises ConfigError when it cannot."""
        self._page.start()
        self._runner.start()
        self._chores.start()
        if self._crawl:
            self._schedule.start()

    def caught_up(self) -> bool:
        """Every platform was crawled once, and nothing is on its way to the index or the alerts."""
        return self._schedule.all_ran and not any(self.rooms.log.lag(topic, stage) for stage, topic in STAGES.items())

    def shut_down(self) -> None:
        """Spiders write their coverage, stages finish and commit the batch in hand, the page closes."""
        self.stop.set()
        self._page.ask_to_stop()
        self._schedule.stop()
        self._crawl_lease.release()
        self._runner.stop()
        self._chores.stop()
        self._page.stop()
