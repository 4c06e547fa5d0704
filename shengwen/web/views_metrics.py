"""``/metrics``: lag and stage health in Prometheus' text format. Like every page it wants a login, or Basic auth."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response

from shengwen.web.pages import PagesDep
from shengwen.web.views_sources import StageLine, stage_lines

router = APIRouter()

STATES = ("waiting", "running", "retrying", "stopped", "failed")
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/metrics")
def metrics(pages: PagesDep) -> Response:
    """Raises what the log raises when it does not answer: the application's answer is 503 then."""
    return PlainTextResponse("\n".join([*exposed(stage_lines(pages.deps)), ""]), media_type=MEDIA_TYPE)


def exposed(lines: list[StageLine]) -> Iterator[str]:
    """The lines of the exposition."""
    yield "# HELP shengwen_lag Records that a stage has yet to do."
    yield "# TYPE shengwen_lag gauge"
    for line in lines:
        if line.topic is not None and line.lag is not None:
            yield f'shengwen_lag{{topic="{line.topic}",group="{line.name}"}} {line.lag}'
    here = [(line.name, line.health) for line in lines if line.health is not None]
    yield "# HELP shengwen_stage_state 1 for the state that a stage of this process is in."
    yield "# TYPE shengwen_stage_state gauge"
    for name, health in here:
        for state in STATES:
            yield f'shengwen_stage_state{{stage="{name}",state="{state}"}} {int(health.state == state)}'
    for word, what in (("records", "worked through"), ("rejected", "parked as dead letters"), ("retries", "retried")):
        yield f"# HELP shengwen_stage_{word}_total Of a stage of this process: {what} since its start."
        yield f"# TYPE shengwen_stage_{word}_total counter"
        for name, health in here:
            yield f'shengwen_stage_{word}_total{{stage="{name}"}} {getattr(health, word)}'
