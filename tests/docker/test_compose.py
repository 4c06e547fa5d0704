"""What can be held of the images and the compose file without an engine: they parse, and nothing is left open."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shengwen.cli import COMMANDS
from shengwen.settings import Settings
from tests.test_docs import fault

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
ONCE = {"setup"}
"""Services that end by themselves: nobody asks for their health."""
FILLED = {"POSTGRES_PASSWORD": "letters0and1digits", "ELASTIC_PASSWORD": "2letters3and4digits"}


def compose(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """docker-compose on our file. Without one: a skip for a developer, a failure in CI."""
    program = shutil.which("docker-compose")
    if program is None:
        reason = "no docker-compose on the PATH (Debian: apt-get install docker-compose)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    kept = {name: value for name, value in os.environ.items() if name not in FILLED}
    command = [program, "--env-file", str(DOCKER / "env.example"), "-f", str(DOCKER / "compose.yml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=kept | env, timeout=60, check=False)


@cache
def config() -> dict[str, Any]:
    said = compose("config", **FILLED)
    assert said.returncode == 0, said.stderr
    assert said.stderr == "", "a clean file has no warnings"
    found: dict[str, Any] = yaml.safe_load(said.stdout)
    return found


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = config()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    return {name: one for name, one in services().items() if one["image"].startswith("shengwen")}


def test_all_parts_of_the_service_and_their_servers_are_there() -> None:
    assert set(services()) == {
        *("kafka", "elasticsearch", "postgres"),
        *("setup", "classify", "index", "alert", "page", "crawler"),
    }


def test_without_passwords_nothing_starts() -> None:
    said = compose("config")
    assert said.returncode != 0
    assert "docker/.env" in said.stderr


def test_every_service_has_limits_and_bounded_logs() -> None:
    for name, one in services().items():
        assert re.fullmatch(r"\d+[mg]", str(one["mem_limit"])), name
        assert 0 < float(one["cpus"]) <= 4, name
        assert one["logging"]["options"].keys() >= {"max-size", "max-file"}, name
        assert one["stop_grace_period"], name


def test_every_service_that_stays_tells_its_health_and_comes_back() -> None:
    for name, one in services().items():
        if name in ONCE:
            assert one["restart"] == "on-failure", name
            continue
        assert one["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert one["healthcheck"]["start_period"], name
        assert one["restart"] == "unless-stopped", name


def test_every_image_has_its_version() -> None:
    for name, one in services().items():
        _, _, tag = one["image"].partition(":")
        assert re.fullmatch(r"\d+\.\d+(\.\d+)?[\w.-]*", tag), (name, one["image"])
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {one["image"].partition(":")[2] for one in ours().values()} == {version}


def test_the_servers_are_those_that_the_tests_run_on() -> None:
    from tests.servers.kafka import VERSION

    assert services()["kafka"]["image"] == f"apache/kafka:{VERSION}"
    assert services()["elasticsearch"]["image"].startswith("elasticsearch:8.19.")
    assert services()["postgres"]["image"].partition(":")[2].startswith(("15.", "16."))


def test_nothing_runs_as_root_or_may_become_it() -> None:
    for name, one in services().items():
        user = str(one["user"]).partition(":")[0]
        assert user.isdigit(), name
        assert int(user) > 0, name
        assert one["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in one["security_opt"], name
        assert not one.get("privileged"), name


def test_our_containers_cannot_write_but_where_they_must() -> None:
    for name, one in ours().items():
        assert one["read_only"] is True, name
        mounts = {volume.split(":")[1]: volume.rpartition(":")[2] for volume in one["volumes"]}
        assert mounts.pop("/var/lib/shengwen/shengwen.toml") == "ro", name
        writable = {target for target, mode in mounts.items() if mode != "ro"}
        kept = {"/var/lib/shengwen/sessions", "/var/lib/shengwen/audit"}
        assert writable == (kept if name == "crawler" else set()), name
        in_memory = {mount.partition(":")[0] for mount in one["tmpfs"]}
        assert in_memory == {one["environment"]["TMPDIR"], "/var/lib/shengwen"}, name


def test_servers_can_be_reached_from_the_containers_only() -> None:
    assert config()["networks"]["servers"]["internal"] is True
    for name in ("kafka", "elasticsearch", "postgres"):
        assert "ports" not in services()[name], name
        assert list(services()[name]["networks"]) == ["servers"], name
    published = {name: one["ports"] for name, one in services().items() if one.get("ports")}
    assert set(published) == {"page"}
    assert all(str(port).startswith("127.0.0.1:") for port in published["page"]), published


def test_no_secret_stands_in_the_files() -> None:
    """Whatever looks like one is asked for, not written down."""
    for path in (DOCKER / "compose.yml", DOCKER / "Dockerfile", DOCKER / "env.example"):
        for line in path.read_text("utf-8").splitlines():
            found = re.match(
                r"\s*(?:- )?([\w.]*(?:PASSWORD|SECRET|TOKEN|KEY)[\w.]*)\s*[:=]\s*([^\s\[].*)", line, re.IGNORECASE
            )
            if found is not None and not found[1].endswith("_FILE"):
                assert re.match(r"\$\{\w+:\?", found[2]), f"{path.name}: {line.strip()}"
    raw = (DOCKER / "compose.yml").read_text("utf-8")
    assert re.findall(r"://\w+:(\$\{[^}]+\}|[^@\s]+)@", raw) == ["${POSTGRES_PASSWORD:?write it into docker/.env}"]
    assert config()["secrets"]["secret_key"]["file"].endswith("docker/secrets/secret.key")
    for private in ("docker/.env", "docker/shengwen.toml", "docker/secrets/secret.key"):
        ignored = subprocess.run(["git", "check-ignore", "-q", private], cwd=ROOT, capture_output=True, check=False)
        assert ignored.returncode in (0, 128), f"{private} could be committed"


def test_the_start_has_an_order() -> None:
    for name, one in ours().items():
        wanted = {"setup": "service_completed_successfully"}
        if name == "setup":
            wanted = dict.fromkeys(("kafka", "elasticsearch", "postgres"), "service_healthy")
        assert {other: said["condition"] for other, said in one["depends_on"].items()} == wanted, name


def test_every_container_runs_a_command_that_exists() -> None:
    calls = {name: one["command"] for name, one in ours().items()}
    assert {words[0] for words in calls.values()} == {"prepare", "work", "serve", "crawl"}
    assert {name: said for name, words in calls.items() if (said := fault(" ".join(["shengwen", *words])))} == {}
    checks = {tuple(one["healthcheck"]["test"]) for name, one in ours().items() if name not in ONCE}
    assert checks == {("CMD", "shengwen", "health")}
    assert "health" in COMMANDS


def test_every_environment_variable_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, one in ours().items():
        given = {key: str(value) for key, value in one["environment"].items() if key.startswith("SHENGWEN_")}
        with monkeypatch.context() as patch:
            for key, value in given.items():
                patch.setenv(key, value)
            read = Settings().model_dump()
        for key in given:
            place: Any = read
            for part in key.removeprefix("SHENGWEN_").lower().split("__"):
                assert isinstance(place, Mapping), key
                assert part in place, f"{name}: {key} sets nothing"
                place = place[part]
        assert read["log"]["backend"] == "kafka", name
        assert read["index"]["backend"] == "elasticsearch", name
        assert (read["web"]["public"], read["web"]["host"]) == (
            (True, "0.0.0.0") if name == "page" else (False, "127.0.0.1")
        )


def test_the_memory_of_a_server_holds_its_heap_twice() -> None:
    given = dict(
        line.split("=", 1)
        for line in (DOCKER / "env.example").read_text("utf-8").splitlines()
        if re.match(r"\w+=", line)
    )
    for server in ("KAFKA", "ELASTIC"):
        assert megabytes(given[f"{server}_MEMORY"]) >= 2 * megabytes(given[f"{server}_HEAP"])
    raw = (DOCKER / "compose.yml").read_text("utf-8")
    for name, default in re.findall(r"\$\{(\w+):-([^}]*)\}", raw):
        if name in given:
            assert given[name] == default, f"{name}: two defaults"
    assert set(given) - {"POSTGRES_PASSWORD", "ELASTIC_PASSWORD"} <= set(re.findall(r"\$\{(\w+)", raw))


def megabytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


# -- the image --


def stages() -> dict[str, list[tuple[str, str]]]:
    """Stage -> its instructions as (name, arguments), lines joined."""
    text = re.sub(
        r"\\\n", " ", re.sub(r"^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    )
    found: dict[str, list[tuple[str, str]]] = {"": []}
    current = ""
    for line in filter(None, map(str.strip, text.splitlines())):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            current = rest.split(" AS ")[1]
            found[current] = []
        found[current].append((name, re.sub(r"\s+", " ", rest)))
    return found


KNOWN = {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


def test_the_dockerfile_parses() -> None:
    found = stages()
    assert list(found) == ["", "assets", "build", "service", "crawler"]
    assert {name for stage in found.values() for name, _ in stage} <= KNOWN
    for stage in found.values():
        for name, rest in stage:
            if name in ("CMD", "ENTRYPOINT"):
                assert isinstance(json.loads(rest), list), "exec form: signals reach the program itself"


def test_base_images_have_their_version() -> None:
    given = dict(rest.split("=", 1) for name, rest in stages()[""] if name == "ARG")
    assert set(given) == {"PYTHON_IMAGE", "NODE_IMAGE"}
    for image in given.values():
        assert re.fullmatch(r"\w+:\d+\.\d+\.\d+-[\w-]+", image), image
    assert given["PYTHON_IMAGE"].startswith("python:3.11.")
    assert "-slim" in given["PYTHON_IMAGE"]


def test_everything_copied_is_there_and_reaches_the_build() -> None:
    for stage in stages().values():
        for name, rest in stage:
            if name == "COPY" and not rest.startswith("--from"):
                *sources, _ = rest.split()
                for source in sources:
                    assert (ROOT / source).exists(), source
                    assert in_context(source), f"{source} is kept out by .dockerignore"
    for package in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["mypy"]["packages"]:
        assert ("COPY", f"{package} {package}") in stages()["build"]


def in_context(path: str) -> bool:
    """Whether .dockerignore lets a path through: the last line that fits decides."""
    let = True
    for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.lstrip("!")
        heads = [path] + [str(parent) for parent in Path(path).parents if str(parent) != "."]
        patterns = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatch(head, one) for head in heads for one in patterns):
            let = line.startswith("!")
    return let


@pytest.mark.parametrize(
    "private",
    [
        "docker/.env",
        "docker/secrets/secret.key",
        "docker/shengwen.toml",
        ".git/config",
        ".venv/bin/python",
        ".home/state.db",
        "shengwen/state.db",
        "shengwen/log.db-wal",
        "shengwen/secret.key",
        "shengwen/.env",
        "shengwen/web/static/vendor/htmx.min.js",
        "tests/conftest.py",
        "node_modules/x/y.js",
    ],
)
def test_nothing_private_and_nothing_needless_reaches_the_build(private: str) -> None:
    assert not in_context(private)


def test_the_program_reaches_the_build() -> None:
    for path in ("shengwen/web/app.py", "classify/taxonomy.toml", "README.md", "requirements.lock"):
        assert in_context(path), path


def test_only_what_is_locked_is_installed() -> None:
    installs = [rest for name, rest in stages()["build"] if name == "RUN" and "pip install" in rest]
    assert any("--require-hashes -r requirements.lock" in one and "--no-deps" in one for one in installs)
    assert all("--require-hashes" in one or "--no-index" in one for one in installs)
    assert any("npm ci" in rest and "--ignore-scripts" in rest for name, rest in stages()["assets"])
    script = (ROOT / "scripts" / "page-assets.sh").read_text("utf-8")
    copied = re.findall(r"cp (node_modules/\S+)", script)
    assert copied
    from_assets = [rest.split()[1] for name, rest in stages()["build"] if name == "COPY" and rest.startswith("--from")]
    assert sorted(from_assets) == sorted(f"/src/{path}" for path in copied)


def test_the_image_runs_as_a_user_and_says_how_it_is() -> None:
    for stage in ("service", "crawler"):
        users = [rest for name, rest in stages()[stage] if name == "USER"]
        assert users[-1] == "10001:10001", stage
    last = dict(stages()["service"])
    assert last["HEALTHCHECK"].endswith('CMD ["shengwen", "health"]')
    assert json.loads(last["ENTRYPOINT"]) == ["shengwen"]
    assert "chromium" not in " ".join(rest for _, rest in stages()["service"])
    assert {str(one["user"]) for one in ours().values()} == {"10001:10001"}
