"""``shengwen import``: files in, searchable mentions out."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import orjson

from ingest.errors import UserError
from ingest.imports.mapping import DEFAULT_SOURCES, FIELDS
from ingest.log.base import Topics
from ingest.times import read_instant
from shengwen.cli import pass_home
from shengwen.home import Home
from shengwen.messages import Command, shown_name
from shengwen.stages import ALERT, CLASSIFY, INDEX

if TYPE_CHECKING:
    from crawlers.har_job import HarJob
    from ingest.imports.job import ImportJob, ImportState
    from shengwen.rooms import Rooms
    from shengwen.runner import StageRunner

KINDS = ["review", "question", "answer", "post", "video", "article", "comment", "survey", "call"]
LOOK_EVERY = 0.1


@click.command(
    "import",
    cls=Command,
    examples=[
        "shengwen import 旗舰店评价.xlsx --source 旗舰店",
        "shengwen import 评价.csv --source jd-export --map 买家原话=text --map 下单日=created_at --dry-run",
        "shengwen import 满意度回访.xlsx --kind survey",
        "shengwen import 热线记录.jsonl --kind call --json",
    ],
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--source", metavar="名字", help="来源的名字，记录里写作 import:名字；问卷和热线可以不写")
@click.option("--map", "mapping", multiple=True, metavar="列名=字段", help="指定某一列是什么，可多次；不写时按列名猜")
@click.option("--kind", type=click.Choice(KINDS), default="review", show_default=True, help="这些是什么")
@click.option("--sheet", metavar="表名", help="xlsx 里读哪一张工作表；不写时读第一张")
@click.option("--date", "written", metavar="日期", help="文件是哪天导出的，“3天前”从这天算；不写时用文件的修改时间")
@click.option("--dry-run", is_flag=True, help="只显示每一列会当作什么、有几分把握，试读前 1000 行，什么都不写")
@click.option("--no-wait", is_flag=True, help="进了日志就返回，不等到能检索")
@click.option("--json", "as_json", is_flag=True, help="结果输出为 JSON")
@pass_home
def import_files(
    home: Home,
    files: tuple[Path, ...],
    source: str | None,
    mapping: tuple[str, ...],
    kind: str,
    sheet: str | None,
    written: str | None,
    dry_run: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """导入 csv、tsv、txt、jsonl、xlsx（前几种可加 .gz），等到能检索才返回。

    \b
    · 只有一列、没有标题行的文件，每行就是一条文本。
    · 文件里有编号列（id、评价ID…）时，编号不同就是两条，哪怕文字一样；
      没有编号列时，文字、时间、作者都相同的是同一条，记下出现了几次。
    · 没有时间列的，不知道是哪天说的：算作导入时，精确到月，不会触发告警。
    · 问卷（survey）认 NPS 0–10 和满意度 1–5，折成星级，原来的分数另存；热线（call）的来电号码只留不可逆的键。
    · 有评分而没有文字的会入库；什么都没有的算“空”。读不懂的行进死信，一行也不会丢；
      只有评分、点赞这类值读不懂的，照常导入，那一格留空，最后说明有几个。
    · 标题行上面可以有一两行说明。xlsx 只读一张工作表，没读的会列出来。
    · “3天前”“2个月前”从文件的修改时间（或 --date）算起。
    · 评分认 1–5、五星、★★★☆☆、4.5（取近的整星，原值另存）；整列像十分制的按十分制折算。
    · 中断（Ctrl-C、断电）后再运行同样的命令，从停下的地方继续；已经导完的文件不会再导一遍。
    """
    from shengwen.commands.import_preview import preview, told_beside
    from shengwen.rooms import Rooms

    source = source or DEFAULT_SOURCES.get(kind)  # type: ignore[call-overload]  # click checked the choice
    if source is None:
        raise click.MissingParameter(param_hint="'--source'", param_type="option")
    if not re.fullmatch(r"[\w\-.]{1,64}", source):
        raise UserError("--source 只能用文字、数字、- _ .，不超过 64 个字")
    wanted = dict(_pair(one) for one in mapping)
    made = _date(written) if written else None
    missing = [str(file) for file in files if not file.exists()]
    if missing:
        raise UserError(f"找不到文件 {'、'.join(missing)}")
    if dry_run:
        preview(files, kind, wanted, as_json, sheet)  # type: ignore[arg-type]  # click checked the choice
        return
    stop = threading.Event()
    with Rooms(home) as rooms, _stopping(stop):
        jobs = [_job(file, rooms, source, kind, wanted, sheet, made) for file in files]
        results = [_run(job, file, rooms, stop, no_wait) for job, file in zip(jobs, files, strict=True)]
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(results) + b"\n")
        sys.stdout.buffer.flush()
    else:
        for result in results:
            click.echo(_told(result))
            for line in told_beside(result["left_out"], result["mapping"], result["unread_sheets"]):
                click.echo(f"  {line}")
    if any(result["interrupted"] for result in results):
        click.echo("已暂停；再运行同样的命令就从停下的地方继续。", err=True)
        raise SystemExit(130)


def _job(
    file: Path, rooms: Rooms, source: str, kind: str, wanted: dict[str, str], sheet: str | None, made: datetime | None
) -> ImportJob | HarJob:
    from crawlers.har_job import HarJob
    from ingest.imports.job import ImportJob

    log, privacy, clock, brand = rooms.log, rooms.privacy, rooms.clock, rooms.settings.brand
    if file.suffix.lower() == ".har":
        return HarJob(file, log=log, privacy=privacy, clock=clock, brand=brand)
    return ImportJob(
        file,
        source=f"import:{source}",
        log=log,
        privacy=privacy,
        clock=clock,
        kind=kind,  # type: ignore[arg-type]  # click checked the choice
        wanted=wanted,
        match=brand.match,
        sheet=sheet,
        written=made,
    )


def _date(text: str) -> datetime:
    try:
        return read_instant(text)[0]
    except ValueError:
        raise UserError(f"--date 应写成 2026-03-04 或 2026-03-04 14:05，而不是“{text}”") from None


def _pair(text: str) -> tuple[str, str]:
    """(field, column) of ``列名=字段`` or ``字段=列名``: our fields have English names."""
    left, equals, right = (part.strip() for part in text.rpartition("="))
    if not equals or not left or not right:
        raise UserError(f"--map 应写成“列名=字段”，而不是“{text}”")
    if right in FIELDS:
        return right, left
    left, _, right = (part.strip() for part in text.partition("="))
    return left, right


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM finish the batch in hand; a second one ends at once (nothing is lost by that either)."""

    def on_signal(number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(job: ImportJob | HarJob, file: Path, rooms: Rooms, stop: threading.Event, no_wait: bool) -> dict[str, Any]:
    from ingest.imports.job import ImportJob
    from shengwen.runner import StageRunner

    source = job.source or None  # a HAR's mentions are of the platforms themselves
    before = {**rooms.index.counts(source), "dead_letters": rooms.letters.count(source)}
    already = job.state().settled
    runner = None if no_wait else StageRunner(rooms, (CLASSIFY, INDEX, ALERT))
    started = time.monotonic()
    with _progress(file.name) as show:
        if runner:
            runner.start()
        try:
            state = job.run(stop, lambda state: show(state, _ends(rooms)), before)
            show(state, _ends(rooms))
            if runner:
                _wait(rooms, runner, stop, lambda: show(state, _ends(rooms)))
                if state.finished and not stop.is_set():
                    job.settle(state)
            if isinstance(job, ImportJob):  # a HAR has told it by platform
                known = rooms.index.counts(source)["duplicate"] - before["duplicate"]
                job.tell(state, known if runner and not stop.is_set() else 0)
        finally:
            if runner:
                runner.stop()
    return _result(file, job, state, rooms, time.monotonic() - started, already, stop.is_set(), no_wait)


def _ends(rooms: Rooms) -> Mapping[str, tuple[int, int]]:
    """Stage -> (records done, records there are)."""
    shown = {}
    for stage, topic in ((CLASSIFY, Topics.COLLECTED), (INDEX, Topics.CLASSIFIED), (ALERT, Topics.CLASSIFIED)):
        end = sum(rooms.log.end_offsets(topic).values())
        shown[stage] = (end - rooms.log.lag(topic, stage), end)
    return shown


def _wait(rooms: Rooms, runner: StageRunner, stop: threading.Event, show: Callable[[], None]) -> None:
    """Until all that is in the log now is classified, indexed and counted for alerts.

    Raises the error of a stage that stopped; nothing is lost by that, it goes on when the cause is mended.
    """
    goals = [(CLASSIFY, Topics.COLLECTED)], [(INDEX, Topics.CLASSIFIED), (ALERT, Topics.CLASSIFIED)]
    for step in goals:
        # The second goal is read after the first is reached: by then everything is in mentions.classified.
        ends = {stage: rooms.log.end_offsets(topic) for stage, topic in step}
        while not stop.is_set():
            for stage, error in runner.failed.items():
                raise UserError(f"环节 {stage} 停下了：{error}。处理好原因后再运行同样的命令") from error
            left = 0
            for stage, topic in step:
                done = rooms.log.committed(topic, stage)
                left += sum(max(0, end - done.get(part, 0)) for part, end in ends[stage].items())
            show()
            if not left:
                break
            stop.wait(LOOK_EVERY)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[ImportState, Mapping[str, tuple[int, int]]], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        reading = progress.add_task(f"读取 {name}", total=None)
        tasks = {stage: progress.add_task(label, total=None) for stage, label in _LABELS.items()}

        def show(state: ImportState, stages: Mapping[str, tuple[int, int]]) -> None:
            progress.update(reading, completed=state.rows, total=state.rows if state.finished else None)
            for stage, (done, end) in stages.items():
                progress.update(tasks[stage], completed=done, total=end)

        yield show


_LABELS = {CLASSIFY: "分类", INDEX: "入库", ALERT: "预警统计"}


def _result(
    file: Path,
    job: ImportJob | HarJob,
    state: ImportState,
    rooms: Rooms,
    seconds: float,
    already: bool,
    interrupted: bool,
    no_wait: bool,
) -> dict[str, Any]:
    result: dict[str, Any] = {
        "file": shown_name(file),
        "source": job.source,
        "mapping": dict(job.mapping),
        "rows": state.rows,
        "collected": state.collected + state.dead,
        "seconds": round(seconds, 1),
        "already_imported": already,
        "interrupted": interrupted,
        "left_out": state.left_out,
        "unread_sheets": list(getattr(job, "unread", ())),
    }
    if no_wait:
        return result | {"dead": state.dead}
    if already:  # this file went through before: every row of it is known
        return result | {"indexed": 0, "empty": 0, "duplicate": state.collected + state.dead, "dead": 0}
    now, before = rooms.index.counts(job.source or None), state.before or {}
    added = {name: now[name] - before.get(name, 0) for name in ("indexed", "empty", "duplicate", "revised")}
    return result | {
        "indexed": added["indexed"],
        "empty": added["empty"],
        "duplicate": added["duplicate"] + added["revised"],
        "dead": rooms.letters.count(job.source or None) - before.get("dead_letters", 0),
    }


def _told(result: Mapping[str, Any]) -> str:
    mapped = "，".join(f"{field}←{column}" for field, column in result["mapping"].items())
    columns = f"；列：{mapped}" if mapped else ""
    head = f"{result['file']}：收集 {result['collected']}"
    if result["already_imported"]:
        return f"{head}，重复 {result['duplicate']}（这个文件以前已完整导入，没有再导一遍）"
    if "indexed" not in result:
        return f"{head}，死信 {result['dead']}；已进日志，等待处理{columns}"
    rate = result["rows"] / max(result["seconds"], 0.1)
    return (
        f"{head}，入库 {result['indexed']}，空 {result['empty']}，重复 {result['duplicate']}，死信 {result['dead']}"
        f"（{result['seconds']} 秒，每秒 {rate:.0f} 行{columns}）"
    )
