"""Mentions from the log to searchable and judged, on the embedded backends, with flat memory.

    python -m tests.bench.bench_end_to_end [--mentions N]

The rival is the classifier alone in the same run: what the rest costs is the difference.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from classify.base import Utterance
from ingest.log.base import Outgoing, Topics
from ingest.mention import Raw, make_mention
from shengwen.home import Home
from shengwen.rooms import Rooms
from shengwen.runner import StageRunner
from shengwen.stages import ALERT, CLASSIFY, INDEX

WORDS = (
    *("暖气", "很热", "漏水", "师傅", "态度", "安装", "客厅", "三天", "送货", "包装", "不热", "退货"),
    *("客服", "回复", "快", "慢", "好看", "白色", "阀门", "接头", "省电", "噪音", "家里", "推荐"),
)


def texts(count: int) -> list[str]:
    chance = random.Random(1)
    return ["，".join("".join(chance.choices(WORDS, k=4)) for _ in range(chance.randint(2, 8))) for _ in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mentions", type=int, default=10_000)
    count = parser.parse_args().mentions
    said = texts(count)
    with tempfile.TemporaryDirectory() as folder, Rooms(Home(Path(folder) / "home")) as rooms:
        now = rooms.clock.now()
        for start in range(0, count, 500):
            records = []
            for number in range(start, min(start + 500, count)):
                raw = Raw(captured_at=now, parser="bench/1")
                mention = make_mention(
                    native_id=str(number), source="jd", kind="review", raw=raw, text=said[number],
                    created_at=now - timedelta(minutes=number % 80_000),
                )  # fmt: skip
                records.append(Outgoing(mention.id, mention.to_json()))
            rooms.log.produce(Topics.COLLECTED, records)
        classifier = rooms.classifier
        classifier.analyse([Utterance(text) for text in said[:100]])
        began = time.perf_counter()
        for start in range(0, count, 500):
            classifier.analyse([Utterance(text) for text in said[start : start + 500]])
        alone = time.perf_counter() - began
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        runner = StageRunner(rooms, (CLASSIFY, INDEX, ALERT))
        began = time.perf_counter()
        runner.start()
        while any(rooms.log.committed(topic, stage).get(0, 0) < count for stage, topic in GOALS):
            time.sleep(0.02)
        whole = time.perf_counter() - began
        runner.stop()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.db*"))
    table = Table("what", "seconds", "mentions/s", title=f"{count} mentions, one process")
    table.add_row("classifier alone", f"{alone:.1f}", f"{count / alone:.0f}")
    table.add_row("log → classified → searchable and judged", f"{whole:.1f}", f"{count / whole:.0f}")
    table.caption = f"RSS {before / 1024:.0f} → {after / 1024:.0f} MB, {size / count:.0f} bytes a mention on disk"
    Console().print(table)


GOALS = ((CLASSIFY, Topics.COLLECTED), (INDEX, Topics.CLASSIFIED), (ALERT, Topics.CLASSIFIED))

if __name__ == "__main__":
    main()
