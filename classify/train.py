"""Train what ships: ``python -m classify.train --data DIR --base DIR --work DIR --out classify/weights/encoder``.

A large teacher learns other people's sentiment sets, then our own labels with everything; it answers on every text,
labelled or not; a small student learns from labels and answers; the student becomes INT8, and its heads are fitted
again on the vectors that the INT8 file really gives. Every step keeps its result in ``--work``, so that a run that was
cut goes on where it was. Needs torch (the extra ``torch``); two cores take under three hours.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ingest.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m classify.train", description="训练自带的分类模型（约三小时）")
    parser.add_argument("--data", type=Path, required=True, help="训练数据的文件夹")
    parser.add_argument("--base", type=Path, required=True, help="预训练编码器（Hugging Face 格式的文件夹）")
    parser.add_argument("--work", type=Path, required=True, help="放中间结果的文件夹，中断后凭它接着训练")
    parser.add_argument("--out", type=Path, required=True, help="写到哪个文件夹，例如 classify/weights/encoder")
    given = parser.parse_args(arguments)
    try:
        import torch  # noqa: F401
    except ImportError:
        sys.stderr.write("训练需要 torch，请先安装：pip install 'shengwen[torch,train]'\n")
        return 2
    from classify.training.stages import run

    try:
        run(given.data, given.base, given.work, given.out)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
