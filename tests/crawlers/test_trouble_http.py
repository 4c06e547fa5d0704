"""JD, Tmall and Zhihu break in the middle of a list, in every way that is known: the run ends, counts what it met, and
has every record that could be reached. When the platform is well again the next run has all of them, each once.

What breaks on the wire breaks below the parsers, alike on all platforms: each of these faults is tried on one list, in
turn; ``SHENGWEN_TROUBLE=all`` tries it on each. With ``-s`` a table of all trials is printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from shengwen.demo.replica import jd, tmall, zhihu
from shengwen.demo.replica.switches import Answer
from tests.crawlers.courses import Course, courses
from tests.crawlers.crowd import running_world
from tests.crawlers.faults import FAULTS, MAX_BYTES, MIDDLE, Fault
from tests.crawlers.trials import PATIENCE, Case, Trials
from tests.crawlers.trouble import Answered, Asked, Turn
from tests.processes import Nursery

pytestmark = pytest.mark.timeout(PATIENCE + 60)

PATHS: Final = {
    "jd reviews": "/productPageComments.action",
    "tmall reviews": "/list_detail_rate.htm",
    "zhihu comments": "/root_comment",
}
"""The main lists; all faults are tried on them."""
SIDE: Final = ("zhihu answers", "jd questions", "jd answers", "zhihu replies")
"""Lists read by the same code: a choice of faults is enough."""
OF_SIDE: Final = ("zhihu answers",
    "half_body", "reset_once", "html", "http_429", "two_nulls", "empty_page", "stuck", "points_back", "never_ends",
)  # fmt: skip


def refusals(platform: str, path: str) -> list[Fault]:
    """The replica's documented refusals, as faults: in the middle of a list that was well before."""
    offered: dict[str, dict[str, Answer]] = {"jd": jd.ANSWERS, "tmall": tmall.ANSWERS, "zhihu": zhihu.ANSWERS}
    return [_refusal(name, told) for name, told in offered[platform].items() if told.build and told.fits("api", path)]


def _refusal(name: str, told: Answer) -> Fault:
    def spoil(turn: Turn) -> Answered:
        assert told.build is not None
        return Answered.of(told.build(turn.asked.request()))

    mild = {"ok", "empty", "gone"} & set(told.signals)
    says = "complete|partial" if mild else f"stopped ({'|'.join(told.signals)}) "
    return Fault(f"said_{name}", "before" if mild else "stop", says, lambda _: spoil, mild=bool(mild))


def faults_of(course: str) -> list[Fault]:
    platform = course.partition(" ")[0]
    fitting = [one for one in FAULTS if (one.name, platform) not in _NOT]
    if course in SIDE:
        return [one for one in fitting if one.name in OF_SIDE]
    return fitting + refusals(platform, PATHS[course])


_NOT: Final = {("points_back", "jd")}
"""JD's answers do not say where the next page is."""


def in_turn(course: str, fault: Fault) -> bool:
    """Whether a fault of the wire is tried on this list."""
    if not fault.wire or course not in PATHS or os.environ.get("SHENGWEN_TROUBLE") == "all":
        return True
    return [*PATHS][[one.name for one in FAULTS].index(fault.name) % len(PATHS)] == course


TRIALS: Final = [(course, fault) for course in (*PATHS, *SIDE) for fault in faults_of(course) if in_turn(course, fault)]


def reachable(course: Course, fault: Fault) -> set[str]:
    """What the first run can have of the list, and of what lies around it."""
    match fault.reach_in(course.name):
        case "all":
            return course.truth - course.lost(MIDDLE, *fault.lost)
        case "hole":
            return course.reached(upto=MIDDLE, beyond=MIDDLE + 1 if course.numbered else None)
        case "gap":
            return course.reached(upto=MIDDLE, beyond=MIDDLE + 1)
        case "after":
            return course.reached(upto=MIDDLE + 1)
        case "before":
            return course.reached(upto=MIDDLE)
        case "stop":
            return course.reached(upto=MIDDLE, stopped=True)


def healed(course: Course, fault: Fault) -> set[str]:
    """What the second run must complete it to."""
    if course.rechecked:
        return course.truth
    return (
        reachable(course, fault) if fault.believed_in(course.name) else course.truth - course.lost(MIDDLE, *fault.lost)
    )


def case_of(course: Course, fault: Fault) -> Case:
    def here(asked: Asked) -> bool:
        return course.has(asked) and (fault.whole or course.index(asked.params) == MIDDLE)

    more: dict[str, Any] = {"max_bytes": MAX_BYTES, "timeout": 3 if fault.slow else 30}
    # What came as a dead letter, and what lies behind a believed end, is asked for again in the next full pass.
    again = more | ({"full_pass_hours": 0} if fault.lost or fault.believed_in(course.name) else {})
    return Case(course.name, course.platform, fault.name, [(here, fault.make(course))], more, again)


@pytest.fixture(scope="module")
def trials(
    request: pytest.FixtureRequest, spider_nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Trials, dict[str, Course]]]:
    wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = [(params["course"], params["fault"]) for params in wanted if {"course", "fault"} <= set(params)]
    with running_world() as world:
        known = courses(world)
        cases = [case_of(known[course], fault) for course, fault in dict.fromkeys(asked)]
        with Trials(world, spider_nursery, tmp_path_factory.mktemp("trouble"), cases) as made:
            yield made, known


@pytest.mark.parametrize(("course", "fault"), TRIALS, ids=[f"{course}-{fault.name}" for course, fault in TRIALS])
def test_what_can_be_reached_is_read_and_the_rest_is_told(
    trials: tuple[Trials, dict[str, Course]], course: str, fault: Fault
) -> None:
    road, trial = trials[1][course], trials[0].of(course, fault.name)
    got, wanted, report = trial.streamed(1), reachable(road, fault), trial.first["report"]
    print(trial.row(len(wanted)))
    assert trial.log.troubled
    assert set(got) == wanted
    assert set(got.values()) == {1}
    assert re.search(fault.told_in(course), trial.counted), trial.counted
    if (reach := fault.reach_in(course)) == "stop":
        assert trial.log.after_trouble() == []
    else:
        assert report["status"] != "stopped"
    if reach in ("hole", "stop"):
        assert report["status"] != "complete"
    if reach == "hole":
        assert sum(trial.first["failed"].values()) == 1
    assert sum(record["dead"] for record in report["coverage"]) >= len(fault.lost)
    if fault.wire:
        assert trial.first["grown"] < 100 * MAX_BYTES  # a first run's imports are most of it; a bomb would be more
    # Well again: nothing was lost for ever, nothing is told twice.
    assert trial.second["report"]["status"] == "complete", trial.second["report"]["reason"]
    assert trial.streamed(2) == dict.fromkeys(healed(road, fault), 1)
