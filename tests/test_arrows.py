"""The house's arrows: which room may import which, and what an import of the command line may not drag in."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

ARROWS: dict[str, frozenset[str]] = {
    "ingest": frozenset(),
    "crawlers": frozenset({"ingest"}),
    "classify": frozenset({"ingest"}),
    "search": frozenset({"ingest"}),
    "alerts": frozenset({"ingest", "search"}),
    "shengwen": frozenset({"ingest", "crawlers", "classify", "search", "alerts"}),
}
"""DESIGN.md: crawlers → ingest ← classify, search → ingest, alerts → search and ingest, shengwen → all."""

HEAVY = (
    *("torch", "transformers", "sklearn", "scipy", "numpy", "onnxruntime", "jieba"),
    *("scrapy", "twisted", "playwright", "lxml", "openpyxl", "chinese_calendar"),
    *("sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "jinja2", "apscheduler", "kafka", "elasticsearch"),
    *("rich", "argon2", "cryptography"),
)
"""Slow to import: imported where they are used, so that ``shengwen --help`` answers in 0.3 s."""


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """Line and full name of everything that a module imports, wherever in it and under whatever condition."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            yield node.lineno, ".".join([*base, *([node.module] if node.module else [])])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


@cache
def edges(root: Path) -> tuple[tuple[str, str, str], ...]:
    """(importing room, imported top-level package, "file:line imports name") of every import in every room."""
    return tuple(_edges(root))


def _edges(root: Path) -> Iterator[tuple[str, str, str]]:
    for room in ARROWS:
        for path in sorted((root / room).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            for line, name in imports(path, module):
                yield room, name.partition(".")[0], f"{path.relative_to(root)}:{line} imports {name}"


def wrong_arrows(root: Path) -> list[str]:
    """Every import that goes against the arrows, and every one that leaves the product for its tests."""
    return [
        what
        for room, target, what in edges(root)
        if target == "tests" or (target in ARROWS and target != room and target not in ARROWS[room])
    ]


def cycles(root: Path) -> list[list[str]]:
    """Circles of rooms, whatever the arrows say."""
    graph: dict[str, set[str]] = {room: set() for room in ARROWS}
    for room, target, _ in edges(root):
        if target in graph and target != room:
            graph[room].add(target)
    found: list[list[str]] = []

    def walk(path: list[str]) -> None:
        for target in sorted(graph[path[-1]]):
            if target == path[0]:
                found.append([*path, target])
            elif target not in path and target > path[0]:
                walk([*path, target])

    for room in sorted(graph):
        walk([room])
    return found


def dragged_in(modules: list[str], path: Path) -> list[str]:
    """The heavy packages that importing ``modules`` in a fresh interpreter brings along."""
    code = f"import sys, {', '.join(modules)}; print(*sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=path,
        env={**os.environ, "PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


# -- this house --------------------------------------------------------------------------------------------------------


def test_every_room_is_there_and_is_looked_at() -> None:
    assert {room for room, _, _ in edges(ROOT)} >= {"ingest", "crawlers", "classify", "search"}
    assert len({what.partition(":")[0] for _, _, what in edges(ROOT)}) > 15


def test_the_arrows_hold() -> None:
    assert wrong_arrows(ROOT) == []


def test_there_are_no_circles_of_rooms() -> None:
    assert cycles(ROOT) == []


def test_every_top_level_package_is_a_room() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"tests"} == set(ARROWS)


def test_the_rooms_themselves_are_light() -> None:
    assert dragged_in(sorted(ARROWS), ROOT) == []


def test_the_command_line_is_light() -> None:
    assert dragged_in(["shengwen.cli"], ROOT) == []


# -- the checks themselves ---------------------------------------------------------------------------------------------


def house(root: Path, files: dict[str, str]) -> Path:
    for room in ARROWS:
        (root / room).mkdir()
        (root / room / "__init__.py").touch()
    for name, code in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(code, "utf-8")
    return root


@pytest.mark.parametrize(
    ("file", "code"),
    [
        ("ingest/stage.py", "from search.base import Index"),
        ("ingest/__init__.py", "import alerts"),
        ("ingest/log/kafka.py", "def f():\n    import crawlers.payload"),
        ("search/base.py", "if True:\n    from classify import base"),
        ("search/base.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import shengwen.settings"),
        ("classify/base.py", "import ingest, search"),
        ("crawlers/jd/spider.py", "async def f():\n    from shengwen import settings as s"),
        ("crawlers/jd/spider.py", "try:\n    import alerts.levels as a\nexcept ImportError:\n    a = None"),
        ("alerts/levels.py", "import importlib\nmodule = importlib.import_module('classify.model')"),
        ("alerts/levels.py", "module = __import__('crawlers')"),
        ("shengwen/cli.py", "from tests import factories"),
    ],
)
def test_a_wrong_import_anywhere_is_found(tmp_path: Path, file: str, code: str) -> None:
    (found,) = wrong_arrows(house(tmp_path, {file: code}))
    assert found.startswith(file + ":")


def test_right_imports_are_no_complaint(tmp_path: Path) -> None:
    files = {
        "alerts/levels.py": "import ingest.clock, search.base\nfrom . import tickets\nfrom .tickets import T",
        "shengwen/cli.py": "import crawlers, ingest, classify, search, alerts\nimport searching, ingested.x",
        "crawlers/jd/spider.py": "from ..payload import Page\nfrom ingest.log.base import EventLog",
    }
    assert wrong_arrows(house(tmp_path, files)) == []
    assert cycles(tmp_path) == []


def test_a_circle_is_found_even_where_the_arrows_would_allow_it(tmp_path: Path) -> None:
    files = {
        "alerts/a.py": "import search",
        "search/s.py": "import ingest",
        "ingest/i.py": "def f():\n    import alerts",
    }
    assert cycles(house(tmp_path, files)) == [["alerts", "search", "ingest", "alerts"]]


def test_a_heavy_import_is_found_however_deep_it_is(tmp_path: Path) -> None:
    files = {"shengwen/cli.py": "import ingest.state", "ingest/state.py": "import sqlalchemy.exc"}
    house(tmp_path, files)
    assert dragged_in(["shengwen.cli"], tmp_path) == ["sqlalchemy"]
    assert dragged_in(["shengwen", "ingest"], tmp_path) == []
