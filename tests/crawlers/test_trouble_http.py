"""JD, Tmall and Zhihu break in the middle of a list, in every way that is known: the run ends, counts what it met, and
has every record that could be reached. When the platform is well again the next run has all of them, each once.

With ``-s`` a table of all trials is printed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pytest

from crawlers.config import Platform
from shengwen.demo.replica import jd, tmall, zhihu
from shengwen.demo.replica.switches import Answer
from tests.crawlers.courses import Course, courses
from tests.crawlers.crowd import World, running_world
from tests.crawlers.faults import FAULTS, MAX_BYTES, MIDDLE, Fault
from tests.crawlers.runs import Home
from tests.crawlers.trials import trials_in_child
from tests.crawlers.trouble import Answered, Asked, Plan, Turn, Wire
from tests.processes import Child, Nursery, wait_until

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
ENOUGH: Final = 60
"""Seconds in which any run must have ended, on a busy machine as well; the good ones take less than one."""
PATIENCE: Final = 110
LANE: Final = 24
"""Trials that one child makes, one after the other."""


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
    return Fault(f"said_{name}", "before" if mild else "stop", says, lambda _: spoil)


def faults_of(course: str) -> list[Fault]:
    if course in SIDE:
        return [fault for fault in FAULTS if fault.name in OF_SIDE and (fault.name, course.partition(" ")[0]) not in _NOT]
    platform = course.partition(" ")[0]
    return [one for one in FAULTS if (one.name, platform) not in _NOT] + refusals(platform, PATHS[course])


_NOT: Final = {("points_back", "jd")}
"""JD's answers do not say where the next page is."""
TRIALS: Final = [(course, fault) for course in (*PATHS, *SIDE) for fault in faults_of(course)]


@dataclass(frozen=True)
class Trial:
    """What became of one fault: both runs, what was asked for, what was streamed after each run."""

    course: Course
    fault: Fault
    home: Home
    first: dict[str, Any]
    second: dict[str, Any]
    after_trouble: list[str]
    troubled: int

    @property
    def reachable(self) -> set[str]:
        course, lost = self.course, self.course.lost(MIDDLE, *self.fault.lost)
        match self.fault.reach:
            case "all":
                return course.truth - lost
            case "hole":
                return course.reached(upto=MIDDLE, beyond=MIDDLE + 1 if course.numbered else None)
            case "after":
                return course.reached(upto=MIDDLE + 1)
            case "before":
                return course.reached(upto=MIDDLE)
            case "stop":
                return course.reached(upto=MIDDLE, stopped=True)

    def streamed(self, run: int) -> dict[str, int]:
        """How often each mention was streamed up to the end of a run (1 or 2)."""
        end = sum(record["new"] for record in self.first["report"]["coverage"]) if run == 1 else None
        found: dict[str, int] = {}
        for mention in self.home.streamed()[:end]:
            found[mention.id] = found.get(mention.id, 0) + 1
        return found

    @property
    def counted(self) -> str:
        """Status, signal and reasons, as the coverage has them."""
        report = self.first["report"]
        reasons = [record["reason"] for record in report["coverage"] if record["reason"]]
        return " ".join([report["status"], report["signal"], *dict.fromkeys([report["reason"], *reasons])]).strip()


class Trials:
    """All the trials that this session wants: a few children side by side, ahead of the tests."""

    def __init__(self, world: World, nursery: Nursery, folder: Path, wanted: list[tuple[str, Fault]]) -> None:
        self._world, self._nursery, self._folder = world, nursery, folder
        self._courses = courses(world)
        self._wanted: dict[str, list[Fault]] = {}
        for course, fault in wanted:
            self._wanted.setdefault(course, []).append(fault)
        self._homes: dict[tuple[str, str], Home] = {}
        self._wires: dict[tuple[str, str], Wire] = {}
        self._opened: list[Wire] = []
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        for course, wanted in self._wanted.items():
            for begin in range(0, len(wanted), LANE):
                faults = wanted[begin : begin + LANE]
                wire = Wire(self._world.address, {fault.name: self._plan(course, fault) for fault in faults})
                self._wires |= {(course, fault.name): wire for fault in faults}
                self._opened.append(wire)
                wire.__enter__()
                self._children.append(self._begin(course, faults, wire))
        return self

    def __exit__(self, *error: object) -> None:
        for child in self._children:
            child.signal()  # it has ended by itself, or a test failed before
            child.wait()
        for wire in self._opened:
            wire.__exit__(None, None, None)

    def _plan(self, name: str, fault: Fault) -> Plan:
        course = self._courses[name]

        def here(asked: Asked) -> bool:
            return course.has(asked) and (fault.whole or course.index(asked.params) == MIDDLE)

        return [(here, fault.make(course))]

    def _place(self, course: str) -> Path:
        return self._folder / course.replace(" ", "_")

    def _begin(self, course: str, faults: list[Fault], wire: Wire) -> Child:
        platform, place = self._courses[course].platform, self._place(course)
        trials = []
        for fault in faults:
            home = self._homes[course, fault.name] = Home(place / fault.name, self._nursery)
            more = {"max_bytes": MAX_BYTES, "timeout": 3 if fault.slow else 30}
            trial = {"plan": fault.name}
            for name in ("config", "again"):
                if name == "again" and fault.lost:
                    more["full_pass_hours"] = 0  # a dead letter is not asked for again before the next full pass
                job = home.configure(**{platform: self._world.settings(platform, wire.base_url, **more)})
                trial[name] = str(home.path / f"{name}.json")
                Path(trial[name]).write_text(job.to_json(), encoding="utf-8")
            trials.append(trial)
        return self._nursery.start(trials_in_child, platform, wire.base_url, trials, str(place))

    def of(self, course: str, fault: Fault) -> Trial:
        """What became of a fault, as soon as it is known."""
        told = self._place(course) / f"{fault.name}.json"
        wait_until(told.exists, PATIENCE, f"the end of {fault.name}")
        first, second = json.loads(told.read_bytes())
        log, home = self._wires[course, fault.name].logs[fault.name], self._homes[course, fault.name]
        return Trial(self._courses[course], fault, home, first, second, log.after_trouble(), len(log.troubled))


@pytest.fixture(scope="module")
def trials(
    request: pytest.FixtureRequest, spider_nursery: Nursery, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Trials]:
    wanted = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    asked = [(params["course"], params["fault"]) for params in wanted if {"course", "fault"} <= set(params)]
    with running_world() as world:
        with Trials(world, spider_nursery, tmp_path_factory.mktemp("trouble"), list(dict.fromkeys(asked))) as made:
            yield made


@pytest.mark.parametrize(("course", "fault"), TRIALS, ids=[f"{course}-{fault.name}" for course, fault in TRIALS])
def test_what_can_be_reached_is_read_and_the_rest_is_told(trials: Trials, course: str, fault: Fault) -> None:
    trial = trials.of(course, fault)
    got, reachable, report = trial.streamed(1), trial.reachable, trial.first["report"]
    print(  # noqa: T201 - the table
        f"{fault.name:26} {course:15} {fault.reach:6} {len(reachable):4} {len(got):4} {trial.first['seconds']:5.1f} s "
        f"{trial.first['grown'] / 1e6:6.1f} MB  {trial.counted[:150]}"
    )
    assert trial.troubled >= 1
    assert set(got) == reachable
    assert set(got.values()) <= {1}
    assert re.search(fault.says, trial.counted), trial.counted
    if fault.reach == "stop":
        assert trial.after_trouble == []
    else:
        assert report["status"] != "stopped"
    if reachable != trial.course.truth and fault.reach in ("hole", "stop"):
        assert report["status"] != "complete"
    dead = sum(record["dead"] for record in report["coverage"])
    assert dead == len(fault.lost) if fault.reach == "all" else dead >= 0
    assert trial.first["seconds"] < ENOUGH
    if fault.wire:
        assert trial.first["grown"] < 40 * MAX_BYTES
    # Well again: nothing was lost for ever, nothing is told twice.
    assert trial.second["report"]["status"] == "complete", trial.second["report"]["reason"]
    assert trial.streamed(2) == dict.fromkeys(trial.course.truth, 1)
