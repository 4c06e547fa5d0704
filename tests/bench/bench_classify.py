"""Texts a second of the classifier beside its rivals, and the memory each of them takes, on two cores.

    python -m tests.bench.bench_classify [--data DIR] [--fp32 DIR] [--texts 10000] [--seconds 30]

Over real reviews with ``--data``, else over the invented examples. Each contender has a process of its own, so that
its memory is its own; the processes run one after another. snownlp takes part when it is installed, the FP32 encoder
in a transformers pipeline when torch is and ``--fp32`` names its Hugging Face directory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from classify.corpora import read_unlabelled
from classify.evaluation.contenders import Contender, Fp32, OfClassifier, SnowNlp
from classify.labelled import invented
from classify.linear import LinearClassifier
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy

CORES = 2
STRETCH = 500
"""Texts that a classifier of ours is handed at once, as the pipeline does; the FP32 pipeline cuts them into 32."""
WARM = 100


def texts(data: Path | None, count: int) -> list[str]:
    if data is not None:
        return read_unlabelled(data)[:count]
    return list(islice(cycle(each.text for each in invented()), count))


def contender(name: str, fp32: Path | None) -> Contender:
    if name == "snownlp":
        return SnowNlp()
    if name == "FP32":
        import torch

        assert fp32 is not None
        torch.set_num_threads(CORES)
        return Fp32(fp32)
    return OfClassifier(LinearClassifier(load_taxonomy()) if name == "linear" else load_classifier())


def pace(who: Contender, said: list[str], stretch: int, seconds: float) -> float:
    """Texts a second in calls of ``stretch`` texts, until all are read or the time is up."""
    began = time.perf_counter()
    done = 0
    for start in range(0, len(said), stretch):
        who.answer(said[start : start + stretch])
        done = min(start + stretch, len(said))
        if time.perf_counter() - began > seconds:
            break
    return done / (time.perf_counter() - began)


def megabytes(field: str) -> int:
    """VmRSS or VmHWM of this process."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text("ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def measure(given: argparse.Namespace) -> dict[str, object]:
    """One contender, in this process."""
    said = texts(given.data, given.texts)
    before = megabytes("VmRSS")
    began = time.perf_counter()
    who = contender(given.only, given.fp32)
    who.answer(said[:1])
    loaded = time.perf_counter() - began
    who.answer(said[:WARM])
    batch = pace(who, said, STRETCH, given.seconds)
    single = pace(who, said, 1, given.seconds)
    return {
        "name": who.name,
        "loaded": loaded,
        "batch": batch,
        "single": single,
        "resident": megabytes("VmRSS"),
        "peak": megabytes("VmHWM"),
        "before": before,
    }


def names(given: argparse.Namespace) -> list[str]:
    found = ["shipped"]
    if not isinstance(load_classifier(), LinearClassifier):
        found.append("linear")
    if find_spec("snownlp"):
        found.append("snownlp")
    if given.fp32 is not None and find_spec("torch"):
        found.append("FP32")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--fp32", type=Path)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="at most, for each contender and way of calling")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if given.only is not None:
        print(json.dumps(measure(given)))
        return
    said = texts(given.data, given.texts)
    length = round(statistics.median(map(len, said)))
    kind = "real reviews" if given.data is not None else "invented examples"
    cores = len(os.sched_getaffinity(0))
    table = Table(title=f"{len(said):,} {kind}, median {length} characters, {cores} cores")
    table.add_column("contender")
    for column in (
        "texts/s, batches",
        "texts/s, one by one",
        "load s",
        "resident MB",
        "peak MB",
        "of it Python and texts",
    ):
        table.add_column(column, justify="right")
    for name in names(given):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_classify", *sys.argv[1:], "--only", name],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        row = json.loads(done.stdout.splitlines()[-1])
        table.add_row(
            row["name"],
            f"{row['batch']:,.0f}",
            f"{row['single']:,.0f}",
            f"{row['loaded']:.2f}",
            *(f"{row[field]:,}" for field in ("resident", "peak", "before")),
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
