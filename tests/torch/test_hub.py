"""Models by their hub id, against a hub on loopback: only data is fetched, and kept for when the hub is away."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from classify.pretrained import load_pretrained
from ingest.errors import ConfigError, Unavailable
from tests.torch.hub import Hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def published(hub: Hub, three: Path, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A model on the hub, with things beside it that nobody should fetch; a name of its own for each test."""
    folder = shutil.copytree(three, tmp_path / "published")
    for name in ("pytorch_model.bin", "modeling_own.py", "README.md", "onnx/config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("no")
    repo = f"shop/{request.node.name.replace('_', '-')}"
    hub.repos[repo] = (folder, COMMIT)
    return repo


def test_a_model_of_the_hub_is_fetched_without_code_or_pickles(
    hub: Hub, published: str, three: Path, tmp_path: Path
) -> None:
    model = load_pretrained(published, tmp_path)
    assert model.name == f"{published}/{COMMIT[:12]}"
    here = load_pretrained(str(three), tmp_path)
    assert (model.probabilities(["漏水"]) == here.probabilities(["漏水"])).all()
    assert hub.fetched() == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert not any("onnx" in path for path in hub.asked if "/resolve/" in path)


def test_a_model_that_was_fetched_is_used_while_the_hub_is_away(hub: Hub, published: str, tmp_path: Path) -> None:
    name = load_pretrained(published, tmp_path).name
    hub.down = True
    assert load_pretrained(published, tmp_path).name == name


def test_a_folder_of_that_name_wins(hub: Hub, published: str, three: Path, tmp_path: Path) -> None:
    shutil.copytree(three, tmp_path / published)
    assert load_pretrained(published, tmp_path).name.startswith(published.partition("/")[2])
    assert hub.asked == []


def test_a_revision_can_be_named(hub: Hub, published: str, tmp_path: Path) -> None:
    assert load_pretrained(f"{published}@{COMMIT}", tmp_path).name == f"{published}/{COMMIT[:12]}"
    with pytest.raises(ConfigError, match=rf"{published} 没有版本 v9"):
        load_pretrained(f"{published}@v9", tmp_path)


def test_a_name_that_nobody_knows(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add("shop/gated")
    for name in ("shop/unknown", "shop/gated"):
        with pytest.raises(ConfigError, match=f"Hugging Face 上也没有可用的模型 {name}") as told:
            load_pretrained(name, tmp_path)
        assert str(tmp_path / name) in str(told.value)


@pytest.mark.parametrize("name", ["a/b/c", "../up", "/shop/x", "shop/..", "shop/x y", "https://x/y", "模型/甲"])
def test_what_is_no_hub_name_is_never_asked_for(hub: Hub, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=r"classify\.model"):
        load_pretrained(name, tmp_path)
    assert hub.asked == []


def test_a_hub_that_is_away_and_never_was_there(hub: Hub, tmp_path: Path) -> None:
    hub.down = True
    with pytest.raises(Unavailable, match="从 Hugging Face 取模型 shop/never 也没有成功"):
        load_pretrained("shop/never", tmp_path)


def test_the_command_says_that_the_hub_cannot_be_reached(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        env = os.environ | {"HF_ENDPOINT": address, "SHENGWEN_CLASSIFY__MODEL": "shop/never", "HF_TOKEN": "hf_hidden"}
        said = subprocess.run(
            [sys.executable, "-m", "shengwen", "--home", str(tmp_path), "classify"],
            input="漏水\n", capture_output=True, text=True, env=env, check=False,
        )  # fmt: skip
    assert (said.returncode, said.stdout) == (1, "")
    assert said.stderr.startswith(f"错误：没有文件夹 {tmp_path / 'shop' / 'never'}，从 Hugging Face 取模型 shop/never")
    assert "请检查网络" in said.stderr
    assert "hf_hidden" not in said.stderr
