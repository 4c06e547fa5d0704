"""Our spiders beside bare Scrapy and a bare scrapy-playwright loop, on the same pages in one run.

    python -m tests.bench.bench_crawl [--rounds 5] [--browser-rounds 3] [--visits 500]

0 rounds leave a part out. The pages are the replica's, served from memory by a process of its own
(:mod:`tests.bench.crawl_site`); robots.txt is obeyed, pauses are 0, budgets off. Rounds take turns, so that a busy
machine is unfair to none. CPU is told beside the rates: it does not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

import crawlers.ledger
from crawlers.config import CrawlSettings, Platform, PlatformSettings
from crawlers.parse import parse
from crawlers.payload import Payload
from crawlers.run import Job
from ingest.clock import SystemClock
from ingest.relevance import Brand
from ingest.state import Base, make_engine
from shengwen.demo.settings import platform_bases, real_url
from tests.bench.crawl_runs import Measured
from tests.bench.crawl_site import running_site

assert crawlers.ledger  # its tables are declared on Base
CONSOLE: Final = Console(width=120)
BUDGETS: Final = ("requests_per_", "pages_per_run", "pages_per_day")
DELAY_MS: Final = 40
"""What a platform's answer takes over a network, at least; on loopback a page costs nothing but its work."""
ROUND_WORDS: Final = 2
"""So many searches, of some 25 notes each, in one round of the browser."""


class Bench:
    """The site, and a folder for the homes of runs."""

    def __init__(self, base_url: str, size: dict[str, Any], folder: Path, chromium: str | None) -> None:
        self.base_url, self.size, self.folder, self.chromium = base_url, size, folder, chromium
        self._made = 0

    def job(self, platform: Platform, targets: Sequence[dict[str, str]]) -> Path:
        """A fresh home's job file."""
        self._made += 1
        home = self.folder / str(self._made)
        home.mkdir()
        engine = make_engine(f"sqlite:///{home / 'state.db'}")
        Base.metadata.create_all(engine)
        engine.dispose()
        settings = {"bases": platform_bases(self.base_url)[platform], "targets": list(targets), "pause": [0, 0]}
        settings |= dict.fromkeys((name for name in PlatformSettings.model_fields if name.startswith(BUDGETS)), 100_000)
        settings["questions"] = False
        job = Job(
            crawl=CrawlSettings.model_validate({platform: settings, "chromium": self.chromium}),
            log_path=home / "log.db",
            state_url=f"sqlite:///{home / 'state.db'}",
            secret_path=home / "secret.key",
            brand=Brand(name="岚炉", words=("LANLU",)),
        )
        path = home / "job.json"
        path.write_text(job.model_dump_json(), encoding="utf-8")
        return path

    def crawl(self, kind: str, job: Path, more: object = None) -> Measured:
        command = [sys.executable, "-m", "tests.bench.crawl_runs", kind, str(job)]
        if more is not None:
            beside = job.with_name("more.json")
            beside.write_text(json.dumps(more), encoding="utf-8")
            command.append(str(beside))
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        measured = Measured.model_validate_json(done.stdout.splitlines()[-1])
        rate, spent = measured.pages / measured.seconds, 1000 * sum(measured.cpu) / measured.pages
        CONSOLE.print(f"{kind}: {measured.pages} pages, {rate:.1f} a second, {spent:.1f} ms of CPU each")
        return measured

    def in_turn(self, kinds: Sequence[str], rounds: int, asked: list[tuple[str, str]]) -> dict[str, list[Measured]]:
        """Plain HTTP, each kind once a round."""
        runs: dict[str, list[Measured]] = {kind: [] for kind in kinds}
        for _ in range(rounds):
            for kind, done in runs.items():
                done.append(self.crawl(kind, self.products(), None if kind == "jd" else asked))
        return runs

    def tell(self, path: str) -> None:
        with urllib.request.urlopen(self.base_url + path, timeout=60) as answer:
            answer.read()

    def products(self) -> Path:
        return self.job("jd", [{"sku": sku} for sku in self.size["skus"]])

    def notes(self, words: Sequence[str]) -> Path:
        return self.job("xiaohongshu", [{"keyword": word} for word in words])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--browser-rounds", type=int, default=3)
    arguments.add_argument("--visits", type=int, default=500)
    arguments.add_argument("--chromium", help="the browser; without it the one that a crawl would take")
    chosen = arguments.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, running_site() as (base_url, size):
        bench = Bench(base_url, size, Path(folder), chosen.chromium)
        if chosen.rounds:
            http_runs(bench, chosen.rounds)
        if chosen.browser_rounds:
            browser_runs(bench, chosen.browser_rounds, chosen.visits)
    CONSOLE.print(
        f"load of the machine before and after: {load:.1f}, {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )


def http_runs(bench: Bench, rounds: int) -> None:
    first = bench.crawl("jd", bench.products())  # fills the site's memory, and tells what is asked for
    runs = bench.in_turn(("jd", "bare_in_turn", "bare_at_once"), rounds, first.asked)
    site = site_rate(bench, first)
    bench.tell(f"/_delay/{DELAY_MS}")
    far = bench.in_turn(("jd", "bare_in_turn"), 1, first.asked)
    bench.tell("/_delay/0")
    CONSOLE.print(_http_table(runs, far, first, site, scrapy_bench()))
    CONSOLE.print(_memory_table("plain HTTP: resident MB", {"ours": runs["jd"][-1]}))
    CONSOLE.print(_parse_table(bench, first))


def _http_table(
    runs: dict[str, list[Measured]], far: dict[str, list[Measured]], first: Measured, site: float, own: float
) -> Table:
    table = Table(title=f"Plain HTTP: {len(first.asked)} pages of JD reviews, {first.mentions:,} mentions")
    for heading in ("", "pages/s", "of bare, in turn", "CPU ms a page", "resident MB, end"):
        table.add_column(heading, justify="left" if not heading else "right")
    names = {
        "jd": "our spider: parse, mask, log, ledger",
        "bare_in_turn": "bare Scrapy, one at a time",
        "bare_at_once": "bare Scrapy, eight side by side",
    }
    for where, measured in (("", runs), (f", {DELAY_MS} ms away", far)):
        for kind, done in measured.items():
            cost = statistics.median(sum(run.cpu) / run.pages for run in done) * 1e3
            rss = statistics.median(run.memory[-1][1] for run in done)
            compared = ratio(done, measured["bare_in_turn"])
            table.add_row(names[kind] + where, f"{rate(done):,.0f}", f"{compared:.2f}", f"{cost:.1f}", f"{rss:.0f}")
        table.add_section()
    table.add_row("scrapy bench (its own pages, 16 side by side)", f"{own:,.0f}", "", "", "")
    table.add_row("the site alone, asked by http.client", f"{site:,.0f}", "", "", "")
    return table


def rate(runs: Sequence[Measured]) -> float:
    """Pages a second, the median of the rounds."""
    return statistics.median(run.pages / run.seconds for run in runs)


def ratio(runs: Sequence[Measured], rivals: Sequence[Measured]) -> float:
    """The median of the rounds' ratios: both of a round met the same load."""
    pairs = zip(runs, rivals, strict=True)
    return statistics.median((a.pages / a.seconds) / (b.pages / b.seconds) for a, b in pairs)


def site_rate(bench: Bench, asked: Measured) -> float:
    """What the site gives to a client that does nothing else: no crawl can be faster."""
    connection = http.client.HTTPConnection(urlsplit(bench.base_url).netloc)
    started = time.perf_counter()
    for url, referer in asked.asked:
        connection.request("GET", url.removeprefix(bench.base_url), headers={"Referer": referer})
        connection.getresponse().read()
    connection.close()
    return len(asked.asked) / (time.perf_counter() - started)


def scrapy_bench() -> float:
    """``scrapy bench``: ten seconds of its own spider on its own server; pages a second."""
    with tempfile.TemporaryDirectory() as folder:  # no project's settings
        done = subprocess.run(
            [sys.executable, "-m", "scrapy", "bench"], cwd=folder, stderr=subprocess.PIPE, check=True, text=True
        )
    pages = re.search(r"'response_received_count': (\d+)", done.stderr)
    seconds = re.search(r"'elapsed_time_seconds': ([\d.]+)", done.stderr)
    return float(pages[1]) / float(seconds[1]) if pages and seconds else float("nan")


def _parse_table(bench: Bench, asked: Measured) -> Table:
    """The parser alone, on the pages of the crawl, beside only decoding and reading their JSON."""
    payloads = [_fetched(bench, url, referer) for url, referer in asked.asked[:100]]
    size = sum(len(payload.body) for payload in payloads)

    def parsed() -> int:
        return sum(len(parse("jd", payload).mentions) for payload in payloads)

    def read() -> int:
        texts = (payload.body.decode("gb18030") for payload in payloads)
        return sum(len(json.loads(text[text.index("(") + 1 : text.rindex(")")])["comments"]) for text in texts)

    table = Table(title=f"Parsing {len(payloads)} of these pages, {size / len(payloads) / 1024:.1f} KiB each")
    for heading in ("", "records/s", "MB/s"):
        table.add_column(heading, justify="left" if not heading else "right")
    for said, work in (("crawlers.parse.parse", parsed), ("decode and json.loads, nothing else", read)):
        spent = []
        for _ in range(7):
            started = time.perf_counter()
            records = work()
            spent.append(time.perf_counter() - started)
        seconds = statistics.median(spent)
        table.add_row(said, f"{records / seconds:,.0f}", f"{size / seconds / 1e6:.1f}")
    return table


def _fetched(bench: Bench, url: str, referer: str) -> Payload:
    connection = http.client.HTTPConnection(urlsplit(bench.base_url).netloc)
    connection.request("GET", url.removeprefix(bench.base_url), headers={"Referer": referer})
    answer = connection.getresponse()
    real = real_url(bench.base_url, url)
    headers = {name.lower(): value for name, value in answer.getheaders()}
    made = Payload(
        url=real,
        status=answer.status,
        headers=headers,
        body=answer.read(),
        captured_at=SystemClock().now(),
        final_url=real,
    )
    connection.close()
    return made


def browser_runs(bench: Bench, rounds: int, visits: int) -> None:
    words = list(bench.size["notes"])
    few = words[:ROUND_WORDS]
    bench.crawl("bare_browser", bench.notes(few), few)  # fills the site's memory
    runs: dict[str, list[Measured]] = {"xiaohongshu": [], "bare_browser": []}
    for _ in range(rounds):
        for kind, done in runs.items():
            done.append(bench.crawl(kind, bench.notes(few), few if kind == "bare_browser" else None))
    CONSOLE.print(_browser_table(runs))
    many: list[str] = []
    for word in words:
        if sum(1 + bench.size["notes"][one] for one in many) > visits:
            break
        many.append(word)
    long = {
        "ours": bench.crawl("xiaohongshu", bench.notes(many)),
        "bare": bench.crawl("bare_browser", bench.notes(many), many),
    }
    CONSOLE.print(_memory_table("in the browser: MB of the spider, and of the browser's processes", long))


def _browser_table(runs: dict[str, list[Measured]]) -> Table:
    first = runs["xiaohongshu"][0]
    title = f"In the browser: {first.pages + 1} visits to Xiaohongshu's search and notes, {first.answers} answers read"
    table = Table(title=f"{title}, {first.mentions:,} mentions")
    for heading in ("", "visits/s", "of the bare loop", "CPU ms a visit: spider", "browser"):
        table.add_column(heading, justify="left" if not heading else "right")
    names = {
        "xiaohongshu": "our spider: parse, mask, log, ledger",
        "bare_browser": "bare scrapy-playwright: the same visits, scrolls, clicks",
    }
    for kind, said in names.items():
        done = runs[kind]
        own, below = (statistics.median(run.cpu[part] / run.pages for run in done) * 1e3 for part in (0, 1))
        compared = ratio(done, runs["bare_browser"])
        table.add_row(said, f"{rate(done):.2f}", f"{compared:.2f}", f"{own:.0f}", f"{below:.0f}")
    return table


def _memory_table(title: str, runs: dict[str, Measured]) -> Table:
    table = Table(title=f"Memory, {title}")
    table.add_column("pages", justify="right")
    for name in runs:
        table.add_column(name, justify="right")
        table.add_column("browser", justify="right")
    longest = max(runs.values(), key=lambda run: len(run.memory))
    for row, (pages, *_) in enumerate(longest.memory):
        cells = [str(pages)]
        for run in runs.values():
            cells += [f"{size:.0f}" for size in run.memory[row][1:]] if row < len(run.memory) else ["", ""]
        table.add_row(*cells)
    table.add_section()
    cells = ["MB per 100 pages, from page 100 on"]
    for run in runs.values():
        cells += [slope(run, part) for part in (1, 2)]
    table.add_row(*cells)
    return table


def slope(run: Measured, part: int) -> str:
    """Growth by least squares, in MB per 100 pages; the first pages warm up what is kept for ever."""
    points = [(sample[0], sample[part]) for sample in run.memory if sample[0] >= 100]
    if len(points) < 2:
        return "too few pages"
    return f"{statistics.linear_regression(*zip(*points, strict=True)).slope * 100:+.2f}"


if __name__ == "__main__":
    main()
