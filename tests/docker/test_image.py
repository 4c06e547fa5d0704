"""The image's steps without an engine: what the Dockerfile copies is built as it builds it, and starts by itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docker.test_compose import ROOT, in_context, stages

UNREAD = {".md"}
"""Not needed when it runs."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that ``pip install .`` would fill in the build stage."""
    folder = tmp_path_factory.mktemp("image")
    source = folder / "src"
    for name, rest in stages()["build"]:
        if name == "COPY" and not rest.startswith("--from") and "lock" not in rest:
            *sources, _ = rest.split()
            for one in sources:
                copy(ROOT / one, source / one)
    vendor = source / "shengwen" / "web" / "static" / "vendor"
    vendor.mkdir(parents=True)
    for script in ("htmx.min.js", "echarts.min.js"):
        (vendor / script).write_text("// from the assets stage\n", "utf-8")
    (install,) = [rest for name, rest in stages()["build"] if name == "RUN" and rest.endswith("--no-index .")]
    options = [word for word in install.split() if word in ("--no-deps", "--no-build-isolation", "--no-index")]
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", *options, "-w", folder, "."]
    said = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=100, check=False)
    assert said.returncode == 0, said.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    left = {path.relative_to(source) for path in source.rglob("*") if path.is_file() and "build" not in path.parts}
    shutil.rmtree(source)
    (folder / "wanted").write_text("\n".join(str(path) for path in sorted(left)), "utf-8")
    return folder


def copy(source: Path, target: Path) -> None:
    """As COPY does behind .dockerignore."""
    for path in [source] if source.is_file() else source.rglob("*"):
        relative = path.relative_to(ROOT)
        if path.is_file() and in_context(str(relative)):
            into = target.parent / path.name if source.is_file() else target / path.relative_to(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, into)


def test_everything_the_program_reads_is_installed(installed: Path) -> None:
    wanted = {Path(line) for line in (installed / "wanted").read_text("utf-8").splitlines()}
    tops = {path.parts[0] for path in wanted if len(path.parts) > 1 and not path.parts[0].endswith(".egg-info")}
    assert {"shengwen", "classify", "search"} <= tops
    there = {path.relative_to(installed / "site") for path in (installed / "site").rglob("*") if path.is_file()}
    asked = {path for path in wanted if path.parts[0] in tops and path.suffix not in UNREAD}
    assert asked - there == set()
    assert Path("shengwen/web/static/vendor/htmx.min.js") in there
    assert Path("classify/weights/encoder/encoder.onnx") in there


def test_the_installed_program_starts_from_there_and_needs_nothing_of_the_tree(installed: Path, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SHENGWEN_", "PYTHON"))}
    env = kept | {"PYTHONPATH": str(installed / "site"), "SHENGWEN_HOME": str(tmp_path / "home")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)

    where = run("-c", "import shengwen, classify; print(shengwen.__file__, classify.__file__)")
    assert where.stdout.count(str(installed)) == 2, where
    said = run("-m", "shengwen", "prepare")
    assert (said.returncode, said.stdout.splitlines()[-1]) == (0, "检索库已就绪"), said
    assert run("-m", "shengwen", "init").returncode == 0
    assert run("-m", "shengwen", "health").returncode == 1, "nothing runs"
