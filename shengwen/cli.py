"""The command line. Commands live in ``shengwen.commands`` and are imported only when they run."""

from __future__ import annotations

import logging
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from shengwen import messages
from shengwen.home import Home, find_home

COMMANDS: dict[str, tuple[str, str]] = {
    "up": ("up:up", "启动整个服务：采集、分类、检索、预警和网页，都在本机；--demo 看演示"),
    "init": ("init:init", "建立数据文件夹和一份带说明的设置文件"),
    "doctor": ("doctor:doctor", "检查安装与数据：数目对不对得上，什么要处理"),
    "login": ("login:login", "由人在浏览器里登录一个平台，供采集使用"),
    "crawl": ("crawl:crawl", "按设置采集各平台"),
    "import": ("imports:import_files", "导入店铺导出的表格、文本或 HAR 文件"),
    "parse": ("parse:parse", "用采集器的解析代码读保存下来的页面或接口应答"),
    "classify": ("classify:classify", "给文本判断情感、意图、标签"),
    "work": ("work:work", "单独运行一个处理环节"),
    "serve": ("serve:serve", "只开网页和接口"),
    "prepare": ("prepare:prepare", "在 Kafka、Elasticsearch、PostgreSQL 上建立所需的东西"),
    "health": ("health:health", "常驻进程是否都在正常工作"),
    "topics": ("topics:topics", "Kafka 主题：列出、建立、检查"),
    "search": ("search:search", "检索"),
    "export": ("search:export_results", "把检索结果导出为 csv、xlsx 或 jsonl"),
    "spikes": ("spikes:spikes", "给时间序列的异常打分"),
    "dead-letters": ("dead_letters:dead_letters", "查看和重放处理不了的记录"),
    "forget": ("privacy:forget", "按作者键删除一个人的全部内容"),
    "retain": ("privacy:retain", "删除超过保存期限的内容"),
    "reindex": ("reindex:reindex", "重建 Elasticsearch 上的检索库：换格式、换分片数，或由事件日志重来"),
    "password": ("password:password", "重新生成网页登录密码"),
    "tokens": ("tokens:tokens", "管理别的系统推送记录用的令牌"),
}


class LazyGroup(messages.Group):
    """Loads a command's module when it is called; the list of commands needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(f"shengwen.commands.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("命令"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="例：shengwen up --demo    shengwen import 评价.csv --source 旗舰店    shengwen search '漏水 since:7d'",
)
@click.option("--home", type=click.Path(path_type=Path), metavar="文件夹", help="数据与设置所在的文件夹")
@click.option("--trace", is_flag=True, help="出错时显示完整的调用栈")
@click.option("-v", "--verbose", is_flag=True, help="在标准错误输出运行日志")
@click.pass_context
def cli(ctx: click.Context, home: Path | None, trace: bool, verbose: bool) -> None:
    """声闻：听见顾客在各平台上说了什么，该告警的告警，该派单的派单。"""
    ctx.obj = find_home(home)
    logging.basicConfig(
        level=logging.INFO if verbose else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, and a bot's URL is its password
    logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # a node that is away is told by who asked it
    # It takes its own closing of a socket for an error, with a trace; what really fails is raised.
    logging.getLogger("kafka.net.transport").setLevel(logging.CRITICAL)


pass_home = click.make_pass_decorator(Home)


def main(argv: list[str] | None = None) -> None:
    """Run a command; errors are one Chinese line on stderr and a non-zero exit."""
    arguments = sys.argv[1:] if argv is None else argv
    sys.exit(run(arguments))


def _global_first(arguments: list[str]) -> list[str]:
    """Let ``--home``, ``--trace`` and ``-v`` stand behind the command as well, where people write them."""
    front: list[str] = []
    rest: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument == "--":
            return [*front, *rest, argument, *left]
        if argument == "--home":
            front += [argument, *([value] if (value := next(left, None)) is not None else [])]
        elif argument.startswith("--home=") or argument in ("--trace", "-v", "--verbose"):
            front.append(argument)
        else:
            rest.append(argument)
    return front + rest


def run(arguments: list[str]) -> int:
    """The exit code of a command line: 0 done, 1 failed, 2 wrongly called, 130 interrupted."""
    from ingest.errors import ShengwenError

    arguments = _global_first(arguments)
    trace = "--trace" in arguments
    try:
        result: Any = cli.main(args=arguments, prog_name="shengwen", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("已中断。", err=True)
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.UsageError as error:
        click.echo(messages.usage(error), err=True)
        return 2
    except click.ClickException as error:
        click.echo(f"错误：{messages.translate(error.format_message())}", err=True)
        return 1
    except BrokenPipeError:
        # The reader (head, less) has seen enough; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ShengwenError as error:
        if trace:
            raise
        click.echo(f"错误：{error}", err=True)
        return 1
    except OSError as error:
        if trace:
            raise
        name = f"：{error.filename}" if error.filename else ""
        click.echo(f"错误：{error.strerror or error}{name}", err=True)
        return 1
    except Exception as error:
        if trace or not _of_state_database(error):
            raise
        click.echo(f"错误：状态库无法使用（{type(error).__name__}）；用 shengwen doctor 检查", err=True)
        return 1


def _of_state_database(error: Exception) -> bool:
    known = sys.modules.get("sqlalchemy.exc")  # not imported for this: what did not load it cannot have raised it
    return known is not None and isinstance(error, known.SQLAlchemyError)
