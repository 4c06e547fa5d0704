"""``shengwen classify corrections``: what people corrected, shown or exported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command, shown_name

if TYPE_CHECKING:
    from classify.corrections import Correction

SHOWN = 20


@click.command(
    cls=Command, examples=["shengwen classify corrections", "shengwen classify corrections --export 纠正.jsonl"]
)
@click.option(
    "--export",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="文件",
    help="写成 jsonl，每行一条纠正",
)
@pass_home
def corrections(home: Home, file: Path | None) -> None:
    """网页上的人工纠正：有多少，最近的几条；或全部导出。"""
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        found = rooms.corrections.all()
    if file is None:
        click.echo(f"人工纠正 {len(found)} 条")
        for one in reversed(found[-SHOWN:]):
            click.echo(_line(one))
        return
    with file.open("wb") as out:
        out.writelines(one.to_json() + b"\n" for one in found)
    click.echo(f"已导出 {len(found)} 条到 {shown_name(file)}")


def _line(one: Correction) -> str:
    from ingest.clock import BEIJING
    from shengwen.web.present import SENTIMENTS, clean, short

    said = []
    if one.sentiment is not None:
        said.append(f"{SENTIMENTS[one.before.sentiment.label]}→{SENTIMENTS[one.sentiment]}")
    if one.tags is not None:
        said.append("、".join(f"{clean(tag.tag)}（{SENTIMENTS[tag.sentiment]}）" for tag in one.tags) or "去掉标签")
    return (
        f"{one.made_at.astimezone(BEIJING):%m-%d %H:%M} {clean(one.made_by)} {'，'.join(said)}：{short(one.text, 40)}"
    )
