"""The documents are held to the code: commands, settings, paths, names, links. What they say of it must be there."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args

import click
import pytest
from pydantic import BaseModel, TypeAdapter

from alerts.config import AlertSettings, Span
from crawlers.config import PLATFORMS, CrawlSettings, Target
from shengwen.cli import COMMANDS, _global_first, cli
from shengwen.commands.doctor import examine
from shengwen.home import Home
from shengwen.pushing import PushedMention
from shengwen.settings import Settings
from shengwen.web.openapi import example as pushed_example

ROOT = Path(__file__).resolve().parents[1]
README, README_EN, DESIGN, OPERATIONS = "README.md", "README.en.md", "docs/design.md", "docs/operations.md"
DOCS = (README, README_EN, DESIGN, OPERATIONS)
PROGRAM = re.compile(r"(?:\.venv/bin/)?shengwen(?= [\w-])")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the repository (of an unpacked copy without git: every file outside hidden and built folders)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode == 0:
        return tuple(name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file())
    built = re.compile(r"(^|/)(\.[^/]+|node_modules|__pycache__|vendor|[^/]+\.egg-info)/")
    files = (str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
    return tuple(name for name in files if not built.search(name))


def fences(text: str, language: str = "") -> list[str]:
    return [body for found, body in FENCE.findall(text) if found == language]


def spans(text: str) -> list[str]:
    """What stands in backticks outside of fenced blocks."""
    return SPAN.findall(FENCE.sub("", text).replace("\\|", "|"))


# -- commands ----------------------------------------------------------------------------------------------------------


def lines_of_code(text: str) -> Iterator[str]:
    """Every line of fenced code without its comment, and every backticked span."""
    for block in fences(text):
        yield from (re.sub(r"\s+#.*", "", line).strip() for line in block.splitlines())
    yield from spans(text)


def calls(text: str) -> list[str]:
    """Command lines that call the program."""
    return [PROGRAM.sub("shengwen", line, count=1) for line in lines_of_code(text) if PROGRAM.match(line)]


def fault(call: str) -> str | None:
    """What is wrong with a command line: an unknown command, option or choice."""
    words = _global_first(shlex.split(re.sub(r"[\[\]…]|[>|] .*", " ", call))[1:])
    command: click.Command = cli
    context = click.Context(cli, info_name="shengwen")
    while isinstance(command, click.Group):
        try:
            _, words, _ = command.make_parser(context).parse_args(words)
        except click.UsageError as error:
            return error.format_message()
        if not words or words[0] == "COMMAND":
            return None
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        context, command, words = click.Context(found, info_name=words[0], parent=context), found, words[1:]
    try:
        values, rest, _ = command.make_parser(context).parse_args(words)
    except click.UsageError as error:
        return error.format_message()
    if rest:
        return f"too many arguments: {rest}"
    for parameter in command.params:
        for value in _flat(values.get(parameter.name or "")):
            if isinstance(parameter.type, click.Choice) and value not in parameter.type.choices and not value.isupper():
                return f"{parameter.name}: {value}"
    return None


def _flat(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [one for part in value for one in _flat(part)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("name", DOCS)
def test_every_call_in_the_documents_can_be_typed(name: str) -> None:
    found = calls(read(name))
    assert found
    assert {call: said for call in found if (said := fault(call))} == {}


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("shengwen logon jd", "logon"),
        ("shengwen up [--deom]", "--deom"),
        ("shengwen work sort", "sort"),
        ("shengwen dead-letters burn", "burn"),
        ("shengwen doctor now", "now"),
        ("shengwen search x --sort best", "best"),
    ],
)
def test_a_wrong_call_is_found(call: str, part: str) -> None:
    assert part in (fault(call) or "")


@pytest.mark.parametrize(
    "call",
    [
        "shengwen parse PLATFORM FILE",
        "shengwen doctor --json --home DIR",
        "shengwen import a.csv --source 旗舰店",
        "shengwen search … --json",
        "shengwen COMMAND --help",
        "shengwen up [--demo]",
        "shengwen classify a.txt > b.jsonl",
    ],
)
def test_a_right_call_is_no_complaint(call: str) -> None:
    assert fault(call) is None


@pytest.mark.parametrize("name", [README, OPERATIONS])
def test_every_command_is_explained(name: str) -> None:
    text = read(name)
    words = {word for span in spans(text) for word in span.replace("shengwen ", "").split()[:1]}
    words |= {call.split()[1] for call in calls(text)}
    assert set(COMMANDS) - words == set()


@pytest.mark.parametrize("name", [README, OPERATIONS])
def test_tables_of_commands_name_only_commands(name: str) -> None:
    rows = table_after(read(name), "| 命令 |" if name == README else "| command |")
    assert len(rows) > 5
    for row in rows:
        for span in SPAN.findall(row[0]):
            for words in product(*(word.split("|") for word in span.split())):
                assert fault(" ".join(["shengwen", *words])) is None, span


def test_the_english_readme_leads_to_the_commands() -> None:
    assert "docs/operations.md#commands" in read(README_EN)


@pytest.mark.parametrize("name", DOCS)
def test_every_make_target_is_there(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+)(?: [a-z-]+)*:", read("Makefile"), re.MULTILINE))
    named = {found[1] for line in lines_of_code(read(name)) if (found := re.match(r"make ([a-z-]+)", line))}
    assert named
    assert named - targets == set()


# -- settings ----------------------------------------------------------------------------------------------------------


def table_after(text: str, beginning: str) -> list[list[str]]:
    """The rows of the first table whose heading begins so, cells stripped."""
    lines = text[text.index(beginning) :].splitlines()
    rows = []
    for line in lines[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


@cache
def documented() -> dict[str, dict[str, str]]:
    """Section -> key -> default as written, of the chapter "Settings". Headings name one section or several, and a
    section may have several tables."""
    chapter = read(OPERATIONS).split("\n## Settings\n", 1)[1].split("\n## ", 1)[0]
    sections: dict[str, dict[str, str]] = {}
    for part in chapter.split("\n### ")[1:]:
        heading, _, body = part.partition("\n")
        rows = table_after(body, "| key |") if "| key |" in body else []
        keys = {key: row[1] for row in rows for key in SPAN.findall(row[0])}
        for section in SPAN.findall(heading) or ["[]"]:
            sections.setdefault(section.strip("[]"), {}).update(keys)
    return sections


def models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]


MANY = {"departments": "departments.NAME", "service_levels": "service_levels"}
"""Settings that are tables by name, and how the document writes their sections."""


def fields(model: type[BaseModel], section: str) -> Iterator[tuple[str, str, Any]]:
    """(section, key, field) of every setting that is written as a value, however deep."""
    for name, field in model.model_fields.items():
        below = [one for one in models_in(field.annotation) if one is not Span]
        path = f"{section}.{name}".lstrip(".")
        if not below:
            yield section, name, field
        for one in below:
            place = f"{section}.{MANY.get(name, name)}".lstrip(".")
            if one is Target:
                yield section, name, field
                place = "crawl.PLATFORM.targets"
            if one.__name__ != "ServiceLevel":  # shown as TOML, see below
                yield from fields(one, place if one is Target or name in MANY else path)


def every_setting() -> list[tuple[str, str, Any]]:
    return [*fields(Settings, "")]


def written(section: str, key: str) -> str | None:
    """The documented default, a platform's own before what all platforms share."""
    places = [section]
    if section.split(".")[0] == "crawl" and section.split(".")[-1] in PLATFORMS:
        places.append("crawl.PLATFORM")
    return next((documented()[place][key] for place in places if key in documented().get(place, {})), None)


def test_there_are_settings_to_document() -> None:
    found = {(section, key) for section, key, _ in every_setting()}
    assert {("", "state_url"), ("web", "port"), ("crawl.jd", "pause"), ("alerts.channels", "url")} <= found
    assert len(found) > 150


def test_every_setting_is_documented_under_its_section() -> None:
    assert {f"[{section}] {key}" for section, key, _ in every_setting() if written(section, key) is None} == set()


def test_every_documented_setting_exists() -> None:
    known: dict[str, set[str]] = {}
    for section, key, _ in every_setting():
        known.setdefault(section, set()).add(key)
    known["crawl.PLATFORM"] = known["crawl.jd"]
    known["alerts"] |= AlertSettings.model_fields.keys()
    known["alerts.service_levels"] = set()
    assert set(documented()) - set(known) == set()
    for section, keys in documented().items():
        assert set(keys) - known[section] == set(), section


def test_every_default_is_the_programs() -> None:
    for section, key, field in every_setting():
        said = written(section, key)
        assert said is not None
        where = f"[{section}] {key}"
        if field.is_required():
            assert said == "required", where
        elif said == "none":
            assert field.get_default(call_default_factory=True) is None, where
        else:
            value = tomllib.loads(f"it = {SPAN.findall(said)[0]}")["it"]
            annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            read_back = TypeAdapter[Any](annotation).validate_python(value)
            assert read_back == field.get_default(call_default_factory=True), where


def test_every_example_of_settings_loads() -> None:
    examples = [tomllib.loads(block) for block in fences(read(OPERATIONS), "toml")]
    assert len(examples) >= 2
    for example in examples:
        Settings(**example)
    levels = next(one["alerts"]["service_levels"] for one in examples if "service_levels" in one.get("alerts", {}))
    assert AlertSettings(service_levels=levels).service_levels == AlertSettings().service_levels


def test_the_documented_push_is_the_programs() -> None:
    (block,) = fences(read(OPERATIONS), "json")
    assert json.loads(block) == pushed_example()
    assert {f"`{name}`" for name in PushedMention.model_fields} - {
        f"`{span}`" for span in spans(read(OPERATIONS))
    } == set()


def test_the_browser_and_every_platform_are_named() -> None:
    text = read(OPERATIONS)
    assert all(f"`{platform}`" in text for platform in PLATFORMS)
    assert set(CrawlSettings.model_fields) - set(PLATFORMS) == {
        "user_agent",
        "chromium",
        "audit_days",
        "memory_mb",
        "official",
    }


# -- home and doctor ---------------------------------------------------------------------------------------------------


def test_every_file_of_a_home_is_explained(tmp_path: Path) -> None:
    home = Home(tmp_path)
    files = [home.settings, home.secret, home.log, home.index, home.state, home.runtime]
    text = read(OPERATIONS)
    assert [file.name for file in files if f"`{file.name}`" not in text] == []


def test_every_line_of_the_doctor_is_explained(tmp_path: Path) -> None:
    rows = table_after(read(OPERATIONS), "| line |")
    explained = {name for row in rows for name in row[0].split(", ")}
    assert {check["name"] for check in examine(Home(tmp_path / "home"))["checks"]} == explained


# -- paths, names, links -----------------------------------------------------------------------------------------------


def unknown_paths(text: str, files: tuple[str, ...]) -> list[str]:
    """Backticked paths below a folder of the repository that are not there. ``*`` stands for a part of a name."""
    tops = {name.partition("/")[0] for name in files if "/" in name}
    unknown = []
    for span in spans(text):
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]*)+", span, re.ASCII) or span.partition("/")[0] not in tops:
            continue
        pattern = re.compile(re.escape(span).replace(r"\*", "[^/]*") + ("" if span.endswith("/") else "(/|$)"))
        if not any(pattern.match(name) for name in files):
            unknown.append(span)
    return unknown


@pytest.mark.parametrize("name", DOCS)
def test_every_path_named_is_there(name: str) -> None:
    assert unknown_paths(read(name), tracked()) == []


def test_a_path_that_is_gone_is_found() -> None:
    files = ("ingest/log/base.py", "tests/e2e/test_page.py")
    text = "`ingest/log/` `ingest/log/base.py` `ingest/*/base.py` `tests/faults/` `ingest/log/kafka.py` `组/标签` `a/b`"
    assert unknown_paths(text, files) == ["tests/faults/", "ingest/log/kafka.py"]


def test_the_readmes_tree_is_the_houses() -> None:
    tree = read(README).split("## 结构", 1)[1]
    named = set(re.findall(r"^([a-z]+)/ ", fences(tree)[0], re.MULTILINE))
    packages = {name.partition("/")[0] for name in tracked() if name.count("/") == 1 and name.endswith("/__init__.py")}
    deployed = {name.partition("/")[0] for name in tracked() if name.endswith("/Dockerfile")}
    assert named == packages | deployed
    below = set(re.findall(r"([a-z0-9]+)/", fences(tree)[0].splitlines()[-1].split("另有")[1]))
    assert below <= {name.split("/")[1] for name in tracked() if name.startswith("tests/")}


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module or something in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def test_every_module_named_in_the_design_is_there() -> None:
    rooms = "|".join(("ingest", "crawlers", "classify", "search", "alerts", "shengwen"))
    dotted = re.compile(rf"(?:python -m )?((?:{rooms})(?:\.\w+)+)")
    named = {found[1] for span in spans(read(DESIGN)) if (found := dotted.fullmatch(span))}
    named |= set(re.findall(rf"\b(?:{rooms})\.[a-z_]+\b", fences(read(DESIGN), "mermaid")[0]))
    assert len(named) > 8
    assert [name for name in sorted(named) if not resolves(name)] == []
    assert not resolves("ingest.log.nowhere")


def slugs(text: str) -> set[str]:
    """Anchors of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(name: str, text: str) -> list[str]:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        known = file.is_file() and str(file.resolve().relative_to(ROOT)) in tracked()
        if not known or (anchor and anchor not in slugs(file.read_text("utf-8"))):
            broken.append(target)
    return broken


def markdown() -> list[str]:
    return [name for name in tracked() if name.endswith(".md")]


def test_links_between_documents_lead_somewhere() -> None:
    assert set(DOCS) <= set(markdown())
    assert {name: found for name in markdown() if (found := broken_links(name, read(name)))} == {}


def test_a_broken_link_is_found() -> None:
    text = (
        "[a](docs/design.md) [b](docs/nothing.md) [c](docs/design.md#the-log) [d](docs/design.md#no) [e](https://x.y/)"
    )
    assert broken_links(README, text) == ["docs/nothing.md", "docs/design.md#no"]


MACHINE = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "tmp", "root")) + r")(?![\w.-])")


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    found = []
    for name in tracked():
        data = (ROOT / name).read_bytes()
        if b"\0" in data:
            continue
        lines = enumerate(data.decode("utf-8", "replace").splitlines(), 1)
        found += [f"{name}:{number}" for number, line in lines if MACHINE.search(line)]
    assert found == []
    assert all(MACHINE.search(f"see {slash}{folder}/x") for slash in "/" for folder in ("work", "tmp", "root"))


def test_the_design_stays_short() -> None:
    assert len(read(DESIGN).splitlines()) <= 270
