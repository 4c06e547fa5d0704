"""来源: is it quiet, or is it dead? Sources, stages, dead letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from alerts.coverage import cut_off_in
from alerts.hours import SourceWeek, Yield
from alerts.read import QueryView, SourceView
from ingest.dead_letters import DeadLetter
from ingest.errors import ShengwenError, UserError
from ingest.log.base import Topics
from ingest.stage import StageHealth
from shengwen.web.deps import PlatformStatus, WebDeps
from shengwen.web.pages import PagesDep, page_url
from shengwen.web.present import source_name

router = APIRouter()

LETTERS_SHOWN = 200
PAYLOAD_SHOWN = 2_000
VERDICTS = {
    "person": "需要人工",
    "stopped": "已停止",
    "silent": "失声",
    "partial": "不完整",
    "ok": "正常",
    "quiet": "无新内容",
    "unknown": "还没有运行",
    "off": "未启用",
}
"""In the order in which they are listed: what needs somebody first."""
LOOKS = {"none": "没有看", "silent": "没有看成", "quiet": "看了，没有新的", "new": "新增"}
"""What an hour was like (:class:`alerts.hours.HourCell`)."""


@dataclass(frozen=True, slots=True)
class SourceLine:
    """One source: what its collector says of itself and what its coverage records say.

    ``verdict``: person (needs one), stopped, silent (nothing came though it should have), partial, quiet (complete,
    nothing new), ok, off, unknown (never ran).
    """

    source: str
    name: str
    verdict: str
    collector: PlatformStatus | None
    coverage: SourceView | None
    letters: int
    week: SourceWeek | None = None

    @property
    def said(self) -> str:
        """Whether it is quiet or silent, in words; empty where the verdict says enough."""
        if self.verdict == "quiet":
            looks = sum(line.runs - line.short for line in self.week.days[-2:]) if self.week else 0
            times = f"这两天看完 {looks} 次，" if looks else ""
            return f"看过了，没有新的：{times}24 小时里没有新内容。"
        if self.verdict == "silent":
            return "没有看成：这段时间有没有新内容，不知道。"
        if self.verdict in ("person", "stopped"):
            return "没有在看：恢复之前有没有新内容，不知道。"
        return "还没有看过。" if self.verdict == "unknown" else ""

    @property
    def yields(self) -> str:
        """What the last hour and the last 24 hours brought, against the same time last week."""
        if self.week is None:
            return ""
        hour, day = self.week.hour, self.week.day
        return f"上一个整点小时{_against(hour, '上周同一小时')}；24 小时{_against(day, '上周同一时段')}。"

    @property
    def cut_off(self) -> Mapping[str, str]:
        """Query -> what its search did not show, in words; only those that were cut off."""
        queries = self.coverage.queries if self.coverage else ()
        return {one.query: said for one in queries if (said := cut_off_in(one.reason))}

    @property
    def totals(self) -> QueryView | None:
        """The newest query's record."""
        queries = self.coverage.queries if self.coverage else ()
        return max(queries, key=lambda one: one.finished_at, default=None)


def _against(found: Yield, then: str) -> str:
    new = "没有看" if found.new is None else f"新增 {found.new} 条"
    return f"{new}（{then}{'没有看' if found.before is None else f' {found.before} 条'}）"


def source_lines(deps: WebDeps, letters: Sequence[DeadLetter]) -> list[SourceLine]:
    """All sources that are configured or ever reported; those that need somebody first."""
    collectors = {one.source: one for one in deps.platform_status()}
    coverage = {one.source: one for one in deps.reader.sources(deps.clock.now())}
    weeks = deps.reader.weeks(deps.clock.now())
    parked: dict[str, int] = {}
    for letter in letters:
        parked[letter.source] = parked.get(letter.source, 0) + 1
    lines = [
        SourceLine(
            source=source,
            name=collectors[source].name if source in collectors else source_name(source),
            verdict=_verdict(collectors.get(source), coverage.get(source), weeks.get(source)),
            collector=collectors.get(source),
            coverage=coverage.get(source),
            letters=parked.get(source, 0),
            week=weeks.get(source),
        )
        for source in dict.fromkeys([*collectors, *coverage])
    ]
    order = list(VERDICTS)
    return sorted(lines, key=lambda line: order.index(line.verdict))


def _verdict(collector: PlatformStatus | None, coverage: SourceView | None, week: SourceWeek | None) -> str:
    if collector is not None:
        if collector.needs_person:
            return "person"
        if collector.state in ("stopped", "off"):
            return collector.state
    if coverage is None:
        return "unknown"
    if coverage.silent_since is not None:
        return "silent"
    newest = max(coverage.queries, key=lambda one: one.finished_at, default=None)
    if newest is not None and newest.status in ("stopped", "failed"):
        return "stopped"
    if coverage.state == "partial":
        return "partial"
    news = any(one.new for one in coverage.queries) or (week is not None and week.day.new)
    return "ok" if news else "quiet"


@dataclass(frozen=True, slots=True)
class StageLine:
    """A stage: its health if it runs in this process, and how many records of ``topic`` its group has yet to do (null:
    unknown)."""

    name: str
    topic: str | None
    health: StageHealth | None
    lag: int | None


def stage_lines(deps: WebDeps) -> list[StageLine]:
    """All stages, with their lag wherever they run."""
    health: Mapping[str, StageHealth] = deps.health()
    lines = []
    for name in dict.fromkeys([*deps.stage_topics, *health]):
        topic = deps.stage_topics.get(name)
        lines.append(StageLine(name, topic, health.get(name), deps.log.lag(topic, name) if topic else None))
    return lines


@router.get("/sources")
def sources(request: Request, pages: PagesDep, resumed: str = "") -> Response:
    deps = pages.deps
    letters = deps.letters.open()
    return pages.render(
        request,
        "sources.html",
        lines=source_lines(deps, letters),
        stages=stage_lines(deps),
        letters=len(letters),
        counts=deps.index.counts(),
        verdicts=VERDICTS,
        looks=LOOKS,
        notice=f"{source_name(resumed)} 已恢复，会在下一轮继续采集。" if resumed else "",
    )


@router.post("/sources/resume")
def resume(request: Request, pages: PagesDep, source: Annotated[str, Form(max_length=80)]) -> Response:
    if source not in {one.source for one in pages.deps.platform_status()}:
        raise HTTPException(404)
    pages.deps.resume_source(source)
    return RedirectResponse(page_url("/sources", resumed=source), 303)


@dataclass(frozen=True, slots=True)
class LetterLine:
    """A dead letter as it may be shown: sealed payloads stay sealed, others were masked before they were streamed."""

    letter: DeadLetter
    payload: str | None
    cut: bool

    @property
    def at(self) -> datetime:
        return self.letter.at


def letter_lines(letters: Sequence[DeadLetter]) -> list[LetterLine]:
    """The newest ones, first."""
    newest = sorted(letters, key=lambda letter: letter.at, reverse=True)[:LETTERS_SHOWN]
    return [
        LetterLine(
            letter,
            None if letter.sealed else letter.payload[:PAYLOAD_SHOWN].decode("utf-8", "replace"),
            len(letter.payload) > PAYLOAD_SHOWN,
        )
        for letter in newest
    ]


@router.get("/dead-letters")
def dead_letters(request: Request, pages: PagesDep) -> Response:
    letters = pages.deps.letters.open()
    return pages.render(request, "dead_letters.html", lines=letter_lines(letters), total=len(letters))


@router.post("/dead-letters/replay")
def replay(request: Request, pages: PagesDep, letter: Annotated[str, Form(max_length=400)]) -> Response:
    try:
        pages.deps.letters.replay(pages.deps.letters.get(letter))
    except UserError as error:
        letters = pages.deps.letters.open()
        return pages.render(
            request,
            "dead_letters.html",
            status=400,
            lines=letter_lines(letters),
            total=len(letters),
            problem=str(error),
        )
    return RedirectResponse("/dead-letters", 303)


@router.get("/healthz")
def healthz(pages: PagesDep) -> Response:
    """For a supervisor: 200 while the stores answer and no stage of this process has failed, else 503. No data."""
    deps = pages.deps
    failed = sorted(name for name, health in deps.health().items() if health.state == "failed")
    try:
        deps.index.counts()
        deps.log.end_offsets(Topics.DEAD_LETTERS)
    except ShengwenError:
        failed.append("stores")
    return JSONResponse({"ok": not failed, "failed": failed}, 503 if failed else 200)
