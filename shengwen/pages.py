"""Gives the pages what they stand on."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

from crawlers.book import PlatformBook
from crawlers.config import PLATFORMS
from shengwen.crawling import NAMES, CrawlSchedule, planned
from shengwen.stages import STAGES

if TYPE_CHECKING:
    from fastapi import FastAPI

    from ingest.stage import StageHealth
    from shengwen.rooms import Rooms
    from shengwen.web.deps import PlatformStatus


def make_app(
    rooms: Rooms,
    schedule: CrawlSchedule,
    health: Callable[[], Mapping[str, StageHealth]],
    port: int,
    demo_links: Sequence[tuple[str, str]],
) -> tuple[FastAPI, str | None]:
    """The application, and the password that was just made (None when there is one already)."""
    from shengwen.pushing import Pushing
    from shengwen.web.app import create_app
    from shengwen.web.deps import WebDeps, WebSettings
    from shengwen.web.users import ensure_admin

    web = rooms.settings.web
    # Derived, not stored: the cookies' key must not be the key of the authors' hashes.
    session_key = hmac.new(rooms.secret, b"page sessions", sha256).digest()
    deps = WebDeps(
        index=rooms.index,
        reader=rooms.reader,
        log=rooms.log,
        letters=rooms.letters,
        engine=rooms.engine,
        clock=rooms.clock,
        settings=WebSettings(
            brand=rooms.settings.brand.name,
            session_key=session_key,
            host=web.host,
            port=port,
            hosts=web.hosts,
            demo=bool(demo_links),
        ),
        decide_alert=rooms.alerting.decide,
        change_ticket=rooms.alerting.change_ticket,
        send_again=rooms.alerting.send_again,
        resume_source=schedule.resume,
        platform_status=lambda: platform_statuses(rooms, schedule),
        health=health,
        left_out=lambda: tuple(schedule.left_out),
        demo_links=demo_links,
        tags=[tag.name for tag in rooms.taxonomy.tags],
        pushing=Pushing(rooms.log, rooms.engine, rooms.privacy, rooms.clock, rooms.settings.brand.match),
        stage_topics=STAGES,
    )
    return create_app(deps), ensure_admin(rooms.engine, rooms.clock)


def platform_statuses(rooms: Rooms, schedule: CrawlSchedule) -> Sequence[PlatformStatus]:
    """Every platform's standing, planned or not."""
    from shengwen.web.deps import PlatformStatus

    book = PlatformBook(rooms.engine, rooms.clock)
    running, wanted = schedule.running(), planned(rooms.settings)
    shown = []
    for platform in PLATFORMS:
        status = book.status(platform)
        if status.needs_person:
            state = "stopped"
        elif platform in running:
            state = "running"
        else:
            state = "waiting" if platform in wanted else "off"
        next_run, next_why = schedule.next_run(platform), ""
        if platform in wanted and state == "waiting":
            found = schedule.plan(platform)
            # Another process may do the crawling; what it goes by is in the state database.
            next_run, next_why = next_run or found.next_at, found.why
        shown.append(
            PlatformStatus(
                source=platform,
                name=NAMES[platform],
                state=state,  # type: ignore[arg-type]  # one of the four above
                signal=status.signal or "ok",
                reason=status.reason,
                stopped_at=status.stopped_at,
                needs_person=status.needs_person,
                login_at=status.login_at,
                login_lost_at=status.login_lost_at,
                last_run=status.finished_at,
                next_run=next_run,
                next_why=next_why,
            )
        )
    return shown
