"""``shengwen dead-letters``: list, show, replay."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import click
import orjson

from ingest.errors import Poison, UserError
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Group

if TYPE_CHECKING:
    from ingest.dead_letters import DeadLetter


SHOWN = 20_000
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@click.group("dead-letters", cls=Group)
def dead_letters() -> None:
    """处理不了的记录：连同原始内容存着，修好原因后可以重放。"""


def _row(letter: DeadLetter) -> dict[str, object]:
    return {
        "id": letter.id,
        "stage": letter.stage,
        "source": letter.source,
        "error": letter.error,
        "kind": letter.kind,
        "attempts": letter.attempts,
        "at": letter.at.isoformat(),
        "topic": letter.origin[0] or None,
        "partition": letter.origin[1],
        "offset": letter.origin[2],
        "bytes": len(letter.payload),
    }


def _readable(text: str) -> str:
    """JSON's escapes as the characters they stand for: behind ``\\u6253`` a phone number hides from the masks.

    Escaped controls stay escaped: this goes to a terminal.
    """
    plain = _ESCAPE.sub(lambda match: match[0] if _CONTROL.match(c := chr(int(match[1], 16))) else c, text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@dead_letters.command("list", examples=["shengwen dead-letters list", "shengwen dead-letters list --json"])
@click.option("--json", "as_json", is_flag=True, help="每行输出一个 JSON")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="最多几条；0 是全部")
@pass_home
def list_letters(home: Home, as_json: bool, limit: int) -> None:
    """列出还没处理的。"""
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        letters = rooms.letters.open()
        shown = letters if limit == 0 else letters[-limit:]
        if as_json:
            for letter in shown:
                sys.stdout.buffer.write(orjson.dumps(_row(letter)) + b"\n")
            sys.stdout.buffer.flush()
            return
    if not letters:
        click.echo("没有死信。")
        return
    for letter in shown:  # no table: an id must stay whole, to be copied
        click.echo(f"{letter.id}\n    {letter.stage}  {letter.at:%Y-%m-%d %H:%M} UTC  {letter.error}")
    click.echo(f"死信 {len(letters)} 条，显示 {len(shown)} 条")


@dead_letters.command("show", examples=["shengwen dead-letters show collect:jd::0a1b2c", "… --raw > 原文.bin"])
@click.argument("letter_id")
@click.option("--raw", is_flag=True, help="输出未经遮盖的原始字节")
@pass_home
def show(home: Home, letter_id: str, raw: bool) -> None:
    """看一条的详情和原文（手机号等默认遮盖）。"""
    from ingest.privacy import mask
    from shengwen.rooms import Rooms

    with Rooms(home) as rooms:
        letter = rooms.letters.get(letter_id)
        payload = rooms.privacy.unlock(letter.payload) if letter.sealed else letter.payload
    if raw:
        sys.stdout.buffer.write(payload)
        return
    click.echo(orjson.dumps(_row(letter), option=orjson.OPT_INDENT_2).decode())
    click.echo(mask(_readable(payload[:SHOWN].decode("utf-8", "replace"))))


@dead_letters.command(
    "replay", examples=["shengwen dead-letters replay --all", "shengwen dead-letters replay classify:…"]
)
@click.argument("letter_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="全部重放")
@click.option("--drop", is_flag=True, help="不重放，只是不再保留")
@pass_home
def replay(home: Home, letter_ids: tuple[str, ...], everything: bool, drop: bool) -> None:
    """让死信再走一遍；仍然不行的会留下，并说明原因。"""
    from ingest.dead_letters import DROPPED
    from shengwen.replay import replay_letter
    from shengwen.rooms import Rooms

    if everything == bool(letter_ids):
        raise UserError("请给出编号，或者用 --all")
    failed = 0
    with Rooms(home) as rooms:
        letters = rooms.letters.open() if everything else [rooms.letters.get(one) for one in letter_ids]
        for letter in letters:
            if drop:
                rooms.letters.close(letter, DROPPED)
                continue
            try:
                replay_letter(letter, rooms)
            except Poison as error:
                failed += 1
                click.echo(f"{letter.id}：还是不行，{error}", err=True)
    click.echo(f"{'丢弃' if drop else '重放'} {len(letters) - failed} 条，仍不行 {failed} 条")
    if failed:
        raise SystemExit(1)
