"""``shengwen classify evaluate``: how right the classifier is, by what people corrected and by labelled texts."""

from __future__ import annotations

from pathlib import Path

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(
    cls=Command,
    examples=[
        "shengwen classify evaluate",
        "shengwen classify evaluate --rivals --most 500",
        "shengwen classify evaluate --data 评测数据 --rivals --fp32 encoder-fp32",
    ],
)
@click.option("--data", type=FOLDER, metavar="文件夹", help="评测数据；不写只用自带的检验例句")
@click.option("--rivals", is_flag=True, help="一并衡量 snownlp、cnsenti 和线性模型")
@click.option("--fp32", type=FOLDER, metavar="文件夹", help="FP32 编码器（Hugging Face 格式），与在用的 INT8 对比")
@click.option("--most", type=click.IntRange(min=1), metavar="条数", help="每个数据集最多取多少条（按哈希挑选）")
@pass_home
def evaluate(home: Home, data: Path | None, rivals: bool, fp32: Path | None, most: int | None) -> None:
    """衡量分类器：与人工纠正一致多少，还错在哪里；在检验例句和评测数据上的成绩。

    成绩按数据集和文字长短列成表：情感、意图、标签、标记、安全。对比用的软件要另外安装，没有装时会说怎样装。
    """
    from classify.agreement import corrections_report
    from classify.evaluation.report import contest_of, report
    from classify.taxonomy import load_taxonomy
    from shengwen.rooms import Rooms, taxonomy_path

    with Rooms(home) as rooms:
        taxonomy = load_taxonomy(taxonomy_path(home, rooms.settings))
        contest = contest_of(rooms.classifier, taxonomy, data=data, compare=rivals, fp32=fp32, most=most)
        for line in corrections_report(rooms.classifier, rooms.corrections.all()).lines():
            click.echo(line)
        report(contest, click.echo, lambda line: click.echo(line, err=True))
