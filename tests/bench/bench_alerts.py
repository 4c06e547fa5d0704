"""What alerting costs: counting mentions, judging scopes, and a tick beside a growing store.

    python -m tests.bench.bench_alerts [--facts 100000]

A tick reads the negatives of the last day and eight weeks of aggregates for the scopes they touch; facts older than
that must not cost anything.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from alerts import spike
from alerts.config import AlertSettings
from alerts.engine import AlertEngine
from alerts.facts import FactStore
from ingest.analysis import ClassifiedMention
from ingest.clock import ManualClock
from tests.alerts.helpers import NOW, database, mention

BATCH = 500
TAGS = (
    "产品质量/漏水渗水",
    "产品质量/不热(温控)",
    "安装服务/延误",
    "物流问题/破损",
    "客服售后/响应慢",
    "表扬/表扬-产品",
)
SOURCES = ("jd", "tmall", "douyin", "xiaohongshu", "zhihu")


def mentions(count: int, rng: random.Random, oldest_days: float, newest_days: float) -> Iterator[ClassifiedMention]:
    for _ in range(count):
        bad = rng.random() < 0.2
        label = "negative" if bad else "positive"
        at = NOW - timedelta(days=rng.uniform(newest_days, oldest_days))
        yield mention(
            at=at,
            source=rng.choice(SOURCES),
            product=f"K{rng.randrange(30)}",
            tags=tuple((tag, label) for tag in rng.sample(TAGS, 2)),
            sentiment=label,
            intent="other",
        )


def absorb(store: FactStore, batch: list[ClassifiedMention]) -> float:
    started = time.process_time()
    for start in range(0, len(batch), BATCH):
        store.absorb([(m, None) for m in batch[start : start + BATCH]])
    return time.process_time() - started


def tick_cost(engine: AlertEngine, rounds: int = 5) -> float:
    engine.tick(NOW)
    started = time.process_time()
    for _ in range(rounds):
        engine.tick(NOW)
    return (time.process_time() - started) / rounds * 1000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--facts", type=int, default=100_000)
    facts = options.parse_args().facts
    console, rng = Console(), random.Random(1)

    table = Table("scopes judged", "CPU seconds")
    for scopes in (100, 1_000, 10_000):
        history = np.random.default_rng(1).poisson(0.1, (scopes, spike.hours_needed(8))).astype(np.float32)
        started = time.process_time()
        expected = spike.expect(history, (1, 6, 24))
        spike.benjamini_hochberg(spike.upper_tail(3.0, expected.mean, expected.dispersion), 0.001)
        table.add_row(f"{scopes:,}", f"{time.process_time() - started:.2f}")
    console.print(table)

    with tempfile.TemporaryDirectory() as folder:
        db = database(Path(folder))
        settings = AlertSettings()
        store, engine = FactStore(db, settings), AlertEngine(db, settings, ManualClock(NOW))
        live = list(mentions(10_000, rng, 56, 0))
        table = Table("facts in the store", "absorbed per CPU second", "tick, CPU ms")
        seconds = absorb(store, live)
        table.add_row(f"{len(live):,}", f"{len(live) / seconds:,.0f}", f"{tick_cost(engine):.0f}")
        held = len(live)
        while held < facts:
            old = list(mentions(min(45_000, facts - held), rng, 900, 60))
            seconds = absorb(store, old)
            held += len(old)
            table.add_row(f"{held:,}", f"{len(old) / seconds:,.0f}", f"{tick_cost(engine):.0f}")
        console.print(table)
        db.dispose()


if __name__ == "__main__":
    main()
