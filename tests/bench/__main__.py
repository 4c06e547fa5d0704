"""``make bench``: every benchmark, one table each. Options go to the benchmark itself when it is run alone."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    for script in sorted(HERE.glob("bench_*.py")):
        print(f"\n== {script.stem.removeprefix('bench_')}", flush=True)
        sys.argv = [script.name]
        runpy.run_module(f"tests.bench.{script.stem}", run_name="__main__")


if __name__ == "__main__":
    main()
