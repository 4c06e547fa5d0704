"""Measure the classifier: ``python -m classify.evaluation [--data DIR] [--rivals] [--fp32 DIR] [--write FILE]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from classify.base import Classifier
from classify.evaluation.leave_out import leave_out
from classify.evaluation.new_tags import Make, new_tags
from classify.evaluation.report import contest_of, document, tables
from classify.evaluation.tables import Table, on_terminal
from classify.linear import LinearClassifier
from classify.load import load_classifier
from classify.taxonomy import load_taxonomy
from ingest.clock import BEIJING, Clock, SystemClock
from ingest.errors import ShengwenError, UserError


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    given = _parser().parse_args(arguments)
    try:
        _run(given, clock or SystemClock())
    except ShengwenError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m classify.evaluation", description="衡量分类器")
    parser.add_argument("--data", type=Path, metavar="DIR", help="评测数据的文件夹；不写只测自拟句子")
    parser.add_argument("--rivals", action="store_true", help="一并衡量 snownlp、cnsenti 和线性模型")
    parser.add_argument("--fp32", type=Path, metavar="DIR", help="FP32 编码器的文件夹（Hugging Face 格式），一并衡量")
    parser.add_argument("--most", type=int, metavar="N", help="每个数据集最多取多少条（按哈希挑选）")
    parser.add_argument("--taxonomy", type=Path, metavar="FILE", help="标签体系文件，默认自带的")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="改为衡量线性模型，权重在这个文件夹里")
    parser.add_argument("--write", type=Path, metavar="FILE", help="把结果写成英文文档，例如 docs/evaluation.md")
    parser.add_argument(
        "--leave-out",
        nargs="+",
        default=[],
        metavar="NAME",
        help="逐个留出数据集或品类重新训练线性模型（每个一两分钟）",
    )
    return parser


def _run(given: argparse.Namespace, clock: Clock) -> None:
    if given.leave_out and given.data is None:
        raise UserError("--leave-out 要重新训练，请用 --data 指出数据的文件夹")
    taxonomy = load_taxonomy(given.taxonomy)
    linear = given.weights is not None
    classifier = LinearClassifier(taxonomy, given.weights) if linear else load_classifier(given.taxonomy)
    contest = contest_of(classifier, taxonomy, data=given.data, compare=given.rivals, fp32=given.fp32, most=given.most)
    _say(f"{classifier.name}，标签 {len(taxonomy.tags)} 个")
    found: list[Table] = []
    for table in tables(contest, _progress):
        found.append(table)
        _say(on_terminal(table))
    if given.data is not None:
        make: Make = partial(_linear, weights=given.weights) if linear else load_classifier
        for table in [*new_tags(given.data, make, _linear), *_left_out(given)]:
            found.append(table)
            _say(on_terminal(table))
    if given.write is not None:
        day = clock.now().astimezone(BEIJING).date()
        given.write.write_text(document(found, contest, _command(given), day), "utf-8")
        _say(f"已写入 {given.write}")


def _linear(taxonomy: Path, weights: Path | None = None) -> Classifier:
    return LinearClassifier(load_taxonomy(taxonomy), weights)


def _left_out(given: argparse.Namespace) -> list[Table]:
    if not given.leave_out:
        return []
    return [leave_out(given.data, load_taxonomy(given.taxonomy), given.leave_out)]


def _command(given: argparse.Namespace) -> str:
    """The command with placeholders for folders: where they lay concerns nobody."""
    words = ["python -m classify.evaluation"]
    for name, placeholder in (("data", "DIR"), ("fp32", "DIR"), ("taxonomy", "FILE"), ("weights", "DIR")):
        if getattr(given, name) is not None:
            words.append(f"--{name} {placeholder}")
    if given.rivals:
        words.append("--rivals")
    if given.most is not None:
        words.append(f"--most {given.most}")
    if given.leave_out:
        words.append(f"--leave-out {' '.join(given.leave_out)}")
    return " ".join([*words, "--write FILE"])


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
