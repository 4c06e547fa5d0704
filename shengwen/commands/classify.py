"""``shengwen classify``: texts in, analyses out; and what people's corrections are good for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import IO, TYPE_CHECKING

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.commands.classify_corrections import corrections
from shengwen.commands.classify_evaluate import evaluate
from shengwen.commands.classify_refit import refit
from shengwen.home import Home
from shengwen.messages import Command, DefaultGroup

if TYPE_CHECKING:
    from classify.base import Utterance

BATCH = 512


EXAMPLES = [
    "echo '暖气很热，但安装师傅态度太差' | shengwen classify",
    "shengwen classify 评价.txt > 结果.jsonl",
    """printf '{"text": "漏水了", "rating": 1}\\n' | shengwen classify""",
]


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("file", type=click.File("r", encoding="utf-8-sig", errors="replace", lazy=False), default="-")
@pass_home
def texts(home: Home, file: IO[str]) -> None:
    """判断文本的情感、意图、标签。

    每行一条文本，或每行一个带 "text" 的 JSON（可有 "rating" 1-5、"likes"）；按原来的顺序，每行输出一个 JSON。
    不写文件名时从标准输入读取。
    """
    from shengwen.rooms import build_classifier
    from shengwen.settings import load_settings

    classifier = build_classifier(home, load_settings(home))
    out = sys.stdout.buffer
    lines = _utterances(file)
    while batch := list(islice(lines, BATCH)):
        for analysis in classifier.analyse(batch):
            out.write(analysis.to_json() + b"\n")
        out.flush()


@click.group(
    cls=DefaultGroup, default=texts, examples=[*EXAMPLES, "shengwen classify evaluate", "shengwen classify refit"]
)
def classify() -> None:
    """判断文本的情感、意图、标签；用人在网页上的纠正衡量、重调分类器。

    每行一条文本，或每行一个带 "text" 的 JSON（可有 "rating" 1-5、"likes"）；按原来的顺序，每行输出一个 JSON。
    不写文件名时从标准输入读取。文件和下面的命令同名时写成 ./文件名。
    """


for _command in (evaluate, refit, corrections):
    classify.add_command(_command)


def _utterances(file: IO[str]) -> Iterator[Utterance]:
    for number, line in enumerate(file, 1):
        yield _utterance(line.rstrip("\r\n"), number)


def _utterance(line: str, number: int) -> Utterance:
    from classify.base import Utterance
    from ingest.default_reviews import is_default_review
    from ingest.mention import storable

    fields: dict[str, object] = {"text": line}
    if line.lstrip().startswith("{"):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None  # a text that merely begins with a brace
        if isinstance(value, dict):
            if not isinstance(value.get("text"), str):
                raise UserError(f"第 {number} 行的 JSON 没有文字字段 text")
            fields = value
    text = storable(str(fields["text"]))
    return Utterance(
        text=text,
        rating=_whole(fields.get("rating"), number, "rating", 1, 5),
        default_review=is_default_review(text),
        likes=_whole(fields.get("likes"), number, "likes", 0, 10**15),
    )


def _whole(value: object, number: int, name: str, low: int, high: int) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value != int(value):
        raise UserError(f"第 {number} 行的 {name} 应为 {low} 到 {high} 的整数")
    return int(value)
