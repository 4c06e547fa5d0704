"""The browser on this machine. Nothing is downloaded: a system's own Chromium is kept safe by its own updates."""

from __future__ import annotations

import shutil
from pathlib import PurePath
from typing import Final

WINDOWLESS: Final = "chromium-headless-shell"
"""Chromium's own build without a window: a crawl costs it a third of the processor time (docs/performance.md)."""
NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_HINT: Final = (
    "Debian/Ubuntu 请运行 sudo apt-get install chromium；其他系统请安装 Chromium 或 Google Chrome，"
    "或在设置 crawl.chromium 中写明它的路径"
)


def find_chromium(configured: str | None = None, *, window: bool = False) -> str | None:
    """The browser's path: the configured one, else the first found; None when there is none.

    ``window``: a person is to see it, so the build that has none will not do, not even where it is configured.
    """
    if configured is not None and not (window and PurePath(configured).name == WINDOWLESS):
        return shutil.which(configured)
    names = NAMES if window else (WINDOWLESS, *NAMES)
    return next((path for path in map(shutil.which, names) if path is not None), None)
