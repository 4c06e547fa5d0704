"""``shengwen search`` and ``shengwen export``."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command

if TYPE_CHECKING:
    from ingest.analysis import ClassifiedMention

SORTS = ["newest", "oldest", "relevance", "likes", "severity"]
SENTIMENTS = {"negative": "[red]负面[/]", "neutral": "中性", "positive": "[green]正面[/]"}
SHOWN = 120


@click.command(
    cls=Command,
    examples=[
        "shengwen search '漏水 AND (安装 OR 师傅) NOT 广告'",
        "shengwen search 'sentiment:negative tag:产品质量/漏水渗水 since:7d' --json --limit 0",
        """shengwen search '"暖气 不热"~5 source:jd' --sort likes""",
    ],
)
@click.argument("query", default="")
@click.option("--json", "as_json", is_flag=True, help="每行输出一条完整的记录（JSON）")
@click.option("--limit", type=click.IntRange(min=0), default=20, show_default=True, help="最多几条；0 是全部")
@click.option("--sort", type=click.Choice(SORTS), default="newest", show_default=True, help="次序")
@pass_home
def search(home: Home, query: str, as_json: bool, limit: int, sort: str) -> None:
    """检索提及。查询语言：词并列是“且”，OR 或，NOT / - 非，"…" 原样，"a b"~5 相距五字以内；
    字段有 source: sentiment: tag: intent: product: region: flag: likes:>=100 since:7d until: 等。空查询是全部。
    """
    from search.query import parse_query
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        node = parse_query(query, now=rooms.clock.now())
        found = rooms.index.scan(node, sort=sort)  # type: ignore[arg-type]  # click checked the choice
        hits = found if limit == 0 else islice(found, limit)
        if as_json:
            for mention in hits:
                sys.stdout.buffer.write(mention.to_json() + b"\n")
            sys.stdout.buffer.flush()
        else:
            _show(list(hits), rooms.index.search(node, limit=1).total)


def _show(hits: list[ClassifiedMention], total: int) -> None:
    from rich.console import Console
    from rich.markup import escape

    from ingest.clock import BEIJING

    console = Console(highlight=False)
    for mention in hits:
        when = mention.created_at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M")
        tags = " ".join(opinion.tag for opinion in mention.analysis.tags)
        text = " ".join(mention.full_text.split())
        shown = text[:SHOWN] + ("…" if len(text) > SHOWN else "")
        label = SENTIMENTS[mention.analysis.sentiment.label]
        console.print(f"[dim]{when}[/] {escape(mention.source)} {label} [cyan]{escape(tags)}[/]")
        console.print(f"  {escape(shown)}")
    console.print(f"[dim]共 {total} 条，显示 {len(hits)} 条[/]")


@click.command(
    "export",
    cls=Command,
    examples=["shengwen export 'sentiment:negative since:30d' --to 差评.xlsx", "shengwen export '' --to 全部.jsonl"],
)
@click.argument("query")
@click.option(
    "--to", "target", type=click.Path(path_type=Path, dir_okay=False), required=True, metavar="文件",
    help="写到哪里；格式由结尾定：.csv .xlsx .jsonl",
)  # fmt: skip
@click.option("--sort", type=click.Choice(SORTS), default="newest", show_default=True, help="次序")
@pass_home
def export_results(home: Home, query: str, target: Path, sort: str) -> None:
    """把检索结果写成文件。"""
    from rich.progress import Progress

    from search.export import export
    from search.query import parse_query
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms, Progress(transient=True, disable=not sys.stderr.isatty()) as progress:
        node = parse_query(query, now=rooms.clock.now())
        task = progress.add_task("导出", total=rooms.index.search(node, limit=1).total)
        found = rooms.index.scan(node, sort=sort)  # type: ignore[arg-type]  # click checked the choice
        count = export(iter(progress.track(found, task_id=task)), target)
    click.echo(f"已导出 {count} 条到 {target}")
