"""Real ``shengwen`` processes on a home of their own, a desk and a bot that listen, and files whose end is known."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from ingest.clock import BEIJING
from ingest.log.base import Topics
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.stages import STAGES
from tests.alerts.receivers import Got, Receiver, Reply, receiver
from tests.alerts.receivers import desk as desk_answers
from tests.processes import ROOT, wait_until

START_SECONDS = 60
SECRET = "the-desk-and-we-know-it"


def shengwen(home: Path, *arguments: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        command(home, *arguments), capture_output=True, text=True, env=environment(), timeout=seconds, check=False
    )


def command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "shengwen", "--home", str(home), *arguments]


def environment() -> dict[str, str]:
    """Ours, without what would lead a command to another home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHENGWEN_")}
    return {**kept, "PYTHONPATH": str(ROOT)}


class Running:
    """A ``shengwen`` process with its output in files; whatever happens, it is gone at the end of the block."""

    def __init__(self, home: Path, *arguments: str, outputs: Path, program: Sequence[str] = ()) -> None:
        outputs.mkdir(exist_ok=True)
        number = len(list(outputs.glob("*.out")))
        self.home = Home(home)
        self.out, self.err = outputs / f"{number}.out", outputs / f"{number}.err"
        with self.out.open("wb") as out, self.err.open("wb") as err:
            self.process = subprocess.Popen(
                [*program, *arguments] if program else command(home, *arguments),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(),
            )

    @property
    def said(self) -> str:
        """Everything printed so far, on both outputs."""
        return self.out.read_text("utf-8", "replace") + self.err.read_text("utf-8", "replace")

    def url(self) -> str:
        """The page's address, once this very process serves it."""

        def told() -> str:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.said}"
            try:
                running: dict[str, Any] = json.loads(self.home.runtime.read_text("utf-8"))
            except (OSError, ValueError):
                return ""
            return str(running["url"]) if running["pid"] == self.process.pid else ""

        wait_until(told, START_SECONDS, "the start of the service")
        return told()

    def kill(self) -> None:
        """SIGKILL, and wait for the end; a process that has ended by itself stays so."""
        self.process.kill()
        self.process.wait(20)

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def up(home: Path, outputs: Path, *arguments: str) -> Running:
    """``shengwen up --no-crawl`` on a free port."""
    return Running(home, "up", "--no-crawl", "--port", "0", *arguments, outputs=outputs)


# -- what listens --


@dataclass
class Town:
    """A ticket system and a group's bot in one receiver: ``/desk`` and ``/bot``. Slow now and then, so that a kill may
    fall between a message's arrival and its being noted as delivered."""

    listening: Receiver
    tickets: dict[str, str]

    def settings(self) -> str:
        """What points a home's alerts at it; waits and leases are short, so a test need not wait long for a retry."""
        return f"""
[brand]
name = "岚炉"
words = ["暖气", "阀门"]
[schedule]
tick_every = 0.5
[alerts.delivery]
tries = 1000
ticket_tries = 1000
first_wait = 0.05
longest_wait = 0.5
lease = 3
timeout = 2
[[alerts.channels]]
name = "群"
type = "webhook"
url = "{self.listening.url}/bot"
secret = "{SECRET}"
levels = ["一级", "二级", "三级"]
[[alerts.ticket_systems]]
name = "工单台"
url = "{self.listening.url}/desk"
secret = "{SECRET}"
"""

    def bodies(self, path: str) -> dict[str, Counter[bytes]]:
        """Idempotency-Key -> the bodies that came with it, how often."""
        found: dict[str, Counter[bytes]] = {}
        for got in list(self.listening.got):
            if got.path == path:
                found.setdefault(got.headers["idempotency-key"], Counter())[got.body] += 1
        return found


@contextmanager
def town() -> Iterator[Town]:
    tickets: dict[str, str] = {}
    answers = desk_answers(SECRET, time.time, tickets=tickets)
    chance = random.Random(1)
    lock = threading.Lock()

    def answer(got: Got) -> Reply:
        with lock:
            reply = answers(got)
            reply.delay = chance.choice((0.0, 0.0, 0.05, 0.3))
        return reply

    with receiver(answer) as listening:
        yield Town(listening, tickets)


# -- what is imported --

_OPENERS = (
    "暖气很热",
    "客厅三天就热了",
    "师傅安装很细心",
    "包装完好",
    "送货快",
    "外观白色好看",
    "阀门顺手",
    "客服有耐心",
)
_ENDS = ("家里老人喜欢", "推荐给邻居了", "比旧的省电", "没有噪音", "再买两组", "颜色也对", "先用着看", "回复挺快")
_COMPLAINTS = (
    "阀门接头漏水，地板泡了，客服没人管，要求退货",
    "用了两天就不热，报修三次没人上门，太差了，投诉",
    "师傅乱收费，态度恶劣，必须给个说法",
    "发来的漆面全是划痕，不给换，要求退款",
    "通电就漏电，手都麻了，投诉",
)


@dataclass
class Expected:
    """What must be true once everything is through."""

    copies: Counter[str] = field(default_factory=Counter)
    texts: dict[str, str] = field(default_factory=dict)
    collected: int = 0
    empty: int = 0
    duplicates: int = 0
    dead_letters: int = 0

    @property
    def counts(self) -> dict[str, int]:
        return {
            "collected": self.collected,
            "indexed": len(self.copies),
            "empty": self.empty,
            "duplicates": self.duplicates,
            "dead_letters": self.dead_letters,
        }


class Writer:
    """Writes files for ``shengwen import --source x`` and keeps the account of what must come of them.

    Of every hundred rows about five came before (in this or an earlier file), three are blank, two cannot be read, one
    is an earlier one in new words, and the rest is new; ``complaints`` rows of today stand among them.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.expected = Expected()
        self._folder = folder
        self._chance = random.Random(seed)
        self._rows: dict[str, dict[str, str]] = {}
        self._files = 0
        self._now = datetime.now(BEIJING)

    def file(self, rows: int, complaints: int) -> Path:
        """The next file."""
        self._files += 1
        path = self._folder / f"{self._files}.csv"
        bad_days = set(self._chance.sample(range(rows), complaints))
        earlier = list(self._rows)
        self._chance.shuffle(earlier)
        with path.open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, ["评价ID", "评价内容", "评分", "评价时间", "商品编号"])
            table.writeheader()
            for number in range(rows):
                table.writerow(self._row(f"{self._files}-{number}", number in bad_days, earlier))
        return path

    def _row(self, key: str, complains: bool, earlier: list[str]) -> dict[str, str]:
        expected, chance, draw = self.expected, self._chance, self._chance.random()
        expected.collected += 1
        if complains:
            when = self._now - timedelta(minutes=chance.randrange(1, 50))
            text = f"{chance.choice(_COMPLAINTS)}，{chance.choice(_ENDS)}（{key}）"
            row = self._new(key, text, "1", f"{when:%Y-%m-%d %H:%M:%S}", chance.choice(("K20", "K30")))
        elif draw < 0.05 and self._rows:
            row = self._rows[chance.choice(list(self._rows)[-400:])]
            expected.copies[_id(row)] += 1
            expected.duplicates += 1
        elif draw < 0.08:
            row = _cells(key, "", "", "", "")
            expected.empty += 1
        elif draw < 0.10:
            row = _cells(key, f"时间读不懂（{key}）", "", "不是时间", "")
            expected.dead_letters += 1
        elif draw < 0.11 and (told := self._told_once(earlier)):
            row = self._rows.pop(told)  # not told again: a copy of which words would it be?
            row = row | {"评价内容": f"用久了再说：{row['评价内容']}"}
            expected.texts[_id(row)] = row["评价内容"]
            expected.duplicates += 1
        else:
            when = self._now - timedelta(days=chance.randrange(20, 300), minutes=chance.randrange(1440))
            text = f"{chance.choice(_OPENERS)}，{chance.choice(_ENDS)}（{key}）"
            row = self._new(key, text, "5", f"{when:%Y-%m-%d %H:%M:%S}", "K20")
        return row

    def _told_once(self, earlier: list[str]) -> str:
        """An earlier row without copies: a copy read in the same millisecond as the new words would rank as new."""
        while earlier:
            key = earlier.pop()
            if self.expected.copies[f"import:x:review:{key}"] == 1:
                return key
        return ""

    def _new(self, key: str, text: str, *cells: str) -> dict[str, str]:
        row = self._rows[key] = _cells(key, text, *cells)
        self.expected.copies[_id(row)] = 1
        self.expected.texts[_id(row)] = text
        return row


def _cells(key: str, text: str, rating: str, when: str, sku: str) -> dict[str, str]:
    return {"评价ID": key, "评价内容": text, "评分": rating, "评价时间": when, "商品编号": sku}


def _id(row: dict[str, str]) -> str:
    return f"import:x:review:{row['评价ID']}"


# -- what came of it --


def progress(rooms: Rooms) -> dict[str, int]:
    """By stage, how many records are done; ``collected`` is how many there are."""
    done = {stage: sum(rooms.log.committed(topic, stage).values()) for stage, topic in STAGES.items()}
    return {"collected": sum(rooms.log.end_offsets(Topics.COLLECTED).values()), **done}


def idle(rooms: Rooms) -> bool:
    """Nothing is on its way to the index or the alerts."""
    return not any(rooms.log.lag(topic, stage) for stage, topic in STAGES.items())


def doctor(home: Path) -> dict[str, Any]:
    """``shengwen doctor --json``; fails when it fails."""
    said = shengwen(home, "doctor", "--json")
    assert said.returncode == 0, said.stdout + said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    assert report["ok"]
    return report
