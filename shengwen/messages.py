"""click in Chinese: headings of its help and what it says of a wrong call."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

_PIECES = {"[OPTIONS]": "[选项]", "COMMAND [ARGS]...": "命令 [参数]…"}
_HEADINGS = {"Options": "选项", "Commands": "命令", "Arguments": "参数"}
_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"^No such option:? '?(--?[\w-]+)'?\.?", r"没有选项 \1。"),
        (r"^No such command '(.+?)'\.?", r"没有命令“\1”。"),
        (r"^Missing argument '(.+?)'\.?", r"缺少参数 \1。"),
        (r"^Missing option '(.+?)'\.?", r"缺少选项 \1。"),
        (r"^Missing command\.?", "没有写命令。"),
        (r"^Option '(.+?)' requires an argument\.?", r"选项 \1 后面要有值。"),
        (r"^Got unexpected extra arguments? \((.+)\)", r"多出来的参数：\1。"),
        (r"^Invalid value for (.+?): (.*)$", r"\1 的值不对：\2"),
        (r"'(.+?)' is not one of (.+?)\.?$", r"“\1”不在可选的值 \2 之中。"),
        (r"'(.+?)' is not a valid (?:integer|int).*$", r"“\1”不是整数。"),
        (r"'(.+?)' is not a valid (?:float|number).*$", r"“\1”不是数。"),
        (r"(?:Path|File|Directory) '(.+?)' does not exist\.?", r"“\1”不存在。"),
        (r"(?:Path|File) '(.+?)' is a directory\.?", r"“\1”是文件夹。"),
        (r"'([^']+)': No such file or directory", r"“\1”不存在"),
        (r"(\S+) is not in the range (.+?)\.?$", r"\1 不在范围 \2 之内。"),
        (r"Did you mean (.+?)\?", r"是不是 \1？"),
        (r"\(Possible options: (.+?)\)", r"（可用：\1）"),
    )
)


_EXTRAS = re.compile(r"\[(?:default: (?P<default>[^\];]+)|(?P<required>required))?(?:; )?(?P<range>[^\]]*)\]$")


def _extra(match: re.Match[str]) -> str:
    parts = ["必填" if match["required"] else "", f"默认 {match['default']}" if match["default"] else ""]
    return f"［{'，'.join(p for p in (*parts, match['range']) if p)}］"


def translate(message: str) -> str:
    """click's sentence in Chinese; what is not known stays as it is."""
    for pattern, text in _PHRASES:
        message = pattern.sub(text, message)
    return message


def usage(error: click.UsageError) -> str:
    """What was wrong with a call, and where to read on."""
    path = error.ctx.command_path if error.ctx else "shengwen"
    return f"错误：{translate(error.format_message())}\n用法见：{path} --help"


def shown_name(path: Path) -> str:
    """A file's name as text, also when it is no UTF-8 (unpacked from a Windows archive)."""
    return os.fsencode(path.name).decode("utf-8", "replace")


class _Chinese(click.Command):
    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self._examples:
            with formatter.section("例子"):
                for line in self._examples:
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, " ".join(self.collect_usage_pieces(ctx)), prefix="用法：")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        records = [
            p.get_help_record(ctx) for p in self.get_params(ctx) if isinstance(p, click.Option)
        ]  # what an argument is, the text above says
        rows = [(name, _EXTRAS.sub(_extra, said)) for name, said in filter(None, records)]
        if rows:
            with formatter.section(_HEADINGS["Options"]):
                formatter.write_dl(rows)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "显示这份说明"
        return option

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        pieces = super().collect_usage_pieces(ctx)
        return [_PIECES.get(piece, piece) for piece in pieces]


class Command(_Chinese):
    """A command whose help is Chinese; its examples stand below it, one a line."""


class Group(_Chinese, click.Group):
    """A group of commands whose help is Chinese."""

    command_class = Command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        _Chinese.format_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        shown = [name for name in self.list_commands(ctx) if not self.commands[name].hidden]
        rows = [(name, self.commands[name].get_short_help_str(60)) for name in shown]
        if rows:
            with formatter.section(_HEADINGS["Commands"]):
                formatter.write_dl(rows)


class DefaultGroup(Group):
    """A group with a command of its own: what names none of the others is for ``default``."""

    def __init__(self, *args: Any, default: click.Command, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        default.hidden = True
        self.add_command(default)
        self._default = default

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        own = [piece for param in self._default.params for piece in param.get_usage_pieces(ctx)]
        return [*super().collect_usage_pieces(ctx)[:1], *own, "|", "命令 [参数]…"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, args or [str(self._default.name)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._default

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in self.commands:
            return super().resolve_command(ctx, args)
        return self._default.name, self._default, args
