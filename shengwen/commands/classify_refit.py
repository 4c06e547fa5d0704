"""``shengwen classify refit``: the classifier's last layers, fitted again with what people corrected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ingest.errors import UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from classify.refit import RefitReport


NAMES = {
    "examples.sentiment": "检验例句的情感（准确率）",
    "examples.intent": "检验例句的意图（准确率）",
    "examples.tags": "检验例句的标签（F1）",
    "corrections.sentiment": "留出的纠正，情感（准确率）",
    "corrections.tags": "留出的纠正，标签（F1）",
}


@click.command(cls=Command, examples=["shengwen classify refit"])
@pass_home
def refit(home: Home) -> None:
    """用人工纠正重调分类器；在留出的例句和纠正上平均分都没有下降才启用，否则一切照旧。"""
    from classify.refit import refit as fit_again
    from classify.transformer import TransformerClassifier
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        corrections, classifier = rooms.corrections.all(), rooms.classifier
        if not isinstance(classifier, TransformerClassifier):
            raise UserError(f"只有自带的神经网络分类器可以重调，现在用的是 {classifier.name}")
        report = fit_again(classifier, corrections, home.path, say=click.echo)
    show(report)


def show(report: RefitReport) -> None:
    """Print what came of it."""
    click.echo(f"用了 {report.texts} 条文本，{report.seconds:.1f} 秒")
    for name, after in report.after.items():
        before = report.before.get(name)
        click.echo(f"  {NAMES.get(name, name)}：{'—' if before is None else f'{before:.3f}'} → {after:.3f}")
    if report.promoted:
        click.echo(f"已启用：{report.path}。正在运行的服务要重新启动才会用上")
    else:
        click.echo("留出的文本上平均分下降了，没有启用，仍用原来的")
