"""What one page of JD reviews costs our HTTP spider behind the fetch, stage by stage.

    python -m tests.bench.bench_page [--pages 200]

The pages are the replica's (:mod:`tests.bench.crawl_site`), fetched beforehand; log and state database are real ones
on this disk. CPU is told, as it does not depend on what else the machine does, and the wall clock beside it.
"""

from __future__ import annotations

import argparse
import http.client
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from crawlers.kit import Kit
from crawlers.ledger import ListState
from crawlers.parse import parse
from crawlers.payload import Payload
from crawlers.run import load_job, opened
from ingest.clock import SystemClock
from shengwen.demo.settings import real_url
from tests.bench.bench_crawl import Bench
from tests.bench.crawl_site import running_site

WARM: Final = 20
"""Pages before the first that is measured: SQLAlchemy compiles each statement once."""
_LIST: Final = (
    "/jd/club/comment/productPageComments.action?callback=fetchJSON_comment98&productId={sku}&score=0&sortType=6"
    "&page={page}&pageSize=10&isShadowSku=0&fold=1"
)
Result = TypeVar("Result")


@dataclass(slots=True)
class Costs:
    """Seconds by stage: CPU of this process, and the wall clock's."""

    cpu: dict[str, float] = field(default_factory=dict)
    wall: dict[str, float] = field(default_factory=dict)

    def of(self, stage: str, work: Callable[[], Result]) -> Result:
        cpu, wall = time.process_time(), time.perf_counter()
        result = work()
        self.cpu[stage] = self.cpu.get(stage, 0.0) + time.process_time() - cpu
        self.wall[stage] = self.wall.get(stage, 0.0) + time.perf_counter() - wall
        return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pages", type=int, default=200)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_site() as (base_url, size):
        payloads = list(fetched(base_url, size, chosen.pages + WARM))
        bench = Bench(base_url, size, Path(folder))
        with opened(load_job(bench.products()), "jd") as kit:
            kit.ledger.begin()
            read(kit, payloads[:WARM], Costs())
            before = kit.log.end_offsets("mentions.collected")[0]
            costs = Costs()
            read(kit, payloads[WARM:], costs)
            mentions = kit.log.end_offsets("mentions.collected")[0] - before
    if not mentions:
        raise SystemExit("the site gave no reviews")
    show(costs, len(payloads) - WARM, mentions)


def fetched(base_url: str, size: dict[str, Any], pages: int) -> Iterator[Payload]:
    """The first hundred pages of each product in turn."""
    with connected(base_url) as connection:
        for number in range(pages):
            sku, page = size["skus"][number // 100 % len(size["skus"])], number % 100
            path = _LIST.format(sku=sku, page=page)
            connection.request("GET", path, headers={"Referer": f"https://item.jd.com/{sku}.html"})
            answer = connection.getresponse()
            url = real_url(base_url, base_url + path)
            headers = {name.lower(): value for name, value in answer.getheaders()}
            body, now = answer.read(), SystemClock().now()
            yield Payload(url=url, status=answer.status, headers=headers, body=body, captured_at=now, final_url=url)


@contextmanager
def connected(base_url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(urlsplit(base_url).netloc)
    try:
        yield connection
    finally:
        connection.close()


def read(kit: Kit, payloads: list[Payload], costs: Costs) -> None:
    """What :class:`crawlers.http.HttpSpider` does with each page, without Scrapy."""
    here = kit.settings.of("jd")
    for payload in payloads:
        costs.of("budget", lambda: kit.ledger.budgets.spend(here.requests_per_hour, here.pages_per_day))
        page = costs.of("decode and parse", lambda payload=payload: parse("jd", payload))
        costs.of("audit line", lambda payload=payload, page=page: kit.audit.answered(payload, page.signal))
        costs.of(
            "mask, compare, log, ledger",
            lambda payload=payload, page=page: kit.pipeline.take(
                page, payload, query="", parser=page.endpoint, since=ListState()
            ),
        )
    costs.of("mask, compare, log, ledger", kit.pipeline.flush)


def show(costs: Costs, pages: int, mentions: int) -> None:
    table = Table(title=f"{pages} pages, {mentions:,} mentions: ms a page; load {os.getloadavg()[0]:.1f}")
    for heading in ("", "CPU", "wall clock"):
        table.add_column(heading, justify="left" if not heading else "right")
    for stage, cpu in costs.cpu.items():
        table.add_row(stage, f"{cpu / pages * 1e3:.2f}", f"{costs.wall[stage] / pages * 1e3:.2f}")
    table.add_section()
    total, wall = sum(costs.cpu.values()), sum(costs.wall.values())
    table.add_row("all", f"{total / pages * 1e3:.2f}", f"{wall / pages * 1e3:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
