"""Tests of what needs the extra ``torch``: ``make test-torch``, in a virtual environment of its own.

Without the extra this file cannot be imported, so that nothing here is ever silently skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.torch.hub import Hub

# The libraries read these once, when they are imported: no test can reach the real hub or somebody's cache.
HUB = Hub()
CACHE = TemporaryDirectory(prefix="shengwen-hub-")
os.environ |= {"HF_ENDPOINT": HUB.address, "HF_HOME": CACHE.name, "HF_HUB_DISABLE_TELEMETRY": "1"}
os.environ.pop("HF_HUB_OFFLINE", None)

import safetensors  # noqa: E402, F401
import torch  # noqa: E402
import transformers  # noqa: E402, F401

from classify.linear import LinearClassifier  # noqa: E402
from classify.pipeline import PipelineClassifier  # noqa: E402
from classify.taxonomy import load_taxonomy  # noqa: E402
from tests.torch.models import THREE, make  # noqa: E402

torch.set_num_threads(2)


@pytest.fixture(scope="session", autouse=True)
def _closed() -> Iterator[None]:
    yield
    HUB.close()
    CACHE.cleanup()


@pytest.fixture
def hub() -> Iterator[Hub]:
    """The hub, empty and well."""
    HUB.repos.clear()
    HUB.gated.clear()
    HUB.asked.clear()
    HUB.down = False
    yield HUB
    HUB.down = True


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of three labels; nobody may write into it."""
    return make(tmp_path_factory.mktemp("three") / "tiny", THREE)


@pytest.fixture(scope="session")
def own(three: Path) -> PipelineClassifier:
    return PipelineClassifier(load_taxonomy(), str(three), brand_words=("暖洋牌",))


@pytest.fixture(scope="session")
def rules() -> LinearClassifier:
    """What ships: the rules to compare with."""
    return LinearClassifier(load_taxonomy(), brand_words=("暖洋牌",))
