"""The browser on this machine. Nothing is downloaded: a system's own Chromium is kept safe by its own updates."""

from __future__ import annotations

import shutil
from typing import Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_HINT: Final = (
    "Debian/Ubuntu 请运行 sudo apt-get install chromium；其他系统请安装 Chromium 或 Google Chrome，"
    "或在设置 crawl.chromium 中写明它的路径"
)


def find_chromium(configured: str | None = None) -> str | None:
    """The browser's path: the configured one, else the first found; None when there is none."""
    names = NAMES if configured is None else (configured,)
    return next((path for path in map(shutil.which, names) if path is not None), None)
